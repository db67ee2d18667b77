package fileblob

import (
	"os"
	"path/filepath"
	"testing"
)

// Where files cannot be without a name, they have a temporary one, which no
// other process takes for a leftover. This is inside the package since the file
// systems that tests run on rarely are of that kind.
func TestNamedTemporaryFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	kept, err := createNamed(dir)
	if err != nil {
		t.Fatal(err)
	}
	dropped, err := createNamed(dir)
	if err != nil {
		t.Fatal(err)
	}
	removeLeftovers(dir)
	if _, err := kept.WriteString("content"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "a.txt")
	if err := kept.publish(path); err != nil {
		t.Fatal(err)
	}
	for _, f := range []*tempFile{kept, dropped} {
		if err := f.discard(); err != nil {
			t.Error(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "content" {
		t.Errorf("file has %q, %v", got, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("folder has %v, %v", entries, err)
	}
}
