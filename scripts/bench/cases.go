package main

import "runtime"

const (
	mb  = 1_000_000
	mib = 1 << 20
)

// A benchCase is one kind of input and what is expected of it.
type benchCase struct {
	name  string
	about string
	once  bool // too large to be run more often, or by default
	books bool // the figure to look at is publications a second
	text  bool // the figure to look at is the speed in XHTML, beside that of compressing it again

	// generate writes the publications into the empty folder dir, sizes divided
	// by scale.
	generate func(dir string, scale int64) error
	targets  targets
}

// targets are the figures to hold; zero means none.
type targets struct {
	cpu    float64 // at most, as a multiple of openssl and sha256sum
	wall   float64 // less than, as a multiple of openssl and sha256sum one after the other
	faster float64 // at least, than inflating and deflating again at the best level
	books  float64 // at least, a second
	rss    int64   // less than, bytes
}

// memory is how much may be resident for one publication, and how much more for
// every further job.
const memory, memoryPerJob = 64 * mib, 16 * mib

func allCases() []benchCase {
	media := targets{cpu: 1.5, wall: 1, rss: memory}
	pdf := media
	pdf.rss += 100 * mb // reading its metadata may take as much as the file
	return []benchCase{
		{name: "media", about: "EPUB, 500 MB of stored images and video", generate: generateMedia, targets: media},
		{name: "pdf", about: "PDF, 100 MB on 100 pages", generate: generatePDF, targets: pdf},
		{name: "audio", about: "audiobook, 300 MB in 10 tracks", generate: generateAudio, targets: media},
		{
			name: "text", about: "EPUB, 30 MB of XHTML in 400 entries", generate: generateText, text: true,
			targets: targets{faster: 10, rss: memory},
		},
		{name: "small", about: "EPUB of 8000 small entries", generate: generateSmall, targets: targets{rss: memory}},
		{
			name: "books", about: "200 EPUBs of 1.6 MB in one run", generate: generateBooks, books: true,
			targets: targets{books: 100, rss: memory + int64(runtime.NumCPU()-1)*memoryPerJob},
		},
		{
			name: "huge", about: "audiobook, 6 GiB, one track beyond 4 GiB", generate: generateHuge, once: true,
			targets: targets{rss: memory},
		},
	}
}
