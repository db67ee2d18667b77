package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/store"
)

// load loads a configuration of this text.
func load(tb testing.TB, text string) (Config, error) {
	tb.Helper()
	c, err := loadConfig(writeFile(tb, "lcp.yaml", text), "")
	c.file = ""
	return c, err
}

// loadIn loads a configuration of this text with these variables. The test must
// not run in parallel with others.
func loadIn(t *testing.T, text string, variables ...string) (Config, error) {
	t.Helper()
	for _, variable := range variables {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	return load(t, text)
}

func writeFile(tb testing.TB, name, text string) string {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return file
}

// faultsOf returns the lines of an error but the first, which names the file.
func faultsOf(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")[1:]
}

// documented has all keys that the configuration of the LCP Server documents.
const documented = `
# a comment
log_level: "debug"
public_base_url: "https://lcp.example.com"
port: 8081
dsn: "sqlite3://file::memory:?cache=shared"
access:
  username: "login"
  password: "access-password"
license:
  provider: "http://publisher.example.com"
  profile: "http://readium.org/lcp/basic-profile"
  hint_link: "https://lcp.example.com/help/{license_id}"
status:
  fresh_license_link: "https://shop.example.com/fresh/{license_id}"
  renew_max_days: 40
  allow_renew_on_expired_licenses: true
  renew_default_days: 14
  renew_link: "http://shop.example.com/renew/{license_id}"
dashboard:
  excessive_sharing_threshold: 10
  limit_to_last_12_months: true
certificate:
  cert:       "/config/cert.pem"
  private_key: "/config/privkey.pem"
jwt:
  secret_key: "0123456789abcdef0123456789abcdef"
  admin:
    Alice: "alice-password"
    bob@example.com: "p@ss: word"     # a comment
    carol: 0012
    Dave: 1e3
resources: "/srv/resources"
`

func documentedConfig() Config {
	c := defaultConfig()
	c.LogLevel, c.PublicBaseURL, c.Port, c.DSN = "debug", "https://lcp.example.com", 8081, "sqlite3://file::memory:?cache=shared"
	c.Access = Access{Username: "login", Password: "access-password"}
	c.License = License{
		Provider: "http://publisher.example.com", Profile: "http://readium.org/lcp/basic-profile",
		HintLink: "https://lcp.example.com/help/{license_id}",
	}
	c.Status = Status{
		FreshLicenseLink: "https://shop.example.com/fresh/{license_id}", AllowRenewOnExpiredLicenses: true,
		RenewDefaultDays: 14, RenewMaxDays: 40, RenewLink: "http://shop.example.com/renew/{license_id}",
	}
	c.Dashboard = Dashboard{ExcessiveSharingThreshold: 10, LimitToLast12Months: true}
	c.Certificate = Certificate{"/config/cert.pem", "/config/privkey.pem"}
	c.JWT = JWT{
		SecretKey: "0123456789abcdef0123456789abcdef",
		Admin:     map[string]string{"Alice": "alice-password", "bob@example.com": "p@ss: word", "carol": "0012", "Dave": "1e3"},
	}
	c.Resources = "/srv/resources"
	return c
}

func TestConfigDocumentedFile(t *testing.T) {
	t.Parallel()
	got, err := load(t, documented)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(documentedConfig(), got, cmp.AllowUnexported(Config{})); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestConfigDocumentedVariables(t *testing.T) {
	got, err := loadIn(t, "",
		"LCPSERVER_LOGLEVEL=debug", "LCPSERVER_PUBLICBASEURL=https://lcp.example.com", "LCPSERVER_PORT=8081",
		"LCPSERVER_DSN=sqlite3://file::memory:?cache=shared", "LCPSERVER_ACCESS_USERNAME=login", "LCPSERVER_ACCESS_PASSWORD=access-password",
		"LCPSERVER_LICENSE_PROVIDER=http://publisher.example.com", "LCPSERVER_LICENSE_PROFILE=http://readium.org/lcp/basic-profile",
		"LCPSERVER_LICENSE_HINTLINK=https://lcp.example.com/help/{license_id}",
		"LCPSERVER_STATUS_FRESHLICENSELINK=https://shop.example.com/fresh/{license_id}", "LCPSERVER_STATUS_RENEWMAXDAYS=40",
		"LCPSERVER_STATUS_ALLOWRENEWONEXPIREDLICENSES=true", "LCPSERVER_STATUS_RENEWDEFAULTDAYS=14",
		"LCPSERVER_STATUS_RENEWLINK=http://shop.example.com/renew/{license_id}",
		"LCPSERVER_DASHBOARD_EXCESSIVESHARINGTHRESHOLD=10", "LCPSERVER_DASHBOARD_LIMITTOLAST12MONTHS=true",
		"LCPSERVER_CERTIFICATE_CERT=/config/cert.pem", "LCPSERVER_CERTIFICATE_PRIVATEKEY=/config/privkey.pem",
		"LCPSERVER_JWT_SECRETKEY=0123456789abcdef0123456789abcdef",
		"LCPSERVER_JWT_ADMIN=Alice:alice-password,bob@example.com:p@ss: word, carol:0012,Dave:1e3", "LCPSERVER_RESOURCES=/srv/resources",
	)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(documentedConfig(), got, cmp.AllowUnexported(Config{})); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestConfigPrecedence(t *testing.T) {
	const file = "port: 1001\nlog_level: warn\nlicense:\n  provider: https://file.example.com\n"
	tests := map[string]struct {
		variables []string
		port      int
		level     string
	}{
		"file":                          {nil, 1001, "warn"},
		"documented variable over file": {[]string{"LCPSERVER_PORT=1002"}, 1002, "warn"},
		"our variable over documented":  {[]string{"LCP_PORT=1003", "LCPSERVER_PORT=1002", "LCPSERVER_LOGLEVEL=error"}, 1003, "error"},
		"empty variable is none":        {[]string{"LCP_PORT=", "LCPSERVER_PORT=1002", "LCP_LOG_LEVEL=", "LCPSERVER_LOGLEVEL="}, 1002, "warn"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := loadIn(t, file, tt.variables...)
			if err != nil {
				t.Fatal(err)
			}
			if c.Port != tt.port || c.LogLevel != tt.level || c.License.Provider != "https://file.example.com" {
				t.Errorf("port %d, level %s, provider %s, want %d, %s", c.Port, c.LogLevel, c.License.Provider, tt.port, tt.level)
			}
		})
	}
}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	want := defaultConfig()
	want.License.Provider = want.PublicBaseURL
	for name, text := range map[string]string{
		"empty file":         "",
		"comments":           "# nothing\n",
		"null":               "null\n",
		"empty JSON":         "{}",
		"keys without value": "port:\nstatus:\ndsn: ~\nlicense:\n  provider:\njwt:\n  admin:\ncors_origins:\n",
		"zeros":              "port: 0\nstatus: {renew_default_days: 0}\ndashboard: {excessive_sharing_threshold: 0}\n",
	} {
		got, err := load(t, text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(Config{})); diff != "" {
			t.Errorf("%s: configuration (-want +got):\n%s", name, diff)
		}
	}
}

func TestConfigServerKeys(t *testing.T) {
	t.Parallel()
	got, err := load(t, `{"address": "0.0.0.0:8443", "ops_address": "", "tls": {"cert": "c.pem", "key": "k.pem"},
		"limits": {"public_per_second": 0.5, "logins_per_minute": 0}, "trust_forwarded_for": yes, "shutdown_timeout": "1m30s",
		"cors_origins": ["https://dashboard.example.com", "http://localhost:3000"], "profile_helper": {"command": "helper, --fast"}}`)
	if err != nil {
		t.Fatal(err)
	}
	want := defaultConfig()
	want.License.Provider = want.PublicBaseURL
	want.Address, want.OpsAddress, want.TLS, want.Limits = "0.0.0.0:8443", "", TLS{"c.pem", "k.pem"}, Limits{0.5, 0}
	want.TrustForwardedFor, want.ShutdownTimeout = true, 90*time.Second
	want.CORSOrigins = []string{"https://dashboard.example.com", "http://localhost:3000"}
	want.ProfileHelper.Command = []string{"helper", "--fast"}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Config{})); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

// Every key can be set by a variable under both names.
func TestConfigEveryKeyHasVariables(t *testing.T) {
	for _, k := range configKeys() {
		text := map[string]string{
			"int": "3", "float64": "3", "bool": "true", "time.Duration": "3s", "map[string]string": "a:b",
			"[]string": "https://a.example.com", "string": "https://a.example.com/{license_id}",
			"main.rightsJSON": `{"profile":{"type":"purchase"}}`, "main.providerList": `[{"id":"a","uri":"https://a.example"}]`,
		}[k.field.Type.String()]
		name := strings.ToUpper(strings.ReplaceAll(k.name, ".", "_"))
		section, rest, _ := strings.Cut(strings.ToUpper(k.name), ".")
		rest = strings.NewReplacer("_", "", ".", "_").Replace(rest)
		documented := strings.TrimSuffix(strings.ReplaceAll(section, "_", "")+"_"+rest, "_")
		for _, variable := range []string{"LCP_" + name, "LCPSERVER_" + documented} {
			t.Run(variable, func(t *testing.T) {
				t.Setenv(variable, text)
				c := defaultConfig()
				v, err := settings(writeFile(t, "lcp.yaml", ""), &c, new(configFaults))
				if err != nil {
					t.Fatal(err)
				}
				if err := k.set(&c, v.Get(k.name)); err != nil {
					t.Fatal(err)
				}
				d := defaultConfig()
				if reflect.DeepEqual(k.in(&c).Interface(), k.in(&d).Interface()) {
					t.Errorf("%s=%s does not set %s", variable, text, k.name)
				}
			})
		}
	}
}

func TestConfigFaults(t *testing.T) {
	tests := map[string]struct {
		text      string
		variables []string
		want      []string
	}{
		"links without the license": {
			text: "license: {hint_link: 'https://a.example.com/hint'}\n" +
				"status: {fresh_license_link: 'https://a.example.com/license', renew_link: 'https://a.example.com/renew'}",
			want: []string{
				`status.fresh_license_link: "https://a.example.com/license" does not contain {license_id}: put it where the identifier of the license belongs`,
				`status.renew_link: "https://a.example.com/renew" does not contain {license_id}: put it where the identifier of the license belongs`,
			},
		},
		"everything at once": {
			text: `
prot: 1
log_level: loud
public_base_url: lcp.example.com
port: many
access: {username: "a:b"}
license: {provider: nobody, profile: "http://example.com/p", hint_link: "/hint"}
status: {renew_max_days: -1, allow_renew_on_expired_licenses: perhaps}
dashboard: 7
certificate: {cert: c.pem}
tls: {key: k.pem}
limits: {public_per_second: -1, logins_per_minute: .nan}
cors_origins: ["*", "https://a.example.com/"]
shutdown_timeout: 30
address: 8989
ops_address: nowhere
resources: [a]
`,
			want: []string{
				`access.username: must not contain a colon, which HTTP takes for its end`,
				`access: username and password go together`,
				`address: "8989" is not an address to listen at, as in 127.0.0.1 or 0.0.0.0:8989`,
				`certificate: cert and private_key go together`,
				`cors_origins: "*" is not an origin, as in https://dashboard.example.com`,
				`cors_origins: "https://a.example.com/" is not an origin, as in https://dashboard.example.com`,
				`dashboard: must be a section, with keys and values of its own`,
				`license.hint_link: URI template "/hint": "/hint" is not an absolute http or https URL`,
				"license.profile: " + profile.Validate("http://example.com/p").Error(),
				`license.provider: "nobody" is not an absolute URI`,
				`limits.logins_per_minute: ".nan" is not a number`,
				`limits.public_per_second: -1 is not between 0, for no limit, and a million`,
				`log_level: "loud" is not one of debug, info, warn, error`,
				`ops_address: "nowhere" is not an address to listen at, as in 127.0.0.1:8990, nor off`,
				`port: "many" is not a whole number`,
				`prot: unknown key, did you mean port?`,
				`public_base_url: "lcp.example.com" is not an absolute http or https URL without a query`,
				`resources: must be a single value`,
				`shutdown_timeout: "30" is not a time as in 30s`,
				`status.allow_renew_on_expired_licenses: "perhaps" is not true or false`,
				`status.renew_max_days: -1 is negative`,
				`tls: cert and key go together`,
			},
		},
		"from variables": {
			variables: []string{"LCP_PORT=70000", "LCPSERVER_JWT_ADMIN=alice", "LCP_SHUTDOWN_TIMEOUT=-1s"},
			want: []string{
				"jwt.admin: must be name:password pairs, separated by commas",
				"port: 70000 is not between 1 and 65535",
				"shutdown_timeout: -1s is not more than nothing",
			},
		},
		"hint page and key retrieval": {
			text: "hint: {text: a, text_file: missing.md, link: 'javascript:alert(1)', languages: [en, English]}\n" +
				"key_retrieval: {publication_link: 'https://a.example/opds', authentication: /auth}",
			want: []string{
				`hint.languages: "English" is not the tag of a language, as in en or pt-BR`,
				`hint.link: "javascript:alert(1)" is not an absolute http or https URL`,
				"hint.text_file: goes without hint.text",
				"hint.text_file: read missing.md: no such file or directory",
				`key_retrieval.authentication: "/auth" is not an absolute http or https URL`,
				`key_retrieval.publication_link: "https://a.example/opds" does not contain {license_id}: put it where the identifier of the license belongs`,
			},
		},
		"keys given twice": {
			text: "port: 1\nport: 2\njwt:\n  admin: {a: b, a: c}\n",
			want: []string{`jwt.admin: user "a" is there twice`, "port: is there twice"},
		},
		"no keys":              {text: "- port", want: []string{"the file: must be keys and values"}},
		"users without values": {text: "jwt: {admin: {alice: , '': x}}", want: []string{`jwt.admin: user "" needs a name and a password`, `jwt.admin: user "alice" needs a name and a password`}},
		"users in a list":      {text: "jwt: {admin: [alice]}", want: []string{"jwt.admin: must be a section of names with their passwords"}},
		"list in a list":       {text: "cors_origins: [[a]]", want: []string{"cors_origins: an item of the list must be a single value"}},
		"one address for two":  {text: "ops_address: 127.0.0.1:8989", want: []string{`ops_address: "127.0.0.1:8989" is where the license server itself listens`}},
		"unknown database":     {text: "dsn: oracle://u:secret@db/lcp", want: []string{"dsn: " + store.CheckDSN("oracle://").Error()}},
		"password is nowhere":  {text: "dsn: mysql://u:PASSWORD_PLACEHOLDER@tcp(db:3306)/lcp", want: []string{"dsn: it contains PASSWORD_PLACEHOLDER, but MYSQL_PASSWORD_FILE names no file to take the password from"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := loadIn(t, tt.text, tt.variables...)
			if diff := cmp.Diff(tt.want, faultsOf(err)); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestConfigSuggestions(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"license.hintlink":       "license.hint_link",
		"publicbaseurl":          "public_base_url",
		"status.renew_max_day":   "status.renew_max_days",
		"renew_max_days":         "status.renew_max_days",
		"Port":                   "port",
		"tls.certificate":        "tls.cert",
		"jwt.secretkey":          "jwt.secret_key",
		"completely_other_thing": "",
	} {
		suggestion := nearest(key, configKeys())
		if want != "" {
			want = ", did you mean " + want + "?"
		}
		if suggestion != want {
			t.Errorf("%s: %q, want %q", key, suggestion, want)
		}
	}
}

func TestConfigUnreadable(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"syntax": "a: [", "two documents": "port: 1\n---\nport: 2\n", "tabs": "a:\n\tb: c", "bytes": "\xff\xfe\x00", "anchor": "port: *port",
	} {
		if c, err := load(t, text); err == nil {
			t.Errorf("%s: accepted as %v", name, c)
		}
	}
	if _, err := loadConfig(filepath.Join(t.TempDir(), "missing.yaml"), ""); err == nil || !strings.HasSuffix(err.Error(), "missing.yaml: no such file or directory") {
		t.Errorf("missing file: %v", err)
	}
}

func TestConfigSecretFiles(t *testing.T) {
	access := writeFile(t, "access.txt", "api : pass:word \r\nbob:bob-password\n\nHugh:hugh-password")
	token := writeFile(t, "token.txt", strings.Repeat("s", 40)+"\n")
	password := writeFile(t, "mysql.txt", "s3c/r@t\n")
	c, err := loadIn(t, "dsn: mysql://lcp:PASSWORD_PLACEHOLDER@tcp(mysql:3306)/lcpserver\njwt: {admin: {bob: old, Eve: eve-password}}\n",
		"LCPSERVER_ACCESS_FILE="+access, "JWT_SECRETKEY_FILE="+token, "MYSQL_PASSWORD_FILE="+password,
		"LCPSERVER_ACCESS_USERNAME=overridden", "LCPSERVER_ACCESS_PASSWORD=overridden")
	if err != nil {
		t.Fatal(err)
	}
	if want := (Access{Username: "api", Password: "pass:word"}); c.Access != want {
		t.Errorf("access = %v, want %v", c.Access, want)
	}
	want := JWT{strings.Repeat("s", 40), map[string]string{"bob": "bob-password", "Hugh": "hugh-password", "Eve": "eve-password"}}
	if diff := cmp.Diff(want, c.JWT); diff != "" {
		t.Errorf("jwt (-want +got):\n%s", diff)
	}
	if want := "mysql://lcp:s3c/r@t@tcp(mysql:3306)/lcpserver"; c.DSN != want {
		t.Errorf("dsn = %s, want %s", c.DSN, want)
	}
}

func TestConfigSecretFileFaults(t *testing.T) {
	dir := t.TempDir()
	access := writeFile(t, "access.txt", "api:password\nhunter2\n")
	_, err := loadIn(t, "dsn: mysql://u:p@tcp(db)/lcp",
		"LCPSERVER_ACCESS_FILE="+access, "JWT_SECRETKEY_FILE="+dir+"/token", "MYSQL_PASSWORD_FILE="+dir+"/mysql")
	want := []string{
		"JWT_SECRETKEY_FILE: read " + dir + "/token: no such file or directory",
		"LCPSERVER_ACCESS_FILE: read " + access + ": line 2 is not user:password",
		"MYSQL_PASSWORD_FILE: read " + dir + "/mysql: no such file or directory",
	}
	if diff := cmp.Diff(want, faultsOf(err)); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestConfigSecretFilesOptional(t *testing.T) {
	t.Run("another database than MySQL", func(t *testing.T) {
		if _, err := loadIn(t, "dsn: lcp.db", "MYSQL_PASSWORD_FILE="+t.TempDir()+"/mysql"); err != nil {
			t.Error(err)
		}
	})
	t.Run("no user of the API", func(t *testing.T) {
		c, err := loadIn(t, "", "LCPSERVER_ACCESS_FILE="+writeFile(t, "access.txt", "\nbob:bob-password\n"))
		if err != nil || c.Access != (Access{}) || len(c.JWT.Admin) != 1 {
			t.Errorf("access %v, jwt %v, %v", c.Access, c.JWT, err)
		}
	})
}

func TestWithPassword(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		dsn, want string
		takes     bool
	}{
		"placeholder":          {"mysql://u:PASSWORD_PLACEHOLDER@tcp(db:3306)/lcp", "mysql://u:a/b%@tcp(db:3306)/lcp", true},
		"older password":       {"mysql://u:old@tcp(db:3306)/lcp", "mysql://u:a/b%@tcp(db:3306)/lcp", true},
		"in a URL":             {"postgres://u:PASSWORD_PLACEHOLDER@db/lcp", "postgres://u:a%2Fb%25@db/lcp", true},
		"older in a URL":       {"mysql://u:o@ld@db:3306/lcp?x=/@", "mysql://u:a%2Fb%25@db:3306/lcp?x=/@", true},
		"without scheme":       {"u:PASSWORD_PLACEHOLDER@tcp(db)/lcp", "u:a/b%@tcp(db)/lcp", true},
		"MySQL, no password":   {"mysql://u@tcp(db)/lcp", "mysql://u@tcp(db)/lcp", false},
		"MySQL, no user":       {"mysql://tcp(db:3306)/lcp", "mysql://tcp(db:3306)/lcp", false},
		"PostgreSQL as it is":  {"postgres://u:old@db/lcp", "postgres://u:old@db/lcp", false},
		"SQLite":               {"sqlite3://lcp.db", "sqlite3://lcp.db", false},
		"nothing":              {"", "", false},
		"nothing but a scheme": {"mysql://", "mysql://", false},
	}
	for name, tt := range tests {
		if got, takes := withPassword(tt.dsn, "a/b%"); got != tt.want || takes != tt.takes {
			t.Errorf("%s: withPassword(%s) = %s, %v, want %s, %v", name, tt.dsn, got, takes, tt.want, tt.takes)
		}
	}
}

// hunter is the secret in the tests that look for it in what is printed.
const hunter = "hunter2"

func TestConfigFaultsTellNoSecrets(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"in a list":        "access: {username: u, password: [hunter2]}",
		"in a section":     "access: {username: u, password: {hunter2: hunter2}}",
		"as an anchor":     "access:\n  username: u\n  password: *hunter2\n",
		"as a tag":         "access:\n  username: u\n  password: !hunter2\n",
		"without a user":   "access: {password: hunter2}",
		"key in a list":    "jwt: {secret_key: [hunter2]}",
		"in a user's list": "jwt: {admin: {alice: [hunter2]}}",
		"in the users":     "jwt: {admin: [hunter2, 'alice:hunter2']}",
		"users as a text":  "jwt: {admin: 'alice:hunter1,hunter2'}",
		"in dsn":           "dsn: mysql://u:hunter2PASSWORD_PLACEHOLDER@db/x",
		"dsn in a list":    "dsn: ['mysql://u:hunter2@db/x']",
		"syntax":           "access: {password: hunter2, ]}",
		"colon":            "access:\n  password: hunter2: x\n",
		"unclosed":         "access:\n  password: \"hunter2\n",
		"percent":          "access:\n  password: %hunter2\n",
		"at":               "access:\n  password: @hunter2\n",
	} {
		_, err := load(t, text)
		if err == nil {
			t.Errorf("%s: %q is accepted", name, text)
		} else if strings.Contains(err.Error(), hunter) {
			t.Errorf("%s: the secret is in the error: %v", name, err)
		}
	}
}

// A short secret of the documented server's configuration is told of, not refused.
func TestConfigShortTokenSecret(t *testing.T) {
	t.Parallel()
	for text, warned := range map[string]bool{
		"": false, "jwt: {secret_key: hunter2}": true,
		"jwt: {secret_key: 0123456789abcdef0123456789abcde}":  true,
		"jwt: {secret_key: 0123456789abcdef0123456789abcdef}": false,
	} {
		c, err := load(t, text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		var out bytes.Buffer
		(&app{streams: streams{err: &out}}).warnOfSecret(c)
		if got := strings.Contains(out.String(), "warning: jwt.secret_key has"); got != warned || strings.Contains(out.String(), hunter) {
			t.Errorf("%q: %q, warned %v, want %v", text, &out, got, warned)
		}
	}
}

func TestConfigShowHidesSecrets(t *testing.T) {
	t.Parallel()
	var c Config
	hidden := 0
	for _, k := range configKeys() {
		if k.field.Tag.Get("secret") == "" {
			continue
		}
		hidden++
		value := reflect.ValueOf(&c).Elem().FieldByIndex(k.index)
		switch value.Kind() {
		case reflect.String:
			value.SetString(hunter)
		default:
			value.Set(reflect.ValueOf(map[string]string{"Alice": hunter}))
		}
	}
	var out bytes.Buffer
	if err := (&app{streams: streams{out: &out}}).showConfig(c); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), hunter) || strings.Count(out.String(), "(set)") != hidden || !strings.Contains(out.String(), "Alice") {
		t.Errorf("of %d secrets this is shown:\n%s", hidden, out.String())
	}
	if hidden < 4 { // dsn, access.password, jwt.secret_key, jwt.admin
		t.Errorf("only %d keys count as secrets", hidden)
	}
}

func TestListenAddress(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ base, address, want string }{
		"localhost":              {base: "http://localhost:8989", want: "127.0.0.1:8989"},
		"below localhost":        {base: "http://lcp.LocalHost", want: "127.0.0.1:8989"},
		"loopback":               {base: "http://127.0.0.2:80/x", want: "127.0.0.2:8989"},
		"loopback of IPv6":       {base: "http://[::1]:8989", want: "[::1]:8989"},
		"public":                 {base: "https://lcp.example.com", want: ":8989"},
		"public by number":       {base: "http://192.0.2.1:8989", want: ":8989"},
		"not quite localhost":    {base: "http://localhost.example.com", want: ":8989"},
		"address":                {base: "http://localhost:8989", address: "0.0.0.0:80", want: "0.0.0.0:80"},
		"address without port":   {base: "https://lcp.example.com", address: "127.0.0.1", want: "127.0.0.1:8989"},
		"IPv6 without port":      {base: "https://lcp.example.com", address: "::1", want: "[::1]:8989"},
		"IPv6 in brackets":       {base: "https://lcp.example.com", address: "[::1]", want: "[::1]:8989"},
		"any free port":          {base: "https://lcp.example.com", address: "127.0.0.1:0", want: "127.0.0.1:0"},
		"all interfaces, a port": {base: "http://localhost:8989", address: ":80", want: ":80"},
		"name":                   {base: "http://localhost:8989", address: "lcp-1.internal", want: "lcp-1.internal:8989"},
	}
	for name, tt := range tests {
		c, err := load(t, fmt.Sprintf("public_base_url: %q\naddress: %q\n", tt.base, tt.address))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := c.listenAddress(); got != tt.want {
			t.Errorf("%s: listens at %s, want %s", name, got, tt.want)
		}
	}
}

func TestOpsListenAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                       "127.0.0.1:8990",
		"ops_address: ''":        "",
		"ops_address: off":       "",
		"ops_address: 'off'":     "",
		"ops_address: :9000":     ":9000",
		"ops_address: '[::1]:9'": "[::1]:9",
	} {
		c, err := load(t, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if got := c.opsListenAddress(); got != want {
			t.Errorf("%s: listens at %q, want %q", text, got, want)
		}
	}
}

// The documentation tells every key and its default.
func TestConfigDocumentation(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range configKeys() {
		if !bytes.Contains(text, []byte("`"+k.name+"`")) {
			t.Errorf("docs/configuration.md does not tell of %s", k.name)
		}
	}
}

// A configuration that is accepted is the same when it is written and read again.
func FuzzConfig(f *testing.F) {
	f.Add(documented)
	f.Add("a: &a {b: *a}\nport: *a")
	f.Add("jwt: {admin: {A.b: '~', '': x}}\nshutdown_timeout: 1h\nlimits: {public_per_second: 1e3}")
	f.Add("cors_origins: [https://a.example.com]\nops_address: off\nprofile_helper: {command: [a, b]}")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := load(t, text)
		if err != nil {
			return
		}
		written, err := yaml.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := load(t, string(written))
		if err != nil {
			t.Fatalf("%v\nin\n%s", err, written)
		}
		empty := func(n int) bool { return n == 0 }
		if diff := cmp.Diff(c, again, cmp.AllowUnexported(Config{}),
			cmp.FilterValues(func(x, y []string) bool { return empty(len(x)) && empty(len(y)) }, cmp.Ignore()),
			cmp.FilterValues(func(x, y map[string]string) bool { return empty(len(x)) && empty(len(y)) }, cmp.Ignore())); diff != "" {
			t.Errorf("read again (-first +again):\n%s\nwritten as\n%s", diff, written)
		}
	})
}

func TestConfigProviders(t *testing.T) {
	t.Parallel()
	c, err := load(t, `
license: {provider: https://first.example}
authorization:
  mode: allow-all
  until: 2030-01-31
  merchant: firstShop
  callback: {url: https://first.example/lcp, allow: [10.1.0.0/16], concurrency: 8}
  rights: {profile: {type: rental, relativeExpiration: P1D}, lcp: {copy: 10000000}}
providers:
  - id: library
    name: "2001"
    uri: https://library.example
    renewal: {default_days: 7, max_days: 30}
    authorization: {mode: token, until: 2030-01-31T12:00:00Z}
    hint: {texts: {fr: {text: Demandez.}}}
  - {id: shop, uri: https://shop.example}
`)
	if err != nil {
		t.Fatal(err)
	}
	first := c.defaultProvider()
	if err := first.Check(); err != nil || c.authorization.Until.Format(time.RFC3339) != "2030-01-31T00:00:00Z" || len(c.authorization.Callback.Allow) != 1 {
		t.Errorf("default provider: %v, %+v", err, c.authorization)
	}
	if want := `{"lcp":{"copy":10000000},"profile":{"relativeExpiration":"P1D","type":"rental"}}`; string(c.authorization.Rights) != want {
		t.Errorf("rights are %s, want %s", c.authorization.Rights, want)
	}
	if len(c.Providers) != 2 || c.Providers[0].Renewal.MaxDays != 30 || c.Providers[0].Name != "2001" ||
		c.Providers[0].Hint.Texts["fr"].Text != "Demandez." || c.Providers[0].Authorization.Until.Hour() != 12 {
		t.Errorf("providers are %+v", c.Providers)
	}
	written, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	again, err := load(t, string(written))
	same := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	if diff := cmp.Diff(c.Providers, again.Providers, same) + cmp.Diff(c.authorization, again.authorization, same); err != nil || diff != "" {
		t.Errorf("written and read again: %v\n%s\nin\n%s", err, diff, written)
	}
}

func TestConfigProvidersFaults(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"providers: 1": "providers: must be a list of providers",
		"providers: [{id: a, uri: 'urn:x:y', colour: 1}]":                          `providers: "a": colour: is not a known field`,
		"providers: [{id: a, uri: 'urn:x:y', renewal: {max_days: x}}]":             `providers: "a": renewal.max_days: must be an integer`,
		"providers: [{uri: 'urn:x:y'}]":                                            "providers: number 1: id: is missing",
		"providers: [{id: a, uri: x}]":                                             `providers: "a": uri: "x" is not an absolute URI`,
		"providers: [{id: default, uri: 'urn:x:y'}]":                               `providers: "default": id: is that of the provider`,
		"providers: [{id: a, uri: 'urn:x:y'}, {id: a, uri: 'urn:x:z'}]":            `providers: "a": id: is there twice`,
		"providers: [{id: a, uri: 'http://localhost:8989'}]":                       `providers: "a": uri: "http://localhost:8989" is that of another`,
		"providers: [{id: a, uri: 'urn:x:y', authorization: {merchant: default}}]": `providers: "a": authorization.merchant: "default" is what tokens call another`,
		"authorization: {mode: everyone}":                                          `authorization.mode: unknown authorization mode "everyone"`,
		"authorization: {mode: allow-all}":                                         "authorization: authorization mode allow-all needs an end date",
		"authorization: {mode: allow-all, until: tomorrow}":                        `authorization.until: "tomorrow" is not a date`,
		"authorization: {mode: callback}":                                          "authorization: callback: url is not an absolute URL",
		"authorization: {callback: {allow: [x]}}":                                  `authorization.callback.allow: "x" is not a network`,
		"authorization: {rights: {profile: {type: gift}}}":                         "authorization.rights.profile",
		"authorization: {rights: nonsense}":                                        "authorization.rights: ",
		"authorization: {callback: {uri: x}}":                                      "did you mean authorization.callback.url",
		"access: {username: a, password: b, provider: Shop}":                       "access.provider: must be lower-case",
		"authorization: {merchant: m}\nproviders: [{id: m, uri: 'urn:x:y'}]":       `authorization.merchant: "m" is what tokens call another`,
	} {
		if _, err := load(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
