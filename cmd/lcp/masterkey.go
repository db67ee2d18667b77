package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/keyring"
	"github.com/lcp-tools/lcp/pkg/store"
)

func newMasterKeyCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "master-key",
		Short: "Replace the key that content keys are sealed with",
		Long: `Replace the master key, with which content keys and shared secrets are sealed in the
database, step by step:

  lcp master-key rotate   puts a new key first in the key file; the old ones still open
                          Now restart lcp serve wherever it runs, with the new key file.
  lcp master-key reseal   seals everything again under the new key, beside all other work
  lcp master-key prune    removes the old keys, once nothing needs them

Where LCP_MASTER_KEY or the program of master_key.command takes the place of the key
file, put a new key before the old one there, with a comma, restart, run lcp master-key
reseal, and take the old one out. Keep a copy of every key for as long as backups that
were made under it.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(newMasterKeyShowCommand(a), newMasterKeyRotateCommand(a), newMasterKeyResealCommand(a), newMasterKeyPruneCommand(a))
	return cmd
}

// masterKeyVariable holds the master keys where a key file is not wanted.
const masterKeyVariable = "LCP_MASTER_KEY"

// keyring takes the master keys from the environment, from the configured
// program, or from the file that is made on first use.
func (a *app) keyring(ctx context.Context, c Config) (*keyring.Keyring, error) {
	if text := os.Getenv(masterKeyVariable); text != "" {
		keys, err := keyring.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", masterKeyVariable, err)
		}
		return keys, nil
	}
	if len(c.MasterKey.Command) > 0 {
		keys, err := a.commandKeys(ctx, c.MasterKey.Command)
		if err != nil {
			return nil, fmt.Errorf("master_key.command: %w", err)
		}
		return keys, nil
	}
	file := filepath.Join(c.DataDir, keyringFile)
	keys, created, err := keyring.LoadOrCreate(file)
	if err != nil {
		return nil, err
	}
	if created {
		a.notef("made a master key in %s: keep a copy of it, content keys cannot be read without", file)
	}
	return keys, nil
}

// keyCommandTimeout is how long a key management service may take.
const keyCommandTimeout = 30 * time.Second

// commandKeys reads the master keys that a program prints. The program has our
// environment, where its credentials for a key management service may be.
func (a *app) commandKeys(ctx context.Context, argv []string) (*keyring.Keyring, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, keyCommandTimeout,
		fmt.Errorf("%s did not end within %s", argv[0], keyCommandTimeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // the operator says what to run
	cmd.Stderr, cmd.WaitDelay = a.err, time.Second
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", argv[0], err)
	}
	return keyring.Parse(string(out))
}

// keyFile returns the path of the key file. It fails where keys come from
// elsewhere, which no command can change.
func (a *app) keyFile() (string, error) {
	c, err := a.config()
	if err != nil {
		return "", err
	}
	source := ""
	switch {
	case os.Getenv(masterKeyVariable) != "":
		source = masterKeyVariable
	case len(c.MasterKey.Command) > 0:
		source = "the program of master_key.command"
	}
	if source != "" {
		return "", &hinted{
			fmt.Errorf("the master keys come from %s, not from a file", source),
			"change them there, as lcp master-key --help tells",
		}
	}
	return filepath.Join(c.DataDir, keyringFile), nil
}

// printKeys prints the identifiers of keys, which tell nothing of the keys.
func (a *app) printKeys(keys *keyring.Keyring) error {
	for i, id := range keys.Keys() {
		use := "opens"
		if i == 0 {
			use = "seals and opens"
		}
		if _, err := fmt.Fprintf(a.out, "%s  %s\n", id, use); err != nil {
			return err
		}
	}
	return nil
}

// changeKeyFile has the key file changed, notes what was done in the audit log and
// prints the keys that there are then. The store is opened first: where the keys do
// not belong to it, nothing is changed.
func (a *app) changeKeyFile(ctx context.Context, action string, change func(s *store.Store, file string) (*keyring.Keyring, error)) error {
	file, err := a.keyFile()
	if err != nil {
		return err
	}
	return a.withStore(ctx, func(s *store.Store) error {
		keys, err := change(s, file)
		if err != nil {
			return err
		}
		if err := s.Audit(ctx, store.AuditEntry{Actor: localActor, Action: action, Target: keys.Keys()[0].String()}); err != nil {
			return err
		}
		return a.printKeys(keys)
	})
}

func newMasterKeyShowCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Print the identifiers of the master keys",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.config()
			if err != nil {
				return err
			}
			if err := makeDataDir(c.DataDir); err != nil {
				return err
			}
			keys, err := a.keyring(cmd.Context(), c)
			if err != nil {
				return err
			}
			return a.printKeys(keys)
		},
	}
}

func newMasterKeyRotateCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "rotate",
		Short: "Put a new master key before those in the key file",
		Long: `Put a new master key before those in the key file. Programs that run go on with the
keys that they have read, and cannot open what is sealed from now on: restart
lcp serve, and run lcp master-key reseal after that.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.changeKeyFile(cmd.Context(), "master key rotated", func(_ *store.Store, file string) (*keyring.Keyring, error) {
				keys, err := keyring.Rotate(file)
				if err == nil {
					a.notef("%s begins with a new key: copy it to the other servers, restart lcp serve, then run lcp master-key reseal", file)
				}
				return keys, err
			})
		},
	}
}

func newMasterKeyResealCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "reseal",
		Short: "Seal everything again that is under an older master key",
		Long: `Seal everything again that is under an older master key than the first one, in small
steps beside all other work, and print how much that was. A run that was stopped is
taken up by the next.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			return a.withStore(ctx, func(s *store.Store) error {
				n, err := s.Reseal(ctx)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(a.out, n)
				return err
			})
		},
	}
}

func newMasterKeyPruneCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "prune",
		Short: "Remove all master keys but the first from the key file",
		Long: `Seal again what is still under an older master key, then remove all keys but the first
from the key file. Do so when every lcp serve runs with the new key. Where use is
billed, do so when the months before the rotation are closed: readers who were last
seen under a removed key are counted as new ones.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			return a.changeKeyFile(ctx, "master keys pruned", func(s *store.Store, file string) (*keyring.Keyring, error) {
				if _, err := s.Reseal(ctx); err != nil {
					return nil, err
				}
				return keyring.Prune(file)
			})
		},
	}
}
