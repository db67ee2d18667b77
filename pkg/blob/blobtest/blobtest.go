// Package blobtest states, as tests, what every blob.Store promises.
package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lcp-tools/lcp/pkg/blob"
)

// large is more than any store holds back before it sends: some parts of a
// multipart upload, and not a whole number of them.
const large = 11<<20 + 17

// Run tests stores that open returns, empty and each independent of the others.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	tests := map[string]func(t *testing.T, s blob.Store){
		"what was put is there":                            testPut,
		"nothing shows while it is written":                testNotVisible,
		"failed write leaves no object":                    testFailedWrite,
		"failed write leaves the old object":               testFailedReplacement,
		"cancelled write leaves no object":                 testCancelled,
		"write that ignores its cancellation is not kept":  testIgnoredCancellation,
		"object that is not what it was to be is not kept": testChecksum,
		"new object takes the place of the old one":        testReplace,
		"one of two objects put at once is there":          testConcurrent,
		"objects do not get in each other's way":           testParallel,
		"unknown object is not found":                      testNotFound,
		"deleted object is gone":                           testDelete,
		"names are kept apart":                             testNames,
		"impossible names are refused":                     testBadNames,
		"held object is recognized":                        testHolds,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// Data returns n bytes that compress badly, the same ones for the same seed.
func Data(seed byte, n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(data)
	return data
}

// put stores data, written in pieces of a size that divides nothing.
func put(ctx context.Context, s blob.Store, name string, data []byte, meta blob.Meta) (blob.Info, error) {
	return s.Put(ctx, name, meta, func(w io.Writer) error {
		_, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{bytes.NewReader(data)}, make([]byte, 100_003))
		return err
	})
}

func mustPut(t *testing.T, s blob.Store, name string, data []byte) {
	t.Helper()
	info, err := put(t.Context(), s, name, data, blob.Meta{ContentType: "application/epub+zip"})
	if err != nil {
		t.Fatal(err)
	}
	checkInfo(t, "Put", info, data)
}

func checkInfo(t *testing.T, what string, info blob.Info, data []byte) {
	t.Helper()
	if info.Size != int64(len(data)) {
		t.Errorf("%s: size = %d, want %d", what, info.Size, len(data))
	}
	if want := blob.Digest(sha256.Sum256(data)); info.SHA256 != nil && *info.SHA256 != want {
		t.Errorf("%s: SHA-256 = %s, want %s", what, *info.SHA256, want)
	}
}

// checkThere verifies that the object has exactly those bytes.
func checkThere(t *testing.T, s blob.Store, name string, data []byte) {
	t.Helper()
	info, err := s.Stat(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	checkInfo(t, "Stat", info, data)
	r, info, err := s.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	checkInfo(t, "Open", info, data)
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, data) {
		t.Errorf("%q has other bytes than were put", name)
	}
}

func checkAbsent(t *testing.T, s blob.Store, name string) {
	t.Helper()
	if _, err := s.Stat(t.Context(), name); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Stat(%q) = %v, want ErrNotFound", name, err)
	}
	if r, _, err := s.Open(t.Context(), name); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Open(%q) = %v, want ErrNotFound", name, err)
		if err == nil {
			r.Close()
		}
	}
}

func testPut(t *testing.T, s blob.Store) {
	for _, size := range []int{0, 1, 5 << 20, 5<<20 + 1, 10 << 20, large} {
		name := fmt.Sprintf("%d.epub", size)
		data := Data(1, size)
		mustPut(t, s, name, data)
		checkThere(t, s, name, data)
		sum := blob.Digest(sha256.Sum256(data))
		if _, err := put(t.Context(), s, "known-"+name, data, blob.Meta{SHA256: &sum}); err != nil {
			t.Errorf("put with its SHA-256: %v", err)
		}
		checkThere(t, s, "known-"+name, data)
	}
}

func testNotVisible(t *testing.T, s blob.Store) {
	data := Data(2, large)
	_, err := s.Put(t.Context(), "a.epub", blob.Meta{}, func(w io.Writer) error {
		if _, err := w.Write(data); err != nil {
			return err
		}
		checkAbsent(t, s, "a.epub")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	checkThere(t, s, "a.epub", data)
}

func testFailedWrite(t *testing.T, s blob.Store) {
	boom := errors.New("boom")
	for _, size := range []int{0, 100, large} {
		_, err := s.Put(t.Context(), "a.epub", blob.Meta{}, func(w io.Writer) error {
			if _, err := w.Write(Data(3, size)); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Errorf("after %d bytes: Put = %v, want %v", size, err, boom)
		}
		checkAbsent(t, s, "a.epub")
	}
}

func testFailedReplacement(t *testing.T, s blob.Store) {
	old, boom := Data(4, 1000), errors.New("boom")
	mustPut(t, s, "a.epub", old)
	_, err := s.Put(t.Context(), "a.epub", blob.Meta{}, func(w io.Writer) error {
		if _, err := w.Write(Data(5, large)); err != nil {
			return err
		}
		checkThere(t, s, "a.epub", old)
		return boom
	})
	if !errors.Is(err, boom) {
		t.Errorf("Put = %v, want %v", err, boom)
	}
	checkThere(t, s, "a.epub", old)
}

func testCancelled(t *testing.T, s blob.Store) {
	why := errors.New("the user has had enough")
	for _, size := range []int{0, 100, large} {
		ctx, cancel := context.WithCancelCause(t.Context())
		_, err := s.Put(ctx, "a.epub", blob.Meta{}, func(w io.Writer) error {
			if _, err := w.Write(Data(6, size)); err != nil {
				return err
			}
			cancel(why)
			_, err := w.Write([]byte("more"))
			return err
		})
		if !errors.Is(err, why) {
			t.Errorf("after %d bytes: Put = %v, want %v", size, err, why)
		}
		checkAbsent(t, s, "a.epub")
	}
}

func testIgnoredCancellation(t *testing.T, s blob.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := s.Put(ctx, "a.epub", blob.Meta{}, func(w io.Writer) error {
		_, err := w.Write(Data(7, 1000))
		cancel()
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Put = %v, want context.Canceled", err)
	}
	checkAbsent(t, s, "a.epub")
}

func testChecksum(t *testing.T, s blob.Store) {
	sum := blob.Digest(sha256.Sum256([]byte("something else")))
	for _, size := range []int{0, 100, large} {
		_, err := put(t.Context(), s, "a.epub", Data(8, size), blob.Meta{SHA256: &sum})
		if !errors.Is(err, blob.ErrChecksum) {
			t.Errorf("%d bytes: Put = %v, want ErrChecksum", size, err)
		}
		checkAbsent(t, s, "a.epub")
	}
}

func testReplace(t *testing.T, s blob.Store) {
	for i, size := range []int{large, 100, large - 1, 0, 200} {
		data := Data(byte(i), size)
		mustPut(t, s, "a.epub", data)
		checkThere(t, s, "a.epub", data)
	}
}

func testConcurrent(t *testing.T, s blob.Store) {
	a, b := Data(9, 6<<20), Data(10, 6<<20+1)
	var wg sync.WaitGroup
	for _, data := range [][]byte{a, b} {
		wg.Go(func() {
			if _, err := put(t.Context(), s, "a.epub", data, blob.Meta{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	info, err := s.Stat(t.Context(), "a.epub")
	if err != nil {
		t.Fatal(err)
	}
	if info.Size == int64(len(a)) {
		checkThere(t, s, "a.epub", a)
	} else {
		checkThere(t, s, "a.epub", b)
	}
}

func testParallel(t *testing.T, s blob.Store) {
	var wg sync.WaitGroup
	for i := range 12 { // more than parts may be sent at once
		wg.Go(func() {
			name, data := fmt.Sprintf("%d.epub", i), Data(byte(i), 6<<20)
			if _, err := put(t.Context(), s, name, data, blob.Meta{}); err != nil {
				t.Error(err)
				return
			}
			checkThere(t, s, name, data)
		})
	}
	wg.Wait()
}

func testNotFound(t *testing.T, s blob.Store) {
	mustPut(t, s, "a.epub", []byte("a"))
	mustPut(t, s, "folder/b.epub", []byte("b"))
	for _, name := range []string{"b.epub", "folder", "folder/c.epub", "a.epub/b.epub", "other/b.epub"} {
		checkAbsent(t, s, name)
		if err := s.Delete(t.Context(), name); err != nil {
			t.Errorf("Delete(%q) = %v, want nil", name, err)
		}
	}
	checkThere(t, s, "a.epub", []byte("a"))
	checkThere(t, s, "folder/b.epub", []byte("b"))
}

func testDelete(t *testing.T, s blob.Store) {
	mustPut(t, s, "a.epub", []byte("a"))
	for range 2 {
		if err := s.Delete(t.Context(), "a.epub"); err != nil {
			t.Fatal(err)
		}
		checkAbsent(t, s, "a.epub")
	}
}

// testNames takes names that mean something to URLs, S3 and file systems.
func testNames(t *testing.T, s blob.Store) {
	names := []string{
		"a b.epub", "a+b.epub", "a%20b.epub", "a%2Bb.epub", "a&b=c.epub", "a?b.epub", "a#b.epub", "a:b.epub",
		"Les Misérables.epub", "我是猫.epub", "a'b\"c.epub", "a*b.epub", "a~b.epub",
		"covers/a b.jpg", "x/y/z/" + strings.Repeat("n", 200) + ".epub",
	}
	if runtime.GOOS == "windows" {
		names = slices.DeleteFunc(names, func(name string) bool { return strings.ContainsAny(name, `:*?"`) })
	}
	urls := map[string]string{}
	for _, name := range names {
		mustPut(t, s, name, []byte(name))
		if other := urls[s.URL(name)]; other != "" {
			t.Errorf("%q and %q have the same URL", name, other)
		}
		urls[s.URL(name)] = name
		if !strings.HasSuffix(s.Location(name), name) && !strings.Contains(s.Location(name), `\`) {
			t.Errorf("Location(%q) = %q", name, s.Location(name))
		}
	}
	for _, name := range names {
		checkThere(t, s, name, []byte(name))
	}
}

func testBadNames(t *testing.T, s blob.Store) {
	for _, name := range []string{"", ".", "/a", "../a", "a/../../b", "a//b", "a/", ".hidden", "a\x00b", `a\b`, "\xff", strings.Repeat("n", 300)} {
		_, err := s.Put(t.Context(), name, blob.Meta{}, func(io.Writer) error {
			t.Errorf("Put(%q) wants to write", name)
			return nil
		})
		_, statErr := s.Stat(t.Context(), name)
		_, _, openErr := s.Open(t.Context(), name)
		deleteErr := s.Delete(t.Context(), name)
		for what, err := range map[string]error{"Put": err, "Stat": statErr, "Open": openErr, "Delete": deleteErr} {
			if !errors.Is(err, blob.ErrName) {
				t.Errorf("%s(%q) = %v, want ErrName", what, name, err)
			}
		}
	}
}

func testHolds(t *testing.T, s blob.Store) {
	for _, size := range []int{0, 100, large} {
		data, other := Data(11, size), Data(12, size)
		mustPut(t, s, "a.epub", data)
		for what, tt := range map[string]struct {
			name string
			data []byte
			want bool
		}{
			"same":         {"a.epub", data, true},
			"other bytes":  {"a.epub", other, size == 0},
			"other length": {"a.epub", append([]byte("x"), data...), false},
			"other name":   {"b.epub", data, false},
		} {
			got, err := blob.Holds(t.Context(), s, tt.name, int64(len(tt.data)), sha256.Sum256(tt.data))
			if err != nil || got != tt.want {
				t.Errorf("%d bytes, %s: Holds = %t, %v, want %t", size, what, got, err, tt.want)
			}
		}
	}
}
