package licensing_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/certificate"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/licensing"
	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/signature"
	"github.com/lcp-tools/lcp/pkg/store"
)

// newPair makes a certificate, and returns its files and what signs with it.
func newPair(t *testing.T) (provider.Certificate, *signature.Signer) {
	t.Helper()
	dir := t.TempDir()
	if err := certificate.CreateTest(dir, certificate.P256, now); err != nil {
		t.Fatal(err)
	}
	files := provider.Certificate{Cert: filepath.Join(dir, certificate.CertificateFile), PrivateKey: filepath.Join(dir, certificate.KeyFile)}
	pair, err := certificate.Load(files.Cert, files.PrivateKey, now)
	if err != nil {
		t.Fatal(err)
	}
	return files, pair.Signer
}

func newServices(t *testing.T, s *licensing.Service, signer *signature.Signer, configured ...provider.Provider) (*licensing.Services, error) {
	t.Helper()
	providers, err := provider.NewDirectory(provider.Options{
		Default:    provider.Provider{ID: provider.DefaultID, URI: "https://example.org", Profile: profile.Basic},
		Configured: configured, Now: s.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := license.ParseTemplate("https://example.org/fresh/{license_id}")
	if err != nil {
		t.Fatal(err)
	}
	return licensing.NewServices(t.Context(), licensing.Options{
		Store: s.Store, Providers: providers, Profiles: s.Profiles, Signer: signer, PublicURL: "https://lcp.example.org/", Fresh: fresh, Now: s.Now,
	})
}

func TestServices(t *testing.T) {
	t.Parallel()
	s, pub := newService(t)
	_, ours := newPair(t)
	files, theirs := newPair(t)
	services, err := newServices(t, s, ours,
		provider.Provider{ID: "own", URI: "https://own.example", Certificate: files, Profile: profile.V1, HintLink: "https://own.example/hint/{license_id}"},
		provider.Provider{ID: "plain", URI: "https://plain.example"},
	)
	if err != nil {
		t.Fatal(err)
	}
	for uri, want := range map[string]struct {
		signer        *signature.Signer
		profile, hint string
	}{
		"https://example.org":   {ours, profile.Basic, "https://lcp.example.org/hint/"},
		"https://own.example":   {theirs, profile.V1, "https://own.example/hint/"},
		"https://plain.example": {ours, profile.Basic, "https://lcp.example.org/hint/plain/"},
	} {
		if _, err := s.Store.UpdatePublication(t.Context(), pub, func(p store.Publication) (store.Publication, error) {
			p.Provider = uri
			return p, nil
		}); err != nil {
			t.Fatal(err)
		}
		doc, err := services.Generate(t.Context(), request(pub))
		if err != nil {
			t.Fatal(err)
		}
		hint := ""
		for _, l := range doc.Links {
			if l.Rel == license.RelHint {
				hint = l.Href
			}
		}
		if doc.Provider != uri || doc.Encryption.Profile != want.profile || hint != want.hint+doc.ID ||
			!bytes.Equal(doc.Signature.Certificate, want.signer.Certificate().Raw) {
			t.Errorf("license of %s: of %s, profile %s, hint %s", uri, doc.Provider, doc.Encryption.Profile, hint)
		}
		if rec, err := s.Store.License(t.Context(), doc.ID); err != nil || rec.Provider != uri {
			t.Errorf("record of %s: of %s, %v", uri, rec.Provider, err)
		}
	}
}

func TestServicesSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	_, signer := newPair(t)
	missing := provider.Certificate{Cert: "nowhere.pem", PrivateKey: "nowhere.key"}
	_, err := newServices(t, s, signer, provider.Provider{ID: "own", URI: "https://own.example", Certificate: missing})
	if err == nil || !strings.Contains(err.Error(), `provider "own": certificate: `) {
		t.Errorf("NewServices = %v", err)
	}
	// Whoever issues nothing needs no certificate.
	if _, err := newServices(t, s, nil, provider.Provider{ID: "own", URI: "https://own.example", Certificate: missing}); err != nil {
		t.Error(err)
	}
}
