//go:build unix

package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/api"
)

// After a move the license server points to the new address, and apps are told to
// fetch licenses again; the local store likewise. Nothing changes without --apply.
func TestRelocate(t *testing.T) {
	t.Parallel()
	for name, onServer := range map[string]bool{"on a server": true, "in the local store": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newReadingMachine(t)
			s := m.serve(t, "")
			if onServer {
				m.env = append(m.env, "LCP_SERVER="+s.base, "LCP_SERVER_USER="+s.user, "LCP_SERVER_PASSWORD="+s.password)
			}
			shelf := httptest.NewServer(http.FileServer(http.Dir(m.path("shelf"))))
			defer shelf.Close()
			m.write(t, "book.epub", sample(t, "sample.epub"))
			const old = "https://old.example.com/books"
			rec := m.must(t, "encrypt", "book.epub", "--cover", "--out", "shelf", "--url", old).record(t)
			license := s.want(t, http.StatusCreated, "POST", "/licenses/", licenseFor(rec.UUID, "u"))
			id := idOf(t, license)
			before := s.licenseUpdated(t, id)

			if o := m.must(t, "storage", "relocate", old, shelf.URL, "--check"); !strings.Contains(o.errors, "1 would move") {
				t.Errorf("without --apply: %s", o.errors)
			}
			if s.publication(t, rec.UUID).Href != rec.Href || s.licenseUpdated(t, id) != before {
				t.Error("something changed without --apply")
			}
			if o := m.run(t, "storage", "relocate", old, shelf.URL+"/nowhere", "--check", "--apply"); o.code != exitFailed || !strings.Contains(o.errors, "404 Not Found") {
				t.Errorf("exit code %d: %s", o.code, o.errors)
			}
			m.must(t, "storage", "relocate", old, shelf.URL, "--check", "--apply")
			p := s.publication(t, rec.UUID)
			if p.Href != shelf.URL+"/"+path.Base(rec.Href) || p.CoverURL != shelf.URL+"/"+filepath.Base(rec.Cover) || p.Checksum != rec.Checksum || p.Title != rec.Title {
				t.Errorf("record %+v", p)
			}
			if after := s.licenseUpdated(t, id); !after.After(before) {
				t.Errorf("the license was updated at %s, and after the move at %s", before, after)
			}
			fresh := s.want(t, http.StatusOK, "POST", "/licenses/"+id, licenseFor(rec.UUID, "u"))
			if !strings.Contains(string(fresh), p.Href) {
				t.Errorf("the fresh license does not point to %s", p.Href)
			}
			if o := m.must(t, "storage", "relocate", old, shelf.URL, "--apply"); o.out != "" || !strings.Contains(o.errors, "0 moved") {
				t.Errorf("running again: %s%s", o.out, o.errors)
			}
		})
	}
}

func (s *served) publication(t *testing.T, id string) (p api.Publication) {
	t.Helper()
	if err := json.Unmarshal(s.want(t, http.StatusOK, "GET", "/publications/"+id, nil), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// licenseUpdated is updated.license of a status document.
func (s *served) licenseUpdated(t *testing.T, id string) time.Time {
	t.Helper()
	var doc struct {
		Updated struct{ License time.Time }
	}
	if err := json.Unmarshal(s.want(t, http.StatusOK, "GET", "/status/"+id, nil), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Updated.License
}
