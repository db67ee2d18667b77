package store_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/keyring"
	"github.com/lcp-tools/lcp/pkg/metering"
	"github.com/lcp-tools/lcp/pkg/store"
)

// BenchmarkMeter counts events a second, of 20 000 users who read 500
// publications: one at a time from 1, 8 and 64 goroutines, and in batches of 100.
func BenchmarkMeter(b *testing.B) {
	k, err := keyring.New(keyring.NewKey())
	if err != nil {
		b.Fatal(err)
	}
	s, err := store.Open(b.Context(), store.Options{DSN: filepath.Join(b.TempDir(), "lcp.db"), Keyring: k, Now: time.Now, Migrate: true})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	m := s.Meter()
	key, err := m.CreateLicenseKey(b.Context(), store.LicenseKey{Name: "bench", Agreement: metering.DefaultAgreement()})
	if err == nil {
		err = m.Decide(b.Context(), key.Key, metering.Rule{Pattern: "https://*.example.org", State: metering.Approved}, "bench")
	}
	if err != nil {
		b.Fatal(err)
	}
	submission := func(n int) store.Submission {
		sub := store.Submission{LicenseKey: key.Key, Origin: metering.Origin(fmt.Sprintf("https://site-%d.example.org", rand.IntN(20)))}
		for range n {
			sub.Events = append(sub.Events, metering.Event{
				ID: uuid.Must(uuid.NewV7()).String(), User: strconv.Itoa(rand.IntN(20_000)), Publication: strconv.Itoa(rand.IntN(500)),
				Device: "device", At: time.Now(), ActiveSeconds: 60,
			})
		}
		return sub
	}
	for _, size := range []int{1, 100} {
		for _, goroutines := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("batch=%d/goroutines=%d", size, goroutines), func(b *testing.B) {
				b.SetParallelism(max(1, goroutines/2))
				b.RunParallel(func(p *testing.PB) {
					for p.Next() {
						if _, err := m.Record(b.Context(), submission(size)); err != nil {
							b.Error(err)
						}
					}
				})
				b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}
