package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	// claimLife is how long a repeated request gets the first answer.
	claimLife = 24 * time.Hour
	// claimGrace is how long whoever claimed a request may take to answer it.
	// After that it is taken for dead, and the request may be claimed again.
	claimGrace = time.Minute
)

// Refusals of Claim.
var (
	ErrClaimed      = errors.New("the request is being answered")
	ErrOtherRequest = errors.New("the key was used for another request")
)

// A Claim is on a request that must have one effect, however often it comes.
type Claim struct {
	Actor   string   // who asks; each has keys of its own
	Key     string   // chosen by the actor
	Request [32]byte // hash of the request
}

// An Answer is what a request was answered.
type Answer struct {
	Status      int    `json:"status"`
	ContentType string `json:"content_type"`
	Location    string `json:"location"`
	Body        []byte `json:"body"`
}

// id is what a claim is known by in the database: of a fixed length, whatever
// the key.
func (c *Claim) id() string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%d %s%s", len(c.Actor), c.Actor, c.Key) // a hash takes all
	return hex.EncodeToString(h.Sum(nil))
}

// answerData is what a sealed answer is bound to.
func answerData(id string) []byte { return []byte("answer to request " + id) }

const (
	selectClaim  = "SELECT request, claimed_at, answer FROM claims WHERE id = ?"
	insertClaim  = "INSERT INTO claims (request, claimed_at, id) VALUES (?, ?, ?)"
	renewClaim   = "UPDATE claims SET request = ?, claimed_at = ?, answer = NULL WHERE id = ?"
	answerClaim  = "UPDATE claims SET answer = ? WHERE id = ?"
	deleteClaim  = "DELETE FROM claims WHERE id = ?"
	forgetClaims = "DELETE FROM claims WHERE claimed_at < ?"
)

// claimRow is a claim as it lies in its table.
type claimRow struct {
	request string
	at      int64
	answer  []byte
}

func scanClaim(r row) (c claimRow, err error) {
	err = r.Scan(&c.request, &c.at, &c.answer)
	return c, err
}

// Claim says who answers a request. A nil Answer means the caller, who then
// calls Answer or Release; otherwise it is the first answer. It fails with
// ErrClaimed while somebody else is at work, for a minute at most, and with
// ErrOtherRequest if the actor has used the key for something else. All is
// forgotten after a day.
func (s *Store) Claim(ctx context.Context, c Claim) (*Answer, error) {
	id, now := c.id(), s.time()
	var sealed []byte
	err := s.write(ctx, func(t tx) error {
		sealed = nil
		if s.sweepDue(now) {
			if err := t.exec(ctx, forgetClaims, now.Add(-claimLife).UnixMilli()); err != nil {
				return err
			}
		}
		request := hex.EncodeToString(c.Request[:])
		known, err := selectOne(ctx, t, scanClaim, selectClaim+s.dialect.forUpdate, id)
		age := now.Sub(time.UnixMilli(known.at))
		switch {
		case errors.Is(err, ErrNotFound):
			return t.exec(ctx, insertClaim, request, now.UnixMilli(), id)
		case err != nil:
			return err
		case age >= claimLife:
			return t.exec(ctx, renewClaim, request, now.UnixMilli(), id)
		case known.request != request:
			return ErrOtherRequest
		case known.answer != nil:
			sealed = known.answer
			return nil
		case age < claimGrace:
			return ErrClaimed
		default:
			return t.exec(ctx, renewClaim, request, now.UnixMilli(), id)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("claim request: %w", err)
	}
	if sealed == nil {
		return nil, nil //nolint:nilnil // a claim without an answer is the caller's
	}
	return s.openAnswer(id, sealed)
}

func (s *Store) openAnswer(id string, sealed []byte) (*Answer, error) {
	text, err := s.keyring.Open(sealed, answerData(id))
	if err != nil {
		return nil, fmt.Errorf("open the answer to a request: %w", err)
	}
	var a Answer
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, fmt.Errorf("read the answer to a request: %w", err)
	}
	return &a, nil
}

// Answer keeps what a claimed request was answered, sealed: a license names its
// user. It fails with ErrNotFound if the claim was released or forgotten.
func (s *Store) Answer(ctx context.Context, c Claim, a *Answer) error {
	id := c.id()
	text, err := json.Marshal(a)
	if err == nil {
		sealed := s.keyring.Seal(text, answerData(id))
		err = s.write(ctx, func(t tx) error {
			n, err := t.execCount(ctx, answerClaim, sealed, id)
			if err == nil && n == 0 {
				err = ErrNotFound
			}
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("keep the answer to a request: %w", err)
	}
	return nil
}

// Release gives up a claim: the request had no effect, and may be made again.
func (s *Store) Release(ctx context.Context, c Claim) error {
	err := s.write(ctx, func(t tx) error { return t.exec(ctx, deleteClaim, c.id()) })
	if err != nil {
		return fmt.Errorf("release the claim on a request: %w", err)
	}
	return nil
}

// sweepDue reports, about once a minute, that old claims should go.
func (s *Store) sweepDue(now time.Time) bool {
	last := s.swept.Load()
	return now.UnixMilli()-last >= claimGrace.Milliseconds() && s.swept.CompareAndSwap(last, now.UnixMilli())
}
