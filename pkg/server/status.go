package server

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/rights"
	"github.com/lcp-tools/lcp/pkg/status"
	"github.com/lcp-tools/lcp/pkg/store"
)

// statusDocument answers LSD §3.2.
func (s *server) statusDocument(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	l, events, err := s.Store.LicenseHistory(r.Context(), id)
	if err != nil {
		return err
	}
	return s.writeStatus(w, r, l, events)
}

// A move is one of the requests that change where a license stands.
type move func(status.Record, status.Device) (status.Record, []status.Event, error)

// register answers LSD §3.3.
func (s *server) register(w http.ResponseWriter, r *http.Request) error {
	return s.move(w, r, func(rec status.Record, by status.Device) (status.Record, []status.Event, error) {
		return status.Register(rec, by, s.Now())
	})
}

// returnLicense answers LSD §3.4.
func (s *server) returnLicense(w http.ResponseWriter, r *http.Request) error {
	return s.move(w, r, func(rec status.Record, by status.Device) (status.Record, []status.Event, error) {
		return status.Return(rec, by, s.Now())
	})
}

// renew answers LSD §3.5.
func (s *server) renew(w http.ResponseWriter, r *http.Request) error {
	end, err := status.ParseEnd(r.URL.Query())
	if err != nil {
		return parameterProblem(err)
	}
	id, err := pathID(r)
	if err != nil {
		return err
	}
	service, err := s.Licensing.Owner(r.Context(), id)
	if err != nil {
		return err
	}
	return s.move(w, r, func(rec status.Record, by status.Device) (status.Record, []status.Event, error) {
		return status.Renew(rec, by, end, s.Now(), service.Policy)
	})
}

// revoke ends a license at the provider's request.
func (s *server) revoke(w http.ResponseWriter, r *http.Request) error {
	err := s.moveAs(w, r, status.Device{}, func(rec status.Record, _ status.Device) (status.Record, []status.Event, error) {
		next, events := status.Revoke(rec, s.Now())
		return next, events, nil
	})
	if err == nil {
		s.audit(r, "license revoked", r.PathValue("id"))
	}
	return err
}

// move changes a license for the device that the query names.
func (s *server) move(w http.ResponseWriter, r *http.Request, m move) error {
	device, err := status.ParseDevice(r.URL.Query())
	if err != nil {
		return parameterProblem(err)
	}
	return s.moveAs(w, r, device, m)
}

// moveAs changes a license in one transaction and answers with the status
// document of the outcome.
func (s *server) moveAs(w http.ResponseWriter, r *http.Request, device status.Device, m move) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	var refused error // by the rules, without what the store adds
	moved := ""
	l, history, err := s.Store.ChangeLicense(r.Context(), id, device.ID,
		func(l store.License, registered bool) (store.License, []store.Event, error) {
			device.Registered = registered
			rec := l.Standing()
			var err error
			if rec.PlayEnd, err = playEnd(&l, s.Now()); err != nil {
				return l, nil, err
			}
			rec, events, err := m(rec, device)
			if refused = err; err != nil {
				return l, nil, err
			}
			moved = ""
			if len(events) > 0 {
				moved = events[0].Type
			}
			return l.Moved(rec), events, nil
		})
	if refused != nil {
		return refusal(refused, languageOf(r))
	}
	if err != nil {
		return err
	}
	if moved != "" {
		s.Metrics.licenseMoved(moved)
	}
	return s.writeStatus(w, r, l, history)
}

// writeStatus answers with a status document in the caller's language.
func (s *server) writeStatus(w http.ResponseWriter, r *http.Request, l store.License, events []store.Event) error {
	language := languageOf(r)
	service, err := s.Licensing.ByURI(r.Context(), l.Provider)
	if err != nil {
		return err
	}
	body, err := service.Documents.Append(make([]byte, 0, 2048), l.Standing(), events, language, s.Now())
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", status.MediaType)
	h.Set("Content-Language", language.String())
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept-Language")
	_, _ = w.Write(body) //nolint:gosec // JSON that no browser takes for anything else
	return nil
}

// refusal is the problem of a refused move, in the caller's language (LSD §3.1).
func refusal(err error, language status.Language) error {
	failure := status.FailureOf(err)
	if failure == status.FailureServer {
		return err
	}
	return &Problem{
		Type: string(failure), Title: failure.Title(language), Status: failure.Code(),
		Detail: failure.Detail(language) + " (" + err.Error() + ")",
	}
}

func parameterProblem(err error) error {
	if p, ok := errors.AsType[*status.ParameterError](err); ok {
		return &license.FieldError{Field: p.Name, Reason: p.Reason}
	}
	return err
}

// playEnd is when a license ends if its first device is registered at a time, or
// zero if that has no part in it. What cannot be used before its start lasts from
// then on.
func playEnd(l *store.License, registered time.Time) (time.Time, error) {
	if l.PlayDuration == "" {
		return time.Time{}, nil
	}
	d, err := rights.ParseDuration(l.PlayDuration)
	if err != nil {
		return time.Time{}, fmt.Errorf("play duration of license %q: %w", l.UUID, err)
	}
	if l.Start.After(registered) {
		registered = l.Start
	}
	return rights.PlayEnd(l.End, d, registered), nil
}

// maxEnd is the end that no renewal of a license goes beyond.
func maxEnd(p status.Policy, end time.Time) time.Time {
	return p.MaxEnd(status.Record{End: end})
}

func isState(name string) bool {
	_, err := status.ParseState(name)
	return err == nil
}

// languageOf is the language that the caller prefers of those there are.
func languageOf(r *http.Request) status.Language {
	return status.Match(strings.Join(r.Header.Values("Accept-Language"), ","))
}
