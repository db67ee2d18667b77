// Package rwpm holds the Readium Web Publication Manifest, the document at the
// root of a Readium package: its metadata, its links, and the declaration of
// what is encrypted in each link's properties.
//
// A manifest of somebody else is a Document, which can be read and changed in
// places and loses nothing when it is written again. A new one is made as a
// Manifest, of Go values. The package follows readium/webpub-manifest (README,
// contexts/default, modules/encryption) and knows nothing of packages, of LCP
// or of who may read what.
package rwpm

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/lcp-tools/lcp/pkg/rwpm/jsontree"
)

// Context is the JSON-LD context of every manifest.
const Context = "https://readium.org/webpub-manifest/context.jsonld"

// Profiles a manifest may conform to (profiles/README).
const (
	ProfileAudiobook = "https://readium.org/webpub-manifest/profiles/audiobook"
	ProfileDivina    = "https://readium.org/webpub-manifest/profiles/divina"
	ProfilePDF       = "https://readium.org/webpub-manifest/profiles/pdf"
	ProfileEPUB      = "https://readium.org/webpub-manifest/profiles/epub"
)

// FontObfuscation is the algorithm of EPUB's font obfuscation, which is declared
// like encryption and is none (modules/encryption, "Font obfuscation").
const FontObfuscation = "http://www.idpf.org/2008/embedding"

// MaxSize is the size in bytes up to which a manifest is read.
const MaxSize = jsontree.MaxSize

// ErrStructure means that a document is JSON and yet no manifest.
var ErrStructure = errors.New("not a Readium manifest")

// A Document is a manifest as it was found. It is not safe for concurrent use.
type Document struct{ root *jsontree.Value }

// Parse reads a manifest. Its errors are ErrStructure, where it also refuses a
// collection that holds anything but link objects, and those of jsontree. A
// manifest without a reading order is no error here.
func Parse(data []byte) (*Document, error) {
	root, err := jsontree.Parse(data)
	if err != nil {
		return nil, err
	}
	if root.Kind() != jsontree.Object {
		return nil, fmt.Errorf("%w: it is not a JSON object", ErrStructure)
	}
	for _, name := range []string{"links", "readingOrder", "resources"} {
		if err := checkLinks(root.Get(name), name); err != nil {
			return nil, err
		}
	}
	return &Document{root}, nil
}

func checkLinks(links *jsontree.Value, where string) error {
	for i, l := range links.All() {
		here := fmt.Sprintf("%s[%d]", where, i)
		if l.Kind() != jsontree.Object {
			return fmt.Errorf("%w: %s is not a link object", ErrStructure, here)
		}
		if _, ok := l.Get("href").Text(); !ok {
			return fmt.Errorf("%w: %s has no href", ErrStructure, here)
		}
		for _, nested := range []string{"alternate", "children"} {
			if err := checkLinks(l.Get(nested), here+"."+nested); err != nil {
				return err
			}
		}
	}
	return nil
}

// Bytes returns the manifest as it now stands. All that was not changed is as
// it was found but for the space between tokens.
func (d *Document) Bytes() []byte { return d.root.Bytes() }

// An Item is a link of a Document.
type Item struct {
	Collection string // "links", "readingOrder" or "resources"
	Href       string // as written: a URL reference, or a template
	Templated  bool
	Type       string // media type, or empty
	Rels       []string
	Nested     bool // is an alternate or a child of another link
	Cover      bool // is an image marked as the cover, or an alternate of it

	object *jsontree.Value
}

// Publication gives the links to what makes up the publication: the reading
// order, then the resources, each followed by its alternates and children. The
// same resource may be linked more than once.
func (d *Document) Publication() iter.Seq[*Item] {
	return func(yield func(*Item) bool) {
		_ = walk(d.root.Get("readingOrder"), Item{Collection: "readingOrder"}, yield) &&
			walk(d.root.Get("resources"), Item{Collection: "resources"}, yield)
	}
}

// Links gives the links of the "links" collection, which lead to what belongs
// to the publication without being a part of it.
func (d *Document) Links() iter.Seq[*Item] {
	return func(yield func(*Item) bool) {
		walk(d.root.Get("links"), Item{Collection: "links"}, yield)
	}
}

func walk(links *jsontree.Value, outer Item, yield func(*Item) bool) bool {
	for _, object := range links.All() {
		item := newItem(object, outer)
		if !yield(item) {
			return false
		}
		nested := Item{Collection: outer.Collection, Nested: true}
		alternate := nested
		alternate.Cover = item.Cover
		if !walk(object.Get("alternate"), alternate, yield) || !walk(object.Get("children"), nested, yield) {
			return false
		}
	}
	return true
}

// newItem reads a link. What it does not say of itself comes from outer; its
// Cover tells whether it stands for a cover, which only an image can be (README
// §7).
func newItem(object *jsontree.Value, outer Item) *Item {
	i := outer
	i.object = object
	i.Href, _ = object.Get("href").Text()
	i.Type, _ = object.Get("type").Text()
	i.Templated = object.Get("templated").IsTrue()
	i.Rels = texts(object.Get("rel"))
	image := i.Type == "" || strings.HasPrefix(strings.ToLower(i.Type), "image/")
	i.Cover = image && (outer.Cover || slices.Contains(i.Rels, "cover"))
	return &i
}

// An Encryption is the value of a link's "encrypted" property
// (modules/encryption).
type Encryption struct {
	Scheme         string // URI, or empty
	Algorithm      string // URI
	Compression    string // "deflate", or empty
	OriginalLength int64  // bytes before compression and encryption; -1 if unknown
}

// Encryption returns what the link declares of its encryption. ok is false if it
// declares none.
func (i *Item) Encryption() (e Encryption, ok bool) {
	v := i.object.Get("properties").Get("encrypted")
	if v.Kind() != jsontree.Object || len(v.Members()) == 0 {
		return Encryption{}, false
	}
	e.Scheme, _ = v.Get("scheme").Text()
	e.Algorithm, _ = v.Get("algorithm").Text()
	e.Compression, _ = v.Get("compression").Text()
	e.OriginalLength = -1
	if n, ok := wholeNumber(v.Get("originalLength")); ok {
		e.OriginalLength = n
	}
	return e, true
}

// SetEncryption declares the link's encryption, leaving its other properties
// alone.
func (i *Item) SetEncryption(e Encryption) {
	properties := i.object.Get("properties")
	if properties.Kind() != jsontree.Object {
		properties = jsontree.NewObject()
		i.object.Set("properties", properties)
	}
	v := jsontree.NewObject()
	setString(v, "scheme", e.Scheme)
	setString(v, "algorithm", e.Algorithm)
	setString(v, "compression", e.Compression)
	if e.OriginalLength >= 0 {
		v.Set("originalLength", jsontree.NewInt(e.OriginalLength))
	}
	properties.Set("encrypted", v)
}

// RemoveEncryption takes the declaration away, and the link's properties if
// nothing else is in them.
func (i *Item) RemoveEncryption() {
	properties := i.object.Get("properties")
	if properties.Get("encrypted") == nil {
		return
	}
	if properties.Delete("encrypted"); len(properties.Members()) == 0 {
		i.object.Delete("properties")
	}
}

// AddConformsTo adds a profile to those that the metadata names.
func (d *Document) AddConformsTo(profile string) {
	metadata := d.root.Get("metadata")
	if metadata.Kind() != jsontree.Object {
		metadata = jsontree.NewObject()
		d.root.Set("metadata", metadata)
	}
	switch was := metadata.Get("conformsTo").All(); {
	case slices.Contains(texts(metadata.Get("conformsTo")), profile):
	case len(was) == 0:
		metadata.Set("conformsTo", jsontree.NewString(profile))
	default:
		metadata.Set("conformsTo", jsontree.NewArray(append(slices.Clip(was), jsontree.NewString(profile))...))
	}
}

// texts returns the strings among the one or more values of v.
func texts(v *jsontree.Value) []string {
	var list []string
	for _, item := range v.All() {
		if s, ok := item.Text(); ok {
			list = append(list, s)
		}
	}
	return list
}

func setString(object *jsontree.Value, key, s string) {
	if s != "" {
		object.Set(key, jsontree.NewString(s))
	}
}
