package license

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/signature"
)

// MaxSize is the length in bytes beyond which a document is not read. Real ones
// have 3 to 5 KB.
const MaxSize = 1 << 20

// A MemberError is a fault of one member of a license document.
type MemberError struct {
	Member string // path from the outermost object, such as encryption.profile or links[1].href
	Reason string // such as "is missing"
}

func (e *MemberError) Error() string { return e.Member + " " + e.Reason }

// Parse reads a license document, which may have members that are unknown here:
// they are kept, since the signature covers them. All that the specification
// requires must be there, in the right type. The error wraps ErrDocument, and
// may be several joined, a *MemberError each.
//
// Nothing is verified yet: see Verify. The document keeps a copy of data.
func Parse(data []byte) (*Document, error) {
	d, faults, err := Read(data)
	switch {
	case err != nil:
		return nil, err
	case len(faults) > 0:
		return nil, fmt.Errorf("%w: %w", ErrDocument, errors.Join(faults...))
	}
	return d, nil
}

// Read is Parse for who looks into a document that may be faulty: it returns what
// could be read of it, and a *MemberError for each fault. Members at fault have no
// value. The error wraps ErrDocument where nothing can be read.
func Read(data []byte) (d *Document, faults []error, err error) {
	if len(data) > MaxSize {
		return nil, nil, fmt.Errorf("%w: it has %d bytes, at most %d are read", ErrDocument, len(data), MaxSize)
	}
	// The canonical form is made for its side effect: it refuses what two readers
	// could understand in two ways, such as a repeated member.
	if _, err := signature.Signed(data); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	d = &Document{raw: slices.Clone(data)}
	d.read(object{faults: &faults}.open(data))
	return d, faults, nil
}

// read fills in d from the outermost object.
func (d *Document) read(o object) {
	o.required("provider", &d.Provider)
	o.required("id", &d.ID)
	d.Issued = o.date("issued", true)
	d.Updated = o.date("updated", false)

	e := o.object("encryption", true)
	e.required("profile", &d.Encryption.Profile)
	ck := e.object("content_key", true)
	ck.required("algorithm", &d.Encryption.ContentKey.Algorithm)
	ck.bytes("encrypted_value", &d.Encryption.ContentKey.EncryptedValue)
	uk := e.object("user_key", true)
	uk.required("algorithm", &d.Encryption.UserKey.Algorithm)
	uk.member("text_hint", &d.Encryption.UserKey.TextHint, true)
	uk.bytes("key_check", &d.Encryption.UserKey.KeyCheck)

	d.Links = readLinks(o)
	d.User.read(o.object("user", false))
	d.Rights.read(o.object("rights", false))

	s := o.object("signature", true)
	s.required("algorithm", &d.Signature.Algorithm)
	s.bytes("certificate", &d.Signature.Certificate)
	s.bytes("value", &d.Signature.Value)
}

func readLinks(o object) []Link {
	var items []json.RawMessage
	o.member("links", &items, true)
	links := make([]Link, len(items))
	for i, item := range items {
		l := object{faults: o.faults, path: fmt.Sprintf("%slinks[%d]", o.path, i)}.open(item)
		links[i].Rel = l.rel()
		l.required("href", &links[i].Href)
		l.member("type", &links[i].Type, false)
		l.member("templated", &links[i].Templated, false)
		l.member("title", &links[i].Title, false)
		l.member("profile", &links[i].Profile, false)
		l.length(&links[i].Length)
		l.member("hash", &links[i].Hash, false)
	}
	return links
}

// rel reads a relation, which may be one or a list.
func (o object) rel() string {
	if raw := o.members["rel"]; len(raw) > 0 && raw[0] == '[' {
		var rels []string
		if o.member("rel", &rels, true); len(rels) > 0 {
			return rels[0]
		}
	}
	var rel string
	o.required("rel", &rel)
	return rel
}

// length reads an integer, also one in a string as the specification's own
// example has it (LCP §3.5).
func (o object) length(n *int64) {
	raw := o.members["length"]
	if len(raw) > 1 && raw[0] == '"' {
		o.members["length"] = raw[1 : len(raw)-1]
	}
	o.member("length", n, false)
}

// read takes what is known of the user. Extensions that are not text stay in the
// JSON only.
func (u *User) read(o object) {
	o.member(userID, &u.ID, false)
	o.member(userName, &u.Name, false)
	o.member(userEmail, &u.Email, false)
	o.member(userEncrypted, &u.Encrypted, false)
	for name, raw := range o.members {
		if slices.Contains([]string{userID, userName, userEmail, userEncrypted}, name) || raw[0] != '"' {
			continue
		}
		var value string
		o.member(name, &value, false)
		if u.Fields == nil {
			u.Fields = map[string]string{}
		}
		u.Fields[name] = value
	}
}

func (r *Rights) read(o object) {
	r.Print = o.limit("print")
	r.Copy = o.limit("copy")
	for name, t := range map[string]**time.Time{"start": &r.Start, "end": &r.End} {
		if at := o.date(name, false); !at.IsZero() {
			*t = &at
		}
	}
}

// limit reads a number of pages or characters. A negative one sets no limit (LCP
// §3.6).
func (o object) limit(name string) *int64 {
	if _, present := o.members[name]; !present {
		return nil
	}
	var n int64
	if o.member(name, &n, true); n < 0 {
		return nil
	}
	return &n
}

// An object reads the members of one JSON object by their exact names, which
// encoding/json would match in any case, and notes what is wrong by path.
type object struct {
	path    string // of its members, such as "encryption."; "" outermost
	members map[string]json.RawMessage
	absent  bool // an object that need not be there is not; reading it gives nothing
	faults  *[]error
}

func (o object) fault(name, reason string) {
	*o.faults = append(*o.faults, &MemberError{Member: o.path + name, Reason: reason})
}

// open reads the members of the object in data.
func (o object) open(data []byte) object {
	if err := json.Unmarshal(data, &o.members); err != nil || o.members == nil {
		o.fault("", "is not an object")
		o.absent = true
	}
	if o.path != "" {
		o.path += "."
	}
	return o
}

// object reads a member that is an object.
func (o object) object(name string, required bool) object {
	raw, present := o.members[name]
	inner := object{path: o.path + name, faults: o.faults, absent: true}
	if present && string(raw) != "null" {
		inner.absent = false
		return inner.open(raw)
	}
	if required && !o.absent {
		o.fault(name, "is missing")
	}
	return inner
}

// member reads a member into value. What is null is as good as absent.
func (o object) member(name string, value any, required bool) {
	raw, present := o.members[name]
	switch {
	case o.absent:
	case !present || string(raw) == "null":
		if required {
			o.fault(name, "is missing")
		}
	case json.Unmarshal(raw, value) != nil:
		o.fault(name, "is not "+kind(value))
	}
}

// required reads a text that must be there and not be empty.
func (o object) required(name string, value *string) {
	before := len(*o.faults)
	o.member(name, value, true)
	if *value == "" && !o.absent && len(*o.faults) == before {
		o.fault(name, "is empty")
	}
}

// bytes reads Base64 that must be there and not be empty.
func (o object) bytes(name string, value *[]byte) {
	before := len(*o.faults)
	o.member(name, value, true)
	if len(*value) == 0 && !o.absent && len(*o.faults) == before {
		o.fault(name, "is empty")
	}
}

func (o object) date(name string, required bool) time.Time {
	var text string
	before := len(*o.faults)
	o.member(name, &text, required)
	if len(*o.faults) > before || text == "" && !required {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, strings.TrimSpace(text))
	if err != nil && !o.absent {
		o.fault(name, "is not an RFC 3339 date")
	}
	return t
}

// kind says in the words of JSON what a value should have been.
func kind(value any) string {
	switch value.(type) {
	case *string:
		return "a string"
	case *[]byte:
		return "standard base64"
	case *int64:
		return "an integer"
	case *bool:
		return "true or false"
	case *[]string:
		return "a list of strings"
	}
	return "a list"
}
