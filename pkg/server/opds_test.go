package server_test

import (
	"encoding/hex"
	"net/http"
	"testing"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/server"
)

// opdsDocument is what an app reads of an OPDS publication.
type opdsDocument struct {
	Metadata struct{ Identifier, Title string }
	Links    []struct {
		Rel, Href, Type string
		Properties      struct {
			Hash         []byte `json:"lcp_hashed_passphrase"`
			Indirect     []struct{ Type string }
			Authenticate struct{ Href, Type string }
		}
	}
}

// The provider's server gets the document for the user who has logged in to it.
func TestOPDSPublication(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *server.Options) {
		setProviders(t, o, newDirectory(t, provider.Provider{
			SnapshotUsers: true,
			KeyRetrieval:  provider.KeyRetrieval{PublicationLink: "https://shop.example.org/opds/{license_id}", Authentication: "https://shop.example.org/auth"},
		}))
	})
	id := r.loan(t)
	doc := decode[license.Document](t, r.must(t, http.StatusOK, "POST", "/licenses/"+id, freshRequest()))
	link, ok := doc.Link(license.RelAcquisition)
	if want := "https://shop.example.org/opds/" + id; !ok || link.Href != want || link.Type != "application/opds-publication+json" {
		t.Errorf("license has the link %+v, want %s", link, want)
	}
	for name, body := range map[string]object{"hash given": {"pass_hash": passHash, "user_id": userID}, "hash kept": {}} {
		a := r.must(t, http.StatusOK, "POST", "/licenses/"+id+"/opds", body)
		if got := a.header.Get("Content-Type"); got != license.OPDSMediaType || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", name, a.header)
		}
		d := decode[opdsDocument](t, a)
		if len(d.Links) != 2 || d.Metadata.Title == "" {
			t.Fatalf("%s: %s", name, a.body)
		}
		got := d.Links[0]
		if got.Rel != "http://opds-spec.org/acquisition" || got.Type != license.MediaType || got.Href != "https://shop.example.org/fresh/"+id ||
			hex.EncodeToString(got.Properties.Hash) != passHash || got.Properties.Authenticate.Href != "https://shop.example.org/auth" {
			t.Errorf("%s: link %+v", name, got)
		}
		if d.Links[1].Href != link.Href {
			t.Errorf("%s: it is itself at %s, and licenses link to %s", name, d.Links[1].Href, link.Href)
		}
	}
	for name, tt := range map[string]struct {
		id   string
		body object
		code int
	}{
		"another user":    {id, object{"user_id": "other", "pass_hash": passHash}, http.StatusBadRequest},
		"no hash":         {id, object{"pass_hash": "x"}, http.StatusBadRequest},
		"unknown license": {uuid.NewString(), object{"pass_hash": passHash}, http.StatusNotFound},
	} {
		if a := r.do(t, "POST", "/licenses/"+tt.id+"/opds", tt.body); a.code != tt.code {
			t.Errorf("%s: %d %s, want %d", name, a.code, a.body, tt.code)
		}
	}
}

// Where nothing is kept, the hash has to come with the request.
func TestOPDSPublicationNeedsHash(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.loan(t)
	if a := r.do(t, "POST", "/licenses/"+id+"/opds", object{}); a.code != http.StatusBadRequest {
		t.Errorf("%d %s", a.code, a.body)
	}
}
