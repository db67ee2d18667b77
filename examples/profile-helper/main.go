// Profile-helper is an example of the program that lcp asks for user keys in
// encryption profiles other than the basic one.
//
// It shows the protocol, and nothing else: its transform is made up, protects
// nobody, and no reading system knows it. Put the transform that you were given
// by the license authority in its place, and keep the program to yourself.
//
// Each line of standard input is a request, "<profile URI> <hash>", the hash
// being the SHA-256 of a passphrase in 64 hexadecimal digits. Each is answered
// with one line on standard output, "<user key>" in 64 hexadecimal digits or
// "error <reason>". When the input ends, so does the program.
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	if err := answerAll(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "profile-helper:", err)
		os.Exit(1) //nolint:forbidigo // this is a program, not a package
	}
}

// answerAll answers each request at once: lcp waits for one answer before it asks
// again.
func answerAll(requests io.Reader, answers io.Writer) error {
	lines := bufio.NewScanner(requests)
	for lines.Scan() {
		if _, err := fmt.Fprintln(answers, answer(lines.Text())); err != nil {
			return err
		}
	}
	return lines.Err()
}

func answer(request string) string {
	uri, digits, ok := strings.Cut(request, " ")
	if !ok {
		return "error a request is a profile URI, a space and a hash"
	}
	if !strings.HasPrefix(uri, "http://readium.org/lcp/profile-") {
		return "error unknown profile " + uri
	}
	hash, err := hex.DecodeString(digits)
	if err != nil || len(hash) != sha256.Size {
		return "error the hash is not 64 hexadecimal digits"
	}
	key := exampleTransform(uri, hash)
	return hex.EncodeToString(key[:])
}

// exampleTransform is NOT the transform of any profile. It only gives a key that
// differs from profile to profile.
func exampleTransform(uri string, hash []byte) [sha256.Size]byte {
	return sha256.Sum256(append([]byte("example only "+uri+" "), hash...))
}
