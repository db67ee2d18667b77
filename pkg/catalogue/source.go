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
