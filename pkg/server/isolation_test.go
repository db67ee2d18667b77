package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/access"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/server"
)

// A tenant is a provider on a server, with administrators who belong to it and a
// few things of its own.
type tenant struct {
	id, uri, key, token             string
	publication, altID, spare, user string
	license                         string
}

// newTenant makes the things of a provider, as one of its callers does.
func newTenant(t *testing.T, r *rig, id string) *tenant {
	t.Helper()
	n := &tenant{
		id: id, uri: "https://" + id + ".example.org", key: access.NewKey(), altID: "book-of-" + id, user: "reader-of-" + id,
		publication: uuid.NewString(), spare: uuid.NewString(),
	}
	p := access.Principal{Name: "key-of-" + id, Role: access.Admin, Provider: id}
	if err := r.store.AddKey(t.Context(), p, access.HashKey(n.key)); err != nil {
		t.Fatal(err)
	}
	var err error
	if n.token, _, err = r.options.Tokens.Issue(p); err != nil {
		t.Fatal(err)
	}
	for uuid, altID := range map[string]string{n.publication: n.altID, n.spare: ""} {
		n.create(t, r, "POST", "/publications", with(publication(uuid), object{"alt_id": altID, "title": "Title of " + id}))
	}
	request := with(licenseRequest(n.publication), object{"user_id": n.user})
	n.license = decode[license.Document](t, n.create(t, r, "POST", "/licenses", request)).ID
	n.create(t, r, "POST", "/providers/"+id+"/secrets", object{"kid": "secret-of-" + id})
	n.create(t, r, "PUT", "/providers/"+id+"/templates/secret-of-"+id, object{"textHint": "secret-of-" + id})
	for _, device := range []string{"1", "2", "3"} { // shared too much
		r.register(t, n.license, "device-of-"+id+device)
	}
	return n
}

// ask makes a request as the provider's administrator.
func (n *tenant) ask(t *testing.T, r *rig, method, path string, body any) answer {
	t.Helper()
	credentials := n.key
	if strings.HasPrefix(path, "/dashdata/") {
		credentials = n.token
	}
	return r.send(t, call{method: method, path: path, body: body, header: http.Header{"Authorization": {"Bearer " + credentials}}})
}

// create is ask for a request that has to make something.
func (n *tenant) create(t *testing.T, r *rig, method, path string, body any) answer {
	t.Helper()
	a := n.ask(t, r, method, path, body)
	if a.code != http.StatusCreated {
		t.Fatalf("%s, %s %s = %d %s, want 201", n.id, method, path, a.code, a.body)
	}
	return a
}

// marks are what tells that something is the provider's.
func (n *tenant) marks() []string {
	return []string{n.publication, n.spare, n.altID, n.user, n.license, n.uri, "Title of " + n.id, "device-of-" + n.id, "key-of-" + n.id, "secret-of-" + n.id}
}

// A trial is what a caller tries at a route, with the things of a provider.
type trial struct {
	path string // in place of the route's, with the names of the provider's things
	body func(n *tenant) any
	own  int // status of the answer to who owns them
	// foreign is the status of the answer to others; 0: their own, which must
	// not tell of them.
	foreign int
}

// trials has one or more for every private route. What changes things for good
// comes last.
var trials = map[string][]trial{
	"GET /publications":                {{own: 200}},
	"GET /publications/search":         {{path: "/publications/search?format=epub", own: 200}},
	"GET /publications/altid/{alt_id}": {{own: 200, foreign: 404}},
	"GET /publications/{id}":           {{path: "/publications/PUBLICATION", own: 200, foreign: 404}},
	"PUT /publications/{id}": {{path: "/publications/PUBLICATION", own: 200, foreign: 404, body: func(n *tenant) any {
		return with(publication(n.publication), object{"title": "Title of " + n.id, "alt_id": n.altID})
	}}},
	"POST /publications": {
		{own: 409, foreign: 400, body: func(n *tenant) any { return with(publication(n.publication), object{"provider": n.uri}) }},
		{own: 409, foreign: 409, body: func(n *tenant) any { return publication(n.publication) }},
		{own: 409, foreign: 409, body: func(n *tenant) any { return with(publication(uuid.NewString()), object{"alt_id": n.altID}) }},
	},
	"DELETE /publications/{id}":          {{path: "/publications/SPARE", own: 200, foreign: 404}},
	"DELETE /dashdata/publications/{id}": {{path: "/dashdata/publications/PUBLICATION", own: 200, foreign: 404}},

	"GET /licenses": {{own: 200}},
	"POST /licenses": {
		{own: 201, foreign: 404, body: func(n *tenant) any { return with(licenseRequest(n.publication), object{"user_id": n.user}) }},
		{own: 201, foreign: 404, body: func(n *tenant) any {
			return with(licenseRequest(""), object{"publication_id": nil, "alt_id": n.altID, "user_id": n.user})
		}},
	},
	"GET /licenses/search": {
		{path: "/licenses/search?pub=PUBLICATION", own: 200},
		{path: "/licenses/search?user=USER", own: 200},
		{path: "/licenses/search?count=0:99", own: 200},
		{path: "/licenses/search?count=3:99", own: 200},
		{path: "/licenses/search?status=active", own: 200},
		{path: "/licenses/search?status=ready", own: 200},
		{path: "/licenses/search?device=device-of-PROVIDER1", own: 200},
		{path: "/licenses/search?month=2030-05", own: 200},
	},
	"POST /licenses/{id}": {{path: "/licenses/LICENSE", own: 200, foreign: 404, body: func(n *tenant) any {
		return with(freshRequest(), object{"user_id": n.user})
	}}},
	"POST /licenses/{id}/opds": {{path: "/licenses/LICENSE/opds", own: 200, foreign: 404, body: func(n *tenant) any {
		return object{"user_id": n.user, "pass_hash": passHash}
	}}},
	"GET /licenseinfo": {{own: 200}},
	"POST /licenseinfo": {
		{own: 201, foreign: 400, body: func(n *tenant) any {
			return object{"uuid": uuid.NewString(), "user_id": n.user, "publication_id": n.publication}
		}},
		{own: 201, foreign: 400, body: func(n *tenant) any {
			return object{"uuid": uuid.NewString(), "user_id": n.user, "publication_id": n.publication, "provider": n.uri}
		}},
	},
	"GET /licenseinfo/search": {{path: "/licenseinfo/search?user=USER", own: 200}},
	"GET /licenseinfo/{id}":   {{path: "/licenseinfo/LICENSE", own: 200, foreign: 404}},
	"PUT /licenseinfo/{id}": {{path: "/licenseinfo/LICENSE", own: 200, foreign: 404, body: func(n *tenant) any {
		return object{"user_id": n.user, "publication_id": n.publication, "status": "active"}
	}}},
	"GET /license-events/{id}": {{path: "/license-events/LICENSE", own: 200, foreign: 404}},

	"DELETE /users/{user}/snapshots": {
		{path: "/users/USER/snapshots", own: 200}, {path: "/users/USER/snapshots?provider=PROVIDER", own: 200, foreign: 400},
	},
	"DELETE /snapshots": {{own: 200}, {path: "/snapshots?provider=PROVIDER", own: 200, foreign: 400}},

	"GET /providers":      {{own: 200}},
	"GET /providers/{id}": {{own: 200, foreign: 404}},
	"POST /providers": {{own: 403, foreign: 403, body: func(n *tenant) any {
		return object{"id": "fifth", "uri": "https://fifth.example.org"}
	}}},
	"PUT /providers/{id}": {
		{own: 200, foreign: 404, body: func(n *tenant) any { return object{"name": "Name of " + n.id} }},
		{own: 400, foreign: 404, body: func(n *tenant) any { // where only administrators of the whole server reach
			return object{"certificate": object{"cert": "/etc/passwd", "private_key": "/etc/passwd"}}
		}},
		{own: 400, foreign: 404, body: func(n *tenant) any {
			return object{"authorization": object{"callback": object{"url": "http://localhost:1", "loopback": true}}}
		}},
		{own: 400, foreign: 404, body: func(n *tenant) any {
			return object{"authorization": object{"callback": object{"url": "https://10.0.0.1", "allow": []string{"10.0.0.0/8"}}}}
		}},
	},
	"GET /providers/{id}/secrets": {{own: 200, foreign: 404}},
	"POST /providers/{id}/secrets": {
		{own: 201, foreign: 404, body: func(n *tenant) any { return object{} }},
		{own: 409, foreign: 404, body: func(n *tenant) any { return object{"kid": "secret-of-" + n.id} }},
	},
	"PUT /providers/{id}/secrets/{kid}":       {{own: 200, foreign: 404, body: func(n *tenant) any { return object{"state": "active"} }}},
	"GET /providers/{id}/templates":           {{own: 200, foreign: 404}},
	"GET /providers/{id}/templates/{name}":    {{own: 200, foreign: 404}},
	"PUT /providers/{id}/templates/{name}":    {{own: 200, foreign: 404, body: func(n *tenant) any { return object{"textHint": "secret-of-" + n.id} }}},
	"DELETE /providers/{id}/templates/{name}": {{own: 204, foreign: 404}},
	"DELETE /providers/{id}":                  {{own: 403, foreign: 404}},

	// License keys are a matter of the whole server.
	"GET /license-keys":                       {{own: 403}},
	"POST /license-keys":                      {{own: 403, body: func(*tenant) any { return object{"name": "Nevermore Academy"} }}},
	"GET /license-keys/{key}":                 {{path: "/license-keys/rs_X", own: 403}},
	"PUT /license-keys/{key}":                 {{path: "/license-keys/rs_X", own: 403, body: func(*tenant) any { return object{} }}},
	"POST /license-keys/{key}/api-secret":     {{path: "/license-keys/rs_X/api-secret", own: 403}},
	"POST /license-keys/{key}/webhook-secret": {{path: "/license-keys/rs_X/webhook-secret", own: 403}},
	"POST /license-keys/{key}/erasures":       {{path: "/license-keys/rs_X/erasures", own: 403}},
	"GET /origins":                            {{own: 403}},
	"POST /origins":                           {{own: 403}},
	"DELETE /origins":                         {{own: 403}},
	"GET /reports/usage":                      {{own: 403}},
	"GET /reports/tr_b1":                      {{own: 403}},
	"POST /reports/closings":                  {{own: 403}},

	"GET /dashdata/data":                 {{own: 200}},
	"GET /dashdata/overshared":           {{own: 200}},
	"GET /dashdata/publications":         {{own: 200}},
	"GET /dashdata/user-licenses/{user}": {{path: "/dashdata/user-licenses/USER", own: 200}},
	"GET /dashdata/license-events/{id}":  {{path: "/dashdata/license-events/LICENSE", own: 200, foreign: 404}},
	"GET /dashdata/report-licenses":      {{path: "/dashdata/report-licenses?month=2030-05", own: 200}},

	"PUT /revoke/{id}":          {{path: "/revoke/LICENSE", own: 200, foreign: 404}},
	"PUT /dashdata/revoke/{id}": {{path: "/dashdata/revoke/LICENSE", own: 200, foreign: 404}},
	"DELETE /licenseinfo/{id}":  {{path: "/licenseinfo/LICENSE", own: 200, foreign: 404}},
}

// lasting are the routes that change things for good: owners try them last.
var lasting = []string{
	"DELETE /providers/{id}/templates/{name}",
	"PUT /revoke/{id}", "PUT /dashdata/revoke/{id}", "DELETE /licenseinfo/{id}", "DELETE /publications/{id}", "DELETE /dashdata/publications/{id}",
}

// fill puts the names of a provider's things into a path.
func (n *tenant) fill(path string) string {
	return strings.NewReplacer("PUBLICATION", n.publication, "SPARE", n.spare, "{alt_id}", n.altID, "LICENSE", n.license, "USER", n.user,
		"PROVIDER", n.id, "{id}", n.id, "{kid}", "secret-of-"+n.id, "{name}", "secret-of-"+n.id).Replace(path)
}

// A user of one provider sees and does nothing in another, whatever the route,
// and who owns things can do all of that.
func TestProvidersSeeNothingOfOneAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, id := range []string{"third", "fourth"} {
		r.add(t, provider.Provider{ID: id, URI: "https://" + id + ".example.org", SnapshotUsers: true})
	}
	one, other := newTenant(t, r, "third"), newTenant(t, r, "fourth")
	before := other.everything(t, r)
	var private []string
	for _, pattern := range server.Patterns(r.options) {
		if mayCall[pattern] != "" {
			private = append(private, pattern)
		}
	}
	for _, pattern := range private {
		if len(trials[pattern]) == 0 {
			t.Errorf("%s: nobody has said how it keeps providers apart", pattern)
		}
		for _, try := range trials[pattern] {
			one.intrude(t, r, other, pattern, try)
			if now := other.everything(t, r); now != before {
				t.Fatalf("%s: what is there of %s has changed from\n%s\nto\n%s", pattern, other.id, before, now)
			}
		}
	}
	slices.SortStableFunc(private, func(a, b string) int { return slices.Index(lasting, a) - slices.Index(lasting, b) })
	for _, pattern := range private {
		for _, try := range trials[pattern] {
			if a := one.try(t, r, one, pattern, try); a.code != try.own {
				t.Errorf("%s to its owner: %d %s, want %d", pattern, a.code, a.body, try.own)
			}
		}
	}
}

// try makes a request about things of another provider, or of one's own.
func (n *tenant) try(t *testing.T, r *rig, of *tenant, pattern string, try trial) answer {
	t.Helper()
	method, path, _ := strings.Cut(pattern, " ")
	if try.path != "" {
		path = try.path
	}
	var body any
	if try.body != nil {
		body = try.body(of)
	}
	return n.ask(t, r, method, of.fill(path), body)
}

// intrude fails the test if an answer tells of things of another provider more
// than was in the request.
func (n *tenant) intrude(t *testing.T, r *rig, other *tenant, pattern string, try trial) {
	t.Helper()
	a := n.try(t, r, other, pattern, try)
	if try.foreign != 0 && a.code != try.foreign || try.foreign == 0 && a.code != try.own {
		t.Errorf("%s with things of another provider: %d %s, want %d", pattern, a.code, a.body, try.foreign)
	}
	asked := other.fill(try.path + pattern)
	if try.body != nil {
		asked += string(mustMarshal(try.body(other)))
	}
	for _, mark := range other.marks() {
		if strings.Contains(a.body, mark) && !strings.Contains(asked, mark) {
			t.Errorf("%s: the answer tells of %q: %s", pattern, mark, a.body)
		}
	}
	if try.foreign == 0 && strings.Contains(asked, "count=") && a.header.Get("X-Total-Count") != "1" {
		t.Errorf("%s: %s of one's own, want 1", asked, a.header.Get("X-Total-Count"))
	}
}

// everything is all that an administrator of the whole server sees of a provider,
// and whether anything is kept of its user.
func (n *tenant) everything(t *testing.T, r *rig) string {
	t.Helper()
	var b strings.Builder
	for _, path := range []string{
		"/publications/PUBLICATION", "/publications/SPARE", "/licenseinfo/LICENSE", "/license-events/LICENSE", "/status/LICENSE",
		"/providers/PROVIDER", "/providers/PROVIDER/secrets", "/providers/PROVIDER/templates/{name}",
	} {
		fmt.Fprintln(&b, r.must(t, http.StatusOK, "GET", n.fill(path), nil).body)
	}
	if _, err := r.store.Snapshot(t.Context(), n.license); err != nil {
		fmt.Fprintln(&b, err)
	}
	return b.String()
}

// add stores a provider.
func (r *rig) add(t *testing.T, p provider.Provider) {
	t.Helper()
	if err := provider.NewRecords(r.store).Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if err := r.options.Providers.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A license is issued in the name of the provider of its publication, whoever
// asks, and lives by its rules.
func TestLicensesAreTheirProviders(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for uri, want := range map[string]string{
		"https://second.example.org":   "https://second.example.org",
		"https://provider.example.org": "https://provider.example.org",
		"https://nobody.example.org":   "https://provider.example.org",
		"":                             "https://provider.example.org",
	} {
		pub := r.addPublication(t, object{"provider": uri})
		doc := decode[license.Document](t, r.must(t, http.StatusCreated, "POST", "/licenses", licenseRequest(pub)))
		hint, help := publicURL+"/hint/"+doc.ID, "mailto:help@provider.example.org"
		if want != "https://provider.example.org" {
			hint, help = publicURL+"/hint/second/"+doc.ID, "https://second.example.org/help"
		}
		if got := linkOf(&doc, license.RelHint); doc.Provider != want || got != hint || linkOf(&doc, license.RelSupport) != help {
			t.Errorf("license for a publication of %q: of %s, links %v", uri, doc.Provider, doc.Links)
		}
		fresh := decode[license.Document](t, r.must(t, http.StatusOK, "POST", "/licenses/"+doc.ID, freshRequest()))
		if fresh.Provider != want {
			t.Errorf("fresh license is of %s, want %s", fresh.Provider, want)
		}
	}
}

func linkOf(d *license.Document, rel string) string {
	for _, l := range d.Links {
		if l.Rel == rel {
			return l.Href
		}
	}
	return ""
}

// Each provider has a renewal policy, and may have a renew link of its own.
func TestRenewalsByProvider(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for uri, want := range map[string]struct {
		days int
		link string
	}{
		"":                           {60, publicURL + "/renew/"},
		"https://second.example.org": {5, "https://second.example.org/renew/"},
	} {
		id := r.addLicense(t, r.addPublication(t, object{"provider": uri}))
		r.register(t, id, deviceID)
		d := r.status(t, id)
		if end := epoch.AddDate(0, 0, 14+want.days); !d.PotentialRights.End.Equal(end) {
			t.Errorf("%q: can be renewed until %s, want %s", uri, d.PotentialRights.End, end)
		}
		renew := ""
		for _, l := range d.Links {
			if l.Rel == "renew" {
				renew = l.Href
			}
		}
		if !strings.HasPrefix(renew, want.link+id) {
			t.Errorf("%q: renew link is %s, want %s", uri, renew, want.link)
		}
		last := stamp(epoch.AddDate(0, 0, 14+want.days))
		r.mustPublic(t, http.StatusForbidden, "PUT", "/renew/"+id+device(deviceID)+"&end="+stamp(epoch.AddDate(0, 0, 15+want.days)))
		r.mustPublic(t, http.StatusOK, "PUT", "/renew/"+id+device(deviceID)+"&end="+last)
	}
}

// A caller whose provider is gone may do nothing, and one at the dashboard keeps
// to the provider that the login was for.
func TestCallersOfProviders(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key := access.NewKey()
	if err := r.store.AddKey(t.Context(), access.Principal{Name: "x", Role: access.Admin, Provider: "gone"}, access.HashKey(key)); err != nil {
		t.Fatal(err)
	}
	a := r.send(t, call{method: "GET", path: "/publications", header: http.Header{"Authorization": {"Bearer " + key}}})
	if a.code != http.StatusForbidden {
		t.Errorf("caller of a provider that is gone: %d %s", a.code, a.body)
	}
	r.loan(t)
	user := access.User{Name: "clerk", Role: access.Viewer, Hash: access.HashPassword(password), Provider: "second"}
	if err := r.store.SaveUser(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	login := r.send(t, call{method: "POST", path: "/dashdata/login", body: object{"username": "clerk", "password": password}})
	token, _ := decode[object](t, login)["token"].(string)
	figures := r.send(t, call{method: "GET", path: "/dashdata/data", header: http.Header{"Authorization": {"Bearer " + token}}})
	if d := decode[object](t, figures); figures.code != http.StatusOK || d["total_licenses"] != 0.0 || d["total_publications"] != 0.0 {
		t.Errorf("figures of a provider without anything: %d %s", figures.code, figures.body)
	}
}
