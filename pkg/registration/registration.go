// Package registration tells license servers of protected publications, and asks
// them which key a publication has. Its types are registries of a catalogue, as
// the local store is one.
//
// Whatever is not a clear answer is an error: a new key for a publication that
// has one already would make a file that its licenses do not open.
package registration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/client"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/store"
	"github.com/lcp-tools/lcp/pkg/wire"
)

// ErrHidden says that the server knows a publication and does not show its
// content key to these credentials.
var ErrHidden = errors.New("license server does not show the content key to these credentials: they need a role that may encrypt")

// Server registers with lcp serve or LCP Server v2. It is safe for concurrent
// use.
type Server struct {
	Client *client.Client

	checked atomic.Bool // that this is a license server which knows us
}

// Reserve returns the identity under which to encrypt a publication: that which
// the server knows by the alternative identifier or the UUID wanted, else a new
// one. Nothing is written to the server. It fails with store.ErrExists and
// store.ErrKeyChanged as the store's Reserve does, and with ErrHidden.
func (s *Server) Reserve(ctx context.Context, want store.Identity) (got store.Identity, known bool, err error) {
	p, known, err := s.find(ctx, want)
	if err != nil {
		return store.Identity{}, false, err
	}
	if !known {
		return complete(want), false, nil
	}
	key, err := keyOf(p.EncryptionKey, p.UUID, want.Key)
	if err != nil {
		return store.Identity{}, false, err
	}
	return store.Identity{UUID: p.UUID, AltID: cmp.Or(want.AltID, p.AltID), Key: key}, true, nil
}

// find looks for the publication that is wanted.
func (s *Server) find(ctx context.Context, want store.Identity) (p api.Publication, known bool, err error) {
	if want.AltID != "" {
		p, known, err = s.look(ctx, func() (api.Publication, error) { return s.Client.PublicationByAltID(ctx, want.AltID) })
		if err != nil {
			return p, false, fmt.Errorf("look up alternative identifier %q: %w", want.AltID, err)
		}
		if known && want.UUID != "" && p.UUID != want.UUID {
			return p, false, &store.ExistsError{Field: "alt_id", Value: want.AltID, UUID: p.UUID}
		}
	}
	if !known && want.UUID != "" {
		p, known, err = s.look(ctx, func() (api.Publication, error) { return s.Client.Publication(ctx, want.UUID) })
		if err != nil {
			return p, false, fmt.Errorf("look up publication %q: %w", want.UUID, err)
		}
	}
	return p, known, nil
}

// look tells a publication that is not there from a server that cannot tell. The
// first time that nothing is found, the server has to prove that it is one: under
// a wrong address nothing is ever found.
func (s *Server) look(ctx context.Context, get func() (api.Publication, error)) (p api.Publication, known bool, err error) {
	p, err = get()
	switch {
	case err == nil:
		s.checked.Store(true)
		return p, true, nil
	case !client.IsNotFound(err):
		return p, false, err
	case s.checked.Load():
		return p, false, nil
	}
	if err := s.Check(ctx); err != nil {
		return p, false, fmt.Errorf("list publications, to see whether this is a license server: %w", err)
	}
	return p, false, nil
}

// Check makes sure that this is a license server with which these credentials can
// register. Nothing is written to it. Among the errors is client.ErrMayNotRegister.
func (s *Server) Check(ctx context.Context) error {
	if err := s.Client.CheckPublications(ctx); err != nil {
		return err
	}
	s.checked.Store(true)
	return nil
}

// SavePublication adds the record of a publication, or replaces that of the same
// UUID. It fails with store.ErrKeyChanged if the server knows it with another
// key.
func (s *Server) SavePublication(ctx context.Context, p store.Publication) (saved store.Publication, created bool, err error) {
	old, known, err := s.find(ctx, store.Identity{UUID: p.UUID})
	if err != nil {
		return p, false, err
	}
	if !known {
		_, err := s.Client.CreatePublication(ctx, recordOf(&p))
		if err == nil {
			return p, true, nil
		}
		// It may be there by now: by an attempt whose answer was lost, or by another
		// process.
		if !mayBeThere(err) {
			return p, false, err
		}
		var lookErr error
		if old, known, lookErr = s.find(ctx, store.Identity{UUID: p.UUID}); lookErr != nil || !known {
			return p, false, err
		}
	}
	if len(old.EncryptionKey) > 0 {
		if _, err := keyOf(old.EncryptionKey, p.UUID, p.ContentKey); err != nil {
			return p, false, err
		}
	}
	p.AltID = cmp.Or(p.AltID, old.AltID)
	if _, err := s.Client.UpdatePublication(ctx, recordOf(&p)); err != nil {
		return p, false, err
	}
	return p, false, nil
}

// Publication returns what the server knows of the publication's file. It fails
// with store.ErrNotFound.
func (s *Server) Publication(ctx context.Context, id string) (store.Publication, error) {
	p, known, err := s.find(ctx, store.Identity{UUID: id})
	if err == nil && !known {
		err = fmt.Errorf("publication %q: %w", id, store.ErrNotFound)
	}
	return store.Publication{
		UUID: p.UUID, AltID: p.AltID, Title: p.Title, ContentType: p.ContentType,
		Href: p.Href, Size: p.Size, Checksum: p.Checksum, CoverURL: p.CoverURL,
	}, err
}

// mayBeThere reports whether a refusal to create something can mean that it was
// created before. LCP Server v2 answers 500 then.
func mayBeThere(err error) bool {
	var refused *client.Error
	return errors.As(err, &refused) && (refused.Status == http.StatusConflict || refused.Status == http.StatusInternalServerError)
}

// recordOf is a publication in the words of the API, with its key.
func recordOf(p *store.Publication) api.Publication {
	out := wire.PublicationOut(p)
	out.EncryptionKey = p.ContentKey[:]
	out.Stamps = api.Stamps{}
	return out
}

// keyOf reads a content key from a server, which must be the one wanted if any
// is.
func keyOf(b []byte, id string, want lcpcrypto.ContentKey) (lcpcrypto.ContentKey, error) {
	if len(b) == 0 {
		return want, fmt.Errorf("publication %q: %w", id, ErrHidden)
	}
	key, err := lcpcrypto.ContentKeyFromBytes(b)
	none := lcpcrypto.ContentKey{}
	switch {
	case err != nil:
		return want, fmt.Errorf("content key of publication %q on the license server: %w", id, err)
	case key == none:
		return want, fmt.Errorf("content key of publication %q on the license server is all zeros", id)
	case want != none && want != key:
		return want, fmt.Errorf("%q: %w", id, store.ErrKeyChanged)
	}
	return key, nil
}

// complete returns the identity with a random UUID and a random key where it has
// none.
func complete(i store.Identity) store.Identity {
	if i.UUID == "" {
		i.UUID = uuid.NewString()
	}
	if i.Key == (lcpcrypto.ContentKey{}) {
		i.Key = lcpcrypto.NewContentKey()
	}
	return i
}
