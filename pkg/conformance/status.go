package conformance

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/yosida95/uritemplate/v3"

	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/rwpm/jsontree"
	"github.com/lcp-tools/lcp/pkg/status"
)

// Relations of links of status documents (LSD §2.5 and §3).
const (
	relLicense  = "license"
	relRegister = "register"
	relReturn   = "return"
	relRenew    = "renew"
)

// A StatusDocument is what could be read of a status document. What is missing or
// at fault has no value.
type StatusDocument struct {
	ID             string
	State          status.State
	LicenseUpdated time.Time
	StatusUpdated  time.Time
	PotentialEnd   time.Time
	Links          []license.Link
}

// Status checks a status document by itself (LSD §2). The document is nil where
// nothing of it could be read.
func Status(data []byte) (*StatusDocument, []Finding) {
	tree, err := jsontree.Parse(data)
	if err == nil && tree.Kind() != jsontree.Object {
		err = errors.New("it is not an object")
	}
	if err != nil {
		return nil, []Finding{{Error, "status-json", SubjectStatus, "", err.Error(), "LSD §2.1", "a status document is one JSON object in UTF-8"}}
	}
	r := &statusReader{}
	doc := &StatusDocument{
		ID:             r.text(tree.Get("id"), "id", "LSD §2.2"),
		State:          r.state(tree.Get("status")),
		LicenseUpdated: r.date(tree.Get("updated").Get("license"), "updated.license", "LSD §2.4", true),
		StatusUpdated:  r.date(tree.Get("updated").Get("status"), "updated.status", "LSD §2.4", true),
		PotentialEnd:   r.date(tree.Get("potential_rights").Get("end"), "potential_rights.end", "LSD §2.6", false),
		Links:          r.links(tree.Get("links")),
	}
	r.message(tree.Get("message"))
	r.events(tree.Get("events"))
	return doc, append(r.found, statusLinks(doc)...)
}

// A statusReader reads the members of a status document, and notes what is wrong.
type statusReader struct{ found []Finding }

func (r *statusReader) note(severity Severity, rule, place, message, clause, remedy string) {
	r.found = append(r.found, Finding{severity, rule, SubjectStatus, place, message, clause, remedy})
}

// text reads a text that must be there.
func (r *statusReader) text(v *jsontree.Value, place, clause string) string {
	text, ok := v.Text()
	switch {
	case v.Kind() == jsontree.Null:
		r.note(Error, "status-member", place, "is missing", clause, "status documents must have it")
	case !ok:
		r.note(Error, "status-member", place, "is not a text", clause, "write a text")
	case text == "":
		r.note(Error, "status-member", place, "is empty", clause, "status documents must have it")
	}
	return text
}

func (r *statusReader) state(v *jsontree.Value) status.State {
	text := r.text(v, "status", "LSD §2.3")
	if text == "" {
		return ""
	}
	state, err := status.ParseState(text)
	if err != nil {
		r.note(Error, "status-state", "status", err.Error(), "LSD §2.3", "write one of these, in lower case")
	}
	return state
}

func (r *statusReader) date(v *jsontree.Value, place, clause string, required bool) time.Time {
	if v.Kind() == jsontree.Null && !required {
		return time.Time{}
	}
	text := r.text(v, place, clause)
	t, err := time.Parse(time.RFC3339, text)
	if err != nil && text != "" {
		r.note(Error, "status-date", place, quote(text)+" is not an RFC 3339 date", clause, "write a date such as 2031-12-31T23:59:59Z")
	}
	r.found = append(r.found, dateFindings(SubjectStatus, place, clause, text)...)
	return t
}

// message checks what is shown to the user. An empty one is pointless, and allowed.
func (r *statusReader) message(v *jsontree.Value) {
	if text, ok := v.Text(); ok && strings.TrimSpace(text) == "" {
		r.note(Warning, "status-message", "message", "is empty", "LSD §2.2", "tell the user where the license stands")
		return
	}
	r.text(v, "message", "LSD §2.2")
}

// links reads the links. Members of the wrong type are as good as absent.
func (r *statusReader) links(v *jsontree.Value) []license.Link {
	if v.Kind() != jsontree.Array {
		r.note(Error, "status-member", "links", "is not a list", "LSD §2.5", "status documents must have a list of links")
		return nil
	}
	links := make([]license.Link, len(v.All()))
	for i, item := range v.All() {
		l := &links[i]
		if rels := item.Get("rel").All(); len(rels) > 0 {
			l.Rel, _ = rels[0].Text()
		}
		l.Href, _ = item.Get("href").Text()
		l.Type, _ = item.Get("type").Text()
		l.Profile, _ = item.Get("profile").Text()
		l.Templated = item.Get("templated").IsTrue()
		if l.Rel == "" {
			r.note(Error, "status-member", join(linkPlace(i), "rel"), "is missing", "LSD §2.5", "say what the link leads to")
		}
		if l.Href == "" {
			r.note(Error, "status-member", join(linkPlace(i), "href"), "is missing", "LSD §2.5", "say where the link leads")
		}
	}
	return links
}

var eventTypes = []string{status.EventRegister, status.EventRenew, status.EventReturn, status.EventRevoke, status.EventCancel}

// events checks the events, which are optional and ordered.
func (r *statusReader) events(v *jsontree.Value) {
	if v.Kind() != jsontree.Null && v.Kind() != jsontree.Array {
		r.note(Error, "status-events", "events", "is not a list", "LSD §2.7", "write a list of events")
		return
	}
	var times []time.Time
	for i, event := range v.All() {
		place := fmt.Sprintf("events[%d]", i)
		if kind, _ := event.Get("type").Text(); !slices.Contains(eventTypes, kind) {
			r.note(Error, "status-event", place+".type", quote(kind)+" is not a type of event", "LSD §2.7", "write one of "+strings.Join(eventTypes, ", "))
		}
		times = append(times, r.date(event.Get("timestamp"), place+".timestamp", "LSD §2.7", true))
	}
	backwards := func(a, b time.Time) int { return b.Compare(a) }
	if !slices.IsSortedFunc(times, time.Time.Compare) && !slices.IsSortedFunc(times, backwards) {
		r.note(Warning, "status-events", "events", "are in no order", "LSD §2.7", "list them by their timestamps")
	}
}

var (
	lsdLinkRules = linkRules("LSD §2.5", relLicense, relRegister, relReturn, relRenew)

	freshLinkRules = []rule[license.Link]{
		{"fresh-link-templated", Error, "templated", "LSD §2.5", templated, "write the URL of the license itself"},
		{"fresh-link-url", Error, "href", "LSD §2.5", notWeb, "link to where the license is downloaded"},
		{"fresh-link-type", Warning, "type", "LCP §3.2", func(l license.Link) string { return otherType(l.Type, license.MediaType) }, "write " + license.MediaType},
		{"fresh-link-insecure", Warning, "href", "LSD §2.1", insecure, "deliver licenses over https"},
	}

	registerLinkRules = []rule[license.Link]{
		{"register-link", Error, "templated", "LSD §3.3", func(l license.Link) string { return withoutParameters(l, "id", "name") }, "write a URI template that ends in {?id,name}, and templated: true"},
		{"register-link-type", Warning, "type", "LSD §3.3", func(l license.Link) string { return otherType(l.Type, status.MediaType) }, "write " + status.MediaType},
	}

	returnLinkRules = []rule[license.Link]{
		{"return-link", Error, "templated", "LSD §3.4", func(l license.Link) string { return withoutParameters(l, "id", "name") }, "write a URI template that ends in {?id,name}, and templated: true"},
		{"return-link-type", Warning, "type", "LSD §3.4", func(l license.Link) string { return otherType(l.Type, status.MediaType) }, "write " + status.MediaType},
	}

	// A license is renewed by a PUT, or on a page that the user is shown.
	renewLinkRules = []rule[license.Link]{
		{"renew-link", Error, "templated", "LSD §3.5", func(l license.Link) string {
			if isPage(l) {
				return ""
			}
			return withoutParameters(l, "end", "id", "name")
		}, "write a URI template that ends in {?end,id,name}, and templated: true; or link to a page of the type text/html"},
		{"renew-page", Error, "templated", "LSD §3.5", func(l license.Link) string {
			if !isPage(l) {
				return ""
			}
			return templated(l)
		}, "write the URL of the page itself"},
		{"renew-link-type", Warning, "type", "LSD §3.5", func(l license.Link) string {
			if isPage(l) {
				return ""
			}
			return otherType(l.Type, status.MediaType)
		}, "write " + status.MediaType + ", or text/html for a page"},
	}
)

func isPage(l license.Link) bool {
	mediaType, _, _ := strings.Cut(l.Type, ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), "text/html")
}

// withoutParameters says that a link is no template in the parameters that apps
// fill in.
func withoutParameters(l license.Link, names ...string) string {
	if !l.Templated {
		return "is not true: apps have nowhere to put " + strings.Join(names, ", ")
	}
	t, err := uritemplate.New(l.Href)
	if err != nil {
		return "" // link-template tells
	}
	for _, name := range names {
		if !slices.Contains(t.Varnames(), name) {
			return fmt.Sprintf("the template %s has no place for %q", quote(l.Href), name)
		}
	}
	return ""
}

// statusLinks checks the links, and whether they suit the state.
func statusLinks(doc *StatusDocument) []Finding {
	var found []Finding
	for i, l := range doc.Links {
		place := linkPlace(i)
		found = append(found, apply(lsdLinkRules, SubjectStatus, place, l)...)
		switch l.Rel {
		case relLicense:
			found = append(found, apply(freshLinkRules, SubjectStatus, place, l)...)
		case relRegister:
			found = append(found, apply(registerLinkRules, SubjectStatus, place, l)...)
		case relReturn:
			found = append(found, apply(returnLinkRules, SubjectStatus, place, l)...)
		case relRenew:
			found = append(found, apply(renewLinkRules, SubjectStatus, place, l)...)
		}
	}
	return append(found, apply(stateRules, SubjectStatus, "links", doc)...)
}

var stateRules = []rule[*StatusDocument]{
	{
		"status-license-link", Error, "", "LSD §2.5", func(d *StatusDocument) string { return missingLink(d.Links, relLicense) },
		"link to where apps fetch the license anew",
	},
	{"status-register", Info, "", "LSD §3.3", func(d *StatusDocument) string {
		if d.State != status.Ready && d.State != status.Active {
			return ""
		}
		return missingLink(d.Links, relRegister)
	}, "without it devices are not counted, and a license stays as it is when it is opened"},
	{"status-over", Warning, "", "LSD §2.3", func(d *StatusDocument) string {
		for _, rel := range []string{relRegister, relReturn, relRenew} {
			if len(withRel(d.Links, rel)) == 0 {
				continue
			}
			if isOver(d.State) || d.State == status.Expired && rel != relRenew {
				return fmt.Sprintf("the license is %s, and there is a link to %s it", d.State, rel)
			}
		}
		return ""
	}, "leave out links whose requests would be refused: apps show buttons for them"},
}

// isOver tells the states that somebody ended a license with, for good.
func isOver(s status.State) bool {
	return s == status.Revoked || s == status.Returned || s == status.Cancelled
}

// A pair is a status document and the license that it is about, as seen at a time.
type pair struct {
	status  *StatusDocument
	license *license.Document
	now     time.Time
}

// identityRules hold for any license, one that was updated meanwhile included.
var identityRules = []rule[pair]{
	{"status-id", Error, "id", "LSD §2.2", func(p pair) string {
		if p.status.ID == "" || p.license.ID == "" || p.status.ID == p.license.ID {
			return ""
		}
		return fmt.Sprintf("%s is not the id of the license, %s", quote(p.status.ID), quote(p.license.ID))
	}, "have the license link to its own status document"},
	{"status-older", Error, "updated.license", "LSD §2.4", func(p pair) string {
		told, updated := p.status.LicenseUpdated, p.license.LastUpdated()
		// Some servers keep whole seconds in one place and fractions in the other.
		if told.IsZero() || updated.IsZero() || !told.Before(updated.Truncate(time.Second)) {
			return ""
		}
		return fmt.Sprintf("%s lies before the license was last updated, on %s", date(told), date(updated))
	}, "write the date of updated in the license, or of issued where there is none"},
}

// givenRules compare with the license that was given, which may be outdated.
var givenRules = []rule[pair]{
	{"status-newer", Info, "updated.license", "LSD §3.2", func(p pair) string {
		told, updated := p.status.LicenseUpdated, p.license.LastUpdated()
		if told.IsZero() || updated.IsZero() || !told.After(updated) {
			return ""
		}
		return fmt.Sprintf("the license was updated on %s, and the one at hand is of %s", date(told), date(updated))
	}, "apps fetch it anew and forget the one at hand"},
}

// freshRules compare with the license as the status document links to it.
var freshRules = []rule[pair]{
	{"status-always-newer", Error, "updated.license", "LSD §3.2", func(p pair) string {
		told, updated := p.status.LicenseUpdated, p.license.LastUpdated()
		if told.IsZero() || updated.IsZero() || !told.After(updated) {
			return ""
		}
		return fmt.Sprintf("%s lies after the date in the fresh license, %s", date(told), date(updated))
	}, "write the very date that the license has: apps download it again each time"},
}

// currentRules compare with a license that is up to date.
var currentRules = []rule[pair]{
	{"status-ended", Error, "status", "LSD §3.4", func(p pair) string {
		end := p.license.Rights.End
		if !isOver(p.status.State) || end != nil && !end.After(p.now.Add(clockSlack)) {
			return ""
		}
		return fmt.Sprintf("the license is %s, and its rights have not ended", p.status.State)
	}, "set rights.end of the license to when it was returned or revoked: the license takes precedence (LSD §3.2)"},
	{"status-expired", Warning, "status", "LSD §3.2", func(p pair) string {
		end := p.license.Rights.End
		over := end != nil && end.Before(p.now.Add(-clockSlack))
		switch {
		case p.status.State == status.Expired && (end == nil || end.After(p.now.Add(clockSlack))):
			return "the license is expired, and its rights have not ended"
		case over && (p.status.State == status.Ready || p.status.State == status.Active):
			return fmt.Sprintf("the license is %s, and its rights ended on %s", p.status.State, date(*end))
		}
		return ""
	}, "let the status follow rights.end of the license, which takes precedence"},
	{"status-loan", Warning, "links", "LSD §3.4", func(p pair) string {
		if p.license.Rights.End != nil {
			return ""
		}
		for _, rel := range []string{relReturn, relRenew} {
			if len(withRel(p.status.Links, rel)) > 0 {
				return fmt.Sprintf("the license has no end, and there is a link to %s it", rel)
			}
		}
		return ""
	}, "leave out links that are for loans"},
	{"status-potential-end", Warning, "potential_rights.end", "LSD §2.6", func(p pair) string {
		end := p.license.Rights.End
		if p.status.PotentialEnd.IsZero() || end == nil || !p.status.PotentialEnd.Before(*end) {
			return ""
		}
		return fmt.Sprintf("%s lies before the end of the license, %s", date(p.status.PotentialEnd), date(*end))
	}, "tell how far a renewal can go, or leave it out"},
}
