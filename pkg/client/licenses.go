package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/license"
)

// GenerateLicense has a new license issued. Requests under the same key are one
// request: however often it is made, by whichever process, there is one license.
// With an empty key that holds for this call only. Servers that do not know
// Idempotency-Key are what Options.PostOnce is for.
func (c *Client) GenerateLicense(ctx context.Context, r api.LicenseRequest, key string) (*license.Document, error) {
	a, err := c.do(ctx, c.generation(r, key))
	if err != nil {
		return nil, err
	}
	return licenseIn(a)
}

// GenerateLicenseLink has a new license issued as GenerateLicense does, and
// returns the URL that it can be fetched from.
func (c *Client) GenerateLicenseLink(ctx context.Context, r api.LicenseRequest, key string) (string, error) {
	generation := c.generation(r, key)
	generation.query = url.Values{"link": {"true"}}
	a, err := c.do(ctx, generation)
	var elsewhere *redirectError
	switch {
	case errors.As(err, &elsewhere) && elsewhere.status == http.StatusSeeOther && elsewhere.location != nil:
		return elsewhere.full, nil
	case err != nil:
		return "", err
	default:
		return "", fmt.Errorf("license server was asked for a link and answered %d: it offers none", a.status)
	}
}

func (c *Client) generation(r api.LicenseRequest, key string) call {
	if key == "" {
		key = newKey()
	}
	return call{
		method: http.MethodPost, path: []string{"licenses"}, body: r, limit: license.MaxSize, key: key, once: c.o.PostOnce,
	}
}

// FreshLicense has a license issued again, as it stands now. Of the request, what
// the server does not keep counts: user, profile, hint and hash.
func (c *Client) FreshLicense(ctx context.Context, id string, r api.LicenseRequest) (*license.Document, error) {
	a, err := c.do(ctx, call{
		method: http.MethodPost, path: []string{"licenses", id}, body: r, limit: license.MaxSize,
	})
	if err != nil {
		return nil, err
	}
	return licenseIn(a)
}

// licenseIn reads a license document, under whichever media type it comes.
func licenseIn(a *answer) (*license.Document, error) {
	doc, err := license.Parse(bytes.TrimSpace(a.body))
	if err != nil {
		return nil, a.garbage(err)
	}
	return doc, nil
}

// LicenseInfo returns the record of a license. For one that is not there, the
// error is IsNotFound.
func (c *Client) LicenseInfo(ctx context.Context, id string) (api.LicenseInfo, error) {
	info, err := fetch[api.LicenseInfo](ctx, c, call{
		method: http.MethodGet, path: []string{"licenseinfo", id}, limit: maxRecord,
	})
	if err == nil && !strings.EqualFold(info.UUID, id) {
		return api.LicenseInfo{}, fmt.Errorf("license server was asked for license %q and answered with %q", id, oneLine(info.UUID))
	}
	return unlimited(info), err
}

// unlimited takes out the limits of -1, which mean none to LCP Server v2.
func unlimited(info api.LicenseInfo) api.LicenseInfo {
	if info.Copy != nil && *info.Copy < 0 {
		info.Copy = nil
	}
	if info.Print != nil && *info.Print < 0 {
		info.Print = nil
	}
	return info
}

// A LicenseQuery says which licenses to list: those that match all that is set.
// The zero value means all.
type LicenseQuery struct {
	User        string // identifier of the user
	Publication string // UUID
	Status      string // ready, active, …
	Device      string // identifier of a device that is registered; LCP Server v2 cannot tell
	Devices     *Range // how many devices are registered
}

// A Range is from Min to Max, both included.
type Range struct{ Min, Max int }

// matches reports whether a license is one that is asked for, as far as its
// record tells: that it expired may not be recorded.
func (q LicenseQuery) matches(info *api.LicenseInfo) bool {
	return (q.User == "" || q.User == info.UserID) &&
		(q.Publication == "" || strings.EqualFold(q.Publication, info.PublicationID)) &&
		(q.Status == "" || q.Status == info.Status || q.Status == "expired") &&
		(q.Devices == nil || q.Devices.Min <= info.DeviceCount && info.DeviceCount <= q.Devices.Max)
}

func (q LicenseQuery) values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"user": q.User, "pub": q.Publication, "status": q.Status, "device": q.Device} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if q.Devices != nil {
		v.Set("count", fmt.Sprintf("%d:%d", q.Devices.Min, q.Devices.Max))
	}
	return v
}

// Licenses lists records of licenses, newest first. The server is asked under
// /licenseinfo, where LCP Server v2 has its list, too. That one looks at one
// parameter of a search and forgets the others, so they are applied here again.
func (c *Client) Licenses(ctx context.Context, q LicenseQuery) iter.Seq2[api.LicenseInfo, error] {
	r := call{method: http.MethodGet, path: []string{"licenseinfo"}, query: q.values()}
	if len(r.query) > 0 {
		r.path = append(r.path, "search")
	}
	all := pages(ctx, c, r, func(info *api.LicenseInfo) string { return info.UUID })
	return func(yield func(api.LicenseInfo, error) bool) {
		for info, err := range all {
			if err == nil && !q.matches(&info) {
				continue
			}
			if !yield(unlimited(info), err) {
				return
			}
		}
	}
}

// Events returns what happened to a license, oldest first.
func (c *Client) Events(ctx context.Context, id string) ([]api.Event, error) {
	return fetch[[]api.Event](ctx, c, call{
		method: http.MethodGet, path: []string{"license-events", id}, limit: maxRecord,
	})
}

// RevokeLicense ends a license, or cancels it if no device has used it, and
// returns how it then stands.
func (c *Client) RevokeLicense(ctx context.Context, id string) (*StatusDocument, error) {
	return c.statusOf(ctx, call{method: http.MethodPut, path: []string{"revoke", id}})
}

// DeleteSnapshots removes what a server keeps of a user for fresh licenses, or of
// all users if user is empty, and returns of how many licenses that was. It means
// the licenses of the provider with an identifier, or, if that is empty, all that
// the caller may change.
func (c *Client) DeleteSnapshots(ctx context.Context, user, provider string) (int64, error) {
	r := call{method: http.MethodDelete, path: []string{"snapshots"}, limit: maxRecord}
	if user != "" {
		r.path = []string{"users", user, "snapshots"}
	}
	if provider != "" {
		r.query = url.Values{"provider": {provider}}
	}
	out, err := fetch[api.Deleted](ctx, c, r)
	return out.Deleted, err
}
