// Package client calls the License API of a license server over HTTP: of lcp
// serve, of the LCP Server v2, whose documented API that is, and, to register
// publications, of its predecessor (v1.go).
//
// It repeats what failed on the way where that can do no harm, bounds what it
// waits for and what it reads, and keeps credentials where they belong. It does
// not know where credentials come from, nor what callers do with records.
package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

var (
	// ErrPlainHTTP refuses to send credentials where everyone on the way could
	// read them.
	ErrPlainHTTP = errors.New("credentials are not sent over plain http to another machine")
	// ErrUnreachable says that no answer came: whether the request was carried
	// out is not known.
	ErrUnreachable = errors.New("license server cannot be reached")
)

// Defaults of Options.
const (
	defaultTimeout  = 30 * time.Second
	defaultAttempts = 5
)

// Options say which server to call and how. BaseURL is required.
type Options struct {
	BaseURL     string      // http or https, with the path under which the API lies
	Credentials Credentials // the zero value for none: enough for public routes

	// AllowPlainHTTP sends credentials over http to other machines too, as within
	// a network that is trusted.
	AllowPlainHTTP bool
	// PostOnce says that the server takes no notice of Idempotency-Key, as LCP
	// Server v2 does not: a request for a license is then never sent again when
	// the first one may have been carried out.
	PostOnce bool

	Transport http.RoundTripper                                // nil for one of the client's own
	UserAgent string                                           // "" for lcp
	Timeout   time.Duration                                    // of one attempt; 0 for 30 s
	Attempts  int                                              // at most; 0 for 5
	Wait      func(ctx context.Context, d time.Duration) error // between attempts; nil to wait by the clock
}

// A Client calls one license server. It is safe for concurrent use.
type Client struct {
	o    Options
	base string // without a slash at its end
	host string // for people
	http *http.Client
}

// New checks the options. No connection is made yet. Among the errors is
// ErrPlainHTTP.
func New(o Options) (*Client, error) {
	u, err := url.Parse(strings.TrimSpace(o.BaseURL))
	switch {
	case err != nil:
		return nil, errors.New("address of the license server is not a URL") // err repeats it, passwords included
	case u.User != nil:
		return nil, fmt.Errorf("address of the license server, %s, must not hold a user or password", u.Host)
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.RawQuery != "", u.Fragment != "":
		return nil, fmt.Errorf("address of the license server %q must be like https://lcp.example.com", o.BaseURL)
	case u.Scheme == "http" && !o.Credentials.IsZero() && !o.AllowPlainHTTP && !isLoopback(u.Hostname()):
		return nil, fmt.Errorf("%s: %w: use https", u.Host, ErrPlainHTTP)
	}
	if o.Transport == nil {
		o.Transport = newTransport()
	}
	if o.UserAgent == "" {
		o.UserAgent = "lcp"
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Attempts <= 0 {
		o.Attempts = defaultAttempts
	}
	if o.Wait == nil {
		o.Wait = wait
	}
	return &Client{
		o: o, base: strings.TrimRight(u.String(), "/"), host: u.Host,
		http: &http.Client{Transport: o.Transport, CheckRedirect: checkRedirect},
	}, nil
}

// isLoopback reports whether a host is this very machine.
func isLoopback(host string) bool {
	host = strings.ToLower(host)
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// newTransport keeps as many connections as a batch may have jobs.
func newTransport() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok { // a program that put another one there wants that
		return http.DefaultTransport
	}
	t = t.Clone()
	t.MaxIdleConnsPerHost = 64
	t.MaxResponseHeaderBytes = 64 << 10
	return t
}

// maxRedirects bounds how often one request is sent on.
const maxRedirects = 3

// checkRedirect follows a server to another of its own paths. Anything else is
// left to the caller as an answer: another host must not get the credentials,
// and net/http would make a GET of a POST.
func checkRedirect(next *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > maxRedirects || next.Method != first.Method ||
		next.URL.Scheme != first.URL.Scheme || next.URL.Host != first.URL.Host {
		return http.ErrUseLastResponse
	}
	return nil
}

// wait returns after a while, or with the context's error.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
