package license_test

import (
	"testing"

	"github.com/lcp-tools/lcp/pkg/certificate"
)

// BenchmarkIssue makes whole licenses; BenchmarkSign is the part of it that no
// code of ours can make faster.
func BenchmarkIssue(b *testing.B) {
	for _, keyType := range []certificate.KeyType{certificate.RSA2048, certificate.P256} {
		b.Run(string(keyType), func(b *testing.B) {
			issuer, r := newIssuer(b, options(b, keyType)), request()
			b.ReportAllocs()
			for b.Loop() {
				issue(b, issuer, r)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "licenses/s")
		})
	}
}

func BenchmarkSign(b *testing.B) {
	for _, keyType := range []certificate.KeyType{certificate.RSA2048, certificate.P256} {
		b.Run(string(keyType), func(b *testing.B) {
			signer, _ := provider(b, keyType)
			document := make([]byte, 1024)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := signer.Sign(b.Context(), document); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "signatures/s")
		})
	}
}
