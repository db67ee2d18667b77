package browser_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The hint page as readers get it, in three languages, with what a provider says
// and without.
func TestHintPage(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	text := filepath.Join(t.TempDir(), "hint.md")
	for name, markdown := range map[string]string{
		text: "Your passphrase is on the **last page of your receipt**, below the total:\n\n> correct horse battery staple\n\n" +
			"## Members of the reading club\n\nIt is printed on your [club card](https://club.example.com/card).\n",
		strings.TrimSuffix(text, "md") + "fr.md": "Votre phrase secrète est à la **dernière page du reçu**.\n",
	} {
		if err := os.WriteFile(name, []byte(markdown), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		config string
		want   map[string]string // by language
	}{
		"nothing configured": {"", map[string]string{
			"en": "Where to look", "fr": "Où chercher", "ja": "確認するところ",
		}},
		"configured": {
			"hint: {name: 'Northwind Books & Libraries', link: 'https://shop.example.com/account/passphrase', text_file: '" + text + "', languages: [en, fr, ja]}\n" +
				"license: {support_links: ['https://shop.example.com/help', 'mailto:help@shop.example.com', 'tel:+44-20-7946-0000']}\n",
			map[string]string{"en": "last page of your receipt", "fr": "dernière page du reçu", "ja": "last page of your receipt"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			at := l.serve(t, tt.config) + "/hint/5f0cda1e-0000-4000-8000-000000000000"
			n := newNetwork(t)
			sub := *l
			sub.shots = filepath.Join(l.shots, strings.ReplaceAll(name, " ", "-"))
			for _, v := range sub.look(t, n, at, "en", "fr", "ja") {
				if v.Status != http.StatusOK || v.Declared != v.Language || !strings.Contains(v.Text, tt.want[v.Language]) {
					t.Errorf("%s, %s: %d, in %q:\n%s", v.Language, v.View, v.Status, v.Declared, v.Text)
				}
				if faults := v.faults(); faults != "" {
					t.Errorf("%s, %s:\n%s", v.Language, v.View, faults)
				}
			}
			if got := n.requests(); !slices.Equal(got, []string{"GET " + at}) {
				t.Errorf("the browser asked for %q", got)
			}
		})
	}
}

// It is worth something only if it can fail.
func TestFaultsAreSeen(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; img-src *; script-src 'none'; style-src-attr 'unsafe-inline'")
		w.Header().Set("Set-Cookie", "seen=1")
		_, _ = w.Write([]byte(`<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>t</title></head><body><main><h1>Page</h1>
<p style="color: #bbb; background: #fff">Faint</p><p style="width: 1500px">Wide</p><a href="/x" style="outline: none">x</a>
<img alt="" src="http://tracker.example.com/1.gif"><script>1</script></main></body></html>`))
	}))
	t.Cleanup(bad.Close)
	n := newNetwork(t)
	views := l.look(t, n, bad.URL+"/", "en")
	for _, want := range []string{"barrier: color-contrast", "does not fit: P: Wide", "browser complains: ", "Content Security Policy", "1 scripts, 1 cookies", "focus is not to be seen"} {
		if faults := views[0].faults(); !strings.Contains(faults, want) {
			t.Errorf("faults do not say %q:\n%s", want, faults)
		}
	}
	if got := n.requests(); !slices.Contains(got, "GET http://tracker.example.com/1.gif") {
		t.Errorf("the browser asked for %q", got)
	}
}
