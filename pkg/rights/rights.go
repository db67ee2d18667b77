// Package rights reads Customer Rights Tokens: what a provider's backend says
// about the license that a customer may have. A token can name templates, which
// are merged into it, and comes down to [Terms]: from when to when, how much may
// be copied and printed, for which user and passphrase.
//
// Everything here turns values into values. The clock and the templates come in
// as arguments; who signed a token, how it arrived and what is done with its
// terms is not known here. The form is that of the token that license delivery
// authorization services take, with an "lcp" object for what only LCP has.
package rights

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/lcp-tools/lcp/pkg/rwpm/jsontree"
)

// Limits on one token.
const (
	MaxSize = 16 << 10 // bytes of JSON
	maxID   = 255      // bytes of an identifier
	maxText = 4 << 10  // bytes of any other text
	maxRefs = 16       // templates that one token names
)

// A Kind is what a customer gets.
type Kind string

// The kinds of profile. A token that says neither grants nothing.
const (
	Purchase Kind = "purchase" // without an end
	Rental   Kind = "rental"   // with one
)

// A Token is a Customer Rights Token as it was written, or as merged with its
// templates. It does not print: it may hold personal data and the hash of a
// passphrase. Zero values stand for what it does not say.
type Token struct {
	AssetID  string   // identifier or alternative identifier of the publication
	Refs     []string // names of templates, to be merged from left to right
	Kind     Kind
	Loan     Loan // of a rental
	LCP      LCP
	User     User
	PassHash string // SHA-256 of the passphrase, 64 hexadecimal digits
	TextHint string

	storeLicense *bool
	beyond       []string // members that LCP cannot express, sorted
}

// A Loan says when a rental ends. The earlier of the two expirations counts.
type Loan struct {
	AbsoluteExpiration time.Time // UTC
	RelativeExpiration Duration  // from the moment the license is issued
	PlayDuration       Duration  // from the moment the first device is registered
}

// LCP is what only LCP licenses have.
type LCP struct {
	Start   time.Time // UTC
	Copy    *int64    // characters; nil is no limit
	Print   *int64    // pages; nil is no limit
	Profile string    // URI of an encryption profile
}

// A User is whom the license is for (LCP §3.6).
type User struct {
	ID        string
	Name      string
	Email     string
	Encrypted []string // names of the fields to encrypt: id, name, email
}

// Parse reads a token from JSON: an object, an array that holds one object, or a
// string that holds the text of either. Every fault is reported at once, as
// *license.FieldError, several of them joined; what is not JSON, or more than
// MaxSize bytes of it, is another error.
func Parse(data []byte) (Token, error) {
	if len(data) > MaxSize {
		return Token{}, fmt.Errorf("rights token has %d bytes, and %d are the most", len(data), MaxSize)
	}
	v, err := parseJSON(data)
	if err != nil {
		return Token{}, err
	}
	return Read(v)
}

// Read is Parse for JSON that is part of a larger document.
func Read(v *jsontree.Value) (Token, error) {
	if text, ok := v.Text(); ok {
		inner, err := parseJSON([]byte(text))
		if err != nil {
			return Token{}, err
		}
		if inner.Kind() == jsontree.String {
			return Token{}, errors.New("rights token is text within text")
		}
		v = inner
	}
	if v.Kind() == jsontree.Array {
		if n := len(v.All()); n != 1 {
			return Token{}, fmt.Errorf("rights token is an array of %d, where one is wanted", n)
		}
		v = v.All()[0]
	}
	if v.Kind() != jsontree.Object {
		return Token{}, errors.New("rights token is not a JSON object")
	}
	return readToken(v)
}

// parseJSON does not pass on the text of the errors it meets, which may quote
// from a token at any length.
func parseJSON(data []byte) (*jsontree.Value, error) {
	v, err := jsontree.Parse(data)
	switch {
	case errors.Is(err, jsontree.ErrDuplicate):
		return nil, errors.New("rights token has two members of one name in an object")
	case err != nil:
		return nil, errors.New("rights token is not valid JSON")
	}
	return v, nil
}

// beyondLCP lists the members that other systems have and LCP cannot express.
// An unknown member is a fault, since a misspelled limit must not pass for none.
var beyondLCP = []string{"accountingId", "op", "outputProtection", "variantId"}

func readToken(v *jsontree.Value) (Token, error) {
	var faults []error
	o := object{value: v, faults: &faults}
	o.only(append([]string{"assetId", "lcp", "passHash", "profile", "ref", "storeLicense", "textHint", "user"}, beyondLCP...)...)
	t := Token{
		AssetID: o.id("assetId"), Refs: readRefs(o), PassHash: o.hash("passHash"), TextHint: o.text("textHint"),
		storeLicense: o.truth("storeLicense"),
	}
	t.readProfile(o.object("profile"))
	t.LCP = readLCP(o.object("lcp"))
	t.User = readUser(o.object("user"))
	for _, name := range beyondLCP {
		if demands(v.Get(name)) {
			t.beyond = append(t.beyond, name)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return Token{}, err
	}
	return t, nil
}

// demands tells a member that asks for something from one that is empty.
func demands(v *jsontree.Value) bool {
	text, isText := v.Text()
	switch {
	case v.Kind() == jsontree.Null, isText && text == "":
		return false
	case v.Kind() == jsontree.Object:
		return len(v.Members()) > 0
	case v.Kind() == jsontree.Array:
		return len(v.All()) > 0
	}
	return true
}

// readRefs reads the names of templates. A colon before a name says in other
// systems that it is the provider's own, which here all are.
func readRefs(o object) []string {
	refs := o.texts("ref")
	if len(refs) > maxRefs {
		o.fault("ref", fmt.Sprintf("names %d templates, and %d are the most", len(refs), maxRefs))
		return nil
	}
	for i, ref := range refs {
		if len(ref) > 0 && ref[0] == ':' {
			refs[i] = ref[1:]
		}
		if err := CheckTemplateName(refs[i]); err != nil {
			o.fault("ref", err.Error())
		}
	}
	return refs
}

// readProfile understands {"type":"rental", …} and the older {"rental":{…}}.
func (t *Token) readProfile(o object) {
	if !o.present() {
		return
	}
	if o.has("type") {
		switch kind := Kind(o.id("type")); kind {
		case Rental:
			o.only("type", "absoluteExpiration", "relativeExpiration", "playDuration")
			t.readLoan(o)
		case Purchase:
			o.only("type")
			t.Kind = Purchase
		default:
			o.fault("type", `must be "purchase" or "rental"`)
		}
		return
	}
	o.only(string(Purchase), string(Rental))
	purchase, rental := o.object(string(Purchase)), o.object(string(Rental))
	switch {
	case purchase.present() == rental.present():
		o.fault("type", `is missing: it must be "purchase" or "rental"`)
	case purchase.present():
		purchase.only()
		t.Kind = Purchase
	default:
		rental.only("absoluteExpiration", "relativeExpiration", "playDuration")
		t.readLoan(rental)
	}
}

func (t *Token) readLoan(o object) {
	t.Kind = Rental
	t.Loan = Loan{
		AbsoluteExpiration: o.instant("absoluteExpiration"),
		RelativeExpiration: o.duration("relativeExpiration"),
		PlayDuration:       o.duration("playDuration"),
	}
}

func readLCP(o object) LCP {
	o.only("copy", "print", "profile", "start")
	return LCP{Start: o.instant("start"), Copy: o.count("copy"), Print: o.count("print"), Profile: o.encryption("profile")}
}

func readUser(o object) User {
	o.only("email", "encrypted", "id", "name")
	return User{ID: o.id("id"), Name: o.text("name"), Email: o.text("email"), Encrypted: o.texts("encrypted")}
}

// String keeps personal data out of logs and error messages.
func (Token) String() string { return "rights.Token(redacted)" }

// Format keeps it out of every formatting verb.
func (t Token) Format(f fmt.State, _ rune) { fmt.Fprint(f, t.String()) }

// LogValue implements slog.LogValuer.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }
