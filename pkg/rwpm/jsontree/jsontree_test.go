package jsontree_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/rwpm/jsontree"
)

// compact removes the space between tokens and changes nothing else.
func compact(t testing.TB, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		t.Fatalf("not valid JSON: %v\n%s", err, data)
	}
	return b.String()
}

func TestBytesKeepTheDocument(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"order of members":      `{"z":1,"a":2,"m":{"b":1,"a":2}}`,
		"spelling of numbers":   `[1.10,1e3,-0,1E-2,12345678901234567890,0.1000]`,
		"escapes":               `{"\u00C6":"L\u00C6SNING \u003c\/\ud83d\ude00 \ud800"}`,
		"null, true, false":     `[null,true,false,{"language":null}]`,
		"empty ones":            `{"":"","a":[],"o":{},"b":[[],{}]}`,
		"scalar at the top":     `"x"`,
		"separators in strings": `["],}:{[\",","\\"]`,
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := jsontree.Parse([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if got := compact(t, v.Bytes()); got != text {
				t.Errorf("document = %s, want %s", got, text)
			}
		})
	}
}

// members begins an object that has so many, m0, m1 and so on.
func members(n int) string {
	var b strings.Builder
	b.WriteString("{")
	for i := range n {
		fmt.Fprintf(&b, `"m%d":null,`, i)
	}
	return b.String()
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want error
	}{
		"nothing":           {"", jsontree.ErrSyntax},
		"cut short":         {`{"a": "b`, jsontree.ErrSyntax},
		"two values":        {`{} {}`, jsontree.ErrSyntax},
		"not UTF-8":         {"\"\xe9\"", jsontree.ErrSyntax},
		"one name twice":    {`{"a":1,"\u0061":2}`, jsontree.ErrDuplicate},
		"the first of many": {members(40) + `"m0":0}`, jsontree.ErrDuplicate},
		"the last of many":  {members(40) + `"m39":null}`, jsontree.ErrDuplicate},
		"nested too deep":   {strings.Repeat("[", 200) + strings.Repeat("]", 200), jsontree.ErrTooLarge},
		"nested bottomless": {strings.Repeat("[", 1<<20), jsontree.ErrSyntax},
		"too many values":   {"[" + strings.Repeat("0,", 1<<19) + "0]", jsontree.ErrTooLarge},
		"too many bytes":    {strings.Repeat(" ", jsontree.MaxSize) + "0", jsontree.ErrTooLarge},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := jsontree.Parse([]byte(tt.text)); !errors.Is(err, tt.want) {
				t.Errorf("error = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestParseNamesTheLine(t *testing.T) {
	t.Parallel()
	_, err := jsontree.Parse([]byte("{\n\"a\": 1,\n\"b\": x\n}"))
	if err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("error = %v, want one that names line 3", err)
	}
}

func TestByteOrderMarkIsPassedOver(t *testing.T) {
	t.Parallel()
	v, err := jsontree.Parse([]byte("\xef\xbb\xbf{}"))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(v.Bytes()); got != "{}\n" {
		t.Errorf("document = %q, want {}", got)
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	v, err := jsontree.Parse([]byte(`{"a":1,"b":2,"c":3}`))
	if err != nil {
		t.Fatal(err)
	}
	v.Set("b", jsontree.NewString("<é\"\n>"))
	v.Delete("a")
	v.Delete("absent")
	v.Set("d", jsontree.NewArray(jsontree.NewInt(-7), jsontree.NewBool(true), jsontree.NewNumber("1.50")))
	want := `{"b":"<é\"\n>","c":3,"d":[-7,true,1.50]}`
	if got := compact(t, v.Bytes()); got != want {
		t.Errorf("document = %s, want %s", got, want)
	}
}

func TestAbsentValuesAnswer(t *testing.T) {
	t.Parallel()
	var v *jsontree.Value
	if _, ok := v.Get("a").Get("b").Text(); ok || v.IsTrue() || v.All() != nil || v.Members() != nil {
		t.Error("an absent value has content")
	}
}

// What is accepted comes out with the very same tokens, and is what the
// standard library accepts.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1.10,"\u00C6",null],"b":{"c":{}}}`, "\ufeff[true]", `{"a":1,"a":2}`, `[[[[]]]]`, `"\ud800"`, `{"`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := jsontree.Parse(data)
		plain := bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
		if err != nil {
			if errors.Is(err, jsontree.ErrSyntax) && json.Valid(plain) && bytes.Equal(plain, bytes.ToValidUTF8(plain, nil)) {
				t.Fatalf("refuses valid JSON: %v", err)
			}
			return
		}
		if got, want := compact(t, v.Bytes()), compact(t, plain); got != want {
			t.Fatalf("document = %s, want %s", got, want)
		}
	})
}
