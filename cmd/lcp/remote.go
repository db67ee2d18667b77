package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/lcp-tools/lcp/pkg/catalogue"
	"github.com/lcp-tools/lcp/pkg/client"
	"github.com/lcp-tools/lcp/pkg/netrc"
	"github.com/lcp-tools/lcp/pkg/registration"
	"github.com/lcp-tools/lcp/pkg/store"
)

// serverFlags say on which license server a command works, if not on the local
// store. There is no key of the configuration for it: lcp serve reads the same
// file, and its commands are to work on its own store.
type serverFlags struct {
	flags           *pflag.FlagSet
	url             string
	credentialsFile string
	insecureHTTP    bool
	postOnce        bool
}

func (s *serverFlags) addFlags(fs *pflag.FlagSet) {
	s.flags = fs
	fs.StringVar(&s.url, "server", "", "work on the license server at `URL`, not on the local store (else LCP_SERVER)")
	fs.StringVar(&s.credentialsFile, "credentials-file", "", "read user:password, or a key, from `FILE` (else LCP_SERVER_USER and LCP_SERVER_PASSWORD, LCP_SERVER_KEY, or netrc)")
	fs.BoolVar(&s.insecureHTTP, "insecure-http", false, "send credentials over plain http to another machine, too")
}

// addIssueFlags adds what matters to those who issue licenses.
func (s *serverFlags) addIssueFlags(fs *pflag.FlagSet) {
	s.addFlags(fs)
	fs.BoolVar(&s.postOnce, "post-once", false, "ask for a license once only, even if no answer came: for servers that take no notice of Idempotency-Key, such as LCP Server v2")
}

// address is the license server to work on, or "" for the local store, which an
// empty --server is, too.
func (s *serverFlags) address() string {
	if s.flags.Changed("server") {
		return s.url
	}
	return os.Getenv("LCP_SERVER")
}

// check refuses flags that are for a license server where none is named: what was
// meant for one would go into the local store.
func (s *serverFlags) check() error {
	if s.address() != "" {
		return nil
	}
	for _, name := range []string{"credentials-file", "insecure-http", "server-version"} {
		if s.flags.Changed(name) {
			return usagef("--%s is for a license server: name it with --server, or in LCP_SERVER", name)
		}
	}
	return nil
}

// client calls the license server.
func (s *serverFlags) client() (*client.Client, error) {
	credentials, err := s.credentials()
	if err != nil {
		return nil, err
	}
	c, err := client.New(client.Options{
		BaseURL: s.address(), Credentials: credentials, AllowPlainHTTP: s.insecureHTTP, PostOnce: s.postOnce,
		UserAgent: "lcp/" + buildVersion(),
	})
	if err != nil {
		return nil, &usageError{err}
	}
	return c, nil
}

// credentials come from a file, the environment or netrc: never from a flag's
// value, which every process on the machine could read.
func (s *serverFlags) credentials() (client.Credentials, error) {
	if s.credentialsFile != "" {
		text, err := readSecretFile(s.credentialsFile)
		if err != nil {
			return client.Credentials{}, fmt.Errorf("read the credentials: %w", err)
		}
		c, err := client.ParseCredentials(text)
		if err != nil {
			return c, fmt.Errorf("%s: %w", s.credentialsFile, err)
		}
		return c, nil
	}
	key, user := os.Getenv("LCP_SERVER_KEY"), os.Getenv("LCP_SERVER_USER")
	password := os.Getenv("LCP_SERVER_PASSWORD")
	switch {
	case key != "" && user != "":
		return client.Credentials{}, usagef("LCP_SERVER_KEY and LCP_SERVER_USER exclude one another")
	case key != "":
		return client.Key(key), nil
	case user != "" && password != "":
		return client.Password(user, password), nil
	case user != "" || password != "":
		return client.Credentials{}, usagef("LCP_SERVER_USER and LCP_SERVER_PASSWORD go together")
	default:
		return s.netrc()
	}
}

// netrc looks for the server in the user's netrc. Where there is none, or nothing
// in it, there are no credentials.
func (s *serverFlags) netrc() (client.Credentials, error) {
	var none client.Credentials
	name := os.Getenv("NETRC")
	wanted := name != ""
	if !wanted {
		home, err := os.UserHomeDir()
		if err != nil {
			return none, nil //nolint:nilerr // who has no home has no netrc
		}
		name = filepath.Join(home, ".netrc")
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) && !wanted {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	defer f.Close()
	machines, err := netrc.Parse(f)
	if err != nil {
		return none, fmt.Errorf("%s: %w", name, err)
	}
	u, err := url.Parse(s.address())
	if err != nil {
		return none, nil //nolint:nilerr // the client says what is wrong with it
	}
	m, ok := netrc.Find(machines, u.Hostname())
	if !ok || m.Login == "" && m.Password == "" {
		return none, nil
	}
	return client.Password(m.Login, m.Password), nil
}

// withServerHint says what to do about a license server, or the local store, that
// does not do what it was asked to.
func withServerHint(err error) error {
	var refused *client.Error
	if errors.As(err, new(*hinted)) {
		return err
	}
	switch {
	case errors.As(err, &refused) && refused.Status == 401:
		return &hinted{err, "credentials come from --credentials-file, from LCP_SERVER_USER and LCP_SERVER_PASSWORD, from LCP_SERVER_KEY, or from netrc"}
	case errors.Is(err, client.ErrPlainHTTP):
		return &hinted{err, "within a network that is trusted, --insecure-http allows it"}
	case errors.Is(err, client.ErrUnreachable):
		return &hinted{err, "is the address right, and does the server run? An empty --server means the local store"}
	case errors.Is(err, store.ErrNoLicenseKey), refused != nil && strings.HasSuffix(refused.Detail, store.ErrNoLicenseKey.Error()):
		return &hinted{err, "lcp license-keys list shows those that there are"}
	case errors.Is(err, registration.ErrAltID):
		return &hinted{err, "leave --altid out, or give --uuid"}
	default:
		return err
	}
}

// A remoteRegistry is a license server to register publications with.
type remoteRegistry interface {
	catalogue.Registry
	// Check fails where registering would, and writes nothing.
	Check(ctx context.Context) error
}

// registry registers publications with the license server, which has the API of
// version 1 or 2.
func (s *serverFlags) registry(version int) (remoteRegistry, error) {
	c, err := s.client()
	if err != nil {
		return nil, err
	}
	if version == 1 {
		return &registration.ServerV1{Client: c}, nil
	}
	return &registration.Server{Client: c}, nil
}
