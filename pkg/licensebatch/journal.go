package licensebatch

import (
	"encoding/json"
	"errors"

	"github.com/lcp-tools/lcp/pkg/journal"
)

// journalKind begins every journal.
const journalKind = "lcp license batch"

// A Journal remembers on disk which rows have their license, so that a run that
// was killed at any moment goes on where it was. It has no secrets, and nothing
// about users.
//
// The keys of its requests come from its identifier; every line is for one row
// that is done.
type Journal struct {
	file *journal.File
	id   string
	done map[string]entry
}

// entry is one row that is done.
type entry struct {
	Row     string `json:"row"` // see keyer
	License string `json:"license"`
	File    string `json:"file"` // name in the output folder
}

// OpenJournal opens the journal in a file, which is made if it is not there. It
// fails with journal.ErrLocked while another run has it open. The caller closes
// it.
func OpenJournal(name string) (*Journal, error) {
	j := &Journal{done: map[string]entry{}}
	file, err := journal.Open(name, journalKind, func(_ int64, line []byte) error {
		var e entry
		if err := json.Unmarshal(line, &e); err != nil || e.Row == "" || e.License == "" {
			return errors.New("not a row: the file was changed")
		}
		j.done[e.Row] = e
		return nil
	})
	if err != nil {
		return nil, err
	}
	j.file, j.id = file, file.ID()
	return j, nil
}

// add writes down that rows are done. When it returns nil, that outlives a crash.
func (j *Journal) add(entries []entry) error {
	lines := make([]any, len(entries))
	for i, e := range entries {
		lines[i] = e
	}
	_, err := j.file.Append(lines...)
	return err
}

// Close closes the file. All that was written is on disk already.
func (j *Journal) Close() error { return j.file.Close() }
