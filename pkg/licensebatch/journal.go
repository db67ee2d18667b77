package licensebatch

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
)

// journalKind begins every journal.
const journalKind = "lcp license batch"

// A Journal remembers on disk which rows have their license, so that a run that
// was killed at any moment goes on where it was. It has no secrets, and nothing
// about users.
//
// A journal is lines of JSON: one with a random identifier, which the keys of its
// requests come from, then one for each row that is done. Lines are only ever
// added. It is for one run at a time.
type Journal struct {
	file *os.File
	id   string
	done map[string]entry
}

// entry is one row that is done.
type entry struct {
	Row     string `json:"row"` // see keyer
	License string `json:"license"`
	File    string `json:"file"` // name in the output folder
}

// header is the first line.
type header struct {
	Journal string `json:"journal"`
	Version int    `json:"version"`
	ID      string `json:"id"`
}

// OpenJournal opens the journal in a file, which is made if it is not there. The
// caller closes it.
func OpenJournal(name string) (*Journal, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	j := &Journal{file: f, done: map[string]entry{}}
	if err := j.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("journal %s: %w", name, err), f.Close())
	}
	return j, nil
}

// load reads what there is. A last line without an end was being written when
// its run was killed: the row is not done.
func (j *Journal) load() error {
	in := bufio.NewReader(j.file)
	var whole int64
	for number := 1; ; number++ {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if err := j.read(number, line); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		whole += int64(len(line))
	}
	if err := j.file.Truncate(whole); err != nil {
		return err
	}
	if _, err := j.file.Seek(whole, io.SeekStart); err != nil {
		return err
	}
	if whole > 0 {
		return nil
	}
	j.id = rand.Text()
	return errors.Join(j.append(header{journalKind, 1, j.id}), syncDir(filepath.Dir(j.file.Name())))
}

// read takes in one line.
func (j *Journal) read(number int, line []byte) error {
	if number == 1 {
		var h header
		if err := json.Unmarshal(line, &h); err != nil || h.Journal != journalKind || h.ID == "" {
			return errors.New("not the journal of a batch of licenses")
		}
		if h.Version != 1 {
			return fmt.Errorf("version %d is from a later program", h.Version)
		}
		j.id = h.ID
		return nil
	}
	var e entry
	if err := json.Unmarshal(line, &e); err != nil || e.Row == "" || e.License == "" {
		return errors.New("not a row: the file was changed")
	}
	j.done[e.Row] = e
	return nil
}

// add writes down that rows are done. When it returns nil, that outlives a crash.
func (j *Journal) add(entries []entry) error {
	lines := make([]any, len(entries))
	for i, e := range entries {
		lines[i] = e
	}
	if err := j.append(lines...); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return nil
}

func (j *Journal) append(lines ...any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, line := range lines {
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	if _, err := j.file.Write(b.Bytes()); err != nil {
		return err
	}
	return j.file.Sync()
}

// Close closes the file. All that was written is on disk already.
func (j *Journal) Close() error { return j.file.Close() }

// syncDir makes a new file last. Not every system can sync a folder.
func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	defer d.Close()
	_ = d.Sync()
	return nil
}
