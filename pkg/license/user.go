package license

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
)

// User says for whom a license is (LCP §3.7). In a document the values of the
// fields that Encrypted names are Base64 of their encryption; in a request and
// once opened they are clear. It does not print: it is personal data.
type User struct {
	ID        string
	Name      string
	Email     string
	Fields    map[string]string // extensions, by the URI that names each
	Encrypted []string          // names of fields, those of Fields included
}

// String keeps personal data out of logs.
func (User) String() string { return "User(redacted)" }

// GoString keeps personal data out of %#v.
func (u User) GoString() string { return u.String() }

// Format keeps personal data out of every formatting verb.
func (u User) Format(f fmt.State, _ rune) { fmt.Fprint(f, u.String()) }

// LogValue implements slog.LogValuer.
func (u User) LogValue() slog.Value { return slog.StringValue(u.String()) }

// IsZero reports whether nothing is known of the user; a license then has no
// user object.
func (u User) IsZero() bool {
	return u.ID == "" && u.Name == "" && u.Email == "" && len(u.Fields) == 0 && len(u.Encrypted) == 0
}

// Names of the user's own fields (LCP User Fields Registry).
const (
	userID        = "id"
	userName      = "name"
	userEmail     = "email"
	userEncrypted = "encrypted"
)

// field returns the value of a field. What is empty is absent.
func (u User) field(name string) (string, bool) {
	var value string
	switch name {
	case userID:
		value = u.ID
	case userName:
		value = u.Name
	case userEmail:
		value = u.Email
	default:
		value = u.Fields[name]
	}
	return value, value != ""
}

func (u *User) setField(name, value string) {
	switch name {
	case userID:
		u.ID = value
	case userName:
		u.Name = value
	case userEmail:
		u.Email = value
	default:
		u.Fields[name] = value
	}
}

// encrypt returns u with every field that Encrypted names under key. The names
// were checked before.
func (u User) encrypt(key lcpcrypto.UserKey) User {
	u.Fields = maps.Clone(u.Fields)
	for _, name := range u.Encrypted {
		plain, _ := u.field(name)
		u.setField(name, base64.StdEncoding.EncodeToString(lcpcrypto.Encrypt(key, []byte(plain))))
	}
	return u
}

// decrypt returns u with every field that Encrypted names clear. A name without
// a field is passed over: the signature covers it, and there is nothing to show.
func (u User) decrypt(key lcpcrypto.UserKey) (User, error) {
	u.Fields = maps.Clone(u.Fields)
	for _, name := range u.Encrypted {
		value, present := u.field(name)
		if !present {
			continue
		}
		data, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return User{}, fmt.Errorf("decrypt user.%s: it is not standard base64", name)
		}
		plain, err := lcpcrypto.Decrypt(key, data)
		if err != nil {
			return User{}, fmt.Errorf("decrypt user.%s: %w", name, err)
		}
		u.setField(name, string(plain))
	}
	return u, nil
}

// MarshalJSON writes the fields that are there, extensions last and sorted.
func (u User) MarshalJSON() ([]byte, error) {
	own := struct {
		ID        string   `json:"id,omitempty"`
		Name      string   `json:"name,omitempty"`
		Email     string   `json:"email,omitempty"`
		Encrypted []string `json:"encrypted,omitempty"`
	}{u.ID, u.Name, u.Email, u.Encrypted}
	head, err := encode(own)
	if err != nil || len(u.Fields) == 0 {
		return head, err
	}
	extensions, err := encode(u.Fields)
	if err != nil || len(head) == len("{}") {
		return extensions, err
	}
	return slices.Concat(head[:len(head)-1], []byte(","), extensions[1:]), nil
}
