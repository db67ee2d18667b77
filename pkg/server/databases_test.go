package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/lcp-tools/lcp/pkg/access"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/store/storetest"
)

// A databaseServer is started for the first test that wants it.
type databaseServer struct {
	name  string
	start sync.Once
	*storetest.Server
	err error
}

var databaseServers = []*databaseServer{{name: "postgres"}, {name: "mariadb"}}

// database makes an empty database, or skips the test.
func (s *databaseServer) database(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short leaves database servers out")
	}
	s.start.Do(func() { s.Server, s.err = storetest.Start(context.Background(), s.name) })
	if errors.Is(s.err, storetest.ErrNoServer) {
		t.Skip(s.err)
	}
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.Database(t).DSN
}

func stopServers() {
	for _, s := range databaseServers {
		if s.Server != nil {
			_ = s.Stop()
		}
	}
}

// The way of a loan on every database.
func TestLoan(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, r *rig) {
		pub := r.addPublication(t, object{"alt_id": "book"})
		request := with(licenseRequest(pub), object{"publication_id": nil, "alt_id": "book"})
		a := r.send(t, keyed("k", "/licenses", request))
		id := decode[license.Document](t, a).ID
		if again := r.send(t, keyed("k", "/licenses", request)); again.body != a.body || again.code != http.StatusCreated {
			t.Errorf("repeated: %d %s", again.code, again.body)
		}
		r.register(t, id, deviceID)
		r.mustPublic(t, http.StatusOK, "PUT", "/renew/"+id+device(deviceID)+"&end="+stamp(epoch.AddDate(0, 0, 40)))
		r.must(t, http.StatusOK, "PUT", "/publications/"+pub, with(publication(pub), object{"size": 5}))
		r.must(t, http.StatusOK, "POST", "/licenses/"+id, freshRequest())
		r.mustPublic(t, http.StatusOK, "PUT", "/return/"+id+device(deviceID))
		if d := r.status(t, id); d.Status != "returned" || len(d.Events) != 3 {
			t.Errorf("status document: %+v", d)
		}
		for path, want := range map[string]string{
			"/licenses/search?user=" + userID: "1", "/licenses/search?status=returned": "1", "/licenses/search?count=1:1&pub=" + pub: "1",
			"/licenses/search?device=" + deviceID: "1", "/licenses/search?month=2030-05": "1", "/publications/search?format=epub": "1",
		} {
			if n := r.total(t, path); n != want {
				t.Errorf("%s: %s, want %s", path, n, want)
			}
		}
		token := r.login(t)
		wantMembers(t, "figures", decode[object](t, r.dashboard(t, token, "GET", "/dashdata/data")), object{"total_licenses": 1, "total_publications": 1})
		r.must(t, http.StatusOK, "DELETE", "/licenseinfo/"+id, nil)
		r.must(t, http.StatusOK, "DELETE", "/publications/"+pub, nil)
	})
}

// A database server that goes away takes nothing else with it: 503, and no
// answer that promises what was not kept. Once it is back so is everything,
// without a restart.
func TestDatabaseServerGone(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(databaseServers[0].database(t))
	if err != nil {
		t.Fatal(err)
	}
	wire := newWire(t, u.Host)
	u.Host = wire.address
	r := newRigOn(t, u.String())
	t.Cleanup(wire.mend) // before the store is closed
	pub := r.addPublication(t)
	id := r.addLicense(t, pub)

	wire.cut()
	for range 3 {
		for _, c := range []call{
			{method: "GET", path: "/status/" + id},
			{method: "POST", path: "/register/" + id + device("d")},
			{method: "POST", path: "/licenses", body: licenseRequest(pub), role: access.Admin},
			{method: "PUT", path: "/revoke/" + id, role: access.Admin},
			{method: "GET", path: "/dashdata/data"},
		} {
			a := r.send(t, c)
			if want := http.StatusServiceUnavailable; a.code != want && c.path != "/dashdata/data" {
				t.Errorf("%s %s: %d %s, want %d", c.method, c.path, a.code, a.body, want)
			}
		}
	}
	wire.mend()
	if d := r.status(t, id); d.Status != "ready" || len(d.Events) > 0 {
		t.Errorf("something was written: %+v", d)
	}
	r.register(t, id, deviceID)
	r.addLicense(t, pub)
	if n := r.total(t, "/licenses"); n != "2" {
		t.Errorf("there are %s licenses, want 2", n)
	}
}

// A wire to a server can be cut.
type wire struct {
	address string
	to      string

	mu    sync.Mutex
	whole bool
	conns []net.Conn // guarded by mu
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{address: l.Addr().String(), to: to, whole: true}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { w.carry(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		w.cut()
		wg.Wait()
	})
	return w
}

// carry copies between a connection and one to the server, until one of them is
// closed or the wire is cut.
func (w *wire) carry(conn net.Conn) {
	defer conn.Close()
	other, err := net.Dial("tcp", w.to)
	if err != nil || !w.keep(conn, other) {
		return
	}
	defer other.Close()
	go func() {
		_, _ = io.Copy(other, conn)
		other.Close()
	}()
	_, _ = io.Copy(conn, other)
}

func (w *wire) keep(conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.whole {
		w.conns = append(w.conns, conns...)
	} else {
		for _, c := range conns {
			c.Close()
		}
	}
	return w.whole
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.whole = false
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.whole = true
}
