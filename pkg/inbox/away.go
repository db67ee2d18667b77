package inbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A Note tells beside a failed file why it failed.
type Note struct {
	Source string    `json:"source"` // path in the inbox, slash-separated
	Kind   string    `json:"kind"`   // of failure, in one word
	Reason string    `json:"reason"`
	Code   int       `json:"exit_code"` // that a command for this file alone would have
	Time   time.Time `json:"time"`
}

// ErrChanged says that a file is not what was handed out any more, so that it is
// not put away but comes again.
var ErrChanged = errors.New("another file has its name by now, which comes next")

// Done says that a file was dealt with. It is moved into the folder done, under the
// path it had, or deleted if that is wanted, and with it what marked it as whole.
//
// If it cannot be put away, or another file has its name, the error says so; the
// file stays and comes again later.
func (b *Inbox) Done(path string) error {
	return b.putAway(path, true, func() error {
		if b.o.Delete {
			return os.Remove(path)
		}
		_, err := b.move(path, DoneDir)
		return err
	})
}

// Failed says that a file cannot be dealt with. It is moved into the folder
// failed, under the path it had, with a note NAME.error.json beside it. The note's
// source is filled in. Errors are those of Done.
func (b *Inbox) Failed(path string, n Note) error {
	return b.putAway(path, false, func() error {
		rel, err := filepath.Rel(b.o.Dir, path)
		if err != nil {
			return err
		}
		n.Source = filepath.ToSlash(rel)
		data, err := json.MarshalIndent(n, "", "  ")
		if err != nil {
			return err
		}
		to, err := b.move(path, FailedDir)
		if err != nil {
			return err
		}
		return os.WriteFile(to+noteSuffix, append(data, '\n'), 0o644) //nolint:gosec // for whoever can read the file itself
	})
}

// putAway has a file put away that is as it was handed out.
func (b *Inbox) putAway(path string, success bool, put func() error) error {
	b.mu.Lock()
	f := b.waiting[path]
	b.mu.Unlock()
	if f == nil || f.hand.IsZero() {
		return nil
	}
	now, err := os.Stat(path) // f.info is not touched while the file is in hand
	switch {
	case errors.Is(err, fs.ErrNotExist): // somebody else has put it away
	case err == nil && !same(f.info, now):
		err = ErrChanged
	case err == nil:
		err = put()
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		_ = os.Remove(path + markSuffix) // usually there is none
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.release(path)
	if success {
		b.pause, b.resume = 0, time.Time{}
	}
	switch {
	case err == nil:
		delete(b.waiting, path)
		return nil
	case errors.Is(err, ErrChanged):
		f.hand = time.Time{}
		return err
	case errors.Is(err, fs.ErrNotExist):
		delete(b.waiting, path)
		return fmt.Errorf("put it away: %w", err)
	default:
		f.pause = b.longer(f.pause)
		f.held, f.hand = b.o.Now().Add(f.pause), time.Time{}
		return fmt.Errorf("put it away: %w", pathless(err))
	}
}

// move moves a file into one of the inbox's own folders, under the path it had, or
// one with a number where that is taken. It returns the new path.
func (b *Inbox) move(path, own string) (string, error) {
	rel, err := filepath.Rel(b.o.Dir, path)
	if err != nil {
		return "", err
	}
	to := filepath.Join(b.o.Dir, own, rel)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return "", err
	}
	free, err := reserve(to)
	if err != nil {
		return "", err
	}
	if err := os.Rename(path, free); err != nil {
		return "", errors.Join(err, os.Remove(free))
	}
	return free, nil
}

// reserve makes an empty file under a name that was free, for another to take its
// place, so that nobody's file is overwritten.
func reserve(path string) (string, error) {
	ext := filepath.Ext(path)
	for number := 1; ; number++ {
		name := path
		if number > 1 {
			name = fmt.Sprintf("%s.%d%s", strings.TrimSuffix(path, ext), number, ext)
		}
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			return name, f.Close()
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
}
