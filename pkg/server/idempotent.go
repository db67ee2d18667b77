package server

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"

	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/store"
)

// maxIdempotencyKey bounds the header in bytes.
const maxIdempotencyKey = 255

// idempotent answers a request that bears an Idempotency-Key once: a repeated
// one gets the first answer again, and a different one under the same key is
// refused.
func (s *server) idempotent(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		key := r.Header.Get("Idempotency-Key")
		if key == "" {
			return h(w, r)
		}
		if len(key) > maxIdempotencyKey {
			return &license.FieldError{Field: "Idempotency-Key", Reason: "must not be longer than 255 characters"}
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		claim := store.Claim{Actor: caller(r.Context()).Name, Key: key, Request: requestHash(r, body)}
		first, err := s.Store.Claim(r.Context(), claim)
		switch {
		case errors.Is(err, store.ErrClaimed):
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
}

// requestHash tells one request from another.
func requestHash(r *http.Request, body []byte) [32]byte {
	h := sha256.New()
	h.Write([]byte(r.Method + " " + r.URL.RequestURI() + "\n"))
	h.Write(body)
	return [32]byte(h.Sum(nil))
}

// answerOnce runs the handler and keeps its answer. A failed request leaves
// nothing, so that it can be tried again.
func (s *server) answerOnce(w http.ResponseWriter, r *http.Request, h handler, claim store.Claim) error {
	kept := &recorder{header: http.Header{}}
	if err := h(kept, r); err != nil {
		return errors.Join(err, s.Store.Release(r.Context(), claim))
	}
	answer := &store.Answer{
		Status: kept.code, ContentType: kept.header.Get("Content-Type"), Location: kept.header.Get("Location"), Body: kept.body.Bytes(),
	}
	if err := s.Store.Answer(r.Context(), claim, answer); err != nil {
		return err
	}
	return replay(w, answer)
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
