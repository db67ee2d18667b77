// Package delivery decides whether a license may be delivered to whoever asks,
// and what it shall say. The license server knows no users: a provider's backend
// decides, by a token that it signs or by answering a callback, and says so in a
// Customer Rights Token (package rights).
//
// An [Authorizer] turns a request and the settings of a provider into a [Grant]
// or a [Refusal]. Whatever goes wrong, the answer is no. It issues no license,
// and does not know how requests are routed or where secrets are kept.
//
// Tokens are JSON Web Tokens (RFC 7519, RFC 7515), checked as RFC 8725 advises.
package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/rights"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
)

// A Mode is how a provider authorizes requests.
type Mode string

// The modes. AllowAll and TestDummy are off unless the provider has an end date
// for them that lies ahead.
const (
	ByToken    Mode = "token"
	ByCallback Mode = "callback"
	Fallback   Mode = "fallback"   // by token if there is one, else by callback
	AllowAll   Mode = "allow-all"  // everyone, with the provider's rights
	TestDummy  Mode = "test-dummy" // everyone, with the rights they ask for
)

var modes = []Mode{ByToken, ByCallback, Fallback, AllowAll, TestDummy}

// ParseMode reads the name of a mode.
func ParseMode(name string) (Mode, error) {
	if m := Mode(name); slices.Contains(modes, m) {
		return m, nil
	}
	return "", fmt.Errorf("unknown authorization mode %q: it must be one of %s", name, modes)
}

// A Provider is what is set for one provider.
type Provider struct {
	ID       string // under which its secrets, templates and spent tokens are kept
	Merchant string // what its tokens call it; one that names another merchant is refused
	Mode     Mode
	Until    time.Time // when allow-all and test-dummy end; zero: they are off
	Strict   bool      // refuse what LCP cannot express, rather than warn
	Callback Callback
	Open     rights.Token // what allow-all grants; if it says no profile, a purchase
}

// Check reports every fault of the settings at once.
func (p Provider) Check() error {
	var faults []error
	if _, err := ParseMode(string(p.Mode)); err != nil {
		faults = append(faults, err)
	}
	if p.ID == "" {
		faults = append(faults, errors.New("id is missing"))
	}
	if (p.Mode == AllowAll || p.Mode == TestDummy) && p.Until.IsZero() {
		faults = append(faults, fmt.Errorf("authorization mode %s needs an end date", p.Mode))
	}
	if p.Mode == ByCallback || p.Mode == Fallback {
		if _, err := p.Callback.target(); err != nil {
			faults = append(faults, fmt.Errorf("callback: %w", err))
		}
	}
	return errors.Join(faults...)
}

// An Operation is what is asked for.
type Operation string

// The operations.
const (
	Issue Operation = "issue" // a new license
	Fresh Operation = "fresh" // an existing one as it stands now
)

// An Asset is a publication, under either of its identifiers.
type Asset struct {
	ID    string // UUID
	AltID string
}

// is reports whether the asset goes by that identifier. Those of a UUID do not
// depend on case (RFC 9562 §4).
func (a Asset) is(id string) bool {
	return id != "" && (strings.EqualFold(id, a.ID) || id == a.AltID)
}

// A Request is what is to be authorized. It does not print: it may carry a
// token, and says who reads what.
type Request struct {
	ID        string // of the request, in callbacks and logs
	Operation Operation
	Token     *Token // nil for none
	Asset     Asset  // known for a fresh license; for a new one it may be left to the rights
	LicenseID string // of a fresh license
	User      string // whom a fresh license was issued to; for a new one, as the client claims
	Session   string // as the client claims
	Client    string // identifier of the device, as it claims

	ClientInfo map[string]string // of the reading app, for the callback alone
	Metadata   map[string]string // of the request, for the callback alone

	Production bool // licenses are signed with a production certificate; for test-dummy alone

	// Check, if set, is asked whether the license can be issued at all, such as
	// whether there is the publication. Its error is returned unchanged.
	Check func(context.Context, rights.Terms) error
}

// String keeps the token and the user out of logs and error messages.
func (r Request) String() string { return "delivery.Request(" + r.ID + ")" }

// Format keeps them out of every formatting verb.
func (r Request) Format(f fmt.State, _ rune) { fmt.Fprint(f, r.String()) }

// LogValue implements slog.LogValuer.
func (r Request) LogValue() slog.Value { return slog.StringValue(r.ID) }

// A Grant is a license that may be delivered, once its token is spent if it has
// one.
type Grant struct {
	Terms    rights.Terms
	Source   Mode      // ByToken, ByCallback, AllowAll or TestDummy
	Session  string    // of the shop, as the token or the client tells it; may be empty
	KeyID    string    // of the secret that a token was signed with, else ""
	Spending *Spending // what is to be noted with the delivery; nil unless Source is ByToken
}

// A Spending is the use of a token. Whoever delivers notes it, of all who share the
// store the first alone, in the same transaction as what is delivered if that is
// new: so no token is good for two licenses, and none is spent for nothing.
type Spending struct {
	Provider string    // Provider.ID
	Token    string    // SHA-256 of the jti in hexadecimal; may be logged
	Until    time.Time // when the note may be dropped
}

// String keeps personal data out of logs and error messages.
func (g Grant) String() string { return "delivery.Grant(" + string(g.Source) + ")" }

// Format keeps it out of every formatting verb.
func (g Grant) Format(f fmt.State, _ rune) { fmt.Fprint(f, g.String()) }

// LogValue implements slog.LogValuer.
func (g Grant) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("source", string(g.Source))}
	if g.Spending != nil {
		attrs = append(attrs, slog.String("kid", g.KeyID), slog.String("token", g.Spending.Token[:16]))
	}
	if len(g.Terms.Warnings) > 0 {
		attrs = append(attrs, slog.Any("warnings", g.Terms.Warnings))
	}
	return slog.GroupValue(attrs...)
}

// LicenseRequest returns what to ask the License API for, given the UUID of the
// publication that Terms.AssetID names.
func (g Grant) LicenseRequest(publication string) api.LicenseRequest {
	t := g.Terms
	return api.LicenseRequest{
		PublicationID: publication,
		UserID:        t.User.ID, UserName: t.User.Name, UserEmail: t.User.Email, UserEncrypted: t.User.Encrypted,
		Start: optional(t.Start), End: optional(t.End), Copy: t.Copy, Print: t.Print,
		PlayDuration: t.PlayDuration.String(),
		Profile:      t.Profile, TextHint: t.TextHint, PassHash: t.PassHash,
	}
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// ErrNotFound is what a Store returns for a secret or template that is not there.
var ErrNotFound = errors.New("not found")

// A Store is what an Authorizer needs kept. Providers are told apart by
// Provider.ID: one never sees what belongs to another.
type Store interface {
	// Secret returns the secret with a key identifier, in whatever state it is.
	// The error for one that is not there is ErrNotFound.
	Secret(ctx context.Context, provider, keyID string) (sharedsecret.Secret, error)

	// SigningSecret returns the active secret that was activated last, or
	// ErrNotFound.
	SigningSecret(ctx context.Context, provider string) (sharedsecret.Secret, error)

	// Template returns the JSON of a rights template, or ErrNotFound.
	Template(ctx context.Context, provider, name string) ([]byte, error)
}

// An Authorizer decides on requests. All fields are required. It is safe for
// concurrent use.
type Authorizer struct {
	Store     Store
	Callbacks *Callbacks
	Now       func() time.Time
	Log       *slog.Logger
}

// Authorize decides on a request, for the provider that it concerns. A request
// that is not granted is a *Refusal; any other error is the store's, the
// context's or that of Request.Check, and grants nothing either. A token is left
// to be spent, see Spending.
func (a *Authorizer) Authorize(ctx context.Context, p Provider, r Request) (Grant, error) {
	switch p.Mode {
	case ByToken:
		return a.byToken(ctx, p, r)
	case ByCallback:
		return a.byCallback(ctx, p, r)
	case Fallback:
		if r.Token != nil {
			return a.byToken(ctx, p, r)
		}
		return a.byCallback(ctx, p, r)
	case AllowAll:
		return a.byNobody(ctx, p, r)
	case TestDummy:
		return a.byRequest(ctx, p, r)
	}
	return Grant{}, Refuse(ModeOff, "the provider has no authorization mode", nil)
}

// An offer is the rights that one of the modes came by.
type offer struct {
	source  Mode
	rights  rights.Token
	user    string // whom they are for if they do not say
	asset   string // what they are for if they do not say
	session string
}

func (a *Authorizer) byToken(ctx context.Context, p Provider, r Request) (Grant, error) {
	if r.Token == nil {
		return Grant{}, Refuse(MissingToken, "", nil)
	}
	c, err := a.Verify(ctx, p, r.Token)
	if err != nil {
		return Grant{}, err
	}
	if c.OptData.Merchant != "" && c.OptData.Merchant != p.Merchant {
		return Grant{}, Refuse(UnknownMerchant, "", nil)
	}
	t, err := rights.Read(c.crt)
	if err != nil {
		return Grant{}, Explain(InvalidRights, "crt: ", err)
	}
	g, err := a.grant(ctx, p, r, offer{source: ByToken, rights: t, user: c.OptData.UserID, session: c.OptData.SessionID})
	if err != nil {
		return Grant{}, err
	}
	// The note outlives the token by the skew once more, for replicas with other
	// clocks.
	g.KeyID, g.Spending = c.KeyID, &Spending{Provider: p.ID, Token: spentID(c.ID), Until: c.ExpiresAt.Add(2 * skew)}
	return g, nil
}

func (a *Authorizer) byCallback(ctx context.Context, p Provider, r Request) (Grant, error) {
	secret, err := a.Store.SigningSecret(ctx, p.ID)
	if errors.Is(err, ErrNotFound) {
		return Grant{}, Refuse(Unavailable, "", errors.New("the provider has no active secret to sign callbacks with"))
	}
	if err != nil {
		return Grant{}, fmt.Errorf("find the secret for a callback: %w", err)
	}
	t, err := a.Callbacks.ask(ctx, p, secret, r)
	if err != nil {
		return Grant{}, err
	}
	return a.grant(ctx, p, r, r.offer(ByCallback, t))
}

// offer returns rights that are for what the request asks for.
func (r Request) offer(source Mode, t rights.Token) offer {
	return offer{source: source, rights: t, user: r.User, asset: cmp.Or(r.Asset.ID, r.Asset.AltID), session: r.Session}
}

// byNobody grants what the provider grants to all.
func (a *Authorizer) byNobody(ctx context.Context, p Provider, r Request) (Grant, error) {
	if err := a.switchedOn(ctx, p, r); err != nil {
		return Grant{}, err
	}
	t := p.Open
	if t.Kind == "" && len(t.Refs) == 0 {
		t.Kind = rights.Purchase
	}
	return a.grant(ctx, p, r, r.offer(AllowAll, t))
}

// dummyPrefix begins the session of a request that brings its own rights.
const dummyPrefix = "crtjson:"

// byRequest grants what the request asks for. A production certificate makes
// licenses that are good everywhere, so there it is refused.
func (a *Authorizer) byRequest(ctx context.Context, p Provider, r Request) (Grant, error) {
	if r.Production {
		return Grant{}, Refuse(ModeOff, "test-dummy needs a test certificate", nil)
	}
	if err := a.switchedOn(ctx, p, r); err != nil {
		return Grant{}, err
	}
	text, ok := strings.CutPrefix(r.Session, dummyPrefix)
	if !ok {
		return Grant{}, Refuse(Denied, "sessionId does not begin with "+dummyPrefix, nil)
	}
	t, err := rights.Parse([]byte(text))
	if err != nil {
		return Grant{}, Explain(InvalidRights, "sessionId: ", err)
	}
	return a.grant(ctx, p, r, r.offer(TestDummy, t))
}

// switchedOn refuses a mode that lets everyone in, once its time is over, and
// leaves a line in the log each time it is used.
func (a *Authorizer) switchedOn(ctx context.Context, p Provider, r Request) error {
	if !a.Now().Before(p.Until) { // a zero time has passed
		return Refuse(ModeOff, "its end date has passed, or it has none", nil)
	}
	a.Log.WarnContext(ctx, "request let in without authorization", "mode", string(p.Mode), "provider", p.ID,
		"request", r.ID, "operation", string(r.Operation), "until", p.Until.UTC())
	return nil
}

// grant makes an offer into what may be delivered, and refuses one that is not
// for this request.
func (a *Authorizer) grant(ctx context.Context, p Provider, r Request, o offer) (Grant, error) {
	t, err := o.rights.Merge(func(name string) ([]byte, error) { return a.template(ctx, p, name) })
	switch {
	case errors.Is(err, rights.ErrTemplate):
		return Grant{}, Explain(InvalidTemplate, "", err)
	case err != nil:
		return Grant{}, err
	case !t.Grants() && o.source == ByCallback:
		return Grant{}, Refuse(Denied, "", errors.New("callback granted no profile"))
	}
	t.User.ID = cmp.Or(t.User.ID, o.user)
	t.AssetID = cmp.Or(t.AssetID, o.asset)
	now := a.Now()
	terms, err := t.Terms(now, p.Strict)
	if err != nil {
		return Grant{}, Explain(InvalidRights, "", err)
	}
	if err := r.accept(terms, now); err != nil {
		return Grant{}, err
	}
	if r.Check != nil {
		if err := r.Check(ctx, terms); err != nil {
			return Grant{}, err
		}
	}
	return Grant{Terms: terms, Source: o.source, Session: o.session}, nil
}

// accept refuses terms that are not for this request.
func (r Request) accept(terms rights.Terms, now time.Time) error {
	switch {
	case terms.AssetID == "":
		return Refuse(InvalidRights, "assetId: is missing", nil)
	case r.Asset != (Asset{}) && !r.Asset.is(terms.AssetID):
		return Refuse(WrongAsset, "", nil)
	case r.Operation == Fresh && terms.User.ID != r.User:
		return Refuse(Denied, "the license was not issued to the user that this is for", nil)
	case r.Operation == Fresh: // an end in the past is what the license is there to tell
		return nil
	case terms.User.ID == "":
		return Refuse(InvalidRights, "user.id: is missing", nil)
	case !terms.End.IsZero() && !terms.End.After(now):
		return Refuse(InvalidRights, "profile: the rental is over already", nil)
	}
	return nil
}

func (a *Authorizer) template(ctx context.Context, p Provider, name string) ([]byte, error) {
	data, err := a.Store.Template(ctx, p.ID, name)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, fmt.Errorf("%w: there is none of the name %q", rights.ErrTemplate, name)
	case err != nil:
		return nil, fmt.Errorf("read rights template %q: %w", name, err)
	}
	return data, nil
}
