package main

import (
	"bytes"
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

	"go.yaml.in/yaml/v3"
)

// environment is the environment as NAME=value pairs.
type environment struct{ pairs []string }

// lookup returns the value of a variable. An empty one counts as not set: files
// for containers list all variables, whether they have a value or not.
func (e environment) lookup(name string) (string, bool) {
	for _, pair := range slices.Backward(e.pairs) {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value, value != ""
		}
	}
	return "", false
}

// findConfigFile looks where a configuration is expected.
func findConfigFile(env environment) string {
	for _, name := range []string{"LCP_CONFIG", "LCPSERVER_CONFIG"} {
		if file, ok := env.lookup(name); ok {
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

// readConfigFile reads a file of YAML, which JSON is too. It returns the values
// by the names of their keys, as they are written: a name of a person keeps its
// capitals, a password of digits its zeros. Keys that are not known are faults.
func readConfigFile(file string) (map[string]*yaml.Node, configFaults, error) {
	if file == "" {
		return nil, nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	if err := d.Decode(&document); errors.Is(err, io.EOF) {
		return nil, nil, nil // nothing but comments
	} else if err != nil {
		return nil, nil, withoutAnchor(err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, nil, errors.New("there is more than one document in the file")
	}
	r := configReader{known: configKeys(), values: map[string]*yaml.Node{}}
	r.section("", document.Content[0])
	return r.values, r.faults, nil
}

// withoutAnchor keeps a value that YAML takes for an anchor out of the error: it
// may be a password that begins with an asterisk.
func withoutAnchor(err error) error {
	if strings.Contains(err.Error(), "unknown anchor") {
		return errors.New("a value that begins with * must be in quotes")
	}
	return err
}

// configReader finds the settings in a file.
type configReader struct {
	known  []configKey
	values map[string]*yaml.Node
	faults configFaults
}

// section reads the keys in a section, whose name with a dot is prefix.
func (r *configReader) section(prefix string, node *yaml.Node) {
	node = resolve(node)
	switch {
	case node == nil:
		return
	case node.Kind != yaml.MappingNode && prefix == "":
		r.faults.add("the file", "must be keys and values")
		return
	case node.Kind != yaml.MappingNode:
		r.faults.add(strings.TrimSuffix(prefix, "."), "must be a section, with keys and values of its own")
		return
	}
	seen := map[string]bool{}
	for i := 0; i < len(node.Content); i += 2 {
		name := prefix + node.Content[i].Value
		if seen[name] {
			r.faults.add(name, "is there twice")
		}
		seen[name] = true
		r.key(name, node.Content[i+1])
	}
}

func (r *configReader) key(name string, value *yaml.Node) {
	switch {
	case slices.ContainsFunc(r.known, func(k configKey) bool { return strings.HasPrefix(k.name, name+".") }):
		r.section(name+".", value)
	case !slices.ContainsFunc(r.known, func(k configKey) bool { return k.name == name }):
		r.faults.add(name, "unknown key%s", nearest(name, r.known))
	default:
		if value = resolve(value); value != nil {
			r.values[name] = value
		}
	}
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

// set puts a value into its field. After an error the field is as before, and
// the error does not repeat a secret.
func (k configKey) set(c *Config, n *yaml.Node) error {
	field := reflect.ValueOf(c).Elem().FieldByIndex(k.index)
	value := reflect.New(field.Type())
	if err := setValue(value.Interface(), n); err != nil {
		return err
	}
	field.Set(value.Elem())
	return nil
}

// setValue reads a value into what field points to.
func setValue(field any, n *yaml.Node) (err error) {
	switch v := field.(type) {
	case *[]string:
		*v, err = listOf(n)
		return err
	case *map[string]string:
		*v, err = pairsOf(n)
		return err
	}
	text, err := textOf(n)
	if err != nil {
		return err
	}
	if err := setText(field, text); err != nil {
		return fmt.Errorf("%q is not %s", text, kindName(field))
	}
	return nil
}

// setText reads a text into what a field points to.
func setText(field any, text string) (err error) {
	trimmed := strings.TrimSpace(text)
	switch v := field.(type) {
	case *string:
		*v = text
	case *int:
		*v, err = strconv.Atoi(trimmed)
	case *float64:
		*v, err = strconv.ParseFloat(trimmed, 64)
	case *time.Duration:
		*v, err = time.ParseDuration(trimmed)
	case *bool:
		*v, err = parseBool(trimmed)
	default:
		err = fmt.Errorf("no reader for %T", field)
	}
	return err
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

// kindName names what a field holds in the words of a configuration file.
func kindName(field any) string {
	switch field.(type) {
	case *int:
		return "a whole number"
	case *float64:
		return "a number"
	case *time.Duration:
		return "a time as in 30s"
	default:
		return "true or false"
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

// listOf returns the texts of a list, or those that commas separate.
func listOf(n *yaml.Node) ([]string, error) {
	var list []string
	if n.Kind == yaml.ScalarNode {
		for text := range strings.SplitSeq(n.Value, ",") {
			if text = strings.TrimSpace(text); text != "" {
				list = append(list, text)
			}
		}
		return list, nil
	}
	if n.Kind != yaml.SequenceNode {
		return nil, errors.New("must be a list")
	}
	for _, item := range n.Content {
		text, err := textOf(item)
		if err != nil {
			return nil, fmt.Errorf("an item of the list %w", err)
		}
		list = append(list, text)
	}
	return list, nil
}

// pairsOf returns names with their passwords, from a section or, in a variable,
// from name:password pairs that commas separate.
func pairsOf(n *yaml.Node) (map[string]string, error) {
	pairs := map[string]string{}
	switch n.Kind {
	case yaml.ScalarNode:
		for pair := range strings.SplitSeq(n.Value, ",") {
			name, password, ok := cutPair(pair)
			if !ok {
				return nil, errors.New("must be name:password pairs, separated by commas")
			}
			pairs[name] = password
		}
	case yaml.MappingNode:
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
	default:
		return nil, errors.New("must be a section of names with their passwords")
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
func (c *Config) readSecretFiles(env environment, f *configFaults) {
	read := func(variable string, use func(text string) error) {
		name, ok := env.lookup(variable)
		if !ok {
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
			c.Access = Access{name, password}
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
