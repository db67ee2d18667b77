// Package storetest states what the store promises on every database. The test
// of a dialect gives it empty databases and runs the same suite as the others.
package storetest

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/keyring"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/status"
	"github.com/lcp-tools/lcp/pkg/store"
)

// A Database is an empty database that a test has to itself.
type Database struct {
	DSN string
	// Files returns the files that the database consists of. It is nil if
	// they are out of reach.
	Files func() []string
}

// An Implementation is what the suite tests.
type Implementation struct {
	// New returns a database that outlives its connections.
	New func(t *testing.T) Database
	// Process returns a process, not yet started, that runs Work with these
	// arguments and its standard output.
	Process func(t *testing.T, dsn, name string, books int) *exec.Cmd
	// Fill fills an empty database. It is nil where that takes long.
	Fill func(t *testing.T, o store.Options, f Filling)
}

// Run tests an implementation.
func Run(t *testing.T, impl Implementation) {
	for name, test := range map[string]func(*testing.T, Implementation){
		"publications":      testPublications,
		"alternative ids":   testAltIDs,
		"soft delete":       testSoftDelete,
		"update":            testUpdatePublication,
		"save":              testSave,
		"reserve":           testReserve,
		"lists":             testLists,
		"licenses":          testLicenses,
		"license search":    testLicenseSearch,
		"license moves":     testUpdateLicense,
		"invalid fields":    testInvalid,
		"goroutines":        testGoroutines,
		"first queries":     testFirstQueries,
		"processes":         testProcesses,
		"killed process":    testKilled,
		"sealed keys":       testSealed,
		"master key":        testMasterKey,
		"reseal":            testReseal,
		"schema":            testSchema,
		"cancelled context": testCancelled,
		"replaced file":     testReplacement,
		"status as seen":    testSeenStatus,
		"history":           testHistory,
		"delete license":    testDeleteLicense,
		"each license":      testEachLicense,
		"figures":           testFigures,
		"accounts":          testAccounts,
		"first user":        testFirstUser,
		"audit log":         testAudit,
		"claims":            testClaims,
		"claim race":        testClaimRace,
		"one license":       testOneLicense,
		"many ends":         testManyEnds,
		"mixed failures":    testMixedFailures,
		"replicas start":    testReplicasStart,
		"closed":            testClosed,
		"deep pages":        testDeepPages,
		"providers":         testProviders,
		"secrets":           testSecrets,
		"secrets together":  testSecretsMoveTogether,
		"rights templates":  testTemplates,
		"one spend":         testOneSpend,

		"one license per token": testOneLicensePerToken,
		"token and license":     testTokenAndLicenseTogether,

		"TestKeyIDsAreCaseSensitive": testKeyIDsAreCaseSensitive,
		"TestSecretsSealedAtRest":    testSecretsSealed,
		"TestSpentTokensAreDropped":  testSpentTokensAreDropped,
		"snapshots":                  testSnapshots,
		"license keys":               testLicenseKeys,
		"reading sessions":           testReadingSessions,
		"one session":                testOneReadingSession,
		"review":                     testReview,
		"review ends":                testReviewEnds,
		"blocked streak":             testBlockedStreak,
		"closed month":               testCloseMonth,
		"erased user":                testErase,
		"meter rotation":             testMeterRotation,
		"meter retention":            testSweep,
		"admitted origins":           testAdmits,
		"import publications":        testImportPublications,
		"import licenses":            testImportLicenses,
		"import beside changes":      testImportBesideChanges,
		"many imports":               testManyImports,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, impl)
		})
	}
}

// masterKey is the master key of every database in the suite.
const masterKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// otherKey is another one.
const otherKey = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="

// epoch is when the clocks of the suite begin.
var epoch = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)

// clock returns a clock that moves on by a second whenever it is read.
func clock() func() time.Time {
	var seconds atomic.Int64
	return func() time.Time { return epoch.Add(time.Duration(seconds.Add(1)) * time.Second) }
}

func options(dsn, keys string) (store.Options, error) {
	k, err := keyring.Parse(keys)
	return store.Options{DSN: dsn, Keyring: k, Now: clock(), Migrate: true}, err
}

// open opens a database until the test ends.
func open(t *testing.T, dsn string) *store.Store {
	t.Helper()
	return openKeys(t, dsn, masterKey)
}

// openKeys is open with other master keys.
func openKeys(t *testing.T, dsn, keys string) *store.Store {
	t.Helper()
	o, err := options(dsn, keys)
	if err != nil {
		t.Fatal(err)
	}
	return openOptions(t, o)
}

func openOptions(t *testing.T, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// uuid returns the n-th UUID of a test.
func uuid(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

// key returns the n-th content key of a test.
func key(n int) lcpcrypto.ContentKey {
	var k lcpcrypto.ContentKey
	copy(k[:], fmt.Sprintf("content key number %013d", n))
	return k
}

// publication returns the n-th publication of a test, with every field set.
func publication(n int) store.Publication {
	return store.Publication{
		UUID:        uuid(n),
		AltID:       fmt.Sprintf("alt-%d", n),
		Provider:    "https://provider.example.org",
		Title:       fmt.Sprintf("Title %d <&> \u2028 日本 🎉 e\u0301", n),
		Authors:     []string{"Doe, Jane", "Ō <é>"},
		Publishers:  []string{"House & Co"},
		Description: "\"quoted\"\n" + strings.Repeat("long ", 20000),
		Languages:   []string{"fr", "pt-BR"},
		Published:   "2029-12",
		ContentType: "application/epub+zip",
		Href:        fmt.Sprintf("https://books.example.org/%d.epub", n),
		Size:        1<<33 + int64(n),
		Checksum:    hex.EncodeToString([]byte(fmt.Sprintf("%032d", n))),
		CoverURL:    "https://books.example.org/cover.jpg",
		ContentKey:  key(n),
	}
}

// license returns the n-th license of a test, for a publication.
func license(n int, publication string) store.License {
	limit := int64(n)
	return store.License{
		UUID:            "license-" + uuid(n),
		PublicationUUID: publication,
		UserID:          fmt.Sprintf("user-%d", n%3),
		Provider:        "https://provider.example.org",
		Profile:         "http://readium.org/lcp/basic-profile",
		Start:           epoch,
		End:             epoch.AddDate(0, 0, 14).Add(123 * time.Millisecond),
		MaxEnd:          epoch.AddDate(0, 2, 0),
		Copy:            &limit,
		PlayDuration:    "PT48H",
		Status:          "ready",
		StatusUpdated:   epoch,
		Issued:          epoch,
	}
}

// Work writes to a database as lcp does: for each of a number of books it
// reserves an identity, saves the publication, makes a license and registers a
// device. Once all of that is done it writes a line to out, with the number,
// the UUID and the key. Several processes share the books; licenses are named
// after the process.
func Work(ctx context.Context, dsn, name string, books int, out io.Writer) error {
	o, err := options(dsn, masterKey)
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, o)
	if err != nil {
		return err
	}
	defer s.Close()
	for n := range books {
		if err := workOn(ctx, s, name, n, out); err != nil {
			return fmt.Errorf("%s: book %d: %w", name, n, err)
		}
	}
	return nil
}

func workOn(ctx context.Context, s *store.Store, name string, n int, out io.Writer) error {
	id, _, err := s.Reserve(ctx, store.Identity{AltID: fmt.Sprintf("book-%d", n)})
	if err != nil {
		return err
	}
	p := publication(n)
	p.UUID, p.AltID, p.ContentKey = id.UUID, id.AltID, id.Key
	if _, _, err := s.SavePublication(ctx, p); err != nil {
		return err
	}
	l := license(n, p.UUID)
	l.UUID = workLicense(name, n)
	if _, err := s.CreateLicense(ctx, l); err != nil {
		return err
	}
	if _, err := s.UpdateLicense(ctx, l.UUID, "", register(name)); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, n, p.UUID, p.ContentKey.Base64())
	return err
}

func workLicense(name string, n int) string { return fmt.Sprintf("%s-%d", name, n) }

// register returns a change that registers a device, as often as it is called.
func register(device string) func(store.License, bool) (store.License, []store.Event, error) {
	return func(l store.License, _ bool) (store.License, []store.Event, error) {
		l.Status = "active"
		e := store.Event{Type: status.EventRegister, DeviceID: device, DeviceName: "Device " + device, At: epoch}
		return l, []store.Event{e}, nil
	}
}
