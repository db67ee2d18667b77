package server_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yosida95/uritemplate/v3"
)

// checkLicenseSchema applies the rules of license.schema.json and
// link.schema.json (LCP appendix A), and those of LCP §3 that they leave out.
func checkLicenseSchema(t *testing.T, text []byte) {
	t.Helper()
	s := schema{t, text}
	doc := s.root()
	s.members("license", doc, "id issued provider encryption links signature", "updated user rights")
	s.uris(doc, "provider")
	s.dates(doc, "issued", "updated")
	encryption := s.object(doc, "encryption")
	s.members("encryption", encryption, "profile content_key user_key", "")
	s.uris(encryption, "profile")
	contentKey, userKey := s.object(encryption, "content_key"), s.object(encryption, "user_key")
	s.members("content_key", contentKey, "algorithm encrypted_value", "")
	s.members("user_key", userKey, "algorithm text_hint key_check", "")
	s.uris(contentKey, "algorithm")
	s.uris(userKey, "algorithm")
	s.base64(contentKey, "encrypted_value")
	s.base64(userKey, "key_check")
	s.texts(userKey, "text_hint")
	signature := s.object(doc, "signature")
	s.members("signature", signature, "algorithm certificate value", "")
	s.uris(signature, "algorithm")
	s.base64(signature, "certificate", "value")
	s.licenseLinks(doc)
	if _, ok := doc["rights"]; ok {
		rights := s.object(doc, "rights")
		s.members("rights", rights, "", "print copy start end")
		s.limits(rights, "print", "copy")
		s.dates(rights, "start", "end")
	}
	if _, ok := doc["user"]; ok {
		user := s.object(doc, "user")
		encrypted, _ := user["encrypted"].([]any)
		for _, name := range encrypted {
			s.base64(user, fmt.Sprint(name))
		}
	}
}

func (s schema) licenseLinks(doc object) {
	s.Helper()
	count := map[string]int{}
	for _, l := range s.links(doc) {
		count[fmt.Sprint(l["rel"])]++
		s.uris(l, "href")
		s.limits(l, "length")
		if hash, ok := l["hash"]; ok && !sha256Form.MatchString(fmt.Sprint(hash)) {
			s.Errorf("hash = %v, not 64 lower-case hexadecimal digits", hash)
		}
	}
	if count["hint"] != 1 || count["publication"] != 1 || count["status"] != 1 {
		s.Errorf("links have the relations %v, want one hint, one publication, one status", count)
	}
}

// checkStatusSchema applies the rules of status.schema.json and link.schema.json
// (LSD appendix A), and those of LSD §2 that they leave out.
func checkStatusSchema(t *testing.T, text []byte) {
	t.Helper()
	s := schema{t, text}
	doc := s.root()
	s.members("status document", doc, "id status message updated links", "potential_rights events")
	s.texts(doc, "id", "message")
	s.oneOf(doc, "status", "ready active revoked returned cancelled expired")
	updated := s.object(doc, "updated")
	s.members("updated", updated, "license status", "")
	s.dates(updated, "license", "status")
	if _, ok := doc["potential_rights"]; ok {
		s.dates(s.object(doc, "potential_rights"), "end")
	}
	s.statusLinks(doc)
	events, _ := doc["events"].([]any)
	for _, e := range events {
		event, ok := e.(object)
		if !ok {
			s.Fatalf("event %v is not an object", e)
		}
		s.members("event", event, "type timestamp", "id name")
		s.oneOf(event, "type", "register renew return revoke cancel")
		s.dates(event, "timestamp")
		s.texts(event, "id", "name")
	}
}

func (s schema) statusLinks(doc object) {
	s.Helper()
	var rels []string
	for _, l := range s.links(doc) {
		rels = append(rels, fmt.Sprint(l["rel"]))
		s.members("link", l, "type", "rel href templated title profile")
		if templated, _ := l["templated"].(bool); !templated {
			s.uris(l, "href")
		} else if u, err := uritemplate.New(fmt.Sprint(l["href"])); err != nil || len(u.Varnames()) == 0 {
			s.Errorf("%v is not a URI template: %v", l["href"], err)
		}
	}
	if slices.Sort(rels); !slices.Contains(rels, "license") || len(slices.Compact(slices.Clone(rels))) != len(rels) {
		s.Errorf("links have the relations %v, want a license and each one once", rels)
	}
}

// A schema says what is wrong with a document.
type schema struct {
	*testing.T
	text []byte
}

func (s schema) root() object {
	s.Helper()
	var doc object
	if err := json.Unmarshal(s.text, &doc); err != nil {
		s.Fatalf("%v in %s", err, s.text)
	}
	return doc
}

func (s schema) members(what string, o object, required, optional string) {
	s.Helper()
	for name := range strings.FieldsSeq(required) {
		if _, ok := o[name]; !ok {
			s.Errorf("%s has no %s: %s", what, name, s.text)
		}
	}
	known := strings.Fields(required + " " + optional)
	for name := range o {
		if !slices.Contains(known, name) {
			s.Errorf("%s has a member %s: %s", what, name, s.text)
		}
	}
}

func (s schema) object(o object, name string) object {
	s.Helper()
	inner, ok := o[name].(object)
	if !ok {
		s.Fatalf("%s is not an object in %s", name, s.text)
	}
	return inner
}

func (s schema) links(doc object) []object {
	s.Helper()
	list, _ := doc["links"].([]any)
	var links []object
	for _, v := range list {
		l, ok := v.(object)
		if !ok {
			s.Fatalf("link %v is not an object", v)
		}
		s.members("link", l, "rel href", "type templated title profile length hash")
		s.texts(l, "rel", "href", "type", "title", "profile")
		links = append(links, l)
	}
	return links
}

// texts wants texts of members that are there.
func (s schema) texts(o object, names ...string) {
	s.Helper()
	for _, name := range names {
		if v, ok := o[name]; ok {
			if text, ok := v.(string); !ok || text == "" {
				s.Errorf("%s = %v, not a text, in %s", name, v, s.text)
			}
		}
	}
}

func (s schema) oneOf(o object, name, values string) {
	s.Helper()
	if v, ok := o[name].(string); !ok || !slices.Contains(strings.Fields(values), v) {
		s.Errorf("%s = %v, none of %s", name, o[name], values)
	}
}

var (
	sha256Form = regexp.MustCompile(`^[0-9a-f]{64}$`)
	dateForm   = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$`)
	uriForm    = regexp.MustCompile(`^[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+$`)
)

func (s schema) dates(o object, names ...string) {
	s.Helper()
	for _, name := range names {
		v, ok := o[name]
		if !ok {
			continue
		}
		text, _ := v.(string)
		if _, err := time.Parse(time.RFC3339, text); err != nil || !dateForm.MatchString(text) {
			s.Errorf("%s = %v, not a date in UTC with milliseconds at most", name, v)
		}
	}
}

func (s schema) uris(o object, name string) {
	s.Helper()
	text, _ := o[name].(string)
	if u, err := url.Parse(text); err != nil || !u.IsAbs() || !uriForm.MatchString(text) {
		s.Errorf("%s = %v, not a URI", name, o[name])
	}
}

func (s schema) base64(o object, names ...string) {
	s.Helper()
	for _, name := range names {
		text, _ := o[name].(string)
		if b, err := base64.StdEncoding.DecodeString(text); err != nil || len(b) == 0 {
			s.Errorf("%s = %v, not base64", name, o[name])
		}
	}
}

func (s schema) limits(o object, names ...string) {
	s.Helper()
	for _, name := range names {
		if v, ok := o[name]; ok {
			if n, ok := v.(float64); !ok || n < 0 || n != math.Trunc(n) {
				s.Errorf("%s = %v, not an integer from 0 on", name, v)
			}
		}
	}
}
