package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/metering"
	"github.com/lcp-tools/lcp/pkg/store"
)

// maxReadingEvents bounds a batch.
const maxReadingEvents = 1000

// A readingRefusal is a problem of reading sessions, which docs/errors.md tells of
// under its name.
type readingRefusal struct {
	err   error // that it stands for
	name  string
	code  int
	title string
}

// readingRefusals is where errors of reading sessions meet HTTP.
var readingRefusals = []readingRefusal{
	{store.ErrNoLicenseKey, "unknown-license-key", http.StatusForbidden, "The license key is not known."},
	{store.ErrKeyDisabled, "disabled-license-key", http.StatusForbidden, "The license key is disabled."},
	{metering.ErrOrigin, "invalid-origin", http.StatusForbidden, "The Origin header does not name one web site."},
	{metering.ErrBothIdentify, "origin-and-signature", http.StatusBadRequest, "The request has an Origin header and a signature."},
	{metering.ErrNoSignature, "missing-signature", http.StatusBadRequest, "The request has neither an Origin header nor a signature."},
	{metering.ErrNoAPISecret, "no-api-secret", http.StatusForbidden, "Native apps cannot use this license key."},
	{metering.ErrSignature, "wrong-signature", http.StatusUnauthorized, "The signature is wrong."},
	{metering.ErrStale, "stale-signature", http.StatusUnauthorized, "The signature is too old, or from the future."},
	{metering.ErrReplayed, "replayed-signature", http.StatusForbidden, "The signature was used before."},
	{store.ErrOtherEvent, "event-id-reused", http.StatusConflict, "The event identifier was used for another event."},
	{errBatch, "batch-too-large", http.StatusRequestEntityTooLarge, "The batch is too large."},
}

var errBatch = fmt.Errorf("a batch has at most %d events and %d KiB", maxReadingEvents, api.MaxBody>>10)

// readingProblem turns an error into the problem that it is, or leaves it as it is.
func readingProblem(err error) error {
	if fault, ok := errors.AsType[*metering.FieldError](err); ok {
		p := problem(http.StatusBadRequest, fault.Error())
		p.Type, p.Title = delivery.TypeBase+"invalid-event", "The event has faults."
		p.Errors = []FieldProblem{{fault.Field, fault.Reason}}
		return p
	}
	for _, known := range readingRefusals {
		if errors.Is(err, known.err) {
			detail := known.err.Error()
			if known.code == http.StatusForbidden && errors.Is(err, metering.ErrOrigin) {
				detail = err.Error() // which shows what was sent
			}
			p := problem(known.code, detail)
			p.Type, p.Title = delivery.TypeBase+known.name, known.title
			return p
		}
	}
	return err
}

// isReading reports whether a path is one that reading systems report to, for
// which other rules hold about who may call it from a page.
func isReading(path string) bool {
	return path == "/reading-sessions" || path == "/reading-sessions:batch"
}

// reading makes a handler of what answers reports: origins that may read the
// answer are told so, and refusals are counted.
func (s *server) reading(h func(r *http.Request, from *reporter, body []byte) (answer any, err error)) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Add("Vary", "Origin")
		w.Header().Set("Cache-Control", "no-store")
		from := reporterOf(r)
		var answer any
		body, err := readReport(r)
		if err == nil {
			answer, err = h(r, from, body)
		}
		if err = readingProblem(err); err != nil {
			s.Metrics.readingEvents("refused", 1)
		}
		if from.origin != "" {
			admitted, e := s.mayRead(r, from, err)
			if err == nil {
				err = e
			}
			if admitted {
				w.Header().Set("Access-Control-Allow-Origin", from.sent)
			}
		}
		if p, ok := errors.AsType[*Problem](err); ok && p.Status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `LcpSignature realm="reading sessions"`)
		}
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, answer)
	}
}

// mayRead reports whether the page that reported may read the answer: where its
// use was accepted, or where it would be if the report had no faults.
func (s *server) mayRead(r *http.Request, from *reporter, err error) (bool, error) {
	if err == nil {
		return from.accepted, nil
	}
	return s.Store.Meter().Admits(r.Context(), from.origin, from.key)
}

// A reporter is where a report comes from.
type reporter struct {
	err       error           // why it is from nowhere
	origin    metering.Origin // "" for a native app, which signs
	sent      string          // Origin, as it came
	timestamp string
	signature string

	key      string // license key, once it is known
	accepted bool   // use is, in the end
}

// reporterOf reads who reports from the headers of a request, and nothing else.
func reporterOf(r *http.Request) *reporter {
	from := &reporter{timestamp: r.Header.Get(metering.TimestampHeader), signature: r.Header.Get(metering.SignatureHeader)}
	origins := r.Header.Values("Origin")
	switch {
	case len(origins) > 1:
		from.err = fmt.Errorf("%w: there are %d of them", metering.ErrOrigin, len(origins))
	case len(origins) == 1 && from.signature != "":
		from.err = metering.ErrBothIdentify
	case len(origins) == 1:
		from.sent = origins[0]
		from.origin, from.err = metering.ParseOrigin(from.sent)
	case from.signature == "":
		from.err = metering.ErrNoSignature
	}
	return from
}

// readReport reads the body. Pages may send it as text, so that browsers need not
// ask before.
func readReport(r *http.Request) ([]byte, error) {
	if t := r.Header.Get("Content-Type"); t != "" {
		mediaType, _, err := mime.ParseMediaType(t)
		if err != nil || mediaType != "application/json" && mediaType != "text/plain" && mediaType != formType {
			return nil, problem(http.StatusUnsupportedMediaType, fmt.Sprintf("the body must be application/json, not %q", t))
		}
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return nil, problem(http.StatusUnsupportedMediaType, fmt.Sprintf("the body must not be compressed, and it is in %q", coding))
	}
	body, err := io.ReadAll(r.Body)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, errBatch
	}
	return body, err
}

// readJSON reads a JSON object strictly.
func readJSON(data []byte, v any) error {
	err := api.Decode(bytes.NewReader(data), v)
	if err == nil || len(fieldProblems(err)) > 0 {
		return err
	}
	return problem(http.StatusBadRequest, err.Error())
}

// readingSession takes one event.
func (s *server) readingSession(r *http.Request, from *reporter, body []byte) (any, error) {
	var in api.ReadingEvent
	if err := readJSON(body, &in); err != nil {
		return nil, err
	}
	event, err := eventOf(&in)
	if err != nil {
		return nil, err
	}
	outcomes, err := s.recordReading(r, from, in.LicenseKey, body, []metering.Event{event})
	if err != nil {
		return nil, err
	}
	o := outcomes[0]
	if o.Err != nil {
		return nil, o.Err
	}
	s.Metrics.readingEvents(string(o.Status), 1)
	return outcomeOf(&o, in.EventID), nil
}

// eventOf is an event in the words of the domain.
func eventOf(in *api.ReadingEvent) (metering.Event, error) {
	if in.ActiveSeconds == nil {
		return metering.Event{}, &metering.FieldError{Field: "activeSeconds", Reason: "is missing"}
	}
	e := metering.Event{
		ID: in.EventID, User: in.UserToken, Publication: in.PublicationToken, Device: in.DeviceToken, Signature: in.PublicationSignature,
		ActiveSeconds: *in.ActiveSeconds, Offline: in.Offline,
	}
	if in.OccurredAt != nil {
		e.At = *in.OccurredAt
	}
	return e, nil
}

func outcomeOf(o *store.Outcome, id string) api.ReadingOutcome {
	return api.ReadingOutcome{
		EventID: id, Status: string(o.Status), Reason: o.Reason, SessionID: o.SessionID,
		ValidUntil: optional(o.ValidUntil), OfflineUntil: optional(o.OfflineUntil),
	}
}

// recordReading verifies a native app, and counts events.
func (s *server) recordReading(r *http.Request, from *reporter, key string, body []byte, events []metering.Event) ([]store.Outcome, error) {
	if from.err != nil {
		return nil, from.err
	}
	if from.key = key; key == "" {
		return nil, &metering.FieldError{Field: "licenseKey", Reason: "is missing"}
	}
	if len(key) > 255 || strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return nil, store.ErrNoLicenseKey
	}
	sub := store.Submission{LicenseKey: key, Origin: from.origin, Events: events}
	if from.origin == "" {
		signature, err := s.verifyApp(r, from, body)
		if err != nil {
			return nil, err
		}
		sub.Origin, sub.Signature = metering.Native, &signature
	}
	outcomes, err := s.Store.Meter().Record(r.Context(), sub)
	for _, o := range outcomes {
		from.accepted = from.accepted || o.Err == nil && o.Status != metering.Refused
	}
	return outcomes, err
}

func (s *server) verifyApp(r *http.Request, from *reporter, body []byte) (metering.Signature, error) {
	m := s.Store.Meter()
	k, err := m.LicenseKey(r.Context(), from.key)
	if err != nil {
		return metering.Signature{}, err
	}
	secret, err := m.APISecret(&k)
	if err != nil {
		return metering.Signature{}, err
	}
	return metering.Verify(secret, from.timestamp, from.signature, s.Now(), body)
}

// readingBatch takes several events. Those with faults are told, and the others
// count.
func (s *server) readingBatch(r *http.Request, from *reporter, body []byte) (any, error) {
	var in api.ReadingBatch
	if err := readJSON(body, &in); err != nil {
		return nil, err
	}
	if len(in.Events) == 0 {
		return nil, &metering.FieldError{Field: "events", Reason: "is missing or empty"}
	}
	if len(in.Events) > maxReadingEvents {
		return nil, errBatch
	}
	answer := api.ReadingAnswer{Results: make([]api.ReadingOutcome, len(in.Events))}
	events, places := s.batchEvents(&in, &answer)
	from.key = in.LicenseKey
	outcomes, err := s.recordReading(r, from, in.LicenseKey, body, events)
	if err != nil {
		return nil, err
	}
	counts := make(map[string]int)
	for i := range outcomes {
		o, result := &outcomes[i], &answer.Results[places[i]]
		id := result.EventID
		if o.Err != nil {
			result.Problem = problemJSON(o.Err)
			continue
		}
		*result = outcomeOf(o, id)
		counts[result.Status]++
	}
	for i := range answer.Results {
		answer.Results[i].Index = &i
		if answer.Results[i].Problem != nil {
			answer.Failed++
		}
	}
	counts["refused"] = answer.Failed
	for status, n := range counts {
		s.Metrics.readingEvents(status, n)
	}
	return answer, nil
}

// batchEvents reads the events of a batch, and says in the answer what is wrong
// with those that cannot be. places are where the others are in it.
func (s *server) batchEvents(in *api.ReadingBatch, answer *api.ReadingAnswer) (events []metering.Event, places []int) {
	for i, raw := range in.Events {
		var one api.ReadingEvent
		err := readJSON(raw, &one)
		answer.Results[i].EventID = one.EventID
		var e metering.Event
		if err == nil {
			e, err = eventOf(&one)
		}
		if in.LicenseKey == "" {
			in.LicenseKey = one.LicenseKey
		}
		if err == nil && one.LicenseKey != "" && one.LicenseKey != in.LicenseKey {
			err = &metering.FieldError{Field: "licenseKey", Reason: "is not that of the other events"}
		}
		if err != nil {
			answer.Results[i].Problem = problemJSON(err)
			continue
		}
		events, places = append(events, e), append(places, i)
	}
	return events, places
}

// problemJSON is the problem of one event.
func problemJSON(err error) json.RawMessage {
	p, _ := problemOf(readingProblem(err))
	data, err := json.Marshal(p)
	if err != nil {
		return json.RawMessage(`{}`)
	}
	return data
}

// readingPreflight answers what browsers ask before they let a page report. They
// ask without a body: which license key it is about may stand in the query. If it
// does not, the answer is that of any key that admits the origin, and the report
// itself is answered for its own.
func (s *server) readingPreflight(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Add("Vary", "Origin")
	h.Set("Cache-Control", "no-store")
	from := reporterOf(r)
	if from.err != nil {
		return readingProblem(from.err)
	}
	if from.origin == "" {
		return problem(http.StatusBadRequest, "there is no Origin header")
	}
	admitted, err := s.Store.Meter().Admits(r.Context(), from.origin, r.URL.Query().Get("licenseKey"))
	if err != nil {
		return err
	}
	if !admitted {
		return problem(http.StatusForbidden, "this origin is not allowed")
	}
	h.Set("Access-Control-Allow-Origin", from.sent)
	h.Set("Access-Control-Allow-Methods", http.MethodPost)
	h.Set("Access-Control-Allow-Headers", "Content-Type")
	h.Set("Access-Control-Max-Age", strconv.Itoa(int(preflightAge/time.Second)))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// preflightAge is for how long browsers may remember.
const preflightAge = 5 * time.Minute

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
