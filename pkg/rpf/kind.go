package rpf

import (
	"strings"

	"github.com/lcp-tools/lcp/pkg/publication"
	"github.com/lcp-tools/lcp/pkg/rwpm"
)

// A kind is a kind of Readium package.
type kind struct {
	format  publication.Format
	source  string
	profile string // that its manifest conforms to
}

var (
	audiobook = kind{publication.Audiobook, "Readium audiobook", rwpm.ProfileAudiobook}
	divina    = kind{publication.Divina, "Divina", rwpm.ProfileDivina}
	pdf       = kind{publication.PDF, "Readium PDF package", rwpm.ProfilePDF}
	webpub    = kind{publication.WebPub, "Readium web publication", ""}
)

// kind tells what the package is: by the profile that its manifest declares or,
// failing that, by its type and by what is in its reading order.
func (r *resources) kind(doc *rwpm.Document) (k kind, declared bool) {
	meta := doc.Metadata()
	for _, uri := range meta.ConformsTo {
		switch profileName(uri) {
		case "audiobook":
			return audiobook, true
		case "divina":
			return divina, true
		case "pdf":
			return pdf, true
		case "epub":
			return webpub, true
		}
	}
	if _, name, _ := strings.Cut(meta.Type, "schema.org/"); name == "Audiobook" {
		return audiobook, false
	}
	return r.kindByContent(doc), false
}

// profileName returns the last part of a profile's URI. Writers differ in its
// scheme and in what may follow.
func profileName(uri string) string {
	_, name, found := strings.Cut(strings.ToLower(uri), "readium.org/webpub-manifest/profiles/")
	if !found {
		return ""
	}
	name, _, _ = strings.Cut(name, "#")
	return strings.TrimSuffix(strings.TrimRight(name, "/"), ".html")
}

// kindByContent returns the kind whose profile allows everything that is in the
// reading order.
func (r *resources) kindByContent(doc *rwpm.Document) kind {
	var found kind
	for item := range doc.Publication() {
		if item.Collection != "readingOrder" || item.Nested {
			continue
		}
		k := kindOf(item)
		if found.source != "" && k != found {
			return webpub
		}
		found = k
	}
	if found.source == "" {
		return webpub
	}
	return found
}

func kindOf(item *rwpm.Item) kind {
	mediaType := item.Type
	if mediaType == "" {
		if names := rwpm.Names(ManifestName, item.Href); len(names) > 0 {
			mediaType = publication.MediaTypeByName(names[0])
		}
	}
	mediaType, _, _ = strings.Cut(strings.ToLower(mediaType), ";")
	mediaType = strings.TrimSpace(mediaType)
	switch class, _, _ := strings.Cut(mediaType, "/"); {
	case class == "audio", mediaType == "application/ogg":
		return audiobook
	case class == "image" && mediaType != "image/svg+xml":
		return divina
	case mediaType == "application/pdf":
		return pdf
	default:
		return webpub
	}
}
