package blob_test

import (
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/blob"
)

// FuzzName states that a name that is accepted stays in its folder, and that
// its URL leads to that name and no other.
func FuzzName(f *testing.F) {
	for _, s := range []string{"a.epub", "x/y.jpg", "../a", "a/../b", "a b+c%20?#.epub", "é", "\xff", "a//b", ".a", "a\\b", "C:a"} {
		f.Add(s)
	}
	base, err := blob.ParseBase("https://cdn.example.org/books")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if err := blob.CheckName(name); err != nil {
			if !errors.Is(err, blob.ErrName) {
				t.Errorf("CheckName(%q) = %v, want ErrName", name, err)
			}
			return
		}
		if rel, err := filepath.Rel("/dir", filepath.Join("/dir", name)); err != nil || filepath.ToSlash(rel) != name {
			t.Errorf("%q leads to %q", name, rel)
		}
		u, err := url.Parse(blob.URL(base, name))
		if err != nil {
			t.Fatal(err)
		}
		if u.Host != "cdn.example.org" || u.Path != "/books/"+name || u.RawQuery != "" || u.Fragment != "" {
			t.Errorf("URL(%q) = %s", name, u)
		}
		if strings.Contains(u.String(), "+") {
			t.Errorf("URL(%q) = %s, which S3 reads with a space for each plus", name, u)
		}
	})
}

func TestParseBase(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{
		"https://cdn.example.org":         true,
		"https://cdn.example.org/a%20b/":  true,
		"http://127.0.0.1:8080/books":     true,
		"":                                false,
		"cdn.example.org/books":           false,
		"/books":                          false,
		"ftp://cdn.example.org":           false,
		"https://cdn.example.org/?":       false,
		"https://cdn.example.org/?sig=1":  false,
		"https://cdn.example.org/#a":      false,
		"https://cdn.example.org/%zz":     false,
		"https:///books":                  false,
		"mailto:someone@cdn.example.org":  false,
		"https://cdn.example.org/\x00abc": false,
	}
	for base, want := range tests {
		if _, err := blob.ParseBase(base); (err == nil) != want {
			t.Errorf("ParseBase(%q) = %v, want accepted: %t", base, err, want)
		}
	}
}

func TestParseDigest(t *testing.T) {
	t.Parallel()
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // FIPS 180-4 of no bytes
	d, err := blob.ParseDigest(strings.ToUpper(empty))
	if err != nil || d.String() != empty {
		t.Errorf("ParseDigest = %s, %v, want %s", d, err, empty)
	}
	for _, bad := range []string{"", empty[1:], empty + "00", "x" + empty[1:]} {
		if _, err := blob.ParseDigest(bad); err == nil {
			t.Errorf("ParseDigest(%q) was accepted", bad)
		}
	}
}
