package wire

import (
	"cmp"
	"time"

	"github.com/lcp-tools/lcp/pkg/api"
	"github.com/lcp-tools/lcp/pkg/sharedsecret"
)

// SecretOut is a secret in the words of the API, without its value.
func SecretOut(s *sharedsecret.Secret) api.Secret {
	out := api.Secret{
		KeyID: s.KeyID, Algorithm: string(s.Algorithm), State: string(s.State), Created: s.Created.UTC(), Changed: s.Changed.UTC(),
	}
	if !s.Activated.IsZero() {
		activated := s.Activated.UTC()
		out.Activated = &activated
	}
	return out
}

// SecretIn returns the secret that is asked for, or brought, for a provider. made
// says that its value is new, and has to be told. Faults are
// *license.FieldError, several joined.
func SecretIn(in *api.SecretRequest, provider string, now time.Time) (s sharedsecret.Secret, made bool, err error) {
	var faults Faults
	algorithm, err := sharedsecret.ParseAlgorithm(cmp.Or(in.Algorithm, string(sharedsecret.HS256)))
	if err != nil {
		faults.Add("algorithm", "%v", err)
		return s, false, faults.Err()
	}
	now = now.UTC().Truncate(time.Millisecond)
	if s, err = sharedsecret.Generate(provider, algorithm, now); err != nil {
		return s, false, err
	}
	if in.KeyID != "" {
		s.KeyID = in.KeyID
		if err := sharedsecret.CheckKeyID(in.KeyID); err != nil {
			faults.Add("kid", "%v", err)
		}
	}
	if in.Value != "" {
		if s.Value, err = sharedsecret.ParseValue(in.Value); err != nil {
			faults.Add("value", "%v", err)
		} else if n, least := len(s.Value.Bytes()), algorithm.MinSize(); n < least {
			faults.Add("value", "has %d bytes, and %s wants %d or more", n, algorithm, least)
		}
	}
	return s, in.Value == "", faults.Err()
}
