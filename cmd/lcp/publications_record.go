package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/client"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/license"
)

// recordOptions are the flags that describe a publication.
type recordOptions struct {
	record   api.Publication
	jsonFile string
	keyFile  string
}

func (o *recordOptions) addFlags(fs *pflag.FlagSet) {
	r := &o.record
	fs.StringVar(&r.AltID, "alt-id", "", "an alternative `ID`, which is unique")
	fs.StringVar(&r.Provider, "provider", "", "the provider, a `URI`")
	fs.StringVar(&r.Title, "title", "", "the `TITLE`")
	fs.StringVar(&r.Description, "description", "", "a `TEXT` about it")
	fs.StringVar(&r.Authors, "authors", "", "the `NAMES` of the authors, separated by commas")
	fs.StringVar(&r.Publishers, "publishers", "", "the `NAMES` of the publishers, separated by commas")
	fs.StringVar(&r.ContentType, "content-type", "", "the media `TYPE` of the protected file, such as application/epub+zip")
	fs.StringVar(&r.Href, "href", "", "the `URL` that reading apps download the protected file from")
	fs.Int64Var(&r.Size, "size", 0, "the size of the protected file in `BYTES`")
	fs.StringVar(&r.Checksum, "checksum", "", "the SHA-256 of the protected file, 64 hexadecimal `DIGITS`")
	fs.StringVar(&r.CoverURL, "cover-url", "", "the `URL` of a cover image")
	fs.StringVar(&o.jsonFile, "json", "", "read the record from `FILE`, or - for standard input, as the License API takes it; flags go over it")
}

// apply puts what was given over a record: first --json, then the flags.
func (o *recordOptions) apply(a *app, to *api.Publication, flags *pflag.FlagSet) error {
	if o.jsonFile != "" {
		if err := o.readJSON(a, to); err != nil {
			return err
		}
	}
	r := &o.record
	for flag, field := range map[string]struct{ to, from *string }{
		"uuid": {&to.UUID, &r.UUID}, "alt-id": {&to.AltID, &r.AltID}, "provider": {&to.Provider, &r.Provider}, "title": {&to.Title, &r.Title},
		"description": {&to.Description, &r.Description}, "authors": {&to.Authors, &r.Authors}, "publishers": {&to.Publishers, &r.Publishers},
		"content-type": {&to.ContentType, &r.ContentType}, "href": {&to.Href, &r.Href}, "checksum": {&to.Checksum, &r.Checksum},
		"cover-url": {&to.CoverURL, &r.CoverURL},
	} {
		if flags.Changed(flag) {
			*field.to = *field.from
		}
	}
	if flags.Changed("size") {
		to.Size = r.Size
	}
	return o.readKey(to)
}

func (o *recordOptions) readJSON(a *app, to *api.Publication) error {
	in, name := a.in, "standard input"
	if o.jsonFile != "-" {
		f, err := os.Open(o.jsonFile)
		if err != nil {
			return err
		}
		defer f.Close()
		in, name = f, o.jsonFile
	}
	if err := api.Decode(in, to); err != nil {
		return fmt.Errorf("record in %s: %w", name, err)
	}
	return nil
}

// readKey reads the content key of --key-file.
func (o *recordOptions) readKey(to *api.Publication) error {
	if o.keyFile == "" {
		return nil
	}
	text, err := readSecretFile(o.keyFile)
	if err != nil {
		return err
	}
	key, err := lcpcrypto.ParseContentKey(text)
	if err != nil {
		return fmt.Errorf("content key in %s: %w", o.keyFile, err)
	}
	to.EncryptionKey = key[:]
	return nil
}

// recordError says of faults of a record which flag sets the field.
func recordError(err error) error {
	flags := map[string]string{
		"encryption_key": "--key-file", "uuid": "--uuid", "title": "--title", "href": "--href", "size": "--size",
		"checksum": "--checksum", "content_type": "--content-type", "alt_id": "--alt-id", "provider": "--provider", "cover_url": "--cover-url",
	}
	var field *license.FieldError
	var refused *client.Error
	name := ""
	switch {
	case errors.As(err, &field):
		name = field.Field
	case errors.As(err, &refused) && len(refused.Fields) > 0:
		name = refused.Fields[0].Field
	}
	if flags[name] == "" {
		return err
	}
	return &hinted{err, fmt.Sprintf("%s is set by %s", name, flags[name])}
}
