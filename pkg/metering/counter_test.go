package metering_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/metering"
)

// Double clicks as COUNTER 5.1 §7.2 tells them, and titles once in an hour of the
// day (§7.4).
func TestTally(t *testing.T) {
	t.Parallel()
	day := time.Date(2024, 6, 15, 10, 1, 0, 0, time.UTC)
	month := metering.MonthOf(day)
	for name, tt := range map[string]struct {
		seconds       []int // after 10:01:00
		total, unique int64
	}{
		"one":                   {[]int{0}, 1, 1},
		"the same instant":      {[]int{0, 0}, 1, 1},
		"29 s apart":            {[]int{0, 29}, 1, 1},
		"30 s apart":            {[]int{0, 30}, 1, 1},
		"31 s apart":            {[]int{0, 31}, 2, 1},
		"a chain":               {[]int{0, 20, 40, 60}, 1, 1},
		"two chains":            {[]int{0, 20, 60, 80}, 2, 1},
		"next hour":             {[]int{0, 59 * 60}, 2, 2},
		"double across an hour": {[]int{59*60 - 10, 59*60 + 10}, 1, 2},
	} {
		tally := metering.Tally{From: month, To: month}
		for _, s := range tt.seconds {
			at := day.Add(time.Duration(s) * time.Second)
			tally.Add(metering.Click{At: at, User: 1, Publication: 7})
			tally.Add(metering.Click{At: at, User: 2, Publication: 8}) // in between
		}
		for _, publication := range tally.Publications() {
			got := tally.Counts(publication)
			if got.TotalItemRequests[month] != tt.total || got.UniqueTitleRequests[month] != tt.unique {
				t.Errorf("%s: %v, want %d and %d", name, got, tt.total, tt.unique)
			}
		}
	}
}

// The second of two clicks counts, in its month.
func TestTallyBetweenMonths(t *testing.T) {
	t.Parallel()
	june := time.Date(2024, 6, 1, 0, 0, 0, 0, time.UTC)
	clicks := []metering.Click{{At: june.Add(-10 * time.Second), User: 1, Publication: 7}, {At: june.Add(10 * time.Second), User: 1, Publication: 7}}
	for month, want := range map[metering.Month]int64{metering.MonthOf(june) - 1: 0, metering.MonthOf(june): 1} {
		tally := metering.Tally{From: month, To: month}
		for _, c := range clicks {
			tally.Add(c)
		}
		tally.Publications()
		if got := tally.Counts(7).TotalItemRequests[month]; got != want {
			t.Errorf("%s: %d requests, want %d", month, got, want)
		}
	}
}

func titleReport(t *testing.T) *metering.TitleReport {
	t.Helper()
	from, err := metering.ParseMonth("2024-02")
	if err != nil {
		t.Fatal(err)
	}
	r := metering.NewTitleReport(metering.Platform{ID: "books", Name: "Books & Co"}, "rs_X", "Nevermore Academy", from, from+1, noon)
	r.Items = append(r.Items, metering.TitleItem{
		Title: "=Moby Dick", Publisher: "Harper", Platform: "Books & Co", ItemID: map[string]string{"Proprietary": "books:moby"},
		Attributes: []metering.TitleAttributes{{DataType: "Book", YOP: metering.UnknownYear, Performance: metering.Performance{
			TotalItemRequests: map[metering.Month]int64{from: 3, from + 1: 2}, UniqueTitleRequests: map[metering.Month]int64{from: 1, from + 1: 2},
		}}},
	})
	return r
}

// The rows and columns are those of tables 4.i and 4.k.
func TestTitleReportTSV(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := titleReport(t).WriteTSV(&b, '\t'); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Report_Name\tBook Requests (Controlled)", "Report_ID\tTR_B1", "Release\t5.1", "Institution_Name\tNevermore Academy",
		"Institution_ID\tbooks:rs_X", "Metric_Types\tTotal_Item_Requests; Unique_Title_Requests",
		"Report_Filters\tData_Type=Book|Reference_Work; Access_Type=Controlled; Access_Method=Regular", "Report_Attributes\t", "Exceptions\t",
		"Reporting_Period\tBegin_Date=2024-02-01; End_Date=2024-03-31", "Created\t2030-05-01T12:00:00Z", "Created_By\tBooks & Co", "Registry_Record\t",
		"", strings.Join([]string{
			"Title", "Publisher", "Publisher_ID", "Platform", "DOI", "Proprietary_ID", "ISBN", "Print_ISSN", "Online_ISSN", "URI",
			"Data_Type", "YOP", "Metric_Type", "Reporting_Period_Total", "Feb-2024", "Mar-2024",
		}, "\t"),
		"'=Moby Dick\tHarper\t\tBooks & Co\t\tbooks:moby\t\t\t\t\tBook\t0001\tTotal_Item_Requests\t5\t3\t2",
		"'=Moby Dick\tHarper\t\tBooks & Co\t\tbooks:moby\t\t\t\t\tBook\t0001\tUnique_Title_Requests\t3\t1\t2", "",
	}
	if diff := cmp.Diff(strings.Join(want, "\n"), b.String()); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

// The members are those of the sample in the COUNTER API specification 5.1.
func TestTitleReportJSON(t *testing.T) {
	t.Parallel()
	data, err := json.Marshal(titleReport(t))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"Report_Header":{"Release":"5.1","Report_ID":"TR_B1","Report_Name":"Book Requests (Controlled)",` +
		`"Created":"2030-05-01T12:00:00Z","Created_By":"Books \u0026 Co","Institution_ID":{"books":["rs_X"]},"Institution_Name":"Nevermore Academy",` +
		`"Registry_Record":"","Report_Filters":{"Metric_Type":["Total_Item_Requests","Unique_Title_Requests"],"Begin_Date":"2024-02-01",` +
		`"End_Date":"2024-03-31","Data_Type":["Book","Reference_Work"],"Access_Type":["Controlled"],"Access_Method":["Regular"]}},` +
		`"Report_Items":[{"Title":"=Moby Dick","Publisher":"Harper","Platform":"Books \u0026 Co","Item_ID":{"Proprietary":"books:moby"},` +
		`"Attribute_Performance":[{"Data_Type":"Book","YOP":"0001","Performance":{"Total_Item_Requests":{"2024-02":3,"2024-03":2},` +
		`"Unique_Title_Requests":{"2024-02":1,"2024-03":2}}}]}]}`
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestWriteCSV(t *testing.T) {
	t.Parallel()
	may := metering.MonthOf(noon)
	var b bytes.Buffer
	err := metering.WriteCSV(&b, []metering.Row{{
		LicenseKey: "rs_X", Customer: `Nevermore, "Academy"`, Month: may + 1, Adjusts: &may, OriginGroup: "https://a.example",
		Publication: "=cmd()", Usage: metering.Usage{Started: 3, Held: -1, Billable: 4},
	}})
	want := "licenseKey,customer,month,adjusts,originGroup,publication,closed,started,continued,offline,blocked,held,unbilled,uniqueUsers,activeSeconds,billable\n" +
		`rs_X,"Nevermore, ""Academy""",2030-06,2030-05,https://a.example,'=cmd(),false,3,0,0,0,-1,0,0,0,4` + "\n"
	if b.String() != want || err != nil {
		t.Errorf("CSV\n%s, %v, want\n%s", b.String(), err, want)
	}
}

func TestMonth(t *testing.T) {
	t.Parallel()
	m := metering.MonthOf(time.Date(2030, 1, 1, 0, 30, 0, 0, time.FixedZone("", 3600))) // still December in UTC
	if m.String() != "2029-12" || (m+1).String() != "2030-01" || !(m + 1).Begin().Equal(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("months %s, %s", m, m+1)
	}
	for _, bad := range []string{"", "2030", "2030-13", "2030-1", "2030-01-01", "x"} {
		if m, err := metering.ParseMonth(bad); err == nil {
			t.Errorf("ParseMonth(%q) = %s", bad, m)
		}
	}
	if _, err := metering.ParseGrouping("origin,publication,month"); err != nil {
		t.Error(err)
	}
	if _, err := metering.ParseGrouping("user"); err == nil {
		t.Error("grouping by user is accepted")
	}
}
