package license_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"runtime"
	"sync"
	"testing"

	"github.com/lcp-tools/lcp/pkg/certificate"
	"github.com/lcp-tools/lcp/pkg/signature"
)

// slowKey signs when it is told to.
type slowKey struct {
	crypto.Signer
	begun chan struct{}
	goOn  chan struct{}
}

func (k *slowKey) Sign(random io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	k.begun <- struct{}{}
	<-k.goOn
	return k.Signer.Sign(random, digest, o)
}

func slowSigner(t *testing.T) (*signature.Signer, *slowKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.AddDate(0, 0, -1), NotAfter: now.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	slow := &slowKey{key, make(chan struct{}), make(chan struct{})}
	signer, err := signature.NewSigner(slow, parsed)
	if err != nil {
		t.Fatal(err)
	}
	return signer, slow
}

// No more licenses are signed at a time than there are processors, and whoever
// does not want to wait for a turn need not.
func TestSigningTakesTurns(t *testing.T) {
	t.Parallel()
	o := options(t, certificate.P256)
	var slow *slowKey
	o.Signer, slow = slowSigner(t)
	issuer := newIssuer(t, o)
	turns := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for range turns + 3 {
		wg.Go(func() {
			if _, err := issuer.Issue(t.Context(), request()); err != nil {
				t.Error(err)
			}
		})
	}
	for range turns {
		<-slow.begun
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := issuer.Issue(ctx, request()); !errors.Is(err, context.Canceled) {
		t.Errorf("error of a request that ended = %v", err)
	}
	select {
	case <-slow.begun:
		t.Errorf("more than %d signatures at a time", turns)
	default:
	}
	for range 3 {
		slow.goOn <- struct{}{}
		<-slow.begun
	}
	close(slow.goOn)
	wg.Wait()
}
