package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/blob/fileblob"
	"github.com/lcp-tools/lcp/pkg/catalogue"
	"github.com/lcp-tools/lcp/pkg/certificate"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/protect"
	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/testdata"
)

// The demo's user. Both are printed: nothing here is worth protecting.
const (
	demoPassphrase = "open sesame"
	demoHint       = "What Ali Baba said"
)

func newDemoCommand(a *app) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Protect, license and open sample publications",
		Long: `Show the whole on sample publications that are part of lcp: make a data directory
and a test certificate, encrypt each sample, issue a license for it, embed the
license, open the result with the passphrase as a reading app would, and compare
every byte with the sample. The files stay for you to look at.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context(), dir) },
	}
	cmd.Flags().StringVar(&dir, "dir", "lcp-demo", "put everything into `DIR`")
	return cmd
}

// A demonstration is a run of the demo.
type demonstration struct {
	*app
	dir     string
	service *issuing
	worker  catalogue.Worker
}

func (a *app) demo(ctx context.Context, dir string) error {
	d := &demonstration{app: a, dir: dir}
	for _, sub := range []string{"samples", "shelf", "licenses", "books"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	c := defaultConfig()
	c.DataDir = filepath.Join(dir, "data")
	c.License.Provider = "https://demo.example"
	service, err := a.licensing(ctx, c)
	if err != nil {
		return err
	}
	defer service.close()
	d.service = service
	shelf, err := fileblob.Open(filepath.Join(dir, "shelf"), "")
	if err != nil {
		return err
	}
	d.worker = catalogue.Worker{
		Recognition: protect.Recognition{Renderer: findRenderer()}, Pipeline: protect.NewPipeline(0),
		Registry: service.store, Store: shelf, Cover: true, Verify: true, Now: time.Now,
	}
	samples, err := testdata.Samples.ReadDir(".")
	if err != nil {
		return err
	}
	for _, sample := range samples {
		if err := d.show(ctx, sample.Name()); err != nil {
			return fmt.Errorf("%s: %w", sample.Name(), err)
		}
	}
	_, err = fmt.Fprintf(a.out, `
%d publications were encrypted, licensed, opened again and found the same.

  %s   the samples, clear
  %s     encrypted publications: these go to your web server or bucket
  %s  licenses: these go to the users
  %s     publications with their license in them
  %s      keys, records and a TEST certificate

Passphrase of every license: %s

Reading apps in production refuse licenses of a test certificate. Thorium and the
Readium test apps open files of the basic profile when they trust %s.
`, len(samples), filepath.Join(dir, "samples"), filepath.Join(dir, "shelf"), filepath.Join(dir, "licenses"), filepath.Join(dir, "books"),
		filepath.Join(dir, "data"), demoPassphrase, filepath.Join(c.DataDir, testCertDir, certificate.RootFile))
	return err
}

// show takes one sample through its whole life.
func (d *demonstration) show(ctx context.Context, name string) error {
	data, err := testdata.Samples.ReadFile(name)
	if err != nil {
		return err
	}
	clear := filepath.Join(d.dir, "samples", name)
	if err := writeWhole(clear, data); err != nil {
		return err
	}
	rec, err := d.worker.Process(ctx, catalogue.Item{Input: clear, AltID: strings.ReplaceAll(name, ".", "-")}, catalogue.Progress{})
	if err != nil {
		return fmt.Errorf("encrypt: %w", err)
	}
	doc, err := d.service.Generate(ctx, api.LicenseRequest{
		PublicationID: rec.UUID, UserID: "demo-user", UserName: "Ali Baba", UserEncrypted: []string{"name"},
		TextHint: demoHint, PassHash: profile.HashPassphrase(demoPassphrase).Hex(),
	})
	if err != nil {
		return fmt.Errorf("issue a license: %w", err)
	}
	base := strings.TrimSuffix(name, filepath.Ext(name)) + "-" + strings.TrimPrefix(filepath.Ext(name), ".")
	if err := writeWhole(filepath.Join(d.dir, "licenses", base+license.Extension), doc.JSON()); err != nil {
		return err
	}
	book := filepath.Join(d.dir, "books", base+filepath.Ext(rec.File))
	if err := d.embed(ctx, doc, rec.File, book); err != nil {
		return fmt.Errorf("embed the license: %w", err)
	}
	compared, err := d.compare(ctx, clear, book)
	if err != nil {
		return fmt.Errorf("open again: %w", err)
	}
	_, err = fmt.Fprintf(d.out, "%-17s  %-28s  %2d resources encrypted, %2d entries compared  -> %s\n", name, rec.Format, rec.Encrypted, compared, book)
	return err
}

func (d *demonstration) embed(ctx context.Context, doc *license.Document, file, book string) error {
	pkg, err := protect.OpenPackage(file)
	if err != nil {
		return err
	}
	defer pkg.Close()
	return pkg.Embed(ctx, doc.JSON(), book)
}

// compare opens the book with the passphrase alone, as a reading app does, and
// compares every entry with what the sample holds. It returns how many.
func (d *demonstration) compare(ctx context.Context, clear, book string) (int, error) {
	pkg, err := protect.OpenPackage(book)
	if err != nil {
		return 0, err
	}
	defer pkg.Close()
	key, err := unlock(ctx, pkg, profile.HashPassphrase(demoPassphrase))
	if err != nil {
		return 0, err
	}
	src, err := protect.Recognition{}.Open(ctx, clear)
	if err != nil {
		return 0, err
	}
	defer src.Close()
	compared := 0
	for i := range src.Plan.Parts {
		part := &src.Plan.Parts[i]
		if part.Declaration {
			continue
		}
		want, err := readAll(part.Open())
		if err != nil {
			return 0, err
		}
		got, err := readEntry(pkg, part.Name, key)
		if err != nil {
			return 0, err
		}
		if !bytes.Equal(got, want) {
			return 0, fmt.Errorf("entry %q is not what it was", part.Name)
		}
		compared++
	}
	return compared, nil
}

// unlock verifies the embedded license and opens it.
func unlock(ctx context.Context, pkg *protect.Package, hash profile.Hash) (lcpcrypto.ContentKey, error) {
	var none lcpcrypto.ContentKey
	data, err := pkg.LicenseDocument()
	if err != nil {
		return none, err
	}
	doc, err := license.Parse(data)
	if err != nil {
		return none, err
	}
	if _, err := doc.Verify(nil); err != nil {
		return none, err
	}
	userKey, err := profile.NewRegistry().UserKey(ctx, doc.Encryption.Profile, hash)
	if err != nil {
		return none, err
	}
	opened, err := doc.Open(userKey)
	return opened.ContentKey, err
}

// readEntry gives the clear bytes of an entry.
func readEntry(pkg *protect.Package, name string, key lcpcrypto.ContentKey) ([]byte, error) {
	e := pkg.Archive.Lookup(name)
	if e == nil {
		return nil, fmt.Errorf("entry %q is missing", name)
	}
	if pkg.Encrypted[e.Name].Scheme != publication.Scheme {
		return readAll(e.Open())
	}
	var b bytes.Buffer
	err := pkg.DecryptTo(&b, e, key)
	return b.Bytes(), err
}

func readAll(r io.ReadCloser, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}
