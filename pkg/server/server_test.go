package server_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lcp-tools/lcp/pkg/access"
	"github.com/lcp-tools/lcp/pkg/certificate"
	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/keyring"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/licensing"
	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/server"
	"github.com/lcp-tools/lcp/pkg/signature"
	"github.com/lcp-tools/lcp/pkg/status"
	"github.com/lcp-tools/lcp/pkg/store"
)

// What no log may hold: it is in the requests of every test.
const (
	userName   = "Zebulon Quagmire"
	userEmail  = "zebulon@quagmire.example"
	userID     = "user-552a6ffb"
	textHint   = "The hint of Zebulon"
	deviceID   = "device-of-zebulon"
	deviceName = "Zebulon's phone"
	password   = "correct horse battery"
)

var (
	passHash   = profile.HashPassphrase("zebulon's passphrase").Hex()
	contentKey = bytes.Repeat([]byte{0xc5}, 32)
)

// logs is what all servers of all tests logged, at every level.
var logs lockedBuffer

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// certificates is the folder of the provider's test certificate.
var certificates string

// apiKeys has a key of each role.
var apiKeys = map[access.Role]string{
	access.Admin: access.NewKey(), access.Publisher: access.NewKey(),
	access.Issuer: access.NewKey(), access.Viewer: access.NewKey(),
}

// TestMain looks through the logs of all tests at the end.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "server-test-")
	if err != nil {
		panic(err)
	}
	certificates = dir
	code := m.Run()
	stopServers()
	os.RemoveAll(dir)
	if found := secretsIn(logs.String()); len(found) > 0 {
		fmt.Fprintf(os.Stderr, "FAIL: secrets or personal data in the logs: %q\n", found)
		code = 1
	}
	os.Exit(code)
}

// secretsIn returns what of the requests is in a log and should not be.
func secretsIn(log string) []string {
	secrets := []string{
		userName, userEmail, "quagmire", userID, textHint, deviceID, "s phone", password, passHash,
		base64.StdEncoding.EncodeToString(contentKey), hex.EncodeToString(contentKey), fmt.Sprintf("%d", contentKey),
	}
	for _, key := range apiKeys {
		secrets = append(secrets, key)
	}
	return slices.DeleteFunc(secrets, func(secret string) bool {
		return !strings.Contains(strings.ToLower(log), strings.ToLower(secret))
	})
}

func TestSecretsAreSeenInLogs(t *testing.T) {
	t.Parallel()
	if found := secretsIn("level=INFO msg=x hash=" + strings.ToUpper(passHash)); !slices.Equal(found, []string{passHash}) {
		t.Errorf("found %q", found)
	}
}

var signer = sync.OnceValues(func() (*signature.Signer, error) {
	dir := filepath.Join(certificates, "p256")
	if err := certificate.CreateTest(dir, certificate.P256, epoch); err != nil {
		return nil, err
	}
	pair, err := certificate.Load(filepath.Join(dir, certificate.CertificateFile), filepath.Join(dir, certificate.KeyFile), epoch)
	if err != nil {
		return nil, err
	}
	return pair.Signer, nil
})

// epoch is when the clocks of tests begin.
var epoch = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)

// A clock is set by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time // guarded by mu
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// A rig is a license server with a database of its own, and clients with a key
// of each role.
type rig struct {
	clock    *clock
	store    *store.Store
	registry *prometheus.Registry
	file     string // name of the database, of SQLite the file
	base     string
	options  server.Options
}

// newRig starts a server, with options changed by those functions. Renewals are
// allowed for 60 days, by 7 unless told otherwise.
func newRig(t *testing.T, change ...func(*server.Options)) *rig {
	t.Helper()
	return newRigOn(t, filepath.Join(t.TempDir(), "lcp.db"), change...)
}

// newRigOn is newRig on an empty database.
func newRigOn(t *testing.T, dsn string, change ...func(*server.Options)) *rig {
	t.Helper()
	r := &rig{clock: &clock{t: epoch}, registry: prometheus.NewRegistry(), file: dsn}
	r.store = openStore(t, dsn, r.clock)
	for role, key := range apiKeys {
		if err := r.store.AddKey(t.Context(), access.Principal{Name: string(role), Role: role}, access.HashKey(key)); err != nil {
			t.Fatal(err)
		}
	}
	r.options = r.newOptions(t)
	for _, c := range change {
		c(&r.options)
	}
	r.start(t)
	return r
}

// start serves with the options as they are now.
func (r *rig) start(t *testing.T) {
	t.Helper()
	s := httptest.NewServer(server.Handler(r.options))
	t.Cleanup(s.Close)
	r.base = s.URL
}

// masterKey is that of all databases, which replicas have in common.
var masterKey = keyring.NewKey()

func openStore(t *testing.T, dsn string, c *clock) *store.Store {
	t.Helper()
	keys, err := keyring.New(masterKey)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{DSN: dsn, Keyring: keys, Now: c.now, Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

const publicURL = "https://lcp.example.org"

func (r *rig) newOptions(t *testing.T) server.Options {
	t.Helper()
	fresh, err := license.ParseTemplate("https://shop.example.org/fresh/{license_id}")
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := access.NewTokens(bytes.Repeat([]byte{7}, 32), r.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := server.NewMetrics(r.registry)
	if err != nil {
		t.Fatal(err)
	}
	guesses := access.NewLimiter(1, 5, r.clock.now)
	log := slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	callbacks := delivery.NewCallbacks(delivery.CallbackOptions{Now: r.clock.now})
	t.Cleanup(callbacks.Close)
	services := newServices(t, r.store, r.clock)
	return server.Options{
		Store: r.store, Licensing: services, Providers: services.Providers(), FreshLink: fresh,
		Access: access.NewAuthenticator(r.store, guesses), DashboardAccess: access.NewAuthenticator(r.store, guesses), Tokens: tokens,
		Dashboard: server.Dashboard{SharingThreshold: 2},
		Delivery:  &delivery.Authorizer{Store: provider.NewRecords(r.store), Callbacks: callbacks, Now: r.clock.now, Log: log},
		Metrics:   metrics, Now: r.clock.now, Log: log,
	}
}

func newServices(t *testing.T, records *store.Store, c *clock) *licensing.Services {
	t.Helper()
	return servicesOf(t, records, newProviders(t, records, c), c.now)
}

// servicesOf returns what issues licenses of providers.
func servicesOf(t *testing.T, records *store.Store, providers *provider.Directory, now func() time.Time) *licensing.Services {
	t.Helper()
	s, err := signer()
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := license.ParseTemplate("https://shop.example.org/fresh/{license_id}")
	if err != nil {
		t.Fatal(err)
	}
	services, err := licensing.NewServices(t.Context(), licensing.Options{
		Store: records, Providers: providers, Profiles: profile.NewRegistry(), Signer: s, PublicURL: publicURL, Fresh: fresh, Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return services
}

// setProviders has a server work for other providers.
func setProviders(t *testing.T, o *server.Options, d *provider.Directory) {
	t.Helper()
	o.Providers, o.Licensing = d, servicesOf(t, o.Store, d, o.Now)
}

// A call is a request that a test makes. Without headers it is that of an
// administrator with JSON.
type call struct {
	method, path string
	body         any // a string goes as it is, anything else as JSON
	role         access.Role
	header       http.Header
}

// An answer is what the server said.
type answer struct {
	code   int
	header http.Header
	body   string
}

// do makes a request as an administrator.
func (r *rig) do(t *testing.T, method, path string, body any) answer {
	t.Helper()
	return r.send(t, call{method: method, path: path, body: body, role: access.Admin})
}

// public makes a request without credentials.
func (r *rig) public(t *testing.T, method, path string) answer {
	t.Helper()
	return r.send(t, call{method: method, path: path})
}

// must is do for a request that has to end with that status code.
func (r *rig) must(t *testing.T, code int, method, path string, body any) answer {
	t.Helper()
	a := r.do(t, method, path, body)
	if a.code != code {
		t.Fatalf("%s %s = %d %s, want %d", method, path, a.code, a.body, code)
	}
	return a
}

// mustPublic is must without credentials.
func (r *rig) mustPublic(t *testing.T, code int, method, path string) answer {
	t.Helper()
	a := r.public(t, method, path)
	if a.code != code {
		t.Fatalf("%s %s = %d %s, want %d", method, path, a.code, a.body, code)
	}
	return a
}

// send makes a request. Whatever comes back must keep the rules that all answers
// have to.
func (r *rig) send(t *testing.T, c call) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), c.method, r.base+c.path, reader(t, c.body))
	if err != nil {
		t.Fatal(err)
	}
	if c.role != "" {
		req.Header.Set("Authorization", "Bearer "+apiKeys[c.role])
	}
	if c.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	maps.Copy(req.Header, c.header)
	a := roundTrip(t, req)
	checkAnswer(t, c, a)
	return a
}

func reader(t *testing.T, body any) io.Reader {
	t.Helper()
	switch b := body.(type) {
	case nil:
		return nil
	case string:
		return strings.NewReader(b)
	case []byte:
		return bytes.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.NewReader(text)
	}
}

// client follows no redirects.
var client = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
}

func roundTrip(t *testing.T, req *http.Request) answer {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// checkAnswer applies what holds for every answer: errors are problems, and
// licenses and status documents keep the rules of their schemas.
func checkAnswer(t *testing.T, c call, a answer) {
	t.Helper()
	mediaType := a.header.Get("Content-Type")
	switch {
	case c.method == http.MethodHead:
	case a.code >= 400:
		checkProblem(t, c, a)
	case mediaType == license.MediaType:
		checkLicenseSchema(t, []byte(a.body))
	case mediaType == status.MediaType:
		checkStatusSchema(t, []byte(a.body))
	case mediaType == "application/json" && !json.Valid([]byte(a.body)):
		t.Errorf("%s %s = %q, which is not JSON", c.method, c.path, a.body)
	}
	if a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s %s: answer may be taken for something else: %v", c.method, c.path, a.header)
	}
}

// checkProblem applies RFC 9457 §3.
func checkProblem(t *testing.T, c call, a answer) {
	t.Helper()
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	err := json.Unmarshal([]byte(a.body), &p)
	if mediaType := a.header.Get("Content-Type"); mediaType != "application/problem+json" || err != nil ||
		p.Title == "" || p.Type == "" || p.Status != a.code {
		t.Errorf("%s %s = %d, %s %s: not a problem document: %v", c.method, c.path, a.code, mediaType, a.body, err)
	}
	for _, internal := range []string{"goroutine", ".go:", "sql:", "SQLITE", "SELECT"} {
		if strings.Contains(a.body, internal) {
			t.Errorf("%s %s shows internals: %s", c.method, c.path, a.body)
		}
	}
}

// decode reads the answer's JSON.
func decode[T any](t *testing.T, a answer) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return v
}

// object is JSON without a type of its own.
type object = map[string]any

// with returns o with other members; one that is nil goes.
func with(o object, changes object) object {
	out := object{}
	for _, from := range []object{o, changes} {
		for name, value := range from {
			if out[name] = value; value == nil {
				delete(out, name)
			}
		}
	}
	return out
}

// publication is the request of the documented API.
func publication(id string) object {
	return object{
		"uuid": id, "title": "Voyage au centre de la terre", "encryption_key": contentKey,
		"href": "https://books.example.org/" + id + ".epub", "content_type": "application/epub+zip", "size": 769257,
		"checksum": "edce32ca54c36aa73da9075098fc592fa29ff3e12406d1442544535d99dc1b87",
	}
}

// licenseRequest is that of the documented API, for a loan of two weeks.
func licenseRequest(publication string) object {
	return object{
		"publication_id": publication, "user_id": userID, "user_name": userName, "user_email": userEmail,
		"user_encrypted": []string{"name", "email"}, "start": stamp(epoch), "end": stamp(epoch.AddDate(0, 0, 14)),
		"copy": 20000, "print": 100, "profile": profile.Basic, "text_hint": textHint, "pass_hash": strings.ToUpper(passHash),
	}
}

// freshRequest asks for a fresh license.
func freshRequest() object {
	return object{
		"user_id": userID, "user_name": userName, "user_email": userEmail, "user_encrypted": []string{"name", "email"},
		"text_hint": textHint, "pass_hash": passHash,
	}
}

func stamp(t time.Time) string { return t.Format(time.RFC3339) }

// addPublication registers a publication and returns its UUID.
func (r *rig) addPublication(t *testing.T, changes ...object) string {
	t.Helper()
	id := uuid.NewString()
	p := publication(id)
	for _, c := range changes {
		p = with(p, c)
	}
	r.must(t, http.StatusCreated, "POST", "/publications", p)
	return id
}

// addLicense makes a license for a publication and returns its id.
func (r *rig) addLicense(t *testing.T, publication string, changes ...object) string {
	t.Helper()
	request := licenseRequest(publication)
	for _, c := range changes {
		request = with(request, c)
	}
	return decode[license.Document](t, r.must(t, http.StatusCreated, "POST", "/licenses", request)).ID
}

// loan is addLicense with a publication of its own.
func (r *rig) loan(t *testing.T, changes ...object) string {
	t.Helper()
	return r.addLicense(t, r.addPublication(t), changes...)
}

// device is the query of a device.
func device(id string) string {
	return "?" + url.Values{"id": {id}, "name": {deviceName}}.Encode()
}

// register registers a device with a license.
func (r *rig) register(t *testing.T, id, device string) {
	t.Helper()
	r.mustPublic(t, http.StatusOK, "POST", "/register/"+id+"?"+url.Values{"id": {device}, "name": {deviceName}}.Encode())
}

// A statusDocument is what tests look at in one.
type statusDocument struct {
	ID, Status, Message string
	Updated             struct{ License, Status time.Time }
	Links               []struct{ Rel, Href, Type, Profile string }
	PotentialRights     struct{ End time.Time } `json:"potential_rights"`
	Events              []struct {
		Type, ID, Name string
		Timestamp      time.Time
	}
}

func (d *statusDocument) rels() string {
	var rels []string
	for _, l := range d.Links {
		rels = append(rels, l.Rel)
	}
	slices.Sort(rels)
	return strings.Join(rels, " ")
}

// status fetches a status document.
func (r *rig) status(t *testing.T, id string) statusDocument {
	t.Helper()
	return decode[statusDocument](t, r.mustPublic(t, http.StatusOK, "GET", "/status/"+id))
}

// info fetches a license record.
func (r *rig) info(t *testing.T, id string) object {
	t.Helper()
	return decode[object](t, r.must(t, http.StatusOK, "GET", "/licenseinfo/"+id, nil))
}

// total is how many there are in a list, by its header.
func (r *rig) total(t *testing.T, path string) string {
	t.Helper()
	return r.must(t, http.StatusOK, "GET", path, nil).header.Get("X-Total-Count")
}

func mustMarshal(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // of tests' own making
	}
	return text
}
