package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// What follows speaks to the predecessor of LCP Server v2: the "v1" License
// Server of readium-lcp-server, as far as an encryption tool has to.

// ContentV1 is what a v1 server knows of a publication.
type ContentV1 struct {
	ID       string `json:"id"`
	Key      []byte `json:"key"` // content key
	Location string `json:"location"`
	Length   int64  `json:"length"` // bytes
	SHA256   string `json:"sha256"` // hexadecimal
	Type     string `json:"type"`   // media type
}

// ContentV1 returns what a v1 server knows of a publication. For one that it does
// not know, the error is IsNotFound.
func (c *Client) ContentV1(ctx context.Context, id string) (ContentV1, error) {
	content, err := fetch[ContentV1](ctx, c, call{
		method: http.MethodGet, path: []string{"contents", id, "info"}, limit: maxRecord,
	})
	var refused *Error
	switch {
	case errors.As(err, &refused) && noRouteV1(refused):
		refused.problem = false
	case err == nil && content.ID != id:
		return ContentV1{}, fmt.Errorf("license server was asked for publication %q and answered with %q", id, oneLine(content.ID))
	}
	return content, err
}

// noRouteV1 reports whether an answer says that there is no such path, and not that
// there is no such publication: the address is wrong, or the server is a v2 one.
func noRouteV1(e *Error) bool {
	return strings.HasPrefix(e.Detail, "/") || // as a v1 server says so
		e.Title == "Endpoint not found." || // LCP Server v2
		strings.HasPrefix(e.Detail, "there is nothing at ") // lcp serve
}

// storedElsewhere is the storage mode of publications that the server need not
// fetch and keep itself.
const storedElsewhere = 2

// PutContentV1 adds or replaces a publication of a v1 server. fileName is what a
// download is called.
func (c *Client) PutContentV1(ctx context.Context, content ContentV1, fileName string) (created bool, err error) {
	a, err := c.do(ctx, call{
		method: http.MethodPut, path: []string{"contents", content.ID}, limit: maxRecord,
		body: struct {
			ID       string `json:"content-id"`
			Key      []byte `json:"content-encryption-key"`
			Storage  int    `json:"storage-mode"`
			Location string `json:"protected-content-location"`
			FileName string `json:"protected-content-disposition"`
			Length   int64  `json:"protected-content-length"`
			SHA256   string `json:"protected-content-sha256"`
			Type     string `json:"protected-content-type"`
		}{content.ID, content.Key, storedElsewhere, content.Location, fileName, content.Length, content.SHA256, content.Type},
	})
	if err != nil {
		return false, err
	}
	return a.status == http.StatusCreated, nil
}
