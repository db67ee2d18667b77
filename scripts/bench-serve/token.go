package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
	"github.com/lcp-tools/lcp/pkg/store"
	"github.com/lcp-tools/lcp/pkg/store/storetest"
)

// shareSecret gives the default provider of a database a secret that tokens are
// signed with.
func (b *bench) shareSecret(ctx context.Context, db *database) error {
	keys, err := b.keyring()
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, store.Options{DSN: db.dsn, Keyring: keys, Now: now, Migrate: true})
	if err != nil {
		return err
	}
	defer s.Close()
	secret, err := sharedsecret.Generate(provider.DefaultID, sharedsecret.HS256, now())
	if err != nil {
		return err
	}
	if err := s.AddSecret(ctx, secret); err != nil {
		return err
	}
	db.secret, err = s.MoveSecret(ctx, provider.DefaultID, secret.KeyID, sharedsecret.Active)
	return err
}

// measureTokens measures licenses that tokens authorize, beside the rate of those
// of the License API. Tokens are signed before.
func (b *bench) measureTokens(ctx context.Context, s *server, db *database, k keyKind, connections int, plain rate) error {
	crt := fmt.Sprintf(`{"assetId":%q,"profile":{"type":"rental","relativeExpiration":"P1M"},"lcp":{"copy":20000,"print":100},`+
		`"user":{"id":%q,"name":"John Doe","email":"test@company.com","encrypted":["name","email"]},`+
		`"textHint":"A textual hint for your passphrase.","passHash":"faeb00ca518bea7cb11a7ef31fb6183b489b1b6eadb792bec64a03b3f6ff80a8"}`,
		storetest.FilledPublication(0), buyer(0))
	before, after, _ := strings.Cut(crt, buyer(0))
	requests := make([]string, connections+int(1.5*plain.perSecond*b.duration.Seconds()))
	issued := now()
	for i := range requests {
		token, err := delivery.Mint(db.secret, delivery.Claims{ID: rand.Text(), IssuedAt: issued}, []byte(before+buyer(int64(i))+after))
		if err != nil {
			return err
		}
		requests[i] = "POST /gateway/licenses HTTP/1.1\r\nHost: x\r\nX-Dt-Auth-Token: " + token + "\r\nContent-Length: 0\r\n\r\n"
	}
	l := load{
		address: s.address, pid: s.cmd.Process.Pid, connections: connections, duration: b.duration, want: http.StatusCreated,
		most: int64(len(requests)), request: func(dst []byte, n int64) []byte { return append(dst, requests[n]...) },
	}
	r, err := l.run(ctx)
	if err != nil {
		return err
	}
	ratio := percent(r.perSecond, plain.perSecond)
	verdict := b.out.judge(b.counts(db, connections), target{
		what: "tokens " + k.name, measured: fmt.Sprintf("%.0f/s, %.0f %% of those without", r.perSecond, ratio), wanted: "≥ 80 %", held: ratio >= 80,
	})
	b.out.rate("tokens "+k.name, connections, r, fmt.Sprintf("%3.0f %% of licenses without, %3.0f %% by CPU", ratio,
		percent(float64(plain.cpu)/float64(time.Microsecond), float64(r.cpu)/float64(time.Microsecond))), verdict)
	return nil
}
