package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/access"
	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/license"
)

// wrap does what all routes want: paths with and without a trailing slash are
// one, queries are understood whole or not at all, bodies are bounded, pages of
// other origins may call if they are allowed to, and answers are not taken for
// something else.
func (s *server) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/resources/") {
			trimSlashes(r.URL)
		}
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = http.MaxBytesReader(w, r.Body, api.MaxBody)
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if origin := r.Header.Get("Origin"); origin != "" && !isReading(r.URL.Path) && s.cors(w, r, origin) {
			return
		}
		if err := checkQuery(r.URL.RawQuery); err != nil {
			p, _ := problemOf(err)
			writeProblem(w, p)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// trimSlashes removes slashes from the end of a path. One that is escaped is part
// of an identifier, and stays.
func trimSlashes(u *url.URL) {
	escaped := cmp.Or(u.RawPath, u.Path)
	n := len(escaped) - len(strings.TrimRight(escaped, "/"))
	u.Path = cmp.Or(u.Path[:len(u.Path)-n], "/")
	u.RawPath = strings.TrimRight(u.RawPath, "/")
}

// checkQuery refuses what url.URL.Query would leave out without a word.
func checkQuery(raw string) error {
	if !strings.ContainsAny(raw, "%;") {
		return nil
	}
	if _, err := url.ParseQuery(raw); err != nil {
		return &license.FieldError{Field: "query", Reason: "is not valid: " + err.Error()}
	}
	return nil
}

// cors answers what browsers ask before they let a page of an allowed origin
// call, and reports whether the request was no more than that.
func (s *server) cors(w http.ResponseWriter, r *http.Request, origin string) bool {
	h := w.Header()
	h.Add("Vary", "Origin")
	if !slices.Contains(s.CORSOrigins, origin) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Expose-Headers", "Link, X-Total-Count, X-Request-Id")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE")
	h.Set("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, Idempotency-Key, X-CSRF-Token, X-Dt-Auth-Token")
	h.Set("Access-Control-Max-Age", "300")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// answer remembers what was answered, for the log and the metrics.
type answer struct {
	http.ResponseWriter
	code int
	id   string // of the request
}

func (a *answer) WriteHeader(code int) {
	if a.code == 0 {
		a.code = code
	}
	a.ResponseWriter.WriteHeader(code)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.code == 0 {
		a.code = http.StatusOK
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the writer.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// route makes an http.Handler of a handler: it turns errors into problems, and
// counts and logs the request under the name of the route.
func (s *server) route(pattern string, h handler) http.Handler {
	s.patterns = append(s.patterns, pattern)
	metrics := s.Metrics.route(pattern)
	quiet := strings.HasPrefix(pattern, "GET ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := s.Now()
		a := &answer{ResponseWriter: w, id: requestID(r)}
		w.Header().Set(requestIDHeader, a.id)
		err := s.call(h, a, r)
		if err != nil {
			s.fail(a, r, err)
		}
		elapsed := s.Now().Sub(begin)
		metrics.observe(a.code, elapsed)
		level := slog.LevelInfo
		if quiet && a.code < 500 {
			level = slog.LevelDebug
		}
		if s.Log.Enabled(r.Context(), level) {
			s.Log.LogAttrs(r.Context(), level, "request answered", slog.String("request", a.id), slog.String("route", pattern),
				slog.Int("status", a.code), slog.Duration("dur", elapsed))
		}
	})
}

// requestIDHeader has the identifier of a request, by which the log knows it.
const requestIDHeader = "X-Request-Id"

// requestID takes over the identifier that a proxy gave, if it is a plain one.
func requestID(r *http.Request) string {
	if id := r.Header.Get(requestIDHeader); id != "" && len(id) <= 64 && !strings.ContainsFunc(id, func(c rune) bool {
		return c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	}) {
		return id
	}
	var b [8]byte
	rand.Read(b[:]) // never returns an error
	return hex.EncodeToString(b[:])
}

// call runs a handler; a panic is an error that the log tells in full.
func (s *server) call(h handler, a *answer, r *http.Request) (err error) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			panic(v)
		default:
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return h(a, r)
}

// fail answers with the problem that an error is.
func (s *server) fail(a *answer, r *http.Request, err error) {
	p, expected := problemOf(err)
	if refusal, ok := errors.AsType[*delivery.Refusal](err); ok {
		setRefusal(a.Header(), refusal)
	}
	if !expected && !errors.Is(err, context.Canceled) {
		s.Log.LogAttrs(r.Context(), slog.LevelError, "request failed", slog.String("request", a.id), slog.Any("err", err))
	}
	if a.code != 0 {
		panic(http.ErrAbortHandler) // part of an answer is out already: cut it off
	}
	writeProblem(a, p)
}

// private admits callers who may do what the route stands for.
func (s *server) private(action access.Action, h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return s.admit(w, r, action, h, s.authenticate)
	}
}

// dashboardOnly admits people with a token of a dashboard login.
func (s *server) dashboardOnly(action access.Action, h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("WWW-Authenticate", `Bearer realm="dashboard"`)
		return s.admit(w, r, action, h, s.tokenHolder)
	}
}

func (s *server) admit(w http.ResponseWriter, r *http.Request, action access.Action, h handler,
	who func(*http.Request) (access.Principal, error),
) error {
	w.Header().Set("Cache-Control", "no-store")
	p, err := who(r)
	if errors.Is(err, access.ErrTooMany) {
		return tooMany(w)
	}
	if err != nil {
		return err
	}
	if !access.May(p.Role, action) {
		return problem(http.StatusForbidden, fmt.Sprintf("the role %s does not allow this", p.Role))
	}
	ctx, err := s.withScope(context.WithValue(r.Context(), principalKey{}, p), p)
	if err != nil {
		return err
	}
	w.Header().Del("WWW-Authenticate")
	return h(w, r.WithContext(ctx))
}

// authenticate recognizes the caller by password or key.
func (s *server) authenticate(r *http.Request) (access.Principal, error) {
	if key, ok := bearer(r); ok {
		return s.Access.Bearer(r.Context(), key)
	}
	name, password, ok := r.BasicAuth()
	if !ok {
		return access.Principal{}, access.ErrNoCredentials
	}
	return s.Access.Basic(r.Context(), s.address(r), name, password)
}

// tokenHolder recognizes the caller by the token of a dashboard login, which
// comes in a header, or in the cookie that the login has set.
func (s *server) tokenHolder(r *http.Request) (access.Principal, error) {
	if text, ok := bearer(r); ok {
		return s.Tokens.Verify(text)
	}
	cookie, err := r.Cookie(tokenCookie)
	if err != nil {
		return access.Principal{}, access.ErrNoCredentials
	}
	return s.Tokens.Verify(cookie.Value)
}

func bearer(r *http.Request) (string, bool) {
	scheme, value, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(value), ok && strings.EqualFold(scheme, "Bearer")
}

// limited bounds how often one address may call a public route.
func (s *server) limited(h handler) handler {
	if s.public == nil {
		return h
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		if !s.public.Allow(s.address(r)) {
			return tooMany(w)
		}
		return h(w, r)
	}
}

// tooManyWait is when who came too often may come again.
const tooManyWait = 10 * time.Second

func tooMany(w http.ResponseWriter) error {
	setRetryAfter(w.Header(), tooManyWait)
	return problem(http.StatusTooManyRequests, "too many requests from this address, try again later")
}

// address is where the caller is. Behind a trusted proxy it is the last address
// that the proxy added.
func (s *server) address(r *http.Request) string {
	if s.TrustForward {
		if list := r.Header.Values("X-Forwarded-For"); len(list) > 0 {
			last := list[len(list)-1]
			return network(strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:]))
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return network(host)
}

// network is the address, or of IPv6 what one customer has of it: the other half
// is theirs to choose anew for each request.
func network(address string) string {
	if a, err := netip.ParseAddr(address); err == nil && a.Is6() && !a.Is4In6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Masked().String()
		}
	}
	return address
}
