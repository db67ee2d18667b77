// Command bench-serve measures lcp serve as its users run it, a process of its
// own on the loopback interface, beside what the machine can do at all, taken in
// the same run: how often openssl and Go's own crypto sign on all cores, and how
// often an empty net/http handler answers the same client.
//
//	make bench-serve
//	make bench-serve BENCHSERVE='-databases sqlite,postgres -licenses 1000,1000000'
//
// The client shares the cores with the server, so it does little: connections
// that are kept open, requests written by hand, answers read no further than
// where they end. What is measured is what is left of the machine for the server.
// A million licenses take some minutes to be made and 1 GB of disk, which is
// given back unless -keep names a folder for it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"
)

// now is the clock of all measurements.
var now = time.Now //nolint:forbidigo // real time is what is measured

type options struct {
	lcp         string
	seconds     float64
	connections string
	licenses    string
	databases   string
	keys        string
	keep        string
	measure     string
	empty       bool
}

func main() {
	var o options
	flag.StringVar(&o.lcp, "lcp", "bin/lcp", "the `program` to measure")
	flag.Float64Var(&o.seconds, "seconds", 2, "how long each rate is measured")
	flag.StringVar(&o.connections, "connections", "1,8,64", "`numbers` of connections")
	flag.StringVar(&o.licenses, "licenses", "1000,1000000", "`numbers` of licenses in the database")
	flag.StringVar(&o.databases, "databases", "sqlite", "sqlite, postgres or both, with a comma")
	flag.StringVar(&o.keys, "keys", "rsa2048,rsa4096,p256", "of the provider: `names` among rsa2048, rsa4096 and p256")
	flag.StringVar(&o.keep, "keep", "", "keep filled SQLite databases in this `folder` and use copies of them")
	flag.StringVar(&o.measure, "measure", "", "only these `parts`, with commas: licenses, status, register, lists, start; licenses are made in any case")
	flag.BoolVar(&o.empty, "empty", false, "serve nothing, on an address that is printed: what lcp serve is compared with")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	work := run
	if o.empty {
		work = serveNothing
	}
	if err := work(ctx, o); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "bench-serve:", err)
		os.Exit(1) //nolint:forbidigo,gocritic // a command of its own, and the deferred call was made
	}
}

func run(ctx context.Context, o options) error {
	connections, err := numbers(o.connections)
	if err != nil {
		return err
	}
	sizes, err := numbers(o.licenses)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "lcp-bench-serve-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	b := &bench{
		options: o, tmp: tmp, connections: connections, sizes: sizes,
		duration: time.Duration(o.seconds * float64(time.Second)), out: &report{out: os.Stdout},
	}
	return b.run(ctx)
}

func numbers(text string) ([]int, error) {
	var list []int
	for field := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(field)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a positive number", field)
		}
		list = append(list, n)
	}
	return list, nil
}
