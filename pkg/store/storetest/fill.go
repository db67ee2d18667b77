package storetest

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	googleuuid "github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/status"
	"github.com/lcp-tools/lcp/pkg/store"
)

// A Filling is a catalogue with its licenses, for tests of speed: as if they had
// been issued one after another over 400 days, most of them loans that have
// ended, and most of those on one or two devices.
type Filling struct {
	Licenses     int
	Publications int // at least one
	Users        int // at least one
	Now          time.Time
}

// days is over how many days licenses are issued.
const days = 400

// FilledLicense returns the UUID of the n-th license of every filling.
func FilledLicense(n int) string {
	sum := sha256.Sum256([]byte("license " + strconv.Itoa(n)))
	return googleuuid.UUID(sum[:16]).String()
}

// FilledPublication returns the UUID of the n-th publication of every filling.
func FilledPublication(n int) string {
	sum := sha256.Sum256([]byte("publication " + strconv.Itoa(n)))
	return googleuuid.UUID(sum[:16]).String()
}

// FilledUser returns the n-th user of every filling.
func FilledUser(n int) string { return fmt.Sprintf("user-%07d", n) }

// Fill fills an empty database that o opens, past the store and thus quickly,
// with all that the store keeps of licenses. driver is the name of the driver
// and source the name of the database in its words.
func Fill(ctx context.Context, o store.Options, driver, source string, f Filling) error {
	s, err := store.Open(ctx, o)
	if err != nil {
		return err
	}
	for n := range f.Publications {
		p := store.Publication{
			UUID: FilledPublication(n), AltID: fmt.Sprintf("alt-%d", n), Title: fmt.Sprintf("Publication %d", n), Authors: []string{"Author"},
			ContentType: "application/epub+zip", Href: fmt.Sprintf("https://books.example.org/%d.epub", n), Size: 1 << 20,
			Checksum: strings.Repeat("0123456789abcdef", 4), ContentKey: lcpcrypto.NewContentKey(),
		}
		if _, err := s.CreatePublication(ctx, p); err != nil {
			return errors.Join(err, s.Close())
		}
	}
	if err := s.Close(); err != nil {
		return err
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if err := fillLicenses(ctx, db, driver, f); err != nil {
		return fmt.Errorf("fill database: %w", err)
	}
	return nil
}

// filledRow is a license of a filling.
type filledRow struct {
	uuid, publication, user, status string
	issued, end                     int64 // end 0: none
	devices                         int
}

func (f *Filling) row(n int) filledRow {
	begin := f.Now.AddDate(0, 0, -days)
	step := time.Duration(days) * 24 * time.Hour / time.Duration(f.Licenses+1)
	issued := begin.Add(time.Duration(n) * step)
	r := filledRow{
		uuid: FilledLicense(n), publication: FilledPublication(n % f.Publications), user: FilledUser(n % f.Users),
		issued: issued.UnixMilli(),
	}
	if n%3 > 0 {
		r.end = issued.AddDate(0, 0, 14).UnixMilli()
	}
	switch {
	case n%50 == 7:
		r.status = "revoked"
	case n%50 == 9:
		r.status = "cancelled"
	case n%16 == 5:
		r.status = "returned"
	case n%5 == 0:
		r.status = "ready"
	default:
		r.status = "active"
	}
	if r.status != "ready" && r.status != "cancelled" {
		r.devices = 1 + n%2
		if n%1000 == 1 {
			r.devices = 8
		}
	}
	return r
}

func fillLicenses(ctx context.Context, db *sql.DB, driver string, f Filling) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	licenses := &inserter{tx: tx, driver: driver, into: `licenses (uuid, publication_uuid, user_id, provider, profile, rights_end,
		status, status_updated, issued, device_count, event_count)`, columns: 11}
	events := &inserter{tx: tx, driver: driver, into: "license_events (license_seq, number, type, device_id, device_name, at)", columns: 6}
	type counter struct {
		kind, name string
		period     int64
	}
	counters, users := map[counter]int{}, map[string]int{}
	for n := range f.Licenses {
		r := f.row(n)
		end, bucket := any(nil), int64(1<<40)
		if r.end != 0 {
			end, bucket = r.end, r.end/(24*time.Hour).Milliseconds()
		}
		err := licenses.add(ctx, r.uuid, r.publication, r.user, "https://provider.example.org", "http://readium.org/lcp/basic-profile",
			end, r.status, r.issued, r.issued, r.devices, r.devices)
		for d := range r.devices {
			id := fmt.Sprintf("device-%d-%d", n, d)
			err = errors.Join(err, events.add(ctx, n+1, d+1, status.EventRegister, id, "Phone", r.issued))
		}
		if err != nil {
			return err
		}
		day := r.issued / (24 * time.Hour).Milliseconds()
		users[r.user]++
		counters[counter{"license status", r.status, bucket}]++
		counters[counter{"license devices", "", int64(r.devices)}]++
		counters[counter{"license issued", "", day}]++
		if r.status != "ready" {
			counters[counter{"license used", "", day}]++
		}
	}
	counters[counter{"license users", "", 0}] = len(users)
	counts := &inserter{tx: tx, driver: driver, into: "counters (kind, name, period, shard, n)", columns: 5}
	perUser := &inserter{tx: tx, driver: driver, into: "license_users (user_id, licenses)", columns: 2}
	for c, n := range counters {
		err = errors.Join(err, counts.add(ctx, c.kind, c.name, c.period, 0, n))
	}
	for user, n := range users {
		err = errors.Join(err, perUser.add(ctx, user, n))
	}
	for _, i := range []*inserter{licenses, events, counts, perUser} {
		err = errors.Join(err, i.flush(ctx))
	}
	if err != nil {
		return err
	}
	return tx.Commit()
}

// inserted is how many rows go into one statement.
const inserted = 100

// An inserter adds rows to a table, many at a time.
type inserter struct {
	tx      *sql.Tx
	driver  string
	into    string // table and columns
	columns int
	args    []any
	full    *sql.Stmt // adds as many rows as there may be
}

func (i *inserter) add(ctx context.Context, values ...any) error {
	i.args = append(i.args, values...)
	if len(i.args) < inserted*i.columns {
		return nil
	}
	if i.full == nil {
		stmt, err := i.tx.PrepareContext(ctx, i.statement(inserted))
		if err != nil {
			return err
		}
		i.full = stmt // closed with the transaction
	}
	_, err := i.full.ExecContext(ctx, i.args...)
	i.args = i.args[:0]
	return err
}

func (i *inserter) flush(ctx context.Context) error {
	rows := len(i.args) / i.columns
	if rows == 0 {
		return nil
	}
	_, err := i.tx.ExecContext(ctx, i.statement(rows), i.args...)
	i.args = nil
	return err
}

func (i *inserter) statement(rows int) string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + i.into + " VALUES ")
	for n := range rows * i.columns {
		switch {
		case n == 0:
			b.WriteString("(")
		case n%i.columns == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		if i.driver == "pgx" {
			b.WriteString("$" + strconv.Itoa(n+1))
		} else {
			b.WriteString("?")
		}
	}
	return b.String() + ")"
}
