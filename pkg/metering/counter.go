package metering

import (
	"encoding/csv"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DoubleClick is within which time two requests of a user for the same title are
// one (COUNTER 5.1 §7.2).
const DoubleClick = 30 * time.Second

// A Click is one event, as COUNTER sees it: a user asks for a title.
type Click struct {
	At          time.Time
	User        int64
	Publication int64
}

// A Tally counts clicks, which come in the order of time, for the months from
// From to To, both of which count. It keeps what happened within the last hour.
type Tally struct {
	From, To Month

	totals map[titleMonth]int64
	unique map[titleMonth]int64
	last   map[Click]time.Time // by user and title, the last request that may yet be followed by another
	seen   map[Click]bool      // by user and title, in the present hour
	hour   time.Time
	swept  time.Time
}

type titleMonth struct {
	publication int64
	month       Month
}

// Add counts a click. The user's session, which a title counts once for, is an
// hour of the day (COUNTER 5.1 §7.4).
func (y *Tally) Add(c Click) {
	if y.last == nil {
		y.totals, y.unique = make(map[titleMonth]int64), make(map[titleMonth]int64)
		y.last, y.seen = make(map[Click]time.Time), make(map[Click]bool)
	}
	y.sweep(c.At.Add(-DoubleClick))
	who := Click{User: c.User, Publication: c.Publication}
	if before, ok := y.last[who]; ok && c.At.Sub(before) > DoubleClick {
		y.count(y.totals, c.Publication, before)
	}
	y.last[who] = c.At // of two within the time the first is dropped and the second kept
	if hour := c.At.Truncate(time.Hour); !hour.Equal(y.hour) {
		clear(y.seen)
		y.hour = hour
	}
	if !y.seen[who] {
		y.seen[who] = true
		y.count(y.unique, c.Publication, c.At)
	}
}

// sweep counts, now and then, the requests that no other can follow any more.
func (y *Tally) sweep(before time.Time) {
	if before.Before(y.swept.Add(2 * DoubleClick)) {
		return
	}
	y.swept = before
	for who, at := range y.last {
		if at.Before(before) {
			y.count(y.totals, who.Publication, at)
			delete(y.last, who)
		}
	}
}

func (y *Tally) count(into map[titleMonth]int64, publication int64, at time.Time) {
	if m := MonthOf(at); m >= y.From && m <= y.To {
		into[titleMonth{publication, m}]++
	}
}

// Publications returns what was asked for, once all clicks were added: those up
// to DoubleClick after the last month.
func (y *Tally) Publications() []int64 {
	for who, at := range y.last {
		y.count(y.totals, who.Publication, at)
	}
	clear(y.last)
	found := make(map[int64]bool)
	for k := range y.unique {
		found[k.publication] = true
	}
	for k := range y.totals {
		found[k.publication] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// Counts returns the Total_Item_Requests and Unique_Title_Requests of a
// publication by month, after Publications.
func (y *Tally) Counts(publication int64) Performance {
	p := Performance{make(map[Month]int64), make(map[Month]int64)}
	for m := y.From; m <= y.To; m++ {
		k := titleMonth{publication, m}
		if y.totals[k] > 0 || y.unique[k] > 0 { // a month without use is left out, of both
			p.TotalItemRequests[m], p.UniqueTitleRequests[m] = y.totals[k], y.unique[k]
		}
	}
	return p
}

// A TitleReport is the Standard View TR_B1, Book Requests (Controlled), of the
// Title Report (COUNTER 5.1 §4.3), in its JSON form.
type TitleReport struct {
	Header TitleHeader `json:"Report_Header"`
	Items  []TitleItem `json:"Report_Items"`
}

// A TitleHeader says what a report is about.
type TitleHeader struct {
	Release         string              `json:"Release"`
	ReportID        string              `json:"Report_ID"`
	ReportName      string              `json:"Report_Name"`
	Created         time.Time           `json:"Created"`
	CreatedBy       string              `json:"Created_By"`
	InstitutionID   map[string][]string `json:"Institution_ID"`
	InstitutionName string              `json:"Institution_Name"`
	RegistryRecord  string              `json:"Registry_Record"`
	Filters         TitleFilters        `json:"Report_Filters"`
}

// TitleFilters are those of TR_B1, all but the dates fixed.
type TitleFilters struct {
	MetricType   []string `json:"Metric_Type"`
	BeginDate    string   `json:"Begin_Date"`
	EndDate      string   `json:"End_Date"`
	DataType     []string `json:"Data_Type"`
	AccessType   []string `json:"Access_Type"`
	AccessMethod []string `json:"Access_Method"`
}

// A TitleItem is the use of one title.
type TitleItem struct {
	Title      string            `json:"Title"`
	Publisher  string            `json:"Publisher"`
	Platform   string            `json:"Platform"`
	ItemID     map[string]string `json:"Item_ID"`
	Attributes []TitleAttributes `json:"Attribute_Performance"`
}

// TitleAttributes are the figures of a title.
type TitleAttributes struct {
	DataType    string      `json:"Data_Type"`
	YOP         string      `json:"YOP"` // year of publication; 0001 if it is not known
	Performance Performance `json:"Performance"`
}

// Performance are figures by month.
type Performance struct {
	TotalItemRequests   map[Month]int64 `json:"Total_Item_Requests"`
	UniqueTitleRequests map[Month]int64 `json:"Unique_Title_Requests"`
}

// UnknownYear stands for a year of publication that is not known (COUNTER 5.1
// §3.3.8).
const UnknownYear = "0001"

// Platform is who reports: its identifier is the namespace of identifiers that it
// assigns, and it may have a record in the COUNTER registry.
type Platform struct {
	ID, Name, Registry string
}

// NewTitleReport returns a report on a customer without any items.
func NewTitleReport(p Platform, licenseKey, customer string, from, to Month, now time.Time) *TitleReport {
	return &TitleReport{
		Header: TitleHeader{
			Release: "5.1", ReportID: "TR_B1", ReportName: "Book Requests (Controlled)",
			Created: now.UTC().Truncate(time.Second), CreatedBy: p.Name,
			InstitutionID: map[string][]string{p.ID: {licenseKey}}, InstitutionName: customer, RegistryRecord: p.Registry,
			Filters: TitleFilters{
				MetricType: []string{"Total_Item_Requests", "Unique_Title_Requests"},
				BeginDate:  from.Begin().Format(time.DateOnly), EndDate: (to + 1).Begin().AddDate(0, 0, -1).Format(time.DateOnly),
				DataType: []string{"Book", "Reference_Work"}, AccessType: []string{"Controlled"}, AccessMethod: []string{"Regular"},
			},
		},
		Items: []TitleItem{},
	}
}

// WriteTSV writes the tabular form: 13 rows of header, an empty one, and the body
// (COUNTER 5.1 §3.2). With a comma instead of a tab it is CSV.
func (r *TitleReport) WriteTSV(w io.Writer, separator rune) error {
	c := csv.NewWriter(w)
	c.Comma = separator
	from, to, err := r.period()
	if err != nil {
		return err
	}
	columns := []string{
		"Title", "Publisher", "Publisher_ID", "Platform", "DOI", "Proprietary_ID", "ISBN", "Print_ISSN", "Online_ISSN", "URI",
		"Data_Type", "YOP", "Metric_Type", "Reporting_Period_Total",
	}
	for m := from; m <= to; m++ {
		columns = append(columns, m.Begin().Format("Jan-2006"))
	}
	for _, line := range append(r.headerRows(), make([]string, 1), columns) {
		if err := c.Write(line); err != nil {
			return err
		}
	}
	for _, item := range r.Items {
		for _, a := range item.Attributes {
			for _, metric := range []struct {
				name   string
				counts map[Month]int64
			}{{"Total_Item_Requests", a.Performance.TotalItemRequests}, {"Unique_Title_Requests", a.Performance.UniqueTitleRequests}} {
				if err := c.Write(item.cells(a, metric.name, metric.counts, from, to)); err != nil {
					return err
				}
			}
		}
	}
	c.Flush()
	return c.Error()
}

func (r *TitleReport) period() (from, to Month, err error) {
	begin, err := time.Parse(time.DateOnly, r.Header.Filters.BeginDate)
	if err != nil {
		return 0, 0, err
	}
	end, err := time.Parse(time.DateOnly, r.Header.Filters.EndDate)
	return MonthOf(begin), MonthOf(end), err
}

// headerRows are the 13 rows of the header (COUNTER 5.1, table 4.i).
func (r *TitleReport) headerRows() [][]string {
	h := r.Header
	var ids []string
	for _, namespace := range slices.Sorted(maps.Keys(h.InstitutionID)) {
		ids = append(ids, namespace+":"+strings.Join(h.InstitutionID[namespace], "|"))
	}
	return [][]string{
		{"Report_Name", h.ReportName},
		{"Report_ID", h.ReportID},
		{"Release", h.Release},
		{"Institution_Name", noFormula(h.InstitutionName)},
		{"Institution_ID", strings.Join(ids, "; ")},
		{"Metric_Types", strings.Join(h.Filters.MetricType, "; ")},
		{"Report_Filters", "Data_Type=" + strings.Join(h.Filters.DataType, "|") + "; Access_Type=Controlled; Access_Method=Regular"},
		{"Report_Attributes", ""},
		{"Exceptions", ""},
		{"Reporting_Period", "Begin_Date=" + h.Filters.BeginDate + "; End_Date=" + h.Filters.EndDate},
		{"Created", h.Created.Format(time.RFC3339)},
		{"Created_By", h.CreatedBy},
		{"Registry_Record", h.RegistryRecord},
	}
}

func (i *TitleItem) cells(a TitleAttributes, metric string, counts map[Month]int64, from, to Month) []string {
	var total int64
	var months []string
	for m := from; m <= to; m++ {
		total += counts[m]
		months = append(months, strconv.FormatInt(counts[m], 10))
	}
	return append([]string{
		noFormula(i.Title), noFormula(i.Publisher), "", i.Platform, i.ItemID["DOI"], noFormula(i.ItemID["Proprietary"]), i.ItemID["ISBN"],
		"", "", i.ItemID["URI"], a.DataType, a.YOP, metric, strconv.FormatInt(total, 10),
	}, months...)
}
