package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/metering"
)

// A Submission is one report of use, or several that were collected, for one
// license key and from one origin.
type Submission struct {
	LicenseKey string
	Origin     metering.Origin
	Signature  *metering.Signature // of a native app, to be used once; nil if there is none
	Events     []metering.Event
}

// An Outcome is what became of an event.
type Outcome struct {
	Status       metering.Status
	Reason       string // for which it is blocked
	SessionID    string
	ValidUntil   time.Time // of the session
	OfflineUntil time.Time // until when use may go unreported; zero if it may not
	Err          error     // why it does not count: a *metering.FieldError or ErrOtherEvent
}

// ErrOtherEvent says that an identifier was used for another event.
var ErrOtherEvent = errors.New("eventId was used for an event with other content")

// maxSubmission is how many events one transaction takes.
const maxSubmission = 1000

// Record counts what a reading system reports, and says what became of each
// event, in the order in which they came. Events with faults do not keep the
// others from being counted; one that is there already is answered as it was, and
// counted once. All of it is one transaction, so that many devices that start to
// read at the same time share one session. It fails with ErrNoLicenseKey,
// ErrKeyDisabled and metering.ErrReplayed.
func (m *Meter) Record(ctx context.Context, sub Submission) ([]Outcome, error) {
	if len(sub.Events) > maxSubmission {
		return nil, fmt.Errorf("record reading sessions: %w: more than %d events", ErrInvalid, maxSubmission)
	}
	var r *recording
	err := m.s.write(ctx, func(t tx) error {
		r = &recording{m: m, t: t, sub: &sub, now: m.s.time(), rollup: make(map[cell]*metering.Usage), unique: make(map[cell]int64)}
		return r.run(ctx)
	})
	if err == nil {
		err = m.streak(ctx, r)
	}
	if err != nil {
		return nil, fmt.Errorf("record reading sessions: %w", err)
	}
	return r.outcomes, nil
}

// recording is the state of one transaction of Record.
type recording struct {
	m        *Meter
	t        tx
	sub      *Submission
	now      time.Time
	key      LicenseKey
	origin   seenOrigin
	outcomes []Outcome
	fresh    []*entry // to be counted, in the order of time
	rollup   map[cell]*metering.Usage
	unique   map[cell]int64
}

// An entry is an event on its way into the tables.
type entry struct {
	index       int // in the submission
	event       *metering.Event
	id          [16]byte
	content     [8]byte // under the key of the primary master key
	at          time.Time
	user        user
	publication int64
	session     *openSession // nil if it is blocked
}

// A user is a row of usage_users.
type user struct {
	id   int64
	salt []byte
}

// openSession is a session that is in hand, with where it is kept.
type openSession struct {
	metering.Session
	changed bool
}

// A cell is where figures are added up.
type cell struct {
	month, of          metering.Month
	group, publication int64
}

func (r *recording) run(ctx context.Context) (err error) {
	if r.key, err = selectOne(ctx, r.t, scanLicenseKey, selectLicenseKey+r.m.s.dialect.forShare, r.sub.LicenseKey); err != nil {
		if errors.Is(err, ErrNotFound) {
			err = ErrNoLicenseKey
		}
		return err
	}
	if r.key.Disabled {
		return ErrKeyDisabled
	}
	r.outcomes = make([]Outcome, len(r.sub.Events))
	for _, step := range []func(context.Context) error{r.useSignature, r.admit, r.resolve, r.count, r.save} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

const (
	selectSignature = "SELECT COUNT(*) FROM used_signatures WHERE id = ?"
	insertSignature = "INSERT INTO used_signatures (id, used_at) VALUES (?, ?)"
)

// useSignature refuses a signature that was used before.
func (r *recording) useSignature(ctx context.Context) error {
	if r.sub.Signature == nil {
		return nil
	}
	n, err := selectOne(ctx, r.t, scanCount, selectSignature, r.sub.Signature[:])
	if err != nil {
		return err
	}
	if n > 0 {
		return metering.ErrReplayed
	}
	return r.t.exec(ctx, insertSignature, r.sub.Signature[:], r.now.UnixMilli())
}

// known is an event that was counted before.
type known struct {
	content [8]byte
	outcome Outcome
}

// statuses are numbered in tables.
var statuses = []metering.Status{"", metering.Started, metering.Continued, metering.Waiting, metering.Refused}

// Numbers of statuses that are blocked, from which on they tell the reason.
var blockedReasons = []string{metering.ReasonUnknown, metering.ReasonBlocked, metering.ReasonTooMany}

func statusNumber(s metering.Status, reason string) int64 {
	if s == metering.Refused {
		return int64(len(statuses) - 1 + max(0, slices.Index(blockedReasons, reason)))
	}
	return int64(slices.Index(statuses, s))
}

func statusOf(n int64) (metering.Status, string) {
	if last := int64(len(statuses) - 1); n >= last {
		return metering.Refused, blockedReasons[min(n-last, int64(len(blockedReasons)-1))]
	}
	return statuses[n], ""
}

// admit sorts out what has faults and what is there already. What is left is
// fresh, in the order of time.
func (r *recording) admit(ctx context.Context) error {
	var entries []*entry
	for i := range r.sub.Events {
		e := &r.sub.Events[i]
		if err := e.Check(r.key.Agreement, r.now); err != nil {
			r.outcomes[i].Err = err
			continue
		}
		at := e.At.UTC().Truncate(time.Millisecond)
		if at.After(r.now) {
			at = r.now
		}
		entries = append(entries, &entry{index: i, event: e, id: eventID(e.ID), content: r.contentOf(r.m.keys[0], e), at: at})
	}
	there, err := r.known(ctx, entries)
	if err != nil {
		return err
	}
	first := make(map[[16]byte]*entry)
	for _, e := range entries {
		before, same := there[e.id], first[e.id]
		switch {
		case before != nil && r.isContent(before.content, e):
			r.outcomes[e.index] = before.outcome
		case before != nil, same != nil && same.content != e.content:
			r.outcomes[e.index].Err = ErrOtherEvent
		case same != nil:
			r.outcomes[e.index].Status = repeated
		default:
			first[e.id] = e
			r.fresh = append(r.fresh, e)
		}
	}
	slices.SortStableFunc(r.fresh, func(a, b *entry) int { return a.at.Compare(b.at) })
	return nil
}

// repeated marks an event that is in a submission twice, until the first of the
// two is counted.
const repeated metering.Status = "repeated"

// eventID returns what identifies an event in the tables: its UUID, so that those
// that are made one after another lie together, or else a hash.
func eventID(text string) [16]byte {
	if id, err := uuid.Parse(text); err == nil && len(text) == 36 {
		return id
	}
	sum := sha256.Sum256([]byte(text))
	return [16]byte(sum[:16])
}

// contentOf hashes all that an event says.
func (r *recording) contentOf(key []byte, e *metering.Event) [8]byte {
	sum := hash(key, "event", r.key.Key, string(r.sub.Origin), e.User, e.Publication, e.Device, e.Signature,
		strconv.FormatInt(e.At.UnixNano(), 10), strconv.FormatInt(e.ActiveSeconds, 10), strconv.FormatBool(e.Offline))
	return [8]byte(sum[:8])
}

// isContent reports whether a hash is that of an event, under any of the keys.
func (r *recording) isContent(content [8]byte, e *entry) bool {
	return content == e.content || slices.ContainsFunc(r.m.keys[1:], func(key []byte) bool {
		return content == r.contentOf(key, e.event)
	})
}

// chunk is how many values a statement looks for at most.
const chunk = 100

// inChunks calls use for up to chunk values at a time. Their number is padded to
// 1, 10 or chunk by repeating the last, so that there are few statements.
func inChunks[T any](values []T, use func(values []T) error) error {
	for part := range slices.Chunk(values, chunk) {
		size := 1
		for size < len(part) {
			size *= 10
		}
		padded := slices.Grow(slices.Clip(part), size-len(part))
		for len(padded) < size {
			padded = append(padded, part[len(part)-1])
		}
		if err := use(padded); err != nil {
			return err
		}
	}
	return nil
}

const selectKnown = "SELECT event, content, status, user_id, publication_id, origin_id, opened_at FROM reading_events WHERE key_id = ? AND event IN "

// known finds the events that were counted before, with what was answered.
func (r *recording) known(ctx context.Context, entries []*entry) (map[[16]byte]*known, error) {
	found := make(map[[16]byte]*known)
	err := inChunks(entries, func(part []*entry) error {
		args := []any{r.key.id}
		for _, e := range part {
			args = append(args, e.id[:])
		}
		type stored struct {
			id, content                       []byte
			status, user, pub, origin, opened int64
		}
		list, err := selectAll(ctx, r.t, func(x row) (s stored, err error) {
			err = x.Scan(&s.id, &s.content, &s.status, &s.user, &s.pub, &s.origin, &s.opened)
			return s, err
		}, selectKnown+placeholders(len(part)), args...)
		if err != nil {
			return err
		}
		for _, s := range list {
			k := &known{content: [8]byte(s.content)}
			k.outcome.Status, k.outcome.Reason = statusOf(s.status)
			if k.outcome.Status != metering.Refused {
				if err := r.answerAgain(ctx, &k.outcome, s.user, s.pub, s.origin, s.opened); err != nil {
					return err
				}
			}
			found[[16]byte(s.id)] = k
		}
		return nil
	})
	return found, err
}

// answerAgain puts the session of an event into its outcome.
func (r *recording) answerAgain(ctx context.Context, o *Outcome, user, publication, origin, opened int64) error {
	o.OfflineUntil = r.offlineUntil()
	if o.Status == metering.Waiting {
		return nil
	}
	o.SessionID = r.sessionID(user, publication, origin, opened)
	until, err := selectOne(ctx, r.t, scanCount,
		"SELECT valid_until FROM reading_sessions WHERE user_id = ? AND publication_id = ? AND origin_id = ? AND opened_at = ?",
		user, publication, origin, opened)
	if errors.Is(err, ErrNotFound) {
		return nil // forgotten since
	}
	o.ValidUntil = time.UnixMilli(until).UTC()
	return err
}

func (r *recording) offlineUntil() time.Time {
	if r.key.OfflineValidity == 0 {
		return time.Time{}
	}
	return r.now.Add(r.key.OfflineValidity).Truncate(time.Second)
}

// sessionID identifies a session to the outside (a UUID, RFC 9562 §5.8).
func (r *recording) sessionID(user, publication, origin, opened int64) string {
	var b [40]byte
	for i, n := range []int64{r.key.id, user, publication, origin, opened} {
		binary.BigEndian.PutUint64(b[8*i:], uint64(n))
	}
	sum := sha256.Sum256(b[:])
	id := uuid.UUID(sum[:16])
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	return id.String()
}

// resolve finds the numbers that the tables know the origin, the publications and
// the users by.
func (r *recording) resolve(ctx context.Context) (err error) {
	if len(r.fresh) == 0 {
		return nil
	}
	if r.origin, err = r.m.meet(ctx, r.t, &r.key, r.sub.Origin, r.now); err != nil {
		return err
	}
	if err := r.resolvePublications(ctx); err != nil || r.blocked() != "" {
		return err
	}
	return r.resolveUsers(ctx)
}

// blocked is the reason for which use at the origin is blocked, or "".
func (r *recording) blocked() string {
	switch {
	case r.origin.id == 0:
		return metering.ReasonTooMany
	case r.origin.state == metering.Blocked:
		return metering.ReasonBlocked
	case r.origin.state == metering.Unknown:
		return metering.ReasonUnknown
	}
	return ""
}

const (
	selectPublications = "SELECT token, id FROM usage_publications WHERE key_id = ? AND token IN "
	insertUsagePub     = "INSERT INTO usage_publications (key_id, token, signature) VALUES (?, ?, ?)"
)

func (r *recording) resolvePublications(ctx context.Context) error {
	signatures, tokens := map[string]string{}, []string{}
	for _, e := range r.fresh {
		if _, ok := signatures[e.event.Publication]; !ok {
			signatures[e.event.Publication] = e.event.Signature
			tokens = append(tokens, e.event.Publication)
		}
	}
	slices.Sort(tokens)
	ids, err := r.publications(ctx, tokens)
	if err != nil {
		return err
	}
	var missing []string
	for _, token := range tokens {
		if ids[token] == 0 {
			missing = append(missing, token)
			if err := r.t.exec(ctx, insertUsagePub, r.key.id, token, signatures[token]); err != nil {
				return err
			}
		}
	}
	added, err := r.publications(ctx, missing)
	for _, e := range r.fresh {
		if e.publication = ids[e.event.Publication]; e.publication == 0 {
			e.publication = added[e.event.Publication]
		}
	}
	return err
}

func (r *recording) publications(ctx context.Context, tokens []string) (map[string]int64, error) {
	ids := make(map[string]int64)
	err := inChunks(tokens, func(part []string) error {
		args := []any{r.key.id}
		for _, token := range part {
			args = append(args, token)
		}
		_, err := selectAll(ctx, r.t, func(x row) (none struct{}, err error) {
			var token string
			var id int64
			err = x.Scan(&token, &id)
			ids[token] = id
			return none, err
		}, selectPublications+placeholders(len(part)), args...)
		return err
	})
	return ids, err
}

const (
	selectUsers     = "SELECT hash, id, salt FROM usage_users WHERE key_id = ? AND hash IN "
	insertUsageUser = "INSERT INTO usage_users (key_id, hash, hash_key, salt) VALUES (?, ?, ?, ?)"
	updateUserHash  = "UPDATE usage_users SET hash = ?, hash_key = ? WHERE id = ?"
)

type userHash [16]byte

func (m *Meter) userHash(i int, key, token string) userHash {
	sum := hash(m.keys[i], "user", key, token)
	return userHash(sum[:16])
}

// resolveUsers finds the users, and locks them: nobody else opens sessions for
// them until the end of the transaction.
func (r *recording) resolveUsers(ctx context.Context) error {
	tokens := map[userHash]string{}
	var hashes []userHash
	for _, e := range r.fresh {
		h := r.m.userHash(0, r.key.Key, e.event.User)
		if _, ok := tokens[h]; !ok {
			tokens[h] = e.event.User
			hashes = append(hashes, h)
		}
	}
	slices.SortFunc(hashes, func(a, b userHash) int { return slices.Compare(a[:], b[:]) })
	users, err := r.users(ctx, hashes)
	if err != nil {
		return err
	}
	var missing []userHash
	for _, h := range hashes {
		if users[h].id == 0 {
			missing = append(missing, h)
			if err := r.addUser(ctx, h, tokens[h]); err != nil {
				return err
			}
		}
	}
	added, err := r.users(ctx, missing)
	byToken := make(map[string]user)
	for h, token := range tokens {
		if byToken[token] = users[h]; users[h].id == 0 {
			byToken[token] = added[h]
		}
	}
	for _, e := range r.fresh {
		e.user = byToken[e.event.User]
	}
	return err
}

func (r *recording) users(ctx context.Context, hashes []userHash) (map[userHash]user, error) {
	found := make(map[userHash]user)
	err := inChunks(hashes, func(part []userHash) error {
		args := []any{r.key.id}
		for _, h := range part {
			args = append(args, h[:])
		}
		_, err := selectAll(ctx, r.t, func(x row) (none struct{}, err error) {
			var h []byte
			var u user
			if err = x.Scan(&h, &u.id, &u.salt); err == nil {
				found[userHash(h)] = u
			}
			return none, err
		}, selectUsers+placeholders(len(part))+r.m.s.dialect.forUpdate, args...)
		return err
	})
	return found, err
}

// addUser adds a user, or puts the hash under the primary master key in place of
// one under an older key.
func (r *recording) addUser(ctx context.Context, h userHash, token string) error {
	for i := range r.m.keys[1:] {
		old := r.m.userHash(i+1, r.key.Key, token)
		found, err := r.users(ctx, []userHash{old})
		if err != nil {
			return err
		}
		if u := found[old]; u.id != 0 {
			return r.t.exec(ctx, updateUserHash, h[:], r.m.names[0], u.id)
		}
	}
	salt := make([]byte, 8)
	rand.Read(salt) // never returns an error
	return r.t.exec(ctx, insertUsageUser, r.key.id, h[:], r.m.names[0], salt)
}

// reader is a user with a publication; the origin is the same for all.
type reader struct{ user, publication int64 }

// count decides on each event in the order of time.
func (r *recording) count(ctx context.Context) error {
	if reason := r.blocked(); len(r.fresh) > 0 && reason != "" {
		for _, e := range r.fresh {
			r.outcomes[e.index] = Outcome{Status: metering.Refused, Reason: reason}
			r.usage(metering.MonthOf(e.at), e.publication).Blocked++
		}
		return r.repeat()
	}
	sessions, err := r.sessions(ctx)
	if err != nil {
		return err
	}
	var starting []*entry // that start a session
	for _, e := range r.fresh {
		who := reader{e.user.id, e.publication}
		var status metering.Status
		sessions[who], status = r.use(e, sessions[who])
		if status == metering.Started {
			starting = append(starting, e)
		}
	}
	if err := r.countUsers(ctx, starting); err != nil {
		return err
	}
	if err := r.saveSessions(ctx, sessions); err != nil {
		return err
	}
	return r.repeat()
}

// repeat answers events that are in the submission twice.
func (r *recording) repeat() error {
	first := make(map[string]Outcome)
	for i, e := range r.sub.Events {
		switch o := r.outcomes[i]; {
		case o.Status == repeated:
			r.outcomes[i] = first[e.ID]
		case o.Err == nil:
			first[e.ID] = o
		}
	}
	return nil
}

const (
	selectSessions = "SELECT user_id, publication_id, opened_at, started_at, valid_until, seconds FROM reading_sessions " +
		"WHERE origin_id = ? AND valid_until > ? AND ("
	ofReader = "user_id = ? AND publication_id = ?"
)

// sessions returns those that events may belong to, by reader and in the order in
// which they were opened.
func (r *recording) sessions(ctx context.Context) (map[reader][]*openSession, error) {
	found := make(map[reader][]*openSession)
	if len(r.fresh) == 0 {
		return found, nil
	}
	asked := make(map[reader]bool)
	var readers []reader
	for _, e := range r.fresh {
		if who := (reader{e.user.id, e.publication}); !asked[who] {
			asked[who] = true
			readers = append(readers, who)
		}
	}
	err := inChunks(readers, func(part []reader) error {
		args := []any{r.origin.id, r.fresh[0].at.UnixMilli()}
		for _, who := range part {
			args = append(args, who.user, who.publication)
		}
		_, err := selectAll(ctx, r.t, func(x row) (none struct{}, err error) {
			var who reader
			var opened, started, until int64
			s := &openSession{}
			err = x.Scan(&who.user, &who.publication, &opened, &started, &until, &s.Seconds)
			s.Opened, s.ValidUntil = time.UnixMilli(opened).UTC(), time.UnixMilli(until).UTC()
			s.Started = fromMillis(nonZero(started))
			found[who] = append(found[who], s)
			return none, err
		}, selectSessions+anyOf(ofReader, len(part)), args...)
		return err
	})
	for _, list := range found {
		slices.SortFunc(list, func(a, b *openSession) int { return a.Opened.Compare(b.Opened) })
	}
	return found, err
}

// anyOf returns a condition n times, one of which is to be met, and closes a
// parenthesis.
func anyOf(condition string, n int) string {
	return condition + strings.Repeat(" OR "+condition, n-1) + ")"
}

// use adds an event to the session that it belongs to, and to the figures.
func (r *recording) use(e *entry, sessions []*openSession) ([]*openSession, metering.Status) {
	plain := make([]metering.Session, len(sessions))
	for i, s := range sessions {
		plain[i] = s.Session
	}
	i := metering.Place(plain, e.at, r.key.Agreement)
	if i < 0 {
		s := &openSession{Session: metering.Open(e.at, r.key.Agreement)}
		i, _ = slices.BinarySearchFunc(sessions, e.at, func(s *openSession, at time.Time) int { return s.Opened.Compare(at) })
		sessions = slices.Insert(sessions, i, s)
	}
	s := sessions[i]
	e.session, s.changed = s, true
	status := s.Use(e.at, e.event.ActiveSeconds, r.key.Agreement)
	o := Outcome{Status: status, OfflineUntil: r.offlineUntil()}
	month := metering.MonthOf(e.at)
	switch status {
	case metering.Started:
		month = metering.MonthOf(s.Started)
		u := r.usage(month, e.publication)
		u.Started++
		u.ActiveSeconds += s.Seconds
		if r.origin.state == metering.Pending {
			u.Held++
		} else {
			u.Billable++
		}
	case metering.Continued:
		u := r.usage(month, e.publication)
		u.Continued++
		u.ActiveSeconds += e.event.ActiveSeconds
	case metering.Waiting, metering.Refused:
	}
	if status != metering.Waiting {
		o.SessionID = r.sessionID(e.user.id, e.publication, r.origin.id, s.Opened.UnixMilli())
		o.ValidUntil = s.ValidUntil
		if e.event.Offline {
			r.usage(month, e.publication).Offline++
		}
	}
	r.outcomes[e.index] = o
	return sessions, status
}

// usage returns where the figures of a month are added up. Those of a month that
// is closed go to the present one.
func (r *recording) usage(of metering.Month, publication int64) *metering.Usage {
	c := cell{r.booked(of), of, r.origin.group, publication}
	if r.rollup[c] == nil {
		r.rollup[c] = new(metering.Usage)
	}
	return r.rollup[c]
}

func (r *recording) booked(of metering.Month) metering.Month { return booked(&r.key, of, r.now) }

// booked is the month in which use of a month is billed.
func booked(k *LicenseKey, of metering.Month, now time.Time) metering.Month {
	if of >= k.OpenMonth {
		return of
	}
	return max(metering.MonthOf(now), k.OpenMonth)
}

const selectCounted = "SELECT user_id, of_month, group_id, publication_id FROM usage_counted WHERE of_month >= ? AND of_month <= ? AND user_id IN "

// counted is a user who was counted in a grouping. 0 stands for all groups, or
// all publications: there are rows for neither, since the others tell.
type counted struct {
	user, month, group, publication int64
}

// groupings are those in which a user is counted.
func (c counted) groupings() [4]counted {
	return [4]counted{{c.user, c.month, 0, 0}, {c.user, c.month, 0, c.publication}, {c.user, c.month, c.group, 0}, c}
}

// countUsers counts the users who start sessions, once each in every grouping.
func (r *recording) countUsers(ctx context.Context, starting []*entry) error {
	done, err := r.counted(ctx, starting)
	if err != nil {
		return err
	}
	var rows [][]any
	for _, e := range starting {
		of := metering.MonthOf(e.session.Started)
		full := counted{e.user.id, int64(of), r.origin.group, e.publication}
		if done[full] {
			continue
		}
		rows = append(rows, []any{full.user, full.month, full.group, full.publication})
		for _, c := range full.groupings() {
			if !done[c] {
				done[c] = true
				r.unique[cell{r.booked(of), of, c.group, c.publication}]++
			}
		}
	}
	return countedRows.write(ctx, r.t, rows)
}

// counted returns where the users who start sessions were counted before.
func (r *recording) counted(ctx context.Context, starting []*entry) (map[counted]bool, error) {
	done := make(map[counted]bool)
	if len(starting) == 0 {
		return done, nil
	}
	first, last := starting[0].session.Started, starting[0].session.Started
	var users []int64
	for _, e := range starting {
		users = append(users, e.user.id)
		first, last = earlier(first, e.session.Started), later(last, e.session.Started)
	}
	slices.Sort(users)
	err := inChunks(slices.Compact(users), func(part []int64) error {
		args := []any{int64(metering.MonthOf(first)), int64(metering.MonthOf(last))}
		for _, id := range part {
			args = append(args, id)
		}
		_, err := selectAll(ctx, r.t, func(x row) (none struct{}, err error) {
			var there counted
			err = x.Scan(&there.user, &there.month, &there.group, &there.publication)
			for _, c := range there.groupings() {
				done[c] = true
			}
			return none, err
		}, selectCounted+placeholders(len(part)), args...)
		return err
	})
	return done, err
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (r *recording) saveSessions(ctx context.Context, sessions map[reader][]*openSession) error {
	var rows [][]any
	for who, list := range sessions {
		for _, s := range list {
			if !s.changed {
				continue
			}
			started := int64(0)
			if !s.Started.IsZero() {
				started = s.Started.UnixMilli()
			}
			rows = append(rows, []any{
				who.user, who.publication, r.origin.id, s.Opened.UnixMilli(), started, s.ValidUntil.UnixMilli(), s.Seconds,
			})
		}
	}
	return sessionRows.write(ctx, r.t, rows)
}

// save writes events and figures.
func (r *recording) save(ctx context.Context) error {
	rows := make([][]any, len(r.fresh))
	for i, e := range r.fresh {
		rows[i] = r.eventRow(e)
	}
	if err := eventRows.write(ctx, r.t, rows); err != nil {
		return err
	}
	if err := addUsage(ctx, r.t, r.key.id, r.rollup); err != nil {
		return err
	}
	return addUnique(ctx, r.t, r.key.id, r.unique)
}

func (r *recording) eventRow(e *entry) []any {
	o, opened := r.outcomes[e.index], int64(0)
	if e.session != nil {
		opened = e.session.Opened.UnixMilli()
	}
	device := []byte{}
	if e.event.Device != "" && e.user.id != 0 {
		sum := hash(r.m.keys[0], "device", string(e.user.salt), e.event.Device)
		device = sum[:8]
	}
	return []any{
		r.key.id, e.id[:], e.content[:], e.at.UnixMilli(), e.user.id, e.publication, r.origin.id, device, e.event.ActiveSeconds,
		statusNumber(o.Status, o.Reason), opened,
	}
}
