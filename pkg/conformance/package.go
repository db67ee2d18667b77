package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/protect"
	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/pkg/rwpm/jsontree"
)

const (
	mimetypeEntry = "mimetype"
	mimetypeText  = "application/epub+zip"
)

// Package checks a protected publication, and tells of each finding as it is made:
// what is declared as encrypted, what must not be, and every entry's checksum. With
// the content key it also decrypts and inflates every resource. Memory does not
// grow with the publication. It stops between entries once ctx is done.
func Package(ctx context.Context, pkg *protect.Package, key *lcpcrypto.ContentKey, tell func(...Finding)) {
	c := &packageCheck{Package: pkg, tell: tell}
	if !pkg.Protected {
		tell(c.unprotected())
		return
	}
	c.structure()
	for _, e := range pkg.Archive.Entries {
		if ctx.Err() != nil {
			return
		}
		c.entry(e, key)
	}
	message := fmt.Sprintf("encrypted resources (%d): %d decrypt to what is declared", c.encrypted, c.decrypted)
	if key == nil {
		message = fmt.Sprintf("encrypted resources (%d): none was decrypted, which takes a license and its passphrase", c.encrypted)
	}
	c.note(Info, "package-decrypted", "", message, "", "")
}

// A packageCheck is the check of a package under way.
type packageCheck struct {
	*protect.Package
	tell      func(...Finding)
	encrypted int // entries, with LCP
	decrypted int
}

func (c *packageCheck) note(severity Severity, rule, place, message, clause, remedy string) {
	c.tell(Finding{severity, rule, SubjectPublication, place, message, clause, remedy})
}

// notProtected is the finding of a clear publication.
var notProtected = Finding{
	Error, "package-protected", SubjectPublication, "", "is not protected with LCP: it has neither a license nor a resource encrypted with LCP", "LCP §7.1",
	"protect it with lcp encrypt",
}

// unprotected says that nothing is protected by LCP.
func (c *packageCheck) unprotected() Finding {
	f := notProtected
	for _, name := range slices.Sorted(maps.Keys(c.Encrypted)) {
		if enc := c.Encrypted[name]; enc.Scheme != "" || enc.Algorithm == publication.Algorithm {
			f.Place, f.Message, f.Clause = name, "is encrypted, and not declared as LCP has it", "LCP §2.2"
			f.Remedy = "refer to the content key of the license in " + c.Declaration
			break
		}
	}
	return f
}

// structure checks what can be seen in the directory of the package and in its
// declaration.
func (c *packageCheck) structure() {
	clause := noteClause(c.Format)
	switch c.Format {
	case publication.EPUB:
		clause = "LCP §2.2"
		c.mimetype()
		c.encryptionXML()
	case publication.PDF, publication.Audiobook:
		c.manifest()
	}
	encrypted := 0
	for _, name := range slices.Sorted(maps.Keys(c.Encrypted)) {
		if c.Encrypted[name].Scheme != publication.Scheme {
			continue
		}
		encrypted++
		if c.Archive.Lookup(name) == nil {
			c.note(Error, "package-missing", name, "is declared as encrypted, and the package does not hold it", clause,
				"declare what is there: "+c.Declaration+" names entries by their percent-encoded path from the root")
		}
	}
	if encrypted == 0 {
		c.note(Error, "package-encrypted", c.Declaration, "declares no resource as encrypted with LCP", clause, "apps take every resource for clear: declare what is encrypted")
	}
	for _, name := range []string{publication.EPUB.License, publication.PDF.License} {
		if name != c.Format.License && c.Archive.Lookup(name) != nil {
			c.note(Error, "package-license-place", name, "is not where apps look for the license of such a package", "LCP §3.2", "put it at "+c.Format.License)
		}
	}
	for _, warning := range c.Warnings {
		c.note(Info, "package-contents", "", warning, "", "")
	}
}

// mimetype checks the first entry of an EPUB: its name and its bytes are to lie
// where readers of magic numbers look for them.
func (c *packageCheck) mimetype() {
	const clause = "OCF 3.3 §4.2.7"
	e := c.Archive.Lookup(mimetypeEntry)
	if e == nil {
		c.note(Error, "epub-mimetype", mimetypeEntry, "is missing", clause, "have it first in the archive, stored, with the text "+mimetypeText)
		return
	}
	raw, err := e.Raw()
	if err != nil {
		return // reading the entry tells
	}
	const afterHeader = 30 + int64(len(mimetypeEntry))
	if _, offset, _ := raw.Outer(); offset != afterHeader || e.Method != archive.Store {
		c.note(Error, "epub-mimetype", mimetypeEntry, "is not the first entry, stored and without an extra field", clause, "write it first, without compression: readers recognize the format by it")
		return
	}
	if text, err := e.ReadAll(1 << 10); err == nil && string(text) != mimetypeText {
		c.note(Error, "epub-mimetype", mimetypeEntry, "says "+quote(string(text)), clause, "write "+mimetypeText+" and nothing else")
	}
}

// manifest checks what the notes on PDF and audiobooks ask of a manifest.
func (c *packageCheck) manifest() {
	if c.Format == publication.PDF && c.Metadata.NumberOfPages <= 0 {
		c.note(Error, "pdf-pages", c.Declaration, "metadata.numberOfPages is missing", "LCP for PDF", "tell it: apps show the reader's progress by it")
	}
	data, err := c.Archive.ReadFile(c.Declaration, jsontree.MaxSize)
	if err != nil {
		return // opening the package has read it
	}
	tree, err := jsontree.Parse(data)
	if err != nil {
		return
	}
	for i, item := range tree.Get("readingOrder").All() {
		place := fmt.Sprintf("%s readingOrder[%d].type", c.Declaration, i)
		mediaType, _ := item.Get("type").Text()
		switch {
		case mediaType == "":
			c.note(Error, "manifest-type", place, "is missing", noteClause(c.Format), "give the media type: apps choose by it how to show a resource")
		case c.Format == publication.PDF && mediaType != "application/pdf":
			c.note(Error, "manifest-type", place, quote(mediaType)+" is not application/pdf", noteClause(c.Format), "write application/pdf")
		}
	}
}

// noteClause names the note that a kind of package is specified in.
func noteClause(f publication.Format) string {
	switch f {
	case publication.PDF:
		return "LCP for PDF"
	case publication.Audiobook:
		return "LCP for audiobooks"
	default:
		return ""
	}
}

// A declaredEntry is an entry and what is declared about it.
type declaredEntry struct {
	*archive.Entry
	publication.Encrypted
	format    publication.Format
	mediaType string // "" if the package does not tell
	head      []byte // of the entry as it lies in the package
}

// encryptedRules hold for every entry that is encrypted with LCP.
var encryptedRules = []rule[*declaredEntry]{
	{"entry-algorithm", Error, "", "LCP §6.3", func(e *declaredEntry) string {
		if e.format == publication.EPUB || e.Algorithm == publication.Algorithm {
			return "" // encryptedDataRules tell of EPUBs
		}
		return "is declared with the algorithm " + quote(e.Algorithm)
	}, "write " + publication.Algorithm},
	{"entry-size", Error, "", "XML Encryption 1.1 §5.2", func(e *declaredEntry) string {
		if e.Size >= 2*lcpcrypto.BlockSize && e.Size%lcpcrypto.BlockSize == 0 {
			return ""
		}
		return fmt.Sprintf("has %d bytes, which are no initialization vector and whole blocks", e.Size)
	}, "encrypt it, or take it out of the declaration"},
	{"entry-length", Error, "", "LCP §2.2", func(e *declaredEntry) string {
		want := lcpcrypto.EncryptedSize(e.OriginalLength)
		if e.Deflated || e.OriginalLength < 0 || e.Size == want {
			return ""
		}
		return fmt.Sprintf("has %d bytes; those of its declared length, %d, encrypt to %d", e.Size, e.OriginalLength, want)
	}, "declare the length in bytes before compression and encryption, and compression where it was compressed"},
	{"entry-original-length", Error, "", "LCP §2.2", func(e *declaredEntry) string {
		if !e.Deflated || e.OriginalLength >= 0 {
			return ""
		}
		return "was compressed before it was encrypted, and its original length is not declared"
	}, "declare the length in bytes before compression and encryption"},
	{"entry-original-length", Warning, "", "LCP §2.2", func(e *declaredEntry) string {
		if e.Deflated || e.OriginalLength >= 0 || e.format != publication.EPUB {
			return ""
		}
		return "its original length is not declared"
	}, "declare it: apps need it to seek"},
	{"entry-stored", Error, "", "LCP for PDF, LCP for audiobooks", func(e *declaredEntry) string {
		if e.Method == archive.Store || !mustBeStored(e.format) {
			return ""
		}
		return "is compressed in the package"
	}, "store it: encrypted data do not compress, and apps seek in them"},
	{"entry-stored", Warning, "", "", func(e *declaredEntry) string {
		if e.Method == archive.Store || mustBeStored(e.format) {
			return ""
		}
		return "is compressed in the package"
	}, "store it: encrypted data do not compress, and apps seek in them"},
	{"entry-codec", Warning, "", "LCP §2.2", func(e *declaredEntry) string {
		if !e.Deflated || !publication.IsCodec(e.mediaType, e.Entry.Name) {
			return ""
		}
		return "is of the type " + quote(e.mediaType) + ", and was compressed before it was encrypted"
	}, "encrypt it as it is: apps must inflate all that comes before what they seek"},
	{"entry-clear", Error, "", "LCP §2.2", func(e *declaredEntry) string {
		if looksLike(e.mediaType, e.head) != yes {
			return ""
		}
		return "is declared as encrypted, and is clear " + quote(e.mediaType)
	}, "encrypt it, or take it out of the declaration"},
}

// mustBeStored tells the packages whose encrypted resources a note forbids to
// compress.
func mustBeStored(f publication.Format) bool {
	return f == publication.PDF || f == publication.Audiobook
}

// entry checks one entry, and reads it through.
func (c *packageCheck) entry(e *archive.Entry, key *lcpcrypto.ContentKey) {
	if e.IsDir() {
		return
	}
	head, err := readThrough(e)
	if err != nil {
		c.note(Error, "entry-damaged", e.Name, reason(err), "APPNOTE 6.3", "the file is damaged: upload or download it again")
		return
	}
	enc, declared := c.Encrypted[e.Name]
	if !declared || enc.Scheme != publication.Scheme {
		if !declared {
			c.undeclared(e, head)
		}
		return
	}
	broken := apply(encryptedRules, SubjectPublication, e.Name, &declaredEntry{e, enc, c.Format, c.MediaType(e.Name), head})
	c.tell(broken...)
	c.mustBeClear(e.Name)
	c.encrypted++
	if key == nil || slices.ContainsFunc(broken, func(f Finding) bool { return f.Rule == "entry-size" || f.Rule == "entry-clear" }) {
		return
	}
	if err := c.DecryptTo(io.Discard, e, *key); err != nil {
		c.note(Error, "entry-decrypt", e.Name, reason(err), "LCP §2.2",
			"is the license for this very publication? If so, encrypt it again: the content key, the padding or the compression differs from what is declared")
		return
	}
	c.decrypted++
}

// mustBeClear says of an encrypted entry that it must not be.
func (c *packageCheck) mustBeClear(name string) {
	forbidden, clear := c.Clear[name]
	switch {
	case forbidden:
		c.note(Error, "entry-forbidden", name, "is encrypted, and must stay readable without a license", "LCP §2.1", "leave it clear: apps show it, or find their way by it, before the license is opened")
	case clear:
		c.note(Warning, "entry-forbidden", name, "is encrypted, and apps do better if it is not", "LCP §2.1", "leave it clear, as covers and navigation documents are")
	}
}

// undeclared looks whether an entry that is not declared is encrypted nevertheless.
func (c *packageCheck) undeclared(e *archive.Entry, head []byte) {
	mediaType := c.MediaType(e.Name)
	if e.Size < 2*lcpcrypto.BlockSize || e.Size%lcpcrypto.BlockSize != 0 || looksLike(mediaType, head) != no {
		return
	}
	c.note(Warning, "entry-undeclared", e.Name, "is not declared as encrypted, and does not look like "+quote(mediaType), "LCP §2.2",
		"if it is encrypted, declare it in "+c.Declaration+"; else it is damaged")
}

// headSize is how much of an entry is looked at to tell what it is.
const headSize = 512

// readThrough reads an entry, which verifies its length and CRC-32, and returns
// its first bytes.
func readThrough(e *archive.Entry) ([]byte, error) {
	r, err := e.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	head, err := io.ReadAll(io.LimitReader(r, headSize))
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, r)
	return head, err
}

// reason takes the name of the entry off an error: the finding has it.
func reason(err error) string {
	if entry, ok := errors.AsType[*archive.EntryError](err); ok {
		return entry.Err.Error()
	}
	return err.Error()
}

// An answer is what bytes tell of their type.
type answer int

const (
	unknowable answer = iota
	yes
	no
)

// beginnings are those of resources of a media type, enough to tell them from
// encrypted bytes, which are random.
var beginnings = map[string][]string{
	"application/pdf": {"%PDF-"},
	"image/gif":       {"GIF8"},
	"image/jpeg":      {"\xFF\xD8\xFF"},
	"image/png":       {"\x89PNG"},
	"image/webp":      {"RIFF"},
}

// looksLike tells whether a resource begins as those of its media type do.
func looksLike(mediaType string, head []byte) answer {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	if mediaType == "text/html" || strings.HasSuffix(mediaType, "+xml") {
		return looksLikeMarkup(head)
	}
	known := beginnings[mediaType]
	switch {
	case known == nil:
		return unknowable
	case slices.ContainsFunc(known, func(s string) bool { return bytes.HasPrefix(head, []byte(s)) }):
		return yes
	default:
		return no
	}
}

// looksLikeMarkup tells XML and HTML. Of those in UTF-16 it does not know, and of
// text in another encoding only that it may be markup. One random byte in 256 is a
// bracket, so what follows must be text, too.
func looksLikeMarkup(head []byte) answer {
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\uFEFF")), " \t\r\n")
	switch {
	case bytes.HasPrefix(head, []byte("\xFF\xFE")), bytes.HasPrefix(head, []byte("\xFE\xFF")):
		return unknowable
	case !bytes.HasPrefix(text, []byte("<")), slices.ContainsFunc(text, isControl):
		return no
	case !isUTF8(text):
		return unknowable
	default:
		return yes
	}
}

// isControl tells the bytes that no text has.
func isControl(c byte) bool { return c < ' ' && c != '\t' && c != '\r' && c != '\n' }

// isUTF8 reports whether text is UTF-8, though its last character may be cut.
func isUTF8(text []byte) bool {
	for cut := range min(utf8.UTFMax, len(text)+1) {
		if utf8.Valid(text[:len(text)-cut]) {
			return true
		}
	}
	return false
}

// packageFailure tells why a file could not be opened as a package.
func packageFailure(err error) Finding {
	f := Finding{Error, "package", SubjectPublication, "", reason(err), "", "the file is damaged or no publication package: download it again, or protect the publication anew"}
	if entry, ok := errors.AsType[*archive.EntryError](err); ok {
		f.Place = entry.Entry
	}
	return f
}

// extensionFindings says that a file is not called as such packages are.
func extensionFindings(name string, format publication.Format) []Finding {
	ext := strings.ToLower(filepath.Ext(name))
	if ext == format.Extension || format == publication.Audiobook && ext == ".lcpau" {
		return nil
	}
	return []Finding{{
		Warning, "package-extension", SubjectPublication, "", fmt.Sprintf("the file is named %s, and such packages %s", quote(filepath.Base(name)), format.Extension), noteClause(format),
		"rename it: some apps choose the reader by the extension",
	}}
}
