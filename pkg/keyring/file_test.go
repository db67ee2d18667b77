package keyring_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/lcp-tools/lcp/pkg/keyring"
)

func write(t *testing.T, text string, mode fs.FileMode) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "master.key")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return path
}

// alone fails the test if there is anything beside path in its folder.
func alone(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("folder holds %v, %v, want %s alone", entries, err, path)
	}
}

func TestLoadOrCreate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "master.key")
	if _, err := keyring.Load(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load = %v, want ErrNotExist", err)
	}
	first, created, err := keyring.LoadOrCreate(path)
	if err != nil || !created {
		t.Fatalf("LoadOrCreate = %v, %v, want a new file", created, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	second, created, err := keyring.LoadOrCreate(path)
	if err != nil || created {
		t.Fatalf("LoadOrCreate = %v, %v, want the same file", created, err)
	}
	if got, err := second.Open(first.Seal([]byte("secret"), nil), nil); err != nil || string(got) != "secret" {
		t.Errorf("Open = %q, %v", got, err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("file was rewritten (%v)", err)
	}
	alone(t, path)
}

func TestLoadOrCreateNoFolder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "missing", "master.key")
	if _, _, err := keyring.LoadOrCreate(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "missing") {
		t.Errorf("LoadOrCreate = %v, want ErrNotExist that names the folder", err)
	}
}

// Starters that race make one key and all use it.
func TestLoadOrCreateAtOnce(t *testing.T) {
	t.Parallel()
	for range 20 {
		path := filepath.Join(t.TempDir(), "master.key")
		var mu sync.Mutex
		var wg sync.WaitGroup
		makers, keys := 0, make(map[keyring.KeyID]bool)
		for range 16 {
			wg.Go(func() {
				k, created, err := keyring.LoadOrCreate(path)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				keys[k.Keys()[0]] = true
				if created {
					makers++
				}
			})
		}
		wg.Wait()
		if makers != 1 || len(keys) != 1 {
			t.Errorf("%d made the file, with %d keys in use, want 1 and 1", makers, len(keys))
		}
		alone(t, path)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	good := testKey('k').Base64()
	for name, tt := range map[string]struct {
		text string
		mode fs.FileMode
		want error
	}{
		"readable by group":  {good, 0o640, keyring.ErrPermissions},
		"readable by others": {good, 0o604, keyring.ErrPermissions},
		"writable by others": {good, 0o602, keyring.ErrPermissions},
		"empty":              {"", 0o600, keyring.ErrKey},
		"comments only":      {"# nothing\n\n", 0o600, keyring.ErrKey},
		"short key":          {good[:20], 0o600, keyring.ErrKey},
		"second key bad":     {good + "\nx\n", 0o600, keyring.ErrKey},
		"two on a line":      {good + "," + good, 0o600, keyring.ErrKey},
	} {
		if errors.Is(tt.want, keyring.ErrPermissions) && runtime.GOOS == "windows" {
			continue
		}
		path := write(t, tt.text, tt.mode)
		for _, load := range []func() error{
			func() error { _, err := keyring.Load(path); return err },
			func() error { _, _, err := keyring.LoadOrCreate(path); return err },
			func() error { _, err := keyring.Rotate(path); return err },
		} {
			err := load()
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), good[:8]) {
				t.Errorf("%s: error = %v, want %v that names the file and not the key", name, err, tt.want)
			}
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != tt.text {
			t.Errorf("%s: file was rewritten (%v)", name, err)
		}
		alone(t, path)
	}
}

func TestLoadOwnerReadOnly(t *testing.T) {
	t.Parallel()
	path := write(t, "# ours\r\n\r\n "+testKey('a').Base64()+" \r\n"+testKey('b').Base64(), 0o400)
	k, err := keyring.Load(path)
	if err != nil || len(k.Keys()) != 2 || k.Keys()[0] != testKey('a').ID() {
		t.Errorf("Load = %v, %v", k, err)
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "master.key")
	first, _, err := keyring.LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	sealed := first.Seal([]byte("secret"), nil)
	second, err := keyring.Rotate(path)
	if err != nil {
		t.Fatal(err)
	}
	if ids := second.Keys(); len(ids) != 2 || ids[1] != first.Keys()[0] {
		t.Errorf("Keys = %v after %v", ids, first.Keys())
	}
	if got, err := second.Open(sealed, nil); err != nil || string(got) != "secret" || !second.Stale(sealed) {
		t.Errorf("Open = %q, %v, stale %v", got, err, second.Stale(sealed))
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
	}
	alone(t, path)
}

// A rotation that is under way, or was killed, is not overtaken.
func TestRotateTwice(t *testing.T) {
	t.Parallel()
	path := write(t, testKey('a').Base64(), 0o600)
	if err := os.WriteFile(path+".new", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Rotate(path); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), path+".new") {
		t.Errorf("Rotate = %v, want ErrExist that names the file in the way", err)
	}
	missing := filepath.Join(t.TempDir(), "master.key")
	if _, err := keyring.Rotate(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Rotate = %v, want ErrNotExist", err)
	}
}

// What was sealed again under the new key opens without the old one.
func TestPrune(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "master.key")
	first, _, err := keyring.LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := keyring.Rotate(path)
	if err != nil {
		t.Fatal(err)
	}
	pruned, err := keyring.Prune(path)
	if err != nil {
		t.Fatal(err)
	}
	if ids := pruned.Keys(); len(ids) != 1 || ids[0] != second.Keys()[0] {
		t.Errorf("Keys = %v after %v", ids, second.Keys())
	}
	if got, err := pruned.Open(second.Seal([]byte("secret"), nil), nil); err != nil || string(got) != "secret" {
		t.Errorf("Open = %q, %v", got, err)
	}
	if _, err := pruned.Open(first.Seal([]byte("secret"), nil), nil); !errors.Is(err, keyring.ErrUnknownKey) {
		t.Errorf("Open of what the old key sealed = %v, want ErrUnknownKey", err)
	}
	alone(t, path)
}
