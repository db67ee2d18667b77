package server_test

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/server"
	"github.com/lcp-tools/lcp/pkg/status"
)

func TestTrailingSlashes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pub := r.addPublication(t, object{"alt_id": "voyage"})
	id := r.addLicense(t, pub)
	for _, path := range []string{
		"/publications", "/publications/search", "/publications/altid/voyage", "/publications/" + pub, "/licenses", "/licenses/search",
		"/licenseinfo", "/licenseinfo/" + id, "/license-events/" + id, "/status/" + id, "/health",
	} {
		query := "?format=epub&user=" + userID
		plain := r.must(t, http.StatusOK, "GET", path+query, nil)
		for _, slashes := range []string{"/", "//"} {
			a := r.must(t, http.StatusOK, "GET", path+slashes+query, nil)
			if a.body != plain.body || a.header.Get("Content-Type") != plain.header.Get("Content-Type") {
				t.Errorf("%s%s = %s, want %s", path, slashes, a.body, plain.body)
			}
		}
	}
	r.must(t, http.StatusCreated, "POST", "/licenses/", licenseRequest(pub))
	r.must(t, http.StatusCreated, "POST", "/publications/", publication(uuid.NewString()))
	r.must(t, http.StatusOK, "POST", "/licenses/"+id+"/", freshRequest())
	r.must(t, http.StatusOK, "PUT", "/revoke/"+id+"/", nil)
}

func TestUnknownRoutes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := uuid.NewString()
	for c, want := range map[string]int{
		"GET /": 404, "GET //": 404, "GET /nothing": 404, "POST /nothing": 404, "GET /publications/a/b": 404, "GET /dashdata": 404,
		"GET /licenses/../nothing": 404, "GET /%2e%2e/etc/passwd": 404, "GET /resources/x": 404, "GET /livez": 404, "GET /metrics": 404,
		"GET /debug/pprof/": 404, "GET /.git/config": 404,
		"DELETE /publications": 405, "PATCH /publications/" + id: 405, "POST /status/" + id: 405, "GET /register/" + id: 405,
		"GET /licenses/" + id: 405, "POST /revoke/" + id: 405, "OPTIONS /licenses": 405, "PUT /dashdata/login": 405, "TRACE /health": 405,
	} {
		method, path, _ := strings.Cut(c, " ")
		a := r.do(t, method, path, nil)
		if a.code == http.StatusTemporaryRedirect {
			a = r.do(t, method, a.header.Get("Location"), nil)
		}
		if a.code != want || (want == 405) != (a.header.Get("Allow") != "") {
			t.Errorf("%s: %d, Allow %q, want %d", c, a.code, a.header.Get("Allow"), want)
		}
	}
	if a := r.do(t, "PATCH", "/publications/"+id, nil); a.header.Get("Allow") != "GET, PUT, DELETE" {
		t.Errorf("Allow is %q", a.header.Get("Allow"))
	}
	if a := r.public(t, "HEAD", "/status/"+r.loan(t)); a.code != http.StatusOK || a.body != "" {
		t.Errorf("HEAD: %d %q", a.code, a.body)
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	const allowed = "https://dashboard.example.org"
	r := newRig(t, func(o *server.Options) { o.CORSOrigins = []string{allowed} })
	id := r.loan(t)
	preflight := func(origin string) answer {
		return r.send(t, call{method: "OPTIONS", path: "/licenses/", header: http.Header{
			"Origin": {origin}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"authorization,content-type"},
		}})
	}
	a := preflight(allowed)
	if a.code != http.StatusNoContent || a.header.Get("Access-Control-Allow-Origin") != allowed ||
		!strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "PUT") || !strings.Contains(a.header.Get("Access-Control-Allow-Headers"), "Authorization") {
		t.Errorf("preflight: %d %v", a.code, a.header)
	}
	for _, origin := range []string{"https://evil.example.org", "null", "https://dashboard.example.org.evil.example", "HTTPS://dashboard.example.org", "*"} {
		if a := preflight(origin); a.code != http.StatusMethodNotAllowed || a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: preflight %d %v", origin, a.code, a.header)
		}
		if a := r.send(t, call{method: "GET", path: "/status/" + id, header: http.Header{"Origin": {origin}}}); a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s may read: %v", origin, a.header)
		}
	}
	a = r.send(t, call{method: "GET", path: "/status/" + id, header: http.Header{"Origin": {allowed}}})
	if vary := strings.Join(a.header.Values("Vary"), ", "); a.header.Get("Access-Control-Allow-Origin") != allowed || vary != "Origin, Accept-Language" {
		t.Errorf("Vary %q, %v", vary, a.header)
	}
	// Errors are for the page to read, too.
	if a := r.send(t, call{method: "GET", path: "/dashdata/data", header: http.Header{"Origin": {allowed}}}); a.code != 401 || a.header.Get("Access-Control-Allow-Origin") != allowed {
		t.Errorf("%d %v", a.code, a.header)
	}
}

func TestCacheControl(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.loan(t)
	for _, path := range []string{"/status/" + id, "/licenses", "/licenseinfo/" + id, "/publications", "/nothing"} {
		if a := r.do(t, "GET", path, nil); a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be kept: %v", path, a.header)
		}
	}
	if a := r.do(t, "GET", "/status/"+id, nil); a.header.Get("Content-Type") != status.MediaType {
		t.Errorf("Content-Type is %s", a.header.Get("Content-Type"))
	}
}

func TestResources(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"public/book.epub": "book", "public/a b.txt": "text", "public/sub/index.html": "<p>", "secret.txt": "no"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	r := newRig(t, func(o *server.Options) { o.Resources = filepath.Join(dir, "public") })
	for path, want := range map[string]string{"book.epub": "book", "a%20b.txt": "text", "sub/index.html": "<p>"} {
		if a := r.public(t, "GET", "/resources/"+path); a.code != http.StatusOK || a.body != want {
			t.Errorf("%s: %d %q", path, a.code, a.body)
		}
	}
	part := r.send(t, call{method: "GET", path: "/resources/book.epub", header: http.Header{"Range": {"bytes=1-2"}}})
	if part.code != http.StatusPartialContent || part.body != "oo" {
		t.Errorf("a part: %d %q", part.code, part.body)
	}
	for _, path := range []string{"", "sub", "sub/", "nothing", "..%2fsecret.txt", "%2e%2e/secret.txt", "..%5csecret.txt", "book.epub/", "book.epub%00"} {
		a := r.public(t, "GET", "/resources/"+path)
		if a.code == http.StatusTemporaryRedirect {
			a = r.public(t, "GET", a.header.Get("Location"))
		}
		if a.code != http.StatusNotFound {
			t.Errorf("%q: %d %q", path, a.code, a.body)
		}
	}
}

// A fault of the program is told to its operator, and not to the caller.
func TestPanic(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *server.Options) { o.Licensing.Default().Documents = nil })
	id := r.loan(t)
	a := r.send(t, call{method: "GET", path: "/status/" + id, header: http.Header{"X-Request-Id": {"panic-1"}}})
	if p := decode[server.Problem](t, a); a.code != http.StatusInternalServerError || p.Type != failure+"server" || p.Detail != "" {
		t.Errorf("%d %s", a.code, a.body)
	}
	if log := logs.String(); !strings.Contains(log, `level=ERROR msg="request failed" request=panic-1 err="panic: `) {
		t.Error("the panic is not in the log")
	}
	r.must(t, http.StatusOK, "GET", "/licenses", nil) // and the server goes on
}

// What comes in one piece with nothing that HTTP asks for.
func TestBrokenRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, text := range []string{
		"\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "POST /licenses HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"POST /licenses HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"GET /status/\x00 HTTP/1.1\r\nHost: x\r\n\r\n", "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode < 400 {
			t.Errorf("%q: %v, %v", text, resp, err)
		}
		if err == nil {
			resp.Body.Close()
		}
		conn.Close()
	}
	r.must(t, http.StatusOK, "GET", "/licenses", nil)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.loan(t)
	r.register(t, id, deviceID)
	r.register(t, id, deviceID) // changes nothing
	r.must(t, http.StatusOK, "POST", "/licenses/"+id, freshRequest())
	r.must(t, http.StatusOK, "PUT", "/revoke/"+id, nil)
	r.do(t, "GET", "/status/"+uuid.NewString(), nil)
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := []string{f.GetName()}
			for _, l := range m.GetLabel() {
				name = append(name, l.GetValue())
			}
			got[strings.Join(name, " ")] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	for name, want := range map[string]float64{
		"lcp_http_requests_total 201 POST /licenses": 1, "lcp_http_requests_total 200 POST /register/{id}": 2,
		"lcp_http_requests_total 404 GET /status/{id}": 1, "lcp_http_request_duration_seconds POST /register/{id}": 2,
		"lcp_license_issue_duration_seconds new": 1, "lcp_license_issue_duration_seconds fresh": 1,
		"lcp_license_moves_total register": 1, "lcp_license_moves_total revoke": 1,
	} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v", name, got[name], want)
		}
	}
}
