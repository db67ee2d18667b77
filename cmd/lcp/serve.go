package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/lcp-tools/lcp/pkg/access"
	"github.com/lcp-tools/lcp/pkg/certificate"
	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/server"
	"github.com/lcp-tools/lcp/pkg/store"
)

func newServeCommand(a *app) *cobra.Command {
	migrate := true
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the license server",
		Long: `Run the license server: the License API for those who sell and lend, and the
License Status protocol for reading apps.

Nothing has to be set up. Without configuration it keeps its records in the data
directory, signs with a test certificate, listens on this machine only, and makes
a user "admin" whose password it prints once.`,
		Example: `  lcp serve
  lcp serve --config /etc/lcp/lcp.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), migrate) },
	}
	cmd.Flags().BoolVar(&migrate, "migrate", true, "bring the database schema up to date at start")
	return cmd
}

// Bounds on what one connection may take (requests are small).
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 5 * time.Minute // reports of large catalogues
	idleTimeout       = 2 * time.Minute
	maxHeader         = 64 << 10
)

func (a *app) serve(ctx context.Context, migrate bool) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	if err := c.faulty(c.fileFaults()); err != nil {
		return err
	}
	defer keepHeapRoom()()
	defer spareProcessor()()
	log := slog.New(slog.NewJSONHandler(a.err, &slog.HandlerOptions{Level: logLevel(c.LogLevel)}))
	pair, err := a.provider(c)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	metrics, err := server.NewMetrics(registry)
	if err != nil {
		return err
	}
	service, err := a.licensingFor(ctx, c, issuingOptions{signer: pair.Signer, keepSchema: !migrate, log: log, metrics: metrics})
	if err != nil {
		return err
	}
	defer service.close()
	if err := service.Providers().Refresh(ctx); err != nil { // hint pages are there without the database from now on
		return err
	}
	options, err := a.serverOptions(ctx, c, service, metrics, log)
	if err != nil {
		return err
	}
	main, err := listen(ctx, c.listenAddress())
	if err != nil {
		return err
	}
	defer main.Close()
	group, ctx := errgroup.WithContext(ctx)
	if address := c.opsListenAddress(); address != "" {
		ops, err := listen(ctx, address)
		if err != nil {
			return err
		}
		group.Go(func() error {
			return serveOn(ctx, ops, operations(probes(c, service, pair), registry), TLS{}, time.Second, log)
		})
	}
	books := c.ReadingSessions.bookkeeper(service.store, options.Delivery.Callbacks, log)
	group.Go(func() error {
		books.Run(ctx)
		return nil
	})
	group.Go(func() error { return serveOn(ctx, main, server.Handler(options), c.TLS, c.ShutdownTimeout, log) })
	a.notef("license server on %s, reached at %s", main.Addr(), c.PublicBaseURL)
	log.InfoContext(ctx, "server started", "address", main.Addr().String(), "version", buildVersion())
	err = group.Wait()
	log.InfoContext(ctx, "server stopped")
	if ctx.Err() != nil && err == nil {
		return nil // asked to stop, and did
	}
	return err
}

func logLevel(name string) slog.Level {
	var l slog.Level
	if l.UnmarshalText([]byte(name)) != nil {
		return slog.LevelInfo
	}
	return l
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return l, nil
}

// serveOn serves until the context ends, and then finishes the requests in hand.
func serveOn(ctx context.Context, l net.Listener, h http.Handler, files TLS, grace time.Duration, log *slog.Logger) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		stopped <- srv.Shutdown(ctx)
	})
	defer stop()
	var err error
	if files.Cert != "" {
		err = srv.ServeTLS(l, files.Cert, files.Key)
	} else {
		err = srv.Serve(l)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	}
	return <-stopped
}

// serverOptions puts together what the server works with.
func (a *app) serverOptions(ctx context.Context, c Config, service *issuing, metrics *server.Metrics, log *slog.Logger) (server.Options, error) {
	fresh, err := license.ParseTemplate(c.freshLicenseLink())
	if err != nil {
		return server.Options{}, fmt.Errorf("configuration: status.fresh_license_link: %w", err)
	}
	api, dashboard, err := a.directories(ctx, c, service.store)
	if err != nil {
		return server.Options{}, err
	}
	tokenKey, err := a.tokenKey(ctx, c)
	if err != nil {
		return server.Options{}, err
	}
	tokens, err := access.NewTokens(tokenKey, time.Now)
	if err != nil {
		return server.Options{}, err
	}
	return server.Options{
		Store: service.store, Licensing: service.Services, Providers: service.Providers(), FreshLink: fresh,
		Access: api, DashboardAccess: dashboard, Tokens: tokens, Delivery: authorizer(c, service.store, log),
		Dashboard: server.Dashboard{
			SharingThreshold: c.Dashboard.ExcessiveSharingThreshold, LimitToLast12Months: c.Dashboard.LimitToLast12Months,
		},
		Platform:  c.ReadingSessions.platform(),
		Resources: c.Resources, CORSOrigins: c.CORSOrigins, TrustForward: c.TrustForwardedFor,
		Limits:  server.Limits{PublicPerSecond: c.Limits.PublicPerSecond},
		Metrics: metrics, Now: time.Now, Log: log,
	}, nil
}

// authorizer decides who is delivered a license by the gateway.
func authorizer(c Config, records *store.Store, log *slog.Logger) *delivery.Authorizer {
	o := delivery.CallbackOptions{Now: time.Now}
	if u, err := url.Parse(c.PublicBaseURL); err == nil {
		o.Hosts = []string{u.Host}
	}
	for _, address := range []string{c.listenAddress(), c.opsListenAddress()} {
		if _, text, err := net.SplitHostPort(address); err == nil {
			if port, err := strconv.ParseUint(text, 10, 16); err == nil && port > 0 {
				o.Ports = append(o.Ports, uint16(port))
			}
		}
	}
	return &delivery.Authorizer{Store: provider.NewRecords(records), Callbacks: delivery.NewCallbacks(o), Now: time.Now, Log: log}
}

// freshLicenseLink is the configured gateway, or the server's own.
func (c *Config) freshLicenseLink() string {
	if c.Status.FreshLicenseLink != "" {
		return c.Status.FreshLicenseLink
	}
	return strings.TrimSuffix(c.PublicBaseURL, "/") + "/gateway/licenses/{license_id}"
}

// tokenKey signs dashboard tokens. It is the same on all replicas: from the
// configuration, or from the master key that they share.
func (a *app) tokenKey(ctx context.Context, c Config) ([]byte, error) {
	if c.JWT.SecretKey != "" {
		a.warnOfSecret(c)
		sum := sha256.Sum256([]byte("lcp dashboard tokens\x00" + c.JWT.SecretKey))
		return sum[:], nil
	}
	keys, err := a.keyring(ctx, c)
	if err != nil {
		return nil, err
	}
	return keys.Derive("dashboard tokens"), nil
}

// A probe tells whether something that issuing needs is there.
type probe struct {
	name  string
	check func(context.Context) error
}

func probes(c Config, service *issuing, pair *certificate.Pair) []probe {
	list := []probe{
		{"database", service.store.Ping},
		{"certificate", func(context.Context) error { return certificate.CheckValidity(pair.Certificate, time.Now()) }},
	}
	if len(c.ProfileHelper.Command) > 0 {
		list = append(list, probe{"profile helper", func(ctx context.Context) error {
			uri, err := service.profiles.Choose(c.License.Profile)
			if err == nil {
				_, err = service.profiles.UserKey(ctx, uri, profile.HashPassphrase("readiness"))
			}
			return err
		}})
	}
	return list
}

const probeTimeout = 2 * time.Second

// operations are the routes for those who run the server.
func operations(probes []probe, registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
		defer cancel()
		var lines []string
		for _, p := range probes {
			if err := p.check(ctx); err != nil {
				lines = append(lines, fmt.Sprintf("%s: %v", p.name, err))
			}
		}
		if len(lines) > 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintln(w, cmp.Or(strings.Join(lines, "\n"), "ok"))
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}
