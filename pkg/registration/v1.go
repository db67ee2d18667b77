package registration

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/client"
	"github.com/lcp-tools/lcp/pkg/store"
)

// ErrAltID says that a v1 server cannot find a publication by its alternative
// identifier: it knows none.
var ErrAltID = errors.New("license server v1 knows no alternative identifiers: give a uuid")

// ServerV1 registers with the predecessor of LCP Server v2. It is safe for
// concurrent use.
type ServerV1 struct {
	Client *client.Client
}

// Check makes sure that this is a license server which knows these credentials: it
// is asked for a publication that it cannot have. Its list of publications is open
// to everyone, and would prove less.
func (s *ServerV1) Check(ctx context.Context) error {
	if _, err := s.Client.ContentV1(ctx, uuid.NewString()); !client.IsNotFound(err) {
		return err
	}
	return nil
}

// Reserve returns the identity under which to encrypt a publication, as
// Server.Reserve does. It fails with ErrAltID if there is only an alternative
// identifier to go by.
func (s *ServerV1) Reserve(ctx context.Context, want store.Identity) (got store.Identity, known bool, err error) {
	if want.UUID == "" && want.AltID != "" {
		return store.Identity{}, false, fmt.Errorf("%q: %w", want.AltID, ErrAltID)
	}
	if want.UUID == "" {
		return complete(want), false, nil
	}
	content, err := s.Client.ContentV1(ctx, want.UUID)
	if client.IsNotFound(err) {
		return complete(want), false, nil
	}
	if err != nil {
		return store.Identity{}, false, fmt.Errorf("look up publication %q: %w", want.UUID, err)
	}
	got = want
	got.Key, err = keyOf(content.Key, want.UUID, want.Key)
	if err != nil {
		return store.Identity{}, false, err
	}
	return got, true, nil
}

// SavePublication adds a publication, or replaces the one with the same UUID. It
// fails with store.ErrKeyChanged if the server knows it with another key.
func (s *ServerV1) SavePublication(ctx context.Context, p store.Publication) (saved store.Publication, created bool, err error) {
	// The server would take another key without a word, and the licenses it made
	// would no longer open the publication.
	if _, _, err := s.Reserve(ctx, store.Identity{UUID: p.UUID, Key: p.ContentKey}); err != nil {
		return p, false, err
	}
	created, err = s.Client.PutContentV1(ctx, client.ContentV1{
		ID: p.UUID, Key: p.ContentKey[:], Location: p.Href, Length: p.Size, SHA256: p.Checksum, Type: p.ContentType,
	}, path.Base(p.Href))
	return p, created, err
}
