package server_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/access"
	"github.com/lcp-tools/lcp/pkg/server"
)

// Who may call what: the first letters of the roles; "" for everybody.
var mayCall = map[string]string{
	"GET /publications": "apiv", "POST /publications": "ap", "GET /publications/search": "apiv",
	"GET /publications/altid/{alt_id}": "apiv", "GET /publications/{id}": "apiv", "PUT /publications/{id}": "ap", "DELETE /publications/{id}": "ap",
	"GET /licenses": "aiv", "POST /licenses": "ai", "GET /licenses/search": "aiv", "POST /licenses/{id}": "ai",
	"POST /licenses/{id}/opds": "ai",
	"GET /licenseinfo":         "aiv", "POST /licenseinfo": "a", "GET /licenseinfo/search": "aiv", "GET /licenseinfo/{id}": "aiv",
	"PUT /licenseinfo/{id}": "a", "DELETE /licenseinfo/{id}": "a", "PUT /revoke/{id}": "ai", "GET /license-events/{id}": "aiv",
	"GET /dashdata/data": "av", "GET /dashdata/overshared": "av", "PUT /dashdata/revoke/{id}": "ai", "GET /dashdata/publications": "apiv",
	"DELETE /dashdata/publications/{id}": "ap", "GET /dashdata/user-licenses/{user}": "aiv", "GET /dashdata/license-events/{id}": "aiv",
	"GET /dashdata/report-licenses": "av",
	"GET /license-keys":             "av", "POST /license-keys": "a", "GET /license-keys/{key}": "av", "PUT /license-keys/{key}": "a",
	"POST /license-keys/{key}/api-secret": "a", "POST /license-keys/{key}/webhook-secret": "a", "POST /license-keys/{key}/erasures": "a",
	"GET /origins": "av", "POST /origins": "a", "DELETE /origins": "a",
	"GET /reports/usage": "av", "GET /reports/tr_b1": "av", "POST /reports/closings": "a",

	"GET /providers": "a", "POST /providers": "a", "GET /providers/{id}": "a", "PUT /providers/{id}": "a", "DELETE /providers/{id}": "a",
	"GET /providers/{id}/secrets": "a", "POST /providers/{id}/secrets": "a", "PUT /providers/{id}/secrets/{kid}": "a",
	"GET /providers/{id}/templates": "a", "GET /providers/{id}/templates/{name}": "a", "PUT /providers/{id}/templates/{name}": "a",
	"DELETE /providers/{id}/templates/{name}": "a",

	"GET /status/{id}": "", "POST /register/{id}": "", "PUT /renew/{id}": "", "PUT /return/{id}": "",
	"DELETE /users/{user}/snapshots": "ai", "DELETE /snapshots": "a",
	"GET /gateway/licenses": "", "GET /gateway/licenses/{id}": "", "POST /gateway/licenses": "", // whom the provider authorizes
	"GET /reading-sessions.js":  "",
	"OPTIONS /reading-sessions": "", "POST /reading-sessions": "", // whom the license key admits
	"OPTIONS /reading-sessions:batch": "", "POST /reading-sessions:batch": "",
	"GET /hint/{id}": "", "GET /hint/{provider}/{id}": "",
	"POST /dashdata/login": "", "GET /health": "", "GET /openapi.json": "", "GET /docs": "", "GET /resources/": "", "/": "",
}

// walk calls use with a request for every route that there is.
func walk(t *testing.T, r *rig, use func(c call, roles string)) {
	t.Helper()
	patterns := server.Patterns(r.options)
	if len(patterns) < 30 {
		t.Fatalf("only %d routes: %q", len(patterns), patterns)
	}
	for _, pattern := range patterns {
		roles, known := mayCall[pattern]
		if !known {
			t.Errorf("%s: nobody has said who may call it", pattern)
			continue
		}
		method, path, ok := strings.Cut(pattern, " ")
		if !ok {
			continue
		}
		path = strings.NewReplacer("{id}", uuid.NewString(), "{alt_id}", "x", "{user}", "x", "{key}", "rs_X", "{kid}", "k", "{name}", "n").Replace(path)
		c := call{method: method, path: path}
		if method != http.MethodGet {
			c.body = "{}"
		}
		use(c, roles)
	}
}

func TestNoPrivateRouteWithoutCredentials(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.login(t)
	attempts := map[string]string{
		"nothing": "", "no password": "Basic YWRtaW4=", "empty user": "Basic Og==", "wrong password": "Basic YWRtaW46YWRtaW4=",
		"empty key": "Bearer ", "unknown key": "Bearer " + access.NewKey(), "a shortened key": "Bearer " + apiKeys[access.Admin][:20],
		"nonsense": "Nonsense x", "no token": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsInJvbGUiOiJhZG1pbiJ9.",
	}
	walk(t, r, func(c call, roles string) {
		if roles == "" {
			return
		}
		tries := map[string]string{"the other kind of token": "Bearer " + token}
		if strings.HasPrefix(c.path, "/dashdata/") {
			tries["the other kind of token"] = "Bearer " + apiKeys[access.Admin]
		}
		maps.Copy(tries, attempts)
		for name, value := range tries {
			if strings.HasPrefix(value, "Basic YWRt") {
				r.clock.pass(time.Minute) // so that no limit is met
			}
			c.header = http.Header{"Authorization": {value}}
			a := r.send(t, c)
			if a.code != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s %s with %s: %d %s", c.method, c.path, name, a.code, a.body)
			}
		}
	})
}

func TestRoles(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	tokens := map[access.Role]string{}
	for role := range apiKeys {
		var err error
		if tokens[role], _, err = r.options.Tokens.Issue(access.Principal{Name: string(role), Role: role}); err != nil {
			t.Fatal(err)
		}
	}
	walk(t, r, func(c call, roles string) {
		if roles == "" {
			return
		}
		for role, key := range apiKeys {
			if strings.HasPrefix(c.path, "/dashdata/") {
				key = tokens[role]
			}
			c.header = http.Header{"Authorization": {"Bearer " + key}}
			a := r.send(t, c)
			allowed := strings.Contains(roles, string(role)[:1])
			refused := a.code == http.StatusForbidden
			if a.code == http.StatusUnauthorized || refused == allowed {
				t.Errorf("%s %s as %s: %d %s", c.method, c.path, role, a.code, a.body)
			}
			if refused && !strings.Contains(a.body, string(role)) {
				t.Errorf("%s %s as %s: the answer does not tell why: %s", c.method, c.path, role, a.body)
			}
		}
	})
}

func TestPublicRoutesNeedNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	walk(t, r, func(c call, roles string) {
		if strings.HasPrefix(c.path, "/gateway/") {
			return // has tests of its own
		}
		if a := r.send(t, c); roles == "" && (a.code == http.StatusForbidden || a.code == http.StatusUnauthorized && c.path != "/dashdata/login") {
			t.Errorf("%s %s: %d", c.method, c.path, a.code)
		}
	})
}

// addUser adds a user with the password of the tests.
func (r *rig) addUser(t *testing.T, name string, role access.Role) {
	t.Helper()
	if err := r.store.SaveUser(t.Context(), access.User{Name: name, Role: role, Hash: access.HashPassword(password)}); err != nil {
		t.Fatal(err)
	}
}

// basic asks for a list with a user name and password.
func (r *rig) basic(t *testing.T, name, password string) answer {
	t.Helper()
	const path = "/licenses"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.base+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(name, password)
	a := roundTrip(t, req)
	checkAnswer(t, call{method: "GET", path: path}, a)
	return a
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.addUser(t, "shop", access.Issuer)
	if a := r.basic(t, "shop", password); a.code != http.StatusOK {
		t.Errorf("%d %s", a.code, a.body)
	}
	for name, pw := range map[string]string{"shop": password + "x", "Shop": password, "nobody": password, "shop' --": password} {
		if a := r.basic(t, name, pw); a.code != http.StatusUnauthorized {
			t.Errorf("%s:%s: %d", name, pw, a.code)
		}
	}
	if err := r.store.DeleteUser(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	if a := r.basic(t, "shop", password); a.code != http.StatusUnauthorized {
		t.Errorf("a user who was removed: %d", a.code)
	}
}

// Guessing is slowed down, on the API and at the dashboard alike, and does not
// shut out who has the right password already.
func TestLoginLimits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.addUser(t, "shop", access.Issuer)
	if a := r.basic(t, "shop", password); a.code != http.StatusOK {
		t.Fatalf("%d %s", a.code, a.body)
	}
	var codes []int
	for range 8 {
		codes = append(codes, r.basic(t, "shop", "a wrong guess").code)
	}
	if want := []int{401, 401, 401, 401, 401, 429, 429, 429}; !slices.Equal(codes, want) {
		t.Errorf("guesses were answered %v, want %v", codes, want)
	}
	if a := r.basic(t, "shop", "a wrong guess"); a.header.Get("Retry-After") == "" {
		t.Error("nothing tells when to try again")
	}
	if a := r.basic(t, "shop", password); a.code != http.StatusOK {
		t.Errorf("the right password: %d", a.code)
	}
	if a := r.send(t, call{method: "POST", path: "/dashdata/login", body: object{"username": "admin", "password": "x"}}); a.code != http.StatusTooManyRequests {
		t.Errorf("at the dashboard: %d %s", a.code, a.body)
	}
	r.clock.pass(3 * time.Second)
	if a := r.basic(t, "shop", "a wrong guess"); a.code != http.StatusUnauthorized {
		t.Errorf("after a while: %d", a.code)
	}
}

func TestPublicLimits(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *server.Options) { o.Limits.PublicPerSecond, o.TrustForward = 1, true })
	id := r.loan(t)
	get := func(from string) int {
		return r.send(t, call{method: "GET", path: "/status/" + id, header: http.Header{"X-Forwarded-For": {from}}}).code
	}
	var codes []int
	for range 7 {
		codes = append(codes, get("192.0.2.1"))
	}
	if want := []int{200, 200, 200, 200, 200, 429, 429}; !slices.Equal(codes, want) {
		t.Errorf("requests were answered %v, want %v", codes, want)
	}
	for from, want := range map[string]int{
		"192.0.2.2":              200,
		"192.0.2.9, 192.0.2.1":   429, // the proxy saw the last one
		"192.0.2.1, 192.0.2.3":   200,
		"2001:db8:1:2::1":        200,
		"192.0.2.1,192.0.2.1":    429,
		"spoofed\t, 192.0.2.1":   429,
		"2001:db8:1:3::1, ::1:1": 200,
	} {
		if got := get(from); got != want {
			t.Errorf("from %s: %d, want %d", from, got, want)
		}
	}
	for i := range 8 { // of one network, each from another address
		codes = append(codes, get("2001:db8:5:5::"+string(rune('1'+i))))
	}
	if codes[len(codes)-1] != 429 {
		t.Errorf("addresses of one network were answered %v", codes[7:])
	}
	r.clock.pass(2 * time.Second)
	if got := get("192.0.2.1"); got != 200 {
		t.Errorf("after a while: %d", got)
	}
	// Without a proxy that is trusted the header counts for nothing.
	direct := newRig(t, func(o *server.Options) { o.Limits.PublicPerSecond = 1 })
	id = direct.loan(t)
	last := 0
	for i := range 7 {
		h := http.Header{"X-Forwarded-For": {"192.0.2." + string(rune('1'+i))}}
		last = direct.send(t, call{method: "GET", path: "/status/" + id, header: h}).code
	}
	if last != 429 {
		t.Errorf("the last one was answered %d", last)
	}
}
