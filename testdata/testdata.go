// Package testdata holds the sample publications, for lcp demo and for tests.
// They are made by scripts/samples; README.md beside this file says from what.
//
// Patterns like ./... pass over a folder of this name: vet and lint it by its
// own path.
package testdata

import "embed"

// Samples holds one publication of every format that lcp accepts, in the clear:
// sample.epub, sample.pdf, sample.audiobook, sample.divina, sample.cbz,
// sample.webpub and sample.lpf.
//
//go:embed sample.*
var Samples embed.FS
