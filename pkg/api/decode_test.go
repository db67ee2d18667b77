package api_test

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/license"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	var r api.LicenseRequest
	const text = ` {"user_id":"ū\u0061\ud83d\ude00\\ud800","user_encrypted":["name"],"copy":0,"print":null,
		"start":"2030-01-31T12:00:00+02:00","text_hint":""} `
	if err := api.Decode(strings.NewReader(text), &r); err != nil {
		t.Fatal(err)
	}
	if r.UserID != "ūa😀\\ud800" || len(r.UserEncrypted) != 1 || *r.Copy != 0 || r.Print != nil || r.Start.Hour() != 12 {
		t.Errorf("decoded %+v", r)
	}
	var p api.Publication
	if err := api.Decode(strings.NewReader(`{"ID":1,"CreatedAt":null,"DeletedAt":null,"encryption_key":"AQID"}`), &p); err != nil {
		t.Fatal(err)
	}
	if string(p.EncryptionKey) != "\x01\x02\x03" {
		t.Errorf("key = %v", p.EncryptionKey)
	}
}

func TestDecodeNamesFields(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"colour":1}`:                              "colour",
		`{"User_ID":"a"}`:                           "User_ID",
		`{"user_id":"a","user_id":"a"}`:             "user_id",
		`{"user_id":1}`:                             "user_id",
		`{"user_encrypted":[1]}`:                    "user_encrypted",
		`{"user_encrypted":"a"}`:                    "user_encrypted",
		`{"copy":1.5}`:                              "copy",
		`{"copy":"1"}`:                              "copy",
		`{"copy":99999999999999999999}`:             "copy",
		`{"start":1}`:                               "start",
		`{"start":"2030-01-31"}`:                    "start",
		`{"start":{}}`:                              "start",
		"{\"user_name\":\"a\xff\"}":                 "user_name",
		`{"user_name":"\ud800"}`:                    "user_name",
		`{"user_name":"\ud800\u0041"}`:              "user_name",
		`{"user_name":"\udc00"}`:                    "user_name",
		"{\"\xff\":1}":                              "\ufffd",
		`{"copy":-,"x":1}`:                          "",
		`{"copy":"a","print":"b","user_id":"fine"}`: "copy print",
	} {
		var got []string
		err := api.Decode(strings.NewReader(text), &api.LicenseRequest{})
		for _, e := range unjoined(err) {
			if field, ok := errors.AsType[*license.FieldError](e); ok {
				got = append(got, field.Field)
			}
		}
		if err == nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want it to name %q", text, err, want)
		}
	}
	err := api.Decode(strings.NewReader(`{"encryption_key":"?"}`), &api.Publication{})
	var field *license.FieldError
	if !errors.As(err, &field) || field.Field != "encryption_key" {
		t.Errorf("key that is not base64: %v", err)
	}
}

func unjoined(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "ends too early", "  ": "ends too early", `{"user_id":`: "ends too early", "null": "type null", "[]": "type array",
		`"x"`: "type string", "1": "type number", "{}{}": "line 1", "{}\n\nx": "line 3", "{'a':1}": "line 1",
		"\ufeff{}": "line 1", "{}\x00": "line 1", strings.Repeat("[", 20000): "depth", strings.Repeat(" ", api.MaxBody) + "{}": "more than",
	} {
		err := api.Decode(strings.NewReader(text), &api.LicenseRequest{})
		var field *license.FieldError
		if err == nil || errors.As(err, &field) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", text, err, want)
		}
	}
	if err := api.Decode(iotest.ErrReader(io.ErrClosedPipe), &api.LicenseRequest{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("of a broken reader: %v", err)
	}
}

// Whatever is accepted is text that every database and reader can keep.
func FuzzDecode(f *testing.F) {
	f.Add(`{"user_id":"\ud83d\ude00","user_encrypted":["name"],"copy":0,"start":"2030-01-31T12:00:00+02:00"}`)
	f.Add(`{"user_id":"\\\ud800"}`)
	f.Add(`{"user_id":1,"User_id":2,"user_id":"x"}`)
	f.Fuzz(func(t *testing.T, text string) {
		var r api.LicenseRequest
		if api.Decode(strings.NewReader(text), &r) != nil {
			return
		}
		for _, s := range append([]string{r.UserID, r.UserName, r.TextHint}, r.UserEncrypted...) {
			if !utf8.ValidString(s) {
				t.Errorf("accepted %q", s)
			}
			if strings.ContainsRune(s, utf8.RuneError) && !strings.ContainsRune(text, utf8.RuneError) && !strings.Contains(strings.ToLower(text), `\ufffd`) {
				t.Errorf("%q was made of %q", s, text)
			}
		}
	})
}

// Members are told apart as the standard decoder tells them.
func FuzzDecodeMembers(f *testing.F) {
	for _, text := range []string{
		`{}`, ` { "a" : "x" , "b":[1,{"c":"}]"}] ,"n":-1.5e3} `, `{"a":"\"}","a":1}`, `{"\u0061":null,"t":true}`, `{"a":1}x`, `[1]`, `{"":{}}`,
		"{\"a\\\\\":\"\\\\\"}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var want map[string]json.RawMessage
		wantErr := json.Unmarshal([]byte(text), &want)
		var v struct{}
		err := api.Decode(strings.NewReader(text), &v)
		if wantErr != nil || want == nil {
			if err == nil {
				t.Errorf("Decode(%q) has no error, want %v", text, wantErr)
			}
			return
		}
		if (err == nil) != (len(want) == 0) {
			t.Fatalf("Decode(%q) = %v, want an error for each of %d members", text, err, len(want))
		}
		for name := range want {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("Decode(%q) = %v, want %q in it", text, err, name)
			}
		}
	})
}
