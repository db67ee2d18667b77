package status_test

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/yosida95/uritemplate/v3"
)

// checkSchema applies the rules of status.schema.json and link.schema.json
// (LSD appendix A), and those of LSD §2 that they leave out.
func checkSchema(tb testing.TB, doc []byte) {
	tb.Helper()
	var root any
	if err := json.Unmarshal(doc, &root); err != nil {
		tb.Fatalf("%v in %s", err, doc)
	}
	s := schema{tb, doc}
	o := s.object("document", root)
	s.text(o, "id")
	s.text(o, "message")
	s.oneOf(o, "status", "ready", "active", "revoked", "returned", "cancelled", "expired")
	updated := s.object("updated", o["updated"])
	s.date(updated, "license")
	s.date(updated, "status")
	s.links(o["links"])
	if rights, ok := o["potential_rights"]; ok {
		s.date(s.object("potential_rights", rights), "end")
	}
	for _, e := range s.array("events", o["events"]) {
		event := s.object("event", e)
		s.oneOf(event, "type", "register", "renew", "return", "revoke", "cancel")
		s.date(event, "timestamp")
		for _, optional := range []string{"id", "name"} {
			if _, ok := event[optional]; ok {
				s.text(event, optional)
			}
		}
	}
}

type schema struct {
	testing.TB
	doc []byte
}

func (s schema) links(value any) {
	s.Helper()
	var rels []string
	for _, l := range s.array("links", value) {
		link := s.object("link", l)
		s.text(link, "href")
		s.text(link, "rel")
		s.text(link, "type")
		href, _ := link["href"].(string)
		rel, _ := link["rel"].(string)
		rels = append(rels, rel)
		templated, ok := link["templated"].(bool)
		if _, there := link["templated"]; there && !ok {
			s.Errorf("templated is not a boolean in %s", s.doc)
		}
		if templated {
			if t, err := uritemplate.New(href); err != nil || len(t.Varnames()) == 0 {
				s.Errorf("%q is not a URI template: %v", href, err)
			}
		} else {
			s.uri(href)
		}
		if profile, ok := link["profile"].(string); ok {
			s.uri(profile)
		}
	}
	if !slices.Contains(rels, "license") {
		s.Errorf("no license link in %s", s.doc)
	}
	if slices.Sort(rels); len(slices.Compact(rels)) != len(rels) {
		s.Errorf("two links of a kind in %s", s.doc)
	}
}

// uri wants an absolute URI, which has no characters but those of RFC 3986 §2.
func (s schema) uri(text string) {
	s.Helper()
	if u, err := url.Parse(text); err != nil || !u.IsAbs() || !uriCharacters.MatchString(text) {
		s.Errorf("%q is not an absolute URI", text)
	}
}

var uriCharacters = regexp.MustCompile(`^[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+$`)

func (s schema) object(name string, value any) map[string]any {
	s.Helper()
	o, ok := value.(map[string]any)
	if !ok {
		s.Fatalf("%s is not an object in %s", name, s.doc)
	}
	return o
}

func (s schema) array(name string, value any) []any {
	s.Helper()
	a, ok := value.([]any)
	if !ok {
		s.Fatalf("%s is not an array in %s", name, s.doc)
	}
	return a
}

func (s schema) text(o map[string]any, name string) {
	s.Helper()
	if v, ok := o[name].(string); !ok || v == "" {
		s.Errorf("%s is not a text in %s", name, s.doc)
	}
}

func (s schema) oneOf(o map[string]any, name string, values ...string) {
	s.Helper()
	if v, ok := o[name].(string); !ok || !slices.Contains(values, v) {
		s.Errorf("%s is none of %v in %s", name, values, s.doc)
	}
}

// date wants RFC 3339 in UTC with Z, milliseconds at most.
func (s schema) date(o map[string]any, name string) {
	s.Helper()
	v, _ := o[name].(string)
	if _, err := time.Parse(time.RFC3339, v); err != nil || !dateForm.MatchString(v) {
		s.Errorf("%s is not a date in %s", name, s.doc)
	}
}

var dateForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$`)
