package conformance

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/lcp-tools/lcp/pkg/publication"
)

// maxEncryptionXML is how much of META-INF/encryption.xml is read.
const maxEncryptionXML = 16 << 20

// Namespaces of encryption.xml (OCF 3.3 §4.2.6.3.2).
const (
	containerSpace  = "urn:oasis:names:tc:opendocument:xmlns:container"
	encryptionSpace = "http://www.w3.org/2001/04/xmlenc#"
)

// What LCP §2.2 has encryption.xml say of the key.
const (
	contentKeyURI  = "license.lcpl#/encryption/content_key"
	contentKeyType = "http://readium.org/2014/01/lcp#EncryptedContentKey"
)

// encryptedData is an element of META-INF/encryption.xml as an app reads it that
// knows the namespaces and nothing else, where package epub is lenient.
type encryptedData struct {
	Method struct {
		Algorithm string `xml:"Algorithm,attr"`
	} `xml:"http://www.w3.org/2001/04/xmlenc# EncryptionMethod"`
	KeyInfo struct {
		Retrieval struct {
			URI  string `xml:"URI,attr"`
			Type string `xml:"Type,attr"`
		} `xml:"http://www.w3.org/2000/09/xmldsig# RetrievalMethod"`
	} `xml:"http://www.w3.org/2000/09/xmldsig# KeyInfo"`
	Reference struct {
		URI string `xml:"URI,attr"`
	} `xml:"http://www.w3.org/2001/04/xmlenc# CipherData>CipherReference"`
	Properties []struct {
		Compression *struct {
			Method string `xml:"Method,attr"`
		} `xml:"http://www.idpf.org/2016/encryption#compression Compression"`
	} `xml:"http://www.w3.org/2001/04/xmlenc# EncryptionProperties>EncryptionProperty"`
}

// isLCP tells the resources of LCP from obfuscated fonts and other schemes.
func (d encryptedData) isLCP() bool {
	return d.KeyInfo.Retrieval.URI != "" || d.KeyInfo.Retrieval.Type != "" || d.Method.Algorithm == publication.Algorithm
}

// encryptedDataRules hold for every resource that LCP encrypts.
var encryptedDataRules = []rule[encryptedData]{
	{"encryption-algorithm", Error, "", "LCP §6.3", func(d encryptedData) string {
		if d.Method.Algorithm == publication.Algorithm {
			return ""
		}
		return "EncryptionMethod names the algorithm " + quote(d.Method.Algorithm)
	}, "write " + publication.Algorithm},
	{"encryption-key-uri", Error, "", "LCP §2.2", func(d encryptedData) string {
		if d.KeyInfo.Retrieval.URI == contentKeyURI {
			return ""
		}
		return "the URI of RetrievalMethod is " + quote(d.KeyInfo.Retrieval.URI)
	}, "write " + contentKeyURI},
	{"encryption-key-type", Error, "", "LCP §2.2", func(d encryptedData) string {
		if d.KeyInfo.Retrieval.Type == contentKeyType {
			return ""
		}
		return "the Type of RetrievalMethod is " + quote(d.KeyInfo.Retrieval.Type)
	}, "write " + contentKeyType},
	{"encryption-reference", Error, "", "OCF 3.3 §4.2.6.3.2", func(d encryptedData) string {
		switch uri := d.Reference.URI; {
		case uri == "":
			return "CipherReference names no resource"
		case strings.ContainsAny(uri, " <>\"{}|\\^`") || strings.ContainsFunc(uri, func(r rune) bool { return r > 0x7e }):
			return "the reference " + quote(uri) + " is not percent-encoded"
		}
		return ""
	}, "write the path of the entry from the root of the package, percent-encoded"},
	{"encryption-compression", Error, "", "LCP §2.2", func(d encryptedData) string {
		for _, p := range d.Properties {
			if c := p.Compression; c != nil && c.Method != "0" && c.Method != "8" {
				return "Compression names the method " + quote(c.Method)
			}
		}
		return ""
	}, "write 0 for none or 8 for Deflate"},
}

// encryptionXML checks what META-INF/encryption.xml says of each resource.
func (c *packageCheck) encryptionXML() {
	data, err := c.Archive.ReadFile(c.Declaration, maxEncryptionXML)
	if err != nil {
		return // that there is none, or a damaged one, is told elsewhere
	}
	if err := c.eachEncryptedData(data); err != nil {
		c.note(Warning, "encryption-xml", c.Declaration, err.Error(), "LCP §2.2", "write it in UTF-8, with the namespaces of the specification")
	}
}

// eachEncryptedData checks the children of the root one by one.
func (c *packageCheck) eachEncryptedData(data []byte) error {
	listed := make(map[string]bool)
	root := false
	for d := xml.NewDecoder(bytes.NewReader(data)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		start, ok := token.(xml.StartElement)
		switch {
		case !ok:
		case !root:
			root = true
			if want := (xml.Name{Space: containerSpace, Local: "encryption"}); start.Name != want {
				return fmt.Errorf("the root is <%s> of the namespace %s, not <encryption> of %s", start.Name.Local, quote(start.Name.Space), containerSpace)
			}
		case start.Name == xml.Name{Space: encryptionSpace, Local: "EncryptedData"}:
			var e encryptedData
			if err := d.DecodeElement(&e, &start); err != nil {
				return err
			}
			if e.isLCP() {
				c.encryptedData(e, listed)
			}
		default:
			if err := d.Skip(); err != nil {
				return err
			}
		}
	}
}

func (c *packageCheck) encryptedData(e encryptedData, listed map[string]bool) {
	if listed[e.Reference.URI] {
		c.note(Warning, "encryption-twice", e.Reference.URI, "is listed twice", "LCP §2.2", "list every resource once")
	}
	listed[e.Reference.URI] = true
	c.tell(apply(encryptedDataRules, SubjectPublication, e.Reference.URI, e)...)
}
