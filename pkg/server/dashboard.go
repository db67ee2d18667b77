package server

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/lcp-tools/lcp/pkg/access"
	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/store"
	"github.com/lcp-tools/lcp/pkg/wire"
)

// tokenCookie is the name under which the documented server keeps the token of a
// login.
const tokenCookie = "token"

// login gives a token to a user with the right password. The dashboard of the
// documented server calls it, so the answers are as that one has them.
func (s *server) login(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	p, err := s.DashboardAccess.Basic(r.Context(), s.address(r), in.Username, in.Password)
	switch {
	case errors.Is(err, access.ErrTooMany):
		return tooMany(w)
	case errors.Is(err, access.ErrCredentials):
		w.Header().Set("WWW-Authenticate", `Bearer realm="dashboard"`)
		return err
	case err != nil:
		return err
	}
	token, end, err := s.Tokens.Issue(p)
	if err != nil {
		return err
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever the connection is
		Name: tokenCookie, Value: token, Path: "/dashdata", Expires: end,
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
	})
	type user struct {
		ID    string `json:"id"`
		Email string `json:"email"`
		Name  string `json:"name"`
	}
	return writeJSON(w, http.StatusOK, struct {
		Token string `json:"token"`
		User  user   `json:"user"`
	}{token, user{p.Name, "", p.Name}})
}

func (s *server) dashboardData(w http.ResponseWriter, r *http.Request) error {
	now := s.Now().UTC()
	f, err := s.Store.Figures(r.Context(), now, s.sharing(r.Context(), now))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, figuresOut(&f, now))
}

// sharing says which licenses of those that the caller sees count as shared too
// much.
func (s *server) sharing(ctx context.Context, now time.Time) store.LicenseFilter {
	f := store.LicenseFilter{Provider: scopeURI(ctx), CountDevices: true, MinDevices: s.Dashboard.SharingThreshold + 1}
	if s.Dashboard.LimitToLast12Months {
		f.IssuedFrom = now.AddDate(-1, 0, 0)
	}
	return f
}

// typeNames are what people call media types.
var typeNames = map[string]string{
	"application/epub+zip": "EPUB", "application/pdf+lcp": "PDF", "application/audiobook+lcp": "Audiobook",
	"application/divina+lcp": "Comics", "application/webpub+lcp": "Web publication",
}

// figuresOut puts the figures into the words of the dashboard.
func figuresOut(f *store.Figures, now time.Time) api.Figures {
	out := api.Figures{
		TotalPublications: f.Publications, TotalUsers: f.Users, TotalLicenses: f.Licenses,
		OversharedLicensesCount: f.Overshared,
		OldestLicenseDate:       day(f.Oldest), LatestLicenseDate: day(f.Latest),
		PublicationTypes: []api.Count{}, LicenseStatuses: []api.Count{}, ChartData: []api.Month{},
	}
	for _, d := range f.Days { // days are in UTC, the last one is today
		age := int(now.Sub(d.Day).Hours() / 24)
		out.LicensesLast12Months += d.Issued
		if !d.Day.Before(now.AddDate(0, -1, 0).Truncate(24 * time.Hour)) {
			out.LicensesLastMonth += d.Issued
		}
		if age <= 7 {
			out.LicensesLastWeek += d.Issued
		}
		if age <= 1 {
			out.LicensesLastDay += d.Issued
		}
		if d.Day.Before(firstOfMonth(now).AddDate(0, -11, 0)) {
			continue // the chart shows twelve months, this one included
		}
		month := d.Day.Format("Jan")
		if n := len(out.ChartData); n == 0 || out.ChartData[n-1].Month != month {
			out.ChartData = append(out.ChartData, api.Month{Month: month})
		}
		out.ChartData[len(out.ChartData)-1].Licenses += d.Used
	}
	for _, c := range f.Types {
		out.PublicationTypes = append(out.PublicationTypes, api.Count{Name: cmp.Or(typeNames[c.Name], c.Name), Count: c.Count})
	}
	for _, c := range f.Statuses {
		out.LicenseStatuses = append(out.LicenseStatuses, api.Count{Name: c.Name, Count: c.Count})
	}
	return out
}

func firstOfMonth(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateOnly)
}

func (s *server) overshared(w http.ResponseWriter, r *http.Request) error {
	list, _, err := s.Store.Licenses(r.Context(), s.sharing(r.Context(), s.Now().UTC()), store.Page{Limit: maxPerPage})
	if err != nil {
		return err
	}
	out := make([]api.OversharedLicense, len(list))
	for i, l := range list {
		out[i] = api.OversharedLicense{
			ID: l.UUID, PublicationID: l.PublicationUUID, AltID: l.PublicationAltID, Title: l.PublicationTitle,
			UserID: l.UserID, Type: saleType(&l), Status: s.seen(&l), Devices: l.DeviceCount,
		}
	}
	slices.SortStableFunc(out, func(a, b api.OversharedLicense) int { return cmp.Compare(b.Devices, a.Devices) })
	return writeJSON(w, http.StatusOK, out)
}

// saleType tells loans, which end, from sales.
func saleType(l *store.License) string {
	if l.End.IsZero() {
		return "buy"
	}
	return "loan"
}

func (s *server) userLicenses(w http.ResponseWriter, r *http.Request) error {
	user := r.PathValue("user")
	if wire.WhyNotText(user, wire.MaxName) != "" {
		return problem(http.StatusNotFound, "no user can have that identifier")
	}
	return s.writeLicenses(w, r, store.LicenseFilter{UserID: user}, searchPerPage)
}

// reportLicenses streams the licenses issued in a month or on a day as CSV.
func (s *server) reportLicenses(w http.ResponseWriter, r *http.Request) error {
	month, date := r.URL.Query().Get("month"), r.URL.Query().Get("date")
	from, before, err := period(month, date)
	if err != nil {
		return err
	}
	if from.IsZero() {
		return &license.FieldError{Field: "month", Reason: "is missing, and so is date: one of them is needed, as in 2030-01 or 2030-01-31"}
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="licenses-report-`+cmp.Or(month, date)+`.csv"`)
	out := csv.NewWriter(w)
	_ = out.Write([]string{"CreatedAt", "PublicationAltID", "PublicationTitle", "UserID", "Status", "Start", "End", "MaxEnd", "DeviceCount"})
	err = s.Store.EachLicense(r.Context(), store.LicenseFilter{Provider: scopeURI(r.Context()), IssuedFrom: from, IssuedBefore: before}, func(l store.License) error {
		return out.Write([]string{
			csvTime(l.Issued), csvText(l.PublicationAltID), csvText(l.PublicationTitle), csvText(l.UserID), s.seen(&l),
			csvTime(l.Start), csvTime(l.End), csvTime(l.MaxEnd), strconv.Itoa(l.DeviceCount),
		})
	})
	if err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

func csvTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

// csvText keeps spreadsheets from taking a text for a formula.
func csvText(text string) string {
	if text != "" && slices.Contains([]byte("=+-@\t\r"), text[0]) {
		return "'" + text
	}
	return text
}
