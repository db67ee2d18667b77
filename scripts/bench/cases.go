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
	s3    bool // goes into a bucket, beside the disk and the upload of a ready file
	list  int  // if not zero, so many rows of a list that name the one publication are only looked at

	goBench string // a benchmark of a package, as package:name, instead of a run of lcp

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
	apart  float64 // at least, of what a process on each core does, all at a time
	s3     float64 // at most, as a multiple of the slower of encrypting to the disk and uploading the ready file
	rss    int64   // less than, bytes
	wallS  float64 // less than, seconds
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
			targets: targets{books: 100, apart: 0.9, rss: memory + int64(runtime.NumCPU()-1)*memoryPerJob},
		},
		{
			name: "s3", about: "EPUB, 500 MB of stored images and video, into a bucket", generate: generateMedia, s3: true,
			targets: targets{s3: 1.2, rss: memory},
		},
		{
			name: "list", about: "list of 20 000 rows, looked at and not encrypted", generate: generateBook, list: 20_000,
			targets: targets{rss: memory + int64(runtime.NumCPU()-1)*memoryPerJob},
		},
		{
			name: "resume", about: "journal of 100 000 items that are done, read and passed over",
			goBench: "./pkg/catalogue:BenchmarkResume", targets: targets{wallS: 1},
		},
		{
			name: "huge", about: "audiobook, 6 GiB, one track beyond 4 GiB", generate: generateHuge, once: true,
			targets: targets{rss: memory},
		},
	}
}
