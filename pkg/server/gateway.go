package server

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/certificate"
	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/licensing"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/rights"
	"github.com/lcp-tools/lcp/pkg/store"
	"github.com/lcp-tools/lcp/pkg/wire"
)

// An order is what is asked of the license gateway, and of which provider.
type order struct {
	provider delivery.Provider
	service  *licensing.Service // that issues in the provider's name
	request  delivery.Request
	content  []byte // what tells this order from another one under the same Idempotency-Key

	// What is delivered once it is authorized: a new license, or one anew for a
	// user of whom is known what it needs.
	draft *licensing.Draft
	user  api.LicenseRequest
}

// gateway makes a handler of what reads an order: it answers with a license, or
// says why not to the client, to the log and to the metrics.
func (s *server) gateway(read func(*http.Request) (*order, error)) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		h := w.Header()
		h.Set("Cache-Control", "private, no-store")
		if r.Method == http.MethodHead { // which would spend a token for nothing
			h.Set("Allow", http.MethodGet)
			return problem(http.StatusMethodNotAllowed, "a license is delivered to GET alone")
		}
		var o *order
		err := s.admitOrder(r)
		if err == nil {
			o, err = read(r)
		}
		if err == nil {
			o.request.ID = h.Get(requestIDHeader)
			err = s.answerOrder(w, r, o)
		}
		if refusal, ok := errors.AsType[*delivery.Refusal](err); ok {
			s.logRefusal(r.Context(), h.Get(requestIDHeader), o, refusal)
		}
		return err
	}
}

// admitOrder bounds how often one address may ask.
func (s *server) admitOrder(r *http.Request) error {
	if s.public == nil || s.public.Allow(s.address(r)) {
		return nil
	}
	return &delivery.Refusal{Reason: delivery.TooManyRequests, RetryAfter: tooManyWait}
}

// logRefusal writes down why no license was delivered. Nobody was told the cause
// but whoever reads the log.
func (s *server) logRefusal(ctx context.Context, id string, o *order, refusal *delivery.Refusal) {
	s.Metrics.licenseRefused(refusal.Reason)
	attrs := []slog.Attr{slog.String("request", id)}
	if o != nil {
		attrs = append(attrs, slog.String("provider", o.provider.ID), slog.String("operation", string(o.request.Operation)))
		if o.request.LicenseID != "" {
			attrs = append(attrs, slog.String("license", o.request.LicenseID))
		}
	}
	level := slog.LevelInfo
	if refusal.Reason.Status() >= http.StatusInternalServerError {
		level = slog.LevelWarn
	}
	s.Log.LogAttrs(ctx, level, "license refused", append(attrs, slog.Any("refusal", refusal))...)
}

// answerOrder answers an order. One for a new license that bears a token and an
// Idempotency-Key is answered once: a token is spent by then, so that who did not
// get the answer has no other way to it.
func (s *server) answerOrder(w http.ResponseWriter, r *http.Request, o *order) error {
	deliver := func(w http.ResponseWriter, r *http.Request) error { return s.deliver(w, r, o) }
	if o.request.Operation != delivery.Issue || o.request.Token == nil || r.Header.Get(idempotencyHeader) == "" {
		return deliver(w, r)
	}
	claims, err := s.Delivery.Verify(r.Context(), o.provider, o.request.Token)
	if err != nil {
		return err
	}
	// The colon tells it from the callers of other routes.
	hash := sha256.Sum256([]byte(o.provider.ID + " " + claims.ID))
	w.Header().Set("Content-Disposition", disposition(""))
	return s.once(w, r, "token: "+hex.EncodeToString(hash[:]), o.content, deliver)
}

// freshOrder reads a request for a fresh license, a plain GET, of the provider
// whose license it is.
func (s *server) freshOrder(r *http.Request) (*order, error) {
	token, err := delivery.TokenFrom(r)
	if err != nil {
		return nil, err
	}
	query := r.URL.Query()
	id := strings.ToLower(cmp.Or(r.PathValue("id"), query.Get("license_id")))
	switch {
	case id == "":
		return nil, delivery.Refuse(delivery.MalformedRequest, "license_id is missing", nil)
	case !wire.IsUUID(id):
		return nil, delivery.Refuse(delivery.UnknownLicense, "", nil)
	}
	l, err := s.Store.License(r.Context(), id)
	if err != nil {
		return nil, unknown(delivery.UnknownLicense, err)
	}
	pub, err := s.Store.AnyPublication(r.Context(), l.PublicationUUID)
	if err != nil {
		return nil, unknown(delivery.UnknownPublication, err)
	}
	p, err := s.owner(r.Context(), l.Provider)
	if err != nil {
		return nil, err
	}
	request := s.requestOf(r, delivery.Fresh, token)
	request.LicenseID, request.User, request.Session = l.UUID, l.UserID, query.Get("sessionId")
	request.Asset = delivery.Asset{ID: pub.UUID, AltID: pub.AltID}
	return s.orderOf(r.Context(), p, request)
}

// newOrder reads a request for a new license, of the provider that the token or
// the body names, else of that of the publication.
func (s *server) newOrder(r *http.Request) (*order, error) {
	var in api.GatewayRequest
	if r.ContentLength != 0 || r.Header.Get("Content-Type") != "" {
		if err := decode(r, &in); err != nil {
			return nil, malformedOrder(err)
		}
	}
	token, err := delivery.TokenFrom(r)
	if err != nil {
		return nil, err
	}
	request := s.requestOf(r, delivery.Issue, token)
	request.User, request.Session, request.Client, request.ClientInfo = in.UserID, in.SessionID, in.Client, in.ClientInfo
	if in.AssetID != "" {
		pub, err := s.asset(r.Context(), in.AssetID)
		if err != nil {
			return nil, unknown(delivery.UnknownPublication, err)
		}
		request.Asset = delivery.Asset{ID: pub.UUID, AltID: pub.AltID}
	}
	p, err := s.seller(r.Context(), in, token)
	if errors.Is(err, provider.ErrUnknown) {
		return s.nobodysOrder(request), nil
	}
	if err != nil {
		return nil, err
	}
	o, err := s.orderOf(r.Context(), p, request)
	if err == nil && r.Header.Get(idempotencyHeader) != "" {
		o.content, err = json.Marshal([]any{token.Text(), in})
	}
	return o, err
}

// malformedOrder makes a refusal of what is wrong with a body.
func malformedOrder(err error) error {
	if len(fieldProblems(err)) > 0 {
		return delivery.Explain(delivery.MalformedRequest, "", err)
	}
	if p, ok := errors.AsType[*Problem](err); ok && p.Status == http.StatusBadRequest {
		return delivery.Refuse(delivery.MalformedRequest, p.Detail, nil)
	}
	return err
}

// unknown makes a refusal of what the store does not have.
func unknown(reason delivery.Reason, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return delivery.Refuse(reason, "", nil)
	}
	return err
}

// seller finds the provider of a new license. The error is provider.ErrUnknown if
// there is none of the name that is given.
func (s *server) seller(ctx context.Context, in api.GatewayRequest, token *delivery.Token) (*provider.Provider, error) {
	if name := cmp.Or(token.Merchant(), in.Merchant); name != "" {
		return s.Providers.ByMerchant(ctx, name)
	}
	several, err := s.Providers.Several(ctx)
	if err != nil || !several {
		return s.Providers.Default(), err
	}
	id := in.AssetID
	if id == "" {
		id = token.Asset()
	}
	if id != "" {
		pub, err := s.asset(ctx, id)
		if err == nil {
			return s.owner(ctx, pub.Provider)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	return s.Providers.Default(), nil
}

// owner returns the provider with a URI. What is nobody else's is the default
// provider's.
func (s *server) owner(ctx context.Context, uri string) (*provider.Provider, error) {
	p, err := s.Providers.ByURI(ctx, uri)
	if errors.Is(err, provider.ErrUnknown) {
		return s.Providers.Default(), nil
	}
	return p, err
}

// asset finds a publication by either of its identifiers.
func (s *server) asset(ctx context.Context, id string) (store.Publication, error) {
	if wire.IsUUID(id) {
		pub, err := s.Store.Publication(ctx, strings.ToLower(id))
		if !errors.Is(err, store.ErrNotFound) {
			return pub, err
		}
	}
	return s.Store.PublicationByAltID(ctx, id)
}

// maxAgent bounds what callbacks are told of the reading app, in bytes.
const maxAgent = 512

// requestOf takes from a request what any authorization may want to know.
func (s *server) requestOf(r *http.Request, operation delivery.Operation, token *delivery.Token) delivery.Request {
	metadata := map[string]string{"remoteAddr": s.address(r)}
	if agent := r.UserAgent(); agent != "" {
		metadata["userAgent"] = strings.ToValidUTF8(agent[:min(len(agent), maxAgent)], "")
	}
	return delivery.Request{Operation: operation, Token: token, Metadata: metadata}
}

func (s *server) orderOf(ctx context.Context, p *provider.Provider, request delivery.Request) (*order, error) {
	d, err := p.Delivery()
	if err != nil {
		return nil, err
	}
	service, err := s.Licensing.Of(ctx, p)
	if err != nil {
		return nil, err
	}
	o := &order{provider: d, service: service, request: request}
	if d.Mode == delivery.TestDummy {
		o.request.Production = !certificate.Describe(service.Issuer.Certificate()).Test
	}
	return o, nil
}

// nobodysOrder is one of a provider that there is not. It looks like one whose
// secrets are not known: who is a customer of this server is nobody's business.
func (s *server) nobodysOrder(request delivery.Request) *order {
	return &order{provider: delivery.Provider{Mode: delivery.ByToken}, service: s.Licensing.Default(), request: request}
}

// noMode tells providers what is missing.
const noMode = "no way to authorize requests has been set: give the provider an authorization mode, " +
	"or let status.fresh_license_link lead to a gateway of its own"

// deliver authorizes an order, and answers with the license.
func (s *server) deliver(w http.ResponseWriter, r *http.Request, o *order) error {
	if o.provider.Mode == "" {
		return delivery.Refuse(delivery.ModeOff, noMode, nil)
	}
	begin := s.Now()
	o.request.Check = func(ctx context.Context, t rights.Terms) error { return s.prepare(ctx, o, t) }
	grant, err := s.Delivery.Authorize(r.Context(), o.provider, o.request)
	if err != nil {
		return nobodys(o, err)
	}
	doc, err := s.issue(r.Context(), o, (*store.Spending)(grant.Spending))
	if err != nil {
		return notIssued(err)
	}
	s.Metrics.licenseDelivered(o.request.Operation, grant.Source, s.Now().Sub(begin))
	s.Log.LogAttrs(r.Context(), slog.LevelInfo, "license delivered", slog.String("request", o.request.ID),
		slog.String("provider", o.provider.ID), slog.String("operation", string(o.request.Operation)),
		slog.String("license", doc.ID), slog.Any("grant", &grant))
	w.Header().Set("Content-Disposition", disposition(titleOf(doc)))
	code := http.StatusOK
	if o.request.Operation == delivery.Issue {
		code = http.StatusCreated
	}
	return writeLicense(w, code, doc)
}

// nobodys adds to the refusal of a provider that there is not what the log shall
// tell.
func nobodys(o *order, err error) error {
	if o.provider.ID == "" && delivery.ReasonOf(err) == delivery.UnknownSecret {
		return delivery.Refuse(delivery.UnknownSecret, "", errors.New("no provider goes by the name of the merchant"))
	}
	return err
}

// issue has the license made that was authorized, and spends the token if it was
// by one.
func (s *server) issue(ctx context.Context, o *order, token *store.Spending) (*license.Document, error) {
	if o.request.Operation == delivery.Issue {
		return o.draft.Issue(ctx, token)
	}
	if token != nil {
		if err := s.Store.Spend(ctx, *token); err != nil {
			return nil, err
		}
	}
	return o.service.Fresh(ctx, o.request.LicenseID, o.user)
}

// notIssued makes a refusal of what was found only when the license was made.
func notIssued(err error) error {
	switch {
	case errors.Is(err, store.ErrSpent):
		return delivery.Refuse(delivery.ReplayedToken, "", nil)
	case errors.Is(err, store.ErrDeleted): // meanwhile
		return delivery.Refuse(delivery.UnknownPublication, "", nil)
	default:
		return invalidRights(err)
	}
}

// prepare settles what is to be delivered of what was granted, while nothing is
// spent yet: it refuses what could not be issued.
func (s *server) prepare(ctx context.Context, o *order, t rights.Terms) (err error) {
	r := delivery.Grant{Terms: t}.LicenseRequest("")
	if o.request.Operation == delivery.Fresh { // which keeps its rights
		o.user, err = o.service.Complete(ctx, o.request.LicenseID, api.LicenseRequest{
			UserID: r.UserID, UserName: r.UserName, UserEmail: r.UserEmail, UserEncrypted: r.UserEncrypted,
			TextHint: r.TextHint, PassHash: r.PassHash,
		})
		if err != nil {
			return err
		}
		return checkUserData(o.user)
	}
	pub, err := s.asset(ctx, t.AssetID)
	if err != nil {
		return unknown(delivery.UnknownPublication, err)
	}
	owner, err := s.owner(ctx, pub.Provider)
	if err != nil {
		return err
	}
	if owner.ID != o.provider.ID {
		return delivery.Refuse(delivery.UnknownPublication, "", errors.New("it is another provider's"))
	}
	if err := checkUserData(r); err != nil {
		return err
	}
	o.draft, err = o.service.Draft(licenseID(ctx), pub, r)
	return invalidRights(err)
}

// licenseID is what a new license will be called: after the request, if that may
// be made again, or else as nothing has been called before.
func licenseID(ctx context.Context) string {
	if id, ok := ctx.Value(onceKey{}).(string); ok {
		return id
	}
	return uuid.NewString()
}

// checkUserData refuses what no license can be made of, and says what to do.
func checkUserData(r api.LicenseRequest) error {
	var missing []string
	if r.PassHash == "" {
		missing = append(missing, "passHash")
	}
	if r.TextHint == "" {
		missing = append(missing, "textHint")
	}
	if len(missing) == 0 {
		return nil
	}
	return delivery.Refuse(delivery.MissingUserData, strings.Join(missing, " and ")+" must come with the token, "+
		"with the answer of the callback or with a rights template; for fresh licenses snapshot_users can be switched on as well, "+
		"before the license is issued", nil)
}

// invalidRights makes a refusal of what is wrong with a license to be issued.
func invalidRights(err error) error {
	if len(fieldProblems(err)) > 0 {
		return delivery.Explain(delivery.InvalidRights, "", err)
	}
	return err
}

// titleOf returns the title of the publication of a license.
func titleOf(doc *license.Document) string {
	for _, l := range doc.Links {
		if l.Rel == license.RelPublication {
			return l.Title
		}
	}
	return ""
}

// maxFileName bounds the name of a file that a browser would save, in bytes.
const maxFileName = 80

// disposition tells browsers to save a license, under a name that every system can
// have (RFC 6266).
func disposition(title string) string {
	name := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || strings.ContainsRune(`/\:*?"<>|%`, r) || r == utf8.RuneError {
			return '_'
		}
		return r
	}, title)
	for len(name) > maxFileName {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	name = cmp.Or(strings.Trim(name, " ._"), "license") + ".lcpl"
	return mime.FormatMediaType("attachment", map[string]string{"filename": name})
}
