package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

// settings are where the values of all keys are: the defaults, the file under its
// keys, and the environment, each over the one before it.
func settings(file string, defaults *Config, faults *configFaults) (*viper.Viper, error) {
	known := configKeys()
	v := viper.NewWithOptions(viper.WithDecoderRegistry(&strictYAML{known, faults}))
	for _, k := range known {
		v.SetDefault(k.name, k.in(defaults).Interface())
		v.MustBindEnv(append([]string{k.name}, k.variables()...)...)
	}
	v.SetDefault("config", findConfigFile())
	v.MustBindEnv("config", "LCP_CONFIG", "LCPSERVER_CONFIG")
	if file = cmp.Or(file, v.GetString("config")); file == "" {
		return v, nil
	}
	v.SetConfigFile(file)
	v.SetConfigType("yaml") // whatever the file is called
	if err := v.ReadInConfig(); err != nil {
		if parse, ok := errors.AsType[viper.ConfigParseError](err); ok {
			err = parse.Unwrap()
		}
		return nil, fmt.Errorf("read configuration %s: %w", file, pathless(err))
	}
	return v, nil
}

// findConfigFile looks where a configuration is expected. Viper's own search
// would also take lcp.json or lcp.env, and before lcp.yaml.
func findConfigFile() string {
	home, _ := xdgDir("XDG_CONFIG_HOME", ".config")
	for _, file := range []string{"lcp.yaml", filepath.Join(home, "lcp.yaml")} {
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	return ""
}

// strictYAML decodes configuration files, which may be JSON, for viper. With its
// own decoder viper would pass over keys that it is not asked for, make alice of
// the user Alice, a section of bob@example.com and 10 of the password 0012.
// Therefore values are texts here, as they are written, lists of texts, or texts
// by names; they become numbers in configKey.set, as those of variables do.
type strictYAML struct {
	known  []configKey
	faults *configFaults
}

// Decoder implements [viper.DecoderRegistry]. All files are YAML.
func (y *strictYAML) Decoder(string) (viper.Decoder, error) { return y, nil }

// Decode implements [viper.Decoder]. The faults of keys are not in its error.
func (y *strictYAML) Decode(data []byte, values map[string]any) error {
	d := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	if err := d.Decode(&document); errors.Is(err, io.EOF) {
		return nil // nothing but comments
	} else if err != nil && strings.Contains(err.Error(), "unknown anchor") {
		return errors.New("a value that begins with * must be in quotes") // it may be a password: do not repeat it
	} else if err != nil {
		return err
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one document in the file")
	}
	y.section("", document.Content[0], values)
	return nil
}

// section reads the keys in a section, whose name with a dot is prefix.
func (y *strictYAML) section(prefix string, node *yaml.Node, values map[string]any) {
	node = resolve(node)
	switch {
	case node == nil:
		return
	case node.Kind != yaml.MappingNode && prefix == "":
		y.faults.add("the file", "must be keys and values")
		return
	case node.Kind != yaml.MappingNode:
		y.faults.add(strings.TrimSuffix(prefix, "."), "must be a section, with keys and values of its own")
		return
	}
	seen := map[string]bool{}
	for i := 0; i < len(node.Content); i += 2 {
		name := prefix + node.Content[i].Value
		if seen[name] {
			y.faults.add(name, "is there twice")
		}
		seen[name] = true
		y.key(name, node.Content[i+1], values)
	}
}

func (y *strictYAML) key(name string, node *yaml.Node, values map[string]any) {
	if slices.ContainsFunc(y.known, func(k configKey) bool { return strings.HasPrefix(k.name, name+".") }) {
		y.section(name+".", node, values)
		return
	}
	i := slices.IndexFunc(y.known, func(k configKey) bool { return k.name == name })
	if i < 0 {
		y.faults.add(name, "unknown key%s", nearest(name, y.known))
		return
	}
	if node = resolve(node); node == nil {
		return
	}
	value, err := y.known[i].decode(node)
	if err != nil {
		y.faults.add(name, "%w", err)
		return
	}
	values[name] = value
}

// resolve follows an alias. Null is nothing.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Tag == "!!null" {
		return nil
	}
	return n
}

// A configKey is one setting, named by its path in the file.
type configKey struct {
	name  string // such as status.renew_max_days
	field reflect.StructField
	index []int // of the field in Config
}

// configKeys lists all settings in the order of the file.
func configKeys() []configKey {
	var keys []configKey
	var walk func(prefix string, index []int, t reflect.Type)
	walk = func(prefix string, index []int, t reflect.Type) {
		for i := range t.NumField() {
			f := t.Field(i)
			tag, at := f.Tag.Get("yaml"), append(slices.Clone(index), i)
			switch {
			case tag == "":
			case f.Type.Kind() == reflect.Struct:
				walk(prefix+tag+".", at, f.Type)
			default:
				keys = append(keys, configKey{prefix + tag, f, at})
			}
		}
	}
	walk("", nil, reflect.TypeFor[Config]())
	return keys
}

// in returns the field of the setting.
func (k configKey) in(c *Config) reflect.Value {
	return reflect.ValueOf(c).Elem().FieldByIndex(k.index)
}

// variables names those of the setting, the one that counts first:
// LCP_STATUS_RENEW_MAX_DAYS, and LCPSERVER_STATUS_RENEWMAXDAYS as the documented
// server has it.
func (k configKey) variables() []string {
	name := strings.ToUpper(k.name)
	return []string{
		"LCP_" + strings.ReplaceAll(name, ".", "_"),
		"LCPSERVER_" + strings.NewReplacer("_", "", ".", "_").Replace(name),
	}
}

// decode returns a value of a file as it is written.
func (k configKey) decode(n *yaml.Node) (any, error) {
	switch k.field.Type {
	case reflect.TypeFor[providerList]():
		data, err := jsonOf(n)
		if err != nil {
			return nil, err
		}
		return parseProviders(data)
	case reflect.TypeFor[rightsJSON]():
		if n.Kind == yaml.ScalarNode {
			return textOf(n)
		}
		data, err := jsonOf(n)
		return rightsJSON(data), err
	}
	switch kind := k.field.Type.Kind(); {
	case n.Kind == yaml.ScalarNode || kind != reflect.Slice && kind != reflect.Map:
		return textOf(n)
	case kind == reflect.Slice:
		return listOf(n)
	default:
		return pairsOf(n)
	}
}

// set puts a value into its field: a text, or what the field holds. After an
// error the field is as before, and the error does not repeat a secret.
func (k configKey) set(c *Config, value any) (err error) {
	if text, ok := value.(string); ok {
		if value, err = parseSetting(k.in(c).Interface(), text); err != nil {
			return err
		}
	}
	k.in(c).Set(reflect.ValueOf(value))
	return nil
}

// parseSetting reads a text as what field is.
func parseSetting(field any, text string) (value any, err error) {
	trimmed, what := strings.TrimSpace(text), ""
	switch field.(type) {
	case string:
		return text, nil
	case []string:
		return splitList(text), nil
	case map[string]string:
		return splitPairs(text)
	case rightsJSON:
		if trimmed == "" {
			return rightsJSON(nil), nil
		}
		return rightsJSON(trimmed), nil
	case providerList:
		if trimmed == "" {
			return providerList(nil), nil
		}
		return parseProviders([]byte(trimmed))
	case int:
		what = "a whole number"
		value, err = strconv.Atoi(trimmed)
	case float64:
		what = "a number"
		value, err = strconv.ParseFloat(trimmed, 64)
	case time.Duration:
		what = "a time as in 30s"
		value, err = time.ParseDuration(trimmed)
	case bool:
		what = "true or false"
		value, err = parseBool(trimmed)
	default:
		return nil, fmt.Errorf("no reader for %T", field)
	}
	if err != nil {
		return nil, fmt.Errorf("%q is not %s", text, what)
	}
	return value, nil
}

// parseBool reads what YAML 1.1 and the environment have for true and false.
func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	default:
		return false, strconv.ErrSyntax
	}
}

// textOf returns the text of a value as it is written.
func textOf(n *yaml.Node) (string, error) {
	if n = resolve(n); n == nil {
		return "", nil
	}
	if n.Kind != yaml.ScalarNode {
		return "", errors.New("must be a single value")
	}
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		return "", errors.New("must be in quotes, since it begins with an exclamation mark")
	}
	return n.Value, nil
}

func listOf(n *yaml.Node) ([]string, error) {
	if n.Kind != yaml.SequenceNode {
		return nil, errors.New("must be a list")
	}
	var list []string
	for _, item := range n.Content {
		text, err := textOf(item)
		if err != nil {
			return nil, fmt.Errorf("an item of the list %w", err)
		}
		list = append(list, text)
	}
	return list, nil
}

func pairsOf(n *yaml.Node) (map[string]string, error) {
	if n.Kind != yaml.MappingNode {
		return nil, errors.New("must be a section of names with their passwords")
	}
	pairs := map[string]string{}
	for i := 0; i < len(n.Content); i += 2 {
		name := n.Content[i].Value
		if _, twice := pairs[name]; twice {
			return nil, fmt.Errorf("user %q is there twice", name)
		}
		password, err := textOf(n.Content[i+1])
		if err != nil {
			return nil, fmt.Errorf("the password of %q %w", name, err)
		}
		pairs[name] = password
	}
	return pairs, nil
}

// splitList takes apart what commas separate.
func splitList(text string) []string {
	var list []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// splitPairs takes apart name:password pairs that commas separate.
func splitPairs(text string) (map[string]string, error) {
	pairs := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		name, password, ok := cutPair(pair)
		if !ok {
			return nil, errors.New("must be name:password pairs, separated by commas")
		}
		pairs[name] = password
	}
	return pairs, nil
}

// cutPair takes name:password apart. A password may contain colons.
func cutPair(text string) (name, password string, ok bool) {
	name, password, ok = strings.Cut(text, ":")
	name, password = strings.TrimSpace(name), strings.TrimSpace(password)
	return name, password, ok && name != "" && password != ""
}

// Variables that name files of secrets, as containers of the documented server
// have them. The secrets go over all other settings.
const (
	accessFile           = "LCPSERVER_ACCESS_FILE" // the API's user, then those of the dashboard
	tokenSecretFile      = "JWT_SECRETKEY_FILE"    //nolint:gosec // the name of a variable
	databasePasswordFile = "MYSQL_PASSWORD_FILE"
)

// passwordPlaceholder stands in dsn for what databasePasswordFile holds.
const passwordPlaceholder = "PASSWORD_PLACEHOLDER"

// readSecretFiles takes over the secrets in files.
func (c *Config) readSecretFiles(f *configFaults) {
	read := func(variable string, use func(text string) error) {
		name := os.Getenv(variable)
		if name == "" {
			return
		}
		text, err := readSecretFile(name)
		if err == nil {
			err = use(text)
		}
		if err != nil {
			f.add(variable, "read %s: %w", name, pathless(err))
		}
	}
	read(accessFile, c.setAccess)
	read(tokenSecretFile, func(text string) error {
		c.JWT.SecretKey = strings.TrimSpace(text)
		return nil
	})
	if _, takes := withPassword(c.DSN, ""); takes { // the file may be missing where another database is used
		read(databasePasswordFile, func(text string) error {
			c.DSN, _ = withPassword(c.DSN, strings.TrimSpace(text))
			return nil
		})
	}
}

// withPassword puts a password into a data source name: for the placeholder or,
// with MySQL, for the password that is there. It reports whether there was a
// place for it.
func withPassword(dsn, password string) (string, bool) {
	if strings.Contains(dsn, "://") && !strings.Contains(dsn, "(") { // a URL, unlike user:password@tcp(host)/name
		_, password, _ = strings.Cut(url.UserPassword("", password).String(), ":")
	}
	if strings.Contains(dsn, passwordPlaceholder) {
		return strings.Replace(dsn, passwordPlaceholder, password, 1), true
	}
	rest, isMySQL := strings.CutPrefix(dsn, "mysql://")
	if !isMySQL {
		return dsn, false
	}
	credentials, _, _ := strings.Cut(rest, "/")
	at := strings.LastIndexByte(credentials, '@')
	user, _, ok := strings.Cut(credentials[:max(at, 0)], ":")
	if !ok {
		return dsn, false
	}
	return "mysql://" + user + ":" + password + rest[at:], true
}

// setAccess reads lines of user:password. The first is the user of the API, the
// others are users of the dashboard besides those there are.
func (c *Config) setAccess(text string) error {
	for i, line := range strings.Split(text, "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, password, ok := cutPair(line)
		switch {
		case !ok:
			return fmt.Errorf("line %d is not user:password", i+1)
		case i == 0:
			c.Access.Username, c.Access.Password = name, password
		default:
			if c.JWT.Admin == nil {
				c.JWT.Admin = map[string]string{}
			}
			c.JWT.Admin[name] = password
		}
	}
	return nil
}

// pathless takes the path off an error that will name it anyway.
func pathless(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
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
