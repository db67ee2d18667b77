// Package catalogue brings publications into a catalogue: it opens each source,
// settles its identity, has it protected, puts the result where it is published
// from and registers it where licenses are made.
//
// The order is what keeps a catalogue sound: a key is known before anything is
// encrypted with it, a record exists only once the file is whole and in place,
// and a failure leaves neither behind.
package catalogue

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/protect"
	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/pkg/store"
)

// An Item is one publication to bring in.
type Item struct {
	Input    string                // path, or http(s) URL
	UUID     string                // wanted identifier; "" for a new one, or the one known for AltID
	AltID    string                // alternative identifier; "" for none
	Key      *lcpcrypto.ContentKey // nil for a new one, or the one known
	FileName string                // of the output; "" for the UUID. The format's extension is added where it lacks one
	Provider string                // URI; "" for none
}

// A Record tells what became of an item.
type Record struct {
	UUID          string   `json:"uuid,omitempty"`
	AltID         string   `json:"alt_id,omitempty"`
	Title         string   `json:"title,omitempty"`
	Authors       []string `json:"authors,omitempty"`
	ContentType   string   `json:"content_type,omitempty"`
	File          string   `json:"file,omitempty"`
	Href          string   `json:"href,omitempty"`
	Size          int64    `json:"size,omitempty"`     // bytes
	Checksum      string   `json:"checksum,omitempty"` // SHA-256, hexadecimal
	Cover         string   `json:"cover,omitempty"`
	Source        string   `json:"source"` // the input
	Format        string   `json:"format,omitempty"`
	Encrypted     int      `json:"encrypted,omitempty"` // number of encrypted resources
	EncryptionKey string   `json:"encryption_key,omitempty"`
	Seconds       float64  `json:"seconds"`
	Warnings      []string `json:"warnings,omitempty"`
	Error         string   `json:"error,omitempty"`
}

// A Registry knows which publication has which key, and takes the records of
// protected ones. *store.Store is one.
type Registry interface {
	// Reserve gives the identity under which to encrypt: the known one with
	// the wanted UUID or AltID, else a new one.
	Reserve(ctx context.Context, want store.Identity) (got store.Identity, known bool, err error)
	// SavePublication adds the record, or replaces that of the same UUID.
	SavePublication(ctx context.Context, p store.Publication) (saved store.Publication, created bool, err error)
}

// A Worker brings in items, one at a time.
type Worker struct {
	Recognition protect.Recognition
	Pipeline    *protect.Pipeline
	Registry    Registry // nil to register nowhere: the record then has the key
	Out         string   // folder for the output; must exist
	BaseURL     string   // where Out is published; "" for file URLs
	Cover       bool     // write the cover beside the publication
	Verify      bool     // read the output back and compare it with the source
	DryRun      bool     // write and register nothing
	HTTP        *http.Client
	Now         func() time.Time
}

// Progress is told of the work on an item: its expected size once known, then
// how many bytes were written since the last call. Either may be nil.
type Progress struct {
	Total func(bytes int64)
	Add   func(bytes int64)
}

// Process brings in one item. Whatever happens, the record says which input it
// is about, how long it took and what was odd; the error says why nothing came
// of it. It names no file: callers do.
func (w *Worker) Process(ctx context.Context, item Item, progress Progress) (Record, error) {
	begin := w.Now()
	rec := Record{Source: item.Input, AltID: item.AltID, UUID: item.UUID}
	err := w.process(ctx, item, &rec, progress)
	rec.Seconds = w.Now().Sub(begin).Seconds()
	if err != nil {
		rec.Error = err.Error()
		rec.File, rec.Href, rec.Size, rec.Checksum, rec.Cover = "", "", 0, "", ""
	}
	return rec, err
}

func (w *Worker) process(ctx context.Context, item Item, rec *Record, progress Progress) error {
	path := item.Input
	if IsURL(item.Input) {
		local, err := w.fetch(ctx, item.Input)
		if err != nil {
			return err
		}
		defer os.RemoveAll(filepath.Dir(local))
		path = local
	}
	src, err := w.Recognition.Open(ctx, path)
	if err != nil {
		return err
	}
	defer src.Close()
	plan := src.Plan
	rec.Title, rec.Authors = plan.Metadata.Title, plan.Metadata.Authors
	rec.ContentType, rec.Format = plan.Format.MediaType, plan.Source
	rec.Warnings = plan.Warnings
	rec.Encrypted = len(protect.Encrypted(plan))
	if rec.Encrypted == 0 {
		return publication.ErrNothing
	}
	if progress.Total != nil {
		progress.Total(src.Size())
	}
	if w.DryRun {
		return nil
	}
	id, err := w.identify(ctx, item)
	if err != nil {
		return err
	}
	rec.UUID, rec.AltID = id.UUID, id.AltID
	return w.publish(ctx, src, id, item, rec, progress.Add)
}

// identify settles uuid and key. What nobody could know yet needs no registry.
func (w *Worker) identify(ctx context.Context, item Item) (store.Identity, error) {
	want := store.Identity{UUID: strings.ToLower(item.UUID), AltID: item.AltID}
	if item.Key != nil {
		want.Key = *item.Key
	}
	if w.Registry != nil && (want.UUID != "" || want.AltID != "") {
		got, _, err := w.Registry.Reserve(ctx, want)
		return got, err
	}
	if want.UUID == "" {
		want.UUID = uuid.NewString()
	}
	if item.Key == nil {
		want.Key = lcpcrypto.NewContentKey()
	}
	return want, nil
}

// publish writes the files and registers the publication.
func (w *Worker) publish(ctx context.Context, src *protect.Source, id store.Identity, item Item, rec *Record, add func(int64)) (err error) {
	plan := src.Plan
	name := fileName(item.FileName, id.UUID, plan.Format.Extension)
	rec.File = filepath.Join(w.Out, name)
	var made newFiles
	defer func() {
		if err != nil {
			// Nobody knows the key of this file: it would be of no use to anyone.
			err = errors.Join(err, made.remove())
		}
	}()
	made.expect(rec.File)
	result, err := w.Pipeline.EncryptFile(ctx, src, id.Key, rec.File, w.Verify, add)
	if err != nil {
		return err
	}
	rec.Size, rec.Checksum = result.Size, hex.EncodeToString(result.SHA256[:])
	if rec.Href, err = w.href(rec.File, name); err != nil {
		return err
	}
	coverURL, err := w.writeCover(plan, name, rec, &made)
	if err != nil {
		return err
	}
	return w.register(ctx, id, plan, rec, coverURL, item.Provider)
}

// newFiles are files that were not there before.
type newFiles []string

// expect comes before a file is written.
func (n *newFiles) expect(name string) {
	if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		*n = append(*n, name)
	}
}

// remove removes those that were written.
func (n *newFiles) remove() error {
	var errs []error
	for _, name := range *n {
		if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (w *Worker) register(ctx context.Context, id store.Identity, plan *publication.Plan, rec *Record, coverURL, provider string) error {
	if w.Registry == nil {
		rec.EncryptionKey = id.Key.Base64()
		return nil
	}
	meta := plan.Metadata
	_, _, err := w.Registry.SavePublication(ctx, store.Publication{
		UUID: id.UUID, AltID: id.AltID, Provider: provider,
		Title: meta.Title, Authors: meta.Authors, Publishers: meta.Publishers,
		Description: meta.Description, Languages: meta.Languages, Published: meta.Published,
		ContentType: plan.Format.MediaType, Href: rec.Href, Size: rec.Size, Checksum: rec.Checksum,
		CoverURL: coverURL, ContentKey: id.Key,
	})
	if err != nil {
		return fmt.Errorf("register the publication: %w", err)
	}
	return nil
}

// maxCover bounds a cover image in bytes.
const maxCover = 64 << 20

// writeCover writes the cover beside the publication, under a name that no
// publication has. A publication without one is a warning.
func (w *Worker) writeCover(plan *publication.Plan, name string, rec *Record, made *newFiles) (href string, err error) {
	if !w.Cover {
		return "", nil
	}
	if plan.Cover == nil {
		rec.Warnings = append(rec.Warnings, "no cover found")
		return "", nil
	}
	r, err := plan.Cover.Part.Open()
	if err != nil {
		return "", fmt.Errorf("read the cover: %w", err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxCover))
	if err != nil {
		return "", fmt.Errorf("read the cover: %w", err)
	}
	name = strings.TrimSuffix(name, filepath.Ext(name)) + ".cover" + coverExtension(plan.Cover)
	rec.Cover = filepath.Join(w.Out, name)
	made.expect(rec.Cover)
	if err := protect.WriteFile(rec.Cover, data); err != nil {
		return "", fmt.Errorf("write the cover: %w", err)
	}
	return w.href(rec.Cover, name)
}

func coverExtension(c *publication.Cover) string {
	if ext := strings.ToLower(filepath.Ext(c.Part.Name)); ext != "" {
		return ext
	}
	return ".jpg"
}

// href is where the file can be downloaded: under the base URL, or from this
// machine only.
func (w *Worker) href(path, name string) (string, error) {
	if w.BaseURL != "" {
		return strings.TrimSuffix(w.BaseURL, "/") + "/" + url.PathEscape(name), nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	slashed := filepath.ToSlash(abs)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // a drive letter
	}
	return (&url.URL{Scheme: "file", Path: slashed}).String(), nil
}

func fileName(wanted, id, ext string) string {
	switch {
	case wanted == "":
		return id + ext
	case filepath.Ext(wanted) == "":
		return wanted + ext
	default:
		return wanted
	}
}
