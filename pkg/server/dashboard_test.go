package server_test

import (
	"encoding/csv"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/access"
)

// login logs in to the dashboard and returns the token.
func (r *rig) login(t *testing.T) string {
	t.Helper()
	r.addUser(t, "laurent", access.Admin)
	a := r.send(t, call{method: "POST", path: "/dashdata/login", body: object{"username": "laurent", "password": password}})
	in := decode[struct {
		Token string
		User  struct{ ID, Email, Name string }
	}](t, a)
	if a.code != http.StatusOK || in.Token == "" || in.User.Name != "laurent" || in.User.ID == "" {
		t.Fatalf("login: %d %s", a.code, a.body)
	}
	if cookie := a.header.Get("Set-Cookie"); !strings.HasPrefix(cookie, "token="+in.Token) || !strings.Contains(cookie, "HttpOnly") ||
		!strings.Contains(cookie, "SameSite=Strict") {
		t.Errorf("cookie: %s", cookie)
	}
	return in.Token
}

// dashboard makes a request as the public dashboard does.
func (r *rig) dashboard(t *testing.T, token, method, path string) answer {
	t.Helper()
	return r.send(t, call{method: method, path: path, header: http.Header{
		"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"},
	}})
}

func TestDashboardLogin(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.login(t)
	for _, in := range []object{
		{"username": "laurent", "password": "wrong"}, {"username": "nobody", "password": password}, {"username": "", "password": ""}, {},
	} {
		if a := r.send(t, call{method: "POST", path: "/dashdata/login", body: in}); a.code != http.StatusUnauthorized || strings.Contains(a.body, "token") {
			t.Errorf("login as %v: %d %s", in, a.code, a.body)
		}
	}
	if a := r.dashboard(t, token, "GET", "/dashdata/data"); a.code != http.StatusOK {
		t.Errorf("with a token: %d", a.code)
	}
	cookie := call{method: "GET", path: "/dashdata/data", header: http.Header{"Cookie": {"token=" + token}}}
	if a := r.send(t, cookie); a.code != http.StatusOK {
		t.Errorf("with a cookie: %d", a.code)
	}
	r.clock.pass(access.TokenLifetime + time.Minute)
	a := r.dashboard(t, token, "GET", "/dashdata/data")
	if a.code != http.StatusUnauthorized || decode[object](t, a)["code"] != "TOKEN_EXPIRED" {
		t.Errorf("with a token that is over: %d %s", a.code, a.body)
	}
	if a := r.dashboard(t, token+"x", "GET", "/dashdata/data"); a.code != http.StatusUnauthorized || decode[object](t, a)["code"] != nil {
		t.Errorf("with a changed token: %d %s", a.code, a.body)
	}
}

// The dashboard finds the members that its pages show.
func TestDashboardData(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	epub, pdf := r.addPublication(t), r.addPublication(t, object{"content_type": "application/pdf+lcp"})
	r.addLicense(t, epub, object{"user_id": "ann", "end": nil})
	r.clock.pass(40 * 24 * time.Hour) // 10 June
	shared := r.addLicense(t, pdf, object{"user_id": "bob", "end": nil})
	for _, d := range []string{"a", "b", "c"} {
		r.register(t, shared, d)
	}
	revoked := r.addLicense(t, pdf, object{"user_id": "bob", "end": nil})
	r.register(t, revoked, "a")
	token := r.login(t)
	if a := r.dashboard(t, token, "PUT", "/dashdata/revoke/"+revoked); a.code != http.StatusOK {
		t.Errorf("revoke: %d %s", a.code, a.body)
	}
	a := r.dashboard(t, token, "GET", "/dashdata/data")
	wantMembers(t, "figures", decode[object](t, a), object{
		"total_publications": 2, "total_users": 2, "total_licenses": 3,
		"licenses_last_12_months": 3, "licenses_last_month": 2, "licenses_last_week": 2, "licenses_last_day": 2,
		"oldest_license_date": "2030-05-01", "latest_license_date": "2030-06-10", "overshared_licenses_count": 1,
	})
	figures := decode[struct {
		Chart []struct {
			Month    string
			Licenses int
		} `json:"chart_data"`
		Types    []struct{ Name string } `json:"publication_types"`
		Statuses []struct {
			Name  string
			Count int
		} `json:"license_statuses"`
	}](t, a)
	if n := len(figures.Chart); n != 12 || figures.Chart[0].Month != "Jul" || figures.Chart[11].Month != "Jun" || figures.Chart[11].Licenses != 2 {
		t.Errorf("chart: %+v", figures.Chart)
	}
	if len(figures.Types) != 2 || len(figures.Statuses) != 3 {
		t.Errorf("figures: %+v", figures)
	}
	overshared := decode[[]object](t, r.dashboard(t, token, "GET", "/dashdata/overshared"))
	if len(overshared) != 1 {
		t.Fatalf("overshared: %v", overshared)
	}
	wantMembers(t, "overshared", overshared[0], object{
		"id": shared, "publication_id": pdf, "alt_id": "", "title": "Voyage au centre de la terre", "user_id": "bob",
		"type": "buy", "status": "active", "devices": 3,
	})
	checkDashboardLists(t, r, token, pdf, shared, revoked)
}

func checkDashboardLists(t *testing.T, r *rig, token, pub, shared, revoked string) {
	t.Helper()
	pubs := decode[[]object](t, r.dashboard(t, token, "GET", "/dashdata/publications?page=1&per_page=20"))
	if len(pubs) != 2 {
		t.Fatalf("publications: %v", pubs)
	}
	for _, name := range []string{"created_at", "uuid", "content_type", "title", "href", "size", "checksum"} {
		if pubs[0][name] == nil {
			t.Errorf("a publication has no %s: %v", name, pubs[0])
		}
	}
	list := decode[[]object](t, r.dashboard(t, token, "GET", "/dashdata/user-licenses/bob"))
	if len(list) != 2 {
		t.Fatalf("licenses of bob: %v", list)
	}
	for _, name := range []string{"CreatedAt", "UpdatedAt", "uuid", "provider", "user_id", "start", "copy", "print", "status", "device_count", "publication_id", "publication_title"} {
		if list[0][name] == nil {
			t.Errorf("a license has no %s: %v", name, list[0])
		}
	}
	events := decode[[]object](t, r.dashboard(t, token, "GET", "/dashdata/license-events/"+shared))
	if len(events) != 3 || events[0]["type"] != "register" || events[0]["device_name"] != deviceName || events[0]["device_id"] != "a" || events[0]["timestamp"] == nil {
		t.Errorf("events: %v", events)
	}
	if a := r.dashboard(t, token, "DELETE", "/dashdata/publications/"+pub); a.code != http.StatusOK {
		t.Errorf("delete: %d %s", a.code, a.body)
	}
	if d := r.status(t, revoked); d.Status != "revoked" {
		t.Errorf("status is %s, want revoked", d.Status)
	}
}

func TestDashboardUserNames(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pub := r.addPublication(t)
	token := r.login(t)
	for user, path := range map[string]string{"ann@example.org": "ann%40example.org", "a/b": "a%2Fb", "a/": "a%2F", "b/": "b%2F/", "a b%": "a%20b%25", "é": "%C3%A9"} {
		r.addLicense(t, pub, object{"user_id": user})
		if list := decode[[]object](t, r.dashboard(t, token, "GET", "/dashdata/user-licenses/"+path)); len(list) != 1 || list[0]["user_id"] != user {
			t.Errorf("licenses of %s: %v", user, list)
		}
	}
}

func TestDashboardReport(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pub := r.addPublication(t, object{"alt_id": "=HYPERLINK(\"x\")", "title": "Commas, \"quotes\"\nand lines"})
	loan := r.addLicense(t, pub)
	r.register(t, loan, "d")
	r.clock.pass(40 * 24 * time.Hour)
	r.addLicense(t, pub, object{"user_id": "+1", "start": nil, "end": nil})
	token := r.login(t)
	a := r.dashboard(t, token, "GET", "/dashdata/report-licenses?month=2030-05")
	if a.header.Get("Content-Type") != "text/csv; charset=utf-8" || a.header.Get("Content-Disposition") != `attachment; filename="licenses-report-2030-05.csv"` {
		t.Errorf("headers: %v", a.header)
	}
	rows, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("%v: %s", err, a.body)
	}
	want := []string{
		stamp(epoch), "'=HYPERLINK(\"x\")", "Commas, \"quotes\"\nand lines", userID, "expired", stamp(epoch), stamp(epoch.AddDate(0, 0, 14)),
		stamp(epoch.AddDate(0, 0, 74)), "1",
	}
	if !slices.Equal(rows[1], want) {
		t.Errorf("row = %q, want %q", rows[1], want)
	}
	for query, lines := range map[string]int{"month=2030-06": 1, "date=2030-06-10": 1, "date=2030-06-11": 0, "month=2029-05": 0} {
		if a := r.dashboard(t, token, "GET", "/dashdata/report-licenses?"+query); strings.Count(a.body, "2030-06-10T") != lines {
			t.Errorf("%s: %d %s", query, a.code, a.body)
		}
	}
	for _, query := range []string{"", "month=", "month=May", "date=2030-05", "month=2030-05&date=2030-05-01"} {
		if a := r.dashboard(t, token, "GET", "/dashdata/report-licenses?"+query); a.code != http.StatusBadRequest {
			t.Errorf("%q: %d %s", query, a.code, a.body)
		}
	}
}
