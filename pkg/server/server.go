// Package server is the license server over HTTP: the License API for those who
// sell and lend, the License Status protocol and the license gateway for reading
// apps, and the figures for the dashboard.
//
// A handler reads the request, calls one package that knows what to do, and
// writes the answer; errors meet HTTP in one place (problem.go). Rules of LCP
// are not here: licensing issues, status moves, access admits, store keeps.
package server

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/access"
	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/licensing"
	"github.com/lcp-tools/lcp/pkg/metering"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/store"
)

// Options carries what the server depends on. All fields are required unless
// they say otherwise.
type Options struct {
	Store           *store.Store
	Licensing       *licensing.Services
	Access          *access.Authenticator // of the API
	DashboardAccess *access.Authenticator // of logins to the dashboard
	Tokens          *access.Tokens
	Providers       *provider.Directory
	Delivery        *delivery.Authorizer // of the gateway
	FreshLink       *license.Template
	Dashboard       Dashboard
	Platform        metering.Platform // that COUNTER reports are of
	Resources       string            // folder that is served at /resources/; "" for none
	CORSOrigins     []string
	TrustForward    bool // take the caller's address from X-Forwarded-For
	Limits          Limits
	Metrics         *Metrics
	Now             func() time.Time
	Log             *slog.Logger
}

// Dashboard rules what counts as sharing a license with too many devices.
type Dashboard struct {
	SharingThreshold    int
	LimitToLast12Months bool
}

// Limits bounds how often callers may come, by their address. Zero is no limit.
type Limits struct {
	PublicPerSecond float64 // status, register, renew, return, hint
}

// server has the routes.
type server struct {
	Options
	public   *access.Limiter // nil for no limit
	hints    hintPages
	patterns []string // of the routes
}

// Handler returns the routes of the license server.
func Handler(o Options) http.Handler {
	s := &server{Options: o}
	if o.Limits.PublicPerSecond > 0 {
		s.public = access.NewLimiter(o.Limits.PublicPerSecond, int(4*o.Limits.PublicPerSecond)+1, o.Now)
	}
	return s.wrap(s.routes())
}

// routes lists all routes, in the order of the API's documentation.
func (s *server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	private := func(pattern string, action access.Action, h handler) {
		mux.Handle(pattern, s.route(pattern, s.private(action, h)))
	}
	public := func(pattern string, h handler) {
		mux.Handle(pattern, s.route(pattern, s.limited(h)))
	}
	dashboard := func(pattern string, action access.Action, h handler) {
		mux.Handle(pattern, s.route(pattern, s.dashboardOnly(action, h)))
	}

	private("GET /publications", access.ReadPublications, s.publications)
	private("POST /publications", access.WritePublications, s.idempotent(s.createPublication))
	private("GET /publications/search", access.ReadPublications, s.searchPublications)
	private("GET /publications/altid/{alt_id}", access.ReadPublications, s.getPublicationByAltID)
	private("GET /publications/{id}", access.ReadPublications, s.ofPublication(s.getPublication))
	private("PUT /publications/{id}", access.WritePublications, s.ofPublication(s.updatePublication))
	private("DELETE /publications/{id}", access.WritePublications, s.ofPublication(s.deletePublication))

	private("GET /licenses", access.ReadLicenses, s.listLicenses)
	private("POST /licenses", access.IssueLicenses, s.idempotent(s.generateLicense))
	private("GET /licenses/search", access.ReadLicenses, s.searchLicenses)
	private("POST /licenses/{id}", access.IssueLicenses, s.ofLicense(s.freshLicense))
	private("POST /licenses/{id}/opds", access.IssueLicenses, s.ofLicense(s.opdsPublication))

	private("GET /licenseinfo", access.ReadLicenses, s.listLicenses)
	private("POST /licenseinfo", access.WriteLicenses, s.idempotent(s.createLicenseInfo))
	private("GET /licenseinfo/search", access.ReadLicenses, s.searchLicenses)
	private("GET /licenseinfo/{id}", access.ReadLicenses, s.ofLicense(s.getLicenseInfo))
	private("PUT /licenseinfo/{id}", access.WriteLicenses, s.ofLicense(s.updateLicenseInfo))
	private("DELETE /licenseinfo/{id}", access.WriteLicenses, s.ofLicense(s.deleteLicenseInfo))

	private("PUT /revoke/{id}", access.RevokeLicenses, s.ofLicense(s.revoke))
	private("GET /license-events/{id}", access.ReadLicenses, s.ofLicense(s.listEvents))

	private("DELETE /users/{user}/snapshots", access.RevokeLicenses, s.deleteUserSnapshots)
	private("DELETE /snapshots", access.WriteLicenses, s.deleteAllSnapshots)

	mux.Handle("GET /gateway/licenses", s.route("GET /gateway/licenses", s.gateway(s.freshOrder)))
	mux.Handle("GET /gateway/licenses/{id}", s.route("GET /gateway/licenses/{id}", s.gateway(s.freshOrder)))
	mux.Handle("POST /gateway/licenses", s.route("POST /gateway/licenses", s.gateway(s.newOrder)))

	private("GET /providers", access.Administer, s.listProviders)
	private("POST /providers", access.Administer, s.idempotent(s.createProvider))
	private("GET /providers/{id}", access.Administer, s.getProvider)
	private("PUT /providers/{id}", access.Administer, s.updateProvider)
	private("DELETE /providers/{id}", access.Administer, s.deleteProvider)
	private("GET /providers/{id}/secrets", access.Administer, s.listSecrets)
	private("POST /providers/{id}/secrets", access.Administer, s.addSecret)
	private("PUT /providers/{id}/secrets/{kid}", access.Administer, s.moveSecret)
	private("GET /providers/{id}/templates", access.Administer, s.listTemplates)
	private("GET /providers/{id}/templates/{name}", access.Administer, s.getTemplate)
	private("PUT /providers/{id}/templates/{name}", access.Administer, s.putTemplate)
	private("DELETE /providers/{id}/templates/{name}", access.Administer, s.deleteTemplate)

	public("GET /status/{id}", s.statusDocument)
	public("POST /register/{id}", s.register)
	public("PUT /renew/{id}", s.renew)
	public("PUT /return/{id}", s.returnLicense)
	public("GET /hint/{id}", s.hint)
	public("GET /hint/{provider}/{id}", s.hint)

	for _, path := range []string{"/reading-sessions", "/reading-sessions:batch"} {
		public("OPTIONS "+path, s.readingPreflight)
	}
	public("POST /reading-sessions", s.reading(s.readingSession))
	public("POST /reading-sessions:batch", s.reading(s.readingBatch))
	s.billingRoutes(private)

	mux.Handle("POST /dashdata/login", s.route("POST /dashdata/login", s.login))
	dashboard("GET /dashdata/data", access.ReadFigures, s.dashboardData)
	dashboard("GET /dashdata/overshared", access.ReadFigures, s.overshared)
	dashboard("PUT /dashdata/revoke/{id}", access.RevokeLicenses, s.ofLicense(s.revoke))
	dashboard("GET /dashdata/publications", access.ReadPublications, s.listPublications)
	dashboard("DELETE /dashdata/publications/{id}", access.WritePublications, s.ofPublication(s.deletePublication))
	dashboard("GET /dashdata/user-licenses/{user}", access.ReadLicenses, s.userLicenses)
	dashboard("GET /dashdata/license-events/{id}", access.ReadLicenses, s.ofLicense(s.listEvents))
	dashboard("GET /dashdata/report-licenses", access.ReadFigures, s.reportLicenses)

	mux.Handle("GET /reading-sessions.js", s.route("GET /reading-sessions.js", s.readingClient))
	mux.Handle("GET /health", s.route("GET /health", s.health))
	mux.Handle("GET /openapi.json", s.route("GET /openapi.json", s.openAPI))
	mux.Handle("GET /docs", s.route("GET /docs", s.docs))
	if s.Resources != "" {
		mux.Handle("GET /resources/", s.route("GET /resources/", s.resource))
	}
	mux.Handle("/", s.route("/", s.unknownRoute(mux)))
	return mux
}

// resource serves a file of the folder for resources, but no list of them.
func (s *server) resource(w http.ResponseWriter, r *http.Request) error {
	missing := problem(http.StatusNotFound, "there is nothing at "+r.URL.Path)
	name := strings.TrimPrefix(r.URL.Path, "/resources")
	f, err := http.Dir(s.Resources).Open(name) // which stays within the folder
	if err != nil {
		return missing
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || strings.HasSuffix(name, "/") {
		return missing
	}
	http.ServeContent(w, r, info.Name(), info.ModTime(), f)
	return nil
}

// A handler answers a request, or returns the error to answer with.
type handler func(w http.ResponseWriter, r *http.Request) error

// principalKey is the context key of the caller, and scopeKey of the provider
// that a caller belongs to.
type (
	principalKey struct{}
	scopeKey     struct{}
)

// caller returns who was admitted to a private route.
func caller(ctx context.Context) access.Principal {
	p, _ := ctx.Value(principalKey{}).(access.Principal)
	return p
}
