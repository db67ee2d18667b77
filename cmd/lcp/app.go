package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/lcp-tools/lcp/pkg/certificate"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/licensing"
	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/server"
	"github.com/lcp-tools/lcp/pkg/signature"
	"github.com/lcp-tools/lcp/pkg/store"
)

// app is what all commands share: where they talk, and how they get at the
// configuration and the data directory.
type app struct {
	streams
	configFile string
	dataDir    string
	quiet      bool
}

func (a *app) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&a.configFile, "config", "", "read the configuration from `FILE` (default: lcp.yaml here, or in $XDG_CONFIG_HOME/lcp)")
	fs.StringVar(&a.dataDir, "data-dir", "", "keep keys and records in `DIR` (default: $XDG_DATA_HOME/lcp)")
	fs.BoolVarP(&a.quiet, "quiet", "q", false, "print no progress and no notes, only errors")
}

// notef tells people something on standard error.
func (a *app) notef(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(a.err, "lcp: "+format+"\n", args...)
	}
}

// config loads the configuration, flags included.
func (a *app) config() (Config, error) {
	c, err := loadConfig(a.configFile, a.dataDir)
	if err != nil || c.DataDir != "" {
		return c, err
	}
	if c.DataDir, err = xdgDir("XDG_DATA_HOME", ".local/share"); err != nil {
		return c, &hinted{fmt.Errorf("find the data directory: %w", err), "name one with --data-dir"}
	}
	return c, nil
}

// xdgDir is the folder of ours that the XDG base directory specification has for
// what a variable is about: below it, or else below a folder of the home folder.
func xdgDir(variable, folder string) (string, error) {
	if dir := os.Getenv(variable); filepath.IsAbs(dir) {
		return filepath.Join(dir, "lcp"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, folder, "lcp"), nil
}

// makeDataDir makes the data directory, open to its owner only.
func makeDataDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	return nil
}

const (
	databaseFile = "lcp.db"
	keyringFile  = "master.key"
	testCertDir  = "test-certificate"
)

// openStore opens the store, with its schema brought up to date. The caller
// closes it.
func (a *app) openStore(ctx context.Context, c Config) (*store.Store, error) {
	return a.openStoreWith(ctx, c, store.Options{Migrate: true})
}

// openStoreWith opens the store with the options that are not up to the
// configuration.
func (a *app) openStoreWith(ctx context.Context, c Config, o store.Options) (*store.Store, error) {
	if err := makeDataDir(c.DataDir); err != nil {
		return nil, err
	}
	keys, err := a.keyring(ctx, c)
	if err != nil {
		return nil, err
	}
	o.DSN, o.Keyring, o.Now = cmp.Or(c.DSN, filepath.Join(c.DataDir, databaseFile)), keys, time.Now
	s, err := store.Open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open the store in %s: %w", c.DataDir, err)
	}
	return s, nil
}

// provider loads the configured certificate, or the one for tests, which is made
// on first use.
func (a *app) provider(c Config) (*certificate.Pair, error) {
	certFile, keyFile := c.Certificate.Cert, c.Certificate.PrivateKey
	if certFile == "" && keyFile == "" {
		dir := filepath.Join(c.DataDir, testCertDir)
		if err := a.ensureTestCertificate(dir, certificate.RSA2048); err != nil {
			return nil, err
		}
		certFile, keyFile = filepath.Join(dir, certificate.CertificateFile), filepath.Join(dir, certificate.KeyFile)
	}
	pair, err := certificate.Load(certFile, keyFile, time.Now())
	if err != nil {
		return nil, err
	}
	if w := certificate.ExpiryWarning(pair.Certificate, time.Now()); w != "" {
		a.notef("warning: %s", w)
	}
	return pair, nil
}

func (a *app) ensureTestCertificate(dir string, keyType certificate.KeyType) error {
	if _, err := os.Stat(filepath.Join(dir, certificate.CertificateFile)); err == nil {
		return nil
	}
	if err := makeDataDir(filepath.Dir(dir)); err != nil {
		return err
	}
	err := certificate.CreateTest(dir, keyType, time.Now())
	if errors.Is(err, fs.ErrExist) {
		return nil // another process was quicker, or loading will tell what is wrong
	}
	if err != nil {
		return fmt.Errorf("make a test certificate: %w", err)
	}
	a.notef("made a TEST certificate in %s: reading apps in production do not accept its licenses", dir)
	return nil
}

// licensing puts together what issues licenses. The caller calls close.
func (a *app) licensing(ctx context.Context, c Config) (*issuing, error) {
	pair, err := a.provider(c)
	if err != nil {
		return nil, err
	}
	return a.licensingFor(ctx, c, issuingOptions{signer: pair.Signer})
}

// An issuing is what issues licenses, over an open store.
type issuing struct {
	*licensing.Services
	store    *store.Store
	profiles *profile.Registry
	close    func()
}

// issuingOptions are what commands and the server do differently.
type issuingOptions struct {
	signer     *signature.Signer // of the default provider; nil: nothing can be issued
	keepSchema bool              // fail if the database has an older one
	log        *slog.Logger      // nil for none
	metrics    *server.Metrics   // nil for none
}

// licensingFor is licensing with options.
func (a *app) licensingFor(ctx context.Context, c Config, o issuingOptions) (*issuing, error) {
	fresh, err := license.ParseTemplate(c.freshLicenseLink())
	if err != nil {
		return nil, fmt.Errorf("configuration: status.fresh_license_link: %w", err)
	}
	profiles, closeHelper := profile.NewRegistry(), func() {}
	if o.signer != nil {
		if profiles, closeHelper, err = a.profiles(c); err != nil {
			return nil, err
		}
	}
	storeOptions, issue := store.Options{Migrate: !o.keepSchema}, licensing.Options{
		Profiles: profiles, Signer: o.signer, PublicURL: c.PublicBaseURL, Fresh: fresh, Now: time.Now, Log: o.log,
	}
	if o.metrics != nil {
		storeOptions.Observe, issue.Observe = o.metrics.ObserveStore, o.metrics.ObserveSigning
	}
	records, err := a.openStoreWith(ctx, c, storeOptions)
	if err != nil {
		closeHelper()
		return nil, err
	}
	i := &issuing{store: records, profiles: profiles, close: func() {
		records.Close()
		closeHelper()
	}}
	issue.Store = records
	if issue.Providers, err = c.providers(records, o.log); err == nil {
		i.Services, err = licensing.NewServices(ctx, issue)
	}
	if err != nil {
		i.close()
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return i, nil
}

// providers knows those of the configuration and those that are stored.
func (c *Config) providers(records *store.Store, log *slog.Logger) (*provider.Directory, error) {
	return provider.NewDirectory(provider.Options{
		Default: c.defaultProvider(), Configured: c.Providers, Stored: provider.NewRecords(records), Now: time.Now, Log: log,
	})
}

// profiles knows the basic profile and those of the configured helper program.
func (a *app) profiles(c Config) (*profile.Registry, func(), error) {
	registry := profile.NewRegistry()
	if len(c.ProfileHelper.Command) == 0 {
		return registry, func() {}, nil
	}
	uris := c.ProfileHelper.Profiles
	if len(uris) == 0 {
		uris = slices.Concat([]string{profile.V1}, profile.Version2())
	}
	return startHelper(registry, c.ProfileHelper, uris, a.err)
}
