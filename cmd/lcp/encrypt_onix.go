package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/lcp-tools/lcp/pkg/onix"
)

// readONIX reads messages, before anything else is done. The caller closes the
// index.
func readONIX(files []string) (*onix.Index, error) {
	x, err := onix.NewIndex()
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		if err := addONIX(x, name); err != nil {
			return nil, errors.Join(err, x.Close())
		}
	}
	x.Done()
	return x, nil
}

func addONIX(x *onix.Index, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := x.Add(f); err != nil {
		return fmt.Errorf("ONIX message %s: %w", name, err)
	}
	return nil
}

// noteUnused tells of products that no publication was found for.
func (a *app) noteUnused(x *onix.Index) error {
	const shown = 3
	var some []string
	count := 0
	for p, err := range x.Unused() {
		if err != nil {
			return err
		}
		if count++; count <= shown {
			some = append(some, cmp.Or(strings.Join(p.ISBNs, " "), p.Reference))
		}
	}
	switch {
	case count > shown:
		a.notef("ONIX: no publication was there for %d products, such as %s", count, strings.Join(some, ", "))
	case count > 0:
		a.notef("ONIX: no publication was there for the products %s", strings.Join(some, ", "))
	}
	return nil
}
