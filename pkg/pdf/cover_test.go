package pdf_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/pdf"
	"github.com/lcp-tools/lcp/pkg/pdf/pdftest"
)

// picture returns a JPEG of the given size.
func picture(t testing.TB, width, height int) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for x := range width {
		for y := range height {
			img.Set(x, y, color.RGBA{uint8(x), uint8(y), 90, 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCover(t *testing.T) {
	t.Parallel()
	img := picture(t, 200, 300)
	const plain = "/Type /XObject /Subtype /Image /Width 200 /Height 300 /BitsPerComponent 8 /Filter /DCTDecode /ColorSpace /DeviceRGB"
	type page struct {
		attributes string // of the page, whose box is 400 × 600 unless said
		content    string
		image      string // entries of its dictionary, plain unless said
		data       []byte
		form       string // content of the form /Fm, drawn with its own /Im
	}
	tests := map[string]struct {
		page
		found bool
	}{
		"fills the page":             {page{content: "q 400 0 0 600 0 0 cm /Im Do Q"}, true},
		"nested transforms":          {page{content: "q .5 0 0 .5 0 0 cm q 800 0 0 1200 0 0 cm /Im Do Q Q"}, true},
		"restored transform":         {page{content: "q 9 0 0 9 0 0 cm Q 400 0 0 600 0 0 cm /Im Do"}, true},
		"with hidden text":           {page{content: "q 400 0 0 600 0 0 cm /Im Do Q BT 3 Tr (scan) Tj ET"}, true},
		"small margin":               {page{content: "390 0 0 590 5 5 cm /Im Do"}, true},
		"bleed beyond the crop box":  {page{attributes: "/CropBox [20 20 380 580]", content: "400 0 0 600 0 0 cm /Im Do"}, true},
		"in a form":                  {page{content: "/Fm Do", form: "400 0 0 600 0 0 cm /Im Do"}, true},
		"calibrated colors":          {page{content: "400 0 0 600 0 0 cm /Im Do", image: strings.Replace(plain, "/DeviceRGB", "[/ICCBased 8 0 R]", 1)}, true},
		"behind another filter":      {page{content: "400 0 0 600 0 0 cm /Im Do", image: strings.Replace(plain, "/DCTDecode", "[/FlateDecode /DCTDecode]", 1), data: deflate(img)}, true},
		"after an inline image":      {page{content: "BI /W 1 /H 1 /BPC 8 /CS /G ID \x80)( EI 400 0 0 600 0 0 cm /Im Do"}, true},
		"page without content":       {page{content: ""}, false},
		"text only":                  {page{content: "BT (hello) Tj ET"}, false},
		"half of the page":           {page{content: "200 0 0 300 0 0 cm /Im Do"}, false},
		"beside the page":            {page{content: "400 0 0 600 900 0 cm /Im Do"}, false},
		"upside down":                {page{content: "400 0 0 -600 0 600 cm /Im Do"}, false},
		"on its side":                {page{content: "0 400 -600 0 600 0 cm /Im Do"}, false},
		"rotated page":               {page{attributes: "/Rotate 90", content: "400 0 0 600 0 0 cm /Im Do"}, false},
		"stretched":                  {page{attributes: "/MediaBox [0 0 600 400]", content: "600 0 0 400 0 0 cm /Im Do"}, false},
		"a part of a larger picture": {page{content: "800 0 0 1200 -10 -10 cm /Im Do"}, false},
		"two layers":                 {page{content: "400 0 0 600 0 0 cm /Im Do /Im Do"}, false},
		"masked":                     {page{content: "400 0 0 600 0 0 cm /Im Do", image: plain + " /SMask 8 0 R"}, false},
		"inverted":                   {page{content: "400 0 0 600 0 0 cm /Im Do", image: plain + " /Decode [1 0 1 0 1 0]"}, false},
		"CMYK":                       {page{content: "400 0 0 600 0 0 cm /Im Do", image: strings.Replace(plain, "RGB", "CMYK", 1)}, false},
		"not a JPEG":                 {page{content: "400 0 0 600 0 0 cm /Im Do", data: []byte("nonsense")}, false},
		"a few pixels":               {page{content: "400 0 0 600 0 0 cm /Im Do", data: picture(t, 20, 30)}, false},
		"form that draws itself":     {page{content: "/Fm Do", form: "/Fm Do /Fm Do"}, false},
		"broken content":             {page{content: "400 0 0 600 0 0 cm >> /Im Do"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.image == "" {
				tt.image = plain
			}
			if tt.data == nil {
				tt.data = img
			}
			const resources = "/XObject << /Im 5 0 R /Fm 6 0 R >>"
			var f pdftest.File
			f.Object(1, "<< /Type /Catalog /Pages 2 0 R >>")
			f.Object(2, "<< /Type /Pages /Count 1 /Kids [3 0 R] /MediaBox [0 0 400 600] /Resources << "+resources+" >> >>")
			f.Object(3, "<< /Type /Page /Parent 2 0 R /Contents [4 0 R] "+tt.attributes+" >>")
			f.Stream(4, "", []byte(tt.content))
			f.Stream(5, tt.image, tt.data)
			f.Stream(6, "/Type /XObject /Subtype /Form /BBox [0 0 400 600] /Matrix [1 0 0 1 0 0] /Resources << "+resources+" >>", []byte(tt.form))
			f.Stream(8, "/N 3", nil)
			got, mediaType, err := mustOpen(t, f.Finish("/Root 1 0 R")).Cover(t.Context())
			if !tt.found {
				if !errors.Is(err, pdf.ErrNoCover) {
					t.Errorf("%d bytes, error = %v, want ErrNoCover", len(got), err)
				}
				return
			}
			if err != nil || mediaType != "image/jpeg" || !bytes.Equal(got, img) {
				t.Errorf("%d bytes of %q, error = %v; want the image", len(got), mediaType, err)
			}
		})
	}
}

func TestRenderCover(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the programs of this test are shell scripts")
	}
	tests := map[string]struct {
		script string
		want   string // of the error, or nothing
	}{
		"gives a JPEG":           {script: `printf '\377\330\377data'`},
		"gets no environment":    {script: `test -z "$HOME" && printf '\377\330\377'`},
		"gets an absolute path":  {script: `for last; do :; done; case $last in /*) printf '\377\330\377';; esac`},
		"fails":                  {script: "echo 'Syntax Error: no pages' >&2; exit 3", want: "Syntax Error: no pages"},
		"gives something else":   {script: "echo hello", want: "gives no JPEG"},
		"gives too much":         {script: "head -c 20000000 /dev/zero", want: "more than"},
		"is stopped at the time": {script: "exec tail -f /dev/null", want: "took too long"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limit := time.Minute
			if strings.HasPrefix(tt.want, "took") {
				limit = 50 * time.Millisecond
			}
			ctx, cancel := context.WithTimeoutCause(t.Context(), limit, errors.New("took too long"))
			defer cancel()
			program := filepath.Join(t.TempDir(), "pdftoppm")
			writeScript(t, program, "#!/bin/sh\n"+tt.script+"\n")
			data, err := pdf.RenderCover(ctx, program, "-x.pdf")
			if tt.want == "" {
				if err != nil || !bytes.HasPrefix(data, []byte("\xFF\xD8\xFF")) {
					t.Errorf("data = %q, error = %v", data, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q in it", err, tt.want)
			}
		})
	}
}

// writeScript writes an executable. A process started meanwhile by another test
// may hold the file open for writing, and then the kernel refuses to run it, so
// it is written by a process of its own.
func writeScript(t *testing.T, path, script string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `cat > "$1" && chmod 700 "$1"`, "sh", path)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestRenderCoverWithPoppler(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("pdftoppm")
	if err != nil {
		t.Skip("pdftoppm is not installed")
	}
	path := filepath.Join(t.TempDir(), "book.pdf")
	if err := os.WriteFile(path, pdftest.Document(2, "Title", picture(t, 200, 300)), 0o600); err != nil {
		t.Fatal(err)
	}
	data, err := pdf.RenderCover(t.Context(), program, path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := jpeg.DecodeConfig(bytes.NewReader(data))
	if err != nil || max(c.Width, c.Height) != 1600 {
		t.Errorf("%d × %d, error = %v; want 1600 pixels high", c.Width, c.Height, err)
	}
}

func ExampleOpen() {
	data := pdftest.Document(3, "Walden", nil)
	d, err := pdf.Open(context.Background(), bytes.NewReader(data), int64(len(data)))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s, %d pages\n", d.Info().Title, d.Pages())
	// Output: Walden, 3 pages
}
