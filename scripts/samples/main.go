// Command samples builds the sample publications of testdata, one of every
// format that lcp accepts, from nothing but the texts beside it: images are
// drawn, sounds are computed. Run it from the root of the repository:
//
//	go run ./scripts/samples
//
// The same sources give the same bytes, as long as the compressors of the Go
// release stay the same.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// samples names every sample and what builds it.
var samples = []struct {
	name  string
	build func() ([]byte, error)
}{
	{"sample.epub", buildEPUB},
	{"sample.pdf", buildPDF},
	{"sample.audiobook", buildAudiobook},
	{"sample.divina", buildDivina},
	{"sample.cbz", buildCBZ},
	{"sample.webpub", buildWebPub},
	{"sample.lpf", buildLPF},
}

func main() {
	out := flag.String("out", "testdata", "folder to write into")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "samples:", err)
		os.Exit(1) //nolint:forbidigo // a command of its own
	}
}

func run(out string) error {
	for _, s := range samples {
		data, err := s.build()
		if err != nil {
			return fmt.Errorf("build %s: %w", s.name, err)
		}
		path := filepath.Join(out, s.name)
		if err := os.WriteFile(path, data, 0o644); err != nil { //nolint:gosec // a sample is for everyone to read
			return err
		}
		fmt.Fprintf(os.Stdout, "%-32s %6d bytes\n", path, len(data))
	}
	return nil
}
