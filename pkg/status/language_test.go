package status_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/language"

	"github.com/lcp-tools/lcp/pkg/status"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"":                                    "en",
		"fr":                                  "fr",
		"FR":                                  "fr",
		"fr-CH, fr;q=0.9, en;q=0.8, *;q=0.5":  "fr",
		"en-US,en;q=0.5":                      "en",
		"de-AT;q=0.7, ja;q=0.8":               "ja",
		"it;q=0.5,es;q=0.5":                   "it",
		"sv, nl;q=0.1":                        "nl",
		"zu":                                  "en",
		"pt-BR":                               "pt",
		"de;q=0, fr;q=0.001":                  "fr",
		" es ; q = 0.3 , ja ; q=0.2 ":         "es",
		"zh-Hant-TW, ja-JP-u-ca-japanese":     "ja",
		"*":                                   "en",
		"*;q=0.1, nl;q=0.2":                   "nl",
		"de;q=x, fr;q=0.2":                    "fr",
		"de;q=0.1234, fr;q=0.1":               "fr",
		"de;q=7, fr;q=0.1":                    "fr",
		"de, fr;q=1.5":                        "de",
		"de;level=1, fr;q=0.1":                "fr",
		",,;;=,-,fr-":                         "fr",
		"deutsch":                             "en",
		"fr;q=1.000":                          "fr",
		strings.Repeat("xx,", 10_000) + "nl":  "nl",
		"it;q=0.9\x00, es;q=0.1":              "es",
		"nl-BE,nl;q=0.9,fr;q=0.8,en-GB;q=0.7": "nl",
	}
	for header, want := range tests {
		if got := status.Match(header).String(); got != want {
			t.Errorf("Match(%.40q) = %s, want %s", header, got, want)
		}
	}
}

func TestMatchAmong(t *testing.T) {
	t.Parallel()
	among := []status.Language{status.Dutch, status.French}
	tests := map[string]status.Language{
		"":                              status.Dutch,
		"fr":                            status.French,
		"en, fr;q=0.1":                  status.French,
		"de, ja":                        status.Dutch,
		"*":                             status.Dutch,
		"fr;q=0.1, *;q=0.2":             status.Dutch,
		"en;q=0.9, fr-CA;q=0.5, nl;q=0": status.French,
	}
	for header, want := range tests {
		if got := status.MatchAmong(header, among); got != want {
			t.Errorf("MatchAmong(%q) = %s, want %s", header, got, want)
		}
	}
}

func TestParseLanguage(t *testing.T) {
	t.Parallel()
	for _, l := range status.Languages() {
		for _, tag := range []string{l.String(), strings.ToUpper(l.String()), l.String() + "-XX"} {
			if got, ok := status.ParseLanguage(tag); got != l || !ok {
				t.Errorf("ParseLanguage(%q) = %s, %v", tag, got, ok)
			}
		}
	}
	for _, tag := range []string{"", "*", "sv", "e", "english", "e-"} {
		if got, ok := status.ParseLanguage(tag); ok {
			t.Errorf("ParseLanguage(%q) = %s", tag, got)
		}
	}
}

// What browsers and apps send is understood as the reference implementation of
// BCP 47 matching does.
func TestMatchAsBCP47(t *testing.T) {
	t.Parallel()
	tags := []language.Tag{
		language.English, language.French, language.German, language.Spanish, language.Italian,
		language.Portuguese, language.Dutch, language.Japanese,
	}
	matcher := language.NewMatcher(tags)
	for _, primary := range []string{"en", "fr", "de", "es", "it", "pt", "nl", "ja", "sv"} {
		for _, form := range []string{"%s", "%s-XX, en;q=0.5", "sv, %s;q=0.9, en;q=0.8", "fr;q=0.2, %s;q=0.7", "en;q=0, %s"} {
			header := fmt.Sprintf(form, primary)
			_, i := language.MatchStrings(matcher, header)
			if got, want := status.Match(header).String(), tags[i].String(); got != want {
				t.Errorf("Match(%q) = %s, want %s", header, got, want)
			}
		}
	}
}

// TestTexts walks all that users are told: nothing is missing, nothing is told
// in the words of another language, and nothing runs on.
func TestTexts(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	check := func(what, text string) {
		t.Helper()
		if n := utf8.RuneCountInString(text); n < 10 || n > 160 || strings.TrimSpace(text) != text {
			t.Errorf("%s = %q, of %d characters", what, text, n)
		}
		if !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "。") {
			t.Errorf("%s = %q, not a sentence", what, text)
		}
		if other, ok := seen[text]; ok {
			t.Errorf("%s and %s are both %q", other, what, text)
		}
		seen[text] = what
	}
	var tags []string
	for l := status.English; l <= status.Japanese; l++ {
		tags = append(tags, l.String())
		for _, s := range []status.State{
			status.Ready, status.Active, status.Revoked, status.Returned, status.Cancelled, status.Expired,
		} {
			check(fmt.Sprintf("%s message of %s", l, s), s.Message(l))
		}
		for _, f := range allFailures {
			check(fmt.Sprintf("%s title of %s", l, f), f.Title(l))
			check(fmt.Sprintf("%s detail of %s", l, f), f.Detail(l))
		}
	}
	if got, want := strings.Join(tags, " "), "en fr de es it pt nl ja"; got != want {
		t.Errorf("languages = %s, want %s", got, want)
	}
}

var allFailures = []status.Failure{
	status.FailureRegistration, status.FailureRenew, status.FailureRenewDate, status.FailureReturn,
	status.FailureReturnAlready, status.FailureReturnExpired, status.FailureServer,
}

// There is no ninth language, and asking for it is no disaster.
func TestUnknownLanguage(t *testing.T) {
	t.Parallel()
	l := status.Language(255)
	if got, want := status.Active.Message(l), status.Active.Message(status.English); got != want || l.String() != "en" {
		t.Errorf("message in %s: %q", l, got)
	}
}

// TestFailures has the tables of failure types of LSD §3.3 to §3.5.
func TestFailures(t *testing.T) {
	t.Parallel()
	const base = "http://readium.org/license-status-document/error/"
	tests := map[string]struct {
		err   error
		uri   string
		code  int
		title string
	}{
		"registration": {status.ErrRegistration, base + "registration", 400, "Your device could not be registered properly."},
		"renew":        {status.ErrRenew, base + "renew", 400, "Your publication could not be renewed properly."},
		"renew date":   {status.ErrRenewDate, base + "renew/date", 403, "Incorrect renewal period, your publication could not be renewed."},
		"return":       {status.ErrReturn, base + "return", 400, "Your publication could not be returned properly."},
		"already":      {status.ErrAlreadyReturned, base + "return/already", 403, "Your publication has already been returned before."},
		"expired":      {status.ErrExpired, base + "return/expired", 403, "Your publication has already expired."},
		"server":       {errors.New("disk full"), base + "server", 500, "An unexpected error has occurred."},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := status.FailureOf(fmt.Errorf("update license: %w", fmt.Errorf("%w: reason", tt.err)))
			if string(f) != tt.uri || f.Code() != tt.code || f.Title(status.English) != tt.title {
				t.Errorf("failure %s, code %d, title %q", f, f.Code(), f.Title(status.English))
			}
		})
	}
}

func BenchmarkMatch(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if status.Match("nl-BE,nl;q=0.9,fr;q=0.8,en-GB;q=0.7,en;q=0.6") != status.Dutch {
			b.Fatal("not Dutch")
		}
	}
}
