package licensebatch_test

import (
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/licensebatch"
)

// passHash is the SHA-256 of "123 456", as the integration guide has it.
const passHash = "4981aa0a50d563040519e9032b5d74367b1d129e239a1ba82667a57333866494"

// read reads all rows, and tells what is wrong on one line each.
func read(rows iter.Seq2[licensebatch.Row, error]) (list []licensebatch.Row, faults string) {
	var told []string
	for row, err := range rows {
		switch {
		case err != nil:
			told = append(told, "end: "+err.Error())
		case row.Err != nil:
			told = append(told, fmt.Sprintf("%d: %s", row.Number, strings.ReplaceAll(row.Err.Error(), "\n", "; ")))
		default:
			list = append(list, row)
		}
	}
	return list, strings.Join(told, "\n")
}

func TestRowsSayTheSame(t *testing.T) {
	t.Parallel()
	end, ten := time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC), int64(10)
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	want := licensebatch.Row{Number: 1, Name: "loan-1", Request: api.LicenseRequest{
		AltID: "moby", UserID: "u1", UserName: `Ann "A", B`, UserEncrypted: []string{"name", "email"}, UserEmail: "a@example.com",
		Start: &start, End: &end, Copy: &ten, TextHint: "of the row", PassHash: passHash, Profile: "http://readium.org/lcp/basic-profile",
	}}
	reading := licensebatch.Reading{NameColumn: "loan", Defaults: api.LicenseRequest{
		PublicationID: "not this", TextHint: "default", PassHash: "default", Profile: "http://readium.org/lcp/basic-profile",
	}}
	csvRow := `moby,u1,"Ann ""A"", B",name; email,a@example.com,2030-01-01,2030-01-31T12:00:00Z,10,,of the row,123 456,loan-1`
	head := "alt_id,user_id,user_name,user_encrypted,user_email,start,end,copy,print,text_hint,passphrase,loan"
	forms := map[string]iter.Seq2[licensebatch.Row, error]{
		"CSV":                    reading.CSV(strings.NewReader(head + "\n" + csvRow + "\n")),
		"CSV, Windows, with BOM": reading.CSV(strings.NewReader("\ufeff" + head + "\r\n" + csvRow)),
		"CSV, semicolons": reading.CSV(strings.NewReader(strings.ReplaceAll(head, ",", ";") + "\n" +
			`moby;u1;"Ann ""A"", B";"name,email";a@example.com;2030-01-01;2030-01-31T12:00:00Z;10;;of the row;123 456;loan-1`)),
		"NDJSON": reading.NDJSON(strings.NewReader("\n" + `{"alt_id":"moby","user_id":"u1","user_name":"Ann \"A\", B","user_encrypted":["name","email"],` +
			`"user_email":"a@example.com","start":"2030-01-01T00:00:00Z","end":"2030-01-31T12:00:00Z","copy":10,"text_hint":"of the row","passphrase":"123 456","loan":"loan-1"}` + "\r\n\n")),
	}
	for name, rows := range forms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, faults := read(rows)
			if len(list) != 1 || faults != "" {
				t.Fatalf("%d rows, %s", len(list), faults)
			}
			if diff := cmp.Diff(asJSON(t, want), asJSON(t, list[0])); diff != "" {
				t.Errorf("row (-want +got):\n%s", diff)
			}
		})
	}
}

// asJSON shows what a row holds, which does not print.
func asJSON(t *testing.T, r licensebatch.Row) string {
	t.Helper()
	b, err := json.MarshalIndent(struct {
		N    int
		Name string
		R    api.LicenseRequest
	}{r.Number, r.Name, r.Request}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestFaultyRows(t *testing.T) {
	t.Parallel()
	csvRows := func(r licensebatch.Reading, text string) iter.Seq2[licensebatch.Row, error] {
		return r.CSV(strings.NewReader(text))
	}
	jsonRows := func(r licensebatch.Reading, text string) iter.Seq2[licensebatch.Row, error] {
		return r.NDJSON(strings.NewReader(text))
	}
	tests := map[string]struct {
		rows func(licensebatch.Reading, string) iter.Seq2[licensebatch.Row, error]
		name string // column of the names
		text string
		good int
		want string
	}{
		"csv: unknown column":     {csvRows, "", "user_id,user_nmea\nu1,x\n", 0, `end: names of columns: "user_nmea" is not one: there are alt_id, copy,`},
		"csv: column twice":       {csvRows, "", "user_id,user_id\nu1,x\n", 0, `end: names of columns: "user_id" is there twice`},
		"csv: no names":           {csvRows, "loan", "user_id\nu1\n", 0, `end: names of columns: "loan", for the names of files, is missing`},
		"csv: nothing":            {csvRows, "", "", 0, ""},
		"csv: only names":         {csvRows, "", "user_id\n", 0, ""},
		"csv: cells missing":      {csvRows, "", "user_id,copy\nu1\nu2,1\nu3,1,2\n", 1, "1: line 2: wrong number of cells: 1 under 2 columns\n3: line 4: wrong number of cells: 3 under 2 columns"},
		"csv: bad values":         {csvRows, "", "copy,end\nmany,soon\n1,2030-01-31\n", 1, "1: copy: must be an integer; end: must be a date"},
		"csv: open quotes":        {csvRows, "", "user_id\nu1\n\"sesame\nu3\n", 1, "end: row 2, and what follows: line"},
		"csv: a row without end":  {csvRows, "", "user_id\n\"" + strings.Repeat("x", 3<<20), 0, "end: row 1, and what follows: a row of more than 1048576 bytes"},
		"csv: two passphrases":    {csvRows, "", "passphrase,pass_hash\nsesame,00\n", 0, "1: there is a passphrase and a pass_hash"},
		"csv: names of no file":   {csvRows, "n", "n\n../x\na/b\n\"\"\nCON:\n.x\nok\n", 1, `1: n: "../x" cannot be the name of a file`},
		"json: not an object":     {jsonRows, "", "[]\n{\n\"x\"\nnull\n{}\n", 1, "1: not a JSON object\n2: not a JSON object\n3: not a JSON object\n4: not a JSON object"},
		"json: unknown member":    {jsonRows, "", `{"user_nmea":"sesame"}`, 0, "1: user_nmea: is not a known field"},
		"json: wrong type":        {jsonRows, "", `{"copy":"10"}`, 0, "1: copy: must be an integer"},
		"json: passphrase, wrong": {jsonRows, "", `{"passphrase":1}`, 0, "1: passphrase: must be a string"},
		"json: bad date":          {jsonRows, "", `{"end":"soon"}`, 0, "1: end: must be a date"},
		"json: no name":           {jsonRows, "n", "{\"n\":\"x\"}\n{}\n", 1, "2: n: the name of the file is missing"},
		"json: a line without end": {
			jsonRows, "", "{}\n" + strings.Repeat("x", 2<<20), 1, "end: row 2, and what follows: bufio.Scanner: token too long",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, faults := read(tt.rows(licensebatch.Reading{NameColumn: tt.name}, tt.text))
			if len(list) != tt.good || !strings.HasPrefix(faults, tt.want) || tt.want == "" && faults != "" {
				t.Errorf("%d good rows, want %d; faults:\n%s\nwant:\n%s", len(list), tt.good, faults, tt.want)
			}
			if strings.Contains(faults, "sesame") {
				t.Errorf("faults repeat the file: %s", faults)
			}
		})
	}
}

// A column of the API can name the files, too.
func TestNameColumnOfTheAPI(t *testing.T) {
	t.Parallel()
	reading := licensebatch.Reading{NameColumn: "user_id"}
	for form, rows := range map[string]iter.Seq2[licensebatch.Row, error]{
		"csv":  reading.CSV(strings.NewReader("user_id\nu1\n")),
		"json": reading.NDJSON(strings.NewReader(`{"user_id":"u1"}`)),
	} {
		list, faults := read(rows)
		if len(list) != 1 || list[0].Name != "u1" || list[0].Request.UserID != "u1" {
			t.Errorf("%s: %s", form, faults)
		}
	}
}

func TestRowDoesNotPrint(t *testing.T) {
	t.Parallel()
	row := licensebatch.Row{Number: 1, Request: api.LicenseRequest{PassHash: passHash, UserName: "Ann"}}
	text := fmt.Sprintf("%v %+v %#v %s %q %x", row, row, row, row, row, []licensebatch.Row{row})
	if strings.Contains(text, passHash) || strings.Contains(text, "Ann") {
		t.Errorf("prints as %s", text)
	}
}

// Rows are numbered from 1 without a gap, whatever is in the file, and a row that
// can be carried out has a name that stays in its folder.
func FuzzRows(f *testing.F) {
	f.Add("user_id,n\nu1,x\n\"a\nb\",c\n", true)
	f.Add(`{"user_id":"u1","n":"x"}`+"\n{\n", false)
	f.Fuzz(func(t *testing.T, text string, isCSV bool) {
		reading := licensebatch.Reading{NameColumn: "n"}
		rows := reading.NDJSON
		if isCSV {
			rows = reading.CSV
		}
		number, ended := 0, false
		for row, err := range rows(strings.NewReader(text)) {
			if ended {
				t.Fatal("rows go on after an error")
			}
			if err != nil {
				ended = true
				continue
			}
			if number++; row.Number != number {
				t.Fatalf("row %d has the number %d", number, row.Number)
			}
			if row.Err == nil && (row.Name == "" || strings.ContainsAny(row.Name, "/\\\x00") || strings.HasPrefix(row.Name, ".")) {
				t.Fatalf("name %q", row.Name)
			}
		}
	})
}
