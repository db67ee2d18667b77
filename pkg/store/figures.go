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
// count as shared too much; if it is for those of one provider, so are the
// figures. They come from counters, one after another: what changes meanwhile may
// be in some of them and not yet in others. Those of a provider are counted, which
// takes as long as it takes to go through its licenses.
func (s *Store) Figures(ctx context.Context, now time.Time, shared LicenseFilter) (Figures, error) {
	if shared.Provider != "" {
		return s.figuresOf(ctx, now, shared)
	}
	var f Figures
	err := f.gather(
		func() (err error) { f.Types, err = s.countersByName(ctx, countPublications); return err },
		func() (err error) { f.Users, err = s.sum(ctx, countUsers, ""); return err },
		func() (err error) { f.Overshared, err = s.countLicenses(ctx, shared); return err },
		func() error {
			statuses, err := s.statuses(ctx, now)
			f.setStatuses(statuses)
			return err
		},
		func() error {
			issued, err := selectAll(ctx, s, scanPeriod, countersByPeriod, countIssued)
			if err != nil {
				return err
			}
			used, err := selectAll(ctx, s, scanPeriod, countersByPeriod, countUsed)
			f.setDays(now, issued, used)
			return err
		},
	)
	return f, err
}

// gather runs what fills in the parts, and adds up the publications.
func (f *Figures) gather(parts ...func() error) error {
	for _, part := range parts {
		if err := part(); err != nil {
			*f = Figures{}
			return fmt.Errorf("figures: %w", err)
		}
	}
	for _, c := range f.Types {
		f.Publications += c.Count
	}
	return nil
}

const (
	typesOf    = "SELECT content_type, COUNT(*) FROM publications WHERE provider = ? AND deleted_at = 0 GROUP BY content_type"
	usersOf    = "SELECT COUNT(DISTINCT user_id) FROM licenses WHERE provider = ? AND user_id <> ''"
	statusesOf = `SELECT status, COUNT(*), SUM(CASE WHEN rights_end < ? THEN 1 ELSE 0 END) FROM licenses
	WHERE provider = ? GROUP BY status`
	daysOf = `SELECT issued - issued % 86400000 AS midnight, COUNT(*), SUM(CASE WHEN status = 'ready' THEN 0 ELSE 1 END)
	FROM licenses WHERE provider = ? AND issued > 0 GROUP BY issued - issued % 86400000 ORDER BY midnight`
)

// figuresOf is Figures for one provider.
func (s *Store) figuresOf(ctx context.Context, now time.Time, shared LicenseFilter) (Figures, error) {
	var f Figures
	provider := shared.Provider
	err := f.gather(
		func() (err error) {
			f.Types, err = selectAll(ctx, s, scanNamed, typesOf, provider)
			sortCounts(f.Types)
			return err
		},
		func() (err error) { f.Users, err = selectOne(ctx, s, scanCount, usersOf, provider); return err },
		func() (err error) { f.Overshared, err = s.countLicenses(ctx, shared); return err },
		func() error {
			statuses, err := s.seenStatuses(ctx, statusesOf, now.UnixMilli(), provider)
			f.setStatuses(statuses)
			return err
		},
		func() error {
			var issued, used []inPeriod
			_, err := selectAll(ctx, s, func(r row) (n struct{}, err error) {
				var at, all, begun int64
				err = r.Scan(&at, &all, &begun)
				issued = append(issued, inPeriod{at / day.Milliseconds(), all})
				used = append(used, inPeriod{at / day.Milliseconds(), begun})
				return n, err
			}, daysOf, provider)
			f.setDays(now, issued, used)
			return err
		},
	)
	return f, err
}

func (f *Figures) setStatuses(statuses map[string]int64) {
	for name, n := range statuses {
		f.Licenses += n
		if n > 0 {
			f.Statuses = append(f.Statuses, Count{name, n})
		}
	}
	sortCounts(f.Statuses)
}

// statuses returns how many licenses there are of each status, as seen at a
// time: of those whose end has passed, counters know all but the ones of today.
func (s *Store) statuses(ctx context.Context, now time.Time) (map[string]int64, error) {
	today := dayOf(now)
	all, err := s.seenStatuses(ctx, statusCounters, today, countStatus)
	if err != nil {
		return nil, err
	}
	_, err = selectAll(ctx, s, func(r row) (n struct{}, err error) {
		c, err := scanNamed(r)
		expire(all, c.Name, c.Count)
		return n, err
	}, endedToday, today*day.Milliseconds(), now.UnixMilli())
	return all, err
}

// seenStatuses reads how many licenses have each status as stored, and of how
// many of those the end has passed.
func (s *Store) seenStatuses(ctx context.Context, query string, args ...any) (map[string]int64, error) {
	all := make(map[string]int64)
	_, err := selectAll(ctx, s, func(r row) (n struct{}, err error) {
		var name string
		var total, past int64
		err = r.Scan(&name, &total, &past)
		all[name] += total
		expire(all, name, past)
		return n, err
	}, query, args...)
	return all, err
}

// expire counts n licenses as expired that are stored with a status and whose
// end has passed.
func expire(all map[string]int64, name string, n int64) {
	if name == string(status.Ready) || name == string(status.Active) {
		all[name] -= n
		all[string(status.Expired)] += n
	}
}

// setDays sets what happened when, from the licenses of each day, in order.
func (f *Figures) setDays(now time.Time, issued, used []inPeriod) {
	first := dayOf(now.UTC().AddDate(-1, 0, 0))
	f.Days = make([]Day, dayOf(now)-first+1)
	for i := range f.Days {
		f.Days[i].Day = midnight(first + int64(i))
	}
	for _, c := range issued {
		if i := c.period - first; i >= 0 && i < int64(len(f.Days)) {
			f.Days[i].Issued = c.n
		}
	}
	if len(issued) > 0 {
		f.Oldest, f.Latest = midnight(issued[0].period), midnight(issued[len(issued)-1].period)
	}
	for _, c := range used {
		if i := c.period - first; i >= 0 && i < int64(len(f.Days)) {
			f.Days[i].Used = c.n
		}
	}
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
