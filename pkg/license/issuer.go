package license

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/signature"
)

// Options is what all licenses of a provider have in common. Links are RFC 6570
// templates in license_id, as ParseTemplate reads them.
type Options struct {
	Provider string            // URI of the provider
	Signer   *signature.Signer // in the provider's name
	Profiles profile.Deriver   // usually a *profile.Registry

	Hint   string // page that helps to find the passphrase; required (LCP §3.5)
	Status string // status document, must contain license_id; "" for none
	Self   string // the license itself, must contain license_id; "" for none
	OPDS   string // OPDS publication with the hash of the passphrase, for apps whose user is logged in; must contain license_id; "" for none
	Links  []Link // support, and others by URI; the same in every license
}

// An Issuer makes license documents for one provider. It is safe for concurrent
// use.
type Issuer struct {
	provider      string
	signer        *signature.Signer
	profiles      profile.Deriver
	hint          *Template
	status        *Template // nil for none
	self          *Template // nil for none
	opds          *Template // nil for none
	links         []Link
	notBefore     time.Time // of the certificate
	notAfter      time.Time
	signatureHead string
}

// NewIssuer checks the options and returns an issuer for them. All faults are
// reported at once, each a *FieldError with the field's name in lower case.
func NewIssuer(o Options) (*Issuer, error) {
	var f faults
	f.add("provider", checkURI(o.Provider))
	if o.Signer == nil {
		f.add("signer", errMissing)
	}
	if o.Profiles == nil {
		f.add("profiles", errMissing)
	}
	i := &Issuer{
		provider: o.Provider, signer: o.Signer, profiles: o.Profiles, links: slices.Clone(o.Links),
	}
	if o.Hint == "" {
		f.add("hint", errMissing)
	} else {
		i.hint = f.template("hint", o.Hint, false)
	}
	i.status = f.template("status", o.Status, true)
	i.self = f.template("self", o.Self, true)
	i.opds = f.template("opds", o.OPDS, true)
	f.links(o.Links)
	if len(f) > 0 {
		return nil, errors.Join(f...)
	}
	certificate := o.Signer.Certificate()
	i.notBefore, i.notAfter = certificate.NotBefore.UTC(), certificate.NotAfter.UTC()
	i.signatureHead = signatureHead(o.Signer)
	return i, nil
}

// Certificate returns the certificate that licenses are signed with.
func (i *Issuer) Certificate() *x509.Certificate { return i.signer.Certificate() }

// template reads a template that was given, and notes what is wrong with it.
func (f *faults) template(field, text string, needsID bool) *Template {
	if text == "" {
		return nil
	}
	t, err := ParseTemplate(text)
	if err != nil {
		f.add(field, err)
		return nil
	}
	if needsID && !t.HasLicenseID() {
		f.add(field, fmt.Errorf("%q must contain the variable {%s}", text, idVariable))
	}
	return t
}

// Issue makes and signs the license that r asks for. Faults of the request come
// as *FieldError, several of them joined. Other errors are ErrValidity, for a
// certificate that was over when the license was last updated, and those of the
// derivation of the user key and of signing.
func (i *Issuer) Issue(ctx context.Context, r Request) (*Document, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	key, err := i.userKey(ctx, r)
	if err != nil {
		return nil, err
	}
	d := &Document{
		Provider: i.provider,
		ID:       r.ID,
		Issued:   instant(r.Issued),
		Updated:  i.updated(r),
		Encryption: Encryption{
			Profile:    r.Profile,
			ContentKey: ContentKey{Algorithm: AES256CBC, EncryptedValue: lcpcrypto.Encrypt(key, r.ContentKey[:])},
			UserKey:    UserKey{Algorithm: SHA256, TextHint: r.TextHint, KeyCheck: lcpcrypto.Encrypt(key, []byte(r.ID))},
		},
		User:   r.User.encrypt(key),
		Rights: r.Rights.normalized(),
	}
	if at := d.LastUpdated(); at.After(i.notAfter) {
		return nil, fmt.Errorf("%w: it ended on %s", ErrValidity, i.notAfter.Format(time.RFC3339))
	}
	if d.Links, err = i.linksFor(r); err != nil {
		return nil, err
	}
	if err := i.sign(ctx, d); err != nil {
		return nil, err
	}
	return d, nil
}

// userKey derives the key of the user. A profile that cannot be used is a fault
// of the request.
func (i *Issuer) userKey(ctx context.Context, r Request) (lcpcrypto.UserKey, error) {
	hash, err := profile.ParseHash(r.PassHash)
	if err != nil {
		return lcpcrypto.UserKey{}, &FieldError{Field: "pass_hash", Reason: err.Error()}
	}
	key, err := i.profiles.UserKey(ctx, r.Profile, hash)
	if errors.Is(err, profile.ErrUnknown) || errors.Is(err, profile.ErrUnsupported) {
		return key, &FieldError{Field: "profile", Reason: err.Error()}
	}
	return key, err
}

// updated returns when the license was last updated. Reading systems want the
// certificate to be valid then; a license that was issued before the certificate
// was, under an older one, says that it was updated when the new one began.
func (i *Issuer) updated(r Request) time.Time {
	last := r.Issued
	if !r.Updated.IsZero() {
		last = r.Updated
	}
	if instant(last).Before(i.notBefore) {
		return i.notBefore
	}
	return instant(r.Updated)
}

// instant is how dates stand in documents: UTC, milliseconds at most.
func instant(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

func (r Rights) normalized() Rights {
	for _, t := range []**time.Time{&r.Start, &r.End} {
		if *t != nil {
			at := instant(**t)
			*t = &at
		}
	}
	return r
}

// linksFor returns the links of a license: publication, status, hint, self, that
// for automatic key retrieval, then the others.
func (i *Issuer) linksFor(r Request) ([]Link, error) {
	p := r.Publication
	links := make([]Link, 0, 5+len(i.links)+len(r.Links))
	links = append(links, Link{
		Rel: RelPublication, Href: p.Href, Type: p.ContentType, Title: p.Title,
		Length: p.Size, Hash: strings.ToLower(p.Checksum),
	})
	for _, l := range []struct {
		rel, mediaType string
		template       *Template
	}{
		{RelStatus, StatusMediaType, i.status},
		{RelHint, "text/html", i.hint},
		{RelSelf, MediaType, i.self},
		{RelAcquisition, OPDSMediaType, i.opds},
	} {
		if l.template == nil {
			continue
		}
		href, err := l.template.Expand(r.ID)
		if err != nil {
			return nil, err
		}
		links = append(links, Link{Rel: l.rel, Href: href, Type: l.mediaType})
	}
	return append(append(links, i.links...), r.Links...), nil
}

// sign writes the JSON of d without its signature, signs its canonical form and
// adds the signature as the last member.
func (i *Issuer) sign(ctx context.Context, d *Document) error {
	type members Document // without the method MarshalJSON
	text, err := encode((*members)(d))
	if err != nil {
		return fmt.Errorf("write the license: %w", err)
	}
	canonical, err := signature.Signed(text)
	if err != nil {
		return fmt.Errorf("bring the license into canonical form: %w", err)
	}
	if d.Signature, err = i.signer.Sign(ctx, canonical); err != nil {
		return fmt.Errorf("license %s: %w", d.ID, err)
	}
	value := d.Signature.Value
	raw := make([]byte, 0, len(text)+len(i.signatureHead)+base64.StdEncoding.EncodedLen(len(value))+len(signatureTail))
	raw = append(raw, text[:len(text)-len("}")]...)
	raw = append(raw, i.signatureHead...)
	raw = base64.StdEncoding.AppendEncode(raw, value)
	raw = append(raw, signatureTail...)
	d.raw = raw
	return nil
}

// signatureHead and signatureTail stand around the value of a signature, and are
// the same in all licenses of a signer. Neither URIs of algorithms nor Base64
// have characters to escape.
func signatureHead(s *signature.Signer) string {
	return `,"signature":{"certificate":"` + base64.StdEncoding.EncodeToString(s.Certificate().Raw) +
		`","algorithm":"` + s.Algorithm() + `","value":"`
}

const signatureTail = `"}}`

// encode writes v as compact JSON. Nobody reads a license as HTML, and people do
// read it: < > & stay as they are.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
