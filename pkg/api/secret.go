package api

import "time"

// A Secret is one that is shared with a provider. Its value is told once, to whom
// it was made for.
type Secret struct {
	KeyID     string     `json:"kid"`
	Algorithm string     `json:"algorithm"` // of tokens that it signs
	State     string     `json:"state"`     // pending, active, verify-only or revoked
	Value     string     `json:"value,omitempty"`
	Created   time.Time  `json:"created"`
	Activated *time.Time `json:"activated,omitempty"`
	Changed   time.Time  `json:"changed"` // when it came to its state
}

// A SecretRequest asks for a new secret, or brings one.
type SecretRequest struct {
	KeyID     string `json:"kid,omitempty"`       // of one's own choice; random without
	Algorithm string `json:"algorithm,omitempty"` // HS256 without
	Value     string `json:"value,omitempty"`     // hexadecimal digits; random without
}

// A SecretState asks for a secret to be brought to a state.
type SecretState struct {
	State string `json:"state"`
}
