// Command bench measures lcp encrypt as its users run it, as a whole process,
// beside the two programs that do the least such a thing can do: openssl, which
// encrypts the same bytes with the same cipher, and sha256sum, which digests
// what came out. Both run in turn, in the same minute, on the same files, so
// that the ratios mean something on any machine. What goes to S3 is compared with
// what goes to the disk, and with the upload of a ready file by the SDK, on a server
// that scripts/s3server.sh runs.
//
//	make bench
//	make bench BENCH='-runs 5 -only media,books'
//
// The publications are made here, the same for every run. They need up to
// 2 GB of disk, and 19 GB with -huge, which are given back at the end. lcp waits
// until what it wrote is on the disk, the others do not: on a slow or busy one
// the times say more of it than of the programs, and TMPDIR=/dev/shm helps.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

type options struct {
	lcp      string
	runs     int
	only     string
	keep     string
	quick    bool
	huge     bool
	generate string
	upload   string
}

func main() {
	var o options
	flag.StringVar(&o.lcp, "lcp", "bin/lcp", "the `program` to measure")
	flag.IntVar(&o.runs, "runs", 3, "how often each is run; medians are shown")
	flag.StringVar(&o.only, "only", "", "`names` of the cases to run, with commas")
	flag.StringVar(&o.keep, "keep", "", "keep the publications in this `folder` and use them again")
	flag.BoolVar(&o.quick, "quick", false, "small publications, once: shows that it works, measures nothing")
	flag.BoolVar(&o.huge, "huge", false, "also an audiobook of 6 GiB, once")
	flag.StringVar(&o.generate, "generate", "", "only make the publications of this case, in the folder given as argument")
	flag.StringVar(&o.upload, "upload", "", "only upload the file given as argument to the S3 server at this `address`, as its SDK does it")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, flag.Args()); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:forbidigo,gocritic // a command of its own, and the deferred call was made
	}
}

func run(ctx context.Context, o options, args []string) error {
	if o.generate != "" {
		if len(args) != 1 {
			return errors.New("-generate needs a folder")
		}
		c, err := lookup(o.generate)
		if err != nil {
			return err
		}
		return c.generate(args[0], o.scale())
	}
	if o.upload != "" {
		if len(args) != 1 {
			return errors.New("-upload needs a file")
		}
		return uploadReady(ctx, o.upload, args[0])
	}
	chosen, err := o.choose()
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "lcp-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	b := &bench{options: o, tmp: tmp, inputs: filepath.Join(tmp, "inputs")}
	if o.keep != "" {
		b.inputs = o.keep
	}
	return b.run(ctx, chosen)
}

// scale divides the sizes of the publications.
func (o *options) scale() int64 {
	if o.quick {
		return 20
	}
	return 1
}

// choose returns the cases to run, in their order.
func (o *options) choose() ([]benchCase, error) {
	if o.only == "" {
		return slices.DeleteFunc(allCases(), func(c benchCase) bool { return c.once && !o.huge }), nil
	}
	var chosen []benchCase
	for name := range strings.SplitSeq(o.only, ",") {
		c, err := lookup(name)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, c)
	}
	return chosen, nil
}

func lookup(name string) (benchCase, error) {
	var names []string
	for _, c := range allCases() {
		if c.name == name {
			return c, nil
		}
		names = append(names, c.name)
	}
	return benchCase{}, fmt.Errorf("unknown case %q: the cases are %s", name, strings.Join(names, ", "))
}
