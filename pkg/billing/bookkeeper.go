package billing

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/lcp-tools/lcp/pkg/metering"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
	"github.com/lcp-tools/lcp/pkg/store"
)

// A Bookkeeper does what has to be done without anybody. Several may work on one
// database: each thing is done once.
type Bookkeeper struct {
	Meter *store.Meter
	// Notify brings a notification to a URL, signed, and to nowhere that it must
	// not go.
	Notify    func(ctx context.Context, url string, s sharedsecret.Secret, body []byte) error
	Retention time.Duration // of events and sessions
	CloseDay  int           // of a month, on which the one before is closed; 0 for never
	Now       func() time.Time
	Log       *slog.Logger

	sweep store.Sweep
}

const (
	roundPause = 5 * time.Second  // between two rounds
	sweepPause = 10 * time.Minute // between two of those that forget and close
	lease      = 2 * time.Minute  // for the attempts of one round
	perRound   = 20               // notices
	// maxAttempts and the pauses between them make three days in which the
	// service of the holder of a key may be out of reach.
	maxAttempts = 24
	firstPause  = 30 * time.Second
	maxPause    = 4 * time.Hour
)

// Run works until the context ends. What fails is logged and tried again.
func (b *Bookkeeper) Run(ctx context.Context) {
	var swept time.Time
	for {
		b.report(ctx, "deliver notices", b.deliver(ctx))
		b.report(ctx, "end reviews", b.endReviews(ctx))
		if now := b.Now(); now.Sub(swept) >= sweepPause {
			swept = now
			b.report(ctx, "close months", b.closeMonths(ctx))
			b.report(ctx, "forget what is old", b.forget(ctx))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(roundPause + rand.N(roundPause/2)): //nolint:gosec // not a secret: replicas are not to work in step
		}
	}
}

// Round does all that is due now, once. It is what Run does again and again.
func (b *Bookkeeper) Round(ctx context.Context) error {
	for _, work := range []func(context.Context) error{b.deliver, b.endReviews, b.closeMonths, b.forget} {
		if err := work(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bookkeeper) report(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		b.Log.ErrorContext(ctx, "work on reading sessions failed", "work", what, "err", err)
	}
}

// deliver brings notices to those whom they are for.
func (b *Bookkeeper) deliver(ctx context.Context) error {
	notices, err := b.Meter.DueNotices(ctx, lease, perRound)
	if err != nil {
		return err
	}
	for i := range notices {
		if err := b.tell(ctx, &notices[i]); err != nil {
			return err
		}
	}
	return nil
}

// tell brings one notice. The log has all of them, too.
func (b *Bookkeeper) tell(ctx context.Context, n *store.Notice) error {
	log := b.Log.With("license_key", n.Key.Key, "customer", n.Key.Name, "notice", n.Kind, "id", n.ID)
	if n.Attempts == 0 {
		log.WarnContext(ctx, "pay-per-use notice", "body", string(n.Body))
	}
	if n.Key.Webhook == "" {
		return b.Meter.EndNotice(ctx, n, "")
	}
	err := b.send(ctx, n)
	switch {
	case ctx.Err() != nil:
		return ctx.Err() // the lease ends, and somebody tries again
	case err == nil:
		return b.Meter.EndNotice(ctx, n, "")
	case n.Attempts+1 >= maxAttempts:
		log.ErrorContext(ctx, "pay-per-use notice given up", "attempts", n.Attempts+1, "err", err)
		return b.Meter.EndNotice(ctx, n, err.Error())
	}
	pause := min(firstPause<<min(n.Attempts, 20), maxPause)
	log.WarnContext(ctx, "pay-per-use notice not delivered", "attempts", n.Attempts+1, "again_in", pause, "err", err)
	return b.Meter.RetryNotice(ctx, n, b.Now().Add(pause), err.Error())
}

// webhookKeyID names the secret of a notification.
const webhookKeyID = "webhook"

func (b *Bookkeeper) send(ctx context.Context, n *store.Notice) error {
	secret, err := b.Meter.WebhookSecret(&n.Key)
	if err != nil {
		return err
	}
	s := sharedsecret.Secret{KeyID: webhookKeyID, Value: sharedsecret.NewValue([]byte(secret.Reveal()))}
	return b.Notify(ctx, n.Key.Webhook, s, n.Body)
}

// endReviews approves origins that nobody decided about in time.
func (b *Bookkeeper) endReviews(ctx context.Context) error {
	done, err := b.Meter.EndReviews(ctx)
	for _, o := range done {
		b.Log.InfoContext(ctx, "origin approved", "license_key", o.LicenseKey, "origin", string(o.Pattern), "by", store.ReviewEnded)
	}
	return err
}

// closeMonths closes the last month, once its day has come.
func (b *Bookkeeper) closeMonths(ctx context.Context) error {
	now := b.Now().UTC()
	if b.CloseDay == 0 || now.Day() < b.CloseDay {
		return nil
	}
	last := metering.MonthOf(now) - 1
	keys, err := b.Meter.LicenseKeys(ctx)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.OpenMonth > last {
			continue
		}
		closed, err := b.Meter.CloseMonth(ctx, k.Key, last)
		if err != nil {
			return err
		}
		if closed {
			b.Log.InfoContext(ctx, "month closed", "license_key", k.Key, "month", last.String())
		}
	}
	return nil
}

// forget removes what is older than the retention, a part at a time.
func (b *Bookkeeper) forget(ctx context.Context) error {
	for more := true; more && ctx.Err() == nil; {
		var err error
		if b.sweep, more, err = b.Meter.Sweep(ctx, b.Retention, b.sweep); err != nil {
			return fmt.Errorf("forget what is older than %s: %w", b.Retention, err)
		}
	}
	return nil
}
