package server_test

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/access"
	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/metering"
	"github.com/lcp-tools/lcp/pkg/server"
)

const readerSite = "https://reader.example.org"

// newLicenseKey makes a license key with an approved site.
func (r *rig) newLicenseKey(t *testing.T, fields object) api.LicenseKey {
	t.Helper()
	k := decode[api.LicenseKey](t, r.must(t, http.StatusCreated, "POST", "/license-keys", with(object{"name": "Nevermore Academy"}, fields)))
	r.must(t, http.StatusOK, "POST", "/origins", object{"licenseKey": k.LicenseKey, "origin": readerSite, "state": "approved"})
	return k
}

// readingEvent is a minute of active use.
func (r *rig) readingEvent(key, id string) object {
	return object{
		"licenseKey": key, "userToken": "ann", "publicationToken": "moby", "deviceToken": "phone", "publicationSignature": "sig",
		"occurredAt": r.clock.now().Format(time.RFC3339), "activeSeconds": 60, "eventId": id,
	}
}

// report posts from an origin.
func (r *rig) report(t *testing.T, path, origin string, body any) answer {
	t.Helper()
	return r.send(t, call{method: "POST", path: path, body: body, header: http.Header{"Origin": {origin}}})
}

func allowedOrigin(a answer) string { return a.header.Get("Access-Control-Allow-Origin") }

func (r *rig) usage(t *testing.T, query string) []metering.Row {
	t.Helper()
	return decode[[]metering.Row](t, r.must(t, http.StatusOK, "GET", "/reports/usage"+query, nil))
}

func TestReadingSession(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, r *rig) {
		k := r.newLicenseKey(t, nil)
		a := r.report(t, "/reading-sessions", readerSite, r.readingEvent(k.LicenseKey, "e1"))
		o := decode[api.ReadingOutcome](t, a)
		if a.code != http.StatusOK || o.Status != "started" || o.EventID != "e1" || o.SessionID == "" ||
			o.ValidUntil == nil || !o.ValidUntil.Equal(r.clock.now().Truncate(time.Second).Add(24*time.Hour)) || o.OfflineUntil == nil {
			t.Errorf("report: %d %s", a.code, a.body)
		}
		if got := allowedOrigin(a); got != readerSite || a.header.Get("Access-Control-Allow-Credentials") != "" || a.header.Get("Vary") != "Origin" {
			t.Errorf("headers %v", a.header)
		}
		blocked := r.report(t, "/reading-sessions", "https://unknown.example", r.readingEvent(k.LicenseKey, "e2"))
		if o := decode[api.ReadingOutcome](t, blocked); o.Status != "blocked" || o.Reason != "origin_unknown" || allowedOrigin(blocked) != "" {
			t.Errorf("unknown origin: %s, %v", blocked.body, blocked.header)
		}
		if rows := r.usage(t, "?groupBy=origin,publication"); len(rows) != 2 || rows[0].Started != 1 || rows[1].Blocked != 1 {
			t.Errorf("usage %+v", rows)
		}
		csvAnswer := r.must(t, http.StatusOK, "GET", "/reports/usage?format=csv", nil)
		if lines, err := csv.NewReader(strings.NewReader(csvAnswer.body)).ReadAll(); err != nil || len(lines) != 2 || lines[1][15] != "1" {
			t.Errorf("CSV %q, %v", lines, err)
		}
		tsv := r.must(t, http.StatusOK, "GET", "/reports/tr_b1?format=tsv&licenseKey="+k.LicenseKey, nil)
		if !strings.Contains(tsv.body, "\tTotal_Item_Requests\t1\t1\n") {
			t.Errorf("TR_B1 %s", tsv.body)
		}
	})
}

// Every bad report is refused with a problem that says why, is counted as refused,
// and leaves nothing.
func TestReadingRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.newLicenseKey(t, object{"nativeApps": true})
	off := r.newLicenseKey(t, object{"disabled": true})
	web := r.newLicenseKey(t, nil)
	good := r.readingEvent(k.LicenseKey, "e")
	r.report(t, "/reading-sessions", readerSite, good)
	before := fmt.Sprintf("%+v", r.usage(t, "?groupBy=origin,publication")) + r.must(t, http.StatusOK, "GET", "/origins", nil).body
	errorsPage, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	from := func(origins ...string) http.Header { return http.Header{"Origin": origins} }
	at := func(d time.Duration) object {
		return with(good, object{"eventId": "other", "occurredAt": r.clock.now().Add(d).Format(time.RFC3339)})
	}
	refused := 0
	for name, tt := range map[string]struct {
		header http.Header
		body   any
		code   int
		typ    string // "" for about:blank
		field  string
	}{
		"unknown key":          {from(readerSite), with(good, object{"licenseKey": "rs_X"}), 403, "unknown-license-key", ""},
		"odd key":              {from(readerSite), with(good, object{"licenseKey": "rs X\n"}), 403, "unknown-license-key", ""},
		"no key":               {from(readerSite), with(good, object{"licenseKey": nil}), 400, "invalid-event", "licenseKey"},
		"disabled key":         {from(readerSite), with(good, object{"licenseKey": off.LicenseKey}), 403, "disabled-license-key", ""},
		"null origin":          {from("null"), good, 403, "invalid-origin", ""},
		"several origins":      {from("https://a.example, https://b.example"), good, 403, "invalid-origin", ""},
		"several headers":      {from(readerSite, "https://b.example"), good, 403, "invalid-origin", ""},
		"file":                 {from("file://"), good, 403, "invalid-origin", ""},
		"no origin":            {nil, good, 400, "missing-signature", ""},
		"forged origin":        {from(readerSite), with(good, object{"origin": readerSite}), 400, "", "origin"},
		"no user":              {from(readerSite), with(good, object{"userToken": ""}), 400, "invalid-event", "userToken"},
		"malformed user":       {from(readerSite), with(good, object{"userToken": "a\u0000b"}), 400, "invalid-event", "userToken"},
		"user is a number":     {from(readerSite), with(good, object{"userToken": 7}), 400, "", "userToken"},
		"long token":           {from(readerSite), with(good, object{"publicationToken": strings.Repeat("x", 256)}), 400, "invalid-event", "publicationToken"},
		"future":               {from(readerSite), at(6 * time.Minute), 400, "invalid-event", "occurredAt"},
		"ancient":              {from(readerSite), at(-2 * time.Hour), 400, "invalid-event", "occurredAt"},
		"ancient and offline":  {from(readerSite), with(at(-31*24*time.Hour), object{"offline": true}), 400, "invalid-event", "occurredAt"},
		"no time":              {from(readerSite), with(good, object{"occurredAt": nil}), 400, "invalid-event", "occurredAt"},
		"half a time":          {from(readerSite), with(good, object{"occurredAt": "2030-01-01"}), 400, "", "occurredAt"},
		"negative seconds":     {from(readerSite), with(good, object{"activeSeconds": -1}), 400, "invalid-event", "activeSeconds"},
		"parts of a second":    {from(readerSite), with(good, object{"activeSeconds": 1.5}), 400, "", "activeSeconds"},
		"no seconds":           {from(readerSite), with(good, object{"activeSeconds": nil}), 400, "invalid-event", "activeSeconds"},
		"other content":        {from(readerSite), with(good, object{"activeSeconds": 61}), 409, "event-id-reused", ""},
		"no JSON":              {from(readerSite), "{", 400, "", ""},
		"an array":             {from(readerSite), "[]", 400, "", ""},
		"wrong signature":      {http.Header{"X-Lcp-Timestamp": {"1"}, "X-Lcp-Signature": {"v1=00"}}, good, 401, "wrong-signature", ""},
		"no secret":            {http.Header{"X-Lcp-Timestamp": {"1"}, "X-Lcp-Signature": {"v1=00"}}, with(good, object{"licenseKey": web.LicenseKey}), 403, "no-api-secret", ""},
		"signature and origin": {http.Header{"Origin": {readerSite}, "X-Lcp-Timestamp": {"1"}, "X-Lcp-Signature": {"v1=00"}}, good, 400, "origin-and-signature", ""},
	} {
		a := r.send(t, call{method: "POST", path: "/reading-sessions", body: tt.body, header: tt.header})
		p := decode[server.Problem](t, a)
		typ := strings.TrimPrefix(p.Type, "https://github.com/lcp-tools/lcp/blob/main/docs/errors.md#")
		if a.code != tt.code || typ != tt.typ && (tt.typ != "" || typ != "about:blank") ||
			tt.field != "" && (len(p.Errors) != 1 || p.Errors[0].Field != tt.field) {
			t.Errorf("%s: %d %s, want %d %s %s", name, a.code, a.body, tt.code, tt.typ, tt.field)
		}
		if heading := fmt.Sprintf("### %s\n\n%d · %s\n", typ, p.Status, p.Title); tt.typ != "" && !bytes.Contains(errorsPage, []byte(heading)) {
			t.Errorf("docs/errors.md lacks %q", heading)
		}
		refused++
	}
	after := fmt.Sprintf("%+v", r.usage(t, "?groupBy=origin,publication")) + r.must(t, http.StatusOK, "GET", "/origins", nil).body
	if after != before {
		t.Errorf("something was written:\n%s\nwas\n%s", after, before)
	}
	if got := r.readingEvents(t, "refused"); got != float64(refused) {
		t.Errorf("%v refused events were counted, want %d", got, refused)
	}
}

// readingEvents returns how many events with a status were counted.
func (r *rig) readingEvents(t *testing.T, status string) float64 {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "lcp_reading_events_total" && m.GetLabel()[0].GetValue() == status {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// A native app signs what it sends, and a signature counts once.
func TestNativeApp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.newLicenseKey(t, object{"nativeApps": true})
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(k.APISecret, "rss_"))
	if err != nil {
		t.Fatal(err)
	}
	secret := metering.SecretOf(raw)
	sign := func(body string) http.Header {
		h := http.Header{}
		timestamp, signature := metering.Sign(secret, r.clock.now(), []byte(body))
		h.Set(metering.TimestampHeader, timestamp)
		h.Set(metering.SignatureHeader, signature)
		return h
	}
	data, err := json.Marshal(r.readingEvent(k.LicenseKey, "e"))
	if err != nil {
		t.Fatal(err)
	}
	body := string(data)
	header := sign(body)
	for _, want := range []int{http.StatusOK, http.StatusForbidden} {
		if a := r.send(t, call{method: "POST", path: "/reading-sessions", body: body, header: header}); a.code != want {
			t.Errorf("signed request: %d %s, want %d", a.code, a.body, want)
		}
	}
	r.clock.pass(time.Second)
	if a := r.send(t, call{method: "POST", path: "/reading-sessions", body: body, header: sign(body)}); a.code != http.StatusOK {
		t.Errorf("signed again: %d %s", a.code, a.body)
	}
	if rows := r.usage(t, "?groupBy=origin"); len(rows) != 1 || rows[0].OriginGroup != "app" || rows[0].Started != 1 || rows[0].Continued != 0 {
		t.Errorf("usage %+v", rows)
	}
	again := decode[api.LicenseKey](t, r.must(t, http.StatusCreated, "POST", "/license-keys/"+k.LicenseKey+"/api-secret", nil))
	if again.APISecret == k.APISecret || again.APISecret == "" {
		t.Error("a new secret is not new")
	}
	r.clock.pass(time.Second)
	if a := r.send(t, call{method: "POST", path: "/reading-sessions", body: body, header: sign(body)}); a.code != http.StatusUnauthorized {
		t.Errorf("under the old secret: %d %s", a.code, a.body)
	}
	if shown := r.must(t, http.StatusOK, "GET", "/license-keys/"+k.LicenseKey, nil); strings.Contains(shown.body, "rss_") {
		t.Errorf("a secret is shown again: %s", shown.body)
	}
}

func TestReadingBatch(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.newLicenseKey(t, nil)
	offline := func(id string, hours int) object {
		return with(r.readingEvent(k.LicenseKey, id), object{
			"licenseKey": nil, "offline": true, "occurredAt": r.clock.now().Add(time.Duration(-hours) * time.Hour).Format(time.RFC3339),
		})
	}
	events := []any{
		offline("late", 1), offline("first", 50), offline("again", 50), offline("again", 50), offline("first", 49),
		object{"nope": 1},
		7, with(offline("elsewhere", 1), object{"licenseKey": "rs_X"}), offline("second", 20),
	}
	a := r.report(t, "/reading-sessions:batch", readerSite, object{"licenseKey": k.LicenseKey, "events": events})
	got := decode[api.ReadingAnswer](t, a)
	want := []string{"continued", "started", "continued", "continued", "problem", "problem", "problem", "problem", "started"}
	if a.code != http.StatusOK || len(got.Results) != len(want) || got.Failed != 4 {
		t.Fatalf("batch: %d %s", a.code, a.body)
	}
	for i, o := range got.Results {
		status := o.Status
		if o.Problem != nil {
			status = "problem"
		}
		if status != want[i] || *o.Index != i {
			t.Errorf("event %d: %+v %s, want %s", i, o, o.Problem, want[i])
		}
	}
	if rows := r.usage(t, "?from=2030-04&to=2030-05"); sum(rows).Started != 2 || sum(rows).Offline != 4 {
		t.Errorf("usage %+v", rows)
	}
	many := make([]any, 10_000)
	for i := range many {
		many[i] = object{"eventId": strconv.Itoa(i)}
	}
	for name, body := range map[string]any{
		"10 000 events": object{"licenseKey": k.LicenseKey, "events": many},
		"2 MiB":         `{"licenseKey": "` + strings.Repeat("x", 2<<20) + `"}`,
	} {
		a := r.report(t, "/reading-sessions:batch", readerSite, body)
		if p := decode[server.Problem](t, a); a.code != http.StatusRequestEntityTooLarge || !strings.HasSuffix(p.Type, "#batch-too-large") ||
			!strings.Contains(p.Detail, "1000 events") {
			t.Errorf("%s: %d %s", name, a.code, a.body)
		}
	}
	if a := r.report(t, "/reading-sessions:batch", readerSite, object{"licenseKey": k.LicenseKey, "events": []any{}}); a.code != http.StatusBadRequest {
		t.Errorf("no events: %d %s", a.code, a.body)
	}
}

func sum(rows []metering.Row) (total metering.Usage) {
	for _, r := range rows {
		total.Started += r.Started
		total.Offline += r.Offline
	}
	return total
}

// Pages may ask before, and read answers, where their origin is allowed, by the
// license key if it is named.
func TestReadingPreflight(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.newLicenseKey(t, nil)
	ask := func(origin, query string) answer {
		return r.send(t, call{method: "OPTIONS", path: "/reading-sessions" + query, header: http.Header{
			"Origin": {origin}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"content-type"},
		}})
	}
	check := func(origin, query string, want bool) {
		t.Helper()
		a := ask(origin, query)
		if got := allowedOrigin(a); (got == origin) != want || (got != "") != want || (a.code == http.StatusNoContent) != want {
			t.Errorf("%s%s: %d with %q, want %v", origin, query, a.code, got, want)
		}
	}
	check(readerSite, "", true)
	check("https://unknown.example", "", false)
	check("http://reader.example.org", "", false)
	check("null", "", false)
	review := r.newLicenseKey(t, object{"originPolicy": "review"})
	check("https://unknown.example", "", true)
	check("https://unknown.example", "?licenseKey="+review.LicenseKey, true)
	check("https://unknown.example", "?licenseKey="+k.LicenseKey, false)
	for _, key := range []string{k.LicenseKey, review.LicenseKey} {
		r.must(t, http.StatusOK, "POST", "/origins", object{"licenseKey": key, "origin": "https://*.unknown.example", "state": "blocked"})
	}
	check("https://a.unknown.example", "", false)
	a := ask(readerSite, "")
	if h := a.header; h.Get("Access-Control-Allow-Methods") != "POST" || h.Get("Access-Control-Allow-Headers") != "Content-Type" || h.Get("Vary") != "Origin" {
		t.Errorf("headers %v", h)
	}
}

// What operators send that makes no sense is refused, by its field.
func TestBillingRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.newLicenseKey(t, nil)
	for name, tt := range map[string]struct {
		method, path string
		body         any
		code         int
		field        string
	}{
		"no name":            {"POST", "/license-keys", object{}, 400, "name"},
		"key":                {"POST", "/license-keys", object{"name": "x", "licenseKey": "rs_X"}, 400, "licenseKey"},
		"policy":             {"POST", "/license-keys", object{"name": "x", "originPolicy": "allow"}, 400, ""},
		"validity":           {"POST", "/license-keys", object{"name": "x", "sessionValidity": 1}, 400, ""},
		"endless":            {"POST", "/license-keys", object{"name": "x", "sessionValidity": int64(1) << 62}, 400, ""},
		"webhook":            {"POST", "/license-keys", object{"name": "x", "webhook": "ftp://x"}, 400, "webhook"},
		"secret":             {"POST", "/license-keys", object{"name": "x", "apiSecret": "rss_x"}, 400, "apiSecret"},
		"update of nothing":  {"PUT", "/license-keys/rs_X", object{"name": "x"}, 404, ""},
		"another key":        {"PUT", "/license-keys/" + k.LicenseKey, object{"licenseKey": "rs_X"}, 400, "licenseKey"},
		"star":               {"POST", "/origins", object{"licenseKey": k.LicenseKey, "origin": "*", "state": "approved"}, 400, "origin"},
		"public suffix":      {"POST", "/origins", object{"licenseKey": k.LicenseKey, "origin": "https://*.co.uk", "state": "approved"}, 400, "origin"},
		"state":              {"POST", "/origins", object{"licenseKey": k.LicenseKey, "origin": readerSite, "state": "pending"}, 400, "state"},
		"origin of no key":   {"POST", "/origins", object{"licenseKey": "rs_X", "origin": readerSite, "state": "approved"}, 404, ""},
		"forget nothing":     {"DELETE", "/origins?licenseKey=" + k.LicenseKey + "&origin=https://x.example", nil, 404, ""},
		"this month":         {"POST", "/reports/closings", object{"month": r.clock.now().Format("2006-01")}, 400, "month"},
		"no month":           {"POST", "/reports/closings", object{"month": "May"}, 400, "month"},
		"report backwards":   {"GET", "/reports/usage?from=2030-05&to=2030-04", nil, 400, "to"},
		"report by user":     {"GET", "/reports/usage?groupBy=user", nil, 400, "groupBy"},
		"report as PDF":      {"GET", "/reports/usage?format=pdf", nil, 400, "format"},
		"report of no key":   {"GET", "/reports/usage?licenseKey=rs_X", nil, 404, ""},
		"COUNTER of all":     {"GET", "/reports/tr_b1", nil, 400, "licenseKey"},
		"erasure of nobody":  {"POST", "/license-keys/" + k.LicenseKey + "/erasures", object{}, 400, "userToken"},
		"origins in a state": {"GET", "/origins?state=new", nil, 400, "state"},
	} {
		a := r.send(t, call{method: tt.method, path: tt.path, body: tt.body, role: access.Admin})
		p := decode[server.Problem](t, a)
		if a.code != tt.code || tt.field != "" && (len(p.Errors) != 1 || p.Errors[0].Field != tt.field) {
			t.Errorf("%s: %d %s, want %d and %q named", name, a.code, a.body, tt.code, tt.field)
		}
	}
}
