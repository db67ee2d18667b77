package server

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/licensing"
	"github.com/lcp-tools/lcp/pkg/rights"
	"github.com/lcp-tools/lcp/pkg/status"
	"github.com/lcp-tools/lcp/pkg/store"
	"github.com/lcp-tools/lcp/pkg/wire"
)

// generateLicense issues a new license. With ?link=true it answers with where
// the license can be had.
func (s *server) generateLicense(w http.ResponseWriter, r *http.Request) error {
	var in api.LicenseRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	begin := s.Now()
	service, err := s.sellerOf(r.Context(), in)
	if err != nil {
		return err
	}
	doc, err := generateWith(r.Context(), service, in)
	if err != nil {
		return err
	}
	s.Metrics.licenseIssued("new", s.Now().Sub(begin))
	if r.URL.Query().Get("link") == "true" {
		link, err := s.FreshLink.Expand(doc.ID)
		if err != nil {
			return err
		}
		w.Header().Set("Location", link)
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	return writeLicense(w, http.StatusCreated, doc)
}

// generateWith issues a license, under the identifier that a repeated request will
// find it by if there is one.
func generateWith(ctx context.Context, service *licensing.Service, in api.LicenseRequest) (*license.Document, error) {
	if id, ok := ctx.Value(onceKey{}).(string); ok {
		return service.GenerateAs(ctx, id, in)
	}
	return service.Generate(ctx, in)
}

func (s *server) freshLicense(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	var in api.LicenseRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	begin := s.Now()
	doc, err := s.Licensing.Fresh(r.Context(), id, in)
	if err != nil {
		return err
	}
	s.Metrics.licenseIssued("fresh", s.Now().Sub(begin))
	return writeLicense(w, http.StatusOK, doc)
}

func writeLicense(w http.ResponseWriter, code int, doc *license.Document) error {
	body := doc.JSON()
	w.Header().Set("Content-Type", license.MediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	_, _ = w.Write(body) //nolint:gosec // JSON that no browser takes for anything else
	return nil
}

func (s *server) listLicenses(w http.ResponseWriter, r *http.Request) error {
	return s.writeLicenses(w, r, store.LicenseFilter{}, listPerPage)
}

// searchLicenses lists the licenses that all given parameters match.
func (s *server) searchLicenses(w http.ResponseWriter, r *http.Request) error {
	filter, err := filterOf(r)
	if err != nil {
		return err
	}
	if filter == (store.LicenseFilter{}) {
		return problem(http.StatusBadRequest, "one of user, pub, status, count, device, month or date is needed")
	}
	return s.writeLicenses(w, r, filter, searchPerPage)
}

// filterOf reads the parameters of a search.
func filterOf(r *http.Request) (store.LicenseFilter, error) {
	q := r.URL.Query()
	f := store.LicenseFilter{
		UserID: q.Get("user"), PublicationUUID: strings.ToLower(q.Get("pub")), Status: q.Get("status"), DeviceID: q.Get("device"),
	}
	if f.Status != "" && !isState(f.Status) {
		return f, &license.FieldError{Field: "status", Reason: "is not a status of licenses"}
	}
	if count := q.Get("count"); count != "" {
		least, most, ok := strings.Cut(count, ":")
		var err1, err2 error
		f.MinDevices, err1 = strconv.Atoi(least)
		f.MaxDevices, err2 = strconv.Atoi(most)
		if !ok || err1 != nil || err2 != nil || f.MinDevices < 0 || f.MaxDevices < f.MinDevices {
			return f, &license.FieldError{Field: "count", Reason: "must be min:max, as in 3:10"}
		}
		f.CountDevices = true
	}
	for field, text := range map[string]string{"user": f.UserID, "pub": f.PublicationUUID, "device": f.DeviceID} {
		if reason := wire.WhyNotText(text, wire.MaxName); reason != "" {
			return f, &license.FieldError{Field: field, Reason: reason}
		}
	}
	var err error
	f.IssuedFrom, f.IssuedBefore, err = period(q.Get("month"), q.Get("date"))
	return f, err
}

// period reads a month (2006-01) or a day (2006-01-02) in UTC; both may be empty.
func period(month, date string) (from, before time.Time, err error) {
	switch {
	case month != "" && date != "":
		return from, before, &license.FieldError{Field: "date", Reason: "must not be given together with month"}
	case month != "":
		if from, err = time.Parse("2006-01", month); err != nil {
			return from, before, &license.FieldError{Field: "month", Reason: "must be as in 2030-01"}
		}
		return from, from.AddDate(0, 1, 0), nil
	case date != "":
		if from, err = time.Parse(time.DateOnly, date); err != nil {
			return from, before, &license.FieldError{Field: "date", Reason: "must be as in 2030-01-31"}
		}
		return from, from.AddDate(0, 0, 1), nil
	default:
		return from, before, nil
	}
}

func (s *server) writeLicenses(w http.ResponseWriter, r *http.Request, filter store.LicenseFilter, perPage int) error {
	p, err := pageOf(r.URL.Query(), perPage)
	if err != nil {
		return err
	}
	filter.Provider = scopeURI(r.Context())
	list, _, err := s.Store.Licenses(r.Context(), filter, store.Page{Offset: p.offset(), Limit: p.size})
	if err != nil {
		return err
	}
	total, err := s.Store.CountLicenses(r.Context(), filter)
	if err != nil {
		return err
	}
	out := make([]api.LicenseInfo, len(list))
	for i := range list {
		out[i] = wire.LicenseOut(&list[i], s.Now())
	}
	return writePage(w, r, out, p, total)
}

func (s *server) getLicenseInfo(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	l, err := s.Store.License(r.Context(), id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, wire.LicenseOut(&l, s.Now()))
}

// createLicenseInfo adds the raw record of a license that was made elsewhere. It
// is ready, whatever the request says.
func (s *server) createLicenseInfo(w http.ResponseWriter, r *http.Request) error {
	var in api.LicenseInfo
	if err := decode(r, &in); err != nil {
		return err
	}
	in.Status = string(status.Ready)
	service, err := s.recordService(r.Context(), &in)
	if err != nil {
		return err
	}
	now := s.Now().UTC().Truncate(time.Second)
	l, err := s.licenseIn(&in, service, store.License{Issued: now, StatusUpdated: now, Profile: service.Profile})
	if err != nil {
		return err
	}
	if l, err = s.Store.CreateLicense(r.Context(), l); err != nil {
		return missingPublication(hidden(r.Context(), err))
	}
	s.audit(r, "license record created", l.UUID)
	return writeJSON(w, http.StatusCreated, wire.LicenseOut(&l, s.Now()))
}

// updateLicenseInfo replaces what can be set of a record. Devices and events are
// history and stay.
func (s *server) updateLicenseInfo(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	var in api.LicenseInfo
	if err := decode(r, &in); err != nil {
		return err
	}
	if in.UUID == "" {
		in.UUID = id
	}
	if !strings.EqualFold(in.UUID, id) {
		return &license.FieldError{Field: "uuid", Reason: "is not the one in the path"}
	}
	service, err := s.recordService(r.Context(), &in)
	if err != nil {
		return err
	}
	l, err := s.Store.UpdateLicense(r.Context(), id, "", func(old store.License, _ bool) (store.License, []store.Event, error) {
		next, err := s.licenseIn(&in, service, old)
		if err != nil {
			return old, nil, err
		}
		return touched(old, next, s.Now()), nil, nil
	})
	if err != nil {
		return missingPublication(err)
	}
	s.audit(r, "license record updated", id)
	return writeJSON(w, http.StatusOK, wire.LicenseOut(&l, s.Now()))
}

// touched moves the two times of a changed record forward.
func touched(old, next store.License, now time.Time) store.License {
	next.Updated = later(old.Updated, now)
	next.StatusUpdated = later(old.StatusUpdated, now)
	return next
}

// later is now, or the least time after the old one where the clock stands
// behind it: apps fetch what bears a later time than what they have.
func later(old, now time.Time) time.Time {
	now = now.UTC().Truncate(time.Millisecond)
	if !now.After(old) {
		return old.Add(time.Millisecond)
	}
	return now
}

func (s *server) deleteLicenseInfo(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	l, err := s.Store.DeleteLicense(r.Context(), id)
	if err != nil {
		return err
	}
	s.audit(r, "license record deleted", id)
	return writeJSON(w, http.StatusOK, wire.LicenseOut(&l, s.Now()))
}

func (s *server) listEvents(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if _, err := s.Store.License(r.Context(), id); err != nil {
		return err
	}
	list, err := s.Store.Events(r.Context(), id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, wire.EventsOut(list))
}

// seen is the status of a license by now: one that was ready or active may have
// expired since it was stored.
func (s *server) seen(l *store.License) string {
	rec := l.Standing()
	return string(rec.Seen(s.Now()))
}

// recordService returns the service of the provider whose license a record in a
// request is, which it notes there.
func (s *server) recordService(ctx context.Context, in *api.LicenseInfo) (*licensing.Service, error) {
	uri, err := ownURI(ctx, in.Provider)
	if err != nil {
		return nil, err
	}
	if wire.IsUUID(in.PublicationID) {
		if err := s.checkPublication(ctx, strings.ToLower(in.PublicationID)); err != nil {
			return nil, missingPublication(err)
		}
	}
	service, err := s.Licensing.ByURI(ctx, uri)
	if err != nil {
		return nil, err
	}
	in.Provider = cmp.Or(uri, service.Provider)
	return service, nil
}

// licenseIn checks a record from a request and puts it over the one there is.
func (s *server) licenseIn(in *api.LicenseInfo, service *licensing.Service, old store.License) (store.License, error) {
	var faults wire.Faults
	for field, text := range map[string]string{"uuid": in.UUID, "publication_id": in.PublicationID} {
		if !wire.IsUUID(text) {
			faults.Add(field, "must be a UUID")
		}
	}
	if strings.TrimSpace(in.UserID) == "" {
		faults.Add("user_id", "is missing")
	}
	faults.Text("user_id", in.UserID, wire.MaxName)
	faults.Text("provider", in.Provider, wire.MaxName)
	if !wire.IsURI(in.Provider) {
		faults.Add("provider", "must be an absolute URI")
	}
	if !isState(in.Status) {
		faults.Add("status", "is not a status of licenses")
	}
	limitCopy, limitPrint := wire.LimitIn(in.Copy), wire.LimitIn(in.Print)
	for field, n := range map[string]*int64{"copy": limitCopy, "print": limitPrint} {
		if n != nil && *n < 0 {
			faults.Add(field, "must not be negative: leave it out, or give -1, for no limit")
		}
	}
	if in.Start != nil && in.End != nil && in.End.Before(*in.Start) {
		faults.Add("end", "lies before start")
	}
	if in.End != nil && in.MaxEnd != nil && in.MaxEnd.Before(*in.End) {
		faults.Add("max_end", "lies before end")
	}
	if _, err := rights.ParseDuration(in.PlayDuration); in.PlayDuration != "" && err != nil {
		faults.Add("play_duration", "%s", err.Error())
	}
	if err := faults.Err(); err != nil {
		return old, err
	}
	next := old
	next.UUID, next.PublicationUUID = strings.ToLower(in.UUID), strings.ToLower(in.PublicationID)
	next.UserID, next.Provider = in.UserID, in.Provider
	if in.Status != s.seen(&old) { // else the clock has made it what it is, and may do so again
		next.Status = in.Status
	}
	next.Start, next.End, next.MaxEnd = instant(in.Start), instant(in.End), instant(in.MaxEnd)
	next.Copy, next.Print = limitCopy, limitPrint
	next.PlayDuration = cmp.Or(in.PlayDuration, old.PlayDuration) // which clients of the documented server do not know
	if next.MaxEnd.IsZero() && !next.End.IsZero() {
		next.MaxEnd = maxEnd(service.Policy, next.End)
	}
	return next, nil
}

// missingPublication names the field when a license's publication is not there.
func missingPublication(err error) error {
	if errors.Is(err, store.ErrNotFound) && strings.Contains(err.Error(), "publication") {
		return &license.FieldError{Field: "publication_id", Reason: "is not that of a publication"}
	}
	return err
}

func instant(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}
