package pdf_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/pdf"
)

// The expectations were taken with pdfinfo of poppler 22.12 and from the index
// of the corpus.
func TestCorpus(t *testing.T) {
	t.Parallel()
	corpus := os.Getenv("LCP_CORPUS")
	if corpus == "" {
		t.Skip("LCP_CORPUS does not name the folder of the corpus")
	}
	tests := map[string]struct {
		pages  int
		title  string
		author string
		err    error
		reason string
	}{
		"pdf/WaldenFull.pdf":        {pages: 249, title: "Walden", author: "Henry David Thoreau"},
		"pdf/freeculture.pdf":       {pages: 352, title: "Free Culture", author: "Lawrence Lessig"},
		"pdf/japanese-title.pdf":    {pages: 1, title: "あいち電子調達共同システム", author: "nakafuru"},
		"pdf/large-merged.pdf":      {pages: 178},
		"pdf/minimal-document.pdf":  {pages: 1},
		"pdf/no-info.pdf":           {pages: 1, title: "Exporters Export Their Export Goods (Including Titles)", author: "X. Port"},
		"broken/truncated.pdf":      {err: pdf.ErrDamaged, reason: "cut short"},
		"broken/fuzzed.pdf":         {err: pdf.ErrDamaged, reason: "page tree is missing"},
		"broken/epub-named.pdf":     {err: pdf.ErrNotPDF},
		"broken/user-password.pdf":  {err: pdf.ErrEncrypted, reason: "does not open without its password"},
		"broken/owner-password.pdf": {err: pdf.ErrEncrypted, reason: "opens without a password"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := os.Open(filepath.Join(corpus, filepath.FromSlash(name)))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			stat, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			d, err := pdf.Open(t.Context(), f, stat.Size())
			if tt.err != nil {
				if !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.reason) {
					t.Errorf("error = %v, want %v because %q", err, tt.err, tt.reason)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d.Pages() != tt.pages || d.Info().Title != tt.title || strings.Join(d.Info().Authors, ";") != tt.author {
				t.Errorf("%d pages, %q by %q; want %d, %q by %q", d.Pages(), d.Info().Title, d.Info().Authors, tt.pages, tt.title, tt.author)
			}
			if w := d.Warnings(); len(w) > 0 {
				t.Errorf("warnings = %q", w)
			}
		})
	}
}
