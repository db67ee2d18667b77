package catalogue

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lcp-tools/lcp/pkg/blob"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/protect"
	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/pkg/store"
)

// publish stores the objects and registers the publication. It returns what there
// is to tell about it.
func (w *Worker) publish(ctx context.Context, src *protect.Source, id store.Identity, item Item, rec *Record, add func(int64)) (m Message, err error) {
	plan := src.Plan
	name := objectName(item.FileName, id.UUID, plan.Format.Extension)
	made := newObjects{store: w.Store}
	defer func() {
		if err != nil {
			// Nobody knows the key of this object: it would be of no use to anyone.
			err = errors.Join(err, made.remove(ctx))
		}
	}()
	result, err := w.putPublication(ctx, src, id.Key, name, &made, add)
	if err != nil {
		return m, err
	}
	rec.File, rec.Href = w.Store.Location(name), w.Store.URL(name)
	rec.Size, rec.Checksum = result.Size, hex.EncodeToString(result.SHA256[:])
	coverURL, err := w.putCover(ctx, plan, name, rec, &made)
	if err != nil {
		return m, err
	}
	coverURL = cmp.Or(coverURL, plan.Metadata.CoverURL)
	if err := w.register(ctx, id, plan, rec, coverURL, &item); err != nil {
		if !slices.Contains(made.names, name) {
			err = fmt.Errorf("%w; the new file is in its place already, its record is not: encrypt it again", err)
		}
		return m, err
	}
	return messageOf(rec, &plan.Metadata, coverURL), nil
}

// putPublication encrypts into the store. Where the store can read back what has
// no name yet, that is what is verified; elsewhere, what the store has then.
func (w *Worker) putPublication(ctx context.Context, src *protect.Source, key lcpcrypto.ContentKey, name string, made *newObjects, add func(int64)) (protect.Result, error) {
	var result protect.Result
	verified := !w.Verify
	err := made.put(ctx, name, blob.Meta{
		ContentType: src.Plan.Format.MediaType,
		Disposition: mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(name)}),
	}, func(out io.Writer) error {
		var err error
		if result, err = w.encrypt(ctx, src, key, out, add); err != nil {
			return err
		}
		if r, ok := out.(io.ReaderAt); ok && !verified {
			if err := protect.Verify(ctx, src.Plan, key, r, result); err != nil {
				return fmt.Errorf("verify the output: %w", err)
			}
			verified = true
		}
		return src.Changed()
	})
	if err != nil || verified {
		return result, err
	}
	same, err := blob.Holds(ctx, w.Store, name, result.Size, result.SHA256)
	if err != nil {
		return result, fmt.Errorf("verify the output: %w", err)
	}
	if !same {
		return result, fmt.Errorf("verify the output: %w", protect.ErrMismatch)
	}
	return result, nil
}

// newObjects are objects that were not in a store before.
type newObjects struct {
	store blob.Store
	names []string
}

// put is the store's Put, and remembers an object that is new.
func (n *newObjects) put(ctx context.Context, name string, meta blob.Meta, write func(io.Writer) error) error {
	_, err := n.store.Stat(ctx, name)
	isNew := errors.Is(err, blob.ErrNotFound)
	if err != nil && !isNew {
		return err
	}
	if _, err := n.store.Put(ctx, name, meta, write); err != nil {
		return err
	}
	if isNew {
		n.names = append(n.names, name)
	}
	return nil
}

// removalTime is how long a store may take to remove objects after a failure.
const removalTime = 30 * time.Second

// remove removes them, even where ctx is done.
func (n *newObjects) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removalTime)
	defer cancel()
	var errs []error
	for _, name := range n.names {
		if err := n.store.Delete(ctx, name); err != nil {
			errs = append(errs, fmt.Errorf("remove %s again: %w", n.store.Location(name), err))
		}
	}
	return errors.Join(errs...)
}

// maxCover bounds a cover image in bytes.
const maxCover = 64 << 20

// putCover stores the cover beside the publication. A publication without one is
// a warning.
func (w *Worker) putCover(ctx context.Context, plan *publication.Plan, name string, rec *Record, made *newObjects) (href string, err error) {
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
	name = coverName(name, plan.Cover)
	meta := blob.Meta{ContentType: publication.MediaTypeByName(name)}
	err = made.put(ctx, name, meta, func(out io.Writer) error {
		_, err := io.Copy(out, io.LimitReader(r, maxCover))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("store the cover: %w", err)
	}
	rec.Cover = w.Store.Location(name)
	return w.Store.URL(name), nil
}

// coverMark is in the names of covers and in none of a publication, so that the
// one never takes the place of the other.
const coverMark = ".cover"

// coverName keeps the publication's whole name: publications may differ in their
// extension alone.
func coverName(name string, c *publication.Cover) string {
	ext := strings.ToLower(path.Ext(c.Part.Name))
	if ext == "" {
		ext = ".jpg"
	}
	return name + coverMark + ext
}

// CheckFileName returns an error that tells why a publication cannot be stored
// under a name.
func CheckFileName(name string) error {
	if err := blob.CheckName(name); err != nil {
		return err
	}
	if stem := strings.TrimSuffix(name, path.Ext(name)); path.Ext(stem) == coverMark {
		return fmt.Errorf("%w: %q is how a cover is called", blob.ErrName, name)
	}
	return nil
}

// objectName is the name of a publication in the store.
func objectName(wanted, id, ext string) string {
	switch {
	case wanted == "":
		return id + ext
	case path.Ext(wanted) == "":
		return wanted + ext
	default:
		return wanted
	}
}
