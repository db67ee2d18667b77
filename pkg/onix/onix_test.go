package onix_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/unicode"

	"github.com/lcp-tools/lcp/pkg/onix"
)

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func read(r io.Reader) ([]*onix.Product, error) {
	var list []*onix.Product
	for p, err := range onix.Read(r) {
		if err != nil {
			return list, err
		}
		list = append(list, p)
	}
	return list, nil
}

var whale = &onix.Product{
	Reference: "example.press.1", ISBNs: []string{"9780000000002"},
	Title: "The Whale", Subtitle: "A story & more", Authors: []string{"Ann Author", "Vincent van Writer"},
	Publishers: []string{"Example Press"}, Description: "Call me Ishmael.\nSome years ago—never mind\nhow long.",
	Languages: []string{"fr-CA"}, Published: "2030-04-01", Subjects: []string{"whales", "the sea"},
	Cover: "https://covers.example.com/1.jpg",
}

func TestRead(t *testing.T) {
	t.Parallel()
	utf16, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().Bytes(
		bytes.Replace(readFile(t, "reference.xml"), []byte("UTF-8"), []byte("UTF-16"), 1))
	if err != nil {
		t.Fatal(err)
	}
	withdrawn := &onix.Product{Reference: "example.press.2", ISBNs: []string{"9780000000026"}, Withdrawn: true}
	tests := map[string]struct {
		message []byte
		want    []*onix.Product
	}{
		"reference names": {readFile(t, "reference.xml"), []*onix.Product{whale, withdrawn}},
		"in UTF-16":       {utf16, []*onix.Product{whale, withdrawn}},
		"byte order mark": {append([]byte("\xEF\xBB\xBF"), readFile(t, "reference.xml")...), []*onix.Product{whale, withdrawn}},
		"no namespace":    {bytes.Replace(readFile(t, "reference.xml"), []byte(" xmlns="), []byte(" x="), 1), []*onix.Product{whale, withdrawn}},
		"short tags, Latin": {readFile(t, "short.xml"), []*onix.Product{{
			Reference: "short.1", ISBNs: []string{"9780000000101"}, Title: "Bléach, 7", Authors: []string{"Ed Editor", "Institut für Bücher"},
			Publishers: []string{"Kleiner Verlag"}, Description: "One\nTwo & three", Languages: []string{"de"}, Published: "2030-12",
		}}},
		"no products": {[]byte(`<ONIXMessage release="3.1"><Header/></ONIXMessage>`), nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := read(bytes.NewReader(tt.message))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("products (-want +got):\n%s", diff)
			}
		})
	}
	if whale.FullTitle() != "The Whale: A story & more" || (&onix.Product{Title: "T"}).FullTitle() != "T" {
		t.Errorf("full title %q", whale.FullTitle())
	}
}

// message is one of products with a reference, an ISBN and more.
func message(products ...string) string {
	return "<ONIXMessage release='3.0'>\n<Product>" + strings.Join(products, "</Product>\n<Product>") + "</Product>\n</ONIXMessage>"
}

func TestReadDates(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`dateformat="00">20300102`: "2030-01-02", `dateformat="01">203001`: "2030-01", `dateformat="05">2030`: "2030",
		`>20300102`: "2030-01-02", `>2030`: "2030", `dateformat="00">20301399`: "", `dateformat="12">spring`: "", `>`: "",
	} {
		got, err := read(strings.NewReader(message("<PublishingDetail><PublishingDate><PublishingDateRole>01</PublishingDateRole><Date " +
			strings.TrimSpace(in) + "</Date></PublishingDate></PublishingDetail>")))
		if err != nil || len(got) != 1 || got[0].Published != want {
			t.Errorf("%s: %v, %v, want %q", in, got, err, want)
		}
	}
}

// What is not a whole message of ONIX 3 is refused, with the line where that
// shows.
func TestReadRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		message string
		line    int
		err     error
		text    string
	}{
		"nothing":          {"", 0, onix.ErrNotONIX, ""},
		"text":             {"not XML", 0, nil, ""},
		"other XML":        {"<?xml version='1.0'?>\n<html/>", 2, onix.ErrNotONIX, `"html"`},
		"release 2.1":      {"<ONIXMessage\n release='2.1'></ONIXMessage>", 2, onix.ErrRelease, `"2.1"`},
		"ends early":       {"<ONIXMessage release='3.0'>\n<Product>\n<RecordReference>a", 3, nil, ""},
		"mismatched tags":  {"<ONIXMessage release='3.0'>\n<Product>\n\n<a001>x</b></Product></ONIXMessage>", 4, nil, "a001"},
		"own entity":       {"<!DOCTYPE a [<!ENTITY b 'bomb'>]>\n<ONIXMessage release='3.0'><Product>\n<a001>&b;</a001></Product></ONIXMessage>", 3, nil, "entity"},
		"external entity":  {"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>\n<ONIXMessage release='3.0'><Product><a001>&b;</a001></Product></ONIXMessage>", 2, nil, "entity"},
		"unknown encoding": {"<?xml version='1.0' encoding='x-none'?><ONIXMessage release='3.0'/>", 1, nil, "x-none"},
		"deep":             {"<ONIXMessage release='3.0'>\n" + strings.Repeat("<a>", 200), 2, nil, "within one another"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := read(strings.NewReader(tt.message))
			if err == nil || tt.err != nil && !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("Read = %v", err)
			}
			var syntax *onix.SyntaxError
			if errors.As(err, &syntax) && tt.line > 0 && syntax.Line != tt.line || tt.line > 0 && syntax == nil {
				t.Errorf("%v, want line %d", err, tt.line)
			}
		})
	}
}

// endless is a text over and over again.
type endless struct {
	text string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		k := copy(p[n:], e.text[e.at:])
		n, e.at = n+k, (e.at+k)%len(e.text)
	}
	return n, nil
}

// One product cannot take up all memory: its length is bounded, in whatever it is.
func TestReadIsBounded(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"text": "word ", "elements": "<a/>"} {
		start := "<ONIXMessage release='3.0'><Product><a001>"
		_, err := read(io.MultiReader(strings.NewReader(start), &endless{text: text}))
		if err == nil || !strings.Contains(err.Error(), "a product of more than") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A reader of products without an end uses no more memory for it.
func TestReadIsAStream(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	var before, after runtime.MemStats
	in := io.MultiReader(strings.NewReader("<ONIXMessage release='3.0'>"), &endless{text: "<Product><a001>r</a001><x><y>" + strings.Repeat("word ", 100) + "</y></x></Product>\n"})
	count := 0
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, err := range onix.Read(in) {
		if err != nil {
			t.Fatal(err)
		}
		if count++; count == 20_000 {
			break
		}
	}
	runtime.GC()
	if runtime.ReadMemStats(&after); after.HeapAlloc > before.HeapAlloc+4<<20 {
		t.Errorf("%d products took %d bytes more", count, after.HeapAlloc-before.HeapAlloc)
	}
}

func index(t *testing.T, messages ...string) *onix.Index {
	t.Helper()
	x, err := onix.NewIndex()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	for _, m := range messages {
		if err := x.Add(strings.NewReader(m)); err != nil {
			t.Fatal(err)
		}
	}
	x.Done()
	return x
}

func product(reference, isbn, title string) string {
	return "<RecordReference>" + reference + "</RecordReference><ProductIdentifier><ProductIDType>15</ProductIDType><IDValue>" + isbn +
		"</IDValue></ProductIdentifier><DescriptiveDetail><TitleDetail><TitleType>01</TitleType><TitleElement><TitleText>" + title +
		"</TitleText></TitleElement></TitleDetail></DescriptiveDetail>"
}

func TestFind(t *testing.T) {
	t.Parallel()
	x := index(t,
		message(product("com.example.1", "9780000000002", "One"), product("com.example.2", "978-0-00-000001-9", "Two"),
			product("com.example.3", "9780000000033", "Three"), product("com.example.4", "9780000000033", "Four"),
			"<NotificationType>05</NotificationType>"+product("gone", "9780000000095", "Gone"), product("unused", "9780000000088", "Unused")),
		message(product("com.example.1", "9780000000002", "One, corrected")))
	tests := map[string]struct {
		texts []string
		want  string
		err   bool
	}{
		"isbn":                  {[]string{"9780000000002"}, "One, corrected", false},
		"isbn with hyphens":     {[]string{"978-0-00-000000-2"}, "One, corrected", false},
		"isbn in a name":        {[]string{"moby_9780000000019_v2"}, "Two", false},
		"isbn and a number":     {[]string{"9780000000019-2"}, "Two", false},
		"urn":                   {[]string{"urn:isbn:9780000000019"}, "Two", false},
		"reference":             {[]string{"COM.example.2"}, "Two", false},
		"second text":           {[]string{"moby", "9780000000019"}, "Two", false},
		"the same twice":        {[]string{"com.example.2", "9780000000019"}, "Two", false},
		"longer number":         {[]string{"97800000000190"}, "", false},
		"nothing":               {[]string{"", "moby-dick"}, "", false},
		"withdrawn":             {[]string{"9780000000095"}, "", false},
		"two with an isbn":      {[]string{"9780000000033"}, "", true},
		"two isbns in one name": {[]string{"9780000000002 and 9780000000019"}, "", true},
	}
	for name, tt := range tests {
		p, err := x.Find(tt.texts...)
		if got := ""; err == nil && p != nil {
			got = p.Title
			if got != tt.want {
				t.Errorf("%s: %q, want %q", name, got, tt.want)
			}
		} else if tt.want != "" || errors.As(err, new(*onix.AmbiguousError)) != tt.err {
			t.Errorf("%s: %v, %v, want %q", name, p, err, tt.want)
		}
	}
	var unused []string
	for p, err := range x.Unused() {
		if err != nil {
			t.Fatal(err)
		}
		unused = append(unused, p.Reference)
	}
	if diff := cmp.Diff([]string{"com.example.3", "com.example.4", "unused"}, unused); diff != "" {
		t.Errorf("unused (-want +got):\n%s", diff)
	}
}

// Many products take little memory.
func TestIndexIsSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	const count = 20_000
	in, out := io.Pipe()
	go func() {
		fmt.Fprint(out, "<ONIXMessage release='3.0'>")
		for i := range count {
			fmt.Fprintf(out, "<Product>%s</Product>", product("r"+strconv.Itoa(i), strconv.Itoa(9780000000000+i), strings.Repeat("Title ", 50)))
		}
		fmt.Fprint(out, "</ONIXMessage>")
		out.Close()
	}()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	x, err := onix.NewIndex()
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if err := x.Add(in); err != nil {
		t.Fatal(err)
	}
	x.Done()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used/count > 120 {
		t.Errorf("%d bytes for a product", used/count)
	}
	if p, err := x.Find("9780000019999"); err != nil || p == nil || p.Reference != "r19999" {
		t.Errorf("Find = %v, %v", p, err)
	}
}

// Whatever it is given, reading ends, and what it tells of is text within bounds.
func FuzzRead(f *testing.F) {
	f.Add(readFile(f, "reference.xml"))
	f.Add(readFile(f, "short.xml"))
	f.Add([]byte(message(product("r", "9780000000002", "&eacute;"))))
	f.Fuzz(func(t *testing.T, data []byte) {
		products, err := read(bytes.NewReader(data))
		if err != nil && err.Error() == "" {
			t.Error("an error that says nothing")
		}
		for _, p := range products {
			for _, text := range append([]string{p.Reference, p.Title, p.Subtitle, p.Description, p.Published, p.Cover}, p.Authors...) {
				if !utf8.ValidString(text) {
					t.Errorf("%q is not UTF-8", text)
				}
			}
			for _, isbn := range p.ISBNs {
				if len(isbn) != 13 {
					t.Errorf("ISBN %q", isbn)
				}
			}
		}
	})
}
