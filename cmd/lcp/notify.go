package main

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/lcp-tools/lcp/pkg/catalogue"
)

// notifyFlags say which content management system (CMS) is told of publications.
type notifyFlags struct {
	url             string
	credentialsFile string
}

func (n *notifyFlags) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&n.url, "notify", "", "tell the CMS at `URL` of each publication, once it is registered")
	fs.StringVar(&n.credentialsFile, "notify-credentials-file", "", "with user:password in `FILE`")
}

// check refuses addresses that are none, and credentials where everyone could
// read them.
func (n *notifyFlags) check() error {
	if n.url == "" {
		if n.credentialsFile != "" {
			return usagef("--notify-credentials-file is for --notify")
		}
		return nil
	}
	u, err := url.Parse(n.url)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return usagef("--notify: give an address such as https://cms.example.org/publications")
	case u.User != nil:
		return usagef("--notify must not hold a user or password: put them into a file, for --notify-credentials-file")
	case u.Scheme == "http" && n.credentialsFile != "" && !isThisMachine(u.Hostname()):
		return usagef("--notify-credentials-file: credentials are not sent over plain http to another machine: use https")
	}
	return nil
}

func isThisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// notifier is who is told, or nil.
func (n *notifyFlags) notifier() (catalogue.Notifier, error) {
	if n.url == "" {
		return nil, nil
	}
	cms := &catalogue.CMS{URL: n.url, HTTP: &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if n.credentialsFile == "" {
		return cms, nil
	}
	text, err := readSecretFile(n.credentialsFile)
	if err != nil {
		return nil, fmt.Errorf("read the credentials of the CMS: %w", err)
	}
	user, password, ok := strings.Cut(text, ":")
	if !ok {
		return nil, fmt.Errorf("%s: give user:password", n.credentialsFile)
	}
	cms.Sign = func(r *http.Request) { r.SetBasicAuth(user, password) }
	return cms, nil
}
