package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/lcp-tools/lcp/pkg/access"
	"github.com/lcp-tools/lcp/pkg/provider"
	"github.com/lcp-tools/lcp/pkg/store"
)

// configured is a directory of the users in the configuration, over another one.
type configured struct {
	access.Directory // nil for none
	users            map[string]func() access.User
}

// hashedLater returns u with the hash of its password, made when it is first
// asked for: it would be half of the time in which a server starts.
func hashedLater(u access.User, password string) func() access.User {
	return sync.OnceValue(func() access.User {
		u.Hash = access.HashPassword(password)
		return u
	})
}

// User implements access.Directory.
func (d *configured) User(ctx context.Context, name string) (access.User, bool, error) {
	if user, ok := d.users[name]; ok {
		return user(), true, nil
	}
	if d.Directory == nil {
		return access.User{}, false, nil
	}
	return d.Directory.User(ctx, name)
}

// directories knows who may call the API, and who may log in to the dashboard:
// the users of the store, those of the configuration, and where there is nobody
// yet, one that is made up.
func (a *app) directories(ctx context.Context, c Config, records *store.Store) (api, dashboard *access.Authenticator, err error) {
	apiUsers := map[string]func() access.User{}
	if c.Access.Username != "" && c.Access.Password != "" {
		apiUsers[c.Access.Username] = hashedLater(access.User{
			Name: c.Access.Username, Role: access.Admin, Provider: c.Access.Provider,
		}, c.Access.Password)
	} else if err := a.firstUser(ctx, records); err != nil {
		return nil, nil, err
	}
	dashboardUsers := map[string]func() access.User{}
	for name, password := range c.JWT.Admin {
		dashboardUsers[name] = hashedLater(access.User{Name: name, Role: access.Admin}, password)
	}
	guesses := access.NewLimiter(c.Limits.LoginsPerMinute/60, int(c.Limits.LoginsPerMinute)+1, time.Now)
	api = access.NewAuthenticator(&configured{records, apiUsers}, guesses)
	dashboard = access.NewAuthenticator(&configured{&configured{records, apiUsers}, dashboardUsers}, guesses)
	return api, dashboard, nil
}

// firstUser makes an administrator with a random password where there are no
// users, and prints the password: the only time that it is seen.
func (a *app) firstUser(ctx context.Context, records *store.Store) error {
	if known, err := records.Accounts(ctx); err != nil || len(known) > 0 {
		return err // hashing a password for nothing would take longer than all the rest of starting
	}
	password := access.NewPassword()
	made, err := records.FirstUser(ctx, access.User{Name: "admin", Role: access.Admin, Hash: access.HashPassword(password)})
	if err != nil || !made {
		return err
	}
	fmt.Fprintf(a.err, "lcp: made the user \"admin\" with the password %s: it is not shown again\n", password)
	return nil
}

func newUsersCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "users",
		Short: "Say who may call the license server",
		Long: `Say who may call the license server: people and programs with a password (HTTP
Basic), and programs with a key (Bearer). Roles are admin, publisher (registers
publications), issuer (issues and revokes licenses) and viewer (reads).`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(
		newUsersListCommand(a), newUsersAddCommand(a), newUsersRemoveCommand(a),
		newUsersAddKeyCommand(a), newUsersRemoveKeyCommand(a),
	)
	return cmd
}

// withStore runs a command on the records of the configured database.
func (a *app) withStore(ctx context.Context, work func(*store.Store) error) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	records, err := a.openStore(ctx, c)
	if err != nil {
		return err
	}
	defer records.Close()
	return work(records)
}

// listedUser is a user or a key as users list shows it.
type listedUser struct {
	Name     string    `json:"name"`
	Kind     string    `json:"kind"` // user or key
	Role     string    `json:"role"`
	Provider string    `json:"provider,omitempty"`
	Created  time.Time `json:"created"`
}

func newUsersListCommand(a *app) *cobra.Command {
	format := formatFlag{value: formatTable, allowed: []string{formatTable, formatJSON, formatNDJSON}}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List users and keys",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd.Context(), func(s *store.Store) error { return a.listUsers(cmd.Context(), s, format.value) })
		},
	}
	cmd.Flags().Var(&format, "format", "print a table, json or ndjson")
	return cmd
}

func (a *app) listUsers(ctx context.Context, s *store.Store, format string) error {
	accounts, err := s.Accounts(ctx)
	if err != nil {
		return err
	}
	out := &recordWriter{
		out: a.out, format: format, header: []string{"NAME", "KIND", "ROLE", "PROVIDER", "CREATED"},
		row: func(r any) []string {
			u := r.(listedUser)
			return []string{u.Name, u.Kind, u.Role, cmp.Or(u.Provider, "-"), u.Created.Format(time.RFC3339)}
		},
	}
	for _, account := range accounts {
		if err := out.write(listedUser{account.Name, account.Kind, string(account.Role), account.Provider, account.CreatedAt}); err != nil {
			return err
		}
	}
	return out.close()
}

func newUsersAddCommand(a *app) *cobra.Command {
	var roleName, passwordFile, provider string
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a user, or give one a new password or role",
		Long: `Add a user, or give one a new password or role. Without --password-file a random
password is made and printed once.`,
		Example: `  lcp users add shop --role issuer`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			role, err := access.ParseRole(roleName)
			if err != nil {
				return usagef("--role: %w", err)
			}
			return a.addUser(cmd.Context(), access.User{Name: args[0], Role: role, Provider: provider}, passwordFile)
		},
	}
	cmd.Flags().StringVar(&roleName, "role", "", "what the user may do: admin, publisher, issuer or viewer")
	addProviderFlag(cmd, &provider)
	cmd.Flags().StringVar(&passwordFile, "password-file", "", "read the password from `FILE`")
	return cmd
}

func (a *app) addUser(ctx context.Context, u access.User, passwordFile string) error {
	password := access.NewPassword()
	if passwordFile != "" {
		var err error
		if password, err = readSecretFile(passwordFile); err != nil {
			return fmt.Errorf("read the password: %w", err)
		}
		if len(password) < access.MinPassword {
			return fmt.Errorf("the password is shorter than %d characters", access.MinPassword)
		}
	}
	u.Hash = access.HashPassword(password)
	err := a.withProvider(ctx, u.Provider, func(s *store.Store) error {
		return errors.Join(
			s.SaveUser(ctx, u),
			s.Audit(ctx, store.AuditEntry{Actor: localActor, Action: "user saved", Target: u.Name}))
	})
	if err == nil && passwordFile == "" {
		fmt.Fprintln(a.out, password)
	}
	return err
}

func addProviderFlag(cmd *cobra.Command, id *string) {
	cmd.Flags().StringVar(id, "provider", "", "let see and do what is the provider `ID`'s, and nothing else (default: all)")
}

// withProvider is withStore for what belongs to a provider, if the identifier is
// not empty: there has to be one.
func (a *app) withProvider(ctx context.Context, id string, work func(*store.Store) error) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	return a.withStore(ctx, func(s *store.Store) error {
		if id != "" {
			providers, err := c.providers(s, nil)
			if err == nil {
				_, err = providers.ByID(ctx, id)
			}
			if errors.Is(err, provider.ErrUnknown) {
				err = &hinted{err, "lcp providers list shows those that there are"}
			}
			if err != nil {
				return err
			}
		}
		return work(s)
	})
}

// localActor is who acts at the command line, in the audit log.
const localActor = "command line"

func newUsersRemoveCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a user",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.withStore(ctx, func(s *store.Store) error {
				if err := s.DeleteUser(ctx, args[0]); err != nil {
					return err
				}
				return s.Audit(ctx, store.AuditEntry{Actor: localActor, Action: "user removed", Target: args[0]})
			})
		},
	}
}

func newUsersAddKeyCommand(a *app) *cobra.Command {
	var roleName, provider string
	cmd := &cobra.Command{
		Use:     "add-key NAME",
		Short:   "Make a key for a program and print it once",
		Example: `  lcp users add-key nightly-encrypt --role publisher > key`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			role, err := access.ParseRole(roleName)
			if err != nil {
				return usagef("--role: %w", err)
			}
			ctx, key := cmd.Context(), access.NewKey()
			err = a.withProvider(ctx, provider, func(s *store.Store) error {
				p := access.Principal{Name: args[0], Role: role, Provider: provider}
				if err := s.AddKey(ctx, p, access.HashKey(key)); err != nil {
					return err
				}
				return s.Audit(ctx, store.AuditEntry{Actor: localActor, Action: "key added", Target: args[0]})
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, key)
			return err
		},
	}
	addProviderFlag(cmd, &provider)
	cmd.Flags().StringVar(&roleName, "role", "", "what the key is for: admin, publisher, issuer or viewer")
	return cmd
}

func newUsersRemoveKeyCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "remove-key NAME",
		Short: "Remove a key",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.withStore(ctx, func(s *store.Store) error {
				if err := s.DeleteKey(ctx, args[0]); err != nil {
					return err
				}
				return s.Audit(ctx, store.AuditEntry{Actor: localActor, Action: "key removed", Target: args[0]})
			})
		},
	}
}
