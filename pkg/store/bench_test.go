package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/keyring"
	"github.com/lcp-tools/lcp/pkg/status"
	"github.com/lcp-tools/lcp/pkg/store"
	"github.com/lcp-tools/lcp/pkg/store/storetest"
)

// benchVariable says how many licenses the database of the benchmarks has.
const benchVariable = "STORE_BENCH_LICENSES"

// filled opens a database with licenses in it: twenty thousand, or what the
// environment says.
func filled(b *testing.B) (*store.Store, int) {
	b.Helper()
	licenses := 20_000
	if text := os.Getenv(benchVariable); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			b.Fatal(err)
		}
		licenses = n
	}
	k, err := keyring.New(keyring.NewKey())
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "lcp.db")
	o := store.Options{DSN: path, Keyring: k, Now: time.Now, Migrate: true}
	f := storetest.Filling{Licenses: licenses, Publications: 1 + licenses/1000, Users: 1 + licenses/4, Now: time.Now()}
	if err := storetest.Fill(b.Context(), o, "sqlite", path+fillPragmas, f); err != nil {
		b.Fatal(err)
	}
	s, err := store.Open(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s, licenses
}

// BenchmarkStore measures what a license server does all day, from 1, 8 and 64
// goroutines. With STORE_BENCH_LICENSES=1000000 it takes a minute to begin.
func BenchmarkStore(b *testing.B) {
	s, licenses := filled(b)
	register := func(device string) func(store.License, bool) (store.License, []store.Event, error) {
		return func(l store.License, registered bool) (store.License, []store.Event, error) {
			if registered {
				return l, nil, nil
			}
			l.Status, l.StatusUpdated = "active", time.Now()
			return l, []store.Event{{Type: status.EventRegister, DeviceID: device, DeviceName: "Phone", At: time.Now()}}, nil
		}
	}
	var last atomic.Int64
	for name, work := range map[string]func(ctx context.Context, n int64) error{
		"status": func(ctx context.Context, n int64) error {
			_, _, err := s.LicenseHistory(ctx, storetest.FilledLicense(int(n*7919)%licenses))
			return err
		},
		// In the order in which licenses were issued: people open soon what
		// they have bought.
		"register": func(ctx context.Context, n int64) error {
			device := "bench-" + strconv.FormatInt(n, 10)
			_, _, err := s.ChangeLicense(ctx, storetest.FilledLicense(int(n)%licenses), device, register(device))
			return err
		},
		"license": func(ctx context.Context, n int64) error {
			now := time.Now()
			_, err := s.CreateLicense(ctx, store.License{
				UUID: storetest.FilledLicense(licenses + int(n)), PublicationUUID: storetest.FilledPublication(0),
				UserID: storetest.FilledUser(int(n) % 1000), Provider: "https://provider.example.org", Profile: "http://readium.org/lcp/basic-profile",
				Status: "ready", Issued: now, StatusUpdated: now, End: now.AddDate(0, 0, 14),
			})
			return err
		},
	} {
		for _, goroutines := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("%s/%d", name, goroutines), func(b *testing.B) {
				ctx, cancel := context.WithCancel(b.Context()) // as that of a request
				defer cancel()
				left := atomic.Int64{}
				left.Store(int64(b.N))
				done := make(chan error, goroutines)
				b.ResetTimer()
				for range goroutines {
					go func() {
						for left.Add(-1) >= 0 {
							if err := work(ctx, last.Add(1)); err != nil {
								done <- err
								return
							}
						}
						done <- nil
					}()
				}
				for range goroutines {
					if err := <-done; err != nil {
						b.Error(err)
					}
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
			})
		}
	}
}
