package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Bounds of answers in bytes: of one record or document, and of a list.
const (
	maxRecord = 2 << 20
	maxList   = 64 << 20
)

// A call is one request of the API.
type call struct {
	method string
	path   []string // segments, as they are
	query  url.Values
	body   any    // to be sent as JSON; nil for none
	limit  int64  // of the answer in bytes
	public bool   // needs no credentials, so gets none
	key    string // Idempotency-Key; "" for none

	// once says that the request must not be carried out twice.
	once bool
}

// An answer is one of success, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// fetch makes a call and reads the JSON of its answer. Members that are unknown
// here do not matter: servers differ in what they add.
func fetch[T any](ctx context.Context, c *Client, r call) (T, error) {
	var v T
	a, err := c.do(ctx, r)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		var zero T
		return zero, a.garbage(err)
	}
	return v, nil
}

// garbage is the error of an answer that is none of a license server.
func (a *answer) garbage(err error) error {
	return fmt.Errorf("answer of the license server cannot be understood (%d, %d bytes of %q): %w",
		a.status, len(a.body), oneLine(a.header.Get("Content-Type")), err)
}

// address returns the URL of a call.
func (c *Client) address(r call) (string, error) {
	var b strings.Builder
	b.WriteString(c.base)
	for _, segment := range r.path {
		if segment == "" || segment == "." || segment == ".." {
			return "", fmt.Errorf("identifier %q cannot be part of an address", segment)
		}
		b.WriteString("/" + url.PathEscape(segment))
	}
	if len(r.query) > 0 {
		b.WriteString("?" + r.query.Encode())
	}
	return b.String(), nil
}

// newKey returns a random Idempotency-Key.
func newKey() string { return rand.Text() }

// do makes a call, several times if need be, and returns an answer of success.
// The error is an *Error if it was a refusal.
func (c *Client) do(ctx context.Context, r call) (*answer, error) {
	address, err := c.address(r)
	if err != nil {
		return nil, err
	}
	var payload []byte
	if r.body != nil {
		if payload, err = json.Marshal(r.body); err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
	}
	for attempt := 1; ; attempt++ {
		a, err := c.attempt(ctx, r, address, payload)
		if err == nil || goneAfterDelete(r, attempt, err) {
			return a, nil
		}
		pause, again := c.again(r, attempt, err)
		if !again || ctx.Err() != nil {
			return nil, after(attempt, err)
		}
		if c.o.Wait(ctx, pause) != nil {
			return nil, after(attempt, err)
		}
	}
}

// goneAfterDelete reports whether what was to be deleted is gone, since an
// earlier attempt was carried out though its answer was lost.
func goneAfterDelete(r call, attempt int, err error) bool {
	return r.method == http.MethodDelete && attempt > 1 && IsNotFound(err)
}

// after tells how often it was tried.
func after(attempts int, err error) error {
	if attempts == 1 {
		return err
	}
	return fmt.Errorf("%w (tried %d times)", err, attempts)
}

// attempt sends a request once and reads the answer.
func (c *Client) attempt(ctx context.Context, r call, address string, payload []byte) (*answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.o.Timeout, fmt.Errorf("no answer within %s", c.o.Timeout))
	defer cancel()
	req, err := c.request(ctx, r, address, payload)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.lost(ctx, err)
	}
	defer resp.Body.Close()
	a := &answer{status: resp.StatusCode, header: resp.Header}
	success := resp.StatusCode/100 == 2
	limit := r.limit
	if !success {
		limit = maxProblem
	}
	if a.body, err = io.ReadAll(io.LimitReader(resp.Body, limit+1)); err != nil && success {
		return nil, c.lost(ctx, err)
	}
	switch {
	case resp.StatusCode/100 == 3:
		return a, c.redirection(resp)
	case !success:
		return nil, refusal(a)
	case int64(len(a.body)) > limit:
		return nil, fmt.Errorf("answer of the license server has more than %d bytes", limit)
	}
	return a, nil
}

func (c *Client) request(ctx context.Context, r call, address string, payload []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, address, bytes.NewReader(payload))
	if err != nil {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	req.Header.Set("Accept", "application/json, application/problem+json")
	req.Header.Set("User-Agent", c.o.UserAgent)
	if payload != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	if !r.public {
		c.o.Credentials.sign(req)
	}
	return req, nil
}

// A redirectError is an answer that sends us elsewhere.
type redirectError struct {
	status   int
	location *url.URL // without query and credentials; nil if it is none
	full     string
}

func (e *redirectError) Error() string {
	if e.location == nil {
		return fmt.Sprintf("license server answered %d without saying where to go", e.status)
	}
	return fmt.Sprintf("license server points to %s, which is not followed: if it is the right one, use that address", e.location)
}

func (c *Client) redirection(resp *http.Response) error {
	e := &redirectError{status: resp.StatusCode}
	if to, err := resp.Location(); err == nil {
		e.full = to.String()
		e.location = &url.URL{Scheme: to.Scheme, Host: to.Host, Path: to.Path}
	}
	return e
}

// A lostError is a request without an answer: it may or may not have been
// carried out.
type lostError struct {
	host string
	err  error
}

func (e *lostError) Error() string {
	return fmt.Sprintf("reach the license server at %s: %v", e.host, e.err)
}

func (e *lostError) Unwrap() []error { return []error{ErrUnreachable, e.err} }

// lost is the error of a request without an answer. It tells no path and no
// query, where identifiers of users are.
func (c *Client) lost(ctx context.Context, err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return &lostError{host: c.host, err: err}
}
