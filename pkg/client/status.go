package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// A StatusDocument tells where a license stands (LSD 1.0 §2).
type StatusDocument struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Message string `json:"message"`
	Updated struct {
		License time.Time `json:"license"`
		Status  time.Time `json:"status"`
	} `json:"updated"`
	PotentialRights struct {
		End time.Time `json:"end"` // that a renewal could reach; zero: it is not told
	} `json:"potential_rights"`

	raw []byte
}

// ParseStatusDocument reads a status document, which may have further members.
func ParseStatusDocument(data []byte) (*StatusDocument, error) {
	d := &StatusDocument{raw: data}
	if err := json.Unmarshal(data, d); err != nil {
		return nil, fmt.Errorf("not a status document: %w", err)
	}
	if d.ID == "" || d.Status == "" {
		return nil, errors.New("not a status document: id or status is missing")
	}
	return d, nil
}

// JSON returns the document as it came, byte for byte. It is not to be modified.
func (d *StatusDocument) JSON() []byte { return d.raw }

// MarshalJSON returns the document with all that was in it.
func (d *StatusDocument) MarshalJSON() ([]byte, error) { return d.raw, nil }

// Status returns the status document of a license, as reading apps see it. No
// credentials are sent.
func (c *Client) Status(ctx context.Context, id string) (*StatusDocument, error) {
	return c.statusOf(ctx, call{method: http.MethodGet, path: []string{"status", id}, public: true})
}

func (c *Client) statusOf(ctx context.Context, r call) (*StatusDocument, error) {
	r.limit = maxRecord
	a, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	d, err := ParseStatusDocument(a.body)
	if err != nil {
		return nil, a.garbage(err)
	}
	return d, nil
}
