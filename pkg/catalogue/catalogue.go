// Package catalogue brings publications into a catalogue: it opens each source,
// settles its identity, has it protected, puts the result where it is published
// from and registers it where licenses are made.
//
// The order is what keeps a catalogue sound: a key is known before anything is
// encrypted with it, a record exists only once the file is whole and in place,
// and a failure leaves neither behind.
package catalogue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/blob"
	"github.com/lcp-tools/lcp/pkg/blob/s3blob"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/onix"
	"github.com/lcp-tools/lcp/pkg/protect"
	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/pkg/store"
)

// An Item is one publication to bring in.
type Item struct {
	Input    string `json:"input"`     // path, http(s) URL, or s3://bucket/key
	UUID     string `json:"uuid"`      // wanted identifier; "" for a new one, or the one known for AltID
	AltID    string `json:"alt_id"`    // alternative identifier; "" for none
	Title    string `json:"title"`     // to record; "" for the publication's own
	Provider string `json:"provider"`  // URI; "" for none
	KeyFile  string `json:"key_file"`  // file with the content key; "" for a new key, or the one known
	FileName string `json:"file_name"` // of the output in the store; "" for the UUID. The format's extension is added where it lacks one

	// Proposal is the identifier for a publication that neither UUID nor AltID
	// gives one, so that who tries again replaces what the last attempt left;
	// "" for a random one.
	Proposal string `json:"-"`

	// Edition tells apart what comes under the same name, one after another, each
	// a publication of its own to the journal; "" where a name stays for the same.
	Edition string `json:"-"`

	// Fault tells why it cannot be brought in; "" if nothing is known to be
	// wrong. Others of a batch go on.
	Fault string `json:"-"`
}

// A Record tells what became of an item.
type Record struct {
	UUID          string   `json:"uuid,omitempty"`
	AltID         string   `json:"alt_id,omitempty"`
	Title         string   `json:"title,omitempty"`
	Authors       []string `json:"authors,omitempty"`
	Identifiers   []string `json:"identifiers,omitempty"` // that the publication says it has, where Worker.Products are looked for
	ContentType   string   `json:"content_type,omitempty"`
	File          string   `json:"file,omitempty"` // path or s3 URL
	Href          string   `json:"href,omitempty"`
	FormerHref    string   `json:"former_href,omitempty"` // where the file was before, if elsewhere; what is there is left for licenses that point to it
	Size          int64    `json:"size,omitempty"`        // bytes
	Checksum      string   `json:"checksum,omitempty"`    // SHA-256, hexadecimal
	Cover         string   `json:"cover,omitempty"`
	Source        string   `json:"source"` // the input
	Format        string   `json:"format,omitempty"`
	Encrypted     int      `json:"encrypted,omitempty"` // number of encrypted resources
	EncryptionKey string   `json:"encryption_key,omitempty"`
	Seconds       float64  `json:"seconds"`
	Kept          bool     `json:"kept,omitempty"` // an earlier run has done it, and nothing changed
	Warnings      []string `json:"warnings,omitempty"`
	Untold        string   `json:"untold,omitempty"`    // why the Notifier was not told; a later run with the same journal tells it
	Undeleted     string   `json:"undeleted,omitempty"` // why the source is still there that was to be deleted
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
	Registry    Registry   // nil to register nowhere: the record then has the key
	Store       blob.Store // of the output; may be nil with DryRun
	Cover       bool       // store the cover beside the publication
	Verify      bool       // read the output back and compare it with the source
	DryRun      bool       // store and register nothing
	HTTP        *http.Client
	Now         func() time.Time
	Journal     *Journal // nil to remember nothing; needs a Registry, which keeps the keys
	Notifier    Notifier // told of what is registered; nil for nobody
	Recall      bool     // give the whole records of what an earlier run has done

	Products *onix.Index // what ONIX messages say of publications; nil for none

	// Bucket opens a bucket that items are in; nil where none are.
	Bucket func(ctx context.Context, name string) (*s3blob.Store, error)

	// DeleteSource deletes the files of items that are stored and registered, now
	// or by an earlier run. It needs a Registry.
	DeleteSource bool

	// ReadKey reads the content key in a file; it may be nil where no item
	// names one.
	ReadKey func(name string) (lcpcrypto.ContentKey, error)
	// Pause waits between attempts at a download, or until ctx is done; nil for
	// as long as it is told.
	Pause func(ctx context.Context, d time.Duration) error
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
//
// With a journal, an item is passed over that an earlier run has done, if neither
// the source nor what is asked for has changed. Its record says so, and has
// little more than identifiers unless Recall is set.
func (w *Worker) Process(ctx context.Context, item Item, progress Progress) (Record, error) {
	begin := w.Now()
	rec := Record{Source: item.Input, AltID: item.AltID, UUID: item.UUID}
	var before os.FileInfo
	if w.DeleteSource { // a hundred thousand rows to pass over have no time for it
		before, _ = os.Stat(item.Input) // of what is not there, opening it tells
	}
	err := w.process(ctx, item, &rec, progress)
	if err == nil && w.DeleteSource {
		w.deleteSource(item.Input, before, &rec)
	}
	rec.Seconds = w.Now().Sub(begin).Seconds()
	if err != nil {
		rec.Error = err.Error()
		rec.File, rec.Href, rec.Size, rec.Checksum, rec.Cover = "", "", 0, "", ""
	}
	return rec, err
}

func (w *Worker) process(ctx context.Context, item Item, rec *Record, progress Progress) error {
	if item.Fault != "" {
		return &InputError{errors.New(item.Fault)}
	}
	from, err := w.origin(ctx, item.Input)
	if err != nil {
		return err
	}
	defer from.close()
	if w.Journal == nil {
		m, err := w.protect(ctx, from, item, rec, progress)
		if err == nil && w.Notifier != nil && !w.DryRun {
			w.tell(ctx, &m, rec)
		}
		return err
	}
	key := item.digest()
	known, ok, err := w.kept(ctx, &item, key, from)
	if err != nil {
		return err
	}
	if ok {
		*rec = known
		return w.tellAgain(ctx, key, rec)
	}
	// Looked at before it is opened: should it change in between, the next run
	// finds it changed.
	state, err := from.state(ctx)
	if err != nil {
		return inputError(ctx, pathless(err))
	}
	m, err := w.protect(ctx, from, item, rec, progress)
	if err != nil {
		return err
	}
	if w.Notifier != nil {
		if err := w.Journal.owe(key, rec.UUID, &m); err != nil {
			return err
		}
	}
	product, _, err := w.product(&item, rec.Identifiers)
	if err != nil {
		return err
	}
	if err := w.Journal.end(key, w.askedOf(&item, product), state, rec); err != nil {
		return err
	}
	return w.tellAgain(ctx, key, rec)
}

// protect brings in the publication from where it is.
func (w *Worker) protect(ctx context.Context, from origin, item Item, rec *Record, progress Progress) (m Message, err error) {
	src, err := from.open(ctx, w.Recognition)
	if err != nil {
		return m, inputError(ctx, err)
	}
	defer src.Close()
	plan := src.Plan
	rec.Warnings = plan.Warnings
	if err := w.describe(&item, plan, rec); err != nil {
		return m, err
	}
	rec.Title, rec.Authors = cmp.Or(item.Title, plan.Metadata.Title), plan.Metadata.Authors
	rec.ContentType, rec.Format = plan.Format.MediaType, plan.Source
	rec.Encrypted = len(protect.Encrypted(plan))
	if rec.Encrypted == 0 {
		return m, &InputError{publication.ErrNothing}
	}
	if progress.Total != nil {
		progress.Total(src.Size())
	}
	if w.DryRun {
		return m, nil
	}
	id, known, err := w.identify(ctx, item)
	if err != nil {
		return m, err
	}
	rec.UUID, rec.AltID = id.UUID, id.AltID
	former := ""
	if known {
		if former, err = w.formerHref(ctx, id.UUID); err != nil {
			return m, err
		}
	}
	m, err = w.publish(ctx, src, id, item, rec, progress.Add)
	if err == nil && former != "" && former != rec.Href {
		rec.FormerHref = former
		rec.Warnings = append(rec.Warnings, "licenses issued before point to "+former+", which is left there")
	}
	return m, err
}

// identify settles uuid and key, and has the journal know of them. What nobody
// could know yet needs no registry.
func (w *Worker) identify(ctx context.Context, item Item) (id store.Identity, known bool, err error) {
	want := store.Identity{UUID: strings.ToLower(item.UUID), AltID: item.AltID}
	if item.KeyFile != "" {
		key, err := w.ReadKey(item.KeyFile)
		if err != nil {
			return want, false, inputError(ctx, err)
		}
		want.Key = key
	}
	if w.Registry != nil && (w.Journal != nil || item.Proposal != "") {
		return w.identifyAgain(ctx, item, want)
	}
	if w.Registry != nil && (want.UUID != "" || want.AltID != "") {
		got, known, err := w.Registry.Reserve(ctx, want)
		return got, known, identityError(&item, err)
	}
	if want.UUID == "" {
		want.UUID = uuid.NewString()
	}
	if item.KeyFile == "" {
		want.Key = lcpcrypto.NewContentKey()
	}
	return want, false, nil
}

// identifyAgain gives the item the identifier under which an earlier run began
// it, so that what that run stored or registered is replaced, not doubled.
func (w *Worker) identifyAgain(ctx context.Context, item Item, want store.Identity) (got store.Identity, known bool, err error) {
	begun := item.Proposal
	if w.Journal != nil {
		begun = cmp.Or(w.Journal.recall(item.digest()).uuid, begun)
	}
	if want.UUID == "" {
		want.UUID = begun
	}
	if want.UUID == "" && want.AltID == "" {
		want.UUID = uuid.NewString()
	}
	got, known, err = w.Registry.Reserve(ctx, want)
	if errors.Is(err, store.ErrExists) && item.UUID == "" && item.AltID != "" && begun != "" {
		want.UUID = "" // somebody else has registered the alternative identifier meanwhile
		got, known, err = w.Registry.Reserve(ctx, want)
	}
	if err != nil || w.Journal == nil {
		return got, known, identityError(&item, err)
	}
	return got, known, w.Journal.begin(item.digest(), got.UUID)
}

// formerHref is where the registry says that the file of a publication is. Not
// every registry can tell.
func (w *Worker) formerHref(ctx context.Context, id string) (string, error) {
	r, ok := w.Registry.(interface {
		Publication(ctx context.Context, uuid string) (store.Publication, error)
	})
	if !ok {
		return "", nil
	}
	p, err := r.Publication(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil // it was deleted
	}
	if err != nil {
		return "", fmt.Errorf("look up the former file: %w", err)
	}
	return p.Href, nil
}

func (w *Worker) register(ctx context.Context, id store.Identity, plan *publication.Plan, rec *Record, coverURL string, item *Item) error {
	if w.Registry == nil {
		rec.EncryptionKey = id.Key.Base64()
		return nil
	}
	meta := plan.Metadata
	_, _, err := w.Registry.SavePublication(ctx, store.Publication{
		UUID: id.UUID, AltID: id.AltID, Provider: item.Provider,
		Title: rec.Title, Authors: meta.Authors, Publishers: meta.Publishers,
		Description: meta.Description, Languages: meta.Languages, Published: meta.Published,
		ContentType: plan.Format.MediaType, Href: rec.Href, Size: rec.Size, Checksum: rec.Checksum,
		CoverURL: coverURL, ContentKey: id.Key,
	})
	if err != nil {
		return fmt.Errorf("register the publication: %w", identityError(item, err))
	}
	return nil
}
