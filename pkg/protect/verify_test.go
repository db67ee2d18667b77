package protect_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/blob/fileblob"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/protect"
	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/testdata"
)

// sampleFile writes a sample publication to a file.
func sampleFile(t *testing.T, name string) string {
	t.Helper()
	data, err := testdata.Samples.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, name, data)
}

func writeFile(t *testing.T, name string, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func open(t *testing.T, file string) *protect.Source {
	t.Helper()
	src, err := protect.Recognition{}.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

func verify(t *testing.T, src *protect.Source, k lcpcrypto.ContentKey, out []byte, result protect.Result) error {
	t.Helper()
	return protect.Verify(t.Context(), src.Plan, k, bytes.NewReader(out), result)
}

// One bit changed anywhere in the output is found, even where somebody put the
// checksum of the whole right again.
func TestVerifyFindsAFlippedBit(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sample.epub", "sample.audiobook", "sample.pdf"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := open(t, sampleFile(t, name))
			out, result := encrypt(t, protect.NewPipeline(1), src.Plan)
			if err := verify(t, src, key, out, result); err != nil {
				t.Fatalf("Verify of what was written = %v", err)
			}
			for i := range 200 {
				at := len(out) * i / 200
				damaged := bytes.Clone(out)
				damaged[at] ^= 1 << (i % 8)
				if err := verify(t, src, key, damaged, result); !errors.Is(err, protect.ErrMismatch) {
					t.Errorf("bit %d of byte %d flipped: Verify = %v, want ErrMismatch", i%8, at, err)
				}
			}
			for _, e := range openZIP(t, out).File {
				at, err := e.DataOffset()
				if err != nil {
					t.Fatal(err)
				}
				if e.CompressedSize64 == 0 {
					continue
				}
				damaged := bytes.Clone(out)
				damaged[at+int64(e.CompressedSize64)/2] ^= 4
				forged := protect.Result{Size: result.Size, SHA256: sha256.Sum256(damaged)}
				if err := verify(t, src, key, damaged, forged); err == nil {
					t.Errorf("entry %q is damaged: Verify = nil", e.Name)
				}
			}
		})
	}
}

func TestVerifyComparesWithThePlan(t *testing.T) {
	t.Parallel()
	chapter := func(s *protect.Source) *publication.Part {
		i := slices.IndexFunc(s.Plan.Parts, func(p publication.Part) bool { return p.Encrypt() })
		return &s.Plan.Parts[i]
	}
	tests := map[string]struct {
		change func(*protect.Source, *lcpcrypto.ContentKey)
		want   error
	}{
		"another key": {func(_ *protect.Source, k *lcpcrypto.ContentKey) { k[0]++ }, nil},
		"a part more": {func(s *protect.Source, _ *lcpcrypto.ContentKey) {
			s.Plan.Parts = append(s.Plan.Parts, *chapter(s))
		}, protect.ErrMismatch},
		"a part that was to be there": {func(s *protect.Source, _ *lcpcrypto.ContentKey) { chapter(s).Name = "gone" }, protect.ErrMismatch},
		"a part that was to be clear": {func(s *protect.Source, _ *lcpcrypto.ContentKey) { chapter(s).Clear = true }, protect.ErrMismatch},
		"other bytes of the same size": {func(s *protect.Source, _ *lcpcrypto.ContentKey) {
			p := chapter(s)
			p.Data, p.Entry = bytes.Repeat([]byte("x"), int(p.Entry.Size)), nil
		}, protect.ErrMismatch},
		"another size": {func(s *protect.Source, _ *lcpcrypto.ContentKey) {
			p := chapter(s)
			p.Data, p.Entry = []byte("x"), nil
		}, protect.ErrMismatch},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := open(t, sampleFile(t, "sample.epub"))
			out, result := encrypt(t, protect.NewPipeline(1), src.Plan)
			k := key
			tt.change(src, &k)
			if err := verify(t, src, k, out, result); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Verify = %v, want %v", err, tt.want)
			}
		})
	}
}

// What is protected and decrypted again is what it was; with another key nothing
// is written.
func TestDecrypt(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sample.epub", "sample.audiobook", "sample.divina", "sample.webpub"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := sampleFile(t, name)
			pkg := protectFile(t, file)
			clear := filepath.Join(t.TempDir(), "clear")
			if err := pkg.Decrypt(t.Context(), key, clear); err != nil {
				t.Fatal(err)
			}
			got, want := entries(t, clear), entries(t, file)
			if len(got) != len(want) {
				t.Errorf("%d entries, want %d", len(got), len(want))
			}
			for entry := range want {
				if got[entry] != want[entry] && entry != "manifest.json" {
					t.Errorf("entry %q is not what it was", entry)
				}
			}
			wantWrongKeysRefused(t, pkg)
		})
	}
}

func TestDecryptPDF(t *testing.T) {
	t.Parallel()
	file := sampleFile(t, "sample.pdf")
	pkg := protectFile(t, file)
	clear := filepath.Join(t.TempDir(), "clear.pdf")
	if err := pkg.DecryptPDF(t.Context(), key, clear); err != nil {
		t.Fatal(err)
	}
	got, want := readFile(t, clear), readFile(t, file)
	if !bytes.Equal(got, want) {
		t.Error("the PDF is not what it was")
	}
}

func TestDecryptRefusesClearPublications(t *testing.T) {
	t.Parallel()
	pkg, err := protect.OpenPackage(sampleFile(t, "sample.epub"))
	if err != nil {
		t.Fatal(err)
	}
	defer pkg.Close()
	out := filepath.Join(t.TempDir(), "out")
	if err := pkg.Decrypt(t.Context(), key, out); !errors.Is(err, protect.ErrNotProtected) {
		t.Errorf("Decrypt = %v, want ErrNotProtected", err)
	}
	if err := pkg.Embed(t.Context(), []byte("{}"), out); !errors.Is(err, protect.ErrNotProtected) {
		t.Errorf("Embed = %v, want ErrNotProtected", err)
	}
	wantEmpty(t, filepath.Dir(out))
}

func TestEmbed(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"sample.epub": "META-INF/license.lcpl", "sample.pdf": "license.lcpl"} {
		pkg := protectFile(t, sampleFile(t, name))
		first, second := filepath.Join(t.TempDir(), "first"), filepath.Join(t.TempDir(), "second")
		if err := pkg.Embed(t.Context(), []byte("one"), first); err != nil {
			t.Fatal(err)
		}
		again, err := protect.OpenPackage(first)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if data, err := again.LicenseDocument(); string(data) != "one" || err != nil {
			t.Errorf("LicenseDocument = %q, %v", data, err)
		}
		if err := again.Embed(t.Context(), []byte("two"), second); err != nil {
			t.Fatal(err)
		}
		if got := entries(t, second); got[path] != "two" || len(got) != len(pkg.Archive.Entries)+1 {
			t.Errorf("%s: the license is %q among %d entries", name, got[path], len(got))
		}
	}
}

// wantWrongKeysRefused tries keys that are not the package's. What one decrypts a
// single uncompressed resource to ends in the right padding once in 256 times, and
// nothing tells then; of four keys, three may be so lucky.
func wantWrongKeysRefused(t *testing.T, pkg *protect.Package) {
	t.Helper()
	refused := 0
	for range 4 {
		wrong := filepath.Join(t.TempDir(), "wrong")
		err := pkg.Decrypt(t.Context(), lcpcrypto.NewContentKey(), wrong)
		if err == nil {
			continue
		}
		refused++
		if !strings.Contains(err.Error(), "key") {
			t.Errorf("Decrypt with another key = %v, which does not say so", err)
		}
		wantEmpty(t, filepath.Dir(wrong))
	}
	if refused == 0 {
		t.Error("four keys that are not the right one decrypt the publication")
	}
}

// protectFile encrypts a publication and opens the outcome.
func protectFile(t *testing.T, file string) *protect.Package {
	t.Helper()
	out := filepath.Join(t.TempDir(), "protected")
	src := open(t, file)
	err := fileblob.WriteFile(out, func(f *os.File) error {
		result, err := protect.NewPipeline(1).Encrypt(t.Context(), src.Plan, key, f, nil)
		if err != nil {
			return err
		}
		return protect.Verify(t.Context(), src.Plan, key, f, result)
	})
	if err != nil {
		t.Fatal(err)
	}
	pkg, err := protect.OpenPackage(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pkg.Close() })
	return pkg
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// entries reads an archive with the standard library.
func entries(t *testing.T, file string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, f := range openZIP(t, readFile(t, file)).File {
		data, _ := read(t, f)
		found[f.Name] = string(data)
	}
	return found
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil || len(found) > 0 {
		t.Errorf("%d files were left, %v: %v", len(found), err, found)
	}
}

// What a file is, its content tells.
func TestRecognition(t *testing.T) {
	t.Parallel()
	for sample, want := range map[string]string{
		"sample.epub": "epub", "sample.pdf": "lcpdf", "sample.audiobook": "lcpa", "sample.divina": "lcpdi",
		"sample.cbz": "lcpdi", "sample.webpub": "webpub", "sample.lpf": "lcpa",
	} {
		data, err := testdata.Samples.ReadFile(sample)
		if err != nil {
			t.Fatal(err)
		}
		for name, warned := range map[string]bool{
			sample: false, "no extension": false, "book.epub": sample != "sample.epub", "book.pdf": sample != "sample.pdf",
		} {
			src := open(t, writeFile(t, name, data))
			if src.Plan.Format.Name != want {
				t.Errorf("%s as %q is recognized as %s, want %s", sample, name, src.Plan.Format.Name, want)
			}
			if got := strings.Contains(strings.Join(src.Plan.Warnings, "\n"), "but its content is"); got != warned {
				t.Errorf("%s as %q: warned of its name is %t: %q", sample, name, got, src.Plan.Warnings)
			}
			if src.Plan.Metadata.Title == "" || src.Size() != int64(len(data)) {
				t.Errorf("%s: title %q, size %d", sample, src.Plan.Metadata.Title, src.Size())
			}
		}
	}
	if _, err := (protect.Recognition{}).Open(t.Context(), writeFile(t, "empty.epub", nil)); !errors.Is(err, archive.ErrEmpty) {
		t.Errorf("an empty file: %v, want ErrEmpty", err)
	}
	if _, err := (protect.Recognition{}).Open(t.Context(), t.TempDir()); err == nil {
		t.Error("a folder was opened")
	}
}
