package wire_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/store"
	"github.com/lcp-tools/lcp/pkg/wire"
)

func book() api.Publication {
	return api.Publication{
		UUID: "C6ABE80A-1681-4694-B6F4-80C165213781", Title: "Moby-Dick", ContentType: "application/epub+zip",
		Authors: "Herman Melville, , Ishmael", EncryptionKey: bytes.Repeat([]byte{7}, 32),
		Href: "https://example.com/1.epub", Size: 1, Checksum: strings.Repeat("AB", 32),
	}
}

func TestPublicationInNamesEveryFault(t *testing.T) {
	t.Parallel()
	in := api.Publication{UUID: "1", Href: "x", CoverURL: "y", Provider: "z", Checksum: "0", Size: -1, EncryptionKey: []byte{1}}
	_, err := wire.PublicationIn(&in)
	for _, field := range []string{"uuid", "encryption_key", "title", "content_type", "href", "cover_url", "provider", "size", "checksum"} {
		if err == nil || !strings.Contains(err.Error(), field+": ") {
			t.Errorf("%s is not named in: %v", field, err)
		}
	}
}

func TestPublicationIn(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*api.Publication)
		fault  string // of which field; "" for none
	}{
		"as documented":             {change: func(*api.Publication) {}},
		"key of nothing but zeros":  {func(p *api.Publication) { p.EncryptionKey = make([]byte, 32) }, "encryption_key"},
		"UUID in braces":            {func(p *api.Publication) { p.UUID = "{" + p.UUID + "}" }, "uuid"},
		"file, where it may be one": {func(p *api.Publication) { p.Href = "file:///shelf/1.epub" }, ""},
		"space in a host":           {func(p *api.Publication) { p.Href = "https://example com/1.epub" }, "href"},
		"URL without a host":        {func(p *api.Publication) { p.Href = "https:///1.epub" }, "href"},
		"unknown scheme":            {func(p *api.Publication) { p.Href = "ftp://example.com/1.epub" }, "href"},
		"long alternative id":       {func(p *api.Publication) { p.AltID = strings.Repeat("x", wire.MaxName+1) }, "alt_id"},
		"NUL in the title":          {func(p *api.Publication) { p.Title = "a\x00b" }, "title"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := book()
			tt.change(&in)
			_, err := wire.PublicationIn(&in, "file")
			if tt.fault == "" && err != nil || tt.fault != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.fault+": ")) {
				t.Errorf("PublicationIn = %v, want a fault of %q", err, tt.fault)
			}
		})
	}
	local := book()
	local.Href = "file:///shelf/1.epub"
	if _, err := wire.PublicationIn(&local); err == nil {
		t.Error("a server takes a file on some machine for a link")
	}
}

// What goes in comes out, with the one way of writing where there are several.
func TestPublicationRoundTrip(t *testing.T) {
	t.Parallel()
	in := book()
	in.Href, in.CoverURL = "https://example.com/Moby Dick.epub", "https://example.com/Moby Dick.jpg"
	p, err := wire.PublicationIn(&in)
	if err != nil {
		t.Fatal(err)
	}
	out := wire.PublicationOut(&p)
	if out.Href != "https://example.com/Moby%20Dick.epub" || out.CoverURL != "https://example.com/Moby%20Dick.jpg" {
		t.Errorf("URLs are %s and %s", out.Href, out.CoverURL)
	}
	if out.UUID != strings.ToLower(in.UUID) || out.Checksum != strings.ToLower(in.Checksum) || out.Authors != "Herman Melville, Ishmael" {
		t.Errorf("out = %+v", out)
	}
	if out.EncryptionKey != nil || out.CreatedAt != nil {
		t.Error("the key is shown, or a time that nobody set")
	}
}

// A license that nobody has moved expires all the same.
func TestLicenseOut(t *testing.T) {
	t.Parallel()
	issued := time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	l := store.License{UUID: "l", Status: "active", Issued: issued, End: issued.Add(time.Hour), StatusUpdated: issued.Add(time.Minute)}
	for after, want := range map[time.Duration]string{time.Minute: "active", 2 * time.Hour: "expired"} {
		if got := wire.LicenseOut(&l, issued.Add(after)); got.Status != want || got.Start != nil || !got.End.Equal(l.End) ||
			!got.CreatedSnake.Equal(issued) || !got.UpdatedAt.Equal(l.StatusUpdated) {
			t.Errorf("after %s: %+v, want it %s", after, got, want)
		}
	}
}

func TestFormatType(t *testing.T) {
	t.Parallel()
	if got, err := wire.FormatType("lcpau"); err != nil || got != "application/audiobook+lcp" {
		t.Errorf("lcpau is %q, %v", got, err)
	}
	if got, err := wire.FormatType(""); err == nil {
		t.Errorf("no format is %q", got)
	}
}
