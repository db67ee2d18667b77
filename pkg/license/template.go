package license

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/yosida95/uritemplate/v3"
)

// idVariable is the one variable of the templates in a configuration.
const idVariable = "license_id"

// sampleID stands for a license when a template is tried.
const sampleID = "00000000-0000-4000-8000-000000000000"

// A Template is a link that differs from license to license: an RFC 6570
// template in the variable license_id. It is safe for concurrent use.
type Template struct {
	template *uritemplate.Template
	constant string // the link, where it is the same for all licenses
}

// ParseTemplate reads a template and tries it. It must expand to an absolute
// http or https URL and have no variable but license_id, such as
// https://example.com/licenses/{license_id} or https://example.com/hint{?license_id}.
// A plain URL is a template too, which yields the same link for every license.
func ParseTemplate(text string) (*Template, error) {
	parsed, err := uritemplate.New(text)
	if err != nil {
		return nil, fmt.Errorf("read the URI template %q: %w", text, err)
	}
	t := &Template{template: parsed}
	for _, name := range parsed.Varnames() {
		if name != idVariable {
			return nil, fmt.Errorf("URI template %q: unknown variable %q, only %q can be used", text, name, idVariable)
		}
	}
	link, err := t.Expand(sampleID)
	if err != nil {
		return nil, err
	}
	if err := checkWebURL(link); err != nil {
		return nil, fmt.Errorf("URI template %q: %w", text, err)
	}
	if !t.HasLicenseID() {
		t.constant = link
	}
	return t, nil
}

// HasLicenseID reports whether the link differs from license to license.
func (t *Template) HasLicenseID() bool { return len(t.template.Varnames()) > 0 }

// Expand returns the link for the license id.
func (t *Template) Expand(id string) (string, error) {
	if t.constant != "" {
		return t.constant, nil
	}
	link, err := t.template.Expand(uritemplate.Values{idVariable: uritemplate.String(id)})
	if err != nil {
		return "", fmt.Errorf("expand the URI template %q: %w", t.template.Raw(), err)
	}
	return link, nil
}

// String returns the template as it was written.
func (t *Template) String() string { return t.template.Raw() }

// checkWebURL refuses what is not an absolute http or https URL.
func checkWebURL(link string) error {
	u, err := url.Parse(link)
	switch {
	case err != nil || strings.ContainsAny(link, " \t\r\n"):
		return fmt.Errorf("%q is not a URL", link)
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return fmt.Errorf("%q is not an absolute http or https URL", link)
	}
	return nil
}

// checkURI refuses what is not an absolute URI of any scheme.
func checkURI(link string) error {
	u, err := url.Parse(link)
	if err != nil || !u.IsAbs() || strings.ContainsAny(link, " \t\r\n") {
		return errors.New("it must be an absolute URI")
	}
	return nil
}
