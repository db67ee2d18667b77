package server

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/lcp-tools/lcp/pkg/access"
	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/billing"
	"github.com/lcp-tools/lcp/pkg/metering"
)

// office does what operators of pay per use ask for.
func (s *server) office() *billing.Office {
	return &billing.Office{
		Store: s.Store, Platform: s.Platform, Now: s.Now,
		Actor: func(ctx context.Context) string { return caller(ctx).Name },
	}
}

// forAll keeps those out who may see and do the matters of one provider alone:
// license keys belong to none.
func forAll(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if p := caller(r.Context()); p.Provider != "" {
			return problem(http.StatusForbidden, "license keys are not a matter of one provider")
		}
		return h(w, r)
	}
}

// billingRoutes are those for operators.
func (s *server) billingRoutes(private func(string, access.Action, handler)) {
	for _, route := range []struct {
		pattern string
		action  access.Action
		h       handler
	}{
		{"GET /license-keys", access.ReadFigures, s.listLicenseKeys},
		{"POST /license-keys", access.Administer, s.createLicenseKey},
		{"GET /license-keys/{key}", access.ReadFigures, s.getLicenseKey},
		{"PUT /license-keys/{key}", access.Administer, s.updateLicenseKey},
		{"POST /license-keys/{key}/api-secret", access.Administer, s.newAPISecret},
		{"POST /license-keys/{key}/webhook-secret", access.Administer, s.newWebhookSecret},
		{"POST /license-keys/{key}/erasures", access.Administer, s.eraseReader},
		{"GET /origins", access.ReadFigures, s.listOrigins},
		{"POST /origins", access.Administer, s.decideOrigin},
		{"DELETE /origins", access.Administer, s.forgetOrigin},
		{"GET /reports/usage", access.ReadFigures, s.usageReport},
		{"GET /reports/tr_b1", access.ReadFigures, s.titleReport},
		{"POST /reports/closings", access.Administer, s.closeMonth},
	} {
		private(route.pattern, route.action, forAll(route.h))
	}
}

func (s *server) listLicenseKeys(w http.ResponseWriter, r *http.Request) error {
	list, err := s.office().LicenseKeys(r.Context())
	return answerJSON(w, http.StatusOK, list, err)
}

// answerJSON answers with a value, unless there is an error.
func answerJSON(w http.ResponseWriter, code int, v any, err error) error {
	if err != nil {
		return err
	}
	return writeJSON(w, code, v)
}

func (s *server) createLicenseKey(w http.ResponseWriter, r *http.Request) error {
	var in api.LicenseKey
	if err := decode(r, &in); err != nil {
		return err
	}
	if in.LicenseKey != "" {
		return &metering.FieldError{Field: "licenseKey", Reason: "cannot be set"}
	}
	out, err := s.office().CreateLicenseKey(r.Context(), in)
	return answerJSON(w, http.StatusCreated, out, err)
}

func (s *server) getLicenseKey(w http.ResponseWriter, r *http.Request) error {
	out, err := s.office().LicenseKey(r.Context(), r.PathValue("key"))
	return answerJSON(w, http.StatusOK, out, err)
}

func (s *server) updateLicenseKey(w http.ResponseWriter, r *http.Request) error {
	var in api.LicenseKey
	if err := decode(r, &in); err != nil {
		return err
	}
	out, err := s.office().UpdateLicenseKey(r.Context(), r.PathValue("key"), in)
	return answerJSON(w, http.StatusOK, out, err)
}

func (s *server) newAPISecret(w http.ResponseWriter, r *http.Request) error {
	out, err := s.office().NewAPISecret(r.Context(), r.PathValue("key"))
	return answerJSON(w, http.StatusCreated, out, err)
}

func (s *server) newWebhookSecret(w http.ResponseWriter, r *http.Request) error {
	out, err := s.office().NewWebhookSecret(r.Context(), r.PathValue("key"))
	return answerJSON(w, http.StatusCreated, out, err)
}

func (s *server) eraseReader(w http.ResponseWriter, r *http.Request) error {
	var in api.Erasure
	if err := decode(r, &in); err != nil {
		return err
	}
	out, err := s.office().EraseUser(r.Context(), r.PathValue("key"), in)
	return answerJSON(w, http.StatusOK, out, err)
}

func (s *server) listOrigins(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	list, err := s.office().Origins(r.Context(), q.Get("licenseKey"), q.Get("state"))
	return answerJSON(w, http.StatusOK, list, err)
}

func (s *server) decideOrigin(w http.ResponseWriter, r *http.Request) error {
	var in api.Origin
	if err := decode(r, &in); err != nil {
		return err
	}
	out, err := s.office().Decide(r.Context(), in)
	return answerJSON(w, http.StatusOK, out, err)
}

func (s *server) forgetOrigin(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if err := s.office().Forget(r.Context(), q.Get("licenseKey"), q.Get("origin")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// periodOf reads the parameters of a report.
func periodOf(r *http.Request) api.Period {
	q := r.URL.Query()
	return api.Period{LicenseKey: q.Get("licenseKey"), From: q.Get("from"), To: q.Get("to"), GroupBy: q.Get("groupBy")}
}

// formatOf is the format of a report: as the query says, or else as the client
// accepts it, or JSON.
func formatOf(r *http.Request, others ...string) (string, error) {
	format := r.URL.Query().Get("format")
	for _, other := range others {
		if format == other || format == "" && strings.HasPrefix(r.Header.Get("Accept"), tabular[other]) {
			return other, nil
		}
	}
	if format != "" && format != "json" {
		return "", &metering.FieldError{Field: "format", Reason: "must be json, " + strings.Join(others, " or ")}
	}
	return "json", nil
}

// tabular are the media types of reports that are tables.
var tabular = map[string]string{"csv": "text/csv", "tsv": "text/tab-separated-values"}

func (s *server) usageReport(w http.ResponseWriter, r *http.Request) error {
	format, err := formatOf(r, "csv")
	if err != nil {
		return err
	}
	rows, err := s.office().Usage(r.Context(), periodOf(r))
	if err != nil || format == "json" {
		if rows == nil {
			rows = []metering.Row{}
		}
		return answerJSON(w, http.StatusOK, rows, err)
	}
	var b bytes.Buffer
	if err := metering.WriteCSV(&b, rows); err != nil {
		return err
	}
	return writeTable(w, format, "usage", &b)
}

func (s *server) titleReport(w http.ResponseWriter, r *http.Request) error {
	format, err := formatOf(r, "tsv", "csv")
	if err != nil {
		return err
	}
	report, err := s.office().TitleReport(r.Context(), periodOf(r))
	if err != nil || format == "json" {
		return answerJSON(w, http.StatusOK, report, err)
	}
	var b bytes.Buffer
	if err := report.WriteTSV(&b, map[string]rune{"tsv": '\t', "csv": ','}[format]); err != nil {
		return err
	}
	return writeTable(w, format, "TR_B1", &b)
}

func writeTable(w http.ResponseWriter, format, name string, b *bytes.Buffer) error {
	h := w.Header()
	h.Set("Content-Type", tabular[format]+"; charset=utf-8")
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name+"."+format))
	_, _ = b.WriteTo(w) // a client that went away is no failure of ours
	return nil
}

func (s *server) closeMonth(w http.ResponseWriter, r *http.Request) error {
	var in api.Closing
	if err := decode(r, &in); err != nil {
		return err
	}
	out, err := s.office().CloseMonth(r.Context(), in)
	return answerJSON(w, http.StatusOK, out, err)
}
