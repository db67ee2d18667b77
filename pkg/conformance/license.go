package conformance

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/certificate"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/pkg/rwpm/jsontree"
	"github.com/lcp-tools/lcp/pkg/signature"
)

// clockSlack is by how much the clocks of two machines may differ.
const clockSlack = 5 * time.Minute

// A licenseView is a license document as the rules look at it: what could be read
// of it, and how it is spelled.
type licenseView struct {
	*license.Document
	json *jsontree.Value
	now  time.Time
}

// License checks a license document, which is SubjectLicense or SubjectFresh, as
// seen at a time, without following a link. With roots it also checks that the
// provider's certificate was issued under one of them. The document is nil where
// nothing of it could be read; it may be incomplete where there are errors.
func License(subject string, data []byte, roots *x509.CertPool, now time.Time) (*license.Document, []Finding) {
	doc, faults, err := license.Read(data)
	var json *jsontree.Value
	if err == nil {
		json, err = jsontree.Parse(data)
	}
	if err != nil {
		return nil, []Finding{{
			Error, "license-json", subject, "", err.Error(), "LCP §3.2",
			"a license document is one JSON object in UTF-8 without repeated members",
		}}
	}
	var found []Finding
	for _, fault := range faults {
		if member, ok := errors.AsType[*license.MemberError](fault); ok {
			found = append(found, Finding{
				Error, "license-member", subject, member.Member, member.Reason, memberClause(member.Member),
				"reading apps refuse a license without it: have it issued again by a license server that follows the specification",
			})
		}
	}
	v := &licenseView{doc, json, now}
	for _, findings := range [][]Finding{
		apply(licenseRules, subject, "", v),
		v.dates(subject),
		v.links(subject),
		v.user(subject),
		v.rights(subject),
		v.signature(subject, roots),
	} {
		found = append(found, findings...)
	}
	return doc, found
}

// memberClause tells where a member of a license is specified.
func memberClause(member string) string {
	name, _, _ := strings.Cut(member, ".")
	name, _, _ = strings.Cut(name, "[")
	switch name {
	case "encryption":
		return "LCP §3.4"
	case "links":
		return "LCP §3.5"
	case "rights":
		return "LCP §3.6"
	case "user":
		return "LCP §3.7"
	case "signature":
		return "LCP §3.8"
	default:
		return "LCP §3.3"
	}
}

// licenseRules hold for a license as a whole. Members that are missing or at
// fault have no value, and break no rule here.
var licenseRules = []rule[*licenseView]{
	{
		"license-provider", Error, "provider", "LCP §3.3", func(v *licenseView) string { return notURI(v.Provider) },
		"name the provider by a URI of its own, such as https://www.example.com",
	},
	{"license-id", Info, "id", "LCP §3.3", func(v *licenseView) string {
		if _, err := uuid.Parse(v.ID); v.ID == "" || err == nil {
			return ""
		}
		return quote(v.ID) + " is not a UUID"
	}, "an identifier must be unique among the licenses of all providers, which UUIDs are"},
	{"license-issued", Warning, "issued", "LCP §3.3", func(v *licenseView) string {
		if !v.Issued.After(v.now.Add(clockSlack)) {
			return ""
		}
		return date(v.Issued) + " lies in the future"
	}, "set the clock of the license server"},
	{"license-updated", Warning, "updated", "LCP §3.3", func(v *licenseView) string {
		if v.Updated.IsZero() || !v.Updated.Before(v.Issued) {
			return ""
		}
		return fmt.Sprintf("%s lies before it was issued, on %s", date(v.Updated), date(v.Issued))
	}, "leave it out until the license is updated"},
	{"license-profile", Error, "encryption.profile", "LCP §6.2", func(v *licenseView) string {
		uri := v.Encryption.Profile
		switch {
		case uri == "" || uri != profile.Any2 && profile.Validate(uri) == nil:
			return ""
		case uri == profile.Any2:
			return uri + " is not a profile but stands for ten of them"
		}
		return "unknown encryption profile " + quote(uri)
	}, "use the profile that your certificate was issued for; the Encryption Profiles Registry lists them"},
	{"license-test-profile", Info, "encryption.profile", "LCP §6.3", func(v *licenseView) string {
		if v.Encryption.Profile != profile.Basic {
			return ""
		}
		return "the basic profile is for tests only"
	}, "for readers, use the production profile that EDRLab hands to licensed providers"},
	{"license-content-key-algorithm", Error, "encryption.content_key.algorithm", "LCP §6.3", func(v *licenseView) string {
		return other(v.Encryption.ContentKey.Algorithm, license.AES256CBC)
	}, "write " + license.AES256CBC},
	{"license-content-key", Error, "encryption.content_key.encrypted_value", "LCP §3.4", func(v *licenseView) string {
		return otherLength(v.Encryption.ContentKey.EncryptedValue, lcpcrypto.KeySize, "a content key")
	}, "encrypt the 32 bytes of the key themselves, not their Base64 or hexadecimal form"},
	{"license-user-key-algorithm", Error, "encryption.user_key.algorithm", "LCP §6.3", func(v *licenseView) string {
		return other(v.Encryption.UserKey.Algorithm, license.SHA256)
	}, "write " + license.SHA256},
	{"license-key-check", Error, "encryption.user_key.key_check", "LCP §3.4", func(v *licenseView) string {
		if v.ID == "" {
			return ""
		}
		return otherLength(v.Encryption.UserKey.KeyCheck, len(v.ID), "the id of this license")
	}, "encrypt the value of id, character by character as it stands in the license"},
	{"license-text-hint", Warning, "encryption.user_key.text_hint", "LCP §4.3", func(v *licenseView) string {
		if hint, ok := v.json.Get("encryption").Get("user_key").Get("text_hint").Text(); !ok || strings.TrimSpace(hint) != "" {
			return ""
		}
		return "is empty"
	}, "tell readers which passphrase is asked for: apps show this text beside the field"},
	{"license-unknown-member", Warning, "encryption.user_key", "license.schema.json", func(v *licenseView) string {
		return unknown(v.json.Get("encryption").Get("user_key"), "algorithm", "text_hint", "key_check")
	}, "take it out: the schema of license documents allows no other"},
	{"license-unknown-member", Warning, "signature", "license.schema.json", func(v *licenseView) string {
		return unknown(v.json.Get("signature"), "algorithm", "certificate", "value")
	}, "take it out: the schema of license documents allows no other"},
	{"license-publication-link", Error, "links", "LCP §3.5", func(v *licenseView) string {
		return missingLink(v.Links, license.RelPublication)
	}, "link to where the protected publication is downloaded"},
	{"license-hint-link", Error, "links", "LCP §3.5", func(v *licenseView) string {
		return missingLink(v.Links, license.RelHint)
	}, "link to a page that helps readers who forgot their passphrase"},
	{"license-status-link", Info, "links", "LSD §4.2", func(v *licenseView) string {
		return missingLink(v.Links, license.RelStatus)
	}, "without it apps cannot learn of renewals, returns and revocations"},
	{"license-one-publication", Warning, "links", "LCP §3.5", func(v *licenseView) string {
		if n := len(withRel(v.Links, license.RelPublication)); n > 1 {
			return fmt.Sprintf("there are %d publication links", n)
		}
		return ""
	}, "leave one: apps take the first they find"},
}

// other says that a value differs from the only one that is allowed.
func other(value, want string) string {
	if value == "" || value == want {
		return ""
	}
	return quote(value) + " is not the algorithm of the profile"
}

// otherLength says that a ciphertext is not that of n bytes.
func otherLength(data []byte, n int, what string) string {
	want := lcpcrypto.EncryptedSize(int64(n))
	if len(data) == 0 || int64(len(data)) == want {
		return ""
	}
	return fmt.Sprintf("it has %d bytes, and %s encrypts to %d", len(data), what, want)
}

// unknown names the first member of an object that is not one of those known.
func unknown(object *jsontree.Value, known ...string) string {
	if object.Kind() != jsontree.Object {
		return ""
	}
	for _, m := range object.Members() {
		if !slices.Contains(known, m.Key) {
			return "it has an unknown member " + quote(m.Key)
		}
	}
	return ""
}

func missingLink(links []license.Link, rel string) string {
	if len(withRel(links, rel)) > 0 {
		return ""
	}
	return fmt.Sprintf("there is no link of the relation %q", rel)
}

// dates checks how dates are written.
func (v *licenseView) dates(subject string) []Finding {
	var found []Finding
	for _, d := range []struct {
		place, clause string
		value         *jsontree.Value
	}{
		{"issued", "LCP §3.3", v.json.Get("issued")},
		{"updated", "LCP §3.3", v.json.Get("updated")},
		{"rights.start", "LCP §3.6", v.json.Get("rights").Get("start")},
		{"rights.end", "LCP §3.6", v.json.Get("rights").Get("end")},
	} {
		text, _ := d.value.Text()
		found = append(found, dateFindings(subject, d.place, d.clause, text)...)
	}
	return found
}

// The media types of publications that a license may be for.
var publicationTypes = []string{
	publication.EPUB.MediaType, publication.PDF.MediaType, publication.Audiobook.MediaType,
	publication.Divina.MediaType, publication.WebPub.MediaType,
}

var (
	licenseLinkRules = linkRules("LCP §3.5", license.RelPublication, license.RelStatus, license.RelHint, license.RelSelf, license.RelSupport)

	publicationLinkRules = []rule[license.Link]{
		{"publication-link-url", Error, "href", "LCP §7.2", func(l license.Link) string {
			if isFile(l) {
				return "" // publication-link-local tells
			}
			return notWeb(l)
		}, "link to where the publication is downloaded"},
		{"publication-link-local", Info, "href", "", local, "publish it where readers can download it, and say where when it is encrypted"},
		{"publication-link-templated", Error, "templated", "LCP §3.5", templated, "write the URL itself: apps have nothing to fill in"},
		{"publication-link-type", Warning, "type", "LCP §3.2", func(l license.Link) string {
			if l.Type == "" || slices.Contains(publicationTypes, l.Type) {
				return "" // link-type tells of a missing one
			}
			return quote(l.Type) + " is not the media type of a protected publication"
		}, "use one of " + strings.Join(publicationTypes, ", ") + ": apps choose the reader by it"},
		{"publication-link-length", Warning, "length", "LCP §3.5", func(l license.Link) string {
			if l.Length > 0 {
				return ""
			}
			return "is missing"
		}, "give the length in bytes: apps show how far a download is"},
		{"publication-link-hash", Warning, "hash", "LCP §7.2", func(l license.Link) string {
			if l.Hash != "" {
				return ""
			}
			return "is missing"
		}, "give the SHA-256: without it apps cannot tell a damaged download"},
		{"publication-link-hash-form", Error, "hash", "LCP §3.5", func(l license.Link) string {
			if sum, err := hex.DecodeString(l.Hash); l.Hash == "" || err == nil && len(sum) == 32 || isBase64(l.Hash, 32) {
				return ""
			}
			return quote(l.Hash) + " is not a SHA-256"
		}, "write 64 lower-case hexadecimal digits"},
		{"publication-link-hash-spelling", Warning, "hash", "LCP §3.5", func(l license.Link) string {
			switch {
			case isBase64(l.Hash, 32):
				return "is in Base64, and apps read hexadecimal digits as in the specification's example"
			case l.Hash != strings.ToLower(l.Hash):
				return "has upper-case digits"
			}
			return ""
		}, "write 64 lower-case hexadecimal digits: some apps compare texts"},
	}

	statusLinkRules = []rule[license.Link]{
		{"status-link-url", Error, "href", "LSD §4.2", notWeb, "link to the status document of this license"},
		{"status-link-templated", Error, "templated", "LSD §4.2", templated, "write the URL itself: apps have nothing to fill in"},
		{
			"status-link-type", Warning, "type", "LSD §2.1", func(l license.Link) string { return otherType(l.Type, license.StatusMediaType) },
			"write " + license.StatusMediaType,
		},
		{"status-link-insecure", Warning, "href", "LSD §2.1", insecure, "serve status documents over https"},
		{"status-link-local", Info, "href", "", local, "set public_base_url of the license server to an address that readers reach"},
	}

	hintLinkRules = []rule[license.Link]{
		{"hint-link-url", Error, "href", "LCP §3.5", notWeb, "link to a page that apps can open in a browser"},
		{"hint-link-templated", Warning, "templated", "LCP §3.5", templated, "write the URL itself: apps have nothing to fill in"},
	}
)

func templated(l license.Link) string {
	if !l.Templated {
		return ""
	}
	return "is true"
}

func otherType(got, want string) string {
	if got == "" || got == want {
		return ""
	}
	return fmt.Sprintf("%s is not %s", quote(got), want)
}

func isBase64(text string, n int) bool {
	data, err := base64.StdEncoding.DecodeString(text)
	return err == nil && len(data) == n
}

// links checks each link, and those of the relations that apps follow.
func (v *licenseView) links(subject string) []Finding {
	var found []Finding
	items := v.json.Get("links").All()
	for i, l := range v.Links {
		place := linkPlace(i)
		found = append(found, apply(licenseLinkRules, subject, place, l)...)
		switch l.Rel {
		case license.RelPublication:
			found = append(found, apply(publicationLinkRules, subject, place, l)...)
		case license.RelStatus:
			found = append(found, apply(statusLinkRules, subject, place, l)...)
		case license.RelHint:
			found = append(found, apply(hintLinkRules, subject, place, l)...)
		}
		if i < len(items) && items[i].Get("length").Kind() == jsontree.String {
			found = append(found, Finding{
				Warning, "link-length-number", subject, join(place, "length"), "is a text", "LCP §3.5",
				"write a number: apps that expect one refuse the license",
			})
		}
	}
	return found
}

// user checks what is told of the user. No value is repeated.
func (v *licenseView) user(subject string) []Finding {
	var found []Finding
	user := v.json.Get("user")
	note := func(severity Severity, rule, place, message, remedy string) {
		found = append(found, Finding{severity, rule, subject, place, message, "LCP §3.7", remedy})
	}
	if user.Kind() == jsontree.Object && user.Get("id") == nil {
		note(Info, "user-id", "user", "id is missing, and highly recommended", "name the user, if only by a pseudonym")
	}
	for _, name := range v.User.Encrypted {
		place := "user." + name
		value, isText := user.Get(name).Text()
		data, err := base64.StdEncoding.DecodeString(value)
		switch {
		case name == "encrypted":
			note(Error, "user-encrypted", "user.encrypted", "names itself", "leave it out: it is never encrypted")
		case user.Get(name) == nil:
			note(Error, "user-encrypted", "user.encrypted", "names "+quote(name)+", which is not there", "name only fields that the license has")
		case !isText || err != nil || len(data) < 2*lcpcrypto.BlockSize || len(data)%lcpcrypto.BlockSize != 0:
			note(Error, "user-encryption", place, "is named in user.encrypted, and is not Base64 of an initialization vector and whole blocks",
				"encrypt it with the user key, or take its name out of user.encrypted")
		}
	}
	if user.Kind() == jsontree.Object {
		for _, m := range user.Members() {
			if !slices.Contains([]string{"id", "email", "name", "encrypted"}, m.Key) && notURI(m.Key) != "" {
				note(Error, "user-extension", "user", quote(m.Key)+" is neither a field of the specification nor a URI", "name fields of your own by URIs")
			}
		}
	}
	return found
}

// rights checks the limits set to the user.
func (v *licenseView) rights(subject string) []Finding {
	rights := v.json.Get("rights")
	found := apply(rightsRules, subject, "rights", v)
	if rights.Kind() != jsontree.Object {
		return found
	}
	for _, m := range rights.Members() {
		literal, isNumber := m.Value.Number()
		switch {
		case (m.Key == "print" || m.Key == "copy") && isNumber && strings.HasPrefix(literal, "-"):
			found = append(found, Finding{
				Warning, "rights-negative", subject, "rights." + m.Key, literal + " is negative, which sets no limit", "LCP §3.6",
				"leave it out where there is no limit: the schema of license documents allows no negative number",
			})
		case !slices.Contains([]string{"print", "copy", "start", "end"}, m.Key) && notURI(m.Key) != "":
			found = append(found, Finding{
				Error, "rights-extension", subject, "rights", quote(m.Key) + " is neither a right of the specification nor a URI", "LCP §3.6",
				"name rights of your own by URIs",
			})
		}
	}
	return found
}

var rightsRules = []rule[*licenseView]{
	{"rights-period", Error, "", "LCP §3.6", func(v *licenseView) string {
		start, end := v.Rights.Start, v.Rights.End
		if start == nil || end == nil || start.Before(*end) || end.Before(v.now) {
			return "" // a license that was returned before it began has ended before it, too
		}
		return fmt.Sprintf("they begin on %s and end on %s", date(*start), date(*end))
	}, "let the license end after it begins"},
	{"rights-ended", Info, "end", "LCP §7.5", func(v *licenseView) string {
		if v.Rights.End == nil || !v.Rights.End.Before(v.now) {
			return ""
		}
		return "the license ended on " + date(*v.Rights.End)
	}, "apps do not open the publication any more; a renewal or a new license does"},
	{"rights-not-begun", Info, "start", "LCP §7.5", func(v *licenseView) string {
		if v.Rights.Start == nil || !v.Rights.Start.After(v.now) {
			return ""
		}
		return "the license begins on " + date(*v.Rights.Start)
	}, "apps do not open the publication before"},
}

// signature verifies the signature and looks at the certificate (LCP §5.5).
func (v *licenseView) signature(subject string, roots *x509.CertPool) []Finding {
	s := v.Signature
	if s.Algorithm == "" || len(s.Certificate) == 0 || len(s.Value) == 0 {
		return nil // told already
	}
	var found []Finding
	note := func(severity Severity, rule, place, message, clause, remedy string) {
		found = append(found, Finding{severity, rule, subject, "signature." + place, message, clause, remedy})
	}
	cert, err := x509.ParseCertificate(s.Certificate)
	if err != nil {
		note(Error, "signature-certificate", "certificate", "is not a certificate in DER: "+err.Error(), "LCP §5.4", "embed the provider's certificate, DER in Base64")
		return found
	}
	at := v.LastUpdated()
	undated := at.IsZero() // told already
	if at.Before(cert.NotBefore) || at.After(cert.NotAfter) {
		at = cert.NotBefore // told below; who issued the certificate is another question
	}
	_, err = v.Verify(nil)
	switch {
	case errors.Is(err, license.ErrValidity) && undated:
	case errors.Is(err, license.ErrValidity):
		note(Error, "signature-validity", "certificate", err.Error(), "LCP §5.5.1", "have the certificate renewed, then issue the license again")
	case errors.Is(err, signature.ErrAlgorithm), errors.Is(err, signature.ErrKeyType):
		note(Error, "signature-algorithm", "algorithm", err.Error(), "LCP §3.8", "sign with the key of an RSA (2048 bits or more) or P-256 certificate, and name that algorithm")
	case err != nil:
		note(Error, "signature-value", "value", err.Error(), "LCP §5.5.2",
			"a member was changed after signing, or the canonical form is another one (LCP §5.3): sort members by code point, leave out insignificant space, escape nothing needlessly")
	}
	if s.Algorithm == signature.ECDSASHA256 && v.Encryption.Profile == profile.Basic {
		note(Warning, "signature-profile", "algorithm", "is ECDSA, and the basic profile names RSA with SHA-256", "LCP §6.3", "use an RSA certificate where apps must read the license that know the basic profile alone")
	}
	if roots != nil {
		if err := signature.CheckIssuer(cert, roots, at); err != nil {
			note(Error, "signature-root", "certificate", err.Error(), "LCP §5.5.1", "sign with a certificate that the license authority issued for this profile")
		}
	} else {
		note(Info, "signature-root", "certificate", "who issued it was not verified; it says "+quote(cert.Issuer.String()), "LCP §5.5.1",
			"name the root certificate that apps trust to have it verified")
	}
	if certificate.Describe(cert).Test {
		note(Warning, "signature-test", "certificate", "is for tests: apps in production do not accept it", "LCP §5.2", "use the certificate that the license authority issued to the provider")
	}
	return found
}

// openFailure tells why a license does not open with the user key.
func openFailure(subject string, opened license.Opened, err error) Finding {
	switch {
	case errors.Is(err, license.ErrPassphrase):
		return Finding{
			Error, "passphrase", subject, "encryption.user_key.key_check", "the passphrase does not open the license", "LCP §3.4",
			"is it the right passphrase? If so, the license server hashed another text (LCP §4.2: nothing is added or removed), or derived the user key by another profile",
		}
	case opened.ContentKey != lcpcrypto.ContentKey{}:
		return Finding{Error, "passphrase-user", subject, "user", err.Error(), "LCP §3.7", "encrypt each field that user.encrypted names with the user key"}
	default:
		return Finding{
			Error, "passphrase-content-key", subject, "encryption.content_key", err.Error(), "LCP §3.4",
			"encrypt the 32 bytes of the content key with the user key, by " + license.AES256CBC,
		}
	}
}
