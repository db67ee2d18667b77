package server_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lcp-tools/lcp/pkg/access"
	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/server"
)

// apiDescription is what the tests read of an OpenAPI document.
type apiDescription struct {
	OpenAPI    string
	Paths      map[string]map[string]apiOperation
	Components struct {
		Schemas    map[string]apiSchema
		Responses  map[string]apiResponse
		Parameters map[string]apiParameter
	}
}

type apiOperation struct {
	OperationID string
	Security    []map[string][]string
	Roles       []string `json:"x-roles"`
	Parameters  []apiParameter
	RequestBody struct {
		Content map[string]struct{ Schema apiSchema }
	}
	Responses map[string]apiResponse
}

type apiParameter struct {
	Ref      string `json:"$ref"`
	Name, In string
	Required bool
}

type apiResponse struct {
	Ref     string `json:"$ref"`
	Content map[string]struct{ Schema apiSchema }
}

type apiSchema struct {
	Ref             string `json:"$ref"`
	Type            string
	Format          string
	ContentEncoding string
	Items           *apiSchema
	AllOf           []apiSchema
	Properties      map[string]apiSchema
	Required        []string
	Additional      *bool `json:"additionalProperties"`
}

// describedOperation is one operation, with what it refers to put in.
type describedOperation struct {
	apiOperation
	method, path string
}

func (o describedOperation) String() string { return o.method + " " + o.path }

// description reads openapi.json.
func description(tb testing.TB) (d apiDescription, operations []describedOperation) {
	tb.Helper()
	data, err := os.ReadFile("openapi.json")
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(data, &d); err != nil {
		tb.Fatal(err)
	}
	for at, methods := range d.Paths {
		for method, o := range methods {
			for i, p := range o.Parameters {
				if p.Ref != "" {
					o.Parameters[i] = d.Components.Parameters[path.Base(p.Ref)]
				}
			}
			for code, r := range o.Responses {
				if r.Ref != "" {
					o.Responses[code] = d.Components.Responses[path.Base(r.Ref)]
				}
			}
			operations = append(operations, describedOperation{o, strings.ToUpper(method), at})
		}
	}
	return d, operations
}

// roleKeys is a directory that knows one key for each role, and no users.
type roleKeys map[[32]byte]access.Principal

func (roleKeys) User(context.Context, string) (access.User, bool, error) {
	return access.User{}, false, nil
}

func (k roleKeys) Key(_ context.Context, hash [32]byte) (access.Principal, bool, error) {
	p, ok := k[hash]
	return p, ok, nil
}

// withoutStore is a server that can tell who may call what, and not answer: the
// rest of it is missing. It comes with credentials for each role: a key for the
// API and a token for the dashboard.
func withoutStore(tb testing.TB) (o server.Options, keys, tokens map[access.Role]string) {
	tb.Helper()
	now := func() time.Time { return time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC) }
	known := roleKeys{}
	metrics, err := server.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		tb.Fatal(err)
	}
	issuer, err := access.NewTokens(make([]byte, 32), now)
	if err != nil {
		tb.Fatal(err)
	}
	keys, tokens = map[access.Role]string{}, map[access.Role]string{}
	for _, role := range []access.Role{access.Admin, access.Publisher, access.Issuer, access.Viewer} {
		p := access.Principal{Name: string(role), Role: role}
		keys[role] = access.NewKey()
		known[access.HashKey(keys[role])] = p
		if tokens[role], _, err = issuer.Issue(p); err != nil {
			tb.Fatal(err)
		}
	}
	authenticator := access.NewAuthenticator(known, nil)
	return server.Options{
		Access: authenticator, DashboardAccess: authenticator, Tokens: issuer, Metrics: metrics, Resources: tb.TempDir(),
		Providers: newProviders(tb, nil, nil),
		Now:       now, Log: slog.New(slog.DiscardHandler),
	}, keys, tokens
}

// ask makes a request and returns its answer.
func ask(tb testing.TB, h http.Handler, o describedOperation, bearer, contentType, body string) *httptest.ResponseRecorder {
	tb.Helper()
	at := strings.NewReplacer("{id}", "0a7c8f62-7f0e-4a0f-8d3c-1d1b1c1d1e1f", "{alt_id}", "x", "{user}", "x", "{path}", "x", "{key}", "rs_X").Replace(o.path)
	r := httptest.NewRequestWithContext(tb.Context(), o.method, at, strings.NewReader(body))
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	checkDescribed(tb, o, w)
	return w
}

// checkDescribed fails if the description does not have the answer.
func checkDescribed(tb testing.TB, o describedOperation, answer *httptest.ResponseRecorder) {
	tb.Helper()
	described, ok := o.Responses[strconv.Itoa(answer.Code)]
	if !ok {
		tb.Errorf("%s answers %d, which is not described", o, answer.Code)
		return
	}
	mediaType, _, _ := strings.Cut(answer.Header().Get("Content-Type"), ";")
	if _, ok := described.Content[mediaType]; !ok {
		tb.Errorf("%s answers %d with %q, but only %q is described", o, answer.Code, mediaType, slices.Collect(maps.Keys(described.Content)))
	}
}

// Every route is described, and nothing else.
func TestOpenAPIRoutes(t *testing.T) {
	t.Parallel()
	o, _, _ := withoutStore(t)
	var got, want []string
	for _, pattern := range server.Patterns(o) {
		if pattern == "/" {
			continue // answers what is no route
		}
		if strings.HasSuffix(pattern, "/") {
			pattern += "{path}"
		}
		want = append(want, pattern)
	}
	_, operations := description(t)
	ids := map[string]bool{}
	for _, o := range operations {
		got = append(got, o.String())
		if ids[o.OperationID] || o.OperationID == "" {
			t.Errorf("%s has no identifier of its own: %q", o, o.OperationID)
		}
		ids[o.OperationID] = true
		var inPath []string
		for _, p := range o.Parameters {
			if p.In == "path" && p.Required {
				inPath = append(inPath, "{"+p.Name+"}")
			}
		}
		if named := regexp.MustCompile(`\{\w+\}`).FindAllString(o.path, -1); !slices.Equal(inPath, named) {
			t.Errorf("%s describes the parameters %q", o, inPath)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("described operations (-routes +described):\n%s", diff)
	}
}

// What is referred to is there, and what is there is referred to.
func TestOpenAPIReferences(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var document map[string]any
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`"\$ref": "([^"]+)"`).FindAllStringSubmatch(string(data), -1) {
		used[m[1]] = true
	}
	var there []string
	for kind, list := range document["components"].(map[string]any) {
		for name := range list.(map[string]any) {
			if kind != "securitySchemes" {
				there = append(there, "#/components/"+kind+"/"+name)
			}
		}
	}
	slices.Sort(there)
	if diff := cmp.Diff(there, slices.Sorted(maps.Keys(used))); diff != "" {
		t.Errorf("references (-there +used):\n%s", diff)
	}
}

// The schemas have the fields of the types, no more and no fewer, each of its
// type.
func TestOpenAPITypes(t *testing.T) {
	t.Parallel()
	d, _ := description(t)
	for _, typ := range []reflect.Type{
		reflect.TypeFor[api.Publication](), reflect.TypeFor[api.LicenseRequest](), reflect.TypeFor[api.LicenseInfo](),
		reflect.TypeFor[api.Event](), reflect.TypeFor[api.Figures](), reflect.TypeFor[api.Count](), reflect.TypeFor[api.Month](),
		reflect.TypeFor[provider.Certificate](), reflect.TypeFor[provider.Hint](), reflect.TypeFor[provider.Renewal](),
		reflect.TypeFor[provider.Authorization](), reflect.TypeFor[provider.Callback](), reflect.TypeFor[provider.KeyRetrieval](),
		reflect.TypeFor[provider.Listed](), reflect.TypeFor[api.Secret](), reflect.TypeFor[api.SecretRequest](), reflect.TypeFor[api.SecretState](),
		reflect.TypeFor[api.OversharedLicense](), reflect.TypeFor[api.Deleted](), reflect.TypeFor[server.Problem](), reflect.TypeFor[server.FieldProblem](),
		reflect.TypeFor[api.ReadingEvent](), reflect.TypeFor[api.ReadingBatch](), reflect.TypeFor[api.ReadingOutcome](), reflect.TypeFor[api.ReadingAnswer](),
		reflect.TypeFor[api.LicenseKey](), reflect.TypeFor[api.Origin](), reflect.TypeFor[api.Closing](), reflect.TypeFor[api.Erasure](),
	} {
		got := map[string]string{}
		for name, property := range d.Components.Schemas[schemaOf(typ)].Properties {
			got[name] = kindOfSchema(property)
		}
		want := map[string]string{}
		for _, f := range reflect.VisibleFields(typ) {
			if !f.Anonymous {
				name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				want[name] = kindOfType(f.Type)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("schema %s (-type +schema):\n%s", typ.Name(), diff)
		}
	}
}

// schemaOf returns the name of the schema of a type.
func schemaOf(t reflect.Type) string {
	if t == reflect.TypeFor[provider.Listed]() {
		return "Provider"
	}
	return t.Name()
}

func kindOfSchema(s apiSchema) string {
	switch {
	case s.Ref != "":
		return path.Base(s.Ref)
	case s.Type == "array":
		return "array of " + kindOfSchema(*s.Items)
	case s.Format == "date-time", s.Format == "int64":
		return s.Type + " " + s.Format
	case s.ContentEncoding != "":
		return s.Type + " " + s.ContentEncoding
	default:
		return s.Type
	}
}

func kindOfType(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "string date-time"
	case t == reflect.TypeFor[json.RawMessage]():
		return "" // anything
	case t == reflect.TypeFor[netip.Prefix]():
		return "string"
	case t.Kind() == reflect.Map:
		return "object"
	case t == reflect.TypeFor[[]byte]():
		return "string base64"
	case t.Kind() == reflect.Slice:
		return "array of " + kindOfType(t.Elem())
	case t.Kind() == reflect.Int64:
		return "integer int64"
	case t.Kind() == reflect.Int:
		return "integer"
	case t.Kind() == reflect.Bool:
		return "boolean"
	case t.Kind() == reflect.Struct:
		return t.Name()
	default:
		return t.Kind().String()
	}
}

// Bodies of requests have no other fields than those described.
func TestOpenAPIRequestsAreStrict(t *testing.T) {
	t.Parallel()
	d, operations := description(t)
	count := 0
	for _, o := range operations {
		content, ok := o.RequestBody.Content["application/json"]
		if !ok {
			continue
		}
		count++
		s := d.Components.Schemas[path.Base(content.Schema.Ref)]
		fields := s
		if len(s.AllOf) == 1 {
			fields = d.Components.Schemas[path.Base(s.AllOf[0].Ref)]
		}
		if fields.Additional == nil || *fields.Additional {
			t.Errorf("%s: the body may have unknown fields", o)
		}
		for _, name := range append(s.Required, fields.Required...) {
			if _, ok := fields.Properties[name]; !ok {
				t.Errorf("%s: field %s is required and not described", o, name)
			}
		}
	}
	if count != 21 {
		t.Errorf("%d operations have a body, want 21", count)
	}
}

// Errors are problem documents.
func TestOpenAPIProblems(t *testing.T) {
	t.Parallel()
	_, operations := description(t)
	for _, o := range operations {
		if strings.HasPrefix(o.path, "/resources/") {
			continue
		}
		for code, r := range o.Responses {
			c, ok := r.Content["application/problem+json"]
			if isError := code >= "400"; isError != ok || ok && path.Base(c.Schema.Ref) != "Problem" {
				t.Errorf("%s: answer %s is a problem document: %v", o, code, ok)
			}
		}
	}
}

// The roles described are those that are let in, and who has no credentials is
// told so, except where none are needed.
func TestOpenAPIRoles(t *testing.T) {
	t.Parallel()
	options, keys, tokens := withoutStore(t)
	h := server.Handler(options)
	_, operations := description(t)
	for _, o := range operations {
		private := len(o.Security) > 0
		if answer := ask(t, h, o, "", "", "{}"); private != (answer.Code == http.StatusUnauthorized) && o.path != "/dashdata/login" {
			t.Errorf("%s without credentials answers %d", o, answer.Code)
		} else if private && answer.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s does not tell how to authenticate", o)
		}
		if !private {
			continue
		}
		own, other := keys, tokens
		if _, dashboard := o.Security[0]["dashboardToken"]; dashboard {
			own, other = tokens, keys
		}
		for role := range keys {
			answer := ask(t, h, o, own[role], "", "{}")
			if refused, want := answer.Code == http.StatusForbidden, !slices.Contains(o.Roles, string(role)); refused != want {
				t.Errorf("%s with the role %s answers %d, described are the roles %q", o, role, answer.Code, o.Roles)
			}
			if answer := ask(t, h, o, other[role], "", "{}"); answer.Code != http.StatusUnauthorized {
				t.Errorf("%s with credentials for something else answers %d", o, answer.Code)
			}
		}
	}
}

// Bad bodies are refused in the same way everywhere.
func TestOpenAPIBadBodies(t *testing.T) {
	t.Parallel()
	options, keys, _ := withoutStore(t)
	h := server.Handler(options)
	_, operations := description(t)
	for _, o := range operations {
		if len(o.RequestBody.Content) == 0 {
			continue
		}
		for name, tt := range map[string]struct {
			contentType, body string
			code              int
			field             string
		}{
			"unknown field": {"application/json", `{"nope": 1}`, 400, "nope"},
			"no JSON":       {"application/json", `{`, 400, ""},
			"no object":     {"application/json", `[]`, 400, ""},
			"nothing":       {"application/json", ``, 400, ""},
			"two values":    {"application/json", `{} {}`, 400, ""},
			"XML":           {"application/xml", `<a/>`, 415, ""},
			"too large":     {"application/json", `{"user_id": "` + strings.Repeat("x", api.MaxBody) + `"}`, 413, ""},
		} {
			answer := ask(t, h, o, keys[access.Admin], tt.contentType, tt.body)
			var p server.Problem
			if err := json.NewDecoder(answer.Body).Decode(&p); err != nil {
				t.Errorf("%s, %s: %v", o, name, err)
				continue
			}
			if answer.Code != tt.code || p.Status != tt.code || p.Title == "" || p.Type == "" {
				t.Errorf("%s, %s: answers %d with %v, want %d", o, name, answer.Code, p, tt.code)
			}
			if tt.field != "" && (len(p.Errors) != 1 || p.Errors[0].Field != tt.field) {
				t.Errorf("%s, %s: tells of %v, want field %s", o, name, p.Errors, tt.field)
			}
		}
	}
}

// fetch returns the answer to a GET.
func fetch(tb testing.TB, h http.Handler, at string, header ...string) *httptest.ResponseRecorder {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, at, http.NoBody)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestOpenAPIDocument(t *testing.T) {
	t.Parallel()
	options, _, _ := withoutStore(t)
	h := server.Handler(options)
	for at, mediaType := range map[string]string{
		"/openapi.json": "application/json", "/docs": "text/html; charset=utf-8", "/docs/": "text/html; charset=utf-8",
	} {
		answer := fetch(t, h, at)
		if answer.Code != http.StatusOK || answer.Header().Get("Content-Type") != mediaType || answer.Body.Len() == 0 {
			t.Errorf("%s answers %d, %s, %d bytes", at, answer.Code, answer.Header().Get("Content-Type"), answer.Body.Len())
		}
		again := fetch(t, h, at, "If-None-Match", answer.Header().Get("ETag"))
		if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
			t.Errorf("%s answers %d with %d bytes to those who have it", at, again.Code, again.Body.Len())
		}
	}
	var d apiDescription
	if err := json.Unmarshal(fetch(t, h, "/openapi.json").Body.Bytes(), &d); err != nil || !strings.HasPrefix(d.OpenAPI, "3.1.") {
		t.Errorf("/openapi.json is of OpenAPI %q, %v", d.OpenAPI, err)
	}
}

// The page for people tells of all operations and objects, its links lead
// somewhere, and nothing of it comes from elsewhere or runs.
func TestDocs(t *testing.T) {
	t.Parallel()
	options, _, _ := withoutStore(t)
	answer := fetch(t, server.Handler(options), "/docs")
	body := answer.Body.String()
	d, operations := description(t)
	for _, o := range operations {
		if !strings.Contains(body, `id="`+o.OperationID+`"`) || !strings.Contains(body, o.method+" "+o.path) {
			t.Errorf("%s is not on the page", o)
		}
	}
	for name := range d.Components.Schemas {
		if !strings.Contains(body, `id="schema-`+name+`"`) {
			t.Errorf("object %s is not on the page", name)
		}
	}
	for _, m := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		if target, inside := strings.CutPrefix(m[1], "#"); m[1] != "openapi.json" && (!inside || !strings.Contains(body, `id="`+target+`"`)) {
			t.Errorf("link %q leads nowhere", m[1])
		}
	}
	if bad := regexp.MustCompile(`(?i)<(script|link|img|iframe|form)|src=|style=|\son\w+=|@import|url\(|ZgotmplZ`).FindString(body); bad != "" {
		t.Errorf("the page has %q", bad)
	}
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindAllStringSubmatch(body, -1)
	if len(style) != 1 {
		t.Fatalf("the page has %d style sheets", len(style))
	}
	sum := sha256.Sum256([]byte(style[0][1]))
	policy := answer.Header().Get("Content-Security-Policy")
	if want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.HasPrefix(policy, "default-src 'none'; ") || !strings.Contains(policy, want) {
		t.Errorf("policy is %q, want it to contain %q", policy, want)
	}
}
