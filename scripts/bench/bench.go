package main

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// The key and initialization vector that openssl is given. Any do.
var (
	opensslKey = strings.Repeat("0123456789abcdef", 4)
	opensslIV  = strings.Repeat("fedcba9876543210", 2)
)

// A bench runs cases, one after the other.
type bench struct {
	options
	tmp    string // folder of outputs and of the data directory
	inputs string // folder of a folder for each case
}

func (b *bench) run(ctx context.Context, chosen []benchCase) error {
	if err := b.introduce(ctx); err != nil {
		return err
	}
	t := newTable(os.Stdout, b.quick)
	for _, c := range chosen {
		r, err := b.runCase(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		t.add(c, r)
	}
	t.end()
	return nil
}

// introduce prints what runs where, and warms up: the first run of lcp makes
// its data directory and certificates.
func (b *bench) introduce(ctx context.Context) error {
	for _, program := range []string{"openssl", "sha256sum"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is needed to compare with: %w", program, err)
		}
	}
	versions := make([]string, 2)
	for i, argv := range [][]string{{b.lcp, "version"}, {"openssl", "version"}} {
		out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).Output() //nolint:gosec // the program to measure
		if err != nil {
			return fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
		}
		versions[i], _, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
	}
	fmt.Fprintf(os.Stdout, "%s; %s; %d cores, %s/%s; medians of %d runs, in turn with openssl enc -aes-256-cbc and sha256sum\n",
		versions[0], versions[1], runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, b.rounds(benchCase{}))
	_, err := b.encrypt(ctx, []string{filepath.Join("testdata", "sample.epub")})
	return err
}

func (b *bench) rounds(c benchCase) int {
	if b.quick || c.once {
		return 1
	}
	return max(b.runs, 1)
}

// A round is one turn of all that is compared.
type round struct {
	lcp, ref  usage
	again     time.Duration // inflating and deflating the text again
	one       time.Duration // the same on one core
	apart     time.Duration // the same in a process on each core, all at a time
	disk, sdk time.Duration // encrypting to the disk, and uploading the ready file
}

// A result is what the rounds of a case came to: medians, but for the peak.
type result struct {
	input     input
	lcp       usage
	again     time.Duration
	cpu, wall float64       // of lcp as multiples of openssl and sha256sum, or of what ref is
	cores     float64       // what lcp did, as a part of what one core does alone times the cores
	apart     float64       // and as a part of what a process on each core does, all at a time
	disk, sdk time.Duration // see round
}

func (b *bench) runCase(ctx context.Context, c benchCase) (result, error) {
	if c.goBench != "" {
		return b.runGoBench(ctx, c)
	}
	in, err := b.prepare(ctx, c)
	if err != nil {
		return result{}, err
	}
	if b.keep == "" {
		defer os.RemoveAll(in.dir)
	}
	var bucket *s3Server
	if c.s3 {
		if bucket, err = startS3(ctx, filepath.Join(b.tmp, "s3")); err != nil {
			return result{}, fmt.Errorf("scripts/s3server.sh: %w", err)
		}
		defer bucket.stop()
	}
	rounds := make([]round, b.rounds(c))
	for i := range rounds {
		if rounds[i], err = b.round(ctx, c, in, bucket); err != nil {
			return result{}, err
		}
	}
	return summarize(in, rounds), nil
}

func (b *bench) round(ctx context.Context, c benchCase, in input, bucket *s3Server) (r round, err error) {
	if c.s3 {
		return b.toS3(ctx, bucket, in)
	}
	if c.list > 0 {
		return b.lookAt(ctx, in.files[0], c.list/int(b.scale()))
	}
	if r.lcp, err = b.encrypt(ctx, in.files); err != nil {
		return r, err
	}
	if r.ref, err = b.reference(ctx, in.reference); err != nil {
		return r, err
	}
	if c.text {
		r.again, err = recompression(in.files[0])
	}
	if c.books && err == nil {
		var one usage
		if one, err = b.encrypt(ctx, in.files, "GOMAXPROCS=1"); err == nil {
			r.one = one.wall
			r.apart, err = b.apart(ctx, in.files)
		}
	}
	return r, err
}

// perOp is how long one run of a benchmark took, in nanoseconds.
var perOp = regexp.MustCompile(`\s(\d+(?:\.\d+)?) ns/op`)

// runGoBench runs a benchmark of Go's.
func (b *bench) runGoBench(ctx context.Context, c benchCase) (r result, err error) {
	pkg, name, _ := strings.Cut(c.goBench, ":")
	times := fmt.Sprintf("-benchtime=%dx", b.rounds(c))
	out, err := exec.CommandContext(ctx, "go", "test", "-run=^$", "-bench=^"+name+"$", times, pkg).CombinedOutput() //nolint:gosec // of this repository
	m := perOp.FindSubmatch(out)
	if err != nil || m == nil {
		return r, fmt.Errorf("go test %s: %w\n%s", pkg, err, out)
	}
	ns, err := strconv.ParseFloat(string(m[1]), 64)
	r.lcp.wall = time.Duration(ns)
	return r, err
}

// lookAt has lcp read a list of so many rows that all name one file, and look at
// the publication of each.
func (b *bench) lookAt(ctx context.Context, file string, rows int) (r round, err error) {
	list := filepath.Join(b.tmp, "list.csv")
	defer os.Remove(list)
	var text strings.Builder
	text.WriteString("input,alt_id,file_name\n")
	for i := range rows {
		fmt.Fprintf(&text, "%s,urn:isbn:%013d,book-%06d\n", file, i, i)
	}
	if err := os.WriteFile(list, []byte(text.String()), 0o600); err != nil {
		return r, err
	}
	r.lcp, err = measure(ctx, b.lcp, "encrypt", "--from", list, "--dry-run", "--data-dir", filepath.Join(b.tmp, "data"), "--format", "ndjson")
	r.ref = r.lcp
	return r, err
}

// summarize takes ratios within each round, where the machine was the same for
// both, before it looks for the one in the middle.
func summarize(in input, rounds []round) result {
	middle := func(of func(round) float64) float64 {
		var values []float64
		for _, r := range rounds {
			values = append(values, of(r))
		}
		return median(values)
	}
	seconds := func(of func(round) time.Duration) time.Duration {
		return time.Duration(middle(func(r round) float64 { return float64(of(r)) }))
	}
	r := result{
		input: in,
		lcp: usage{
			wall: seconds(func(r round) time.Duration { return r.lcp.wall }),
			cpu:  seconds(func(r round) time.Duration { return r.lcp.cpu }),
		},
		again: seconds(func(r round) time.Duration { return r.again }),
		cpu:   middle(func(r round) float64 { return r.lcp.cpu.Seconds() / r.ref.cpu.Seconds() }),
		wall:  middle(func(r round) float64 { return r.lcp.wall.Seconds() / r.ref.wall.Seconds() }),
		cores: middle(func(r round) float64 { return r.one.Seconds() / r.lcp.wall.Seconds() / float64(runtime.GOMAXPROCS(0)) }),
		apart: middle(func(r round) float64 { return r.apart.Seconds() / r.lcp.wall.Seconds() }),
		disk:  seconds(func(r round) time.Duration { return r.disk }),
		sdk:   seconds(func(r round) time.Duration { return r.sdk }),
	}
	for _, round := range rounds {
		r.lcp.rss = max(r.lcp.rss, round.lcp.rss)
	}
	return r
}

// encrypt runs lcp encrypt over files and looks at what came out, which is
// deleted again.
func (b *bench) encrypt(ctx context.Context, files []string, env ...string) (usage, error) {
	flush()
	return b.encryptInto(ctx, "", files, env...)
}

// encryptInto is encrypt with folders of that name.
func (b *bench) encryptInto(ctx context.Context, name string, files []string, env ...string) (usage, error) {
	out := filepath.Join(b.tmp, "out"+name)
	defer os.RemoveAll(out)
	args := append([]string{"encrypt", "--out", out, "--data-dir", filepath.Join(b.tmp, "data"+name), "--format", "ndjson"}, files...)
	u, err := measureWith(ctx, env, b.lcp, args...)
	if err != nil {
		return u, err
	}
	return u, checkOutputs(out, files)
}

// apart is how long as many processes take as there are cores, one book at a time
// each, with the files shared out: what the cores can do. They do less than so many
// times what one does alone, since they share memory and disk.
func (b *bench) apart(ctx context.Context, files []string) (time.Duration, error) {
	flush()
	cores := runtime.GOMAXPROCS(0)
	var slowest time.Duration
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for i := range cores {
		share := files[i*len(files)/cores : (i+1)*len(files)/cores]
		group.Go(func() error {
			u, err := b.encryptInto(ctx, strconv.Itoa(i), share, "GOMAXPROCS=1")
			mu.Lock()
			defer mu.Unlock()
			slowest = max(slowest, u.wall)
			return err
		})
	}
	err := group.Wait()
	return slowest, err
}

// checkOutputs sees that there is a package for every file, that each opens and
// is no smaller than what it was made from.
func checkOutputs(dir string, files []string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) != len(files) {
		return fmt.Errorf("%d files came out of %d", len(entries), len(files))
	}
	var in, out int64
	for i, e := range entries {
		r, err := zip.OpenReader(filepath.Join(dir, e.Name()))
		if err != nil {
			return fmt.Errorf("open %s: %w", e.Name(), err)
		}
		for _, f := range r.File {
			out += int64(f.CompressedSize64)
		}
		r.Close()
		info, err := os.Stat(files[i])
		if err != nil {
			return err
		}
		in += info.Size()
	}
	// Directories and headers of the inputs count for less than one part in eight.
	if out < in-in/8 {
		return fmt.Errorf("%d bytes came out of %d", out, in)
	}
	return nil
}

// reference runs openssl over the same bytes and sha256sum over what came out.
func (b *bench) reference(ctx context.Context, file string) (usage, error) {
	out := filepath.Join(b.tmp, "openssl.bin")
	defer os.Remove(out)
	flush()
	enc, err := measure(ctx, "openssl", "enc", "-aes-256-cbc", "-K", opensslKey, "-iv", opensslIV, "-in", file, "-out", out)
	if err != nil {
		return enc, err
	}
	sum, err := measure(ctx, "sha256sum", out)
	return enc.add(sum), err
}

// An input is the publications of a case.
type input struct {
	dir       string
	files     []string
	reference string // the one file, or all of them one after the other
	size      int64  // bytes of all files
	xhtml     int64  // bytes of XHTML before compression
	packed    int64  // bytes of XHTML after
}

// prepare makes the publications of a case, unless they were kept.
func (b *bench) prepare(ctx context.Context, c benchCase) (input, error) {
	in := input{dir: filepath.Join(b.inputs, c.name)}
	if b.quick {
		in.dir += "-quick"
	}
	files := filepath.Join(in.dir, "files")
	if _, err := os.Stat(files); errors.Is(err, os.ErrNotExist) {
		if err := b.generateInto(ctx, c, files); err != nil {
			return in, fmt.Errorf("make publications: %w", err)
		}
	}
	var err error
	if in.files, err = filepath.Glob(filepath.Join(files, "*")); err != nil {
		return in, err
	}
	for _, f := range in.files {
		if err := in.weigh(f); err != nil {
			return in, err
		}
	}
	if in.reference = in.files[0]; len(in.files) > 1 {
		in.reference = filepath.Join(in.dir, "all.bin")
		err = concatenate(in.reference, in.files)
	}
	return in, err
}

// generateInto runs this program again, whose memory must not grow (see
// measure). The folder gets its name only once it is complete.
func (b *bench) generateInto(ctx context.Context, c benchCase, dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	partial := dir + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	if err := os.MkdirAll(partial, 0o700); err != nil {
		return err
	}
	if _, err := measure(ctx, self, fmt.Sprintf("-quick=%t", b.quick), "-generate", c.name, partial); err != nil {
		return err
	}
	return os.Rename(partial, dir)
}

// weigh adds a file to the sums.
func (in *input) weigh(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	in.size += info.Size()
	if filepath.Ext(file) != ".epub" {
		return nil
	}
	r, err := zip.OpenReader(file)
	if err != nil {
		return err
	}
	defer r.Close()
	for _, f := range r.File {
		if filepath.Ext(f.Name) == ".xhtml" {
			in.xhtml += int64(f.UncompressedSize64)
			in.packed += int64(f.CompressedSize64)
		}
	}
	return nil
}

func concatenate(dst string, files []string) error {
	out, err := os.Create(dst)
	if err != nil {
		return err
	}
	defer out.Close()
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, f)
		f.Close()
		if err != nil {
			return err
		}
	}
	return out.Close()
}
