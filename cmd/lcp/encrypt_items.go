package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/lcp-tools/lcp/pkg/catalogue"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
)

// planError makes usage errors of those that are about the command line.
func planError(err error) error {
	switch {
	case errors.As(err, new(*catalogue.DuplicateError)):
		return &usageError{&hinted{err, "nothing was written: leave one of them out (--exclude), or say with --from which identifier each has"}}
	case errors.Is(err, catalogue.ErrPattern):
		return &usageError{err}
	}
	return err
}

// items gives what the command line asks for.
func (o *encryptOptions) items(ctx context.Context, stdin io.Reader) iter.Seq2[catalogue.Item, error] {
	return func(yield func(catalogue.Item, error) bool) {
		goOn := true
		count := 0
		each := func(items iter.Seq2[catalogue.Item, error]) {
			for item, err := range items {
				if count++; err == nil {
					err = o.complete(&item, count)
				}
				if goOn = yield(item, err) && err == nil; !goOn {
					return
				}
			}
		}
		for _, input := range o.inputs {
			if each(o.find.Find(ctx, input)); !goOn {
				return
			}
		}
		if o.from != "" {
			each(o.listed(stdin))
		}
	}
}

// listed gives the items of --from.
func (o *encryptOptions) listed(stdin io.Reader) iter.Seq2[catalogue.Item, error] {
	return func(yield func(catalogue.Item, error) bool) {
		in := stdin
		if o.from != "-" {
			f, err := os.Open(o.from)
			if err != nil {
				yield(catalogue.Item{}, err)
				return
			}
			defer f.Close()
			in = f
		}
		for item, err := range catalogue.ReadList(in) {
			if err != nil {
				err = fmt.Errorf("list %s: %w", o.from, err)
			} else if item.KeyFile != "" {
				if _, err = readContentKey(item.KeyFile); err != nil { // better now than after a thousand others
					err = fmt.Errorf("list %s: %s: key_file: %w", o.from, item.Input, err)
				}
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

// complete fills in what the flags say of an item, the how-manieth it is.
func (o *encryptOptions) complete(item *catalogue.Item, count int) error {
	if count > 1 {
		for flag, set := range map[string]bool{"--uuid": o.uuid != "", "--key-file": o.keyFile != "", "--filename": o.fileName != ""} {
			if set {
				return usagef("%s is for one publication, and there are more", flag)
			}
		}
	}
	item.UUID = cmp.Or(item.UUID, o.uuid)
	item.KeyFile = cmp.Or(item.KeyFile, o.keyFile)
	item.FileName = cmp.Or(item.FileName, o.fileName)
	item.Provider = cmp.Or(item.Provider, o.provider)
	if o.altID && item.AltID == "" && item.Fault == "" {
		item.AltID = inputStem(item.Input)
	}
	if o.deleteSource && (catalogue.IsURL(item.Input) || catalogue.IsObject(item.Input)) {
		return usagef("--delete-source is for files, and %s is none", item.Input)
	}
	return nil
}

// inputStem is the name of an input, without extension.
func inputStem(input string) string {
	name := catalogue.InputName(input)
	return strings.TrimSuffix(name, filepath.Ext(name))
}

// readContentKey reads a content key, 32 bytes in base64, from a file.
func readContentKey(name string) (lcpcrypto.ContentKey, error) {
	text, err := readSecretFile(name)
	if err != nil {
		return lcpcrypto.ContentKey{}, err
	}
	key, err := lcpcrypto.ParseContentKey(text)
	if err != nil {
		return key, fmt.Errorf("content key in %s: %w", name, err)
	}
	return key, nil
}
