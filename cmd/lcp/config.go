package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/profile"
)

// Config is the configuration of all commands. It has the keys of the documented
// LCP Server, so that a file written for that one works, and further ones.
type Config struct {
	DataDir       string        `mapstructure:"data_dir" yaml:"data_dir"`
	LogLevel      string        `mapstructure:"log_level" yaml:"log_level"`
	PublicBaseURL string        `mapstructure:"public_base_url" yaml:"public_base_url"`
	Port          int           `mapstructure:"port" yaml:"port"`
	DSN           string        `mapstructure:"dsn" yaml:"dsn" secret:"true"` // may hold a password
	Access        Access        `mapstructure:"access" yaml:"access"`
	License       License       `mapstructure:"license" yaml:"license"`
	Status        Status        `mapstructure:"status" yaml:"status"`
	Dashboard     Dashboard     `mapstructure:"dashboard" yaml:"dashboard"`
	Certificate   Certificate   `mapstructure:"certificate" yaml:"certificate"`
	JWT           JWT           `mapstructure:"jwt" yaml:"jwt"`
	Resources     string        `mapstructure:"resources" yaml:"resources"`
	ProfileHelper ProfileHelper `mapstructure:"profile_helper" yaml:"profile_helper"`

	file string // that was read, or ""
}

// Access is the one user that the documented server's private routes know.
type Access struct {
	Username string `mapstructure:"username" yaml:"username"`
	Password string `mapstructure:"password" yaml:"password" secret:"true"`
}

// License is what licenses have in common.
type License struct {
	Provider string   `mapstructure:"provider" yaml:"provider"`   // URI
	Profile  string   `mapstructure:"profile" yaml:"profile"`     // URI
	HintLink string   `mapstructure:"hint_link" yaml:"hint_link"` // template in {license_id}
	Support  []string `mapstructure:"support_links" yaml:"support_links"`
}

// Status rules status documents and renewals.
type Status struct {
	FreshLicenseLink            string `mapstructure:"fresh_license_link" yaml:"fresh_license_link"`
	AllowRenewOnExpiredLicenses bool   `mapstructure:"allow_renew_on_expired_licenses" yaml:"allow_renew_on_expired_licenses"`
	RenewDefaultDays            int    `mapstructure:"renew_default_days" yaml:"renew_default_days"`
	RenewMaxDays                int    `mapstructure:"renew_max_days" yaml:"renew_max_days"`
	RenewLink                   string `mapstructure:"renew_link" yaml:"renew_link"`
}

// Dashboard rules the figures of the dashboard.
type Dashboard struct {
	ExcessiveSharingThreshold int  `mapstructure:"excessive_sharing_threshold" yaml:"excessive_sharing_threshold"`
	LimitToLast12Months       bool `mapstructure:"limit_to_last_12_months" yaml:"limit_to_last_12_months"`
}

// Certificate names the files of the provider's certificate and key.
type Certificate struct {
	Cert       string `mapstructure:"cert" yaml:"cert"`
	PrivateKey string `mapstructure:"private_key" yaml:"private_key"`
}

// JWT is for logging in to the dashboard.
type JWT struct {
	SecretKey string            `mapstructure:"secret_key" yaml:"secret_key" secret:"true"`
	Admin     map[string]string `mapstructure:"admin" yaml:"admin" secret:"true"`
}

// ProfileHelper is a program that knows the user-key transform of profiles.
type ProfileHelper struct {
	Command  []string      `mapstructure:"command" yaml:"command"`   // program and arguments
	Profiles []string      `mapstructure:"profiles" yaml:"profiles"` // URIs; all but the basic one if empty
	Timeout  time.Duration `mapstructure:"timeout" yaml:"timeout"`
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
	}
}

// environment is the environment as NAME=value pairs.
type environment struct{ pairs []string }

func (e environment) lookup(name string) (string, bool) {
	for _, pair := range slices.Backward(e.pairs) {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// loadConfig merges, weakest first: defaults, the file, LCPSERVER_* and LCP_*
// variables. All faults are reported at once, each by its key.
func loadConfig(file string, env environment) (Config, error) {
	if file == "" {
		file = findConfigFile(env)
	}
	var c Config
	values, err := readConfigFile(file)
	if err != nil {
		return c, fmt.Errorf("read configuration %s: %w", file, pathless(err))
	}
	faults := unknownKeys(values, "", configKeys())
	for _, k := range configKeys() {
		if value, ok := k.fromEnvironment(env); ok {
			setPath(values, strings.Split(k.name, "."), value)
		}
	}
	c = defaultConfig()
	d, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result: &c, WeaklyTypedInput: true,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(
			mapstructure.StringToTimeDurationHookFunc(), mapstructure.StringToSliceHookFunc(","), adminHook),
	})
	if err != nil {
		return c, err
	}
	if len(faults) == 0 {
		if err := d.Decode(values); err != nil {
			faults = append(faults, decodeFaults(err)...)
		}
	}
	c.file = file
	if c.License.Provider == "" {
		c.License.Provider = c.PublicBaseURL
	}
	if err := errors.Join(append(faults, c.validate()...)...); err != nil {
		return c, &hinted{fmt.Errorf("configuration %s:\n%w", cmp.Or(file, "from the environment"), err), "lcp config show prints the keys that there are"}
	}
	return c, nil
}

// readConfigFile reads a file of YAML, which JSON is too, or nothing where there
// is no file. The names of keys stay as they are: some are names of people.
func readConfigFile(file string) (map[string]any, error) {
	values := map[string]any{}
	if file == "" {
		return values, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	err = yaml.Unmarshal(data, &values)
	if values == nil { // the file says null
		values = map[string]any{}
	}
	return values, err
}

// decodeFaults takes the faults of values apart, each by its key.
func decodeFaults(err error) []error {
	var fault *mapstructure.DecodeError
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var faults []error
		for _, e := range joined.Unwrap() {
			faults = append(faults, decodeFaults(e)...)
		}
		return faults
	}
	if !errors.As(err, &fault) {
		return []error{err}
	}
	if inner := fault.Unwrap(); errors.As(inner, new(*mapstructure.DecodeError)) {
		return decodeFaults(inner)
	}
	var parse *mapstructure.ParseError
	var kind *mapstructure.UnconvertibleTypeError
	switch {
	case errors.As(err, &parse):
		return []error{fmt.Errorf("%s: %q is not %s", fault.Name(), parse.Value, kindName(parse.Expected.Type()))}
	case errors.As(err, &kind):
		return []error{fmt.Errorf("%s: must be %s", fault.Name(), kindName(kind.Expected.Type()))}
	default:
		return []error{fmt.Errorf("%s: %w", fault.Name(), fault.Unwrap())}
	}
}

// kindName names a type in the words of a configuration file.
func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a text"
	case reflect.Slice:
		return "a list"
	case reflect.Int64:
		return "a time as in 2s"
	default:
		return "a section"
	}
}

// pathless takes the path off an error that will name it anyway.
func pathless(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// findConfigFile looks where a configuration is expected.
func findConfigFile(env environment) string {
	for _, name := range []string{"LCP_CONFIG", "LCPSERVER_CONFIG"} {
		if file, _ := env.lookup(name); file != "" {
			return file
		}
	}
	candidates := []string{"lcp.yaml"}
	if dir, _ := env.lookup("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		candidates = append(candidates, filepath.Join(dir, "lcp", "lcp.yaml"))
	} else if home, err := os.UserHomeDir(); err == nil {
		candidates = append(candidates, filepath.Join(home, ".config", "lcp", "lcp.yaml"))
	}
	for _, file := range candidates {
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	return ""
}

// A configKey is one setting, named by its path in the file.
type configKey struct {
	name  string // such as status.renew_max_days
	value reflect.StructField
}

// configKeys lists all settings in the order of the file.
func configKeys() []configKey {
	var keys []configKey
	var walk func(prefix string, t reflect.Type)
	walk = func(prefix string, t reflect.Type) {
		for i := range t.NumField() {
			f := t.Field(i)
			tag := f.Tag.Get("mapstructure")
			switch {
			case tag == "":
			case f.Type.Kind() == reflect.Struct:
				walk(prefix+tag+".", f.Type)
			default:
				keys = append(keys, configKey{prefix + tag, f})
			}
		}
	}
	walk("", reflect.TypeFor[Config]())
	return keys
}

// fromEnvironment reads the setting's variable: LCP_STATUS_RENEW_MAX_DAYS, or
// LCPSERVER_STATUS_RENEWMAXDAYS as the documented server has it.
func (k configKey) fromEnvironment(env environment) (string, bool) {
	section, rest, nested := strings.Cut(k.name, ".")
	documented := strings.ReplaceAll(section, "_", "")
	if nested {
		documented += "_" + strings.ReplaceAll(rest, "_", "")
	}
	for _, name := range []string{
		"LCP_" + strings.ToUpper(strings.ReplaceAll(k.name, ".", "_")),
		"LCPSERVER_" + strings.ToUpper(documented),
	} {
		if value, ok := env.lookup(name); ok {
			return value, true
		}
	}
	return "", false
}

// adminHook reads the map of jwt.admin from a variable: name:password,….
func adminHook(from, to reflect.Type, data any) (any, error) {
	if from.Kind() != reflect.String || to != reflect.TypeFor[map[string]string]() {
		return data, nil
	}
	admins := map[string]string{}
	for pair := range strings.SplitSeq(data.(string), ",") {
		name, password, ok := strings.Cut(pair, ":")
		if !ok {
			return nil, errors.New("must be name:password pairs, separated by commas")
		}
		admins[strings.TrimSpace(name)] = strings.TrimSpace(password)
	}
	return admins, nil
}

// setPath sets a value in nested maps.
func setPath(m map[string]any, path []string, value any) {
	for _, p := range path[:len(path)-1] {
		next, ok := m[p].(map[string]any)
		if !ok {
			next = map[string]any{}
			m[p] = next
		}
		m = next
	}
	m[path[len(path)-1]] = value
}

// unknownKeys reports the keys of a file, below prefix, that no setting claims,
// with the one that was probably meant.
func unknownKeys(values map[string]any, prefix string, known []configKey) []error {
	var faults []error
	for _, key := range slices.Sorted(maps.Keys(values)) {
		name := prefix + key
		section := slices.ContainsFunc(known, func(k configKey) bool { return strings.HasPrefix(k.name, name+".") })
		switch {
		case section:
			nested, _ := values[key].(map[string]any) // decoding refuses what is no section
			faults = append(faults, unknownKeys(nested, name+".", known)...)
		case !slices.ContainsFunc(known, func(k configKey) bool { return k.name == name }):
			faults = append(faults, fmt.Errorf("%s: unknown key%s", name, nearest(name, known)))
		}
	}
	return faults
}

// nearest suggests the known key with the fewest letters to change.
func nearest(key string, known []configKey) string {
	best, name := len(key)/2+1, ""
	for _, k := range known {
		if d := editDistance(key, k.name); d < best {
			best, name = d, k.name
		}
	}
	if name == "" {
		return ""
	}
	return ", did you mean " + name + "?"
}

// editDistance counts the letters to insert, delete or replace (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// validate reports every fault of the values, by key.
func (c *Config) validate() []error {
	var faults []error
	fault := func(key, format string, args ...any) {
		faults = append(faults, fmt.Errorf(key+": "+format, args...))
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, strings.ToLower(c.LogLevel)) {
		fault("log_level", "%q is not one of debug, info, warn, error", c.LogLevel)
	}
	if c.Port < 1 || c.Port > 65535 {
		fault("port", "%d is not between 1 and 65535", c.Port)
	}
	for key, text := range map[string]string{"public_base_url": c.PublicBaseURL, "license.provider": c.License.Provider} {
		if u, err := url.Parse(text); err != nil || u.Scheme == "" || key == "public_base_url" && u.Host == "" {
			fault(key, "%q is not an absolute URL", text)
		}
	}
	if err := profile.Validate(c.License.Profile); err != nil {
		fault("license.profile", "%w", err)
	}
	for key, text := range map[string]string{
		"license.hint_link": c.License.HintLink, "status.fresh_license_link": c.Status.FreshLicenseLink,
		"status.renew_link": c.Status.RenewLink,
	} {
		if text == "" {
			continue
		}
		t, err := license.ParseTemplate(text)
		switch {
		case err != nil:
			fault(key, "%w", err)
		case key == "status.fresh_license_link" && !t.HasLicenseID():
			fault(key, "%q does not contain {license_id}", text)
		}
	}
	for key, days := range map[string]int{"status.renew_default_days": c.Status.RenewDefaultDays, "status.renew_max_days": c.Status.RenewMaxDays} {
		if days < 0 {
			fault(key, "%d is negative", days)
		}
	}
	if (c.Certificate.Cert == "") != (c.Certificate.PrivateKey == "") {
		fault("certificate", "cert and private_key go together")
	}
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return faults
}

// hintLink is the configured hint page, or the server's own.
func (c *Config) hintLink() string {
	return cmp.Or(c.License.HintLink, strings.TrimSuffix(c.PublicBaseURL, "/")+"/hint/{license_id}")
}

func (c *Config) statusLink() string {
	return strings.TrimSuffix(c.PublicBaseURL, "/") + "/status/{license_id}"
}

// links are the support links of every license.
func (l *License) links() []license.Link {
	var links []license.Link
	for _, href := range l.Support {
		link := license.Link{Rel: license.RelSupport, Href: href}
		if strings.HasPrefix(href, "http") {
			link.Type = "text/html"
		}
		links = append(links, link)
	}
	return links
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
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := a.config()
			if err != nil {
				return err
			}
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
	c.License.HintLink = c.hintLink()
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
