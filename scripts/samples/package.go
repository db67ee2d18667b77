package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"path"
)

// 1 January 2020, midnight, as MS-DOS had it.
const dosDate, dosTime = (2020-1980)<<9 | 1<<5 | 1, 0

// A file is one entry of a package.
type file struct {
	name string
	data []byte
}

// zipFiles packs files in their order, media as they are and the rest deflated.
// Entries have no extra fields and no data descriptors, which is what OCF asks
// of the mimetype.
func zipFiles(files []file) ([]byte, error) {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, f := range files {
		if err := addFile(w, f); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.name, err)
		}
	}
	err := w.Close()
	return buf.Bytes(), err
}

func addFile(w *zip.Writer, f file) error {
	data, method := f.data, zip.Store
	if !stored(f.name) && len(f.data) > 0 {
		var err error
		if data, err = deflate(f.data); err != nil {
			return err
		}
		method = zip.Deflate
	}
	h := &zip.FileHeader{
		Name:               f.name,
		Method:             method,
		ModifiedDate:       dosDate, //nolint:staticcheck // the field that replaces it adds an extra field
		ModifiedTime:       dosTime, //nolint:staticcheck // as above
		CRC32:              crc32.ChecksumIEEE(f.data),
		UncompressedSize64: uint64(len(f.data)),
		CompressedSize64:   uint64(len(data)),
		Flags:              0x800, // the name is UTF-8
	}
	entry, err := w.CreateRaw(h)
	if err != nil {
		return err
	}
	_, err = entry.Write(data)
	return err
}

func stored(name string) bool {
	switch path.Ext(name) {
	case ".jpg", ".png", ".wav":
		return true
	default:
		return name == "mimetype"
	}
}

func deflate(data []byte) ([]byte, error) {
	var buf bytes.Buffer
	w, err := flate.NewWriter(&buf, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	err = w.Close()
	return buf.Bytes(), err
}

// object is a JSON object; its keys come out sorted.
type object map[string]any

// toJSON writes a manifest. It leaves <, > and & as they are.
func toJSON(v object) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return buf.Bytes(), err
}
