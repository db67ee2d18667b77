package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/store"
)

// maxIdempotencyKey bounds the header in bytes.
const maxIdempotencyKey = 255

// idempotencyHeader has what a caller names a request by.
const idempotencyHeader = "Idempotency-Key"

// idempotent answers a request that bears an Idempotency-Key once: a repeated
// one gets the first answer again, and a different one under the same key is
// refused.
func (s *server) idempotent(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.Header.Get(idempotencyHeader) == "" {
			return h(w, r)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		return s.once(w, r, caller(r.Context()).Name, body, h)
	}
}

// once answers a request of an actor, with such a body, under its Idempotency-Key.
func (s *server) once(w http.ResponseWriter, r *http.Request, actor string, body []byte, h handler) error {
	key := r.Header.Get(idempotencyHeader)
	if len(key) > maxIdempotencyKey {
		return &license.FieldError{Field: idempotencyHeader, Reason: "must not be longer than 255 characters"}
	}
	claim := store.Claim{Actor: actor, Key: key, Request: requestHash(r, body)}
	first, err := s.Store.Claim(r.Context(), claim)
	switch {
	case errors.Is(err, store.ErrClaimed):
		w.Header().Set("Retry-After", "1")
		return problem(http.StatusConflict, "a request with this Idempotency-Key is under way")
	case errors.Is(err, store.ErrOtherRequest):
		return problem(http.StatusUnprocessableEntity, "this Idempotency-Key was used for another request")
	case err != nil:
		return err
	case first != nil:
		return replay(w, first)
	}
	return s.answerOnce(w, r, h, claim)
}

// requestHash tells one request from another.
func requestHash(r *http.Request, body []byte) [32]byte {
	h := sha256.New()
	h.Write([]byte(r.Method + " " + r.URL.RequestURI() + "\n"))
	h.Write(body)
	return [32]byte(h.Sum(nil))
}

// answerOnce runs the handler and keeps its answer. A failed request leaves
// nothing, so that it can be tried again. A client that goes away meanwhile will
// come back: what has begun is brought to its end.
func (s *server) answerOnce(w http.ResponseWriter, r *http.Request, h handler, claim store.Claim) error {
	ctx := context.WithoutCancel(r.Context())
	kept := &recorder{header: http.Header{}}
	if err := h(kept, r.WithContext(context.WithValue(ctx, onceKey{}, idOf(claim)))); err != nil {
		return errors.Join(err, s.Store.Release(ctx, claim))
	}
	answer := &store.Answer{
		Status: kept.code, ContentType: kept.header.Get("Content-Type"), Location: kept.header.Get("Location"), Body: kept.body.Bytes(),
	}
	if err := s.Store.Answer(ctx, claim, answer); err != nil {
		return err
	}
	return replay(w, answer)
}

// onceKey is the context key of the identifier for what a request makes that has
// an Idempotency-Key. Where the process dies after making it and before keeping
// the answer, the repeated request finds it by that.
type onceKey struct{}

// idOf returns a UUID (RFC 9562 §5.8) that is the same whenever the same caller
// makes the same request, and that nobody can guess who does not know all of it.
func idOf(c store.Claim) string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%q %q %x", c.Actor, c.Key, c.Request) // a hash takes all
	id := uuid.UUID(h.Sum(nil)[:16])
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	return id.String()
}

func replay(w http.ResponseWriter, a *store.Answer) error {
	h := w.Header()
	if a.ContentType != "" {
		h.Set("Content-Type", a.ContentType)
	}
	if a.Location != "" {
		h.Set("Location", a.Location)
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body)
	return nil
}

// recorder keeps an answer instead of sending it.
type recorder struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(code int) {
	if r.code == 0 {
		r.code = code
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}
