package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"path"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/testdata"
)

// The committed samples hold what the generator makes. Archives are compared by
// their entries, for compressors may change from one Go release to the next.
func TestSamplesAreCommitted(t *testing.T) {
	t.Parallel()
	for _, s := range samples {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			data, err := s.build()
			if err != nil {
				t.Fatal(err)
			}
			committed, err := testdata.Samples.ReadFile(s.name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(contents(t, committed), contents(t, data)); diff != "" {
				t.Errorf("testdata/%s is not what scripts/samples makes; run go run ./scripts/samples (-committed +made):\n%s", s.name, diff)
			}
		})
	}
}

func TestSamplesAreSmall(t *testing.T) {
	t.Parallel()
	const limit = 100_000 // bytes; all of them go into the binary
	for _, s := range samples {
		data, err := testdata.Samples.ReadFile(s.name)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) >= limit {
			t.Errorf("%s has %d bytes, want less than %d", s.name, len(data), limit)
		}
	}
}

// contents returns the digests of a package's entries by place and name, or
// that of the whole file where it is not a package. PNG images, which are
// compressed too, only have to be there.
func contents(t *testing.T, data []byte) map[string]string {
	t.Helper()
	if !bytes.HasPrefix(data, []byte("PK")) {
		return map[string]string{"": digest(bytes.NewReader(data))}
	}
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for i, f := range r.File {
		e, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprintf("%02d %s", i, f.Name)
		if found[key] = digest(e); path.Ext(f.Name) == ".png" {
			found[key] = "an image"
		}
	}
	return found
}

func digest(r io.Reader) string {
	h := sha256.New()
	_, err := io.Copy(h, r)
	return fmt.Sprintf("%x %v", h.Sum(nil), err)
}
