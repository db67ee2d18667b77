// Package lpf converts W3C publications in the Lightweight Packaging Format to
// Readium packages.
package lpf

import (
	"fmt"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/publication"
)

// Recognize reports whether the archive is a W3C publication.
func Recognize(a *archive.Reader) bool { return a.Lookup("publication.json") != nil }

// Plan plans the Readium package that a W3C publication becomes. name is the
// title if the publication has none.
func Plan(a *archive.Reader, name string) (*publication.Plan, error) {
	return nil, fmt.Errorf("%w: W3C publication %q", publication.ErrUnknownFormat, name)
}
