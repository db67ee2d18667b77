package protect

import (
	"os"
	"path/filepath"
	"testing"
)

// Where files cannot be without a name, they have a hidden one until they are
// whole. Which of the two happens, the file system decides, so that this way has
// a test of its own.
func TestNamedTemporaryFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	named := func() *tempFile {
		f, err := os.CreateTemp(dir, tempPattern)
		if err != nil {
			t.Fatal(err)
		}
		return &tempFile{File: f, path: f.Name()}
	}
	if err := named().discard(); err != nil {
		t.Errorf("discard: %v", err)
	}
	kept := filepath.Join(dir, "kept")
	temp := named()
	if _, err := temp.WriteString("data"); err != nil {
		t.Fatal(err)
	}
	if err := temp.publish(kept); err != nil {
		t.Errorf("publish: %v", err)
	}
	if data, err := os.ReadFile(kept); string(data) != "data" || err != nil {
		t.Errorf("the file holds %q, %v", data, err)
	}
	temp = named()
	if err := temp.publish(filepath.Join(dir, "missing", "name")); err == nil {
		t.Error("published into a folder that does not exist")
	}
	if err := temp.discard(); err != nil {
		t.Errorf("discard after publish failed: %v", err)
	}
	if found, err := os.ReadDir(dir); err != nil || len(found) != 1 {
		t.Errorf("%d files are there, want 1: %v", len(found), err)
	}
}
