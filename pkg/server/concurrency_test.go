package server_test

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/license"
)

// clients is how many call at the same time.
const clients = 64

// together runs work in as many goroutines as there are clients.
func together(work func(client int)) {
	var wg sync.WaitGroup
	for n := range clients {
		wg.Go(func() { work(n) })
	}
	wg.Wait()
}

// onAll runs a test on every database that there is.
func onAll(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, newRig(t))
	})
	for _, s := range databaseServers {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			test(t, newRigOn(t, s.database(t)))
		})
	}
}

func TestConcurrentRegistrations(t *testing.T) {
	t.Parallel()
	onAll(t, testConcurrentRegistrations)
}

func testConcurrentRegistrations(t *testing.T, r *rig) {
	one := r.loan(t)
	together(func(n int) {
		for range 3 { // of the same device
			r.register(t, one, fmt.Sprintf("device-%d", n))
		}
	})
	r.checkDevices(t, one, clients)

	same := r.loan(t)
	together(func(int) { r.register(t, same, deviceID) })
	r.checkDevices(t, same, 1)
}

// checkDevices compares a license's number of devices with its events, in all
// the places where they are told.
func (r *rig) checkDevices(t *testing.T, id string, want int) {
	t.Helper()
	d := r.status(t, id)
	seen := map[string]bool{}
	for i, e := range d.Events {
		if e.Type != "register" || seen[e.ID] || i > 0 && e.Timestamp.Before(d.Events[i-1].Timestamp) {
			t.Errorf("event %+v", e)
		}
		seen[e.ID] = true
	}
	info, list := r.info(t, id), decode[[]object](t, r.must(t, http.StatusOK, "GET", "/license-events/"+id, nil))
	if len(seen) != want || info["device_count"] != float64(want) || len(list) != want || d.Status != "active" {
		t.Errorf("%d devices in the status document, %v in the record, %d in the history, want %d", len(seen), info["device_count"], len(list), want)
	}
	if n := r.total(t, fmt.Sprintf("/licenses/search?count=%d:%d", want, want)); n != "1" {
		t.Errorf("the search finds %s licenses with %d devices, want 1", n, want)
	}
}

func TestConcurrentLicenses(t *testing.T) {
	t.Parallel()
	onAll(t, testConcurrentLicenses)
}

func testConcurrentLicenses(t *testing.T, r *rig) {
	pub := r.addPublication(t)
	const each = 4
	var ids sync.Map
	together(func(n int) {
		for range each {
			id := decode[license.Document](t, r.must(t, http.StatusCreated, "POST", "/licenses", with(licenseRequest(pub), object{"user_id": strconv.Itoa(n)}))).ID
			if _, known := ids.LoadOrStore(id, n); known {
				t.Errorf("%s was given twice", id)
			}
			r.register(t, id, "a")
			r.register(t, id, "b")
			if n%2 == 0 {
				r.must(t, http.StatusOK, "PUT", "/revoke/"+id, nil)
			}
		}
	})
	for path, want := range map[string]int{
		"/licenses": each * clients, "/licenses/search?user=7": each, "/licenses/search?status=active": each * clients / 2,
		"/licenses/search?status=revoked": each * clients / 2, "/licenses/search?count=2:2": each * clients, "/licenses/search?status=ready": 0,
	} {
		if n := r.total(t, path); n != strconv.Itoa(want) {
			t.Errorf("%s: %s, want %d", path, n, want)
		}
	}
	token := r.login(t)
	wantMembers(t, "figures", decode[object](t, r.dashboard(t, token, "GET", "/dashdata/data")),
		object{"total_licenses": each * clients, "total_users": clients, "licenses_last_day": each * clients})
}

// Of moves that shut one another out one happens, and nothing is lost of it.
func TestConcurrentMoves(t *testing.T) {
	t.Parallel()
	onAll(t, testConcurrentMoves)
}

func testConcurrentMoves(t *testing.T, r *rig) {
	id := r.loan(t)
	r.register(t, id, deviceID)
	r.clock.pass(time.Hour)
	var mu sync.Mutex
	codes := map[string]int{}
	together(func(n int) {
		var a answer
		name := []string{"return", "renew", "register", "revoke"}[n%4]
		switch name {
		case "return":
			a = r.public(t, "PUT", "/return/"+id)
		case "renew":
			a = r.public(t, "PUT", fmt.Sprintf("/renew/%s?end=2030-06-%02dT00:00:00Z", id, 1+n/4))
		case "register":
			a = r.public(t, "POST", "/register/"+id+device(strconv.Itoa(n)))
		default:
			a = r.do(t, "PUT", "/revoke/"+id, nil)
		}
		mu.Lock()
		defer mu.Unlock()
		codes[fmt.Sprint(name, " ", a.code/100)]++
	})
	happened := map[string]int{}
	d := r.status(t, id)
	for _, e := range d.Events {
		happened[e.Type]++
	}
	if d.Status != "revoked" || codes["revoke 2"] != clients/4 || happened["revoke"] != 1 {
		t.Errorf("status %s, answers %v, events %v", d.Status, codes, happened)
	}
	if codes["return 2"] > 1 || happened["return"] != codes["return 2"] || happened["renew"] != codes["renew 2"] ||
		happened["register"] != codes["register 2"]+1 {
		t.Errorf("answers %v, events %v", codes, happened)
	}
}
