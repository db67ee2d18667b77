package signature_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/signature"
)

func TestCanonical(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ in, want string }{
		"no space":                       {" { \"a\" : [ 1 ,\t2 ] ,\r\n \"b\" : { } , \"c\":[ ] } ", `{"a":[1,2],"b":{},"c":[]}`},
		"space in strings stays":         {`{"a":"  b  "}`, `{"a":"  b  "}`},
		"members sorted at every level":  {`{"b":{"z":1,"y":[{"d":1,"c":2}]},"a":0}`, `{"a":0,"b":{"y":[{"c":2,"d":1}],"z":1}}`},
		"elements stay in order":         {`[3,1,2]`, `[3,1,2]`},
		"a prefix comes first":           {`{"ab":1,"a!":2,"a":3}`, `{"a":3,"a!":2,"ab":1}`},
		"capitals before small letters":  {`{"a":1,"B":2,"_":3}`, `{"B":2,"_":3,"a":1}`},
		"U+FF5E before U+1F600":          {`{"😀":1,"～":2}`, `{"～":2,"😀":1}`},
		"names sorted unescaped":         {`{"\\":1,"\"":2,"\n":3,"A":4,"\u001F":5}`, `{"\n":3,"\u001F":5,"\"":2,"A":4,"\\":1}`},
		"escapes that are not needed":    {`"\u0041\/\u00e9\u2028\u2029\u003c\u003e\u0026\u007f"`, "\"A/é\u2028\u2029<>&\u007f\""},
		"control characters":             {`"\u0000\u0008\u0009\u000a\u000b\u000c\u000d\u001f"`, `"\u0000\b\t\n\u000B\f\r\u001F"`},
		"quotation mark and backslash":   {`"\u0022\u005c"`, `"\"\\"`},
		"surrogate pair":                 {`"\ud83d\ude00"`, `"😀"`},
		"replacement character":          {`"\ufffd�"`, `"��"`},
		"combining characters unchanged": {`"e\u0301"`, "\"e\u0301\""},
		"literals":                       {`[true,false,null]`, `[true,false,null]`},
		"scalar document":                {` "a" `, `"a"`},
		"zero":                           {`[0,-0,0.0,-0.00,0e5,0E-999999999999]`, `[0,0,0,0,0,0]`},
		"integers":                       {`[1e3,10.0,-120e-1,1.5E1,100,123456789012345678901234567890]`, `[1000,10,-12,15,100,123456789012345678901234567890]`},
		"fractions":                      {`[1.10,0.5,-12.34,1e-3,0.00120,100.5]`, `[1.1E0,5.0E-1,-1.234E1,1.0E-3,1.2E-3,1.005E2]`},
		"signature is a member":          {`{"signature":1}`, `{"signature":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := signature.Canonical([]byte(tt.in))
			if err != nil || string(got) != tt.want {
				t.Errorf("Canonical(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
			}
		})
	}
}

func TestCanonicalRefuses(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"nothing":                      "",
		"space only":                   " \n",
		"byte order mark":              "\ufeff{}",
		"trailing data":                `{} {}`,
		"trailing comma in an object":  `{"a":1,}`,
		"trailing comma in an array":   `[1,]`,
		"missing colon":                `{"a" 1}`,
		"missing value":                `{"a":}`,
		"missing comma":                `[1 2]`,
		"unclosed object":              `{"a":1`,
		"unclosed array":               `[1`,
		"unclosed string":              `"a`,
		"name that is not a string":    `{a:1}`,
		"repeated member":              `{"a":1,"b":2,"a":1}`,
		"repeated member, escaped":     `{"a":1,"\u0061":2}`,
		"repeated member, deep":        `{"a":[{"x":1,"x":2}]}`,
		"invalid UTF-8":                "\"\xff\"",
		"overlong UTF-8":               "\"\xc0\xaf\"",
		"surrogate in UTF-8":           "\"\xed\xa0\x80\"",
		"invalid UTF-8 in a name":      "{\"\xff\":1}",
		"high surrogate alone":         `"\ud83d"`,
		"low surrogate alone":          `"\ude00"`,
		"high surrogate, then no low":  `"\ud83d\u0041"`,
		"control character":            "\"\n\"",
		"unknown escape":               `"\x41"`,
		"escape cut short":             `"\u00`,
		"escape that is not hex":       `"\u00g0"`,
		"escape at the end":            `"\`,
		"leading zero":                 `01`,
		"plus sign":                    `+1`,
		"minus sign alone":             `-`,
		"point without digits":         `1.`,
		"exponent without digits":      `1e`,
		"not a number":                 `NaN`,
		"number too large":             `1e309`,
		"number too small":             `1e-325`,
		"integer too large":            "1" + strings.Repeat("0", 309),
		"exponent that would fill RAM": `1e999999999999999999999`,
		"unknown literal":              `nul`,
		"too deep":                     strings.Repeat("[", 65) + strings.Repeat("]", 65),
		"very deep":                    strings.Repeat(`{"a":`, 1_000_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := signature.Canonical([]byte(in))
			if _, ok := errors.AsType[*signature.SyntaxError](err); !ok {
				t.Errorf("Canonical(%.40q) = %q, %v, want a SyntaxError", in, got, err)
			}
		})
	}
}

func TestSigned(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ in, want string }{
		"first":               {`{"signature":{"b":1},"z":1,"a":2}`, `{"a":2,"z":1}`},
		"in the middle":       {`{"a":2,"signature":null,"z":1}`, `{"a":2,"z":1}`},
		"last":                {`{"a":2,"z":1,"signature":"x"}`, `{"a":2,"z":1}`},
		"alone":               {` {"signature":"x"}`, `{}`},
		"escaped":             {`{"a":1,"\u0073ignature":2}`, `{"a":1}`},
		"none":                {`{"b":1,"a":2}`, `{"a":2,"b":1}`},
		"deeper ones stay":    {`{"a":{"signature":1}}`, `{"a":{"signature":1}}`},
		"in an array it stay": {`{"a":[{"signature":1}],"signature":2}`, `{"a":[{"signature":1}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := signature.Signed([]byte(tt.in))
			if err != nil || string(got) != tt.want {
				t.Errorf("Signed(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
			}
		})
	}
	for name, in := range map[string]string{
		"two signatures": `{"signature":1,"a":2,"signature":3}`,
		"array":          `[{"signature":1}]`,
		"scalar":         `1`,
		"nothing":        ``,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := signature.Signed([]byte(in)); err == nil {
				t.Errorf("Signed(%q) = %q, want an error", in, got)
			}
		})
	}
}

// specification is the example of LCP §5.3.1.
const specification = `{
  "id": "ef15e740-697f-11e3-949a-0800200c9a66",
  "issued": "2013-11-04T01:08:15+01:00",
  "updated": "2014-02-21T09:44:17+01:00",
  "provider": "https://www.imaginaryebookretailer.com",
  "encryption": {
    "profile": "http://readium.org/lcp/basic-profile",
    "content_key": {
      "encrypted_value": "/k8RpXqf4E2WEunCp76E8PjhS051NXwAXeTD1ioazYxCRGvHLAck/KQ3cCh5JxDmCK0nRLyAxs1X0aA3z55boQ==",
      "algorithm": "http://www.w3.org/2001/04/xmlenc#aes256-cbc"
    },
    "user_key": {
      "text_hint": "Enter your email address",
        "algorithm": "http://www.w3.org/2001/04/xmlenc#sha256",
        "key_check": "jJEjUDipHK3OjGt6kFq7dcOLZuicQFUYwQ+TYkAIWKm6Xv6kpHFhF7LOkUK/Owww"
    }
  },
  "links": [
    { "rel": "hint", "href": "https://www.imaginaryebookretailer.com/lcp/hint", "type": "text/html"}
  ],
  "user": { "id": "d9f298a7-7f34-49e7-8aae-4378ecb1d597"}
}`

// The hash in LCP §5.4.1 is that of the text printed there, in which the members
// of the link are not sorted, against §5.3 rule 2. Put in that order, our bytes
// have that hash; sorted as the rule says, they have another. The signature shown
// there is no vector at all: it is one over a SHA-1 hash.
func TestCanonicalOfTheSpecification(t *testing.T) {
	t.Parallel()
	got, err := signature.Canonical([]byte(specification))
	if err != nil {
		t.Fatal(err)
	}
	const sorted = `{"href":"https://www.imaginaryebookretailer.com/lcp/hint","rel":"hint","type":"text/html"}`
	const printed = `{"rel":"hint","href":"https://www.imaginaryebookretailer.com/lcp/hint","type":"text/html"}`
	asPrinted := bytes.Replace(got, []byte(sorted), []byte(printed), 1)
	const want = "23c68442c7214ba294ddd1a2902756e9fe575116a88f36e55baf94590a90c2ad"
	if sum := sha256.Sum256(asPrinted); hex.EncodeToString(sum[:]) != want {
		t.Errorf("hash of %s = %x, want %s", asPrinted, sum, want)
	}
	if bytes.Equal(got, asPrinted) {
		t.Errorf("the members of the link are not sorted: %s", got)
	}
}

func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{
		specification, `{"b":[1e3,1.10,-0],"a":{"😀":"\ud83d\ude00","～":"\u2028\u001f"}}`, `{"a":1,"\u0061":2}`,
		`[[[]]]`, "\"\xff\"", `{"signature":{},"a":"\/"}`, `1e-400`, `[1.0e308,12345678901234567890.5]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		canonical, err := signature.Canonical(text)
		if err != nil {
			return
		}
		if !json.Valid(text) || !json.Valid(canonical) {
			t.Fatalf("accepted %q as %q, which is not JSON", text, canonical)
		}
		again, err := signature.Canonical(canonical)
		if err != nil || !bytes.Equal(again, canonical) {
			t.Fatalf("canonical form of %q = %q, %v", canonical, again, err)
		}
		if got, want := decode(t, canonical), decode(t, text); !same(got, want) {
			t.Fatalf("canonical form of %q has the value %v, want %v", text, got, want)
		}
		signed, err := signature.Signed(text)
		if object, ok := decode(t, text).(map[string]any); ok {
			delete(object, "signature")
			if err != nil || !same(decode(t, signed), object) {
				t.Fatalf("Signed(%q) = %q, %v", text, signed, err)
			}
		}
	})
}

func decode(t *testing.T, text []byte) (v any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("decode %q: %v", text, err)
	}
	return v
}

// same compares values of JSON, numbers by what they stand for.
func same(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		x, okX := number(a)
		y, okY := number(b)
		return ok && okX && okY && x.Cmp(y) == 0
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !same(a[i], b[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			if w, ok := b[k]; !ok || !same(v, w) {
				return false
			}
		}
		return true
	}
	return a == b
}

// number returns the exact value of n. A zero with a great exponent is more than
// math/big will read.
func number(n json.Number) (*big.Rat, bool) {
	mantissa, _, _ := strings.Cut(strings.ToLower(n.String()), "e")
	if strings.Trim(mantissa, "-0.") == "" {
		return new(big.Rat), true
	}
	return new(big.Rat).SetString(n.String())
}

func BenchmarkCanonical(b *testing.B) {
	b.SetBytes(int64(len(specification)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := signature.Canonical([]byte(specification)); err != nil {
			b.Fatal(err)
		}
	}
}
