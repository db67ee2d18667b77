package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// This file reads protected publications with the standard library alone, as the
// specifications have them, so that no mistake of this module can agree with
// itself.

// An outsideBook is an archive as an outsider reads it.
type outsideBook struct {
	data  []byte
	files []*zip.File
	names map[string]*zip.File
}

func openOutside(data []byte) (*outsideBook, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	b := &outsideBook{data: data, files: z.File, names: map[string]*zip.File{}}
	for _, f := range z.File {
		b.names[f.Name] = f
	}
	return b, nil
}

// read gives the bytes of an entry, whose CRC-32 was right, or nil.
func (b *outsideBook) read(t *testing.T, name string) []byte {
	t.Helper()
	f := b.names[name]
	if f == nil {
		t.Errorf("entry %q is missing", name)
		return nil
	}
	data, err := readZIPFile(f)
	if err != nil {
		t.Errorf("entry %q: %v", name, err)
	}
	return data
}

// raw gives the bytes of an entry as they lie in the archive.
func (b *outsideBook) raw(t *testing.T, name string) []byte {
	t.Helper()
	r, err := b.names[name].OpenRaw()
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// decryptCBC is AES-256-CBC as XML Encryption 1.1 §5.2 has it.
func decryptCBC(key, data []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	if len(data) < 2*aes.BlockSize || len(data)%aes.BlockSize != 0 {
		return nil, fmt.Errorf("%d bytes are no ciphertext", len(data))
	}
	plain := make([]byte, len(data)-aes.BlockSize)
	cipher.NewCBCDecrypter(block, data[:aes.BlockSize]).CryptBlocks(plain, data[aes.BlockSize:])
	padding := int(plain[len(plain)-1])
	if padding < 1 || padding > aes.BlockSize {
		return nil, fmt.Errorf("%d is no length of padding", padding)
	}
	return plain[:len(plain)-padding], nil
}

// inflate gives what a raw deflate stream holds, which must end where data do.
func inflate(data []byte) ([]byte, error) {
	r := bytes.NewReader(data)
	plain, err := io.ReadAll(flate.NewReader(r))
	if err == nil && r.Len() > 0 {
		err = fmt.Errorf("%d bytes follow the deflate stream", r.Len())
	}
	return plain, err
}

// An outsideLicense is what a reading system takes from a license document in
// the basic profile (LCP 1.0 §3, §6.3).
type outsideLicense struct {
	ID         string
	Encryption struct {
		Profile    string
		ContentKey struct {
			Value []byte `json:"encrypted_value"`
		} `json:"content_key"`
		UserKey struct {
			Check []byte `json:"key_check"`
		} `json:"user_key"`
	}
	Links []struct {
		Rel, Href, Type, Hash string
		Length                int64
	}
}

// contentKey opens the license with a passphrase.
func (l *outsideLicense) contentKey(t *testing.T, passphrase string) []byte {
	t.Helper()
	user := sha256.Sum256([]byte(passphrase))
	check, err := decryptCBC(user[:], l.Encryption.UserKey.Check)
	if err != nil || string(check) != l.ID {
		t.Errorf("key_check holds %q, %v, want %q", check, err, l.ID)
	}
	key, err := decryptCBC(user[:], l.Encryption.ContentKey.Value)
	if err != nil || len(key) != 32 {
		t.Fatalf("the content key has %d bytes, %v", len(key), err)
	}
	return key
}

// A declared is what a package declares about an encrypted resource.
type declared struct {
	deflated bool
	length   int64
}

// Names of XML Encryption, OCF and LCP.
const (
	aes256CBC      = "http://www.w3.org/2001/04/xmlenc#aes256-cbc"
	contentKeyType = "http://readium.org/2014/01/lcp#EncryptedContentKey"
	contentKeyURI  = "license.lcpl#/encryption/content_key"
	lcpScheme      = "http://readium.org/2014/01/lcp"
)

// An encryptionXML is META-INF/encryption.xml (EPUB OCF 3.3 §4.2.6.3.2).
type encryptionXML struct {
	XMLName xml.Name `xml:"urn:oasis:names:tc:opendocument:xmlns:container encryption"`
	Data    []struct {
		Method struct {
			Algorithm string `xml:",attr"`
		} `xml:"http://www.w3.org/2001/04/xmlenc# EncryptionMethod"`
		Key struct {
			Retrieval struct {
				URI, Type string `xml:",attr"`
			} `xml:"http://www.w3.org/2000/09/xmldsig# RetrievalMethod"`
		} `xml:"http://www.w3.org/2000/09/xmldsig# KeyInfo"`
		Cipher struct {
			Reference struct {
				URI string `xml:",attr"`
			} `xml:"http://www.w3.org/2001/04/xmlenc# CipherReference"`
		} `xml:"http://www.w3.org/2001/04/xmlenc# CipherData"`
		Compression *struct {
			XMLName        xml.Name
			Method         int   `xml:",attr"`
			OriginalLength int64 `xml:",attr"`
		} `xml:"EncryptionProperties>EncryptionProperty>Compression"`
	} `xml:"http://www.w3.org/2001/04/xmlenc# EncryptedData"`
}

// readEncryption reads encryption.xml into what it declares for LCP, and the
// algorithm and reference of each other entry in their order.
func (b *outsideBook) readEncryption(t *testing.T) (lcp map[string]declared, others []string) {
	t.Helper()
	lcp = map[string]declared{}
	if b.names["META-INF/encryption.xml"] == nil {
		return lcp, nil
	}
	var doc encryptionXML
	if err := xml.Unmarshal(b.read(t, "META-INF/encryption.xml"), &doc); err != nil {
		t.Fatalf("encryption.xml: %v", err)
	}
	for _, d := range doc.Data {
		uri := d.Cipher.Reference.URI
		name, err := url.PathUnescape(uri)
		if err != nil || b.names[name] == nil {
			t.Errorf("CipherReference %q: no entry %q, %v", uri, name, err)
		}
		if d.Key.Retrieval.Type != contentKeyType {
			others = append(others, d.Method.Algorithm+" "+name)
			continue
		}
		if d.Method.Algorithm != aes256CBC || d.Key.Retrieval.URI != contentKeyURI || d.Compression == nil ||
			d.Compression.XMLName.Space != "http://www.idpf.org/2016/encryption#compression" ||
			d.Compression.Method != 0 && d.Compression.Method != 8 {
			t.Errorf("%q is declared as %+v", name, d)
			continue
		}
		if u, err := url.Parse(uri); err != nil || u.Path != name || u.IsAbs() || u.Host != "" {
			t.Errorf("CipherReference %q is no relative path: %v", uri, err)
		}
		if _, twice := lcp[name]; twice {
			t.Errorf("%q is declared twice", name)
		}
		lcp[name] = declared{d.Compression.Method == 8, d.Compression.OriginalLength}
	}
	return lcp, others
}

// An outsideOPF is a package document (EPUB 3.3 §5, OPF 2.0.1).
type outsideOPF struct {
	Metas []struct {
		Name    string `xml:"name,attr"`
		Content string `xml:"content,attr"`
	} `xml:"metadata>meta"`
	Items []struct {
		ID         string `xml:"id,attr"`
		Href       string `xml:"href,attr"`
		MediaType  string `xml:"media-type,attr"`
		Properties string `xml:"properties,attr"`
	} `xml:"manifest>item"`
	Spine struct {
		Toc     string `xml:"toc,attr"`
		PageMap string `xml:"page-map,attr"`
	} `xml:"spine"`
}

// clearInEPUB finds by the package documents what must stay clear, and the media
// types of entries.
func (b *outsideBook) clearInEPUB(t *testing.T) (clear map[string]bool, types map[string]string) {
	t.Helper()
	var container struct {
		Files []struct {
			Path string `xml:"full-path,attr"`
		} `xml:"rootfiles>rootfile"`
	}
	if err := xml.Unmarshal(b.read(t, "META-INF/container.xml"), &container); err != nil {
		t.Fatalf("container.xml: %v", err)
	}
	clear, types = map[string]bool{"mimetype": true}, map[string]string{}
	for _, root := range container.Files {
		clear[root.Path] = true
		var opf outsideOPF
		if err := xml.Unmarshal(b.read(t, root.Path), &opf); err != nil {
			t.Fatalf("%s: %v", root.Path, err)
		}
		covers := []string{}
		for _, m := range opf.Metas {
			if m.Name == "cover" {
				covers = append(covers, m.Content)
			}
		}
		for _, item := range opf.Items {
			u, err := url.Parse(item.Href)
			if err != nil || u.IsAbs() {
				continue
			}
			name := path.Join(path.Dir(root.Path), u.Path)
			types[name] = item.MediaType
			properties := strings.Fields(item.Properties)
			if slices.Contains(properties, "nav") || slices.Contains(properties, "cover-image") ||
				item.MediaType == "application/x-dtbncx+xml" || item.ID == opf.Spine.Toc || item.ID == opf.Spine.PageMap ||
				slices.Contains(covers, item.ID) && strings.HasPrefix(item.MediaType, "image/") {
				clear[name] = true
			}
		}
	}
	for name := range b.names {
		if strings.HasPrefix(name, "META-INF/") {
			clear[name] = true
		}
	}
	return clear, types
}

// checkMimetype checks the first entry (EPUB OCF 3.3 §4.2.7.1).
func (b *outsideBook) checkMimetype(t *testing.T) {
	t.Helper()
	const want = "mimetypeapplication/epub+zip"
	if len(b.data) < 30+len(want) || string(b.data[30:30+len(want)]) != want {
		t.Errorf("the archive does not begin with %q", want)
		return
	}
	le := binary.LittleEndian
	flags, method, extra := le.Uint16(b.data[6:]), le.Uint16(b.data[8:]), le.Uint16(b.data[28:])
	if flags != 0 || method != 0 || extra != 0 || le.Uint32(b.data[18:]) != 20 || le.Uint32(b.data[22:]) != 20 {
		t.Errorf("mimetype has flags %x, method %d, %d bytes of extra field, or not 20 bytes", flags, method, extra)
	}
}

// An outsideLink is a link object of a Readium manifest.
type outsideLink struct {
	Href, Type string
	Rel        any
	Properties struct {
		Encrypted *struct {
			Scheme, Algorithm, Compression string
			OriginalLength                 int64
		}
	}
	Alternate, Children []outsideLink
}

// readManifest reads a Readium manifest into what it declares for LCP, which
// entries it names, cover or not, and their types.
func (b *outsideBook) readManifest(t *testing.T) (lcp map[string]declared, named, covers map[string]bool, types map[string]string) {
	t.Helper()
	var manifest struct{ ReadingOrder, Resources, Links []outsideLink }
	if err := json.Unmarshal(b.read(t, "manifest.json"), &manifest); err != nil {
		t.Fatalf("manifest.json: %v", err)
	}
	lcp, named, covers, types = map[string]declared{}, map[string]bool{}, map[string]bool{}, map[string]string{}
	var walk func(links []outsideLink)
	walk = func(links []outsideLink) {
		for _, l := range links {
			walk(l.Alternate)
			walk(l.Children)
			name := b.resolve(l.Href)
			if name == "" {
				continue
			}
			named[name], types[name] = true, l.Type
			if rel := fmt.Sprint(l.Rel); strings.Contains(rel, "cover") {
				covers[name] = true
			}
			e := l.Properties.Encrypted
			if e == nil {
				continue
			}
			if e.Scheme != lcpScheme || e.Algorithm != aes256CBC || e.Compression != "" && e.Compression != "deflate" {
				t.Errorf("%q is declared as %+v", name, *e)
			}
			lcp[name] = declared{e.Compression == "deflate", e.OriginalLength}
		}
	}
	walk(manifest.ReadingOrder)
	walk(manifest.Resources)
	for _, l := range manifest.Links {
		if name := b.resolve(l.Href); name != "" && strings.Contains(fmt.Sprint(l.Rel), "cover") {
			covers[name] = true
		}
	}
	return lcp, named, covers, types
}

// resolve finds the entry that an href of the manifest means.
func (b *outsideBook) resolve(href string) string {
	u, err := url.Parse(href)
	if err != nil || u.IsAbs() {
		return ""
	}
	if name := path.Clean(strings.TrimPrefix(u.Path, "/")); b.names[name] != nil {
		return name
	}
	if b.names[href] != nil {
		return href
	}
	return ""
}

// checkEncrypted checks one encrypted entry against the bytes it was made of.
func (b *outsideBook) checkEncrypted(t *testing.T, name string, d declared, mediaType string, key []byte, source *outsideBook) {
	t.Helper()
	f := b.names[name]
	if f.Method != zip.Store {
		t.Errorf("encrypted entry %q has compression method %d", name, f.Method)
	}
	plain, err := decryptCBC(key, b.read(t, name))
	if err != nil {
		t.Errorf("entry %q: %v", name, err)
		return
	}
	if original := source.names[name]; d.deflated && original != nil && original.Method == zip.Deflate {
		if !bytes.Equal(plain, source.raw(t, name)) {
			t.Errorf("entry %q: the deflate stream is not that of the source", name)
		}
	}
	if d.deflated {
		if plain, err = inflate(plain); err != nil {
			t.Errorf("entry %q: %v", name, err)
		}
	}
	if want := source.read(t, name); !bytes.Equal(plain, want) || d.length != int64(len(want)) || len(want) == 0 {
		t.Errorf("entry %q holds %d bytes, declared %d; want the %d of the source", name, len(plain), d.length, len(want))
	}
	if codec := isCodecType(mediaType); mediaType != "" && codec == d.deflated {
		t.Errorf("entry %q of type %s is deflated: %t", name, mediaType, d.deflated)
	}
}

// isCodecType is the rule of LCP §1.2 for what is not compressed.
func isCodecType(mediaType string) bool {
	for _, prefix := range []string{"audio/", "video/", "image/", "application/pdf"} {
		if strings.HasPrefix(mediaType, prefix) {
			return !strings.HasPrefix(mediaType, "image/svg")
		}
	}
	return false
}

// checkCopied checks that a clear entry is the very one of the source.
func (b *outsideBook) checkCopied(t *testing.T, name string, source *outsideBook) {
	t.Helper()
	got, want := b.names[name], source.names[name]
	if got.CRC32 != want.CRC32 || got.Method != want.Method || got.UncompressedSize64 != want.UncompressedSize64 ||
		!bytes.Equal(b.raw(t, name), source.raw(t, name)) {
		t.Errorf("clear entry %q was changed", name)
	}
	b.read(t, name)
}

// An orderedObject is a JSON object that knows the order of its members.
type orderedObject []orderedMember

type orderedMember struct {
	Name  string
	Value any
}

// readOrdered reads JSON, less what LCP declares in links.
func readOrdered(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return decodeOrdered(d)
}

func decodeOrdered(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := decodeOrdered(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	case json.Delim('{'):
		object := orderedObject{}
		for d.More() {
			name, nerr := d.Token()
			v, verr := decodeOrdered(d)
			if err := errors.Join(nerr, verr); err != nil {
				return nil, err
			}
			if properties, ok := v.(orderedObject); name == "encrypted" || ok && name == "properties" && len(properties) == 0 {
				continue
			}
			object = append(object, orderedMember{fmt.Sprint(name), v})
		}
		_, err = d.Token()
		return object, err
	default:
		return token, nil
	}
}

// checkManifestKept checks that the manifest is that of the source, with nothing
// lost, in the same order, but for what declares encryption, and for the profile
// that LCP for PDF requires and the source may lack.
func (b *outsideBook) checkManifestKept(t *testing.T, source *outsideBook) {
	t.Helper()
	got, gerr := readOrdered(b.read(t, "manifest.json"))
	want, werr := readOrdered(source.read(t, "manifest.json"))
	if gerr != nil || werr != nil {
		t.Errorf("manifest.json: %v, of the source: %v", gerr, werr)
	}
	if !bytes.Contains(source.read(t, "manifest.json"), []byte("conformsTo")) {
		got = without(got, "metadata", "conformsTo")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("manifest.json is not what it was (-want +got):\n%s", diff)
	}
}

// without takes a member out of an object, found by its names from the outside
// in.
func without(v any, names ...string) any {
	object, _ := v.(orderedObject)
	var kept orderedObject
	for _, m := range object {
		switch {
		case m.Name != names[0]:
			kept = append(kept, m)
		case len(names) > 1:
			kept = append(kept, orderedMember{m.Name, without(m.Value, names[1:]...)})
		}
	}
	return kept
}
