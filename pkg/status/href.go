package status

import (
	"strings"

	"github.com/lcp-tools/lcp/pkg/license"
)

// A href is a template that has been looked at: nearly all are a text with the
// id of the license in it, and filling that in costs a tenth of an expansion.
type href struct {
	template      *license.Template
	before, after string // the id, if simple
	simple        bool   // for ids that a URL need not escape
}

// Samples of ids, longer than real ones so that a template that takes only a
// part of an id is found out.
var (
	sampleID = strings.Repeat("x", 255)
	otherID  = strings.Repeat("y", 255)
)

func newHref(t *license.Template) href {
	h := href{template: t}
	if t == nil {
		return h
	}
	text, err := t.Expand(sampleID)
	if err != nil {
		return h
	}
	before, after, _ := strings.Cut(text, sampleID)
	if other, err := t.Expand(otherID); err == nil && other == before+otherID+after {
		h.before, h.after, h.simple = before, after, true
	}
	return h
}

// expand returns the link for a license.
func (h href) expand(id string) (string, error) {
	if h.simple && len(id) <= len(sampleID) && !strings.ContainsFunc(id, reserved) {
		return h.before + id + h.after, nil
	}
	return h.template.Expand(id)
}

// reserved reports whether c is not one of the unreserved characters of RFC 3986
// §2.3, or is one that few ids have.
func reserved(c rune) bool {
	return (c < 'a' || c > 'z') && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && c != '-'
}
