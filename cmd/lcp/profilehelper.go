package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/lcp-tools/lcp/pkg/profile"
)

// startHelper registers the configured helper program for its profiles. The
// program is started when it is first asked. It gets no secrets of ours by way of
// the environment.
func startHelper(registry *profile.Registry, c ProfileHelper, uris []string, stderr io.Writer) (*profile.Registry, func(), error) {
	env := slices.DeleteFunc(os.Environ(), func(pair string) bool {
		return strings.HasPrefix(pair, "LCP_") || strings.HasPrefix(pair, "LCPSERVER_")
	})
	helper, err := profile.NewHelper(profile.HelperOptions{Argv: c.Command, Env: env, Timeout: c.Timeout, Stderr: stderr})
	if err != nil {
		return nil, nil, fmt.Errorf("configuration: profile_helper.command: %w", err)
	}
	for _, uri := range uris {
		if err := registry.Register(uri, helper); err != nil {
			helper.Close()
			return nil, nil, fmt.Errorf("configuration: profile_helper.profiles: %w", err)
		}
	}
	return registry, func() { helper.Close() }, nil
}
