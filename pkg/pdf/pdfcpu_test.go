package pdf_test

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/pdfcpu/pdfcpu/pkg/api"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/model"

	"github.com/lcp-tools/lcp/pkg/pdf"
	"github.com/lcp-tools/lcp/pkg/pdf/pdftest"
)

// A reader of PDF that is not ours, pdfcpu, finds the same in sound files.
func TestAgreesWithPDFCPU(t *testing.T) {
	t.Parallel()
	const trailer = "/Root 1 0 R /Info 5 0 R"
	files := map[string][]byte{
		"no title":                pdftest.Document(1, "", nil),
		"title":                   pdftest.Document(12, "Walden (or) Life", nil),
		"title beyond Latin":      pdftest.Document(2, "あいち 😀", nil),
		"with a cover":            pdftest.Document(3, "Cover", picture(t, 60, 80)),
		"cross-reference table":   classic(trailer, twoPages...),
		"cross-reference stream":  packed(trailer, false, twoPages...),
		"stream with a predictor": packed(trailer, true, twoPages...),
		"hybrid":                  hybrid(),
		"updated":                 update(classic(trailer, twoPages...), object{5, "<< /Title (New) >>"}),
	}
	for name, data := range files {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			agree(t, data, true)
		})
	}
}

func TestCorpusAgreesWithPDFCPU(t *testing.T) {
	t.Parallel()
	corpus := os.Getenv("LCP_CORPUS")
	if corpus == "" {
		t.Skip("LCP_CORPUS does not name the folder of the corpus")
	}
	files, err := filepath.Glob(filepath.Join(corpus, "pdf", "*.pdf"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no PDF in %s: %v", corpus, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			agree(t, data, filepath.Base(file) != "no-info.pdf") // its title is in XMP, which pdfcpu does not read
		})
	}
}

// pdfcpuDefaults is its configuration, without the folder of its own that it would
// make in the home folder.
var pdfcpuDefaults = sync.OnceValue(func() model.Configuration {
	api.DisableConfigDir()
	return *model.NewDefaultConfiguration()
})

// agree compares the number of pages that the package and pdfcpu find in a file,
// and the title.
func agree(t *testing.T, data []byte, title bool) {
	t.Helper()
	conf := pdfcpuDefaults() // which it changes
	theirs, err := api.PDFInfo(bytes.NewReader(data), "", nil, false, &conf)
	if err != nil {
		t.Fatalf("pdfcpu: %v", err)
	}
	ours, err := pdf.Open(t.Context(), bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if ours.Pages() != theirs.PageCount || title && ours.Info().Title != theirs.Title {
		t.Errorf("%d pages, title %q; pdfcpu finds %d, %q", ours.Pages(), ours.Info().Title, theirs.PageCount, theirs.Title)
	}
}
