package server_test

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/certificate"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/profile"
)

func TestLicenseGenerate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pub := r.addPublication(t, object{"alt_id": "voyage"})
	for name, change := range map[string]object{
		"by uuid":   {},
		"by alt id": {"publication_id": nil, "alt_id": "voyage"},
	} {
		a := r.must(t, http.StatusCreated, "POST", "/licenses/", with(licenseRequest(pub), change))
		if got := a.header.Get("Content-Type"); got != license.MediaType {
			t.Errorf("%s: Content-Type is %s", name, got)
		}
		checkLicense(t, a, pub)
	}
	list := decode[[]object](t, r.must(t, http.StatusOK, "GET", "/licenses", nil))
	if len(list) != 2 {
		t.Fatalf("%d licenses are listed, want 2", len(list))
	}
	wantMembers(t, "record", list[0], object{
		"user_id": userID, "publication_id": pub, "provider": "https://provider.example.org", "start": stamp(epoch),
		"end": stamp(epoch.AddDate(0, 0, 14)), "max_end": stamp(epoch.AddDate(0, 0, 74)), "copy": 20000, "print": 100,
		"status": "ready", "device_count": 0, "publication_title": "Voyage au centre de la terre",
	})
	for _, personal := range []string{userName, userEmail, textHint, passHash} {
		if text := fmt.Sprint(list); strings.Contains(strings.ToLower(text), strings.ToLower(personal)) {
			t.Errorf("the record has %q: %s", personal, text)
		}
	}
}

// checkLicense verifies a license and opens it as a reading app does.
func checkLicense(t *testing.T, a answer, pub string) {
	t.Helper()
	doc, err := license.Parse([]byte(a.body))
	if err != nil {
		t.Fatal(err)
	}
	root, err := certificate.Read(filepath.Join(certificates, "p256", certificate.RootFile))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(root[0])
	if _, err := doc.Verify(pool); err != nil {
		t.Errorf("Verify: %v", err)
	}
	hash, err := profile.ParseHash(passHash)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := doc.Open(lcpcrypto.UserKey(hash))
	if err != nil {
		t.Fatal(err)
	}
	if string(opened.ContentKey[:]) != string(contentKey) || opened.User.Name != userName || opened.User.Email != userEmail {
		t.Errorf("the license opens to something else, user %v", opened.User)
	}
	if doc.User.Name == userName || doc.User.ID != userID || !slices.Equal(doc.User.Encrypted, []string{"name", "email"}) {
		t.Errorf("user = %v", doc.User)
	}
	l, _ := doc.Link(license.RelPublication)
	if l.Href != "https://books.example.org/"+pub+".epub" || l.Length != 769257 || l.Type != "application/epub+zip" {
		t.Errorf("publication link = %+v", l)
	}
	if s, _ := doc.Link(license.RelStatus); s.Href != publicURL+"/status/"+doc.ID {
		t.Errorf("status link = %+v", s)
	}
}

func TestLicenseWithoutLimits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	request := with(licenseRequest(r.addPublication(t)), object{
		"copy": nil, "print": nil, "start": nil, "end": nil, "profile": nil, "user_name": nil, "user_email": nil, "user_encrypted": nil,
	})
	doc := decode[license.Document](t, r.must(t, http.StatusCreated, "POST", "/licenses", request))
	if doc.Rights != (license.Rights{}) || doc.Encryption.Profile != profile.Basic {
		t.Errorf("rights %+v, profile %s", doc.Rights, doc.Encryption.Profile)
	}
	info := r.info(t, doc.ID)
	for _, name := range []string{"start", "end", "max_end", "copy", "print"} {
		if v, ok := info[name]; ok {
			t.Errorf("record has %s = %v", name, v)
		}
	}
	zero := decode[license.Document](t, r.must(t, http.StatusCreated, "POST", "/licenses", with(request, object{"copy": 0, "print": 0})))
	if zero.Rights.Copy == nil || *zero.Rights.Copy != 0 || zero.Rights.Print == nil || *zero.Rights.Print != 0 {
		t.Errorf("with no copies allowed the rights are %+v", zero.Rights)
	}
}

// LCP Server v2 has -1 for no limit, in what it takes and in what it shows: clients
// send back what they read from it.
func TestNoLimitOfLCPServer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pub, raw := r.addPublication(t), uuid.NewString()
	limitless := object{"copy": -1, "print": -1}
	generated := decode[license.Document](t, r.must(t, http.StatusCreated, "POST", "/licenses", with(licenseRequest(pub), limitless))).ID
	r.must(t, http.StatusCreated, "POST", "/licenseinfo", with(licenseRecord(raw, pub), limitless))
	changed := r.addLicense(t, pub)
	r.must(t, http.StatusOK, "PUT", "/licenseinfo/"+changed, with(r.info(t, changed), limitless))
	for name, id := range map[string]string{"generated": generated, "raw": raw, "changed": changed} {
		wantMembers(t, name, r.info(t, id), object{"copy": nil, "print": nil})
		doc := decode[license.Document](t, r.must(t, http.StatusOK, "POST", "/licenses/"+id, freshRequest()))
		if doc.Rights.Copy != nil || doc.Rights.Print != nil {
			t.Errorf("%s: rights are %+v", name, doc.Rights)
		}
	}
}

func TestLicenseLink(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pub := r.addPublication(t)
	a := r.must(t, http.StatusSeeOther, "POST", "/licenses/?link=true", licenseRequest(pub))
	id := uuidsOf(t, r.must(t, http.StatusOK, "GET", "/licenses", nil))
	if len(id) != 1 || a.header.Get("Location") != "https://shop.example.org/fresh/"+id[0] || a.body != "" {
		t.Errorf("answer %v %q, licenses %q", a.header, a.body, id)
	}
	r.must(t, http.StatusCreated, "POST", "/licenses/?link=false", licenseRequest(pub))
}

func TestLicenseFresh(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pub := r.addPublication(t)
	id := r.addLicense(t, pub)
	r.clock.pass(time.Hour)
	a := r.must(t, http.StatusOK, "POST", "/licenses/"+strings.ToUpper(id), freshRequest())
	checkLicense(t, a, pub)
	doc := decode[license.Document](t, a)
	if doc.ID != id || !doc.Issued.Equal(epoch) || !doc.Updated.IsZero() || *doc.Rights.Print != 100 {
		t.Errorf("license %s, issued %s, updated %s, rights %+v", doc.ID, doc.Issued, doc.Updated, doc.Rights)
	}
	// What is not the user's to say is as the record has it.
	changed := with(freshRequest(), object{"end": stamp(epoch.AddDate(1, 0, 0)), "copy": 1, "publication_id": uuid.NewString(), "user_id": nil})
	doc = decode[license.Document](t, r.must(t, http.StatusOK, "POST", "/licenses/"+id, changed))
	if !doc.Rights.End.Equal(epoch.AddDate(0, 0, 14)) || *doc.Rights.Copy != 20000 || doc.User.ID != userID {
		t.Errorf("rights %+v, user %s", doc.Rights, doc.User.ID)
	}
	r.register(t, id, deviceID)
	r.clock.pass(time.Hour)
	r.mustPublic(t, http.StatusOK, "PUT", "/return/"+id+device(deviceID))
	doc = decode[license.Document](t, r.must(t, http.StatusOK, "POST", "/licenses/"+id, freshRequest()))
	if d := r.status(t, id); !doc.Rights.End.Equal(r.clock.now()) || !doc.Updated.Equal(d.Updated.License) {
		t.Errorf("after the return: end %s, updated %s, status document %+v", doc.Rights.End, doc.Updated, d.Updated)
	}
	r.must(t, http.StatusNotFound, "POST", "/licenses/"+uuid.NewString(), freshRequest())
}

// The same instant is the same text in a license, its record and its status
// document.
func TestLicenseDatesAgree(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.clock.pass(123456789 * time.Nanosecond)
	pub := r.addPublication(t)
	id := r.addLicense(t, pub, object{"end": "2030-06-01T12:00:00.123456+02:00"})
	r.register(t, id, deviceID)
	a := r.mustPublic(t, http.StatusOK, "PUT", "/renew/"+id+"?end=2030-06-20T10:00:00.987654Z")
	fresh := decode[object](t, r.must(t, http.StatusOK, "POST", "/licenses/"+id, freshRequest()))
	statusDoc := decode[struct {
		Updated struct{ License string }
	}](t, a)
	rights, _ := fresh["rights"].(object)
	info := r.info(t, id)
	if rights["end"] != "2030-06-20T10:00:00.987Z" || info["end"] != rights["end"] ||
		fresh["updated"] != statusDoc.Updated.License || info["updated"] != fresh["updated"] {
		t.Errorf("license: end %v updated %v, record: end %v updated %v, status document: updated %v",
			rights["end"], fresh["updated"], info["end"], info["updated"], statusDoc.Updated.License)
	}
}

func TestLicenseSearch(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pubA, pubB := r.addPublication(t), r.addPublication(t)
	ids := map[string]string{}
	add := func(name, pub, user string, devices int, more object) {
		ids[name] = r.addLicense(t, pub, object{"user_id": user}, more)
		for i := range devices {
			r.register(t, ids[name], fmt.Sprintf("%s-%d", name, i))
		}
		r.clock.pass(time.Second)
	}
	add("unused", pubA, "ann", 0, nil)
	add("one", pubA, "bob", 1, nil)
	add("three", pubB, "ann", 3, nil)
	add("short", pubB, "bob", 1, object{"end": stamp(epoch.Add(time.Hour))})
	add("revoked", pubA, "cy", 2, nil)
	r.must(t, http.StatusOK, "PUT", "/revoke/"+ids["revoked"], nil)
	r.clock.pass(2 * time.Hour)
	for query, want := range map[string]string{
		"user=ann":                      "three unused",
		"user=nobody":                   "",
		"pub=" + pubA:                   "revoked one unused",
		"pub=" + strings.ToUpper(pubB):  "short three",
		"status=ready":                  "unused",
		"status=active":                 "three one",
		"status=expired":                "short",
		"status=revoked":                "revoked",
		"status=returned":               "",
		"count=0:0":                     "unused",
		"count=1:2":                     "revoked short one",
		"count=3:100":                   "three",
		"device=one-0":                  "one",
		"device=nothing":                "",
		"user=ann&count=3:3":            "three",
		"user=ann&status=active":        "three",
		"user=bob&pub=" + pubB:          "short",
		"month=2030-05":                 "revoked short three one unused",
		"month=2030-06":                 "",
		"date=2030-05-01":               "revoked short three one unused",
		"date=2030-05-01&user=cy":       "revoked",
		"user=&status=ready":            "unused",
		"user=ann&user=bob&status=":     "three unused",
		"user=ann&count=":               "three unused",
		"user=x'%20OR%20'1'%3D'1":       "",
		"device=%25":                    "",
		"user=ann%22%3B--&pub=":         "",
		"status=active&pub=" + pubA:     "one",
		"count=1:1&status=active&pub=x": "",
	} {
		for _, path := range []string{"/licenses/search/?", "/licenseinfo/search?"} {
			a := r.must(t, http.StatusOK, "GET", path+query, nil)
			var names []string
			for _, id := range uuidsOf(t, a) {
				for name, known := range ids {
					if id == known {
						names = append(names, name)
					}
				}
			}
			if got := strings.Join(names, " "); got != want || a.header.Get("X-Total-Count") != strconv.Itoa(len(names)) {
				t.Errorf("%s%s: %q of %s, want %q", path, query, got, a.header.Get("X-Total-Count"), want)
			}
		}
	}
	r.must(t, http.StatusBadRequest, "GET", "/licenses/search", nil)
}

func TestLicenseLists(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pub := r.addPublication(t)
	var newest []string
	for range 10 {
		newest = append(newest, r.addLicense(t, pub))
	}
	slices.Reverse(newest)
	for _, path := range []string{"/licenses", "/licenseinfo/", "/licenses/search?user=" + userID, "/licenseinfo/search?status=ready&pub=" + pub} {
		checkPaging(t, r, path, newest)
	}
	empty := r.must(t, http.StatusOK, "GET", "/licenses?page=9", nil)
	if empty.body != "[]" || linksOf(t, empty.header)["next"] != "" || empty.header.Get("X-Total-Count") != "10" {
		t.Errorf("a page past the end: %s %v", empty.body, empty.header)
	}
}

// Clients of the documented server ask for the next page of a list, and find all
// in one answer to a search.
func TestUnpagedAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const all, page = 25, 20
	pub := ""
	for range all {
		pub = r.addPublication(t)
		r.addLicense(t, pub)
	}
	token := r.login(t)
	for path, want := range map[string]int{
		"/publications":                       page,
		"/publications/search?format=epub":    all,
		"/licenses":                           page,
		"/licenseinfo/":                       page,
		"/licenses/search?user=" + userID:     all,
		"/licenseinfo/search?status=ready":    all,
		"/dashdata/publications":              page,
		"/dashdata/user-licenses/" + userID:   all,
		"/licenses/search?count=0:0&page=2":   0,
		"/licenses/search?pub=" + pub:         1,
		"/licenses/search?count=0:9&page=1":   all,
		"/licenses/search?count=0:9&per_page": all,
	} {
		send := r.do
		if strings.HasPrefix(path, "/dashdata/") {
			send = func(t *testing.T, method, path string, _ any) answer { return r.dashboard(t, token, method, path) }
		}
		if n := len(uuidsOf(t, send(t, "GET", path, nil))); n != want {
			t.Errorf("%s: %d records, want %d", path, n, want)
		}
	}
}

// licenseRecord is the request of the documented API.
func licenseRecord(id, pub string) object {
	return object{
		"uuid": id, "user_id": userID, "publication_id": pub, "provider": "http://test-provider.com", "start": stamp(epoch),
		"end": stamp(epoch.AddDate(0, 0, 8)), "copy": 20000, "print": 100, "status": "ready",
	}
}

func TestLicenseInfoLife(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pub, id := r.addPublication(t), uuid.NewString()
	want := licenseRecord(id, pub)
	wantMembers(t, "created", decode[object](t, r.must(t, http.StatusCreated, "POST", "/licenseinfo/", want)), want)
	wantMembers(t, "read", r.info(t, id), with(want, object{"max_end": stamp(epoch.AddDate(0, 0, 68)), "device_count": 0}))
	r.must(t, http.StatusConflict, "POST", "/licenseinfo", want)
	r.register(t, id, deviceID)

	// The record as it was read can be sent back, changed in part.
	r.clock.pass(time.Hour)
	before := r.status(t, id)
	next := with(r.info(t, id), object{"end": stamp(epoch.AddDate(0, 0, 20)), "copy": nil, "device_count": 7})
	wantMembers(t, "updated", decode[object](t, r.must(t, http.StatusOK, "PUT", "/licenseinfo/"+id, next)),
		object{"end": stamp(epoch.AddDate(0, 0, 20)), "copy": nil, "device_count": 1, "status": "active"})
	if d := r.status(t, id); !d.Updated.License.After(before.Updated.License) || !d.Updated.Status.After(before.Updated.Status) || len(d.Events) != 1 {
		t.Errorf("after the change: %+v, before: %+v", d, before)
	}
	doc := decode[license.Document](t, r.must(t, http.StatusOK, "POST", "/licenses/"+id, freshRequest()))
	if !doc.Rights.End.Equal(epoch.AddDate(0, 0, 20)) || doc.Rights.Copy != nil {
		t.Errorf("rights are %+v", doc.Rights)
	}

	r.must(t, http.StatusOK, "DELETE", "/licenseinfo/"+id, nil)
	for _, c := range []call{
		{method: "GET", path: "/licenseinfo/" + id},
		{method: "DELETE", path: "/licenseinfo/" + id},
		{method: "PUT", path: "/licenseinfo/" + id, body: want},
		{method: "GET", path: "/status/" + id},
		{method: "GET", path: "/license-events/" + id},
		{method: "POST", path: "/licenses/" + id, body: freshRequest()},
	} {
		r.must(t, http.StatusNotFound, c.method, c.path, c.body)
	}
	r.must(t, http.StatusConflict, "POST", "/licenseinfo", want)
}

// A license whose end has passed is told as expired, and sending that back does
// not make it stay so.
func TestLicenseInfoTellsExpiry(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.loan(t)
	r.register(t, id, deviceID)
	r.clock.pass(15 * 24 * time.Hour)
	info := r.info(t, id)
	if info["status"] != "expired" {
		t.Errorf("record: status is %v, want expired", info["status"])
	}
	if list := decode[[]object](t, r.must(t, http.StatusOK, "GET", "/licenses/search?status=expired", nil)); len(list) != 1 || list[0]["status"] != "expired" {
		t.Errorf("search: %v", list)
	}
	r.must(t, http.StatusOK, "PUT", "/licenseinfo/"+id, with(info, object{"end": stamp(epoch.AddDate(0, 0, 40))}))
	if d := r.status(t, id); d.Status != "active" {
		t.Errorf("with a later end the status is %s, want active", d.Status)
	}
}

func TestLicenseEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.loan(t)
	if a := r.must(t, http.StatusOK, "GET", "/license-events/"+id, nil); a.body != "[]" {
		t.Errorf("a new license has the events %s", a.body)
	}
	r.register(t, id, deviceID)
	r.clock.pass(time.Minute)
	r.mustPublic(t, http.StatusOK, "PUT", "/renew/"+id+device(deviceID)+"&end=2030-06-01T00:00:00Z")
	r.must(t, http.StatusOK, "PUT", "/revoke/"+id, nil)
	want := []object{
		{"timestamp": stamp(epoch), "type": "register", "device_name": deviceName, "device_id": deviceID},
		{"timestamp": stamp(epoch.Add(time.Minute)), "type": "renew", "device_name": deviceName, "device_id": deviceID},
		{"timestamp": stamp(epoch.Add(time.Minute)), "type": "revoke", "device_name": "", "device_id": ""},
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got := decode[[]object](t, r.must(t, http.StatusOK, "GET", "/license-events/"+id, nil))
	if again, _ := json.Marshal(got); string(again) != string(text) {
		t.Errorf("events = %s, want %s", again, text)
	}
	r.must(t, http.StatusNotFound, "GET", "/license-events/"+uuid.NewString(), nil)
}
