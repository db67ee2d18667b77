package catalogue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/lcp-tools/lcp/pkg/publication"
)

// A Message tells a content management system (CMS) of a publication that is
// stored and registered. Its form is what the CMS of today understand, who get
// it from lcpencrypt.
type Message struct {
	UUID          string     `json:"uuid"`
	Title         string     `json:"title"`
	ContentType   string     `json:"content_type"`
	DatePublished string     `json:"date_published"`
	Description   string     `json:"description"`
	CoverURL      string     `json:"cover_url,omitempty"`
	Language      []Language `json:"language,omitempty"`
	Publisher     []Entity   `json:"publisher,omitempty"`
	Author        []Entity   `json:"author,omitempty"`
	Category      []Entity   `json:"category,omitempty"`
}

// A Language is one in a Message.
type Language struct {
	Code string `json:"code"` // BCP 47
}

// An Entity is somebody or something with a name in a Message.
type Entity struct {
	Name string `json:"name"`
}

func messageOf(rec *Record, about *publication.Metadata, coverURL string) Message {
	m := Message{
		UUID: rec.UUID, Title: rec.Title, ContentType: rec.ContentType, CoverURL: coverURL,
		DatePublished: about.Published, Description: about.Description,
		Publisher: entities(about.Publishers), Author: entities(about.Authors), Category: entities(about.Subjects),
	}
	for _, code := range about.Languages {
		m.Language = append(m.Language, Language{code})
	}
	return m
}

func entities(names []string) []Entity {
	var list []Entity
	for _, name := range names {
		if name != "" {
			list = append(list, Entity{name})
		}
	}
	return list
}

// A Notifier takes messages. *CMS is one.
type Notifier interface {
	Notify(ctx context.Context, m Message) error
}

// A CMS takes messages by HTTP POST.
type CMS struct {
	URL  string
	Sign func(*http.Request) // adds credentials; nil for none
	HTTP *http.Client        // that follows no redirects: they are how some say thanks

	failures atomic.Int64 // of the network or the server, one after another
}

// Notify sends a message, which may come twice if an answer was lost. It may be
// called by several goroutines at once. To try again may help only while the CMS is
// not known to be away: thousands of messages would wait for it.
func (c *CMS) Notify(ctx context.Context, m Message) error {
	err := c.post(ctx, m)
	var failed *networkError
	if !errors.As(err, &failed) {
		c.failures.Store(0)
		return err
	}
	if c.failures.Add(1) > attempts {
		return failed.error
	}
	return err
}

func (c *CMS) post(ctx context.Context, m Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.Sign != nil {
		c.Sign(req)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return &networkError{err}
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
	switch {
	case resp.StatusCode/100 == 2 || resp.StatusCode == http.StatusFound || resp.StatusCode == http.StatusSeeOther:
		return nil
	case resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests:
		return &networkError{fmt.Errorf("it answered %s", resp.Status)}
	default:
		return fmt.Errorf("it answered %s", resp.Status)
	}
}

// tell sends a message, several times where that may help. That it fails is in
// the record, and undoes nothing.
func (w *Worker) tell(ctx context.Context, m *Message, rec *Record) {
	err := w.retry(ctx, func() error { return w.Notifier.Notify(ctx, *m) })
	if err != nil {
		rec.Untold = err.Error()
	}
}
