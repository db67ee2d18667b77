package server_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/server"
)

const failure = "http://readium.org/license-status-document/error/"

// states says how licenses come into each state.
var states = map[string]func(t *testing.T, r *rig, id string){
	"ready":  func(*testing.T, *rig, string) {},
	"active": func(t *testing.T, r *rig, id string) { r.register(t, id, deviceID) },
	"expired": func(t *testing.T, r *rig, id string) {
		r.register(t, id, deviceID)
		r.clock.pass(15 * 24 * time.Hour)
	},
	"expired unused": func(_ *testing.T, r *rig, _ string) { r.clock.pass(15 * 24 * time.Hour) },
	"returned": func(t *testing.T, r *rig, id string) {
		r.register(t, id, deviceID)
		r.mustPublic(t, http.StatusOK, "PUT", "/return/"+id)
	},
	"revoked": func(t *testing.T, r *rig, id string) {
		r.register(t, id, deviceID)
		r.must(t, http.StatusOK, "PUT", "/revoke/"+id, nil)
	},
	"cancelled": func(t *testing.T, r *rig, id string) { r.must(t, http.StatusOK, "PUT", "/revoke/"+id, nil) },
}

// A step is a request in a state, and what comes of it.
type step struct {
	state, request string
	code           int
	result         string // the state after it, or the type of the failure
	event          string // "" for none
}

// The rows of the table in the product's description, one by one.
var steps = []step{
	{"ready", "register", 200, "active", "register"},
	{"ready", "renew", 400, "renew", ""},
	{"ready", "return", 200, "cancelled", "return"},
	{"ready", "revoke", 200, "cancelled", "cancel"},
	{"active", "register", 200, "active", ""}, // the same device again
	{"active", "register other", 200, "active", "register"},
	{"active", "renew", 200, "active", "renew"},
	{"active", "return", 200, "returned", "return"},
	{"active", "revoke", 200, "revoked", "revoke"},
	{"expired", "register", 400, "registration", ""},
	{"expired", "register other", 400, "registration", ""},
	{"expired", "renew", 400, "renew", ""},
	{"expired", "return", 403, "return/expired", ""},
	{"expired", "revoke", 200, "revoked", "revoke"},
	{"expired unused", "register", 400, "registration", ""},
	{"expired unused", "return", 403, "return/expired", ""},
	{"expired unused", "revoke", 200, "revoked", "revoke"},
	{"returned", "register", 400, "registration", ""},
	{"returned", "renew", 400, "renew", ""},
	{"returned", "return", 403, "return/already", ""},
	{"returned", "revoke", 200, "revoked", "revoke"},
	{"revoked", "register", 400, "registration", ""},
	{"revoked", "renew", 400, "renew", ""},
	{"revoked", "return", 400, "return", ""},
	{"revoked", "revoke", 200, "revoked", ""},
	{"cancelled", "register", 400, "registration", ""},
	{"cancelled", "renew", 400, "renew", ""},
	{"cancelled", "return", 400, "return", ""},
	{"cancelled", "revoke", 200, "cancelled", ""},
}

func TestStates(t *testing.T) {
	t.Parallel()
	for _, s := range steps {
		t.Run(s.request+" when "+s.state, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			id := r.loan(t)
			states[s.state](t, r, id)
			r.clock.pass(time.Minute)
			s.check(t, r, id)
		})
	}
}

// send makes the request of a step.
func (s *step) send(t *testing.T, r *rig, id string) answer {
	t.Helper()
	switch s.request {
	case "register":
		return r.public(t, "POST", "/register/"+id+device(deviceID))
	case "register other":
		return r.public(t, "POST", "/register/"+id+device("another"))
	case "revoke":
		return r.do(t, "PUT", "/revoke/"+id, nil)
	case "renew":
		return r.public(t, "PUT", "/renew/"+id+"?end="+stamp(epoch.AddDate(0, 0, 40)))
	default:
		return r.public(t, "PUT", "/"+s.request+"/"+id)
	}
}

func (s *step) check(t *testing.T, r *rig, id string) {
	t.Helper()
	before, info := r.status(t, id), r.info(t, id)
	a := s.send(t, r, id)
	after := r.status(t, id)
	if a.code != s.code {
		t.Fatalf("answer is %d %s, want %d", a.code, a.body, s.code)
	}
	if s.code >= 400 {
		if p := decode[server.Problem](t, a); p.Type != failure+s.result || p.Detail == "" {
			t.Errorf("problem = %+v, want %s", p, s.result)
		}
		wantSame(t, before, after)
		wantMembers(t, "record", r.info(t, id), info)
		return
	}
	if after.Status != s.result {
		t.Errorf("status is %s, want %s", after.Status, s.result)
	}
	if got := decode[statusDocument](t, a); len(got.Events) != len(after.Events) || got.Status != after.Status || got.Updated != after.Updated {
		t.Errorf("the answer is %+v, the status document %+v", got, after)
	}
	s.checkEffect(t, r, id, before, after)
}

// checkEffect looks at events, dates and devices after a request that was met.
func (s *step) checkEffect(t *testing.T, r *rig, id string, before, after statusDocument) {
	t.Helper()
	if s.event == "" {
		wantSame(t, before, after)
		return
	}
	if len(after.Events) != len(before.Events)+1 {
		t.Fatalf("events are %v, before %v", after.Events, before.Events)
	}
	e := after.Events[len(after.Events)-1]
	if e.Type != s.event || !e.Timestamp.Equal(r.clock.now()) {
		t.Errorf("event = %+v, want %s", e, s.event)
	}
	if !after.Updated.Status.After(before.Updated.Status) {
		t.Errorf("updated.status is %s, before %s", after.Updated.Status, before.Updated.Status)
	}
	changed := after.Updated.License.After(before.Updated.License)
	if want := s.event != "register"; changed != want {
		t.Errorf("the license counts as updated %s, before %s", after.Updated.License, before.Updated.License)
	}
	info := r.info(t, id)
	devices := 0
	for _, e := range after.Events {
		if e.Type == "register" {
			devices++
		}
	}
	if info["device_count"] != float64(devices) || info["status"] != after.Status {
		t.Errorf("record: %v, want %d devices, %s", info, devices, after.Status)
	}
	if s.event == "return" || s.event == "revoke" || s.event == "cancel" {
		s.checkEnd(t, r, info)
	}
}

// checkEnd wants the rights to end now, or when they did if that is past.
func (s *step) checkEnd(t *testing.T, r *rig, info object) {
	t.Helper()
	want := r.clock.now()
	if end := epoch.AddDate(0, 0, 14); end.Before(want) {
		want = end
	}
	if s.state == "returned" {
		want = want.Add(-time.Minute) // when it was returned
	}
	if info["end"] != stamp(want) {
		t.Errorf("end is %v, want %s", info["end"], stamp(want))
	}
}

func wantSame(t *testing.T, before, after statusDocument) {
	t.Helper()
	if len(before.Events) != len(after.Events) || before.Status != after.Status || before.Updated != after.Updated {
		t.Errorf("something changed: %+v, before %+v", after, before)
	}
}

func TestStatusLinks(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]string{
		"ready": "license register return", "active": "license register renew return", "expired": "license",
		"returned": "license", "revoked": "license", "cancelled": "license",
	} {
		r := newRig(t)
		id := r.loan(t)
		states[state](t, r, id)
		d := r.status(t, id)
		if d.rels() != want {
			t.Errorf("%s: links are %q, want %q", state, d.rels(), want)
		}
		for _, l := range d.Links {
			href := map[string]string{
				"license":  "https://shop.example.org/fresh/" + id,
				"register": publicURL + "/register/" + id + "{?id,name}", "return": publicURL + "/return/" + id + "{?id,name}",
				"renew": publicURL + "/renew/" + id + "{?end,id,name}",
			}[l.Rel]
			if l.Href != href {
				t.Errorf("%s: %s link is %s, want %s", state, l.Rel, l.Href, href)
			}
			if l.Rel == "license" && l.Profile != "http://readium.org/lcp/basic-profile" {
				t.Errorf("license link has the profile %q", l.Profile)
			}
		}
		if want := state == "active"; d.PotentialRights.End.Equal(epoch.AddDate(0, 0, 74)) != want {
			t.Errorf("%s: potential rights end %s", state, d.PotentialRights.End)
		}
	}
	r := newRig(t)
	sale := r.loan(t, object{"end": nil})
	r.register(t, sale, deviceID)
	if d := r.status(t, sale); d.rels() != "license register" {
		t.Errorf("a license without end has the links %q", d.rels())
	}
	for _, request := range []string{"renew", "return"} {
		r.mustPublic(t, http.StatusBadRequest, "PUT", "/"+request+"/"+sale)
	}
}

func TestStatusNotFound(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, id := range []string{uuid.NewString(), "1", "..%2F..", "%00", "'%20OR%201=1", strings.Repeat("a", 36), "{" + uuid.NewString()[:34] + "}"} {
		for _, c := range []call{
			{method: "GET", path: "/status/" + id},
			{method: "POST", path: "/register/" + id + device("d")},
			{method: "PUT", path: "/renew/" + id},
			{method: "PUT", path: "/return/" + id},
		} {
			r.mustPublic(t, http.StatusNotFound, c.method, c.path)
		}
		r.must(t, http.StatusNotFound, "PUT", "/revoke/"+id, nil)
	}
}

func TestRenewDates(t *testing.T) {
	t.Parallel()
	end, latest := epoch.AddDate(0, 0, 14), epoch.AddDate(0, 0, 74)
	for name, tt := range map[string]struct {
		query string
		want  time.Time // zero: refused
	}{
		"a date":                     {"end=2030-06-01T10:00:00Z", time.Date(2030, 6, 1, 10, 0, 0, 0, time.UTC)},
		"an offset":                  {"end=2030-06-01T10:00:00%2B02:00", time.Date(2030, 6, 1, 8, 0, 0, 0, time.UTC)},
		"an offset without a colon":  {"end=2030-06-01T10:00:00%2B0000", time.Date(2030, 6, 1, 10, 0, 0, 0, time.UTC)},
		"an offset with a space":     {"end=2030-06-01T10:00:00+00:00", time.Date(2030, 6, 1, 10, 0, 0, 0, time.UTC)},
		"the maximum":                {"end=" + stamp(latest), latest},
		"none, 10 days in":           {"", epoch.AddDate(0, 0, 17)},
		"an empty one":               {"end=", epoch.AddDate(0, 0, 17)},
		"two, of which one counts":   {"end=2030-06-01T10:00:00Z&end=2031-01-01T00:00:00Z", time.Date(2030, 6, 1, 10, 0, 0, 0, time.UTC)},
		"beyond the maximum":         {"end=" + stamp(latest.Add(time.Second)), time.Time{}},
		"the past":                   {"end=2030-05-02T00:00:00Z", time.Time{}},
		"the present end":            {"end=" + stamp(end), time.Time{}},
		"before the present end":     {"end=" + stamp(end.Add(-time.Hour)), time.Time{}},
		"far in the past":            {"end=1970-01-01T00:00:00Z", time.Time{}},
		"an unregistered device":     {"end=2030-06-01T10:00:00Z&id=stranger&name=x", time.Time{}},
		"the registered device":      {"id=" + deviceID + "&name=other", epoch.AddDate(0, 0, 17)},
		"an empty device, a date":    {"id=&name=&end=2030-06-01", time.Date(2030, 6, 1, 0, 0, 0, 0, time.UTC)},
		"two devices, the first one": {"id=" + deviceID + "&id=stranger", epoch.AddDate(0, 0, 17)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			id := r.loan(t)
			r.register(t, id, deviceID)
			r.clock.pass(10 * 24 * time.Hour)
			before := r.status(t, id)
			a := r.public(t, "PUT", "/renew/"+id+"?"+tt.query)
			got := r.info(t, id)["end"]
			if !tt.want.IsZero() {
				if a.code != http.StatusOK || got != stamp(tt.want) {
					t.Errorf("%d, end %v, want %s: %s", a.code, got, stamp(tt.want), a.body)
				}
				return
			}
			if a.code < 400 || a.code >= 500 || got != stamp(end) || !strings.HasPrefix(decode[server.Problem](t, a).Type, failure+"renew") {
				t.Errorf("%d %s, end %v", a.code, a.body, got)
			}
			if !strings.Contains(name, "device") && a.code != http.StatusForbidden {
				t.Errorf("code is %d, want 403", a.code)
			}
			wantSame(t, before, r.status(t, id))
		})
	}
}

// Without a date a renewal never moves the end forward in time.
func TestRenewNeverShortens(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.loan(t)
	r.register(t, id, deviceID)
	a := r.public(t, "PUT", "/renew/"+id) // to day 7, when the end is on day 14
	if got := r.info(t, id)["end"]; got != stamp(epoch.AddDate(0, 0, 14)) {
		t.Errorf("%d, end %v", a.code, got)
	}
}

func TestRenewExpired(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *server.Options) {
		o.Licensing.Default().Policy.AllowRenewOnExpired = true
	})
	id := r.loan(t)
	states["expired"](t, r, id)
	if d := decode[statusDocument](t, r.mustPublic(t, http.StatusOK, "PUT", "/renew/"+id)); d.Status != "active" {
		t.Errorf("status is %s, want active", d.Status)
	}
	if got := r.info(t, id); got["end"] != stamp(epoch.AddDate(0, 0, 22)) || got["status"] != "active" {
		t.Errorf("record: %v", got)
	}
}

func TestReturnByStrangers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.loan(t)
	r.register(t, id, deviceID)
	a := r.public(t, "PUT", "/return/"+id+device("stranger"))
	if p := decode[server.Problem](t, a); a.code < 400 || a.code >= 500 || p.Type != failure+"return" {
		t.Errorf("%d %s", a.code, a.body)
	}
	if d := r.status(t, id); d.Status != "active" {
		t.Errorf("status is %s", d.Status)
	}
}

func TestRegisterParameters(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.loan(t)
	long := strings.Repeat("é", 256)
	for query, want := range map[string]int{
		"":                           400,
		"?id=a":                      400,
		"?name=a":                    400,
		"?id=&name=":                 400,
		"?id=a&name=":                400,
		"?id=" + long + "&name=a":    400,
		"?id=a&name=" + long:         400,
		"?id=%ff&name=a":             400,
		"?id=a&name=%00":             400,
		"?id=a%0d%0aX-Evil:1&name=a": 400,
		"?id=%zz&name=a":             400,
		"?id=a;name=b":               400,
	} {
		a := r.public(t, "POST", "/register/"+id+query)
		if a.code != want {
			t.Errorf("%q: %d %s", query, a.code, a.body)
		}
		if d := r.status(t, id); d.Status != "ready" || len(d.Events) > 0 {
			t.Fatalf("%q: %+v", query, d)
		}
	}
	for i, query := range []string{
		"?id=a&name=b", "?id=a&id=c&name=b&name=d", "?name=%E2%80%A8&id=%27%20OR%20%271%27=%271",
		"?id=" + url.QueryEscape(strings.Repeat("é", 255)) + "&name=" + url.QueryEscape(strings.Repeat("日", 255)),
	} {
		a := r.mustPublic(t, http.StatusOK, "POST", "/register/"+id+query)
		want := max(1, i) // the second one is the first device again
		if d := decode[statusDocument](t, a); len(d.Events) != want {
			t.Errorf("after %q there are %d events, want %d", query, len(d.Events), want)
		}
	}
}

func TestStatusLanguages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.loan(t)
	states["returned"](t, r, id)
	seen, titles := map[string]string{}, map[string]string{}
	for header, want := range map[string]string{
		"": "en", "en": "en", "fr-CA,fr;q=0.9": "fr", "de": "de", "es": "es", "it": "it", "pt-BR": "pt", "nl": "nl", "ja": "ja",
		"sv": "en", "sv, fr;q=0.1": "fr", "en;q=0.1, de;q=0.5": "de", ";;;": "en",
	} {
		h := http.Header{"Accept-Language": {header}}
		a := r.send(t, call{method: "GET", path: "/status/" + id, header: h})
		d := decode[statusDocument](t, a)
		if a.header.Get("Content-Language") != want || a.header.Get("Vary") != "Accept-Language" {
			t.Errorf("%q: %v", header, a.header)
		}
		if other, ok := seen[want]; ok && other != d.Message {
			t.Errorf("%s is %q and %q", want, d.Message, other)
		}
		seen[want] = d.Message
		titles[want] = decode[server.Problem](t, r.send(t, call{method: "PUT", path: "/return/" + id, header: h})).Title
	}
	if distinct(seen) != 8 || distinct(titles) != 8 {
		t.Errorf("messages %q, titles %q, want 8 different ones", seen, titles)
	}
}

func distinct(texts map[string]string) int {
	set := map[string]bool{}
	for _, text := range texts {
		set[text] = true
	}
	return len(set)
}

// However often something changes within one millisecond, apps see it.
func TestUpdatesMoveForward(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.loan(t)
	last := r.status(t, id).Updated.Status
	for i := range 5 {
		r.register(t, id, strconv.Itoa(i))
		now := r.status(t, id).Updated.Status
		if !now.After(last) {
			t.Errorf("device %d: updated.status is %s, before %s", i, now, last)
		}
		last = now
	}
}
