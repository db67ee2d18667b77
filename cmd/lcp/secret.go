package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/lcp-tools/lcp/pkg/profile"
)

// maxSecret bounds a file that holds a secret.
const maxSecret = 64 << 10

// readSecretFile returns the text in a file without the line end that editors
// put after it.
func readSecretFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret))
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil
}

// passphrase takes the user's passphrase from a file, the environment, or the
// person at the terminal: never from a flag's value, which every process on the
// machine could read.
func (a *app) passphrase(file string) (profile.Hash, error) {
	text, err := a.passphraseText(file)
	if err != nil {
		return profile.Hash{}, err
	}
	if text == "" {
		return profile.Hash{}, errors.New("the passphrase is empty")
	}
	return profile.HashPassphrase(text), nil
}

func (a *app) passphraseText(file string) (string, error) {
	if file != "" {
		text, err := readSecretFile(file)
		if err != nil {
			return "", fmt.Errorf("read the passphrase: %w", err)
		}
		return text, nil
	}
	if text, ok := os.LookupEnv("LCP_PASSPHRASE"); ok {
		return text, nil
	}
	in, ok := a.in.(*os.File)
	if !ok || !isTerminal(in) {
		return "", &hinted{
			usagef("a passphrase is needed"),
			"name a file with --passphrase-file, or set LCP_PASSPHRASE",
		}
	}
	fmt.Fprint(a.err, "Passphrase: ")
	data, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(a.err)
	if err != nil {
		return "", fmt.Errorf("read the passphrase: %w", err)
	}
	return string(data), nil
}
