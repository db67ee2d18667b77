// Package licensing issues licenses for the publications of a store: it finds
// the publication and its content key, records the license, and has the
// document made. Commands and the license server issue through it alike.
//
// It does not know how a license may change in its life, nor who may ask for
// one.
package licensing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/license"
	"github.com/lcp-tools/lcp/pkg/profile"
	"github.com/lcp-tools/lcp/pkg/rights"
	"github.com/lcp-tools/lcp/pkg/status"
	"github.com/lcp-tools/lcp/pkg/store"
)

// Reasons not to issue a license, wrapped with the identifier.
var (
	ErrPublication = errors.New("unknown publication")
	ErrLicense     = errors.New("unknown license")
)

// A Service issues the licenses of one provider. All fields are required but
// Observe, KeepUsers and, where there are no status documents to make, Documents.
// It is safe for concurrent use.
type Service struct {
	Store     *store.Store
	Issuer    *license.Issuer
	Profiles  *profile.Registry
	Provider  string          // URI, in every license
	Profile   string          // URI of the default profile; profile.Any2 is possible
	Policy    status.Policy   // how far a license may be renewed
	Documents *status.Builder // status documents of its licenses
	Now       func() time.Time

	// Observe is told how long it took to make and sign each license.
	Observe func(took time.Duration)

	// KeepUsers has data of users kept, sealed, when a license is issued, and
	// used for fresh licenses that are asked for without it. The default is not
	// to.
	KeepUsers bool

	alone bool // issue for publications of the provider alone
}

// Alone returns a service that does the same, but knows no publications other
// than those of its provider.
func (s *Service) Alone() *Service {
	c := *s
	c.alone = true
	return &c
}

// Generate issues a new license. Faults of the request are *license.FieldError,
// several joined; that of an unknown or deleted publication is ErrPublication as
// well. After an error there is no license.
func (s *Service) Generate(ctx context.Context, r api.LicenseRequest) (*license.Document, error) {
	return s.generate(ctx, uuid.NewString(), r)
}

func (s *Service) generate(ctx context.Context, id string, r api.LicenseRequest) (*license.Document, error) {
	pub, err := s.publication(ctx, r)
	if err != nil {
		return nil, err
	}
	d, err := s.Draft(id, pub, r)
	if err != nil {
		return nil, err
	}
	return d.Issue(ctx, nil)
}

// maxUserID is how long the identifier of a user can be, in characters: what the
// store finds licenses by.
const maxUserID = 255

// checkUserID looks at what the record of a license needs and the license itself
// does not: whose it is.
func checkUserID(id string) error {
	reason := ""
	switch {
	case strings.TrimSpace(id) == "":
		reason = "is missing"
	case utf8.RuneCountInString(id) > maxUserID:
		reason = fmt.Sprintf("is longer than %d characters", maxUserID)
	case strings.ContainsRune(id, 0):
		reason = "has a NUL character"
	default:
		return nil
	}
	return &license.FieldError{Field: "user_id", Reason: reason}
}

// Fresh issues a license again, as it stands now, for the user's data in the
// request, or for what is kept of it. Rights, dates and publication come from the
// record, and so does the profile unless the request names another one.
func (s *Service) Fresh(ctx context.Context, id string, r api.LicenseRequest) (*license.Document, error) {
	rec, err := s.Store.License(ctx, strings.ToLower(id))
	if err != nil {
		return nil, named(ErrLicense, id, err)
	}
	if r.UserID != "" && r.UserID != rec.UserID {
		return nil, &license.FieldError{Field: "user_id", Reason: "is not the user that the license was issued to"}
	}
	r.UserID = rec.UserID
	r, kept, err := s.complete(ctx, rec.UUID, r)
	if err != nil {
		return nil, err
	}
	pub, err := s.Store.AnyPublication(ctx, rec.PublicationUUID)
	if err != nil {
		return nil, named(ErrPublication, rec.PublicationUUID, err)
	}
	if rec, err = s.changeProfile(ctx, rec, r.Profile); err != nil {
		return nil, err
	}
	doc, err := s.sign(ctx, newRequest(rec, pub, r))
	if err == nil && kept != nil {
		err = s.keep(ctx, rec.UUID, r, kept)
	}
	if err != nil {
		return nil, err
	}
	return doc, nil
}

// sign makes a license document.
func (s *Service) sign(ctx context.Context, r license.Request) (*license.Document, error) {
	begin := s.Now()
	doc, err := s.Issuer.Issue(ctx, r)
	if err == nil && s.Observe != nil {
		s.Observe(s.Now().Sub(begin))
	}
	return doc, err
}

// changeProfile moves a license to the profile asked for (an upgrade), and keeps
// the one it has where the request leaves the choice open.
func (s *Service) changeProfile(ctx context.Context, rec store.License, asked string) (store.License, error) {
	if asked == "" || asked == rec.Profile || asked == profile.Any2 && slices.Contains(profile.Version2(), rec.Profile) {
		return rec, nil
	}
	uri, err := s.choose(asked)
	if err != nil {
		return rec, err
	}
	return s.Store.UpdateLicense(ctx, rec.UUID, "", func(l store.License, _ bool) (store.License, []store.Event, error) {
		l.Profile, l.Updated = uri, after(s.Now(), l.Issued, l.Updated, l.StatusUpdated)
		return l, nil, nil
	})
}

// after is now or, if that is not later than all of the others, the next
// millisecond: apps compare dates to learn whether something changed.
func after(now time.Time, others ...time.Time) time.Time {
	now = now.UTC().Truncate(time.Millisecond)
	if last := slices.MaxFunc(others, time.Time.Compare); !now.After(last) {
		return last.Add(time.Millisecond)
	}
	return now
}

func (s *Service) publication(ctx context.Context, r api.LicenseRequest) (store.Publication, error) {
	var pub store.Publication
	var err error
	switch {
	case r.PublicationID != "" && r.AltID != "":
		return pub, &license.FieldError{Field: "alt_id", Reason: "must not be given together with publication_id"}
	case r.PublicationID != "":
		pub, err = s.known(s.Store.AnyPublication(ctx, strings.ToLower(r.PublicationID)))
		if err == nil && !pub.DeletedAt.IsZero() {
			err = store.ErrDeleted
		}
		return pub, inField("publication_id", named(ErrPublication, r.PublicationID, err))
	case r.AltID != "":
		pub, err = s.known(s.Store.PublicationByAltID(ctx, r.AltID))
		return pub, inField("alt_id", named(ErrPublication, r.AltID, err))
	default:
		return pub, &license.FieldError{Field: "publication_id", Reason: "is missing, and so is alt_id"}
	}
}

// known passes on a publication that the service may know.
func (s *Service) known(p store.Publication, err error) (store.Publication, error) {
	if err == nil && s.alone && p.Provider != s.Provider {
		return store.Publication{}, store.ErrNotFound
	}
	return p, err
}

// inField tells which field of the request an ErrPublication comes from.
func inField(field string, err error) error {
	if !errors.Is(err, ErrPublication) {
		return err
	}
	return &publicationError{license.FieldError{Field: field, Reason: err.Error()}}
}

// A publicationError is an ErrPublication and a *license.FieldError.
type publicationError struct{ license.FieldError }

func (e *publicationError) Unwrap() []error { return []error{&e.FieldError, ErrPublication} }

// named turns the store's ErrNotFound into the service's reason, with the
// identifier, and leaves other errors as they are.
func named(reason error, id string, err error) error {
	switch {
	case errors.Is(err, store.ErrDeleted):
		return fmt.Errorf("%w %q: it was deleted", reason, id)
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("%w %q", reason, id)
	default:
		return err
	}
}

// choose settles which profile a license will have.
func (s *Service) choose(asked string) (string, error) {
	if asked == "" {
		asked = s.Profile
	}
	uri, err := s.Profiles.Choose(asked)
	if err != nil {
		return "", &license.FieldError{Field: "profile", Reason: err.Error()}
	}
	return uri, nil
}

// newRequest puts together what a license is made from.
func newRequest(rec store.License, pub store.Publication, r api.LicenseRequest) license.Request {
	return license.Request{
		ID: rec.UUID, Issued: rec.Issued, Updated: rec.Updated,
		ContentKey: pub.ContentKey,
		Publication: license.Publication{
			Href: pub.Href, ContentType: pub.ContentType, Title: pub.Title, Size: pub.Size, Checksum: pub.Checksum,
		},
		User: license.User{ID: r.UserID, Name: r.UserName, Email: r.UserEmail, Encrypted: r.UserEncrypted},
		Rights: license.Rights{
			Start: optional(rec.Start), End: optional(rec.End), Copy: rec.Copy, Print: rec.Print,
		},
		Profile: rec.Profile, TextHint: r.TextHint, PassHash: r.PassHash,
	}
}

// playDuration is how the record of a license keeps a duration.
func playDuration(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	d, err := rights.ParseDuration(text)
	if err != nil {
		return "", &license.FieldError{Field: "play_duration", Reason: err.Error()}
	}
	return d.String(), nil
}

func instant(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
