package delivery

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/lcp-tools/lcp/pkg/rights"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
)

// Headers of callbacks. The signature is the HMAC-SHA-256, under the secret that
// the key identifier names, of "v1:", the timestamp, ":" and the body, in
// hexadecimal after "v1=". No part that a token signs begins so.
const (
	KeyIDHeader     = "X-Lcp-Key-Id"
	TimestampHeader = "X-Lcp-Timestamp" // seconds since 1970
	SignatureHeader = "X-Lcp-Signature"

	signatureVersion = "v1"
)

// A Callback is where and how a provider's service is asked.
type Callback struct {
	URL         string
	Loopback    bool           // http is allowed, to this machine alone: for development
	Allow       []netip.Prefix // networks that are not public and may be called
	Concurrency int            // callbacks under way at a time; 0 for 32
}

// target returns the URL of a callback, or why it cannot be one.
func (c Callback) target() (*url.URL, error) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil, u.Hostname() == "", u.Opaque != "":
		return nil, errors.New("url is not an absolute URL")
	case u.User != nil:
		return nil, errors.New("url must not hold a user or password")
	case u.Fragment != "":
		return nil, errors.New("url must not have a fragment")
	case u.Scheme == "https":
		return u, nil
	case u.Scheme == "http" && c.Loopback:
		return u, nil
	}
	return nil, errors.New("url must begin with https://, or with http:// where that is allowed to this machine")
}

func (c Callback) reach(u *url.URL) reach {
	if u.Scheme == "http" {
		return reach{loopback: true}
	}
	return reach{allow: c.Allow}
}

// CallbackOptions carries what callbacks depend on. Now is required.
type CallbackOptions struct {
	Now     func() time.Time
	Timeout time.Duration  // of a callback, waiting and retry included; 0 for 3 s
	RootCAs *x509.CertPool // that certify providers' services; nil for those of the system

	// Hosts are the names under which this server is reached, with a port or
	// without, and Ports the ones it listens on: a callback to itself is refused.
	Hosts []string
	Ports []uint16
}

const (
	callbackTimeout = 3 * time.Second
	maxHeader       = 16 << 10 // bytes of an answer's header
	maxQuestion     = 64 << 10 // bytes of a callback's body
)

var errTimeout = errors.New("callback did not answer in time")

// Callbacks asks the services of all providers. There is one for a process, so
// that connections are shared. It is safe for concurrent use.
type Callbacks struct {
	o CallbackOptions

	mu      sync.Mutex
	lines   map[string]*line        // by provider
	clients map[string]*http.Client // by reach
}

// NewCallbacks returns what asks the services of providers.
func NewCallbacks(o CallbackOptions) *Callbacks {
	if o.Timeout <= 0 {
		o.Timeout = callbackTimeout
	}
	return &Callbacks{o: o, lines: make(map[string]*line), clients: make(map[string]*http.Client)}
}

// Close gives back connections that nothing uses.
func (c *Callbacks) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, client := range c.clients {
		client.CloseIdleConnections()
	}
}

// A question is the body of a callback.
type question struct {
	RequestID       string            `json:"requestId"`
	Operation       Operation         `json:"operation"`
	Asset           string            `json:"asset"`
	AltID           string            `json:"altId,omitempty"`
	User            string            `json:"user"`
	Session         string            `json:"session"`
	Client          string            `json:"client"`
	LicenseID       string            `json:"licenseId"`
	DRMScheme       string            `json:"drmScheme"`
	ClientInfo      map[string]string `json:"clientInfo"`
	RequestMetadata map[string]string `json:"requestMetadata"`
}

func newQuestion(r Request) ([]byte, error) {
	q := question{
		RequestID: r.ID, Operation: r.Operation, Asset: r.Asset.ID, AltID: r.Asset.AltID,
		User: r.User, Session: r.Session, Client: r.Client, LicenseID: r.LicenseID, DRMScheme: "LCP",
		ClientInfo: orEmpty(r.ClientInfo), RequestMetadata: orEmpty(r.Metadata),
	}
	body, err := json.Marshal(q)
	if err == nil && len(body) > maxQuestion {
		err = Refuse(MalformedRequest, "it tells more than a callback can pass on", nil)
	}
	return body, err
}

// orEmpty gives backends an object where there is nothing to tell.
func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// ask asks a provider's service about a request, and returns the rights that it
// grants, not yet merged with templates. A refusal is a *Refusal; if the client
// has gone, the error is the context's.
func (c *Callbacks) ask(ctx context.Context, p Provider, s sharedsecret.Secret, r Request) (rights.Token, error) {
	target, err := p.Callback.target()
	if err == nil && c.isSelf(target) {
		err = fmt.Errorf("%w: %s is this very server", errAddress, target.Host)
	}
	if err != nil {
		return rights.Token{}, Refuse(CallbackInvalid, "", err)
	}
	body, err := newQuestion(r)
	if err != nil {
		return rights.Token{}, err
	}
	a, err := c.exchange(ctx, p, func(ctx context.Context) (answer, error) {
		return c.post(ctx, c.client(p.Callback.reach(target)), target, s, body)
	})
	if err != nil {
		return rights.Token{}, err
	}
	return a.rights()
}

// isSelf reports whether a URL leads to this server by one of its names.
func (c *Callbacks) isSelf(u *url.URL) bool {
	return slices.ContainsFunc(c.o.Hosts, func(own string) bool {
		return strings.EqualFold(own, u.Host) || strings.EqualFold(own, u.Hostname())
	})
}

// exchange waits for its turn on the provider's line, posts, and posts once more
// where that may help, all within the time there is.
func (c *Callbacks) exchange(parent context.Context, p Provider, post func(context.Context) (answer, error)) (answer, error) {
	ctx, cancel := context.WithTimeoutCause(parent, c.o.Timeout, errTimeout)
	defer cancel()
	l := c.line(p)
	leave, err := l.enter(ctx)
	if err != nil {
		return answer{}, c.refusal(parent, l, err)
	}
	a, err := post(ctx)
	if worthRetry(a, err) {
		a, err = post(ctx)
	}
	leave(verdictOf(parent, a, err))
	if err != nil {
		return answer{}, c.refusal(parent, l, err)
	}
	return a, nil
}

// refusal says why there is no answer.
func (c *Callbacks) refusal(parent context.Context, l *line, err error) error {
	switch {
	case parent.Err() != nil:
		return fmt.Errorf("call the provider back: %w", context.Cause(parent))
	case errors.Is(err, errBusy), errors.Is(err, errDown):
		return &Refusal{Reason: Unavailable, Err: err, RetryAfter: l.wait()}
	case errors.Is(err, errTimeout):
		return Refuse(CallbackTimeout, "", err)
	}
	return Refuse(CallbackInvalid, "", err)
}

// worthRetry tells a failure that may be over in a moment from one that will not
// be: a lost connection, or a gateway that did not reach what is behind it.
func worthRetry(a answer, err error) bool {
	if err != nil {
		return isConnectionError(err)
	}
	return a.status == http.StatusBadGateway || a.status == http.StatusServiceUnavailable
}

// isConnectionError tells a service that cannot be reached from one that did
// not answer in time, answered what is not acceptable, or must not be called.
func isConnectionError(err error) bool {
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	return !untrusted && !errors.Is(err, errTimeout) && !errors.Is(err, errAddress) &&
		!errors.Is(err, errAnswer) && !errors.Is(err, context.Canceled)
}

// verdictOf tells whether the service is there. What it says, and whether that
// can be understood, does not matter: a request that some backend answers with
// an error must not close the line for all.
func verdictOf(parent context.Context, a answer, err error) verdict {
	switch {
	case parent.Err() != nil, errors.Is(err, errAddress):
		return noVerdict
	case err != nil && (isConnectionError(err) || errors.Is(err, errTimeout)):
		return dead
	case err == nil && a.status >= http.StatusBadGateway && a.status <= http.StatusGatewayTimeout:
		return dead
	}
	return alive
}

// errAnswer says that an answer is not one, whatever it says.
var errAnswer = errors.New("callback answer is not acceptable")

// post makes one attempt.
func (c *Callbacks) post(ctx context.Context, client *http.Client, to *url.URL, s sharedsecret.Secret, body []byte) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "lcp")
	sign(req.Header, s, c.o.Now(), body)
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, cause(ctx, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case ctx.Err() != nil: // a service may answer as the connection is closed on it
		return answer{}, context.Cause(ctx)
	case err != nil:
		return answer{}, cause(ctx, err)
	case len(data) > maxAnswer:
		return answer{}, fmt.Errorf("%w: it has more than %d bytes", errAnswer, maxAnswer)
	}
	return answer{resp.StatusCode, resp.Header.Get("Content-Type"), data}, nil
}

// cause returns why a request failed, without its URL, which may hold what is
// nobody's business.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return errTimeout
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// sign adds what a backend verifies a callback by.
func sign(h http.Header, s sharedsecret.Secret, now time.Time, body []byte) {
	timestamp := strconv.FormatInt(now.Unix(), 10)
	mac := s.SHA256([]byte(signatureVersion+":"+timestamp+":"), body)
	h.Set(KeyIDHeader, s.KeyID)
	h.Set(TimestampHeader, timestamp)
	h.Set(SignatureHeader, signatureVersion+"="+hex.EncodeToString(mac))
}

// line returns the line to a provider's service, a new one if its URL has
// changed.
func (c *Callbacks) line(p Provider) *line {
	target := fmt.Sprint(p.Callback.Concurrency, " ", p.Callback.URL)
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lines[p.ID]
	if l == nil || l.target != target {
		l = newLine(target, p.Callback.Concurrency, c.o.Now)
		c.lines[p.ID] = l
	}
	return l
}

// client returns the client for a reach.
func (c *Callbacks) client(r reach) *http.Client {
	key := r.key()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.clients[key] == nil {
		c.clients[key] = c.newClient(r)
	}
	return c.clients[key]
}

// newClient makes a client that goes nowhere beyond a reach: not by a redirect,
// not through a proxy that the environment names, and not to an address that a
// name resolves to at the last moment.
func (c *Callbacks) newClient(r reach) *http.Client {
	dialer := &net.Dialer{Timeout: c.o.Timeout, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%w: %w", errAddress, err)
		}
		addrs, err := interfaceAddrs()
		if err != nil {
			return fmt.Errorf("%w: %w", errAddress, err)
		}
		return r.check(to, self{addrs: addrs, ports: c.o.Ports})
	}}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.o.RootCAs},
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // so that what is read is what was sent
			MaxIdleConns:           256,
			MaxIdleConnsPerHost:    defaultConcurrency,
			IdleConnTimeout:        90 * time.Second,
			TLSHandshakeTimeout:    c.o.Timeout,
			ResponseHeaderTimeout:  c.o.Timeout,
			MaxResponseHeaderBytes: maxHeader,
		},
	}
}
