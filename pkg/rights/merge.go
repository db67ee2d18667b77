package rights

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrTemplate says that a template cannot be merged: it is not there, is not a
// rights token, or leads back to itself. It comes wrapped with the reason.
var ErrTemplate = errors.New("rights template cannot be used")

// Limits on the templates behind one token.
const (
	maxTemplates = 32 // in all; one that is named twice counts twice
	maxDepth     = 8  // of templates that name templates
)

// CheckTemplateName accepts the names that templates can have: letters, digits,
// dots, hyphens and underscores of ASCII, 64 at most.
func CheckTemplateName(name string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	if name == "" || len(name) > 64 || strings.Trim(name, letters) != "" {
		return fmt.Errorf("%q is not the name of a template", clip(name))
	}
	return nil
}

// Merge returns the token with its templates merged into it: the first, the
// second over it, and so on, and what the token itself says over all. Templates
// can name templates, which are merged into them first. lookup returns the JSON
// of a template; its errors are passed on unchanged, so it should return
// ErrTemplate for one that is not there.
//
// The token that wins does so member by member. A profile of another type wins
// whole, since the two would contradict one another.
func (t Token) Merge(lookup func(name string) ([]byte, error)) (Token, error) {
	m := merger{lookup: lookup}
	return m.merge(t, nil)
}

type merger struct {
	lookup func(name string) ([]byte, error)
	count  int
}

// merge merges the templates of t into it; path names the templates that led
// here.
func (m *merger) merge(t Token, path []string) (Token, error) {
	var base Token
	for _, name := range t.Refs {
		template, err := m.template(name, path)
		if err != nil {
			return Token{}, err
		}
		base = base.over(template)
	}
	return base.over(t), nil // base names no templates, and so neither does this
}

func (m *merger) template(name string, path []string) (Token, error) {
	m.count++
	switch {
	case slices.Contains(path, name):
		return Token{}, fmt.Errorf("%w: %s leads back to %q", ErrTemplate, strings.Join(path, " → "), name)
	case len(path) >= maxDepth:
		return Token{}, fmt.Errorf("%w: templates name one another more than %d deep", ErrTemplate, maxDepth)
	case m.count > maxTemplates:
		return Token{}, fmt.Errorf("%w: more than %d of them", ErrTemplate, maxTemplates)
	}
	data, err := m.lookup(name)
	if err != nil {
		return Token{}, err
	}
	t, err := Parse(data)
	if err != nil {
		return Token{}, fmt.Errorf("%w: %q: %w", ErrTemplate, name, err)
	}
	return m.merge(t, append(slices.Clip(path), name))
}

// over returns what t says where winner says nothing, and what winner says
// everywhere else.
func (t Token) over(winner Token) Token {
	pick(&t.AssetID, winner.AssetID)
	pick(&t.PassHash, winner.PassHash)
	pick(&t.TextHint, winner.TextHint)
	pick(&t.storeLicense, winner.storeLicense)
	if winner.Kind != "" && winner.Kind != t.Kind {
		t.Kind, t.Loan = winner.Kind, Loan{}
	}
	pick(&t.Loan.AbsoluteExpiration, winner.Loan.AbsoluteExpiration)
	pick(&t.Loan.RelativeExpiration, winner.Loan.RelativeExpiration)
	pick(&t.Loan.PlayDuration, winner.Loan.PlayDuration)
	pick(&t.LCP.Start, winner.LCP.Start)
	pick(&t.LCP.Copy, winner.LCP.Copy)
	pick(&t.LCP.Print, winner.LCP.Print)
	pick(&t.LCP.Profile, winner.LCP.Profile)
	pick(&t.User.ID, winner.User.ID)
	pick(&t.User.Name, winner.User.Name)
	pick(&t.User.Email, winner.User.Email)
	if winner.User.Encrypted != nil {
		t.User.Encrypted = winner.User.Encrypted
	}
	t.beyond = append(slices.Clip(t.beyond), winner.beyond...)
	slices.Sort(t.beyond)
	t.beyond = slices.Compact(t.beyond)
	return t
}

// pick replaces what is there by what wins, unless that says nothing.
func pick[T comparable](what *T, winner T) {
	var none T
	if winner != none {
		*what = winner
	}
}
