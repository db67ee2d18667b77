package license

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/profile"
)

// A FieldError is a fault of one field of a request. The field has the name that
// the LCP Server API gives it, such as pass_hash, so that whoever filled it in
// recognizes it.
type FieldError struct {
	Field  string
	Reason string // never holds a secret or personal data
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// A Request is all that differs from one license to the next. It does not print:
// it holds the key of a publication and what is needed for that of a user.
type Request struct {
	ID      string    // a UUID, fresh for a new license
	Issued  time.Time // when the license was first issued
	Updated time.Time // zero: never since

	ContentKey  lcpcrypto.ContentKey
	Publication Publication
	User        User
	Rights      Rights

	Profile  string // URI of one encryption profile, not profile.Any2
	TextHint string // tells the user which passphrase is asked for
	PassHash string // SHA-256 of the passphrase, 64 hexadecimal digits in either case

	Links []Link // further ones, after those of the issuer
}

// Publication says what the license is for and where it can be had.
type Publication struct {
	Href        string // absolute URI of the protected publication
	ContentType string // media type
	Title       string // may be empty
	Size        int64  // bytes
	Checksum    string // SHA-256, 64 hexadecimal digits in either case
}

// String keeps secrets and personal data out of logs and error messages.
func (r Request) String() string { return "Request(" + r.ID + ")" }

// GoString keeps them out of %#v.
func (r Request) GoString() string { return r.String() }

// Format keeps them out of every formatting verb.
func (r Request) Format(f fmt.State, _ rune) { fmt.Fprint(f, r.String()) }

// LogValue implements slog.LogValuer.
func (r Request) LogValue() slog.Value { return slog.StringValue(r.String()) }

// Validate checks all that can be checked without deriving a key, and reports
// every fault at once: a *FieldError, or several of them in errors.Join.
func (r *Request) Validate() error {
	var f faults
	r.checkLicense(&f)
	r.Publication.check(&f)
	r.User.check(&f)
	r.Rights.check(&f)
	f.links(r.Links)
	return errors.Join(f...)
}

// faults collects what is wrong with a request.
type faults []error

// add notes a fault of field, unless err is nil.
func (f *faults) add(field string, err error) {
	if err != nil {
		*f = append(*f, &FieldError{Field: field, Reason: err.Error()})
	}
}

func (f *faults) links(links []Link) {
	for i, l := range links {
		f.add(fmt.Sprintf("links[%d]", i), l.check())
	}
}

func (r *Request) checkLicense(f *faults) {
	f.add("uuid", checkUUID(r.ID))
	f.add("issued", checkDate(r.Issued))
	if r.Issued.IsZero() {
		f.add("issued", errMissing)
	}
	if !r.Updated.IsZero() {
		f.add("updated", cmp.Or(checkDate(r.Updated), notBefore(r.Updated, r.Issued, "issued")))
	}
	if r.ContentKey == (lcpcrypto.ContentKey{}) {
		f.add("encryption_key", errMissing)
	}
	f.add("text_hint", cmp.Or(required(r.TextHint), checkText(r.TextHint)))
	if r.PassHash == "" {
		f.add("pass_hash", errMissing)
	} else {
		_, err := profile.ParseHash(r.PassHash)
		f.add("pass_hash", err)
	}
	if r.Profile == profile.Any2 {
		f.add("profile", errors.New("a license has one profile: choose it first"))
	} else {
		f.add("profile", profile.Validate(r.Profile))
	}
}

func (p *Publication) check(f *faults) {
	f.add("href", cmp.Or(required(p.Href), checkText(p.Href), checkURI(p.Href)))
	f.add("content_type", cmp.Or(required(p.ContentType), checkText(p.ContentType)))
	f.add("title", checkText(p.Title))
	if p.Size <= 0 {
		f.add("size", errors.New("it must be the length of the publication in bytes"))
	}
	f.add("checksum", checkHash(p.Checksum))
}

// check also finds names in Encrypted that cannot be encrypted: leaving such a
// field clear in silence would publish what was to be kept.
func (u *User) check(f *faults) {
	f.add("user_id", checkText(u.ID))
	f.add("user_name", checkText(u.Name))
	f.add("user_email", checkText(u.Email))
	for name, value := range u.Fields {
		if err := cmp.Or(checkText(name), checkURI(name), checkText(value)); err != nil {
			f.add("user_fields", fmt.Errorf("%q: %w", name, err))
		}
	}
	for i, name := range u.Encrypted {
		f.add("user_encrypted", u.checkEncrypted(name, slices.Contains(u.Encrypted[:i], name)))
	}
}

func (u *User) checkEncrypted(name string, repeated bool) error {
	if _, present := u.field(name); present && !repeated {
		return nil
	}
	switch {
	case name == userEncrypted:
		return errors.New(`"encrypted" itself must stay clear`)
	case repeated:
		return fmt.Errorf("%q is named twice", name)
	}
	return fmt.Errorf("%q is named, but the user has no such field", name)
}

func (r *Rights) check(f *faults) {
	for field, limit := range map[string]*int64{"print": r.Print, "copy": r.Copy} {
		if limit != nil && *limit < 0 {
			f.add(field, errors.New("it must not be negative; leave it out for no limit"))
		}
	}
	if r.Start != nil {
		f.add("start", checkDate(*r.Start))
	}
	if r.End != nil {
		f.add("end", checkDate(*r.End))
	}
	if r.Start != nil && r.End != nil {
		f.add("end", notBefore(*r.End, *r.Start, "start"))
	}
}

// check looks at a link that is not one of the four the issuer makes.
func (l Link) check() error {
	switch l.Rel {
	case "":
		return errors.New("rel is missing")
	case RelPublication, RelStatus, RelHint, RelSelf:
		return fmt.Errorf("rel %q is not for a further link", l.Rel)
	case RelSupport:
	default:
		if checkURI(l.Rel) != nil {
			return fmt.Errorf("rel %q must be %q or a URI (LCP §3.5)", l.Rel, RelSupport)
		}
	}
	if err := checkURI(l.Href); err != nil && !l.Templated {
		return fmt.Errorf("href %q: %w", l.Href, err)
	}
	if l.Length < 0 {
		return errors.New("length is negative")
	}
	if l.Hash != "" && checkHash(l.Hash) != nil {
		return errors.New("hash is not 64 hexadecimal digits")
	}
	return cmp.Or(checkText(l.Rel), checkText(l.Href), checkText(l.Type), checkText(l.Title), checkText(l.Profile))
}

var errMissing = errors.New("it is required")

func required(text string) error {
	if strings.TrimSpace(text) == "" {
		return errMissing
	}
	return nil
}

// checkText refuses what JSON cannot carry unchanged.
func checkText(text string) error {
	if !utf8.ValidString(text) {
		return errors.New("it is not valid UTF-8")
	}
	return nil
}

// checkDate refuses years that RFC 3339 cannot write.
func checkDate(t time.Time) error {
	if y := t.UTC().Year(); y < 0 || y > 9999 {
		return errors.New("its year must have four digits")
	}
	return nil
}

func notBefore(t, earlier time.Time, name string) error {
	if t.Before(earlier) {
		return fmt.Errorf("it must not be before %q", name)
	}
	return nil
}

func checkHash(text string) error {
	if text == "" {
		return errMissing
	}
	if _, err := hex.DecodeString(text); err != nil || len(text) != 64 {
		return errors.New("it is not a SHA-256 hash of 64 hexadecimal digits")
	}
	return nil
}

// checkUUID accepts the form of RFC 9562 §4, in either case.
func checkUUID(text string) error {
	digits := strings.ReplaceAll(text, "-", "")
	_, err := hex.DecodeString(digits)
	if err != nil || len(digits) != 32 || len(text) != 36 ||
		text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return errors.New("it is not a UUID")
	}
	return nil
}
