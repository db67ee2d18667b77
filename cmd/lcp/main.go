// Lcp protects publications with Readium LCP and issues licenses for them.
//
// Commands turn flags and configuration into calls of the packages under pkg,
// and results into output and exit codes. What LCP is, they leave to pkg.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit codes, as the documentation promises them to scripts.
const (
	exitDone        = 0
	exitFailed      = 1
	exitMisused     = 2
	exitSomeFailed  = 3 // some items of a batch failed, the others are done
	exitInterrupted = 130
)

func main() {
	// A reader of our output that goes away must not kill us with work in hand:
	// writing fails instead.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// Ctrl-C again goes at once. What was being written has no name yet.
	forget := context.AfterFunc(ctx, func() {
		again := make(chan os.Signal, 1)
		signal.Notify(again, os.Interrupt)
		<-again
		os.Exit(exitInterrupted)
	})
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	forget() // so that stop does not begin it
	stop()
	os.Exit(code)
}

// streams are what a command talks through.
type streams struct {
	in  io.Reader
	out io.Writer // data
	err io.Writer // everything for people
}

// run executes the command line and returns the exit code.
func run(ctx context.Context, args []string, std streams) int {
	root := newRootCommand(std)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && ctx.Err() != nil {
		err = errInterrupted
	}
	if err != nil && !errors.Is(err, errReported) {
		report(std.err, withServerHint(err))
	}
	return exitCode(err)
}

var (
	errInterrupted = errors.New("interrupted")
	// errReported ends a command whose failures were printed as they came.
	errReported   = errors.New("reported")
	errSomeFailed = fmt.Errorf("some failed: %w", errReported)
)

// A usageError is a command line that cannot be carried out.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// A hinted error carries what to do about it.
type hinted struct {
	error
	hint string
}

func (e *hinted) Unwrap() error { return e.error }

// report prints an error, and a hint where there is one, each line marked.
func report(w io.Writer, err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(w, "lcp:", plain(line))
	}
	if h, ok := errors.AsType[*hinted](err); ok {
		fmt.Fprintln(w, "lcp: hint:", h.hint)
	} else if _, misused := errors.AsType[*usageError](err); misused {
		fmt.Fprintln(w, "lcp: hint: the command's --help tells how to use it")
	}
}

func exitCode(err error) int {
	var usage *usageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.As(err, &usage):
		return exitMisused
	case errors.Is(err, errSomeFailed):
		return exitSomeFailed
	default:
		return exitFailed
	}
}

func newRootCommand(std streams) *cobra.Command {
	app := &app{streams: std}
	root := &cobra.Command{
		Use:   "lcp",
		Short: "Protect and license publications with Readium LCP",
		Long: `lcp protects EPUB, PDF, audiobook and comic publications with Readium LCP and
issues the licenses that open them.

Nothing has to be set up: keys and records go to a data directory, which is made
on first use together with a certificate for tests. "lcp demo" shows the whole.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
	}
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{flagError(err)} })
	app.addFlags(root.PersistentFlags())
	root.AddCommand(
		newEncryptCommand(app),
		newUploadCommand(app),
		newWorkerCommand(app),
		newJobsCommand(app),
		newStorageCommand(app),
		newImportCommand(app),
		newLicenseCommand(app),
		newPublicationsCommand(app),
		newSnapshotsCommand(app),
		newProvidersCommand(app),
		newSecretsCommand(app),
		newTemplatesCommand(app),
		newTokenCommand(app),
		newServeCommand(app),
		newUsersCommand(app),
		newAuditCommand(app),
		newMasterKeyCommand(app),
		newLicenseKeysCommand(app),
		newOriginsCommand(app),
		newSessionsCommand(app),
		newDecryptCommand(app),
		newInspectCommand(app),
		newCheckCommand(app),
		newCertCommand(app),
		newConfigCommand(app),
		newDemoCommand(app),
		newManCommand(),
		newVersionCommand(),
	)
	root.InitDefaultCompletionCmd()
	markUsageErrors(root)
	return root
}

// flagError says of a flag's value what is wanted instead; the flags themselves tell
// which function of Go did not take it.
func flagError(err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err
	}
	given := fmt.Sprintf("--%s %q", invalid.GetFlag().Name, invalid.GetValue())
	switch kind := invalid.GetFlag().Value.Type(); {
	case errors.Is(err, strconv.ErrRange):
		return fmt.Errorf("%s is out of range", given)
	case kind == "int" || kind == "int64":
		return fmt.Errorf("%s is not a whole number", given)
	case kind == "duration":
		return fmt.Errorf("%s is not a duration, as in 30s, 5m or 1h30m", given)
	case kind == "bool":
		return fmt.Errorf("%s is neither true nor false", given)
	default:
		return fmt.Errorf("%s: %w", given, invalid.Unwrap())
	}
}

// markUsageErrors makes wrong arguments and unknown commands usage errors.
func markUsageErrors(cmd *cobra.Command) {
	if !cmd.Runnable() {
		// Otherwise cobra takes a word that is no subcommand for a cry for help.
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return &usageError{err}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		markUsageErrors(sub)
	}
}
