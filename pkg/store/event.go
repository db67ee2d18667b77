package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lcp-tools/lcp/pkg/status"
)

// maxEvents bounds how many events of a license are listed: reading apps can
// cause them, and name themselves as they like.
const maxEvents = 1000

// An Event is something that happened to a license, as its status document
// tells it (LSD §2.7). That one registers a device is all the store knows of it.
type Event = status.Event

const (
	selectDevice = `SELECT COUNT(*) FROM (SELECT 1 FROM license_events WHERE device_id = ? AND license_seq = ? AND type = 'register'
	LIMIT 1) found`
	selectEvents = `SELECT type, device_id, device_name, at FROM license_events WHERE license_seq = ? AND number > ? AND number <= ?
	ORDER BY number`
	retireEvents = `INSERT INTO deleted_events (license_uuid, number, type, device_id, device_name, at)
	SELECT ?, number, type, device_id, device_name, at FROM license_events WHERE license_seq = ?`
	deleteEvents = "DELETE FROM license_events WHERE license_seq = ?"
	insertEvent  = "INSERT INTO license_events (license_seq, number, type, device_id, device_name, at) VALUES (?, ?, ?, ?, ?, ?)"
)

// isRegistered reports whether a device is registered with a license that the
// transaction has locked.
func isRegistered(ctx context.Context, t tx, l *licenseRow, device string) (bool, error) {
	if device == "" || l.DeviceCount == 0 {
		return false, nil
	}
	if l.complete() {
		return slices.ContainsFunc(l.history, func(e Event) bool { return e.Type == status.EventRegister && e.DeviceID == device }), nil
	}
	n, err := selectOne(ctx, t, scanCount, selectDevice, device, l.seq)
	return n > 0, err
}

// writeEvent adds an event to a license that the transaction has locked. The
// counts of l follow.
func writeEvent(ctx context.Context, t tx, l *licenseRow, e Event) error {
	if err := checkEvent(&e); err != nil {
		return err
	}
	if e.Type == status.EventRegister {
		known, err := isRegistered(ctx, t, l, e.DeviceID)
		if err != nil {
			return err
		}
		if !known {
			l.DeviceCount++
		}
	}
	e.At = e.At.UTC().Truncate(time.Millisecond)
	if l.complete() {
		l.history = append(l.history, e)
	} else if len(l.history) > 0 {
		l.history = append(l.history[1:], e)
	}
	l.events++
	return t.exec(ctx, insertEvent, l.seq, l.events, e.Type, e.DeviceID, e.DeviceName, e.At.UnixMilli())
}

// checkEvent refuses an event that cannot be stored, with ErrInvalid.
func checkEvent(e *Event) error {
	switch {
	case e.At.IsZero():
		return &InvalidError{"timestamp", "is missing"}
	case e.Type == status.EventRegister && e.DeviceID == "":
		return &InvalidError{"id", "is missing: a registration names a device"}
	}
	return checkFields(
		field{"type", e.Type, maxName},
		field{"id", e.DeviceID, maxName},
		field{"name", e.DeviceName, maxName},
	)
}

// Events lists what happened to a license, oldest first: the last thousand
// events if there are more. A license that does not exist has none.
func (s *Store) Events(ctx context.Context, license string) ([]Event, error) {
	_, events, err := s.LicenseHistory(ctx, license)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("events of %w", err)
	}
	return events, nil
}

// history returns what had happened to a license when it was read, or the last
// thousand events of that. Events are never changed, and one is added only
// together with the count of the license; so the two need no transaction around
// them to agree.
func history(ctx context.Context, q querier, l *licenseRow) ([]Event, error) {
	if l.events == 0 {
		return nil, nil
	}
	return selectAll(ctx, q, func(r row) (Event, error) {
		var e Event
		var at int64
		err := r.Scan(&e.Type, &e.DeviceID, &e.DeviceName, &at)
		e.At = time.UnixMilli(at).UTC()
		return e, err
	}, selectEvents, l.seq, max(0, l.events-maxEvents), l.events)
}
