package licensing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/certificate"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/signature"
	"github.com/lcp-tools/lcp/pkg/status"
	"github.com/lcp-tools/lcp/pkg/store"
)

// Options say what the services of all providers work with. All fields are
// required unless they say otherwise.
type Options struct {
	Store     *store.Store
	Providers *provider.Directory
	Profiles  *profile.Registry
	Signer    *signature.Signer // of providers without a certificate of their own; nil: no license can be issued
	PublicURL string            // of the license server: its status documents and its hint page are below it
	Fresh     *license.Template // where fresh licenses are fetched from
	Now       func() time.Time
	Log       *slog.Logger // of certificates that are about to expire; nil for none

	Observe func(took time.Duration) // of each Service; nil for nobody
}

// Services has a Service for each provider. Those of the configuration are made
// at once, so that what is wrong with them is known at once, the others when they
// are first needed. It is safe for concurrent use.
type Services struct {
	o Options

	mu    sync.RWMutex
	known map[string]made // by identifier of the provider; guarded by mu
}

// made is a service, and what it was made from.
type made struct {
	provider *provider.Provider
	service  *Service
}

// NewServices returns the services of the providers of a directory.
func NewServices(ctx context.Context, o Options) (*Services, error) {
	s := &Services{o: o, known: make(map[string]made)}
	if _, err := s.Of(ctx, o.Providers.Default()); err != nil {
		return nil, err
	}
	var faults []error
	for _, p := range o.Providers.Configured() {
		if _, err := s.Of(ctx, p); err != nil {
			faults = append(faults, err)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return s, nil
}

// Providers returns the directory of the providers.
func (s *Services) Providers() *provider.Directory { return s.o.Providers }

// Default returns the service of the default provider.
func (s *Services) Default() *Service {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.known[s.o.Providers.Default().ID].service
}

// Of returns the service of a provider. The error tells what is wrong with its
// certificate or its links.
func (s *Services) Of(ctx context.Context, p *provider.Provider) (*Service, error) {
	s.mu.RLock()
	m := s.known[p.ID]
	s.mu.RUnlock()
	if m.provider == p {
		return m.service, nil
	}
	service, err := s.make(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("provider %q: %w", p.ID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[p.ID] = made{p, service}
	return service, nil
}

// Try reports what would keep a provider from issuing licenses.
func (s *Services) Try(ctx context.Context, p provider.Provider) error {
	_, err := s.make(ctx, s.o.Providers.Whole(p))
	return err
}

// ByURI returns the service of the provider with a URI, as records have it. What
// is nobody else's is the default provider's: its URI may have changed, or there
// may be none.
func (s *Services) ByURI(ctx context.Context, uri string) (*Service, error) {
	p, err := s.o.Providers.ByURI(ctx, uri)
	switch {
	case errors.Is(err, provider.ErrUnknown):
		return s.Default(), nil
	case err != nil:
		return nil, err
	default:
		return s.Of(ctx, p)
	}
}

// Seller returns the service that issues the license that r asks for: that of the
// provider of the publication. The errors are those of Service.Generate.
func (s *Services) Seller(ctx context.Context, r api.LicenseRequest) (*Service, error) {
	if several, err := s.o.Providers.Several(ctx); err != nil || !several {
		return s.Default(), err
	}
	pub, err := s.Default().publication(ctx, r)
	if err != nil {
		return nil, err
	}
	return s.ByURI(ctx, pub.Provider)
}

// Owner returns the service of the provider of a license. The error for one that
// there is not is ErrLicense.
func (s *Services) Owner(ctx context.Context, id string) (*Service, error) {
	if several, err := s.o.Providers.Several(ctx); err != nil || !several {
		return s.Default(), err
	}
	rec, err := s.o.Store.License(ctx, strings.ToLower(id))
	if err != nil {
		return nil, named(ErrLicense, id, err)
	}
	return s.ByURI(ctx, rec.Provider)
}

// Generate is Service.Generate, of the Seller.
func (s *Services) Generate(ctx context.Context, r api.LicenseRequest) (*license.Document, error) {
	service, err := s.Seller(ctx, r)
	if err != nil {
		return nil, err
	}
	return service.Generate(ctx, r)
}

// GenerateAs is Service.GenerateAs, of the Seller.
func (s *Services) GenerateAs(ctx context.Context, id string, r api.LicenseRequest) (*license.Document, error) {
	service, err := s.Seller(ctx, r)
	if err != nil {
		return nil, err
	}
	return service.GenerateAs(ctx, id, r)
}

// Fresh is Service.Fresh, of the Owner.
func (s *Services) Fresh(ctx context.Context, id string, r api.LicenseRequest) (*license.Document, error) {
	service, err := s.Owner(ctx, id)
	if err != nil {
		return nil, err
	}
	return service.Fresh(ctx, id, r)
}

// make puts together the service of a provider.
func (s *Services) make(ctx context.Context, p *provider.Provider) (*Service, error) {
	service := &Service{
		Store: s.o.Store, Profiles: s.o.Profiles, Provider: p.URI, Profile: cmp.Or(p.Profile, profile.Basic), Policy: p.Renewal.Policy(), Now: s.o.Now,
		KeepUsers: p.SnapshotUsers, Observe: s.o.Observe,
	}
	var err error
	if service.Documents, err = s.documents(p); err != nil {
		return nil, err
	}
	signer, err := s.signer(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if signer == nil {
		return service, nil
	}
	base := strings.TrimSuffix(s.o.PublicURL, "/")
	hint := p.HintLink
	if hint == "" {
		hint = base + hintPath(p.ID)
	}
	service.Issuer, err = license.NewIssuer(license.Options{
		Provider: p.URI, Signer: signer, Profiles: s.o.Profiles,
		Hint: hint, Status: base + "/status/{license_id}", Links: p.Links(),
		OPDS: p.KeyRetrieval.PublicationLink,
	})
	if err != nil {
		return nil, err
	}
	return service, nil
}

// hintPath is where the hint page of a provider is on the server.
func hintPath(id string) string {
	if id == provider.DefaultID {
		return "/hint/{license_id}"
	}
	return "/hint/" + id + "/{license_id}"
}

// documents returns what makes the status documents of a provider's licenses.
func (s *Services) documents(p *provider.Provider) (*status.Builder, error) {
	o := status.Options{Policy: p.Renewal.Policy(), BaseURL: s.o.PublicURL, License: s.o.Fresh}
	if p.Renewal.Link != "" {
		var err error
		if o.RenewURL, err = license.ParseTemplate(p.Renewal.Link); err != nil {
			return nil, fmt.Errorf("renewal.link: %w", err)
		}
	}
	return status.NewBuilder(o)
}

// signer returns what signs for a provider, or nil if nobody shall.
func (s *Services) signer(ctx context.Context, p *provider.Provider) (*signature.Signer, error) {
	if s.o.Signer == nil || p.Certificate == s.o.Providers.Default().Certificate {
		return s.o.Signer, nil
	}
	pair, err := certificate.Load(p.Certificate.Cert, p.Certificate.PrivateKey, s.o.Now())
	if err != nil {
		return nil, err
	}
	if w := certificate.ExpiryWarning(pair.Certificate, s.o.Now()); w != "" && s.o.Log != nil {
		s.o.Log.WarnContext(ctx, "certificate of a provider", "provider", p.ID, "warning", w)
	}
	return pair.Signer, nil
}
