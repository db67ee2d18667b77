package wire

import (
	"slices"
	"time"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/store"
)

// LicenseOut is a record in the words of the API, with the status that it has at
// a time: one that was ready or active may have expired since it was stored.
func LicenseOut(l *store.License, now time.Time) api.LicenseInfo {
	standing := l.Standing()
	return api.LicenseInfo{
		UUID: l.UUID, UserID: l.UserID, PublicationID: l.PublicationUUID, Provider: l.Provider,
		Start: optional(l.Start), End: optional(l.End), MaxEnd: optional(l.MaxEnd), Copy: l.Copy, Print: l.Print,
		PlayDuration: l.PlayDuration, Status: string(standing.Seen(now)), Updated: optional(l.Updated),
		StatusUpdated: optional(l.StatusUpdated), DeviceCount: l.DeviceCount, PublicationTitle: l.PublicationTitle,
		Stamps: stamps(l.Issued, slices.MaxFunc([]time.Time{l.Issued, l.Updated, l.StatusUpdated}, time.Time.Compare)),
	}
}

// LimitIn is a number of characters or pages as the store has it, of one in the words
// of the API: nil is no limit, which LCP Server v2 keeps and shows as -1.
func LimitIn(n *int64) *int64 {
	if n != nil && *n == -1 {
		return nil
	}
	return n
}

// EventsOut tells what happened to a license in the words of the API.
func EventsOut(events []store.Event) []api.Event {
	out := make([]api.Event, len(events))
	for i, e := range events {
		out[i] = api.Event{Timestamp: e.At, Type: e.Type, DeviceName: e.DeviceName, DeviceID: e.DeviceID}
	}
	return out
}
