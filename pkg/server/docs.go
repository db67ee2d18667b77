package server

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
)

//go:embed docs.html
var docsTemplate string

//go:embed docs.css
var docsStyle string

// A htmlPage is a page with its one style sheet, by whose hash a browser
// recognizes it (Content Security Policy Level 3, §2.3.1).
type htmlPage struct {
	html      []byte
	styleHash string
}

// docsPage makes the page of /docs when it is first asked for.
var docsPage = sync.OnceValues(func() (*htmlPage, error) {
	d, err := parseDescription(openAPIDocument)
	if err != nil {
		return nil, err
	}
	t, err := template.New("docs").Parse(docsTemplate)
	if err != nil {
		return nil, err
	}
	var html bytes.Buffer
	err = t.Execute(&html, struct {
		*description
		Style template.CSS
	}{d, template.CSS(docsStyle)}) //nolint:gosec // our own style sheet
	sum := sha256.Sum256([]byte(docsStyle))
	return &htmlPage{html.Bytes(), "sha256-" + base64.StdEncoding.EncodeToString(sum[:])}, err
})

// A description is what the page tells of an OpenAPI document.
type description struct {
	Info struct {
		Title, Version, Description string
	}
	Tags       []tag
	Paths      map[string]map[string]*operation
	Components struct {
		Schemas         map[string]*schema
		Responses       map[string]*response
		Parameters      map[string]*parameter
		SecuritySchemes map[string]struct{ Description string }
	}
}

// A tag is a group of operations.
type tag struct {
	Name, Description string
	Operations        []*operation // in the order of their paths
}

type operation struct {
	Method, Path         string
	OperationID          string
	Summary, Description string
	Tags                 []string
	Security             []map[string][]string // one of them is needed
	Roles                []string              `json:"x-roles"`
	Parameters           []*parameter
	RequestBody          struct{ Content map[string]mediaType }
	Responses            map[string]*response
}

type parameter struct {
	Ref         string `json:"$ref"`
	Name, In    string
	Description string
	Required    bool
	Schema      *schema
}

type response struct {
	Ref         string `json:"$ref"`
	Description string
	Headers     map[string]struct{ Description string }
	Content     map[string]mediaType
}

type mediaType struct{ Schema *schema }

type schema struct {
	Ref             string `json:"$ref"`
	Type            string
	Format          string
	ContentEncoding string
	Pattern         string
	Description     string
	Enum            []string
	Items           *schema
	AllOf           []*schema
	Properties      map[string]*schema
	Required        []string
}

// parseDescription reads an OpenAPI document, puts in what it refers to and
// groups the operations by their tags.
func parseDescription(data []byte) (*description, error) {
	var d description
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, fmt.Errorf("read the description of the API: %w", err)
	}
	for _, at := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(d.Paths[at])) {
			o := d.Paths[at][method]
			o.Method, o.Path = strings.ToUpper(method), at
			if err := d.complete(o); err != nil {
				return nil, fmt.Errorf("description of %s %s: %w", o.Method, o.Path, err)
			}
		}
	}
	return &d, nil
}

// complete puts in what an operation refers to, and the operation into its group.
func (d *description) complete(o *operation) error {
	for i, p := range o.Parameters {
		if p.Ref != "" {
			o.Parameters[i] = d.Components.Parameters[path.Base(p.Ref)]
		}
		if o.Parameters[i] == nil {
			return fmt.Errorf("no parameter %s", p.Ref)
		}
	}
	for code, r := range o.Responses {
		if r.Ref != "" {
			o.Responses[code] = d.Components.Responses[path.Base(r.Ref)]
		}
		if o.Responses[code] == nil {
			return fmt.Errorf("no response %s", r.Ref)
		}
	}
	group := slices.IndexFunc(d.Tags, func(t tag) bool { return slices.Contains(o.Tags, t.Name) })
	if group < 0 {
		return fmt.Errorf("no group %q", o.Tags)
	}
	d.Tags[group].Operations = append(d.Tags[group].Operations, o)
	return nil
}

// Credentials tells with which credentials the operation can be called.
func (o *operation) Credentials() string {
	var names []string
	for _, s := range o.Security {
		names = append(names, slices.Collect(maps.Keys(s))...)
	}
	return cmp.Or(strings.Join(names, " or "), "none")
}

// RolesText lists the roles that may call the operation.
func (o *operation) RolesText() string { return strings.Join(o.Roles, ", ") }

// Name is that of the schema referred to.
func (s *schema) Name() string { return path.Base(s.Ref) }

// Kind tells what a value is, in a few words.
func (s *schema) Kind() string {
	kind := cmp.Or(s.Type, "anything")
	if detail := cmp.Or(s.Format, s.ContentEncoding); detail != "" {
		kind += " (" + detail + ")"
	}
	if len(s.Enum) > 0 {
		kind += ": " + strings.Join(s.Enum, ", ")
	}
	return kind
}

// Requires reports whether a property must be there.
func (s *schema) Requires(property string) bool { return slices.Contains(s.Required, property) }

// Names lists what must be there.
func (s *schema) Names() string { return strings.Join(s.Required, ", ") }
