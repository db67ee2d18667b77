package opds_test

import (
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lcp-tools/lcp/pkg/opds"
)

// The members are those of the samples in the note, and so is the form of the
// hash.
func TestJSON(t *testing.T) {
	t.Parallel()
	hash, err := hex.DecodeString("faeb00ca518bea7cb11a7ef31fb6183b489b1b6eadb792bec64a03b3f6ff80a8")
	if err != nil {
		t.Fatal(err)
	}
	p := opds.Publication{
		UUID: "3c9ab4d5-0a2c-4e4e-9f0b-5d1c2b3a4f5e", Title: "A Journey into the Center of the Earth", Authors: []string{"Jules Verne"},
		Languages: []string{"en"}, CoverURL: "https://example.com/cover.jpg", ContentType: "application/epub+zip",
		Self: "https://example.com/opds-publication/1", License: "https://example.com/license.lcpl", Authentication: "https://example.com/auth.json",
		PassHash: [32]byte(hash),
	}
	got, err := p.JSON()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"metadata":{"@type":"http://schema.org/Book","identifier":"urn:uuid:3c9ab4d5-0a2c-4e4e-9f0b-5d1c2b3a4f5e",` +
		`"title":"A Journey into the Center of the Earth","author":["Jules Verne"],"language":["en"]},` +
		`"links":[{"rel":"http://opds-spec.org/acquisition","href":"https://example.com/license.lcpl",` +
		`"type":"application/vnd.readium.lcp.license.v1.0+json","properties":{` +
		`"lcp_hashed_passphrase":"+usAylGL6nyxGn7zH7YYO0ibG26tt5K+xkoDs/b/gKg=","indirectAcquisition":[{"type":"application/epub+zip"}],` +
		`"authenticate":{"href":"https://example.com/auth.json","type":"application/opds-authentication+json"}}},` +
		`{"rel":"self","href":"https://example.com/opds-publication/1","type":"application/opds-publication+json"}],` +
		`"images":[{"href":"https://example.com/cover.jpg"}]}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
}

func TestJSONOfLittle(t *testing.T) {
	t.Parallel()
	got, err := opds.Publication{UUID: "1", Title: "T", License: "https://example.com/l"}.JSON()
	want := `{"metadata":{"identifier":"urn:uuid:1","title":"T"},"links":[{"rel":"http://opds-spec.org/acquisition",` +
		`"href":"https://example.com/l","type":"application/vnd.readium.lcp.license.v1.0+json","properties":{}}]}`
	if err != nil || string(got) != want {
		t.Errorf("document %s, %v", got, err)
	}
}
