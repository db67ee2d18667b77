package provider

import (
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/language"

	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/rights"
	"github.com/lcp-tools/lcp/pkg/wire"
)

// Limits on one provider.
const (
	maxID          = 63
	maxHintText    = 16 << 10 // characters
	maxList        = 64       // languages, links, networks
	maxDays        = 36_500
	maxConcurrency = 1000
)

// CheckID accepts what an identifier can be.
func CheckID(id string) error {
	switch {
	case id == "":
		return errors.New("is missing")
	case len(id) > maxID:
		return errors.New("is longer than " + strconv.Itoa(maxID) + " characters")
	case id[0] == '-' || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		return errors.New("must be lower-case letters, digits and hyphens, and not begin with a hyphen")
	default:
		return nil
	}
}

// Check reports every fault of the settings at once, as *license.FieldError, by
// the paths of their fields.
func (p *Provider) Check() error {
	var f wire.Faults
	if err := CheckID(p.ID); err != nil {
		f.Add("id", "%v", err)
	}
	f.Text("name", p.Name, wire.MaxName)
	f.Text("uri", p.URI, wire.MaxName)
	if !isAbsolute(p.URI) {
		f.Add("uri", "%q is not an absolute URI", p.URI)
	}
	if (p.Certificate.Cert == "") != (p.Certificate.PrivateKey == "") {
		f.Add("certificate", "cert and private_key go together")
	}
	if p.Profile != "" {
		if err := profile.Validate(p.Profile); err != nil {
			f.Add("profile", "%v", err)
		}
	}
	checkTemplate(&f, "hint_link", p.HintLink, false)
	p.Hint.check(&f)
	p.checkLists(&f)
	if p.Renewal != nil {
		p.Renewal.check(&f)
	}
	p.checkAuthorization(&f)
	p.KeyRetrieval.check(&f)
	return f.Err()
}

func (h Hint) check(f *wire.Faults) {
	f.Text("hint.text", h.Text, maxHintText)
	checkWeb(f, "hint.link", h.Link)
	if len(h.Texts) > maxList {
		f.Add("hint.texts", "has more than %d languages", maxList)
		return
	}
	for _, tag := range slices.Sorted(maps.Keys(h.Texts)) {
		field, t := "hint.texts."+strings.ToValidUTF8(tag, "\ufffd"), h.Texts[tag]
		checkLanguage(f, field, tag)
		f.Text(field+".text", t.Text, maxHintText)
		checkWeb(f, field+".link", t.Link)
	}
}

func (p *Provider) checkLists(f *wire.Faults) {
	if len(p.SupportLinks) > maxList {
		f.Add("support_links", "has more than %d links", maxList)
	} else {
		for _, link := range p.SupportLinks {
			if !isAbsolute(link) {
				f.Add("support_links", "%q is not an absolute URI", link)
			}
		}
	}
	if len(p.Languages) > maxList {
		f.Add("languages", "has more than %d languages", maxList)
		return
	}
	for _, tag := range p.Languages {
		checkLanguage(f, "languages", tag)
	}
}

func (r *Renewal) check(f *wire.Faults) {
	for field, days := range map[string]int{"default_days": r.DefaultDays, "max_days": r.MaxDays} {
		if days < 0 || days > maxDays {
			f.Add("renewal."+field, "%d is not between 0 and %d", days, maxDays)
		}
	}
	checkTemplate(f, "renewal.link", r.Link, true)
}

func (p *Provider) checkAuthorization(f *wire.Faults) {
	a := p.Authorization
	f.Text("authorization.merchant", a.Merchant, wire.MaxName)
	if n := a.Callback.Concurrency; n < 0 || n > maxConcurrency {
		f.Add("authorization.callback.concurrency", "%d is not between 0, for the default, and %d", n, maxConcurrency)
	}
	if len(a.Callback.Allow) > maxList {
		f.Add("authorization.callback.allow", "has more than %d networks", maxList)
	}
	checkRights(f, a.Rights)
	if a.Mode == "" {
		return
	}
	if _, err := delivery.ParseMode(string(a.Mode)); err != nil {
		f.Add("authorization.mode", "%v", err)
		return
	}
	d := delivery.Provider{
		ID: p.ID, Mode: a.Mode, Until: a.Until,
		Callback: delivery.Callback{URL: a.Callback.URL, Loopback: a.Callback.Loopback, Allow: a.Callback.Allow},
	}
	if d.ID == "" {
		d.ID = DefaultID // that it is missing has been said
	}
	for _, err := range each(d.Check()) {
		f.Add("authorization", "%v", err)
	}
}

func checkRights(f *wire.Faults, data json.RawMessage) {
	if len(data) == 0 || string(data) == "null" {
		return
	}
	_, err := rights.Parse(data)
	for _, err := range each(err) {
		if fault, ok := errors.AsType[*license.FieldError](err); ok {
			f.Add("authorization.rights."+fault.Field, "%s", fault.Reason)
		} else {
			f.Add("authorization.rights", "%v", err)
		}
	}
}

func (k KeyRetrieval) check(f *wire.Faults) {
	if k.PublicationLink == "" && k.Authentication != "" {
		f.Add("key_retrieval.publication_link", "is missing, and authentication is of no use without")
	}
	checkWeb(f, "key_retrieval.authentication", k.Authentication)
	checkTemplate(f, "key_retrieval.publication_link", k.PublicationLink, true)
}

// each takes joined errors apart.
func each(err error) []error {
	switch list := err.(type) { //nolint:errorlint // what is joined, and nothing that wraps it
	case nil:
		return nil
	case interface{ Unwrap() []error }:
		return list.Unwrap()
	default:
		return []error{err}
	}
}

// checkTemplate adds a fault of a template that was given.
func checkTemplate(f *wire.Faults, field, text string, needsID bool) {
	if text == "" {
		return
	}
	t, err := license.ParseTemplate(text)
	switch {
	case err != nil:
		f.Add(field, "%v", err)
	case needsID && !t.HasLicenseID():
		f.Add(field, "%q does not contain {license_id}: put it where the identifier of the license belongs", text)
	}
}

// checkWeb adds a fault of an address of a page that was given.
func checkWeb(f *wire.Faults, field, text string) {
	f.Text(field, text, wire.MaxURL)
	if text != "" && !isWeb(text) {
		f.Add(field, "%q is not an absolute http or https URL", text)
	}
}

func checkLanguage(f *wire.Faults, field, tag string) {
	if _, err := language.Parse(tag); err != nil || tag == "" {
		f.Add(field, "%q is not the tag of a language, as in en or pt-BR", tag)
	}
}

func isWeb(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}

func isAbsolute(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme != "" && (u.Host != "" || u.Opaque != "" || u.Path != "")
}
