package records

import (
	"slices"
	"time"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/store"
)

// LicenseOut is a record in the words of the API.
func LicenseOut(l *store.License) api.LicenseInfo {
	out := api.LicenseInfo{
		UUID: l.UUID, UserID: l.UserID, PublicationID: l.PublicationUUID, Provider: l.Provider,
		Start: optional(l.Start), End: optional(l.End), MaxEnd: optional(l.MaxEnd), Copy: l.Copy, Print: l.Print,
		PlayDuration: l.PlayDuration,
		Status:       l.Status, Updated: optional(l.Updated), StatusUpdated: optional(l.StatusUpdated), DeviceCount: l.DeviceCount,
		PublicationTitle: l.PublicationTitle,
	}
	latest := slices.MaxFunc([]time.Time{l.Issued, l.Updated, l.StatusUpdated}, time.Time.Compare)
	out.CreatedAt, out.UpdatedAt = optional(l.Issued), optional(latest)
	return out
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
