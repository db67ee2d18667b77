package keyring_test

import (
	"bytes"
	"testing"

	"github.com/lcp-tools/lcp/pkg/keyring"
)

// Replicas that share a master key derive the same, and whoever learns one
// derived key learns neither another one nor the master key.
func TestDerive(t *testing.T) {
	t.Parallel()
	primary, older := keyring.NewKey(), keyring.NewKey()
	newKeyring := func(primary keyring.Key, older ...keyring.Key) *keyring.Keyring {
		k, err := keyring.New(primary, older...)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	tokens := newKeyring(primary).Derive("tokens")
	if len(tokens) != 32 || bytes.Equal(tokens, primary[:]) {
		t.Errorf("Derive gives %d bytes, or the key itself", len(tokens))
	}
	if !bytes.Equal(tokens, newKeyring(primary, older).Derive("tokens")) {
		t.Error("the same primary key derives something else beside an older one")
	}
	if bytes.Equal(tokens, newKeyring(primary).Derive("sessions")) {
		t.Error("another purpose derives the same")
	}
	if bytes.Equal(tokens, newKeyring(older, primary).Derive("tokens")) {
		t.Error("another primary key derives the same")
	}
	both := newKeyring(primary, older).DeriveAll("tokens")
	if len(both) != 2 || !bytes.Equal(both[0], tokens) || !bytes.Equal(both[1], newKeyring(older).Derive("tokens")) {
		t.Errorf("DeriveAll gives %d keys, or others than those of each master key", len(both))
	}
}
