package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrSpent says that a token was used before.
var ErrSpent = errors.New("token was used before")

// A Spending is the use of a token that is good once.
type Spending struct {
	Provider string    // identifier of the provider whose token it is
	Token    string    // what its tokens are told apart by, 64 characters at most
	Until    time.Time // the note of it is dropped some time after
}

const (
	// spendsPerSweep is after how many tokens that are spent old ones go, and
	// sweepSize how many of them: more, so that they never pile up, and not many,
	// so that nobody waits for it.
	spendsPerSweep = 64
	sweepSize      = 256
)

const (
	insertSpent = "INSERT INTO spent_tokens (id, expires_at) VALUES (?, ?)"
	forgetSpent = `DELETE FROM spent_tokens WHERE id IN
	(SELECT id FROM (SELECT id FROM spent_tokens WHERE expires_at < ? ORDER BY expires_at LIMIT ?) old)`
)

func (n *Spending) id() string { return n.Provider + "/" + n.Token }

func (n *Spending) check() error {
	return checkFields(field{"provider", n.Provider, maxKeyPart}, field{"token", n.Token, maxKeyPart})
}

// Spend notes that a token was used. It fails with ErrSpent if it was before: of
// any number of calls at the same time, from any process, one succeeds.
// CreateLicenseWith does the same together with a license.
func (s *Store) Spend(ctx context.Context, n Spending) error {
	err := n.check()
	if err == nil {
		err = s.write(ctx, func(t tx) error { return spend(ctx, t, &n) })
	}
	s.afterSpending(ctx, &n, err)
	if err != nil {
		return fmt.Errorf("spend a token: %w", err)
	}
	return nil
}

func spend(ctx context.Context, t tx, n *Spending) error {
	noted, err := t.execCount(ctx, t.s.dialect.unlessThere(insertSpent), n.id(), ceilMillis(n.Until))
	if err == nil && noted == 0 {
		err = ErrSpent
	}
	return err
}

// afterSpending remembers a token that is spent now, and drops some notes of others
// that have expired each time that so many were. Where that fails, the next one
// has another chance.
func (s *Store) afterSpending(ctx context.Context, n *Spending, err error) {
	if err == nil || errors.Is(err, ErrSpent) {
		s.spent.add(n.id())
	}
	if err == nil && s.spends.Add(1)%spendsPerSweep == 0 {
		_ = s.write(ctx, func(t tx) error { return t.exec(ctx, forgetSpent, s.time().UnixMilli(), sweepSize) })
	}
}

// KnownSpent reports whether a token is among those that this Store has lately seen
// spent. It costs next to nothing. One that it does not know may be spent all the
// same.
func (s *Store) KnownSpent(n Spending) bool { return s.spent.has(n.id()) }

// recent remembers identifiers that came last, maxRecent of them or up to twice as
// many.
type recent struct {
	mu         sync.Mutex
	young, old map[string]bool // guarded by mu
}

const maxRecent = 4096

func (r *recent) add(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.young) >= maxRecent || r.young == nil {
		r.young, r.old = make(map[string]bool), r.young
	}
	r.young[id] = true
}

func (r *recent) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.young[id] || r.old[id]
}
