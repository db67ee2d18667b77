package epub

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/publication"
)

// Names in META-INF/encryption.xml (LCP §2.2, OCF 3.3 §4.2.6.3.2 and §4.3).
const (
	containerSpace   = "urn:oasis:names:tc:opendocument:xmlns:container"
	encSpace         = "http://www.w3.org/2001/04/xmlenc#"
	sigSpace         = "http://www.w3.org/2000/09/xmldsig#"
	compressionSpace = "http://www.idpf.org/2016/encryption#compression"

	contentKeyURI  = "license.lcpl#/encryption/content_key"
	contentKeyType = "http://readium.org/2014/01/lcp#EncryptedContentKey"
)

// Font obfuscations: no protection, and no business of a license.
const (
	idpfObfuscation  = "http://www.idpf.org/2008/embedding"
	adobeObfuscation = "http://ns.adobe.com/pdf/enc#RC"
)

// An encryptionDocument is encryption.xml as it was found, and what it says.
// Its zero value stands for an absent one.
type encryptionDocument struct {
	xml      []byte // in UTF-8; nil if there is none
	data     []encryptedData
	children int   // elements of the root
	rootEnd  int64 // offset of the root's end tag
	empty    bool  // the root is an empty-element tag, and rootEnd is its end
}

// encryptedData is what one EncryptedData element says of one resource.
type encryptedData struct {
	start, end      int64  // where the element is in the document
	child           bool   // of the root, as it should be
	algorithm       string // URI
	uri             string // from the root of the container, percent-encoded
	keyURI, keyType string // of the RetrievalMethod
	keySpace        string // namespace of what a DRM put into KeyInfo
	deflated        bool
	length          int64 // before compression and encryption; -1 if not declared
}

func (d *encryptedData) isLCP() bool {
	return d.keyType == contentKeyType || d.keyURI == contentKeyURI
}

func (d *encryptedData) isObfuscation() bool {
	return d.algorithm == idpfObfuscation || d.algorithm == adobeObfuscation
}

// scheme names the DRM as far as the element betrays it.
func (d *encryptedData) scheme() string {
	for _, s := range []struct{ mark, name string }{
		{"adobe.com/adept", "Adobe ADEPT"},
		{"apple.com", "Apple FairPlay"},
		{"marlin", "Marlin"},
		{"kobo", "Kobo"},
	} {
		if strings.Contains(strings.ToLower(d.keySpace+" "+d.algorithm), s.mark) {
			return s.name
		}
	}
	if d.algorithm == "" {
		return "an encryption without a name"
	}
	return d.algorithm
}

// entry finds the resource. References are relative to the root (OCF 3.3
// §4.2.6.3.2), whatever some tools believe.
func (d *encryptedData) entry(a *archive.Reader) (*archive.Entry, string) {
	return find(a, "", d.uri)
}

// encrypted gives what the element declares, under the name of the entry.
func (d *encryptedData) encrypted(a *archive.Reader) publication.Encrypted {
	e := publication.Encrypted{Deflated: d.deflated, OriginalLength: d.length, Algorithm: d.algorithm}
	if d.isLCP() {
		e.Scheme = publication.Scheme
	}
	found, name := d.entry(a)
	if e.Name = name; found != nil {
		e.Name = found.Name
	}
	return e
}

// readEncryption reads encryption.xml if there is one.
func readEncryption(a *archive.Reader) (*encryptionDocument, error) {
	doc, err := readXML(a, encryptionName, maxEncryption)
	if errors.Is(err, archive.ErrNotFound) {
		return &encryptionDocument{}, nil
	}
	if err != nil {
		return nil, err
	}
	return parseEncryption(doc)
}

// An encryptionReader fills an encryptionDocument.
type encryptionReader struct {
	*scanner
	doc     *encryptionDocument
	current encryptedData
	depth   int // of the EncryptedData element that is open; 0 means none
}

// parseEncryption reads an encryption.xml in UTF-8.
func parseEncryption(doc []byte) (*encryptionDocument, error) {
	r := &encryptionReader{scanner: newScanner(encryptionName, doc), doc: &encryptionDocument{xml: doc}}
	for {
		token, err := r.next()
		if errors.Is(err, io.EOF) {
			return r.doc, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if err := r.startElement(t); err != nil {
				return nil, err
			}
		case xml.EndElement:
			r.endElement()
		}
	}
}

func (r *encryptionReader) startElement(e xml.StartElement) error {
	switch {
	case len(r.open) == 1 && e.Name.Local != "encryption":
		return fmt.Errorf("%w: the root of %s is <%s>, not <encryption>", publication.ErrInvalid, encryptionName, e.Name.Local)
	case len(r.open) == 2:
		r.doc.children++
	}
	switch {
	case r.depth > 0:
		r.inEncryptedData(e)
	case e.Name.Local == "EncryptedData" && len(r.doc.data) == maxItems:
		return fmt.Errorf("%w: %s lists more than %d resources", publication.ErrInvalid, encryptionName, maxItems)
	case e.Name.Local == "EncryptedData":
		r.depth = len(r.open)
		r.current = encryptedData{start: r.start, child: r.depth == 2, length: -1}
	}
	return nil
}

// inEncryptedData looks at paths below the element, so that the key of a key
// (KeyInfo/EncryptedKey) is not taken for that of the resource.
func (r *encryptionReader) inEncryptedData(e xml.StartElement) {
	switch strings.Join(r.open[r.depth:], "/") {
	case "EncryptionMethod":
		r.current.algorithm = attribute(e, "Algorithm")
	case "KeyInfo/RetrievalMethod":
		r.current.keyURI, r.current.keyType = attribute(e, "URI"), attribute(e, "Type")
	case "CipherData/CipherReference":
		r.current.uri = attribute(e, "URI")
	case "EncryptionProperties/EncryptionProperty/Compression":
		r.current.deflated = attribute(e, "Method") == strconv.Itoa(int(archive.Deflate))
		if n, err := strconv.ParseInt(attribute(e, "OriginalLength"), 10, 64); err == nil && n >= 0 {
			r.current.length = n
		}
	default:
		if r.open[r.depth] == "KeyInfo" && e.Name.Space != sigSpace && e.Name.Space != encSpace && r.current.keySpace == "" {
			r.current.keySpace = e.Name.Space
		}
	}
}

func (r *encryptionReader) endElement() {
	switch len(r.open) {
	case r.depth:
		r.current.end = r.dec.InputOffset()
		r.doc.data = append(r.doc.data, r.current)
		r.depth = 0
	case 1:
		r.doc.rootEnd = r.start
		r.doc.empty = r.start == r.dec.InputOffset()
	}
}

// checkProtection returns ErrProtectedLCP or ErrProtected where the content is
// encrypted already (LCP §7.1). Obfuscated fonts are no protection, and a
// rights.xml alone encrypts nothing.
func checkProtection(a *archive.Reader, doc *encryptionDocument) error {
	if a.Lookup(licenseName) != nil {
		return fmt.Errorf("%w: it holds %s", publication.ErrProtectedLCP, licenseName)
	}
	for i := range doc.data {
		if d := &doc.data[i]; d.isLCP() {
			return fmt.Errorf("%w: %s lists %q", publication.ErrProtectedLCP, encryptionName, d.name())
		}
	}
	for i := range doc.data {
		d := &doc.data[i]
		if d.isObfuscation() {
			continue
		}
		scheme := d.scheme()
		if scheme == d.algorithm && isAdept(a) {
			scheme = "Adobe ADEPT"
		}
		return fmt.Errorf("%w: %s encrypts %q", publication.ErrProtected, scheme, d.name())
	}
	if a.Lookup(sinfName) != nil {
		return fmt.Errorf("%w: Apple FairPlay: it holds %s", publication.ErrProtected, sinfName)
	}
	return nil
}

func (d *encryptedData) name() string { return resolve("", unescape(d.uri)) }

// isAdept tells Adobe's rights.xml.
func isAdept(a *archive.Reader) bool {
	rights, err := a.ReadFile(rightsName, maxContainer)
	return err == nil && bytes.Contains(rights, []byte("http://ns.adobe.com/adept"))
}

// declare returns the document with an element for each of the resources. What
// it held stays as it is. refer gives the reference to an entry.
func (doc *encryptionDocument) declare(encrypted []publication.Encrypted, refer func(name string) string) []byte {
	var b bytes.Buffer
	if doc.xml == nil {
		fmt.Fprintf(&b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<encryption xmlns=%q xmlns:enc=%q xmlns:ds=%q>", containerSpace, encSpace, sigSpace)
		for _, e := range encrypted {
			writeEncryptedData(&b, "", e, refer(e.Name))
		}
		b.WriteString("\n</encryption>\n")
		return b.Bytes()
	}
	if len(encrypted) == 0 {
		return doc.xml
	}
	before, after := doc.split()
	b.Write(before)
	for _, e := range encrypted {
		// The prefixes are declared here, for those of the source may be any.
		writeEncryptedData(&b, fmt.Sprintf(" xmlns:enc=%q xmlns:ds=%q", encSpace, sigSpace), e, refer(e.Name))
	}
	b.Write(after)
	return b.Bytes()
}

// split cuts the document where elements can be added at the end of the root,
// before the white space that precedes its end tag.
func (doc *encryptionDocument) split() (before, after []byte) {
	if doc.empty { // <encryption/> becomes <encryption> and </encryption>
		tag := bytes.TrimSuffix(doc.xml[:doc.rootEnd], []byte("/>"))
		name := tag[bytes.LastIndexByte(tag, '<')+1:]
		name, _, _ = bytes.Cut(name, []byte{' '})
		return append(slices.Clone(tag), '>'), slices.Concat([]byte("\n</"), bytes.Fields(name)[0], []byte{'>'}, doc.xml[doc.rootEnd:])
	}
	at := len(bytes.TrimRight(doc.xml[:doc.rootEnd], " \t\r\n"))
	return doc.xml[:at], doc.xml[at:]
}

// writeEncryptedData writes the element in the form of LCP §2.2.
func writeEncryptedData(b *bytes.Buffer, namespaces string, e publication.Encrypted, uri string) {
	fmt.Fprintf(b, `
  <enc:EncryptedData%s>
    <enc:EncryptionMethod Algorithm="%s"/>
    <ds:KeyInfo>
      <ds:RetrievalMethod URI="%s" Type="%s"/>
    </ds:KeyInfo>
    <enc:CipherData>
      <enc:CipherReference URI="%s"/>
    </enc:CipherData>`, namespaces, escapeAttribute(e.Algorithm), contentKeyURI, contentKeyType, escapeAttribute(uri))
	if e.OriginalLength >= 0 {
		method := archive.Store
		if e.Deflated {
			method = archive.Deflate
		}
		fmt.Fprintf(b, `
    <enc:EncryptionProperties>
      <enc:EncryptionProperty xmlns:ns="%s">
        <ns:Compression Method="%d" OriginalLength="%d"/>
      </enc:EncryptionProperty>
    </enc:EncryptionProperties>`, compressionSpace, method, e.OriginalLength)
	}
	b.WriteString("\n  </enc:EncryptedData>")
}

// withoutLCP returns the document without the resources that LCP encrypts, nil
// if that leaves nothing. It undoes declare to the byte.
func (doc *encryptionDocument) withoutLCP() []byte {
	var kept []byte
	var done int64
	removed := 0
	for _, d := range doc.data {
		if !d.isLCP() {
			continue
		}
		kept = append(kept, bytes.TrimRight(doc.xml[done:d.start], " \t\r\n")...)
		done = d.end
		if d.child {
			removed++
		}
	}
	if removed == doc.children {
		return nil
	}
	return append(kept, doc.xml[done:]...)
}
