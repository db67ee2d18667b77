// Package inbox is a folder that files are delivered to. It finds what is there
// and what arrives, waits until each file is whole, hands it out, and puts it away
// once somebody says what became of it: into done or failed, or nowhere.
//
// A file is whole when its size and time have not changed for a while, or when a
// file NAME.done lies beside it. What is called as half-made files are (hidden,
// .part, .tmp and the like) is not looked at: a sender may write under such a name
// and rename at the end.
//
// The folder is looked through again and again; what the operating system tells
// of changes only makes that happen sooner, since it tells nothing on network file
// systems. How much is kept in memory does not depend on how many files wait.
//
// The package does not know what is in the files, or what is done with them.
package inbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Folders in the inbox where files are put away, and what marks a whole file.
const (
	DoneDir    = "done"
	FailedDir  = "failed"
	markSuffix = ".done"
	noteSuffix = ".error.json"
)

// Options say which folder, and when a file of it is whole. Dir, Takes and Now are
// required.
type Options struct {
	Dir    string
	Takes  func(path string) bool   // whether a file is wanted; of Dir joined with the path in it
	Skips  func(dir string) bool    // whether a folder below is not looked into; nil for none
	Key    func(path string) string // files with the same key are handed out one after the other; nil for the path
	Settle time.Duration            // how long a file is unchanged when it is whole
	Marked bool                     // only files with NAME.done beside them are whole
	Poll   time.Duration            // how often to look if nothing tells of changes; zero for half a minute
	Delete bool                     // delete what is done instead of keeping it

	// Retry is how long to leave a file alone that could not be dealt with for the
	// time being, and all others if several in a row could not: at first, and at
	// most after doubling. Zero for 2 seconds and 5 minutes.
	RetryFirst, RetryMost time.Duration

	Now     func() time.Time
	Trouble func(path string, err error) // told, once, of what cannot be read; nil for nobody
}

// An Inbox is a folder in use. Its methods may be called by several goroutines at
// once; only one ranges over Arrivals.
type Inbox struct {
	o       Options
	changes *fsnotify.Watcher // nil where the system tells nothing
	wake    chan struct{}     // holds one: there may be something to hand out

	mu       sync.Mutex
	waiting  map[string]*file // by path; no more than maxWaiting
	ready    []*file          // that could be handed out when the folder was last looked through
	keys     map[string]bool  // of files in hand
	inHand   int
	pause    time.Duration // how long to hand out nothing after the next setback; zero when all is well
	resume   time.Time     // when to hand out again
	troubled map[string]bool
}

// A file waits to be handed out, or was.
type file struct {
	path   string
	info   fs.FileInfo
	since  time.Time     // it has been as it is
	marked bool          // as whole
	held   time.Time     // until when it is left alone
	pause  time.Duration // for how long it was
	hand   time.Time     // when it was handed out; zero while it waits
}

// maxWaiting is how many files are kept an eye on at once. Others wait unseen.
const maxWaiting = 2048

// Open begins to use a folder, which must exist. The caller closes the inbox.
func Open(o Options) (*Inbox, error) {
	info, err := os.Stat(o.Dir)
	if err == nil && !info.IsDir() {
		err = errors.New("not a folder")
	}
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", o.Dir, pathless(err))
	}
	o.Poll = cmp.Or(o.Poll, 30*time.Second)
	o.RetryFirst, o.RetryMost = cmp.Or(o.RetryFirst, 2*time.Second), cmp.Or(o.RetryMost, 5*time.Minute)
	b := &Inbox{
		o: o, wake: make(chan struct{}, 1),
		waiting: map[string]*file{}, keys: map[string]bool{}, troubled: map[string]bool{},
	}
	if b.changes, err = fsnotify.NewWatcher(); err != nil {
		b.changes = nil // there may be too many: looking from time to time will do
	}
	return b, nil
}

// Close ends the use of the folder.
func (b *Inbox) Close() error {
	if b.changes == nil {
		return nil
	}
	return b.changes.Close()
}

// An Arrival is a whole file that is handed out.
type Arrival struct {
	Path string // in the file system
	Info fs.FileInfo
}

// Arrivals hands out files that are whole, until ctx is done. Each is in hand
// until Done, Failed, Later or Release is called for it; meanwhile it does not
// come again.
func (b *Inbox) Arrivals(ctx context.Context) iter.Seq[Arrival] {
	return func(yield func(Arrival) bool) {
		for ctx.Err() == nil {
			b.look()
			looked := b.o.Now()
			for b.o.Now().Sub(looked) < often {
				a, ok := b.take()
				if !ok {
					if !b.wait(ctx, b.next()) {
						return
					}
					break
				}
				if ctx.Err() != nil || !yield(a) {
					b.Release(a.Path)
					return
				}
			}
		}
	}
}

const (
	quiet = 200 * time.Millisecond // to let changes add up before looking
	often = time.Second            // to look again while there is enough to hand out: others settle meanwhile
)

// wait waits for a reason to look again, which is at the latest at a time. It
// reports whether to go on.
func (b *Inbox) wait(ctx context.Context, next time.Time) bool {
	var events chan fsnotify.Event
	var faults chan error
	if b.changes != nil {
		events, faults = b.changes.Events, b.changes.Errors
	}
	timer := time.NewTimer(max(next.Sub(b.o.Now()), 0))
	defer timer.Stop()
	var hurry <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case <-hurry:
			return true
		case <-b.wake:
			return true
		case <-faults: //nolint:errcheck // whatever it is, some changes are lost: look
			hurry = time.After(quiet)
		case <-events:
			if hurry == nil {
				hurry = time.After(quiet)
			}
		}
	}
}

// nudge has Arrivals look again.
func (b *Inbox) nudge() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// look looks through the folder.
func (b *Inbox) look() {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.o.Now()
	for path, f := range b.waiting {
		if f.hand.IsZero() && !b.observe(f, now) {
			delete(b.waiting, path)
		}
	}
	b.walk(b.o.Dir, now)
	b.ready = b.ready[:0]
	for _, f := range b.waiting {
		if f.hand.IsZero() && !b.due(f).After(now) {
			b.ready = append(b.ready, f)
		}
	}
	slices.SortFunc(b.ready, func(a, b *file) int {
		return cmp.Or(a.since.Compare(b.since), strings.Compare(a.path, b.path))
	})
}

// next is when to look again if nothing happens.
func (b *Inbox) next() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.o.Now()
	next := now.Add(b.o.Poll)
	for _, f := range b.waiting {
		if due := b.due(f); f.hand.IsZero() && due.After(now) && due.Before(next) {
			next = due
		}
	}
	return next
}

// batch is how many names of a folder are read at once.
const batch = 256

// walk looks for files to wait for in a folder and below, until there are enough.
func (b *Inbox) walk(dir string, now time.Time) {
	d, err := os.Open(dir)
	if err != nil {
		b.trouble(dir, err)
		return
	}
	defer d.Close()
	if b.changes != nil {
		_ = b.changes.Add(dir) // again and again: it may be another folder by now. Looking from time to time replaces it
	}
	for len(b.waiting) < maxWaiting {
		entries, err := d.ReadDir(batch)
		for _, e := range entries {
			b.enter(filepath.Join(dir, e.Name()), e, now)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			b.trouble(dir, err)
			return
		}
	}
	delete(b.troubled, dir)
}

// enter takes in what a folder holds.
func (b *Inbox) enter(path string, e fs.DirEntry, now time.Time) {
	switch {
	case IsTemporary(e.Name()):
	case e.IsDir():
		if !b.isOwn(path) && (b.o.Skips == nil || !b.o.Skips(path)) {
			b.walk(path, now)
		}
	case b.waiting[path] == nil && len(b.waiting) < maxWaiting && b.o.Takes(path):
		if f := (&file{path: path}); b.observe(f, now) {
			b.waiting[path] = f
		}
	}
}

// isOwn reports whether a folder is one where files are put away.
func (b *Inbox) isOwn(dir string) bool {
	return dir == filepath.Join(b.o.Dir, DoneDir) || dir == filepath.Join(b.o.Dir, FailedDir)
}

// IsTemporary reports whether a file is called as those are that are still being
// written, or that programs keep for themselves.
func IsTemporary(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") {
		return true
	}
	return slices.Contains([]string{
		".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".download", ".upload", ".uploading", ".swp",
	}, strings.ToLower(filepath.Ext(name)))
}

// observe looks at a file and reports whether it is one to wait for.
func (b *Inbox) observe(f *file, now time.Time) bool {
	info, err := os.Stat(f.path)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	_, err = os.Stat(f.path + markSuffix)
	if f.marked = err == nil; b.o.Marked && !f.marked {
		return false
	}
	if f.info == nil || !same(f.info, info) {
		f.since, f.held, f.pause = now, time.Time{}, 0
	}
	f.info = info
	return true
}

// same reports whether a file is what it was.
func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// due is when a file can be handed out.
func (b *Inbox) due(f *file) time.Time {
	whole := f.since
	if !f.marked {
		whole = whole.Add(b.o.Settle)
	}
	for _, t := range []time.Time{f.held, b.resume} {
		if t.After(whole) {
			whole = t
		}
	}
	return whole
}

// take takes the next file in hand that can be handed out: the one that has been
// waiting longest.
func (b *Inbox) take() (Arrival, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.o.Now()
	if b.pause > 0 && b.inHand > 0 {
		return Arrival{}, false // one tries whether it works again
	}
	for len(b.ready) > 0 {
		f := b.ready[0]
		b.ready = b.ready[1:]
		if b.waiting[f.path] != f || !f.hand.IsZero() || b.keys[b.key(f.path)] {
			continue
		}
		if !b.observe(f, now) {
			delete(b.waiting, f.path)
			continue
		}
		if b.due(f).After(now) {
			continue // it changed just now, or is to wait
		}
		f.hand = now
		b.inHand++
		b.keys[b.key(f.path)] = true
		return Arrival{f.path, f.info}, true
	}
	return Arrival{}, false
}

func (b *Inbox) key(path string) string {
	if b.o.Key == nil {
		return path
	}
	return b.o.Key(path)
}

// release takes a file out of hand.
func (b *Inbox) release(path string) *file {
	f := b.waiting[path]
	if f == nil || f.hand.IsZero() {
		return nil
	}
	b.inHand--
	delete(b.keys, b.key(path))
	b.nudge()
	return f
}

// Release says that a file was not dealt with. It may come again at once.
func (b *Inbox) Release(path string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.release(path); f != nil {
		f.hand = time.Time{}
	}
}

// Later says that a file could not be dealt with for the time being. It stays, and
// comes again after a while, which is returned and is longer each time. If it was
// handed out after the last such setback, all others wait, too, and then come one
// at a time until one succeeds.
func (b *Inbox) Later(path string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.release(path)
	if f == nil {
		return 0
	}
	now := b.o.Now()
	if !f.hand.Before(b.resume) {
		b.pause = b.longer(b.pause)
		b.resume = now.Add(b.pause)
	}
	f.pause = b.longer(max(f.pause, b.pause/2))
	f.held, f.hand = now.Add(f.pause), time.Time{}
	return f.pause
}

// longer is the pause after one of that length.
func (b *Inbox) longer(pause time.Duration) time.Duration {
	return min(max(2*pause, b.o.RetryFirst), b.o.RetryMost)
}

// Stats counts files.
type Stats struct {
	Waiting int // that are kept an eye on, or more
	InHand  int
}

// Stats returns how many files there are now.
func (b *Inbox) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return Stats{Waiting: len(b.waiting) - b.inHand, InHand: b.inHand}
}

// trouble tells of a folder that cannot be read, until it can be again.
func (b *Inbox) trouble(path string, err error) {
	if b.troubled[path] || b.o.Trouble == nil {
		return
	}
	b.troubled[path] = true
	b.o.Trouble(path, pathless(err))
}

// pathless takes the path off an error: who prints it names the file.
func pathless(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", pe.Op, pe.Err)
	}
	return err
}
