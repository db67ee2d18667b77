// Package profile knows the encryption profiles of Readium LCP: their URIs, and
// how the hash of a passphrase becomes the key of a user.
//
// The basic profile is public: the key is the hash (LCP 1.0 §6.3). The transforms
// of the production profiles are not, and none is here. Their owner brings one,
// as a Deriver written in Go or as a program that a Helper talks to. What the key
// is then used for is not known here.
package profile

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
	"strings"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
)

// URIs of profiles (LCP Encryption Profiles Registry).
const (
	Basic = "http://readium.org/lcp/basic-profile"
	V1    = "http://readium.org/lcp/profile-1.0"

	// Any2 stands for any of profile-2.0 to profile-2.9 where a profile is asked
	// for. It never appears in a license: Registry.Choose picks one.
	Any2 = "http://readium.org/lcp/profile-2.x"

	prefix2 = "http://readium.org/lcp/profile-2."
)

// HashSize is the length in bytes of the hash of a passphrase (SHA-256).
const HashSize = sha256.Size

// Refusals of profiles and hashes.
var (
	ErrUnknown     = errors.New("unknown encryption profile")
	ErrUnsupported = errors.New("encryption profile is not configured")
	ErrHash        = errors.New("passphrase hash is not 64 hexadecimal digits")
)

// Version2 returns the URIs of the ten profiles that Any2 stands for.
func Version2() []string {
	uris := make([]string, 10)
	for i := range uris {
		uris[i] = fmt.Sprintf("%s%d", prefix2, i)
	}
	return uris
}

// Validate checks that uri names a profile, Any2 included. The error wraps
// ErrUnknown and names those that are known.
func Validate(uri string) error {
	if uri == Any2 || concrete(uri) {
		return nil
	}
	return fmt.Errorf("%w %q: it must be %s, %s, %s0 to %s9, or %s", ErrUnknown, uri, Basic, V1, prefix2, "2.", Any2)
}

// concrete reports whether uri names one profile, as licenses do.
func concrete(uri string) bool {
	minor, version2 := strings.CutPrefix(uri, prefix2)
	return uri == Basic || uri == V1 || version2 && len(minor) == 1 && "0" <= minor && minor <= "9"
}

// A Hash is the SHA-256 of a user's passphrase. In the basic profile it is the
// user key itself, so it does not print either: use Hex where it is wanted.
type Hash [HashSize]byte

// HashPassphrase returns the hash of a passphrase, of which no character is
// changed before (LCP §4.2).
func HashPassphrase(passphrase string) Hash { return sha256.Sum256([]byte(passphrase)) }

// ParseHash reads 64 hexadecimal digits in either case, or returns ErrHash. The
// error does not repeat the text.
func ParseHash(text string) (Hash, error) {
	var h Hash
	if len(text) != hex.EncodedLen(HashSize) {
		return Hash{}, fmt.Errorf("%w: it has %d characters", ErrHash, len(text))
	}
	if _, err := hex.Decode(h[:], []byte(text)); err != nil {
		return Hash{}, ErrHash
	}
	return h, nil
}

// Hex reveals the hash as 64 lower-case digits.
func (h Hash) Hex() string { return hex.EncodeToString(h[:]) }

// String keeps the hash out of logs and error messages.
func (Hash) String() string { return "Hash(redacted)" }

// GoString keeps the hash out of %#v.
func (h Hash) GoString() string { return h.String() }

// Format keeps the hash out of every formatting verb, %x included.
func (h Hash) Format(f fmt.State, _ rune) { fmt.Fprint(f, h.String()) }

// LogValue implements slog.LogValuer.
func (h Hash) LogValue() slog.Value { return slog.StringValue(h.String()) }

// MarshalJSON refuses: a hash is never part of a document by accident.
func (Hash) MarshalJSON() ([]byte, error) {
	return nil, errors.New("passphrase hashes are not marshalled")
}

// A Deriver turns the hash of a passphrase into the user key of a profile. It is
// safe for concurrent use, keeps neither and logs neither.
type Deriver interface {
	UserKey(ctx context.Context, uri string, hash Hash) (lcpcrypto.UserKey, error)
}

// DeriverFunc is a Deriver written as a function.
type DeriverFunc func(ctx context.Context, uri string, hash Hash) (lcpcrypto.UserKey, error)

// UserKey implements Deriver.
func (f DeriverFunc) UserKey(ctx context.Context, uri string, hash Hash) (lcpcrypto.UserKey, error) {
	return f(ctx, uri, hash)
}

// basic is the transform of the basic profile: none (LCP §6.3).
func basic(_ context.Context, _ string, hash Hash) (lcpcrypto.UserKey, error) {
	return lcpcrypto.UserKey(hash), nil
}

// A Registry holds the profiles that can be used. All are registered before it
// is shared; from then on it is safe for concurrent use.
type Registry struct {
	derivers map[string]Deriver
}

// NewRegistry returns a registry that knows the basic profile.
func NewRegistry() *Registry {
	return &Registry{derivers: map[string]Deriver{Basic: DeriverFunc(basic)}}
}

// Register makes d the transform of the profile uri; Any2 means all ten. The
// basic profile cannot be replaced, nor can one that is already registered.
func (r *Registry) Register(uri string, d Deriver) error {
	if err := Validate(uri); err != nil {
		return err
	}
	uris := []string{uri}
	if uri == Any2 {
		uris = Version2()
	}
	for _, u := range uris {
		if _, taken := r.derivers[u]; taken {
			return fmt.Errorf("encryption profile %s is registered already", u)
		}
	}
	for _, u := range uris {
		r.derivers[u] = d
	}
	return nil
}

// URIs returns the profiles that can be used, sorted.
func (r *Registry) URIs() []string {
	uris := make([]string, 0, len(r.derivers))
	for uri := range r.derivers {
		uris = append(uris, uri)
	}
	slices.Sort(uris)
	return uris
}

// Choose returns the profile to use where uri was asked for: one at random,
// where that is Any2, of those registered. The caller stores the choice and
// keeps it for the license. The errors are ErrUnknown and ErrUnsupported.
func (r *Registry) Choose(uri string) (string, error) {
	if uri != Any2 {
		return uri, r.check(uri)
	}
	usable := slices.DeleteFunc(Version2(), func(u string) bool { return r.derivers[u] == nil })
	if len(usable) == 0 {
		return "", r.unsupported(uri)
	}
	i, err := rand.Int(rand.Reader, big.NewInt(int64(len(usable))))
	if err != nil {
		return "", fmt.Errorf("choose an encryption profile: %w", err)
	}
	return usable[i.Int64()], nil
}

// check is Validate, and that uri is registered.
func (r *Registry) check(uri string) error {
	if r.derivers[uri] != nil {
		return nil
	}
	if err := Validate(uri); err != nil {
		return err
	}
	return r.unsupported(uri)
}

func (r *Registry) unsupported(uri string) error {
	return fmt.Errorf("%w: %s; configured are %s", ErrUnsupported, uri, strings.Join(r.URIs(), ", "))
}

// UserKey derives the user key of the profile uri, which must not be Any2. The
// errors are ErrUnknown, ErrUnsupported, or the transform's own.
func (r *Registry) UserKey(ctx context.Context, uri string, hash Hash) (lcpcrypto.UserKey, error) {
	if err := r.check(uri); err != nil {
		return lcpcrypto.UserKey{}, err
	}
	key, err := r.derivers[uri].UserKey(ctx, uri, hash)
	if err != nil {
		return lcpcrypto.UserKey{}, fmt.Errorf("derive the user key of %s: %w", uri, err)
	}
	return key, nil
}
