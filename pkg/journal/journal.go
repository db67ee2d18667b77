// Package journal keeps what a run has done on disk, line by line, so that a run
// that was killed at any moment goes on where it was.
//
// A journal is lines of JSON: one that says what kind of journal it is, with a
// random identifier, then whatever its owner appends. Lines are only ever added,
// and each is on disk before the call that adds it returns. What the lines mean,
// the package does not know.
package journal

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

var (
	// ErrKind is returned for a file that is not a journal of that kind.
	ErrKind = errors.New("not the journal")
	// ErrLocked is returned for a journal that another run has open.
	ErrLocked = errors.New("another run is using it")
)

// MaxLine bounds a line in bytes.
const MaxLine = 1 << 20

// version is that of the first line.
const version = 1

// header is the first line.
type header struct {
	Journal string `json:"journal"` // kind
	Version int    `json:"version"`
	ID      string `json:"id"`
}

// A File is an open journal, which nobody else can open meanwhile. Its methods
// may be called by several goroutines at once.
type File struct {
	file *os.File
	kind string
	id   string

	mu     sync.Mutex
	size   int64
	broken error // why nothing can be appended any more
}

// Open opens the journal in a file, which is made if it is not there. It hands
// out the lines there are, without their ends, each with its offset; a line is
// valid only during the call, and an error ends the reading. A last line without
// an end was being written when its run was killed: it is taken away. The caller
// closes the journal.
func Open(name, kind string, line func(offset int64, line []byte) error) (*File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	j := &File{file: f}
	if err = lock(f); err == nil {
		err = j.load(kind, line)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("journal %s: %w", name, err), f.Close())
	}
	return j, nil
}

func (j *File) load(kind string, each func(offset int64, line []byte) error) error {
	in := bufio.NewReaderSize(j.file, MaxLine)
	for number := 1; ; number++ {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			if number == 1 {
				err = j.begin(kind, line)
			} else {
				err = each(j.size, line[:len(line)-1])
			}
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		j.size += int64(len(line))
	}
	if err := j.file.Truncate(j.size); err != nil {
		return err
	}
	j.kind = kind
	if j.size > 0 {
		return nil
	}
	if err := j.start(); err != nil {
		return err
	}
	syncDir(filepath.Dir(j.file.Name()))
	return nil
}

// start writes the first line.
func (j *File) start() error {
	j.id = rand.Text()
	_, err := j.Append(header{j.kind, version, j.id})
	return err
}

// begin reads the first line.
func (j *File) begin(kind string, line []byte) error {
	var h header
	if err := json.Unmarshal(line, &h); err != nil || h.Journal != kind || h.ID == "" {
		return fmt.Errorf("%w of an %s", ErrKind, kind)
	}
	if h.Version != version {
		return fmt.Errorf("version %d is from a later program", h.Version)
	}
	j.id = h.ID
	return nil
}

// ID is the random identifier of the journal.
func (j *File) ID() string { return j.id }

// Append adds values as lines. When it returns nil, they outlive a crash. The
// offset is that of the first.
func (j *File) Append(values ...any) (offset int64, err error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, v := range values {
		before := b.Len()
		if err := enc.Encode(v); err != nil {
			return 0, err
		}
		if b.Len()-before > MaxLine {
			return 0, fmt.Errorf("a line of %d bytes is too long", b.Len()-before)
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken != nil {
		return 0, j.broken
	}
	offset = j.size
	if _, err = j.file.WriteAt(b.Bytes(), offset); err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		// Half a line may be there, and what follows would become part of it.
		j.broken = fmt.Errorf("write the journal: %w", err)
		return 0, j.broken
	}
	j.size += int64(b.Len())
	return offset, nil
}

// Line reads the line at an offset again.
func (j *File) Line(offset int64) ([]byte, error) {
	in := bufio.NewReaderSize(io.NewSectionReader(j.file, offset, MaxLine), 4096)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	return line[:len(line)-1], nil
}

// Size is the length of the file in bytes.
func (j *File) Size() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.size
}

// Reset takes all lines away, as if the journal were new. The caller sees to it
// that nobody appends meanwhile.
func (j *File) Reset() error {
	j.mu.Lock()
	if err := j.file.Truncate(0); err != nil {
		j.mu.Unlock()
		return fmt.Errorf("empty the journal: %w", err)
	}
	j.size = 0
	j.mu.Unlock()
	return j.start()
}

// Close closes the file. All that was appended is on disk already.
func (j *File) Close() error { return j.file.Close() }

// syncDir makes a new file last. Not every system can sync a folder.
func syncDir(name string) {
	d, err := os.Open(name)
	if err != nil {
		return
	}
	defer d.Close()
	_ = d.Sync()
}
