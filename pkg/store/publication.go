package store

import (
	"time"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
)

// A Publication is a protected publication as license making needs it. Times are
// UTC and hold milliseconds.
type Publication struct {
	UUID        string // what licenses and the API know it by; never changes
	AltID       string // a name given by the publisher, unique among live publications; or ""
	Provider    string // URI of who distributes it; or ""
	Title       string
	Authors     []string
	Publishers  []string
	Description string
	Languages   []string // BCP 47 tags
	Published   string   // date as the publication writes it
	ContentType string   // of the protected package, such as application/epub+zip
	Href        string   // where a reading app downloads it
	Size        int64    // bytes of the protected package
	Checksum    string   // SHA-256 of the protected package, 64 lower-case hexadecimal digits
	CoverURL    string
	ContentKey  lcpcrypto.ContentKey // sealed in the database, bound to UUID

	CreatedAt time.Time // set by the store
	UpdatedAt time.Time // set by the store at every change; at first the same as CreatedAt
	DeletedAt time.Time // zero while the publication is live
}

// An Identity is what a publication keeps when its file is encrypted again.
type Identity struct {
	UUID  string
	AltID string
	Key   lcpcrypto.ContentKey
}

// A PublicationFilter says which live publications to list; the zero value
// means all.
type PublicationFilter struct {
	ContentType string
}
