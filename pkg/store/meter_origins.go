package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/metering"
)

// An Origin is one that reading systems ran at, or a rule about origins.
type Origin struct {
	LicenseKey  string
	Pattern     metering.Pattern // an origin, or a wildcard
	State       metering.State
	Group       string    // under which use is reported
	FirstSeen   time.Time // zero for a rule that nothing was met of
	ReviewUntil time.Time // when it will count as approved; zero if nobody has been told yet, or it is not under review
	DecidedAt   time.Time // zero where there is no rule about just this
	DecidedBy   string
}

// MaxUndecided is how many origins of a license key may wait for a decision. Use
// at further ones is blocked.
const MaxUndecided = 1000

// seenOrigin is a row of origins.
type seenOrigin struct {
	id          int64
	origin      metering.Origin
	state       metering.State
	group       int64
	groupName   string
	firstSeen   int64
	reviewUntil int64
}

const (
	selectOrigins = "SELECT o.id, o.origin, o.state, o.group_id, g.name, o.first_seen, o.review_until " +
		"FROM origins o JOIN usage_groups g ON g.id = o.group_id WHERE o.key_id = ?"
	selectOrigin = selectOrigins + " AND o.origin = ?"
	insertOrigin = "INSERT INTO origins (key_id, origin, state, group_id, first_seen, review_until) VALUES (?, ?, ?, ?, ?, 0)"
	updateOrigin = "UPDATE origins SET state = ?, group_id = ?, review_until = ? WHERE id = ?"
	undecided    = "SELECT COUNT(*) FROM origins WHERE key_id = ? AND state IN ('pending', 'unknown')"

	selectRules = "SELECT pattern, state, group_name, decided_at, decided_by FROM origin_rules WHERE key_id = ?"
	insertRule  = "INSERT INTO origin_rules (state, group_name, decided_at, decided_by, key_id, pattern) VALUES (?, ?, ?, ?, ?, ?)"
	updateRule  = "UPDATE origin_rules SET state = ?, group_name = ?, decided_at = ?, decided_by = ? WHERE key_id = ? AND pattern = ?"
	deleteRule  = "DELETE FROM origin_rules WHERE key_id = ? AND pattern = ?"

	selectGroup = "SELECT id FROM usage_groups WHERE key_id = ? AND name = ?"
	insertGroup = "INSERT INTO usage_groups (key_id, name) VALUES (?, ?)"
)

func scanOrigin(r row) (o seenOrigin, err error) {
	err = r.Scan(&o.id, &o.origin, &o.state, &o.group, &o.groupName, &o.firstSeen, &o.reviewUntil)
	return o, err
}

// storedRule is a rule with who made it when.
type storedRule struct {
	metering.Rule
	at int64
	by string
}

func (m *Meter) rules(ctx context.Context, q querier, key int64) ([]storedRule, []metering.Rule, error) {
	list, err := selectAll(ctx, q, func(r row) (s storedRule, err error) {
		err = r.Scan(&s.Pattern, &s.State, &s.Group, &s.at, &s.by)
		return s, err
	}, selectRules+" ORDER BY pattern", key)
	rules := make([]metering.Rule, len(list))
	for i, s := range list {
		rules[i] = s.Rule
	}
	return list, rules, err
}

// group returns the number of a group, which is made if it is new.
func (m *Meter) group(ctx context.Context, t tx, key int64, name string) (int64, error) {
	id, err := selectOne(ctx, t, scanCount, selectGroup, key, name)
	if !errors.Is(err, ErrNotFound) {
		return id, err
	}
	if err := t.exec(ctx, insertGroup, key, name); err != nil {
		return 0, err
	}
	return selectOne(ctx, t, scanCount, selectGroup, key, name)
}

// meet returns what is known about an origin, and adds it where it was never met.
// The state is Blocked, with a group and no number, where too many wait already.
func (m *Meter) meet(ctx context.Context, t tx, k *LicenseKey, o metering.Origin, now time.Time) (seenOrigin, error) {
	seen, err := selectOne(ctx, t, scanOrigin, selectOrigin, k.id, string(o))
	switch {
	case err == nil && seen.state == metering.Unknown && k.Policy == metering.Review:
		return m.move(ctx, t, k, seen, metering.Pending, seen.groupName, now)
	case !errors.Is(err, ErrNotFound):
		return seen, err
	}
	_, rules, err := m.rules(ctx, t, k.id)
	if err != nil {
		return seen, err
	}
	state, group := metering.Resolve(rules, o, k.Policy)
	if state == metering.Pending || state == metering.Unknown {
		n, err := selectOne(ctx, t, scanCount, undecided, k.id)
		if err != nil {
			return seen, err
		}
		if n >= MaxUndecided {
			id, err := m.group(ctx, t, k.id, "other origins")
			return seenOrigin{state: metering.Blocked, group: id}, err
		}
	}
	id, err := m.group(ctx, t, k.id, group)
	if err != nil {
		return seen, err
	}
	if err := t.exec(ctx, insertOrigin, k.id, string(o), string(state), id, now.UnixMilli()); err != nil {
		return seen, err
	}
	if seen, err = selectOne(ctx, t, scanOrigin, selectOrigin, k.id, string(o)); err != nil {
		return seen, err
	}
	if state == metering.Pending {
		err = m.notify(ctx, t, k, NoticePending, &seen, now)
	}
	return seen, err
}

// move changes the state and the group of an origin, and settles what was held.
func (m *Meter) move(ctx context.Context, t tx, k *LicenseKey, o seenOrigin, to metering.State, group string, now time.Time) (seenOrigin, error) {
	from, fromGroup := o.state, o.group
	id, err := m.group(ctx, t, k.id, group)
	if err != nil {
		return o, err
	}
	o.state, o.group, o.groupName = to, id, group
	if to != metering.Pending || from != metering.Pending {
		o.reviewUntil = 0
	}
	if err := t.exec(ctx, updateOrigin, string(o.state), o.group, o.reviewUntil, o.id); err != nil {
		return o, err
	}
	switch {
	case to == metering.Pending && from != metering.Pending:
		err = m.notify(ctx, t, k, NoticePending, &o, now)
	case from == metering.Pending && to != metering.Pending:
		err = m.settle(ctx, t, k, fromGroup, to == metering.Approved, now)
	}
	return o, err
}

// Decide makes a rule about origins, in place of one about the same pattern. Use
// that was held at origins which are approved so becomes billable, and where they
// are blocked it never will be. The error may be ErrNoLicenseKey.
func (m *Meter) Decide(ctx context.Context, key string, r metering.Rule, by string) error {
	if err := checkFields(field{"group", r.Group, maxName}, field{"origin", string(r.Pattern), maxName}); err != nil {
		return fmt.Errorf("decide about %q: %w", r.Pattern, err)
	}
	err := m.s.write(ctx, func(t tx) error {
		k, err := m.lockKey(ctx, t, key)
		if err != nil {
			return err
		}
		return m.decide(ctx, t, &k, r, by)
	})
	if err != nil {
		return fmt.Errorf("decide about %q for license key %q: %w", r.Pattern, key, err)
	}
	return nil
}

func (m *Meter) decide(ctx context.Context, t tx, k *LicenseKey, r metering.Rule, by string) error {
	now := m.s.time()
	args := []any{string(r.State), r.Group, now.UnixMilli(), by, k.id, string(r.Pattern)}
	n, err := t.execCount(ctx, updateRule, args...)
	if err == nil && n == 0 {
		err = t.exec(ctx, insertRule, args...)
	}
	if err != nil {
		return err
	}
	return m.applyRules(ctx, t, k, now)
}

// Forget removes a rule. Origins that nothing else was decided about are treated
// as the policy wants it. It fails with ErrNotFound.
func (m *Meter) Forget(ctx context.Context, key string, p metering.Pattern) error {
	err := m.s.write(ctx, func(t tx) error {
		k, err := m.lockKey(ctx, t, key)
		if err != nil {
			return err
		}
		n, err := t.execCount(ctx, deleteRule, k.id, string(p))
		if err == nil && n == 0 {
			err = fmt.Errorf("rule %w", ErrNotFound)
		}
		if err != nil {
			return err
		}
		return m.applyRules(ctx, t, &k, m.s.time())
	})
	if err != nil {
		return fmt.Errorf("forget the rule about %q of license key %q: %w", p, key, err)
	}
	return nil
}

// applyRules brings the origins that were met in line with the rules.
func (m *Meter) applyRules(ctx context.Context, t tx, k *LicenseKey, now time.Time) error {
	_, rules, err := m.rules(ctx, t, k.id)
	if err != nil {
		return err
	}
	met, err := selectAll(ctx, t, scanOrigin, selectOrigins+" ORDER BY o.id", k.id)
	if err != nil {
		return err
	}
	for _, o := range met {
		state, group := metering.Resolve(rules, o.origin, k.Policy)
		if o.state == metering.Pending && state == metering.Unknown {
			state = metering.Pending // the holder was told that there will be a review
		}
		if state == o.state && group == o.groupName {
			continue
		}
		if _, err := m.move(ctx, t, k, o, state, group, now); err != nil {
			return err
		}
	}
	return nil
}

// Origins lists the origins that were met, and the rules, by license key and
// pattern. An empty key stands for all keys, an empty state for all states.
func (m *Meter) Origins(ctx context.Context, key string, state metering.State) ([]Origin, error) {
	keys, err := m.LicenseKeys(ctx)
	if err != nil {
		return nil, err
	}
	if key != "" {
		k, err := m.LicenseKey(ctx, key)
		if err != nil {
			return nil, err
		}
		keys = []LicenseKey{k}
	}
	var all []Origin
	for _, k := range keys {
		list, err := m.originsOf(ctx, &k)
		if err != nil {
			return nil, fmt.Errorf("list origins: %w", err)
		}
		for _, o := range list {
			if state == "" || o.State == state {
				all = append(all, o)
			}
		}
	}
	return all, nil
}

func (m *Meter) originsOf(ctx context.Context, k *LicenseKey) ([]Origin, error) {
	stored, _, err := m.rules(ctx, m.s, k.id)
	if err != nil {
		return nil, err
	}
	met, err := selectAll(ctx, m.s, scanOrigin, selectOrigins, k.id)
	if err != nil {
		return nil, err
	}
	found := make(map[metering.Pattern]*Origin)
	for _, o := range met {
		found[metering.Pattern(o.origin)] = &Origin{
			LicenseKey: k.Key, Pattern: metering.Pattern(o.origin), State: o.state, Group: o.groupName,
			FirstSeen: time.UnixMilli(o.firstSeen).UTC(), ReviewUntil: fromMillis(nonZero(o.reviewUntil)),
		}
	}
	for _, r := range stored {
		o := found[r.Pattern]
		if o == nil {
			o = &Origin{LicenseKey: k.Key, Pattern: r.Pattern, State: r.State, Group: r.GroupName()}
			found[r.Pattern] = o
		}
		o.DecidedAt, o.DecidedBy = time.UnixMilli(r.at).UTC(), r.by
	}
	list := make([]Origin, 0, len(found))
	for _, o := range found {
		list = append(list, *o)
	}
	slices.SortFunc(list, func(a, b Origin) int { return strings.Compare(string(a.Pattern), string(b.Pattern)) })
	return list, nil
}

// maxLabels is how many labels a host name can have (RFC 1035 §2.3.4).
const maxLabels = 127

// Admits reports whether a page of an origin may read answers about reading
// sessions: where use is approved or under review there, for a license key, or for
// any that is not disabled if key is empty, since browsers ask before they say
// which one it is about.
func (m *Meter) Admits(ctx context.Context, o metering.Origin, key string) (bool, error) {
	candidates := patternsOf(o)
	query := "SELECT k.id, k.policy, r.pattern, r.state FROM origin_rules r JOIN license_keys k ON k.id = r.key_id " +
		"WHERE k.disabled = 0 AND (? = '' OR k.license_key = ?) AND r.pattern IN " + placeholders(len(candidates))
	args := []any{key, key}
	for _, c := range candidates {
		args = append(args, c)
	}
	type match struct {
		key    int64
		policy metering.Policy
		rule   metering.Rule
	}
	list, err := selectAll(ctx, m.s, func(r row) (x match, err error) {
		err = r.Scan(&x.key, &x.policy, &x.rule.Pattern, &x.rule.State)
		return x, err
	}, query, args...)
	if err != nil {
		return false, fmt.Errorf("look for rules about %q: %w", o, err)
	}
	rules, reviewing := map[int64][]metering.Rule{}, int64(0)
	for _, x := range list {
		if len(rules[x.key]) == 0 && x.policy == metering.Review {
			reviewing++
		}
		rules[x.key] = append(rules[x.key], x.rule)
	}
	for _, r := range rules {
		if s, _ := metering.Resolve(r, o, metering.Block); s == metering.Approved {
			return true, nil
		}
	}
	n, err := selectOne(ctx, m.s, scanCount,
		"SELECT COUNT(*) FROM license_keys WHERE policy = 'review' AND disabled = 0 AND (? = '' OR license_key = ?)", key, key)
	if err != nil {
		return false, fmt.Errorf("look for license keys under review: %w", err)
	}
	return n > reviewing, nil // there is one which nothing is decided for
}

// patternsOf returns all patterns that match an origin: itself, and the wildcards
// over each domain that it is below. There are always as many, so that the
// statement is always the same one.
func patternsOf(o metering.Origin) []string {
	list := make([]string, 0, maxLabels+1)
	list = append(list, string(o))
	scheme, host, _ := strings.Cut(string(o), "://")
	for {
		_, parent, ok := strings.Cut(host, ".")
		if !ok || len(list) == maxLabels {
			break
		}
		host = parent
		list = append(list, scheme+"://*."+host)
	}
	size := 8
	for size < len(list) {
		size *= 2
	}
	for len(list) < size {
		list = append(list, string(o))
	}
	return list
}

// placeholders returns n of them in parentheses.
func placeholders(n int) string { return "(?" + strings.Repeat(", ?", n-1) + ")" }

// Kinds of notices.
const (
	NoticePending  = "origin.pending"  // use at an unknown origin is held, and the origin to be decided about
	NoticeApproved = "origin.approved" // the review has ended without a decision
	NoticeBlocked  = "key.blocked"     // for so long, without a break
)

// notice is the body of a notification.
type notice struct {
	ID         string     `json:"id"` // the same in every attempt
	Type       string     `json:"type"`
	LicenseKey string     `json:"licenseKey"`
	Customer   string     `json:"customer"`
	Origin     string     `json:"origin,omitempty"`
	ReviewDays int        `json:"reviewDays,omitempty"` // from now on
	Since      *time.Time `json:"since,omitempty"`      // it has been blocked
	At         time.Time  `json:"at"`
}

const insertNotice = "INSERT INTO usage_notices (id, key_id, kind, origin_id, body, created_at, due_at, attempts, done_at, failure) " +
	"VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, '')"

// notify puts a notice for the holder of a key into the outbox.
func (m *Meter) notify(ctx context.Context, t tx, k *LicenseKey, kind string, o *seenOrigin, now time.Time) error {
	n := notice{ID: uuid.NewString(), Type: kind, LicenseKey: k.Key, Customer: k.Name, At: now}
	var origin int64
	if o != nil {
		origin, n.Origin = o.id, string(o.origin)
	}
	switch kind {
	case NoticePending:
		n.ReviewDays = int(metering.ReviewPeriod / day)
	case NoticeBlocked:
		n.Since = &k.BlockedSince
	}
	body, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return t.exec(ctx, insertNotice, n.ID, k.id, kind, origin, string(body), now.UnixMilli(), now.UnixMilli())
}
