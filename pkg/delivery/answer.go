package delivery

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lcp-tools/lcp/pkg/rights"
	"github.com/lcp-tools/lcp/pkg/rwpm/jsontree"
)

// Limits on answers to callbacks.
const (
	maxAnswer   = 64 << 10 // bytes
	maxMessage  = 500      // bytes of what a denial says
	maxRedirect = 2 << 10  // bytes of a URL
)

// An answer is what a provider's service said.
type answer struct {
	status      int
	contentType string
	body        []byte // complete, or the answer is not one
}

// rights returns the token in an answer that grants. Any other is a *Refusal:
// a denial, or an answer that is not understood, which denies as well.
func (a answer) rights() (rights.Token, error) {
	switch a.status {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		v, err := a.json()
		if err != nil { // what denies need not say why
			return rights.Token{}, Refuse(Denied, "", fmt.Errorf("callback answered %d", a.status))
		}
		return rights.Token{}, denial(v, fmt.Errorf("callback answered %d", a.status))
	default:
		return rights.Token{}, Refuse(CallbackInvalid, "", fmt.Errorf("callback answered with status %d", a.status))
	}
	v, err := a.json()
	if err != nil {
		return rights.Token{}, Refuse(CallbackInvalid, "", err)
	}
	if grants(v) {
		return readGrant(v)
	}
	return rights.Token{}, denial(v, errors.New("callback granted no profile"))
}

// json reads the body, provided it says that it is JSON.
func (a answer) json() (*jsontree.Value, error) {
	kind, parameters, err := mime.ParseMediaType(a.contentType)
	if err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return nil, errors.New("callback answered with a content type that is not JSON")
	}
	if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, errors.New("callback answered with JSON that is not in UTF-8")
	}
	v, err := jsontree.Parse(a.body)
	if err != nil { // which may quote from the answer
		return nil, errors.New("callback answered with what is not valid JSON, or has two members of one name in an object")
	}
	return v, nil
}

// grants reports whether an answer has rights in it at all. What is in them is
// looked at later: a template may bring the profile.
func grants(v *jsontree.Value) bool {
	switch v.Kind() {
	case jsontree.Array, jsontree.String: // other forms of a token
		return true
	default:
		return v.Get("profile").Kind() != jsontree.Null || v.Get("ref").Kind() != jsontree.Null
	}
}

// readGrant reads rights, beside which an answer may have what only a denial
// needs.
func readGrant(v *jsontree.Value) (rights.Token, error) {
	if v.Kind() == jsontree.Object {
		v.Delete("message")
		v.Delete("redirectUrl")
	}
	t, err := rights.Read(v)
	if err != nil {
		return t, Explain(InvalidRights, "callback: ", err)
	}
	return t, nil
}

// denial returns the refusal that an answer asks for. A message or an URL that
// cannot be passed on is left out.
func denial(v *jsontree.Value, cause error) *Refusal {
	message, _ := v.Get("message").Text()
	redirect, _ := v.Get("redirectUrl").Text()
	r := &Refusal{Reason: Denied, Message: oneLine(message), Err: cause}
	if isWebURL(redirect) {
		r.RedirectURL = redirect
	}
	return r
}

// oneLine makes a text into a single line of bounded length.
func oneLine(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }), " ")
	for len(text) > maxMessage {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}

// isWebURL accepts absolute http and https URLs that carry no password.
func isWebURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && len(text) <= maxRedirect && !strings.ContainsFunc(text, unprintable) &&
		(u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.User == nil
}

func unprintable(r rune) bool {
	return unicode.IsControl(r) || unicode.IsSpace(r) || !unicode.IsPrint(r)
}
