package epub

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/publication"
)

const (
	mimetypeName   = "mimetype"
	metaInf        = "META-INF/"
	containerName  = metaInf + "container.xml"
	encryptionName = metaInf + "encryption.xml"
	licenseName    = metaInf + "license.lcpl"
	rightsName     = metaInf + "rights.xml"
	signaturesName = metaInf + "signatures.xml"
	sinfName       = metaInf + "sinf.xml"

	packageType = "application/oebps-package+xml"
)

// isReserved tells a file of the container that must not be encrypted (LCP §2.1).
func isReserved(name string) bool {
	switch name {
	case mimetypeName, containerName, encryptionName, licenseName, rightsName, signaturesName, metaInf + "manifest.xml", metaInf + "metadata.xml":
		return true
	default:
		return false
	}
}

const (
	maxContainer  = 1 << 20
	maxMimetype   = 4 << 10
	maxPackage    = 16 << 20
	maxEncryption = 16 << 20
	maxRootfiles  = 16
	maxItems      = 200_000 // in manifests and in encryption.xml
	maxTerms      = 5_000   // further metadata are left unread
)

// A rootfile is one of the renditions that container.xml names (OCF 3.3 §4.2.6.3.1).
type rootfile struct{ path, mediaType string }

// isPackage tells a package document from a rendition in another format.
func (r rootfile) isPackage() bool {
	return r.mediaType == packageType || r.mediaType == "" || strings.EqualFold(path.Ext(r.path), ".opf")
}

func readContainer(a *archive.Reader) ([]rootfile, error) {
	doc, err := readXML(a, containerName, maxContainer)
	if errors.Is(err, archive.ErrNotFound) {
		return nil, fmt.Errorf("%w: %s is missing", publication.ErrInvalid, containerName)
	}
	if err != nil {
		return nil, err
	}
	return parseContainer(doc)
}

func parseContainer(doc []byte) ([]rootfile, error) {
	var found []rootfile
	for s := newScanner(containerName, doc); ; {
		token, err := s.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "rootfile" {
			continue
		}
		if len(found) == maxRootfiles {
			return nil, fmt.Errorf("%w: %s names more than %d package documents", publication.ErrInvalid, containerName, maxRootfiles)
		}
		if p := attribute(start, "full-path"); p != "" {
			found = append(found, rootfile{p, strings.ToLower(attribute(start, "media-type"))})
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: %s names no package document", publication.ErrInvalid, containerName)
	}
	return found, nil
}

// findRootfile looks a full-path up. It is a path, not a URL (OCF 3.3
// §4.2.6.3.1.3), though some tools write one.
func findRootfile(a *archive.Reader, fullPath string) *archive.Entry {
	for _, name := range []string{fullPath, resolve("", fullPath), resolve("", unescape(fullPath))} {
		if e := lookupFile(a, name); e != nil {
			return e
		}
	}
	return nil
}

// readXML returns an entry in UTF-8.
func readXML(a *archive.Reader, name string, limit int64) ([]byte, error) {
	data, err := a.ReadFile(name, limit)
	if err != nil {
		return nil, err
	}
	doc, err := toUTF8(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", publication.ErrInvalid, name, err)
	}
	return doc, nil
}
