package metering

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// A Usage counts what happened.
type Usage struct {
	Started       int64 `json:"started"`       // sessions that started
	Continued     int64 `json:"continued"`     // events that belong to a session which had started
	Offline       int64 `json:"offline"`       // of both, those that were reported later
	Blocked       int64 `json:"blocked"`       // events that were not accepted
	Held          int64 `json:"held"`          // sessions at origins under review
	Unbilled      int64 `json:"unbilled"`      // sessions at origins that were blocked after a review
	UniqueUsers   int64 `json:"uniqueUsers"`   // users who started a session
	ActiveSeconds int64 `json:"activeSeconds"` // in sessions
	Billable      int64 `json:"billable"`      // sessions: those that started and are neither held nor unbilled
}

// A Row is a row of a usage report. What a report is not grouped by is empty.
type Row struct {
	LicenseKey  string `json:"licenseKey"`
	Customer    string `json:"customer"` // name of the key's holder
	Month       Month  `json:"month"`    // in which it is billed
	Adjusts     *Month `json:"adjusts,omitempty"`
	OriginGroup string `json:"originGroup,omitempty"`
	Publication string `json:"publication,omitempty"` // token
	Closed      bool   `json:"closed"`                // the month does not change any more
	Usage
}

// A Grouping says what the rows of a report stand for, besides license key and
// month.
type Grouping struct {
	Origin      bool
	Publication bool
}

// ParseGrouping reads a list such as origin,publication,month. A month is always
// one of them, since that is what is billed.
func ParseGrouping(text string) (g Grouping, err error) {
	for word := range strings.SplitSeq(text, ",") {
		switch strings.TrimSpace(word) {
		case "origin":
			g.Origin = true
		case "publication":
			g.Publication = true
		case "month", "key", "":
		default:
			return g, fmt.Errorf("%q is nothing to group by: it is one of origin, publication, month", word)
		}
	}
	return g, nil
}

// RowHeader names the columns of Cells, in the words of the API.
func RowHeader() []string {
	return []string{
		"licenseKey", "customer", "month", "adjusts", "originGroup", "publication", "closed",
		"started", "continued", "offline", "blocked", "held", "unbilled", "uniqueUsers", "activeSeconds", "billable",
	}
}

// Cells returns a row as text.
func (r *Row) Cells() []string {
	adjusts := ""
	if r.Adjusts != nil {
		adjusts = r.Adjusts.String()
	}
	cells := []string{r.LicenseKey, r.Customer, r.Month.String(), adjusts, r.OriginGroup, r.Publication, strconv.FormatBool(r.Closed)}
	for _, n := range []int64{
		r.Started, r.Continued, r.Offline, r.Blocked, r.Held, r.Unbilled, r.UniqueUsers, r.ActiveSeconds, r.Billable,
	} {
		cells = append(cells, strconv.FormatInt(n, 10))
	}
	return cells
}

// WriteCSV writes rows under a header (RFC 4180). A cell that a spreadsheet would
// take for a formula gets an apostrophe in front: tokens come from strangers.
func WriteCSV(w io.Writer, rows []Row) error {
	c := csv.NewWriter(w)
	if err := c.Write(RowHeader()); err != nil {
		return err
	}
	for i := range rows {
		cells := rows[i].Cells()
		for n, text := range cells[:6] {
			cells[n] = noFormula(text)
		}
		if err := c.Write(cells); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

func noFormula(text string) string {
	if text != "" && slices.Contains([]byte("=+-@\t\r"), text[0]) {
		return "'" + text
	}
	return text
}
