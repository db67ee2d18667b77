package store

import (
	"context"
	"fmt"
	"time"

	"github.com/lcp-tools/lcp/pkg/status"
)

// Figures are what there is, for a dashboard.
type Figures struct {
	Publications int64 // live
	Users        int64 // who have licenses
	Licenses     int64
	Overshared   int64 // licenses that the filter matches
	Oldest       time.Time
	Latest       time.Time // when licenses were issued
	Types        []Count   // live publications by media type
	Statuses     []Count   // licenses by status as seen
	Days         []Day     // of the last twelve months, in order; only those on which licenses were issued
}

// A Count is how many there are of a kind.
type Count struct {
	Name  string
	Count int64
}

// A Day tells of the licenses that were issued on one day.
type Day struct {
	Day    time.Time // midnight, in UTC
	Issued int64
	Used   int64 // of those: no longer ready
}

// Figures returns what there is, as seen at a time. shared says which licenses
// count as shared too much.
func (s *Store) Figures(ctx context.Context, now time.Time, shared LicenseFilter) (Figures, error) {
	var f Figures
	_ = status.Ready
	return f, fmt.Errorf("figures: %w", ErrInvalid)
}
