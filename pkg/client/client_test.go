package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/client"
)

const (
	pubID     = "c6abe80a-1681-4694-b6f4-80c165213780"
	licenseID = "87ea1655-3973-4df4-983b-37144ed1b482"
	secret    = "open sesame"
)

// pauses are what a client waited between attempts, without waiting.
type pauses struct {
	mu   sync.Mutex
	list []time.Duration
}

func (p *pauses) wait(ctx context.Context, d time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, d)
	return ctx.Err()
}

// serve starts a server and returns a client of it.
func serve(t *testing.T, h http.HandlerFunc, change ...func(*client.Options)) (*client.Client, *pauses) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return newClient(t, server.URL, change...)
}

func newClient(t *testing.T, url string, change ...func(*client.Options)) (*client.Client, *pauses) {
	t.Helper()
	p := &pauses{}
	o := client.Options{BaseURL: url, Credentials: client.Password("ann", secret), Wait: p.wait}
	for _, f := range change {
		f(&o)
	}
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c, p
}

func answer(w http.ResponseWriter, code int, contentType, body string) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(code)
	_, _ = io.WriteString(w, body)
}

const (
	jsonType    = "application/json"
	problemType = "application/problem+json"
	publication = `{"uuid":"` + pubID + `","alt_id":"moby","title":"Moby-Dick","content_type":"application/epub+zip",` +
		`"encryption_key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=","href":"https://e.org/1.epub","size":5,"checksum":"00","new_member":1}`
)

func TestRequests(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	record := api.Publication{UUID: pubID, Title: "T"}
	request := api.LicenseRequest{PublicationID: pubID, UserID: "u1", TextHint: "h", PassHash: "00"}
	doc := licenseDocument(t)
	status := `{"id":"` + licenseID + `","status":"revoked","updated":{"license":"2030-01-01T00:00:00Z","status":"2030-01-02T00:00:00Z"}}`
	tests := map[string]struct {
		call   func(*client.Client) (any, error)
		answer string
		code   int
		method string
		uri    string
		body   string // a part of it
		public bool
		keyed  bool
	}{
		"create publication": {
			call: func(c *client.Client) (any, error) { return c.CreatePublication(ctx, record) }, answer: publication, code: 201,
			method: "POST", uri: "/lcp/publications", body: `"uuid":"` + pubID, keyed: true,
		},
		"create publication, 200": {
			call: func(c *client.Client) (any, error) { return c.CreatePublication(ctx, record) }, answer: publication, code: 200,
			method: "POST", uri: "/lcp/publications", keyed: true,
		},
		"get publication": {
			call: func(c *client.Client) (any, error) { return c.Publication(ctx, strings.ToUpper(pubID)) }, answer: publication,
			method: "GET", uri: "/lcp/publications/" + strings.ToUpper(pubID),
		},
		"update publication": {
			call: func(c *client.Client) (any, error) { return c.UpdatePublication(ctx, record) }, answer: publication,
			method: "PUT", uri: "/lcp/publications/" + pubID, body: `"title":"T"`,
		},
		"delete publication": {
			call: func(c *client.Client) (any, error) { return nil, c.DeletePublication(ctx, pubID) }, code: 204,
			method: "DELETE", uri: "/lcp/publications/" + pubID,
		},
		"generate license": {
			call: func(c *client.Client) (any, error) { return c.GenerateLicense(ctx, request, "order 17") }, answer: doc, code: 201,
			method: "POST", uri: "/lcp/licenses", body: `"pass_hash":"00"`, keyed: true,
		},
		"fresh license": {
			call: func(c *client.Client) (any, error) { return c.FreshLicense(ctx, licenseID, request) }, answer: doc,
			method: "POST", uri: "/lcp/licenses/" + licenseID, body: `"user_id":"u1"`,
		},
		"license record": {
			call: func(c *client.Client) (any, error) { return c.LicenseInfo(ctx, licenseID) }, answer: `{"uuid":"` + licenseID + `"}`,
			method: "GET", uri: "/lcp/licenseinfo/" + licenseID,
		},
		"events": {
			call: func(c *client.Client) (any, error) { return c.Events(ctx, licenseID) }, answer: `[{"type":"register"}]`,
			method: "GET", uri: "/lcp/license-events/" + licenseID,
		},
		"revoke": {
			call: func(c *client.Client) (any, error) { return c.RevokeLicense(ctx, licenseID) }, answer: status,
			method: "PUT", uri: "/lcp/revoke/" + licenseID,
		},
		"status": {
			call: func(c *client.Client) (any, error) { return c.Status(ctx, licenseID) }, answer: status,
			method: "GET", uri: "/lcp/status/" + licenseID, public: true,
		},
		"v1 lookup": {
			call: func(c *client.Client) (any, error) { return c.ContentV1(ctx, pubID) }, answer: `{"id":"` + pubID + `","key":"AAEC"}`,
			method: "GET", uri: "/lcp/contents/" + pubID + "/info",
		},
		"v1 registration": {
			call: func(c *client.Client) (any, error) {
				return c.PutContentV1(ctx, client.ContentV1{ID: pubID, Key: []byte{0, 1, 2}, Length: 5}, "x.epub")
			}, code: 201,
			method: "PUT", uri: "/lcp/contents/" + pubID, body: `"content-encryption-key":"AAEC","storage-mode":2`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				user, password, _ := r.BasicAuth()
				if signed := user == "ann" && password == secret; signed == tt.public {
					t.Errorf("credentials sent: %t", signed)
				}
				if r.Method != tt.method || r.URL.RequestURI() != tt.uri {
					t.Errorf("request is %s %s, want %s %s", r.Method, r.URL.RequestURI(), tt.method, tt.uri)
				}
				if !strings.Contains(string(body), tt.body) {
					t.Errorf("body is %s, want in it %s", body, tt.body)
				}
				if got := r.Header.Get("Idempotency-Key"); (got != "") != tt.keyed {
					t.Errorf("Idempotency-Key is %q", got)
				}
				answer(w, max(tt.code, 200), jsonType, tt.answer)
			}, func(o *client.Options) { o.BaseURL += "/lcp/" })
			got, err := tt.call(c)
			if err != nil {
				t.Fatal(err)
			}
			if s, ok := got.(*client.StatusDocument); ok && (s.Status != "revoked" || s.Updated.Status.Day() != 2 || string(s.JSON()) != status) {
				t.Errorf("status document is %+v", s)
			}
		})
	}
}

// licenseDocument is the shortest that the specification allows.
func licenseDocument(t *testing.T) string {
	t.Helper()
	return `{"provider":"https://e.org","id":"` + licenseID + `","issued":"2030-01-01T00:00:00Z","encryption":{` +
		`"profile":"http://readium.org/lcp/basic-profile","content_key":{"algorithm":"http://www.w3.org/2001/04/xmlenc#aes256-cbc","encrypted_value":"AAAA"},` +
		`"user_key":{"algorithm":"http://www.w3.org/2001/04/xmlenc#sha256","text_hint":"h","key_check":"AAAA"}},` +
		`"links":[{"rel":"hint","href":"https://e.org/h","type":"text/html"},{"rel":"publication","href":"https://e.org/1.epub","type":"application/epub+zip"}],` +
		`"signature":{"algorithm":"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256","certificate":"AAAA","value":"AAAA"}}` + "\n"
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		code     int
		kind     string
		body     string
		want     *client.Error // nil: not an *Error
		text     string
		notFound bool
	}{
		"problem document": {
			code: 404, kind: problemType, body: `{"type":"about:blank","title":"Not Found","status":404,"detail":"publication \"x\": not found"}`,
			want: &client.Error{Status: 404, Type: "about:blank", Title: "Not Found", Detail: `publication "x": not found`},
			text: `license server answered 404 Not Found: publication "x": not found`, notFound: true,
		},
		"problem of LCP Server v2": {
			code: 404, kind: jsonType, body: `{"type":"about:blank","title":"Resource not found"}`,
			want: &client.Error{Status: 404, Type: "about:blank", Title: "Resource not found"},
			text: "license server answered 404 Not Found: Resource not found", notFound: true,
		},
		"fields": {
			code: 400, kind: problemType, body: `{"title":"Bad Request","detail":"size: a\ntitle: b","errors":[{"field":"size","detail":"a"},{"field":"title","detail":"b"}]}`,
			want: &client.Error{Status: 400, Title: "Bad Request", Detail: "size: a title: b", Fields: []client.FieldFault{{"size", "a"}, {"title", "b"}}},
			text: "license server answered 400 Bad Request: size: a; title: b",
		},
		"no explanation": {
			code: 401, kind: "text/plain", body: "Unauthorized\n", want: &client.Error{Status: 401},
			text: "license server answered 401 Unauthorized (the credentials are missing or not the right ones)",
		},
		"not found, in HTML": {
			code: 404, kind: "text/html", body: "<h1>404</h1>", want: &client.Error{Status: 404},
			text: "license server answered 404 Not Found (is this the address of a license server?)",
		},
		"not found, other JSON": {code: 404, kind: jsonType, body: `{"message":"no Route matched"}`, want: &client.Error{Status: 404}, text: "404"},
		"conflict":              {code: 409, kind: problemType, body: `{"title":"Conflict","detail":"taken"}`, want: &client.Error{Status: 409, Title: "Conflict", Detail: "taken"}, text: "taken"},
		"server error":          {code: 500, kind: problemType, body: `{"type":"x:server","title":"An unexpected error has occurred."}`, want: &client.Error{Status: 500, Type: "x:server", Title: "An unexpected error has occurred."}, text: "unexpected"},
		"terminal commands":     {code: 400, kind: problemType, body: `{"title":"a\u001b[2Jb\r\nc"}`, want: &client.Error{Status: 400, Title: "a [2Jb c"}, text: "a [2Jb c"},
		"HTML, with success":    {code: 200, kind: "text/html", body: "<html>welcome</html>", text: `cannot be understood (200, 20 bytes of "text/html")`},
		"garbage":               {code: 200, kind: jsonType, body: `{"uuid":`, text: "cannot be understood"},
		"another type":          {code: 200, kind: jsonType, body: `[]`, text: "cannot be understood"},
		"another publication":   {code: 200, kind: jsonType, body: `{"uuid":"8f6c9d22-0000-4000-8000-000000000000"}`, text: "answered with"},
		"empty":                 {code: 200, kind: jsonType, text: "cannot be understood"},
		"too large":             {code: 200, kind: jsonType, body: `{"title":"` + strings.Repeat("x", 3<<20) + `"}`, text: "more than 2097152 bytes"},
		"problem too large":     {code: 400, kind: problemType, body: `{"title":"` + strings.Repeat("x", 1<<20) + `"}`, want: &client.Error{Status: 400}, text: "400 Bad Request"},
		"moved without place":   {code: 302, kind: jsonType, text: "without saying where"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, p := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, tt.code, tt.kind, tt.body) })
			_, err := c.Publication(t.Context(), pubID)
			if err == nil || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("error is %v, want in it %q", err, tt.text)
			}
			if strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Errorf("error %q is not fit to print", err)
			}
			var got *client.Error
			if errors.As(err, &got) != (tt.want != nil) {
				t.Fatalf("error %v is an *Error: %t", err, got != nil)
			}
			if tt.want != nil {
				if diff := cmp.Diff(tt.want, got, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".problem" }, cmp.Ignore())); diff != "" {
					t.Errorf("error (-want +got):\n%s", diff)
				}
			}
			if client.IsNotFound(err) != tt.notFound {
				t.Errorf("IsNotFound = %t", !tt.notFound)
			}
			if len(p.list) > 0 {
				t.Errorf("tried again after %v", p.list)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	some := client.Key("k")
	tests := map[string]struct {
		url   string
		creds client.Credentials
		allow bool
		want  string // "" for none
	}{
		"https":                      {url: "https://e.org/lcp", creds: some},
		"http to this machine":       {url: "http://localhost:8989", creds: some},
		"http to this machine, v4":   {url: "http://127.0.0.2:8989", creds: some},
		"http to this machine, v6":   {url: "http://[::1]:8989", creds: some},
		"http without credentials":   {url: "http://e.org"},
		"http to another":            {url: "http://e.org", creds: some, want: "not sent over plain http"},
		"http to one named alike":    {url: "http://localhost.e.org", creds: some, want: "not sent over plain http"},
		"http, allowed":              {url: "http://e.org", creds: some, allow: true},
		"no scheme":                  {url: "e.org", want: "must be like https://"},
		"another scheme":             {url: "ftp://e.org", want: "must be like https://"},
		"empty":                      {want: "must be like https://"},
		"query":                      {url: "https://e.org/?a=b", want: "must be like https://"},
		"password within":            {url: "https://ann:" + "sesame@e.org", want: "must not hold a user"},
		"password, and not a URL":    {url: "https://ann:sesame@e.org:port", want: "not a URL"},
		"password, and control code": {url: "https://ann:sesame\n@e.org", want: "not a URL"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := client.New(client.Options{BaseURL: tt.url, Credentials: tt.creds, AllowPlainHTTP: tt.allow})
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Fatalf("error is %v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "sesame") {
				t.Errorf("error tells the password: %v", err)
			}
		})
	}
}

func TestIdentifiersInAddresses(t *testing.T) {
	t.Parallel()
	tests := map[string]string{ // alternative identifier: path on the wire, "" for none
		"moby dick": "/publications/altid/moby%20dick", "a/b": "/publications/altid/a%2Fb", "50%": "/publications/altid/50%25",
		"été": "/publications/altid/%C3%A9t%C3%A9", "a?b#c": "/publications/altid/a%3Fb%23c", "..": "", ".": "", "": "",
	}
	for id, want := range tests {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			got := ""
			c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				got = r.URL.EscapedPath()
				body, _ := json.Marshal(api.Publication{UUID: pubID, AltID: id})
				answer(w, 200, jsonType, string(body))
			})
			p, err := c.PublicationByAltID(t.Context(), id)
			if got != want || (err == nil) != (want != "") || want != "" && p.AltID != id {
				t.Errorf("path = %q, %v; want %q", got, err, want)
			}
		})
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("another server was asked, with %q", r.Header.Get("Authorization"))
	}))
	t.Cleanup(elsewhere.Close)
	for _, code := range []int{301, 302, 303, 307, 308} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			t.Parallel()
			c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/publications/" + pubID:
					http.Redirect(w, r, "/there", code)
				case "/there":
					if r.Method != http.MethodGet {
						t.Errorf("%s was sent on", r.Method)
					}
					answer(w, 200, jsonType, publication)
				default:
					http.Redirect(w, r, elsewhere.URL+"/x?token=secret", code)
				}
			})
			if _, err := c.Publication(t.Context(), pubID); err != nil {
				t.Errorf("within the server: %v", err)
			}
			_, err := c.LicenseInfo(t.Context(), licenseID)
			if err == nil || !strings.Contains(err.Error(), elsewhere.URL+"/x, which is not followed") {
				t.Errorf("to another server: %v", err)
			}
			if _, err := c.CreatePublication(t.Context(), api.Publication{}); err == nil {
				t.Error("creating was redirected, and that was a success")
			}
		})
	}
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) })
	if _, err := c.Publication(t.Context(), pubID); err == nil {
		t.Error("a circle has an end")
	}
}

func TestGenerateLicenseLink(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		code     int
		location string
		want     string
	}{
		"link":          {303, "https://cdn.example.com/gateway/1?u=1", "https://cdn.example.com/gateway/1?u=1"},
		"not one":       {201, "", ""},
		"another place": {302, "https://cdn.example.com/", ""},
		"no place":      {303, "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.RequestURI() != "/licenses?link=true" {
					t.Errorf("asked for %s", r.URL.RequestURI())
				}
				if tt.location != "" {
					w.Header().Set("Location", tt.location)
				}
				w.WriteHeader(tt.code)
			})
			got, err := c.GenerateLicenseLink(t.Context(), api.LicenseRequest{}, "")
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("= %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		want string // Authorization header; "" for an error
	}{
		"ann:open sesame":      {"Basic YW5uOm9wZW4gc2VzYW1l"},
		" ann:pass:word \r\n":  {"Basic YW5uOnBhc3M6d29yZA=="},
		"ann:":                 {"Basic YW5uOg=="},
		"lcp_KEY\n":            {"Bearer lcp_KEY"},
		"":                     {},
		":sesame":              {},
		"two sesames":          {},
		"ann:sesame\nb:sesame": {},
	}
	for text, tt := range tests {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			creds, err := client.ParseCredentials(text)
			if err != nil {
				if tt.want != "" || strings.Contains(err.Error(), "sesame") {
					t.Errorf("error is %v", err)
				}
				return
			}
			got := ""
			c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				got = r.Header.Get("Authorization")
				answer(w, 200, jsonType, publication)
			}, func(o *client.Options) { o.Credentials = creds })
			if _, err := c.Publication(t.Context(), pubID); err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("Authorization = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCredentialsDoNotPrint(t *testing.T) {
	t.Parallel()
	for _, c := range []client.Credentials{client.Password("ann", secret), client.Key(secret)} {
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "credentials", c)
		_, err := json.Marshal(struct{ C client.Credentials }{c})
		text := fmt.Sprintf("%v %+v %#v %s %q %x %v", c, c, c, c, c, c, []client.Credentials{c}) + log.String() + fmt.Sprint(err)
		if strings.Contains(text, "sesame") || strings.Contains(text, "6f70656e") || err == nil {
			t.Errorf("prints as %s", text)
		}
	}
}
