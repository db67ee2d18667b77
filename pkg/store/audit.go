package store

import (
	"context"
	"fmt"
	"time"
)

// An AuditEntry is one administrative act.
type AuditEntry struct {
	At     time.Time // set by the store
	Actor  string    // name of the user or key
	Action string    // in words, such as license revoked
	Target string    // what was acted on; may be empty
	Detail string    // no personal data, no secrets; may be empty
}

// An AuditFilter says which entries to list: those that match all that is set.
type AuditFilter struct {
	From, Before  time.Time // From counts, Before does not
	Actor, Target string
}

const (
	insertAudit = "INSERT INTO audit (at, actor, action, target, detail) VALUES (?, ?, ?, ?, ?)"
	selectAudit = "SELECT seq, at, actor, action, target, detail FROM audit"
)

// Audit adds an entry to the audit log.
func (s *Store) Audit(ctx context.Context, e AuditEntry) error {
	err := checkFields(
		field{"actor", e.Actor, maxName},
		field{"action", e.Action, maxName},
		field{"target", e.Target, maxName},
		field{"detail", e.Detail, maxURL},
	)
	if err == nil {
		err = s.write(ctx, func(t tx) error {
			return t.exec(ctx, insertAudit, s.time().UnixMilli(), e.Actor, e.Action, e.Target, e.Detail)
		})
	}
	if err != nil {
		return fmt.Errorf("write audit log: %w", err)
	}
	return nil
}

// AuditLog lists entries, newest first. next is where the next page begins, or 0
// at the end of the log. The error is ErrInvalid for an impossible page.
func (s *Store) AuditLog(ctx context.Context, f AuditFilter, p Page) (list []AuditEntry, next Cursor, err error) {
	if err := p.check(); err != nil {
		return nil, 0, fmt.Errorf("read audit log: %w", err)
	}
	c := &conditions{}
	if f.Actor != "" {
		c.add("actor = ?", f.Actor)
	}
	if f.Target != "" {
		c.add("target = ?", f.Target)
	}
	if !f.From.IsZero() {
		c.add("at >= ?", ceilMillis(f.From))
	}
	if !f.Before.IsZero() {
		c.add("at < ?", ceilMillis(f.Before))
	}
	c.page(p, "seq")
	rows, err := selectAll(ctx, s, func(r row) (n numbered[AuditEntry], err error) {
		var at int64
		e := &n.record
		err = r.Scan(&n.seq, &at, &e.Actor, &e.Action, &e.Target, &e.Detail)
		e.At = time.UnixMilli(at).UTC()
		return n, err
	}, selectAudit+c.where()+c.tail, c.args...)
	if err != nil {
		return nil, 0, fmt.Errorf("read audit log: %w", err)
	}
	list, next = cut(rows, p.Limit)
	return list, next, nil
}

// ceilMillis returns the first whole millisecond that is not before t: what is
// kept in milliseconds lies before t if, and only if, it lies before that.
func ceilMillis(t time.Time) int64 {
	ms := t.UnixMilli()
	if time.UnixMilli(ms).Before(t) {
		ms++
	}
	return ms
}
