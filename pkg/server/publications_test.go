package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/access"
	"github.com/lcp-tools/lcp/pkg/license"
)

// fullPublication has every field that a publication has in the API.
func fullPublication(id string) object {
	return with(publication(id), object{
		"alt_id": "voyage", "provider": "https://provider.example.org", "authors": "Jules Verne, Anon",
		"publishers": "Hetzel", "description": "A journey.", "cover_url": "https://books.example.org/cover.jpg",
	})
}

func TestPublicationLife(t *testing.T) {
	t.Parallel()
	r, id := newRig(t), uuid.NewString()
	want := fullPublication(id)
	created := decode[object](t, r.must(t, http.StatusCreated, "POST", "/publications", want))
	wantMembers(t, "created", created, want)
	for _, path := range []string{"/publications/" + id, "/publications/" + strings.ToUpper(id), "/publications/altid/voyage"} {
		wantMembers(t, path, decode[object](t, r.must(t, http.StatusOK, "GET", path, nil)), want)
	}

	next := with(want, object{"title": "Journey", "alt_id": "journey", "description": nil})
	wantMembers(t, "updated", decode[object](t, r.must(t, http.StatusOK, "PUT", "/publications/"+id, next)), next)
	got := decode[object](t, r.must(t, http.StatusOK, "GET", "/publications/"+id, nil))
	wantMembers(t, "read again", got, next)
	if _, ok := got["description"]; ok {
		t.Errorf("the description is still there: %v", got)
	}
	r.must(t, http.StatusNotFound, "GET", "/publications/altid/voyage", nil)

	deleted := decode[object](t, r.must(t, http.StatusOK, "DELETE", "/publications/"+id, nil))
	if deleted["uuid"] != id || deleted["encryption_key"] != nil {
		t.Errorf("deleted = %v", deleted)
	}
	for _, c := range []call{
		{method: "GET", path: "/publications/" + id},
		{method: "DELETE", path: "/publications/" + id},
		{method: "PUT", path: "/publications/" + id, body: next},
		{method: "GET", path: "/publications/altid/journey"},
	} {
		r.must(t, http.StatusNotFound, c.method, c.path, c.body)
	}
	if n := r.total(t, "/publications"); n != "0" {
		t.Errorf("%s publications are listed, want 0", n)
	}
	r.must(t, http.StatusCreated, "POST", "/publications", next) // it may come back
}

// wantMembers fails unless an object has these members.
func wantMembers(t *testing.T, what string, got, want object) {
	t.Helper()
	got = roundTripJSON(t, got)
	for name, value := range roundTripJSON(t, want) {
		if fmt.Sprint(got[name]) != fmt.Sprint(value) {
			t.Errorf("%s: %s = %v, want %v", what, name, got[name], value)
		}
	}
}

func roundTripJSON(t *testing.T, o object) object {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return decode[object](t, answer{body: string(text)})
}

func TestPublicationConflicts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.addPublication(t, object{"alt_id": "taken"})
	other := uuid.NewString()
	for name, c := range map[string]struct {
		call
		want string
	}{
		"the same uuid":         {call{method: "POST", path: "/publications", body: publication(id)}, id},
		"an alt id that is had": {call{method: "POST", path: "/publications", body: with(publication(other), object{"alt_id": "taken"})}, "taken"},
		"another key":           {call{method: "PUT", path: "/publications/" + id, body: with(publication(id), object{"encryption_key": strings.Repeat("Q", 43) + "="})}, "key"},
	} {
		if a := r.do(t, c.method, c.path, c.body); a.code != http.StatusConflict || !strings.Contains(a.body, c.want) {
			t.Errorf("%s: %d %s", name, a.code, a.body)
		}
	}
	if n := r.total(t, "/publications"); n != "1" {
		t.Errorf("there are %s publications, want 1", n)
	}
	// A deleted one cannot come back with another key: its licenses live on.
	r.must(t, http.StatusOK, "DELETE", "/publications/"+id, nil)
	r.must(t, http.StatusConflict, "POST", "/publications", with(publication(id), object{"encryption_key": strings.Repeat("Q", 43) + "="}))
}

func TestPublicationKeyStays(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.addPublication(t)
	got := decode[object](t, r.must(t, http.StatusOK, "PUT", "/publications/"+id, with(publication(id), object{"encryption_key": nil, "uuid": nil})))
	wantMembers(t, "updated without a key", got, publication(id))
}

// Content keys are shown to those who may encrypt with them.
func TestPublicationKeyIsShownToPublishers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.addPublication(t, object{"alt_id": "a"})
	for role, want := range map[access.Role]bool{access.Admin: true, access.Publisher: true, access.Issuer: false, access.Viewer: false} {
		for _, path := range []string{"/publications/" + id, "/publications/altid/a", "/publications", "/publications/search?format=epub"} {
			a := r.send(t, call{method: "GET", path: path, role: role})
			list := strings.HasPrefix(a.body, "[")
			if got := strings.Contains(a.body, "encryption_key"); a.code != http.StatusOK || got != (want && !list) {
				t.Errorf("GET %s as %s: %d %s", path, role, a.code, a.body)
			}
		}
	}
}

// Who may read the list is told whether they may add to it.
func TestPublicationListSaysWhatIsAllowed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for role, want := range map[access.Role]string{
		access.Admin: "GET, HEAD, POST", access.Publisher: "GET, HEAD, POST", access.Issuer: "GET, HEAD", access.Viewer: "GET, HEAD",
	} {
		for _, path := range []string{"/publications", "/publications/?page=1&per_page=1"} {
			a := r.send(t, call{method: "GET", path: path, role: role})
			if got := a.header.Get("Allow"); a.code != http.StatusOK || got != want {
				t.Errorf("GET %s as %s: %d, Allow: %q, want %q", path, role, a.code, got, want)
			}
		}
	}
}

func TestPublicationLists(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	formats := []string{"epub", "pdf", "lcpdf", "lcpa", "lcpdi", "webpub"}
	types := []string{
		"application/epub+zip", "application/pdf", "application/pdf+lcp", "application/audiobook+lcp",
		"application/divina+lcp", "application/webpub+lcp",
	}
	var newest []string
	for _, mediaType := range types {
		newest = append(newest, r.addPublication(t, object{"content_type": mediaType}))
		r.clock.pass(time.Second)
	}
	slices.Reverse(newest)
	if got := uuidsOf(t, r.must(t, http.StatusOK, "GET", "/publications/", nil)); !slices.Equal(got, newest) {
		t.Errorf("list = %q, want %q", got, newest)
	}
	for i, format := range append(formats, "lcpau") {
		mediaType := types[min(i, 3)]
		if i < len(types) {
			mediaType = types[i]
		}
		a := r.must(t, http.StatusOK, "GET", "/publications/search/?format="+format, nil)
		list := decode[[]object](t, a)
		if len(list) != 1 || list[0]["content_type"] != mediaType || a.header.Get("X-Total-Count") != "1" {
			t.Errorf("format=%s: %s", format, a.body)
		}
	}
	checkPaging(t, r, "/publications", newest)
}

func uuidsOf(t *testing.T, a answer) []string {
	t.Helper()
	list := []string{}
	for _, o := range decode[[]object](t, a) {
		list = append(list, fmt.Sprint(o["uuid"]))
	}
	return list
}

// checkPaging goes through a list by its links, forth and back.
func checkPaging(t *testing.T, r *rig, path string, want []string) {
	t.Helper()
	const size = 4
	next := path + "?per_page=4&page=1"
	if strings.Contains(path, "?") {
		next = path + "&per_page=4&page=1"
	}
	var got []string
	last := ""
	for pages := 0; next != "" && pages < 10; pages++ {
		a := r.must(t, http.StatusOK, "GET", next, nil)
		if n := a.header.Get("X-Total-Count"); n != strconv.Itoa(len(want)) {
			t.Errorf("%s: X-Total-Count is %s, want %d", next, n, len(want))
		}
		page := uuidsOf(t, a)
		if len(page) > size {
			t.Errorf("%s has %d entries", next, len(page))
		}
		got = append(got, page...)
		links := linksOf(t, a.header)
		if (links["prev"] == "") != (pages == 0) {
			t.Errorf("%s: Link is %q", next, a.header.Get("Link"))
		}
		next, last = links["next"], next
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s, page by page: %q, want %q", path, got, want)
	}
	back := linksOf(t, r.must(t, http.StatusOK, "GET", last, nil).header)["prev"]
	if page := uuidsOf(t, r.must(t, http.StatusOK, "GET", back, nil)); len(page) != size {
		t.Errorf("back at %s are %d entries", back, len(page))
	}
}

// linksOf reads a Link header (RFC 8288).
func linksOf(t *testing.T, h http.Header) map[string]string {
	t.Helper()
	links := map[string]string{}
	for link := range strings.SplitSeq(h.Get("Link"), ", ") {
		if link == "" {
			continue
		}
		href, rel, ok := strings.Cut(strings.TrimPrefix(link, "<"), `>; rel="`)
		if _, err := url.Parse(href); err != nil || !ok {
			t.Fatalf("Link: %s", h.Get("Link"))
		}
		links[strings.TrimSuffix(rel, `"`)] = href
	}
	return links
}

// A deleted publication gives no new license. Those that were made for it live
// on, and can be fetched afresh.
func TestPublicationSoftDelete(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pub := r.addPublication(t, object{"alt_id": "gone"})
	id := r.addLicense(t, pub)
	r.must(t, http.StatusOK, "DELETE", "/publications/"+pub, nil)
	for _, request := range []object{licenseRequest(pub), with(licenseRequest(pub), object{"publication_id": nil, "alt_id": "gone"})} {
		if a := r.must(t, http.StatusNotFound, "POST", "/licenses", request); !strings.Contains(a.body, "unknown publication") {
			t.Errorf("answer: %s", a.body)
		}
	}
	r.must(t, http.StatusOK, "POST", "/licenses/"+id, freshRequest())
	r.register(t, id, deviceID)
	if d := r.status(t, id); d.Status != "active" {
		t.Errorf("status is %s, want active", d.Status)
	}
	if info := r.info(t, id); info["publication_id"] != pub {
		t.Errorf("record: %v", info)
	}
	if n := r.total(t, "/licenses"); n != "1" {
		t.Errorf("there are %s licenses, want 1", n)
	}
}

// With another file licenses have its hash and length from then on, and apps
// learn that those they have are to be fetched again.
func TestPublicationReplaced(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pub := r.addPublication(t)
	ready, active, returned, revoked := r.addLicense(t, pub), r.addLicense(t, pub), r.addLicense(t, pub), r.addLicense(t, pub)
	r.register(t, active, deviceID)
	r.register(t, returned, deviceID)
	r.mustPublic(t, http.StatusOK, "PUT", "/return/"+returned)
	r.must(t, http.StatusOK, "PUT", "/revoke/"+revoked, nil)
	before := map[string]statusDocument{}
	for _, id := range []string{ready, active, returned, revoked} {
		before[id] = r.status(t, id)
	}
	r.clock.pass(time.Hour)
	replaced := object{"size": 1234, "checksum": strings.Repeat("AB", 32)}
	r.must(t, http.StatusOK, "PUT", "/publications/"+pub, with(publication(pub), replaced))

	for _, id := range []string{ready, active} {
		d := r.status(t, id)
		if !d.Updated.License.Equal(r.clock.now()) || !d.Updated.Status.After(before[id].Updated.Status) || d.Status != before[id].Status {
			t.Errorf("%s license: updated %v, before %v", d.Status, d.Updated, before[id].Updated)
		}
		doc := decode[license.Document](t, r.must(t, http.StatusOK, "POST", "/licenses/"+id, freshRequest()))
		checkFile(t, &doc, 1234, strings.Repeat("ab", 32))
		if !doc.Updated.Equal(d.Updated.License) {
			t.Errorf("license was updated %v, its status document says %v", doc.Updated, d.Updated.License)
		}
	}
	for _, id := range []string{returned, revoked} {
		if d := r.status(t, id); d.Updated != before[id].Updated {
			t.Errorf("%s license: updated %v, before %v", d.Status, d.Updated, before[id].Updated)
		}
	}
	later := decode[license.Document](t, r.must(t, http.StatusCreated, "POST", "/licenses", licenseRequest(pub)))
	checkFile(t, &later, 1234, strings.Repeat("ab", 32))
	if d := r.status(t, later.ID); !d.Updated.License.Equal(later.Issued) {
		t.Errorf("a license made afterwards counts as updated %v", d.Updated.License)
	}

	// A record that changes without its file changes no license.
	old := r.status(t, active)
	r.clock.pass(time.Hour)
	r.must(t, http.StatusOK, "PUT", "/publications/"+pub, with(with(publication(pub), replaced), object{"description": "New."}))
	if d := r.status(t, active); d.Updated != old.Updated {
		t.Errorf("with another description only, updated %v, before %v", d.Updated, old.Updated)
	}
}

func checkFile(t *testing.T, doc *license.Document, size int64, hash string) {
	t.Helper()
	if l, _ := doc.Link(license.RelPublication); l.Length != size || l.Hash != hash {
		t.Errorf("publication link = %+v, want %d bytes, hash %s", l, size, hash)
	}
}
