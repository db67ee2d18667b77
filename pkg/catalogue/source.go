package catalogue

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/protect"
)

// sourceState is what a source was at a time.
type sourceState struct {
	size    int64  // bytes
	time    int64  // of its last change, nanoseconds since 1970
	content digest // see fingerprint
}

// readSourceState looks at a file.
func readSourceState(name string) (sourceState, error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return sourceState{}, errors.New("not a regular file") // opening a pipe would wait for its writer
	}
	f, err := os.Open(name)
	if err != nil {
		return sourceState{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return sourceState{}, err
	}
	content, err := fingerprint(f, info.Size())
	return sourceState{info.Size(), info.ModTime().UnixNano(), content}, err
}

// deleteSource deletes the file that the publication was made of, unless another
// has taken its place meanwhile. That it stays undoes nothing: the publication
// is done.
func (w *Worker) deleteSource(name string, before fs.FileInfo, rec *Record) {
	err := Unchanged(name, before)
	if err == nil {
		err = os.Remove(name)
	}
	if err != nil {
		rec.Undeleted = pathless(err).Error()
	}
}

// Unchanged returns an error unless the file of that name is the one it was
// before, and nobody has written to it. It is protect.ErrChanged, or why the file
// cannot be looked at.
func Unchanged(name string, before fs.FileInfo) error {
	now, err := os.Stat(name)
	switch {
	case err != nil:
		return err
	case before == nil || !os.SameFile(before, now) || now.Size() != before.Size() || !now.ModTime().Equal(before.ModTime()):
		return protect.ErrChanged
	default:
		return nil
	}
}

// pathless takes the path off an error: who prints it names the input.
func pathless(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", pe.Op, pe.Err)
	}
	return err
}

// fingerprint tells contents apart: by the names, checksums and sizes in the
// directory of a ZIP archive, which is quick; by the bytes of anything else.
func fingerprint(f *os.File, size int64) (digest, error) {
	h := sha256.New()
	a, err := archive.NewReader(f, size)
	if err != nil {
		if _, err := io.Copy(h, io.NewSectionReader(f, 0, size)); err != nil {
			return digest{}, err
		}
		return digest(h.Sum(nil)[:16]), nil
	}
	for _, e := range a.Entries {
		var b []byte
		b = binary.BigEndian.AppendUint32(b, uint32(len(e.Name)))
		b = append(b, e.Name...)
		b = binary.BigEndian.AppendUint32(b, e.CRC32)
		b = binary.BigEndian.AppendUint64(b, uint64(e.Size))
		b = binary.BigEndian.AppendUint64(b, uint64(e.CompressedSize))
		h.Write(b)
	}
	return digest(h.Sum(nil)[:16]), nil
}
