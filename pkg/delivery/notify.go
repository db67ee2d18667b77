package delivery

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/lcp-tools/lcp/pkg/sharedsecret"
)

// Notify tells the service at a URL something, signed as callbacks are and within
// the same bounds: it goes to no other place, waits no longer and reads no more.
// What is answered does not matter, but that it is of success.
func (c *Callbacks) Notify(ctx context.Context, to Callback, s sharedsecret.Secret, body []byte) error {
	target, err := to.target()
	if err == nil && c.isSelf(target) {
		err = fmt.Errorf("%w: %s is this very server", errAddress, target.Host)
	}
	var a answer
	if err == nil {
		a, err = c.notify(ctx, to, target, s, body)
	}
	if err == nil && a.status/100 != 2 {
		err = fmt.Errorf("answer is %d %s", a.status, http.StatusText(a.status))
	}
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}

func (c *Callbacks) notify(ctx context.Context, to Callback, target *url.URL, s sharedsecret.Secret, body []byte) (answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.o.Timeout, errTimeout)
	defer cancel()
	return c.post(ctx, c.client(to.reach(target)), target, s, body)
}
