package pdf

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5" //nolint:gosec // what the format has; nothing is protected with it here
	"crypto/rc4" //nolint:gosec // likewise
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"hash"
	"math/big"
)

// checkEncryption returns an error that wraps ErrEncrypted when the trailer
// names an encryption dictionary, and says of what kind it is.
func (f *file) checkEncryption(ctx context.Context) error {
	if f.trailer["Encrypt"] == nil {
		return nil
	}
	d, err := f.dict(ctx, f.trailer["Encrypt"])
	if ctx.Err() != nil {
		return err
	}
	if h, _ := d["Filter"].(name); h != "Standard" {
		return fmt.Errorf("%w, of the kind %q: supply a copy saved without it", ErrEncrypted, h)
	}
	if f.opensWithoutPassword(ctx, d) {
		return fmt.Errorf("%w: it is password-protected against changes, though it opens without a password; "+
			"supply a copy saved without protection", ErrEncrypted)
	}
	return fmt.Errorf("%w: it is password-protected and does not open without its password; "+
		"supply a copy saved without protection", ErrEncrypted)
}

// opensWithoutPassword checks the empty user password (ISO 32000-1 §7.6.3.4,
// ISO 32000-2 §7.6.4.4).
func (f *file) opensWithoutPassword(ctx context.Context, d dict) bool {
	e := standardHandler{length: d.number("Length", 40), p: d.number("P", 0), r: d.number("R", 0), clearMetadata: d["EncryptMetadata"] == false}
	if d.number("V", 0) == 4 {
		e.length = 128
	}
	for key, to := range map[name]*text{"O": &e.o, "U": &e.u} {
		v, err := f.get(ctx, d, key)
		if err != nil {
			return false
		}
		*to, _ = v.(text)
	}
	if ids, err := f.list(ctx, f.trailer["ID"]); err == nil && len(ids) > 0 {
		e.id, _ = ids[0].(text)
	}
	switch {
	case e.r >= 2 && e.r <= 4 && len(e.o) >= 32 && len(e.u) >= 32 && e.length >= 40 && e.length <= 128:
		return e.emptyOpensRC4()
	case e.r == 5 && len(e.u) >= 40:
		sum := sha256.Sum256([]byte(e.u[32:40]))
		return string(sum[:]) == string(e.u[:32])
	case e.r == 6 && len(e.u) >= 40:
		return string(hardenedHash([]byte(e.u[32:40]))) == string(e.u[:32])
	}
	return false
}

// A standardHandler holds the entries of an encryption dictionary that take
// part in checking the user password.
type standardHandler struct {
	r, length, p  int64
	o, u, id      text
	clearMetadata bool
}

const passwordPadding = "\x28\xBF\x4E\x5E\x4E\x75\x8A\x41\x64\x00\x4E\x56\xFF\xFA\x01\x08" +
	"\x2E\x2E\x00\xB6\xD0\x68\x3E\x80\x2F\x0C\xA9\xFE\x64\x53\x69\x7A"

// emptyOpensRC4 is algorithms 2, 4, 5 and 6 of ISO 32000-1 for revisions 2 to 4.
func (e standardHandler) emptyOpensRC4() bool {
	n := int(e.length / 8)
	if e.r == 2 {
		n = 5
	}
	in := append([]byte(passwordPadding), e.o[:32]...)
	in = binary.LittleEndian.AppendUint32(in, uint32(e.p))
	in = append(in, e.id...)
	if e.r >= 4 && e.clearMetadata {
		in = append(in, 0xFF, 0xFF, 0xFF, 0xFF)
	}
	sum := md5.Sum(in) //nolint:gosec // what the format has
	if e.r >= 3 {
		for range 50 {
			sum = md5.Sum(sum[:n]) //nolint:gosec // what the format has
		}
	}
	key := sum[:n]
	if e.r == 2 {
		return string(rc4With(key, []byte(passwordPadding))) == string(e.u[:32])
	}
	sum2 := md5.Sum(append([]byte(passwordPadding), e.id...)) //nolint:gosec // what the format has
	out := sum2[:]
	for i := range 20 {
		k := make([]byte, n)
		for j := range k {
			k[j] = key[j] ^ byte(i)
		}
		out = rc4With(k, out)
	}
	return string(out) == string(e.u[:16])
}

func rc4With(key, data []byte) []byte {
	out := make([]byte, len(data))
	if c, err := rc4.NewCipher(key); err == nil { //nolint:gosec // what the format has
		c.XORKeyStream(out, data)
	}
	return out
}

// hardenedHash is algorithm 2.B of ISO 32000-2 for the empty user password.
func hardenedHash(salt []byte) []byte {
	first := sha256.Sum256(salt)
	k := first[:]
	for round := 0; ; round++ {
		var k1 []byte
		for range 64 {
			k1 = append(k1, k...)
		}
		block, err := aes.NewCipher(k[:16])
		if err != nil {
			return nil
		}
		cipher.NewCBCEncrypter(block, k[16:32]).CryptBlocks(k1, k1)
		mod := new(big.Int).Mod(new(big.Int).SetBytes(k1[:16]), big.NewInt(3)).Int64()
		h := [3]func() hash.Hash{sha256.New, sha512.New384, sha512.New}[mod]()
		h.Write(k1)
		k = h.Sum(nil)
		if round >= 63 && int(k1[len(k1)-1]) <= round-31 {
			return k[:32]
		}
	}
}
