package profile_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/profile"
)

// patient is a time limit that is not to be reached, and hasty one that is.
const (
	patient = 30 * time.Second
	hasty   = 200 * time.Millisecond
)

// TestMain makes this binary a helper program when it is told how to behave.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "behave" {
		behave(os.Args[2], bufio.NewReader(os.Stdin))
		return
	}
	os.Exit(m.Run())
}

// behave answers with the hash as the key, save for what its name says.
func behave(how string, in *bufio.Reader) {
	for n := 1; ; n++ {
		line, err := in.ReadString('\n')
		if err != nil {
			if how == "lingers" {
				time.Sleep(time.Hour) // select {} would end with the runtime's word of a deadlock
			}
			return
		}
		_, hash, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch how {
		case "dies":
			return
		case "hangs", "hangs on the second":
			if how == "hangs" || n == 2 {
				time.Sleep(time.Hour) // select {} would end with the runtime's word of a deadlock
			}
		case "garbage":
			hash = "hello " + hash
		case "short key":
			hash = hash[2:]
		case "endless line":
			hash = strings.Repeat("a", 1<<16)
		case "refuses":
			hash = "error " + "not today"
		case "two lines": // the second would be taken for the next answer
			hash += "\n" + strings.Repeat("0", 64)
		case "complains":
			fmt.Fprintln(os.Stderr, "not feeling well")
		case "slow":
			time.Sleep(hasty)
		case "carriage return":
			hash += "\r"
		}
		fmt.Println(hash)
		if how == "dies after one" {
			return
		}
	}
}

func newHelper(t *testing.T, o profile.HelperOptions) *profile.Helper {
	t.Helper()
	h, err := profile.NewHelper(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// behaving returns a helper that runs this binary.
func behaving(t *testing.T, how string, timeout time.Duration, stderr io.Writer) *profile.Helper {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return newHelper(t, profile.HelperOptions{Argv: []string{self, "behave", how}, Timeout: timeout, Stderr: stderr})
}

func ask(t *testing.T, h *profile.Helper, passphrase string) error {
	t.Helper()
	hash := profile.HashPassphrase(passphrase)
	key, err := h.UserKey(t.Context(), profile.V1, hash)
	if err == nil && key != lcpcrypto.UserKey(hash) {
		t.Fatalf("the key for %q is that of another", passphrase)
	}
	if err != nil && strings.Contains(err.Error(), hash.Hex()[2:]) {
		t.Errorf("error %q has the hash in it", err)
	}
	return err
}

// The program in examples, built and run as a provider would.
func TestExampleHelper(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "profile-helper")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../examples/profile-helper")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	r := profile.NewRegistry()
	h := newHelper(t, profile.HelperOptions{Argv: []string{program}, Timeout: patient})
	if err := r.Register(profile.Any2, h); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			uri := profile.Version2()[i%10]
			for j := range 20 {
				hash := profile.HashPassphrase(fmt.Sprint(i, j))
				want := sha256.Sum256(append([]byte("example only "+uri+" "), hash[:]...))
				got, err := r.UserKey(t.Context(), uri, hash)
				if err != nil || got != want {
					t.Errorf("UserKey = %s, %v, want %s", got.Hex(), err, hex.EncodeToString(want[:]))
					return
				}
			}
		})
	}
	wg.Wait()
	if _, err := h.UserKey(t.Context(), profile.Any2, profile.Hash{}); !errors.Is(err, profile.ErrUnknown) {
		t.Errorf("UserKey of profile-2.x = %v, want ErrUnknown", err)
	}
	if err := h.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if _, err := r.UserKey(t.Context(), profile.Version2()[0], profile.Hash{}); !errors.Is(err, profile.ErrHelperClosed) {
		t.Errorf("UserKey after Close = %v, want ErrHelperClosed", err)
	}
	if err := h.Close(); err != nil {
		t.Errorf("second Close = %v", err)
	}
}

func TestHelperThatFails(t *testing.T) {
	t.Parallel()
	for how, tt := range map[string]struct {
		timeout time.Duration
		want    error
		reason  string
	}{
		"dies":         {patient, profile.ErrHelper, "died"},
		"hangs":        {hasty, profile.ErrHelperTimeout, "in time"},
		"garbage":      {patient, profile.ErrHelper, "neither a key nor an error"},
		"short key":    {patient, lcpcrypto.ErrKeySize, "62 bytes"},
		"endless line": {patient, profile.ErrHelper, "over 1024 bytes"},
		"two lines":    {patient, profile.ErrHelper, "more than one line"},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			h := behaving(t, how, tt.timeout, nil)
			err := ask(t, h, "a")
			if !errors.Is(err, tt.want) || !errors.Is(err, profile.ErrHelper) || !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("UserKey = %v, want %v and %q", err, tt.want, tt.reason)
			}
			// One that never answered is not started again at once.
			if err := ask(t, h, "b"); !errors.Is(err, profile.ErrHelper) {
				t.Errorf("the next UserKey = %v, want ErrHelper", err)
			}
		})
	}
}

func TestHelperIsRestarted(t *testing.T) {
	t.Parallel()
	t.Run("when it has died", func(t *testing.T) {
		t.Parallel()
		h := behaving(t, "dies after one", patient, nil)
		for i := range 5 {
			if err := ask(t, h, strconv.Itoa(i)); err != nil {
				t.Fatalf("request %d: %v", i, err)
			}
		}
	})
	t.Run("when it hangs", func(t *testing.T) {
		t.Parallel()
		h := behaving(t, "hangs on the second", 5*time.Second, nil)
		if err := ask(t, h, "a"); err != nil {
			t.Fatal(err)
		}
		if err := ask(t, h, "b"); !errors.Is(err, profile.ErrHelperTimeout) {
			t.Fatalf("UserKey = %v, want ErrHelperTimeout", err)
		}
		if err := ask(t, h, "c"); err != nil {
			t.Errorf("after it hung: %v", err)
		}
	})
}

func TestHelperThatRefuses(t *testing.T) {
	t.Parallel()
	h := behaving(t, "refuses", patient, nil)
	for range 3 { // it goes on running
		var refusal *profile.Refusal
		if err := ask(t, h, "a"); !errors.As(err, &refusal) || refusal.Reason != "not today" || !errors.Is(err, profile.ErrHelper) {
			t.Errorf("UserKey = %v, want a Refusal", err)
		}
	}
}

func TestHelperWithCarriageReturns(t *testing.T) {
	t.Parallel()
	if err := ask(t, behaving(t, "carriage return", patient, nil), "a"); err != nil {
		t.Errorf("UserKey = %v", err)
	}
}

func TestHelperPassesOnStandardError(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	h := behaving(t, "complains", patient, &stderr)
	if err := ask(t, h, "a"); err != nil {
		t.Fatal(err)
	}
	h.Close() // after it, nothing writes any more
	if got := stderr.String(); got != "not feeling well\n" {
		t.Errorf("standard error = %q", got)
	}
}

// Who gives up waiting leaves an answer behind, which must not go to the next.
func TestHelperAnswersAreNotMixedUp(t *testing.T) {
	t.Parallel()
	h := behaving(t, "slow", patient, nil)
	cause := errors.New("gone")
	for i := range 3 {
		ctx, cancel := context.WithTimeoutCause(t.Context(), hasty/2, cause)
		if _, err := h.UserKey(ctx, profile.V1, profile.HashPassphrase("x")); !errors.Is(err, cause) {
			t.Errorf("UserKey = %v, want %v", err, cause)
		}
		cancel()
		if err := ask(t, h, strconv.Itoa(i)); err != nil {
			t.Errorf("the next UserKey = %v", err)
		}
	}
}

func TestCloseEndsAHelper(t *testing.T) {
	t.Parallel()
	t.Run("that does not end by itself", func(t *testing.T) {
		t.Parallel()
		h := behaving(t, "lingers", patient, nil)
		if err := ask(t, h, "a"); err != nil {
			t.Fatal(err)
		}
		h.Close()
	})
	t.Run("that is being asked", func(t *testing.T) {
		t.Parallel()
		h := behaving(t, "hangs", patient, nil)
		errs := make(chan error)
		go func() {
			_, err := h.UserKey(t.Context(), profile.V1, profile.Hash{})
			errs <- err
		}()
		h.Close()
		if err := <-errs; !errors.Is(err, profile.ErrHelperClosed) {
			t.Errorf("UserKey = %v, want ErrHelperClosed", err)
		}
	})
}

func TestNewHelperRefuses(t *testing.T) {
	t.Parallel()
	for name, argv := range map[string][]string{
		"no program": nil, "empty name": {""}, "program that is not there": {"./no-such-program"},
	} {
		if h, err := profile.NewHelper(profile.HelperOptions{Argv: argv}); !errors.Is(err, profile.ErrHelper) {
			t.Errorf("%s: NewHelper = %v, %v, want ErrHelper", name, h, err)
		}
	}
}

func BenchmarkHelper(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	h, err := profile.NewHelper(profile.HelperOptions{Argv: []string{self, "behave", "well"}, Timeout: patient})
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	for b.Loop() {
		if _, err := h.UserKey(b.Context(), profile.V1, profile.Hash{}); err != nil {
			b.Fatal(err)
		}
	}
}
