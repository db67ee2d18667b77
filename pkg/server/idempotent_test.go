package server_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/access"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/server"
)

// keyed is a POST with an Idempotency-Key.
func keyed(key, path string, body any) call {
	return call{method: "POST", path: path, body: body, role: access.Admin, header: http.Header{"Idempotency-Key": {key}}}
}

func TestIdempotencyReplay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pub, record := r.addPublication(t), uuid.NewString()
	for name, c := range map[string]call{
		"license":     keyed("l", "/licenses", licenseRequest(pub)),
		"link":        keyed("k", "/licenses?link=true", licenseRequest(pub)),
		"publication": keyed("p", "/publications", publication(uuid.NewString())),
		"record":      keyed("r", "/licenseinfo", licenseRecord(record, pub)),
	} {
		first := r.send(t, c)
		if first.code != http.StatusCreated && first.code != http.StatusSeeOther {
			t.Fatalf("%s: %d %s", name, first.code, first.body)
		}
		r.clock.pass(time.Hour)
		again := r.send(t, c)
		if again.code != first.code || again.body != first.body || again.header.Get("Content-Type") != first.header.Get("Content-Type") ||
			again.header.Get("Location") != first.header.Get("Location") {
			t.Errorf("%s: %d %v %s, first %d %v %s", name, again.code, again.header, again.body, first.code, first.header, first.body)
		}
	}
	if n := r.total(t, "/licenses"); n != "3" {
		t.Errorf("there are %s licenses, want 3", n)
	}
}

func TestIdempotencyKeyIsOfOneRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pub := r.addPublication(t)
	first := r.send(t, keyed("k", "/licenses", licenseRequest(pub)))
	for name, c := range map[string]call{
		"another body":  keyed("k", "/licenses", with(licenseRequest(pub), object{"copy": 1})),
		"another path":  keyed("k", "/publications", publication(uuid.NewString())),
		"another query": keyed("k", "/licenses?link=true", licenseRequest(pub)),
	} {
		if a := r.send(t, c); a.code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", name, a.code, a.body)
		}
	}
	// Each caller has keys of its own, and other keys are other requests.
	other := keyed("k", "/licenses", licenseRequest(pub))
	other.role = access.Issuer
	for _, c := range []call{other, keyed("K", "/licenses", licenseRequest(pub))} {
		if a := r.send(t, c); a.code != http.StatusCreated || a.body == first.body {
			t.Errorf("%d %s", a.code, a.body)
		}
	}
}

// A request that failed had no effect, and its key may be used again.
func TestIdempotencyAfterFailure(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pub := uuid.NewString()
	if a := r.send(t, keyed("k", "/licenses", licenseRequest(pub))); a.code != http.StatusNotFound {
		t.Fatalf("%d %s", a.code, a.body)
	}
	r.must(t, http.StatusCreated, "POST", "/publications", publication(pub))
	if a := r.send(t, keyed("k", "/licenses", licenseRequest(pub))); a.code != http.StatusCreated {
		t.Errorf("%d %s", a.code, a.body)
	}
}

func TestIdempotencyConcurrently(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := keyed("k", "/licenses", licenseRequest(r.addPublication(t)))
	answers := make([]answer, 50)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			for {
				if answers[i] = r.send(t, c); answers[i].code != http.StatusConflict {
					return
				}
			}
		})
	}
	wg.Wait()
	for _, a := range answers {
		if a.code != http.StatusCreated || a.body != answers[0].body {
			t.Errorf("%d %s, another one %s", a.code, a.body, answers[0].body)
		}
	}
	if n := r.total(t, "/licenses"); n != "1" {
		t.Errorf("there are %s licenses, want 1", n)
	}
}

// A client that gives up and comes back gets the license that was made for it.
func TestIdempotencyOfAbandonedRequest(t *testing.T) {
	t.Parallel()
	var leave context.CancelFunc
	r := newRig(t, func(o *server.Options) {
		service := o.Licensing.Default()
		now := service.Now
		service.Now = func() time.Time {
			if leave != nil {
				leave()
				time.Sleep(50 * time.Millisecond) // for the server to notice; being late only proves less
			}
			return now()
		}
	})
	request := licenseRequest(r.addPublication(t))
	ctx, cancel := context.WithCancel(t.Context())
	leave = cancel
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.base+"/licenses", reader(t, request))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {"Bearer " + apiKeys[access.Admin]}, "Idempotency-Key": {"k"}}
	if resp, err := client.Do(req); err == nil {
		resp.Body.Close()
		t.Fatal("the client got an answer")
	}
	leave = func() {}
	var a answer
	for {
		if a = r.send(t, keyed("k", "/licenses", request)); a.code != http.StatusConflict {
			break
		}
	}
	if n := r.total(t, "/licenses"); a.code != http.StatusCreated || n != "1" {
		t.Errorf("%d %s, and there are %s licenses", a.code, a.body, n)
	}
}

// Where the process died between the license and its answer, the repeated
// request finds the license.
func TestIdempotencyAfterCrash(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := keyed("k", "/licenses", licenseRequest(r.addPublication(t)))
	first := decode[license.Document](t, r.send(t, c))
	r.forgetAnswers(t)
	if a := r.send(t, c); a.code != http.StatusConflict {
		t.Fatalf("while the other might be at work: %d %s", a.code, a.body)
	}
	r.clock.pass(2 * time.Minute)
	again := decode[license.Document](t, r.send(t, c))
	if n := r.total(t, "/licenses"); again.ID != first.ID || n != "1" {
		t.Errorf("license %s, first %s, and there are %s", again.ID, first.ID, n)
	}
}
