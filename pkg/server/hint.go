package server

import (
	"errors"
	"net/http"
	"sync"

	"github.com/lcp-tools/lcp/pkg/hintpage"
	"github.com/lcp-tools/lcp/pkg/provider"
)

// hint answers with the hint page of a provider (LCP §3.5). The path names the
// provider, unless it is the default one. The license that it names is not looked
// up, nor even read: the page is the same for licenses that are known, unknown or
// no licenses at all, and so is the time that it takes. Nor does the page tell
// which providers there are, beyond those who know one of its links.
func (s *server) hint(w http.ResponseWriter, r *http.Request) error {
	p := s.Providers.Default()
	if id := r.PathValue("provider"); id != "" {
		var err error
		if p, err = s.Providers.ByID(r.Context(), id); errors.Is(err, provider.ErrUnknown) {
			p = nil // readers may have licenses of one who has left
		} else if err != nil {
			return err
		}
	}
	page, err := s.hints.of(p)
	if err != nil {
		return err
	}
	page.ServeHTTP(w, r)
	return nil
}

// hintPages are the hint pages of providers, made when they are first asked for.
// The zero value is ready. It is safe for concurrent use.
type hintPages struct {
	mu   sync.Mutex
	made map[string]hintPage // by the provider's identifier; guarded by mu
}

// A hintPage is the page of a provider as it was set then.
type hintPage struct {
	of   *provider.Provider
	page *hintpage.Page
}

// of returns the page of a provider, or of nobody for nil.
func (h *hintPages) of(p *provider.Provider) (*hintpage.Page, error) {
	id, content := "", hintpage.Content{}
	if p != nil {
		id, content = p.ID, hintContent(p)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if made := h.made[id]; made.page != nil && made.of == p { // a provider that changes is another pointer
		return made.page, nil
	}
	page, err := hintpage.New(content)
	if err != nil {
		return nil, err
	}
	if h.made == nil {
		h.made = map[string]hintPage{}
	}
	h.made[id] = hintPage{p, page}
	return page, nil
}

// hintContent is what a provider tells on its hint page.
func hintContent(p *provider.Provider) hintpage.Content {
	c := hintpage.Content{
		Name: p.Name, Languages: p.Languages, Support: p.SupportLinks,
		Advice: hintpage.Advice{Text: p.Hint.Text, Link: p.Hint.Link},
		In:     make(map[string]hintpage.Advice, len(p.Hint.Texts)),
	}
	for tag, t := range p.Hint.Texts {
		c.In[tag] = hintpage.Advice{Text: t.Text, Link: t.Link}
	}
	return c
}
