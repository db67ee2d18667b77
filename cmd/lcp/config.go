package main

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/lcp-tools/lcp/pkg/certificate"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/store"
)

// Config is the configuration of all commands. It has the keys of the documented
// LCP Server, so that a file written for that one works, and further ones.
type Config struct {
	DataDir       string        `yaml:"data_dir"`
	LogLevel      string        `yaml:"log_level"`
	PublicBaseURL string        `yaml:"public_base_url"`
	Port          int           `yaml:"port"`
	DSN           string        `yaml:"dsn" secret:"true"` // may hold a password
	Access        Access        `yaml:"access"`
	License       License       `yaml:"license"`
	Status        Status        `yaml:"status"`
	Hint          Hint          `yaml:"hint"`
	KeyRetrieval  KeyRetrieval  `yaml:"key_retrieval"`
	Authorization Authorization `yaml:"authorization"`
	SnapshotUsers bool          `yaml:"snapshot_users"` // keep what fresh licenses need of their users, sealed
	Providers     providerList  `yaml:"providers"`
	Dashboard     Dashboard     `yaml:"dashboard"`
	Certificate   Certificate   `yaml:"certificate"`
	JWT           JWT           `yaml:"jwt"`
	Resources     string        `yaml:"resources"` // folder that is served at /resources/
	ProfileHelper ProfileHelper `yaml:"profile_helper"`
	MasterKey     MasterKey     `yaml:"master_key"`

	ReadingSessions ReadingSessions `yaml:"reading_sessions"`

	Address           string        `yaml:"address"`     // where to listen; see listenAddress
	OpsAddress        string        `yaml:"ops_address"` // of health and metrics; "" or off for none
	TLS               TLS           `yaml:"tls"`
	Limits            Limits        `yaml:"limits"`
	CORSOrigins       []string      `yaml:"cors_origins"`
	TrustForwardedFor bool          `yaml:"trust_forwarded_for"` // a proxy of ours sets X-Forwarded-For
	ShutdownTimeout   time.Duration `yaml:"shutdown_timeout"`    // for requests in hand

	file          string                 // that was read, or ""
	hint          provider.Hint          // with what its files hold
	authorization provider.Authorization // in the words of providers
}

// Access is the one user that the documented server's private routes know.
type Access struct {
	Username string `yaml:"username"`
	Password string `yaml:"password" secret:"true"`
	Provider string `yaml:"provider"` // that the user belongs to, by identifier; "" for none
}

// License is what licenses have in common.
type License struct {
	Provider string   `yaml:"provider"`  // URI
	Profile  string   `yaml:"profile"`   // URI
	HintLink string   `yaml:"hint_link"` // template in {license_id}
	Support  []string `yaml:"support_links"`
}

// Status rules status documents and renewals.
type Status struct {
	FreshLicenseLink            string `yaml:"fresh_license_link"`
	AllowRenewOnExpiredLicenses bool   `yaml:"allow_renew_on_expired_licenses"`
	RenewDefaultDays            int    `yaml:"renew_default_days"`
	RenewMaxDays                int    `yaml:"renew_max_days"`
	RenewLink                   string `yaml:"renew_link"`
}

// Dashboard rules the figures of the dashboard.
type Dashboard struct {
	ExcessiveSharingThreshold int  `yaml:"excessive_sharing_threshold"`
	LimitToLast12Months       bool `yaml:"limit_to_last_12_months"`
}

// Certificate names the files of the provider's certificate and key.
type Certificate struct {
	Cert       string `yaml:"cert"`
	PrivateKey string `yaml:"private_key"`
}

// JWT is for logging in to the dashboard.
type JWT struct {
	SecretKey string            `yaml:"secret_key" secret:"true"`
	Admin     map[string]string `yaml:"admin" secret:"true"`
}

// ProfileHelper is a program that knows the user-key transform of profiles.
type ProfileHelper struct {
	Command  []string      `yaml:"command"`  // program and arguments
	Profiles []string      `yaml:"profiles"` // URIs; all but the basic one if empty
	Timeout  time.Duration `yaml:"timeout"`
}

// MasterKey is where the master keys come from instead of a file.
type MasterKey struct {
	Command []string `yaml:"command"` // program and arguments
}

// TLS names the files of the server's certificate for https and its key.
type TLS struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Limits bounds how often one address may come. Zero is no limit.
type Limits struct {
	PublicPerSecond float64 `yaml:"public_per_second"` // requests of reading apps
	LoginsPerMinute float64 `yaml:"logins_per_minute"` // wrong passwords
}

// defaultConfig has what applies where nothing is said.
func defaultConfig() Config {
	return Config{
		LogLevel:      "info",
		PublicBaseURL: "http://localhost:8989",
		Port:          8989,
		License:       License{Profile: profile.Basic},
		Status:        Status{RenewDefaultDays: 7},
		Dashboard:     Dashboard{ExcessiveSharingThreshold: 6},
		ProfileHelper: ProfileHelper{Timeout: 2 * time.Second},

		ReadingSessions: ReadingSessions{RetentionDays: 400, CloseDay: 5, PlatformID: "lcp", PlatformName: "lcp"},

		OpsAddress:      "127.0.0.1:8990",
		Limits:          Limits{PublicPerSecond: 200, LoginsPerMinute: 10},
		ShutdownTimeout: 30 * time.Second,
	}
}

// loadConfig merges, weakest first: defaults, the file, LCPSERVER_* and LCP_*
// variables, the flags --config and --data-dir, files of secrets. An empty variable
// or flag counts as not set: files for containers list all variables, whether they
// have a value or not. All faults are reported at once, each by its key.
func loadConfig(file, dataDir string) (Config, error) {
	c := defaultConfig()
	var faults configFaults
	v, err := settings(file, &c, &faults)
	if err != nil {
		return c, err
	}
	if dataDir != "" {
		v.Set("data_dir", dataDir)
	}
	c.file = v.ConfigFileUsed()
	for _, k := range configKeys() {
		if err := k.set(&c, v.Get(k.name)); err != nil {
			faults.add(k.name, "%w", err)
		}
	}
	c.readSecretFiles(&faults)
	c.readHint(&faults)
	c.readAuthorization(&faults)
	c.fillGaps()
	c.validate(&faults)
	return c, c.faulty(faults)
}

// faulty returns the faults as an error, or nil without any.
func (c *Config) faulty(faults configFaults) error {
	err := faults.err()
	if err == nil {
		return nil
	}
	return &hinted{fmt.Errorf("configuration %s:\n%w", cmp.Or(c.file, "from the environment"), err), "lcp config show prints the keys that there are"}
}

// fillGaps puts defaults where the documented server takes zero for unset, and
// where they are made of other settings.
func (c *Config) fillGaps() {
	d := defaultConfig()
	c.Port = cmp.Or(c.Port, d.Port)
	c.Status.RenewDefaultDays = cmp.Or(c.Status.RenewDefaultDays, d.Status.RenewDefaultDays)
	c.Dashboard.ExcessiveSharingThreshold = cmp.Or(c.Dashboard.ExcessiveSharingThreshold, d.Dashboard.ExcessiveSharingThreshold)
	c.License.Provider = cmp.Or(c.License.Provider, c.PublicBaseURL)
}

// configFaults collects what is wrong with a configuration.
type configFaults []error

func (f *configFaults) add(key, format string, args ...any) {
	*f = append(*f, fmt.Errorf("%s: %w", key, fmt.Errorf(format, args...)))
}

// err joins the faults in the order of their keys, or is nil without any.
func (f configFaults) err() error {
	slices.SortStableFunc(f, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(f...)
}

// validate adds every fault of the values.
func (c *Config) validate(f *configFaults) {
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, strings.ToLower(c.LogLevel)) {
		f.add("log_level", "%q is not one of debug, info, warn, error", c.LogLevel)
	}
	if err := profile.Validate(c.License.Profile); err != nil {
		f.add("license.profile", "%w", err)
	}
	for key, days := range map[string]int{
		"status.renew_default_days": c.Status.RenewDefaultDays, "status.renew_max_days": c.Status.RenewMaxDays,
		"dashboard.excessive_sharing_threshold": c.Dashboard.ExcessiveSharingThreshold,
	} {
		if days < 0 {
			f.add(key, "%d is negative", days)
		}
	}
	if (c.Certificate.Cert == "") != (c.Certificate.PrivateKey == "") {
		f.add("certificate", "cert and private_key go together")
	}
	c.validateLinks(f)
	c.validateHint(f)
	c.validateProviders(f)
	c.validateAccess(f)
	c.validateServer(f)
	c.ReadingSessions.validate(f)
}

func (c *Config) validateLinks(f *configFaults) {
	if u, err := url.Parse(c.PublicBaseURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" ||
		u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(c.PublicBaseURL, "{}") {
		f.add("public_base_url", "%q is not an absolute http or https URL without a query", c.PublicBaseURL)
	}
	if u, err := url.Parse(c.License.Provider); err != nil || u.Scheme == "" {
		f.add("license.provider", "%q is not an absolute URI", c.License.Provider)
	}
	for key, link := range map[string]struct {
		text    string
		needsID bool // a link that is the same for all licenses could not tell which is meant
	}{
		"license.hint_link":         {c.License.HintLink, false},
		"status.fresh_license_link": {c.Status.FreshLicenseLink, true},
		"status.renew_link":         {c.Status.RenewLink, true},
	} {
		if link.text == "" {
			continue
		}
		t, err := license.ParseTemplate(link.text)
		switch {
		case err != nil:
			f.add(key, "%w", err)
		case link.needsID && !t.HasLicenseID():
			f.add(key, "%q does not contain {license_id}: put it where the identifier of the license belongs", link.text)
		}
	}
}

// validateAccess says nothing of passwords but that they are missing.
func (c *Config) validateAccess(f *configFaults) {
	if (c.Access.Username == "") != (c.Access.Password == "") {
		f.add("access", "username and password go together")
	}
	if strings.Contains(c.Access.Username, ":") {
		f.add("access.username", "must not contain a colon, which HTTP takes for its end")
	}
	for name, password := range c.JWT.Admin {
		if name == "" || password == "" {
			f.add("jwt.admin", "user %q needs a name and a password", name)
		}
	}
	switch {
	case c.DSN == "":
	case strings.Contains(c.DSN, passwordPlaceholder):
		f.add("dsn", "it contains %s, but %s names no file to take the password from", passwordPlaceholder, databasePasswordFile)
	default:
		if err := store.CheckDSN(c.DSN); err != nil {
			f.add("dsn", "%w", err)
		}
	}
}

// minTokenSecret is the shortest safe jwt.secret_key, in bytes (RFC 7518 §3.2).
const minTokenSecret = 32

// warnOfSecret tells of a secret that is easier to guess than it should be. It is
// no fault: the documented server takes such a one, so its configuration has to
// do here.
func (a *app) warnOfSecret(c Config) {
	if n := len(c.JWT.SecretKey); n > 0 && n < minTokenSecret {
		a.notef("warning: jwt.secret_key has %d bytes, but should have %d or more: openssl rand -base64 48 makes one", n, minTokenSecret)
	}
}

func (c *Config) validateServer(f *configFaults) {
	if c.Port < 1 || c.Port > 65535 {
		f.add("port", "%d is not between 1 and 65535", c.Port)
	} else if !isListenAddress(c.listenAddress()) {
		f.add("address", "%q is not an address to listen at, as in 127.0.0.1 or 0.0.0.0:8989", c.Address)
	}
	if ops := c.opsListenAddress(); ops != "" && !isListenAddress(ops) {
		f.add("ops_address", "%q is not an address to listen at, as in 127.0.0.1:8990, nor off", c.OpsAddress)
	} else if ops == c.listenAddress() {
		f.add("ops_address", "%q is where the license server itself listens", ops)
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		f.add("tls", "cert and key go together")
	}
	for key, limit := range map[string]float64{
		"limits.public_per_second": c.Limits.PublicPerSecond, "limits.logins_per_minute": c.Limits.LoginsPerMinute,
	} {
		if !(limit >= 0 && limit <= 1e6) {
			f.add(key, "%v is not between 0, for no limit, and a million", limit)
		}
	}
	for _, origin := range c.CORSOrigins {
		if u, err := url.Parse(origin); err != nil || u.Scheme != "http" && u.Scheme != "https" ||
			origin != strings.ToLower(u.Scheme+"://"+u.Host) || u.Hostname() == "" || strings.Contains(origin, "*") {
			f.add("cors_origins", "%q is not an origin, as in https://dashboard.example.com", origin)
		}
	}
	for key, d := range map[string]time.Duration{
		"shutdown_timeout": c.ShutdownTimeout, "profile_helper.timeout": c.ProfileHelper.Timeout,
	} {
		if d <= 0 {
			f.add(key, "%s is not more than nothing", d)
		}
	}
}

// fileFaults returns what is wrong with the certificates and keys that are named.
// To a server they are faults; other machines, where the configuration is written
// or read, may do without the files.
func (c *Config) fileFaults() (f configFaults) {
	unusable := func(pair Certificate) error {
		if pair.Cert == "" || pair.PrivateKey == "" {
			return nil
		}
		_, err := certificate.Load(pair.Cert, pair.PrivateKey, time.Now())
		return err
	}
	if err := unusable(c.Certificate); err != nil {
		f.add("certificate", "%w", err)
	}
	for _, p := range c.Providers {
		if err := unusable(Certificate(p.Certificate)); err != nil {
			f.add("providers", "%q: certificate: %w", p.ID, err)
		}
	}
	if c.TLS.Cert != "" && c.TLS.Key != "" {
		if _, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key); err != nil {
			f.add("tls", "%w", err)
		}
	}
	return f
}

// isListenAddress reports whether text is host:port with a host that may be
// empty, for all interfaces.
func isListenAddress(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return false
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return false
	}
	_, err = netip.ParseAddr(host)
	return err == nil || host == "" || hostName.MatchString(host)
}

// hostName is the name of a machine, which has a letter.
var hostName = regexp.MustCompile(`^(?i)[a-z0-9.-]*[a-z][a-z0-9.-]*$`)

// listenAddress is where the server listens: address, completed by port. Unless
// told, it is where those can reach it who use public_base_url, and no more: on
// all interfaces only if that is not this machine.
func (c *Config) listenAddress() string {
	port := strconv.Itoa(c.Port)
	if _, _, err := net.SplitHostPort(c.Address); err == nil {
		return c.Address
	}
	if c.Address != "" {
		return net.JoinHostPort(strings.Trim(c.Address, "[]"), port)
	}
	u, err := url.Parse(c.PublicBaseURL)
	if err != nil {
		return net.JoinHostPort("", port)
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.IsLoopback() {
		return net.JoinHostPort(ip.String(), port)
	}
	if name := strings.ToLower(u.Hostname()); name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return net.JoinHostPort("", port)
}

// opsListenAddress is where health and metrics are served, or "" for nowhere.
func (c *Config) opsListenAddress() string {
	if c.OpsAddress == "off" {
		return ""
	}
	return c.OpsAddress
}

func newConfigCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Show and check the configuration", Args: cobra.NoArgs}
	cmd.AddCommand(&cobra.Command{
		Use:   "show",
		Short: "Print the configuration in force, without secrets",
		Long: `Print the configuration in force as a YAML file: defaults, the file and the
environment merged. Secrets that are set are shown as "(set)".`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := a.config()
			if err != nil {
				return err
			}
			return a.showConfig(c)
		},
	}, &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and report every fault",
		Long: `Check the configuration and report every fault at once. Certificates and keys
that it names and that cannot be used here are told as warnings: the server may be
another machine.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := a.config()
			if err != nil {
				return err
			}
			for _, fault := range c.fileFaults() {
				a.notef("warning: %v", fault)
			}
			a.warnOfSecret(c)
			a.notef("configuration %s is valid", cmp.Or(c.file, "from the environment and defaults"))
			return nil
		},
	})
	return cmd
}

func (a *app) showConfig(c Config) error {
	if c.file != "" {
		fmt.Fprintf(a.out, "# from %s\n", c.file)
	}
	redact(reflect.ValueOf(&c).Elem())
	c.License.HintLink = cmp.Or(c.License.HintLink, strings.TrimSuffix(c.PublicBaseURL, "/")+"/hint/{license_id}")
	c.Address = c.listenAddress()
	enc := yaml.NewEncoder(a.out)
	enc.SetIndent(2)
	return enc.Encode(c)
}

// redact replaces secrets that are set.
func redact(v reflect.Value) {
	for i := range v.NumField() {
		f := v.Field(i)
		secret := v.Type().Field(i).Tag.Get("secret") != ""
		switch {
		case f.Kind() == reflect.Struct && f.CanSet():
			redact(f)
		case secret && f.Kind() == reflect.String && f.Len() > 0:
			f.SetString("(set)")
		case secret && f.Kind() == reflect.Map:
			names := map[string]string{}
			for _, name := range f.MapKeys() {
				names[name.String()] = "(set)"
			}
			f.Set(reflect.ValueOf(names))
		}
	}
}
