package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// On a terminal there is a bar for every job and one for all; what is done goes
// above them and stays.
func TestProgressBars(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := newProgress(&out, true, 2, 300, 2)
	first := p.start(0, "first.epub", 100)
	second := p.start(1, "a name that is much too long for a bar on a terminal.epub", 200)
	first(50)
	second(500) // more than was thought
	p.paint(true)
	text := out.String()
	for _, want := range []string{"first.epub", "a name that is … terminal.epub", "total", "[0/2]", "50%", "100%"} {
		if !strings.Contains(text, want) {
			t.Errorf("the screen is %q, want %q on it", text, want)
		}
	}
	out.Reset()
	p.done(0, "lcp: first.epub -> shelf/1.epub")
	p.done(1, "")
	p.close()
	last := out.String()
	if i := strings.LastIndex(last, "\x1b[J"); i < 0 || strings.Contains(last[i:], "%") {
		t.Errorf("bars are left on the screen: %q", last)
	}
	if !strings.Contains(last, "lcp: first.epub -> shelf/1.epub\n") {
		t.Errorf("the screen is %q", last)
	}
}

// Elsewhere there is one plain line for each file, and none where there is
// nothing to say.
func TestProgressLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := newProgress(&out, false, 2, 300, 1)
	if add := p.start(0, "first.epub", 100); add != nil {
		t.Error("progress is asked for where none is shown")
	}
	p.done(0, "one")
	p.done(0, "")
	p.close()
	if got := out.String(); got != "one\n" {
		t.Errorf("output is %q", got)
	}
}

// commands lists all commands.
func commands(cmd *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		list = append(list, commands(sub)...)
	}
	return list
}

// A secret in a flag's value would be in the list of processes and in the
// history of a shell: flags name files.
func TestNoFlagTakesASecret(t *testing.T) {
	t.Parallel()
	harmless := map[string]bool{"key-type": true, "idempotency-key": true, "s3-kms-key": true, "license-key": true}
	for _, cmd := range commands(newRootCommand(streams{})) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			for _, secret := range []string{"pass", "key", "secret", "token", "credential", "hash"} {
				if strings.Contains(f.Name, secret) && !strings.HasSuffix(f.Name, "-file") && f.Value.Type() != "bool" && !harmless[f.Name] {
					t.Errorf("%s --%s takes a value", cmd.CommandPath(), f.Name)
				}
			}
		})
	}
}

// Help is written in one way: what a command does is a verb without a full stop,
// and examples run it.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, cmd := range commands(newRootCommand(streams{})) {
		path := cmd.CommandPath()
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") || cmd.Short[:1] != strings.ToUpper(cmd.Short[:1]) {
			t.Errorf("%s is described as %q", path, cmd.Short)
		}
		for line := range strings.Lines(cmd.Example) {
			if text := strings.TrimSpace(line); text != "" && !strings.HasPrefix(text, "lcp ") && !strings.HasPrefix(line, "    ") && !strings.HasPrefix(text, "#") {
				t.Errorf("%s has the example %q", path, line)
			}
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" || strings.HasSuffix(f.Usage, ".") {
				t.Errorf("%s --%s is described as %q", path, f.Name, f.Usage)
			}
		})
	}
}
