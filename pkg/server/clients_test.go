package server_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/access"
)

// lcpencryptMessage is what the documented server's encryption tool tells of a
// publication: description is there even if empty, and no Content-Type.
type lcpencryptMessage struct {
	Provider      string `json:"provider,omitempty"`
	UUID          string `json:"uuid"`
	AltID         string `json:"alt_id,omitempty"`
	Title         string `json:"title"`
	Authors       string `json:"authors,omitempty"`
	Publishers    string `json:"publishers,omitempty"`
	Description   string `json:"description"`
	CoverURL      string `json:"cover_url,omitempty"`
	EncryptionKey []byte `json:"encryption_key"`
	Href          string `json:"href"`
	ContentType   string `json:"content_type"`
	Size          uint32 `json:"size"`
	Checksum      string `json:"checksum"`
}

// An encryption tool of the documented server asks for the key, by uuid or by
// alt id, and then creates or updates.
func TestClientLcpencrypt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.addUser(t, "encrypt", access.Publisher)
	send := func(method, path string, body any) answer {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, r.base+path, reader(t, body))
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("encrypt", password)
		return roundTrip(t, req)
	}
	m := lcpencryptMessage{
		UUID: uuid.NewString(), AltID: "moby dick", Title: "Moby-Dick", Authors: "Melville, Herman, Someone", EncryptionKey: contentKey,
		Href: "https://books.example.org/a.epub", ContentType: "application/epub+zip", Size: 1 << 31,
		Checksum: "edce32ca54c36aa73da9075098fc592fa29ff3e12406d1442544535d99dc1b87",
	}
	if a := send("GET", "/publications/"+m.UUID, nil); a.code != http.StatusNotFound {
		t.Errorf("an unknown publication: %d", a.code)
	}
	if a := send("POST", "/publications", m); a.code/100 != 2 {
		t.Fatalf("create: %d %s", a.code, a.body)
	}
	for _, path := range []string{"/publications/" + m.UUID, "/publications/altid/moby%20dick"} {
		a := send("GET", path, nil)
		var got struct {
			UUID          string
			EncryptionKey []byte `json:"encryption_key"`
		}
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.UUID != m.UUID || !bytes.Equal(got.EncryptionKey, contentKey) {
			t.Errorf("GET %s: %v, %d %s", path, err, a.code, a.body)
		}
	}
	m.Size, m.Title = 7, "Moby-Dick, second edition"
	if a := send("PUT", "/publications/"+m.UUID, m); a.code/100 != 2 {
		t.Errorf("update: %d %s", a.code, a.body)
	}
	wantMembers(t, "updated", decode[object](t, send("GET", "/publications/"+m.UUID, nil)), object{
		"size": 7, "title": m.Title, "alt_id": m.AltID, "encryption_key": base64.StdEncoding.EncodeToString(contentKey),
	})
	if a := send("DELETE", "/publications/"+m.UUID, nil); a.code/100 != 2 { // a run that is taken back
		t.Errorf("delete: %d %s", a.code, a.body)
	}
}

// The example requests of the documented API, as they stand there, but for the
// content key, which has a byte too few to be one.
func TestClientDocumentedExamples(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.must(t, http.StatusCreated, "POST", "/publications/", `{
"uuid": "c6abe80a-1681-4694-b6f4-80c165213780",
"title": "Voyage au centre de la terre",
"encryption_key": "ZW5jcnlwdGlvbl9rZXkgeCBlbmNyeXB0aW9uX2tleTE=",
"href": "https://edrlab.org/f/pub1.epub",
"content_type": "application/epub+zip",
"size": 769257,
"checksum": "edce32ca54c36aa73da9075098fc592fa29ff3e12406d1442544535d99dc1b87"
}`)
	r.must(t, http.StatusCreated, "POST", "/licenses/", `{
"publication_id": "c6abe80a-1681-4694-b6f4-80c165213780",
"user_id": "552a6ffb-d79a-4ff2-bc66-6ebb08ccc4fe",
"user_name": "John Doe",
"user_email": "test@company.com",
"user_encrypted": ["name","email"],
"start": "2022-08-22T10:00:00Z",
"end": "2022-08-30T10:00:00Z",
"copy": 20000,
"print": 100,
"profile": "http://readium.org/lcp/basic-profile",
"text_hint": "A textual hint for your passphrase.",
"pass_hash": "FAEB00CA518BEA7CB11A7EF31FB6183B489B1B6EADB792BEC64A03B3F6FF80A8"
}`)
	r.must(t, http.StatusCreated, "POST", "/licenseinfo/", `{
"uuid": "87ea1655-3973-4df4-983b-37144ed1b482",
"user_id": "axv6rli8-1681-4694-b6f4-80c165213f56u",
"publication_id": "c6abe80a-1681-4694-b6f4-80c165213780",
"provider": "http://test-provider.com",
"start": "2022-08-22T10:00:00Z",
"end": "2022-08-30T10:00:00Z",
"copy": 20000,
"print": 100,
"status": "ready"
}`)
	r.must(t, http.StatusOK, "POST", "/licenses/87ea1655-3973-4df4-983b-37144ed1b482", `{
"user_id": "axv6rli8-1681-4694-b6f4-80c165213f56u",
"user_name": "John Doe",
"user_email": "test@company.com",
"user_encrypted": ["name","email"],
"profile": "http://readium.org/lcp/basic-profile",
"text_hint": "A textual hint for your passphrase.",
"pass_hash": "FAEB00CA518BEA7CB11A7EF31FB6183B489B1B6EADB792BEC64A03B3F6FF80A8"
}`)
}
