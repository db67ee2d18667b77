package signature_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"sync"
	"testing"

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

// No more is signed at a time than there are processors, and whoever does not
// want to wait for a turn need not.
func TestSigningTakesTurns(t *testing.T) {
	t.Parallel()
	slow := &slowKey{must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), make(chan struct{}), make(chan struct{})}
	signer := must(signature.NewSigner(slow, certify(t, slow.Signer, nil, nil)))
	turns := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for range turns + 3 {
		wg.Go(func() {
			if _, err := signer.Sign(t.Context(), []byte("{}")); err != nil {
				t.Error(err)
			}
		})
	}
	for range turns {
		<-slow.begun
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := signer.Sign(ctx, []byte("{}")); !errors.Is(err, context.Canceled) {
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

// Everyone gets the signature of their own document, and nobody waits forever,
// though some give up waiting.
func TestSigningInABatch(t *testing.T) {
	t.Parallel()
	for _, bits := range []int{2048, 4096} {
		t.Run(strconv.Itoa(bits), func(t *testing.T) { testBatches(t, bits) })
	}
}

func testBatches(t *testing.T, bits int) {
	t.Parallel()
	key := must(rsa.GenerateKey(rand.Reader, bits))
	signer := must(signature.NewSigner(key, certify(t, key, nil, nil)))
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for j := range 4 {
				ctx, cancel := context.WithCancel(t.Context())
				if (i+j)%3 == 0 {
					cancel()
				}
				document := fmt.Appendf(nil, `{"a":%d,"b":%d}`, i, j)
				s, err := signer.Sign(ctx, document)
				cancel()
				if (i+j)%3 == 0 && errors.Is(err, context.Canceled) {
					continue
				}
				if err != nil {
					t.Error(err)
				} else if _, err := s.Verify(document); err != nil {
					t.Errorf("signature of %s: %v", document, err)
				}
			}
		})
	}
	wg.Wait()
}

// What a key says of why it cannot sign reaches those who asked.
func TestSigningFails(t *testing.T) {
	t.Parallel()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	broken := errors.New("the token was pulled out")
	signer := must(signature.NewSigner(brokenKey{key, broken}, certify(t, key, nil, nil)))
	var wg sync.WaitGroup
	for range 3 * runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			if _, err := signer.Sign(t.Context(), []byte("{}")); !errors.Is(err, broken) {
				t.Errorf("error = %v", err)
			}
		})
	}
	wg.Wait()
}

type brokenKey struct {
	crypto.Signer
	err error
}

func (k brokenKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, k.err }
