package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lcp-tools/lcp/pkg/status"
)

// Figures are what there is, for a dashboard.
type Figures struct {
	Publications int64 // live
	Users        int64 // who have licenses
	Licenses     int64
	Overshared   int64     // licenses that the filter matches
	Oldest       time.Time // midnight, in UTC, of the first day on which a license was issued; zero if none ever was
	Latest       time.Time // the same of the last day
	Types        []Count   // live publications by media type, most first
	Statuses     []Count   // licenses by status as seen, most first
	Days         []Day     // of the last twelve months, in order, today included
}

// A Count is how many there are of a kind.
type Count struct {
	Name  string
	Count int64
}

// A Day tells of the licenses that were issued on one day.
type Day struct {
	Day    time.Time // midnight, in UTC
	Issued int64
	Used   int64 // of those: no longer ready
}

const (
	countersByName   = "SELECT name, SUM(n) FROM counters WHERE kind = ? GROUP BY name"
	countersByPeriod = "SELECT period, SUM(n) FROM counters WHERE kind = ? AND period <> 0 GROUP BY period HAVING SUM(n) > 0 ORDER BY period"
	statusCounters   = `SELECT name, SUM(n), SUM(CASE WHEN period < ? THEN n ELSE 0 END) FROM counters
	WHERE kind = ? GROUP BY name`
	endedToday = "SELECT status, COUNT(*) FROM licenses WHERE rights_end >= ? AND rights_end < ? GROUP BY status"
)

// Figures returns what there is, as seen at a time. shared says which licenses
// count as shared too much. The figures come from counters, one after another:
// what changes meanwhile may be in some of them and not yet in others.
func (s *Store) Figures(ctx context.Context, now time.Time, shared LicenseFilter) (Figures, error) {
	var f Figures
	for _, part := range []func() error{
		func() (err error) { f.Types, err = s.countersByName(ctx, countPublications); return err },
		func() (err error) { f.Users, err = s.sum(ctx, countUsers, ""); return err },
		func() (err error) { f.Overshared, err = s.countLicenses(ctx, shared); return err },
		func() error { return s.statusFigures(ctx, now, &f) },
		func() error { return s.dayFigures(ctx, now, &f) },
	} {
		if err := part(); err != nil {
			return Figures{}, fmt.Errorf("figures: %w", err)
		}
	}
	for _, c := range f.Types {
		f.Publications += c.Count
	}
	return f, nil
}

func (s *Store) statusFigures(ctx context.Context, now time.Time, f *Figures) error {
	statuses, err := s.statuses(ctx, now)
	for name, n := range statuses {
		f.Licenses += n
		if n > 0 {
			f.Statuses = append(f.Statuses, Count{name, n})
		}
	}
	sortCounts(f.Statuses)
	return err
}

// statuses returns how many licenses there are of each status, as seen at a
// time: of those whose end has passed, counters know all but the ones of today.
func (s *Store) statuses(ctx context.Context, now time.Time) (map[string]int64, error) {
	today := dayOf(now)
	all := make(map[string]int64)
	expire := func(name string, n int64) {
		if name == string(status.Ready) || name == string(status.Active) {
			all[name] -= n
			all[string(status.Expired)] += n
		}
	}
	_, err := selectAll(ctx, s, func(r row) (n struct{}, err error) {
		var name string
		var total, past int64
		err = r.Scan(&name, &total, &past)
		all[name] += total
		expire(name, past)
		return n, err
	}, statusCounters, today, countStatus)
	if err != nil {
		return nil, err
	}
	_, err = selectAll(ctx, s, func(r row) (n struct{}, err error) {
		c, err := scanNamed(r)
		expire(c.Name, c.Count)
		return n, err
	}, endedToday, today*day.Milliseconds(), now.UnixMilli())
	return all, err
}

// dayFigures adds what happened when.
func (s *Store) dayFigures(ctx context.Context, now time.Time, f *Figures) error {
	first := dayOf(now.UTC().AddDate(-1, 0, 0))
	f.Days = make([]Day, dayOf(now)-first+1)
	for i := range f.Days {
		f.Days[i].Day = midnight(first + int64(i))
	}
	issued, err := selectAll(ctx, s, scanPeriod, countersByPeriod, countIssued)
	if err != nil {
		return err
	}
	for _, c := range issued {
		if i := c.period - first; i >= 0 && i < int64(len(f.Days)) {
			f.Days[i].Issued = c.n
		}
	}
	if len(issued) > 0 {
		f.Oldest, f.Latest = midnight(issued[0].period), midnight(issued[len(issued)-1].period)
	}
	used, err := selectAll(ctx, s, scanPeriod, countersByPeriod, countUsed)
	for _, c := range used {
		if i := c.period - first; i >= 0 && i < int64(len(f.Days)) {
			f.Days[i].Used = c.n
		}
	}
	return err
}

// midnight returns the beginning of a day, in UTC.
func midnight(d int64) time.Time { return time.UnixMilli(d * day.Milliseconds()).UTC() }

// inPeriod is a counter of a period.
type inPeriod struct{ period, n int64 }

func scanPeriod(r row) (c inPeriod, err error) {
	err = r.Scan(&c.period, &c.n)
	return c, err
}

func scanNamed(r row) (c Count, err error) {
	err = r.Scan(&c.Name, &c.Count)
	return c, err
}

// countersByName returns the counters of a kind that are not 0.
func (s *Store) countersByName(ctx context.Context, kind string) ([]Count, error) {
	all, err := selectAll(ctx, s, scanNamed, countersByName, kind)
	all = slices.DeleteFunc(all, func(c Count) bool { return c.Count == 0 })
	sortCounts(all)
	return all, err
}

func sortCounts(list []Count) {
	slices.SortFunc(list, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
}
