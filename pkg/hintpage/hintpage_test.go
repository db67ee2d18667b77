package hintpage_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/html"

	"github.com/lcp-tools/lcp/pkg/hintpage"
	"github.com/lcp-tools/lcp/pkg/status"
)

// fetch returns the page as a browser of a language gets it.
func fetch(tb testing.TB, c hintpage.Content, language string) *httptest.ResponseRecorder {
	tb.Helper()
	p, err := hintpage.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "/hint/1", http.NoBody)
	r.Header.Set("Accept-Language", language)
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

var full = hintpage.Content{
	Name:      "Bücher & <More>",
	Languages: []string{"de-CH", "en", "sv", "fr"},
	Advice: hintpage.Advice{
		Text: "Ihre Passphrase steht in Ihrem **Kundenkonto**.\n\n# Sonst\n\n* [Fragen](mailto:a@example.com)\n",
		Link: "https://shop.example.com/account/passphrase?a=1&b=2",
	},
	In: map[string]hintpage.Advice{
		"en": {Text: "It is in your *account*."}, "en-GB": {Text: "It is in your basket."},
		"fr-CA": {Link: "https://shop.example.com/fr"},
	},
	Support: []string{"https://shop.example.com/help/", "mailto:help@shop.example.com?subject=x", "tel:+49-30-1234", "javascript:alert(1)"},
}

// Small, in each language, whole without anything configured, and nothing in it
// runs or loads.
func TestPage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]hintpage.Content{"nothing configured": {}, "all configured": full} {
		for _, l := range status.Languages() {
			w := fetch(t, c, l.String())
			body := w.Body.String()
			want := l.String()
			if len(c.Languages) > 0 && want != "fr" && want != "en" {
				want = "de"
			}
			if got := w.Header().Get("Content-Language"); w.Code != http.StatusOK || got != want {
				t.Errorf("%s: page for %s is %d in %q", name, l, w.Code, got)
			}
			if !strings.Contains(body, `<html lang="`+want+`" dir="ltr">`) {
				t.Errorf("%s: page for %s does not tell its language %s", name, l, want)
			}
			if len(body) > 10<<10 || strings.Contains(body, "ZgotmplZ") || !utf8.ValidString(body) {
				t.Errorf("%s: page in %s, %d bytes:\n%s", name, l, len(body), body)
			}
			if bad := regexp.MustCompile(`(?i)<(script|link|img|iframe|form|input|meta http)|src=|style=|\son\w+=|@import|url\(`).FindString(body); bad != "" {
				t.Errorf("%s: page in %s has %q", name, l, bad)
			}
			if n := strings.Count(body, "<h1>"); n != 1 {
				t.Errorf("%s: page in %s has %d headings of the first level", name, l, n)
			}
		}
	}
}

func TestPageShowsContent(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		language string
		want     []string
		not      string
	}{
		"first language": {"sv", []string{
			"<title>Passphrase finden – Bücher &amp; &lt;More&gt;</title>",
			"<strong>Kundenkonto</strong>", "<h2>Sonst</h2>",
			`<a href="mailto:a@example.com" rel="nofollow noreferrer">Fragen</a>`,
			`href="https://shop.example.com/account/passphrase?a=1&amp;b=2" rel="nofollow noreferrer">Passphrase anfordern</a>`,
			`>shop.example.com/help</a>`, `>help@shop.example.com</a>`, `href="tel:+49-30-1234"`, `>+49-30-1234</a>`,
		}, "alert"},
		"text of its own": {"en", []string{"<div lang=\"en\" dir=\"auto\">\n<p>It is in your <em>account</em>.", "Recover your passphrase"}, "basket"},
		"text in first language": {"fr", []string{
			"<div lang=\"de-CH\" dir=\"auto\">\n<p>Ihre Passphrase", `href="https://shop.example.com/fr" rel="nofollow noreferrer">Récupérer`,
		}, "account</em>"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := strings.ReplaceAll(fetch(t, full, tt.language).Body.String(), "&#43;", "+")
			for _, want := range tt.want {
				if !strings.Contains(body, want) {
					t.Errorf("page does not have %s\n%s", want, body)
				}
			}
			if strings.Contains(body, tt.not) {
				t.Errorf("page has %s", tt.not)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	w := fetch(t, full, "fr")
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Referrer-Policy": "no-referrer", "Vary": "Accept-Language",
		"Cache-Control": "public, max-age=300", "X-Robots-Tag": "noindex", "Set-Cookie": "",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	policy := w.Header().Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy is %q", policy)
	}
	if tag, other := w.Header().Get("ETag"), fetch(t, full, "de").Header().Get("ETag"); tag == "" || tag == other {
		t.Errorf("ETag in French is %q, in German %q", tag, other)
	}
}

// What a provider writes can neither run nor load, and stays in its place.
func TestTextIsMadeSafe(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want, not string }{
		"script":            {"a<script>alert(1)</script>b", "", "script"},
		"script block":      {"<script>\nalert(1)\n</script>\n\nafter", "after", "alert"},
		"handler":           {`<b onclick="x()">bold</b>`, "bold", "onclick"},
		"javascript link":   {"[x](javascript:alert(1))", "x", "javascript"},
		"data link":         {"[x](data:text/html,hi)", "x", "data:"},
		"relative link":     {"[x](/status/1)", "x", "/status/1"},
		"image":             {"![alt](https://tracker.example.com/1.gif)", "", "tracker"},
		"style":             {`<p style="position:fixed">x</p>`, "", "position"},
		"form":              {`<form action="https://evil.example"><input></form>`, "", "evil"},
		"bare address":      {"see https://example.com/a for it", `<a href="https://example.com/a" rel="nofollow noreferrer">`, ""},
		"heading levels":    {"#### deep\n\n###### deeper\n\n# back", "<h2>deep</h2>\n<h3>deeper</h3>\n<h2>back</h2>", "<h4"},
		"closing our page":  {"</main></body></html><h1>Enter your passphrase</h1>", "", "<h1>Enter"},
		"template":          {"{{.Words}}", "{{.Words}}", ""},
		"entities stay so":  {"a &lt;b&gt; c", "a &lt;b&gt; c", ""},
		"ordered from five": {"5. five", `<ol start="5">`, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := fetch(t, hintpage.Content{Advice: hintpage.Advice{Text: tt.text}}, "en").Body.String()
			_, body, _ = strings.Cut(body, "<main>")
			if !strings.Contains(body, tt.want) {
				t.Errorf("page does not have %q:\n%s", tt.want, body)
			}
			if tt.not != "" && strings.Contains(strings.Replace(body, "</main>\n<footer>", "", 1), tt.not) {
				t.Errorf("page has %q:\n%s", tt.not, body)
			}
		})
	}
}

func FuzzText(f *testing.F) {
	f.Add("# a\n\n* [b](https://example.com)\n\n<script>c</script> `d` ![e](f)")
	f.Add("<a href=\"java\nscript:x\">y</a>\n\n<!-- > -->\n\n[a]: javascript:b\n[a]")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<10 {
			t.Skip()
		}
		body := fetch(t, hintpage.Content{Languages: []string{"en"}, Advice: hintpage.Advice{Text: text}}, "en").Body
		z := html.NewTokenizer(body)
		for {
			kind := z.Next()
			if kind == html.ErrorToken {
				return
			}
			if kind == html.StartTagToken || kind == html.SelfClosingTagToken {
				checkTag(t, z.Token())
			}
		}
	})
}

// checkTag looks at a start tag as a browser sees it.
func checkTag(t *testing.T, tag html.Token) {
	t.Helper()
	switch tag.Data {
	case "script", "img", "iframe", "form", "input", "object", "embed", "svg", "math", "link", "base":
		t.Errorf("page has the element %s", tag)
	}
	for _, a := range tag.Attr {
		switch scheme, _, _ := strings.Cut(a.Val, ":"); {
		case a.Key == "href" && !slices.Contains([]string{"http", "https", "mailto", "tel"}, strings.ToLower(scheme)):
			t.Errorf("page has the link %q", a.Val)
		case a.Key == "style", a.Key == "src", strings.HasPrefix(a.Key, "on"):
			t.Errorf("page has the attribute %s", a.Key)
		}
	}
}

// Languages that we have no words for, and texts that nobody knows the language
// of, are no reason for having no page.
func TestOtherLanguages(t *testing.T) {
	t.Parallel()
	swedish := hintpage.Content{Languages: []string{"sv"}, Advice: hintpage.Advice{Text: "Fråga *oss*."}}
	if body := fetch(t, swedish, "sv").Body.String(); !strings.Contains(body, `<html lang="en"`) || !strings.Contains(body, "<div lang=\"sv\" dir=\"auto\">\n<p>Fråga") {
		t.Errorf("Swedish provider has the page\n%s", body)
	}
	swedish.Languages = nil
	if body := fetch(t, swedish, "de").Body.String(); !strings.Contains(body, `<html lang="de"`) || !strings.Contains(body, "<div lang=\"\" dir=\"auto\">\n<p>Fråga") {
		t.Errorf("provider that does not say its language has the page\n%s", body)
	}
}

// What cannot be a link is not shown as one.
func TestLinksThatAreNone(t *testing.T) {
	t.Parallel()
	for _, href := range []string{"javascript:alert(1)", "/recover", "https:///recover", "mailto:a@example.com", "data:text/html,x", "https:x y", "::"} {
		body := fetch(t, hintpage.Content{Advice: hintpage.Advice{Link: href}, Support: []string{"x:" + href}}, "en").Body.String()
		if strings.Contains(body, "<a ") {
			t.Errorf("%q is on the page:\n%s", href, body)
		}
	}
}
