package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lcp-tools/lcp/pkg/store/storetest"
)

type bench struct {
	options
	tmp         string
	connections []int
	sizes       []int
	duration    time.Duration
	out         *report
	postgres    *postgres

	openssl, signing map[string]float64 // signatures a second, by kind of key
	empty            map[int]rate       // by connections
	smallest         map[string]float64 // rates with the fewest licenses, by what was measured
}

func (b *bench) run(ctx context.Context) (err error) {
	kinds, err := b.kinds()
	if err != nil {
		return err
	}
	if err := b.measureMachine(ctx, kinds); err != nil {
		return err
	}
	b.smallest = map[string]float64{}
	for kind := range strings.SplitSeq(b.databases, ",") {
		if kind == "postgres" {
			if b.postgres, err = startPostgres(ctx); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, b.postgres.stop()) }()
		}
		for _, size := range b.sizes {
			if err := b.measureDatabase(ctx, kind, size, kinds); err != nil {
				return fmt.Errorf("%s with %d licenses: %w", kind, size, err)
			}
		}
	}
	b.out.end()
	return nil
}

func (b *bench) kinds() ([]keyKind, error) {
	var list []keyKind
	for name := range strings.SplitSeq(b.keys, ",") {
		i := slices.IndexFunc(keyKinds, func(k keyKind) bool { return k.name == name })
		if i < 0 {
			return nil, fmt.Errorf("%q is no kind of key", name)
		}
		list = append(list, keyKinds[i])
	}
	return list, nil
}

// wants reports whether something is to be measured.
func (b *bench) wants(what string) bool {
	return b.measure == "" || slices.Contains(strings.Split(b.measure, ","), what)
}

// measureMachine finds out what can be done at all.
func (b *bench) measureMachine(ctx context.Context, kinds []keyKind) error {
	b.openssl, b.signing = map[string]float64{}, map[string]float64{}
	for _, k := range kinds {
		if !b.wants("licenses") {
			break
		}
		var err error
		if b.openssl[k.name], err = k.opensslRate(ctx, b.duration); err != nil {
			return err
		}
		if b.signing[k.name], err = k.signRate(ctx, b.duration); err != nil {
			return err
		}
		b.out.linef("signatures/s with %s on all cores: openssl %.0f, Go %.0f", k.name, b.openssl[k.name], b.signing[k.name])
	}
	var err error
	if b.empty, err = b.emptyRates(ctx); err != nil {
		return err
	}
	for _, n := range b.connections {
		b.out.linef("empty net/http handler, %d connections: %.0f/s, p99 %.1f ms, %d µs of CPU each", n,
			b.empty[n].perSecond, ms(b.empty[n].p99), b.empty[n].cpu.Microseconds())
	}
	return nil
}

// measureDatabase measures a server on a database.
func (b *bench) measureDatabase(ctx context.Context, kind string, size int, kinds []keyKind) error {
	db, err := b.fill(ctx, kind, size)
	if err != nil {
		return err
	}
	if err := b.shareSecret(ctx, db); err != nil {
		return err
	}
	b.out.header(db)
	var made idList
	for i, k := range kinds {
		s, err := b.startServer(ctx, db, k)
		if err != nil {
			return err
		}
		err = b.measureLicenses(ctx, s, db, k, &made)
		if i == len(kinds)-1 && err == nil {
			err = b.measureRest(ctx, s, db, &made)
		}
		if err := errors.Join(err, s.stop()); err != nil {
			return err
		}
	}
	return b.measureStart(ctx, db, kinds[0])
}

// idList collects the identifiers of licenses that were made.
type idList struct {
	mu  sync.Mutex
	ids []string // guarded by mu
}

var idMember = []byte(`"id":"`)

// add takes the identifier from a license.
func (l *idList) add(_ int64, body []byte) {
	i := bytes.Index(body, idMember) + len(idMember)
	if i < len(idMember) || len(body) < i+36 {
		return
	}
	id := string(body[i : i+36])
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ids = append(l.ids, id)
}

var authorization = "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)) + "\r\n"

// buyer is who asks for the n-th license: all of them have bought something.
func buyer(n int64) string { return storetest.FilledUser(int(n) % 100_000) }

func (b *bench) measureLicenses(ctx context.Context, s *server, db *database, k keyKind, made *idList) error {
	body := fmt.Sprintf(`{"publication_id":%q,"user_id":%q,"user_name":"John Doe","user_email":"test@company.com",`+
		`"user_encrypted":["name","email"],"end":%q,"copy":20000,"print":100,"text_hint":"A textual hint for your passphrase.",`+
		`"pass_hash":"FAEB00CA518BEA7CB11A7EF31FB6183B489B1B6EADB792BEC64A03B3F6FF80A8"}`,
		storetest.FilledPublication(0), buyer(0), now().AddDate(0, 1, 0).UTC().Format(time.RFC3339))
	text := "POST /licenses HTTP/1.1\r\nHost: x\r\n" + authorization + "Content-Type: application/json\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\n\r\n" + body
	before, after, _ := strings.Cut(text, buyer(0))
	for _, n := range b.connections {
		l := load{address: s.address, pid: s.cmd.Process.Pid, connections: n, duration: b.duration, want: http.StatusCreated, answered: made.add}
		l.request = func(dst []byte, n int64) []byte {
			return append(append(append(dst, before...), buyer(n)...), after...)
		}
		r, err := l.run(ctx)
		if err != nil {
			return err
		}
		var verdicts []string
		for _, t := range b.licenseTargets(k, r) {
			verdicts = append(verdicts, b.out.judge(b.counts(db, n), t))
		}
		b.out.rate("licenses "+k.name, n, r, fmt.Sprintf("%3.0f %% of openssl, %3.0f %% of Go's signing",
			percent(r.perSecond, b.openssl[k.name]), percent(r.perSecond, b.signing[k.name])), verdicts[0], b.compare("licenses "+k.name, db, n, r))
		if err := b.measureTokens(ctx, s, db, k, n, r); err != nil {
			return err
		}
	}
	return nil
}

// counts reports whether targets are for rates on that database from so many
// connections: from the most, on SQLite.
func (b *bench) counts(db *database, connections int) bool {
	return db.kind == "sqlite" && connections == slices.Max(b.connections)
}

func percent(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * part / whole
}

// licenseTargets is what licenses a second have to be. With RSA that is a part of
// the bare signing rate of all cores: that of openssl, where it is there, and that
// of Go, beyond which no program in Go gets with its own cryptography.
func (b *bench) licenseTargets(k keyKind, r rate) []target {
	what := "licenses " + k.name
	if k.name == "p256" {
		return []target{{what: what, measured: fmt.Sprintf("%.0f/s", r.perSecond), wanted: "≥ 3000/s", held: r.perSecond >= 3000}}
	}
	var list []target
	for _, bare := range []struct {
		of   string
		rate float64
	}{{"openssl's bare rate", b.openssl[k.name]}, {"Go's bare rate", b.signing[k.name]}} {
		if bare.rate > 0 {
			list = append(list, target{
				what: what, measured: fmt.Sprintf("%.0f/s, %.0f %% of %.0f/s", r.perSecond, percent(r.perSecond, bare.rate), bare.rate),
				wanted: "≥ 60 % of " + bare.of, held: r.perSecond >= 0.6*bare.rate,
			})
		}
	}
	return list
}

// compare judges a rate against the one with the fewest licenses.
func (b *bench) compare(what string, db *database, connections int, r rate) string {
	name := fmt.Sprint(what, " ", db.kind, " ", connections)
	if db.licenses == b.sizes[0] {
		b.smallest[name] = r.perSecond
		return ""
	}
	ratio := percent(r.perSecond, b.smallest[name])
	text := fmt.Sprintf("%.0f %% of that with %d licenses", ratio, b.sizes[0])
	if verdict := b.out.judge(b.counts(db, connections), target{
		what: what, measured: text, wanted: "≥ 80 %", held: ratio >= 80,
	}); verdict != "" {
		text += ": " + verdict
	}
	return text
}

// measureRest measures what reading apps ask for, and what people do.
func (b *bench) measureRest(ctx context.Context, s *server, db *database, made *idList) error {
	if !b.wants("status") && !b.wants("register") && !b.wants("lists") {
		return nil
	}
	ids := made.ids
	if len(ids) == 0 {
		return errors.New("no license was made")
	}
	// Neighbours in the list are far from each other in the order of requests.
	id := func(n int64) string { return ids[n*7919%int64(len(ids))] }
	status := load{want: http.StatusOK, request: func(dst []byte, n int64) []byte {
		return append(append(append(dst, "GET /status/"...), id(n)...), " HTTP/1.1\r\nHost: x\r\n\r\n"...)
	}}
	if err := b.measurePublic(ctx, s, db, "status", status, 40); err != nil {
		return err
	}
	register := load{want: http.StatusOK, request: func(dst []byte, n int64) []byte {
		dst = append(append(append(dst, "POST /register/"...), id(n)...), "?id=device-"...)
		dst = strconv.AppendInt(dst, n, 10)
		return append(dst, "&name=Phone HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"...)
	}}
	if err := b.measurePublic(ctx, s, db, "register", register, 15); err != nil {
		return err
	}
	if !b.wants("lists") {
		return nil
	}
	return b.measureLists(ctx, s, db)
}

func (b *bench) measurePublic(ctx context.Context, s *server, db *database, what string, l load, least float64) error {
	if !b.wants(what) {
		return nil
	}
	for i, n := range b.connections {
		l.address, l.pid, l.connections, l.duration = s.address, s.cmd.Process.Pid, n, b.duration
		round := l
		round.request = func(dst []byte, k int64) []byte { return l.request(dst, k+int64(i)*1e9) } // devices of its own
		r, err := round.run(ctx)
		if err != nil {
			return err
		}
		ratio := percent(r.perSecond, b.empty[n].perSecond)
		verdict := b.out.judge(b.counts(db, n), target{
			what: what, measured: fmt.Sprintf("%.0f/s, %.0f %% of %.0f/s", r.perSecond, ratio, b.empty[n].perSecond),
			wanted: fmt.Sprintf("≥ %.0f %% of an empty handler", least), held: ratio >= least,
		})
		b.out.rate(what, n, r, fmt.Sprintf("%3.0f %% of an empty handler", ratio), verdict, b.compare(what, db, n, r))
	}
	return nil
}

// measureLists measures the time to the first byte of every kind of list.
func (b *bench) measureLists(ctx context.Context, s *server, db *database) error {
	token, err := login(ctx, s.address)
	if err != nil {
		return err
	}
	month, middle := now().AddDate(0, -1, 0), strconv.Itoa(db.licenses/40)
	var slowest time.Duration
	for _, path := range []string{
		"/licenses", "/licenses?per_page=1000", "/licenses?page=" + middle, "/licenses?page=" + strconv.Itoa(max(1, db.licenses/20)),
		"/licenses/search?user=" + storetest.FilledUser(1), "/licenses/search?pub=" + storetest.FilledPublication(0),
		"/licenses/search?status=ready", "/licenses/search?status=active", "/licenses/search?status=expired", "/licenses/search?status=revoked",
		"/licenses/search?status=returned&page=" + strconv.Itoa(max(1, db.licenses/1000)),
		"/licenses/search?count=8:100", "/licenses/search?count=1:2", "/licenses/search?device=device-7-0",
		"/licenses/search?status=active&count=2:2&month=" + month.Format("2006-01"),
		"/publications", "/publications/search?format=epub", "/license-events/" + storetest.FilledLicense(1),
		"/dashdata/data", "/dashdata/overshared", "/dashdata/publications", "/dashdata/user-licenses/" + storetest.FilledUser(1),
		"/dashdata/report-licenses?month=" + month.Format("2006-01"), "/dashdata/report-licenses?date=" + month.Format(time.DateOnly),
	} {
		worst, size, err := firstByte(ctx, s.address, path, token)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		slowest = max(slowest, worst)
		b.out.linef("  %7.1f ms to the first byte of %7d KiB  %s", ms(worst), size>>10, path)
	}
	resident, peak := s.resident()
	b.out.linef("  slowest %.1f ms: %s; resident %.0f MiB, at most %.0f: %s", ms(slowest),
		b.out.judge(true, target{
			what: "slowest list or report", measured: fmt.Sprintf("%.0f ms to the first byte", ms(slowest)), wanted: "≤ 200 ms",
			held: slowest <= 200*time.Millisecond,
		}), resident, peak,
		b.out.judge(peak > 0, target{
			what: "memory", measured: fmt.Sprintf("%.0f MiB resident at most, %.0f at the end", peak, resident), wanted: "< 100 MiB", held: peak < 100,
		}))
	return nil
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }

// firstByte returns the longest of three times to the first byte.
func firstByte(ctx context.Context, address, path, token string) (worst time.Duration, size int64, err error) {
	for range 3 {
		req, err := get(address, path)
		if err != nil {
			return 0, 0, err
		}
		if strings.HasPrefix(path, "/dashdata") {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		begin := now()
		resp, err := http.DefaultClient.Do(req.WithContext(ctx))
		if err != nil {
			return 0, 0, err
		}
		_, err = resp.Body.Read(make([]byte, 1))
		worst = max(worst, time.Since(begin))
		rest, copyErr := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if size = rest + 1; copyErr != nil || resp.StatusCode != http.StatusOK {
			return 0, 0, errors.Join(fmt.Errorf("answer %s", resp.Status), err, copyErr)
		}
	}
	return worst, size, nil
}

// measureStart measures the time from the start of the process to its first
// answer, on a database that there is.
func (b *bench) measureStart(ctx context.Context, db *database, kind keyKind) error {
	if !b.wants("start") {
		return b.remove(db)
	}
	var times []time.Duration
	for range 5 {
		s, err := b.startServer(ctx, db, kind)
		if err != nil {
			return err
		}
		times = append(times, s.started)
		if err := s.stop(); err != nil {
			return err
		}
	}
	slices.Sort(times)
	b.out.linef("  start to first answer: %.0f ms (median of 5): %s", ms(times[2]),
		b.out.judge(true, target{
			what: "start to first answer", measured: fmt.Sprintf("%.0f ms", ms(times[2])), wanted: "< 300 ms", held: times[2] < 300*time.Millisecond,
		}))
	return b.remove(db)
}

// remove deletes what was measured, if that is a file.
func (*bench) remove(db *database) error {
	if db.kind == "sqlite" {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(db.dsn + suffix)
		}
	}
	return nil
}
