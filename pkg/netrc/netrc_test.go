package netrc_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lcp-tools/lcp/pkg/netrc"
)

func TestParse(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		host string
		want string // login:password; "" for none
	}{
		"one line":              {"machine lcp.example.com login ann password sesame", "lcp.example.com", "ann:sesame"},
		"many lines":            {"machine lcp.example.com\n\tlogin ann\n\tpassword sesame\n", "lcp.example.com", "ann:sesame"},
		"line ends of Windows":  {"machine lcp.example.com\r\nlogin ann\r\npassword sesame\r\n", "lcp.example.com", "ann:sesame"},
		"names have no case":    {"machine LCP.example.com login ann password sesame", "lcp.EXAMPLE.com", "ann:sesame"},
		"not another machine":   {"machine lcp.example.com login ann password sesame", "example.com", ""},
		"first of two":          {"machine a login ann password 1 machine a login bob password 2", "a", "ann:1"},
		"default":               {"machine a login ann password 1\ndefault login any password 0", "b", "any:0"},
		"default is the last":   {"default login any password 0 machine a login ann password 1", "a", "any:0"},
		"account":               {"machine a login ann account x password 1", "a", "ann:1"},
		"password first":        {"machine a password 1 login ann", "a", "ann:1"},
		"quotes":                {`machine a login "ann b" password "ses\"a\\me\t"`, "a", "ann b:ses\"a\\me\t"},
		"hash in a password":    {"machine a login ann password #1#", "a", "ann:#1#"},
		"comment":               {"# machine a login x password y\nmachine a login ann password 1 # mine\n", "a", "ann:1"},
		"macro":                 {"macdef init\nmachine a login x password y\n\nmachine a login ann password 1", "a", "ann:1"},
		"macro to the end":      {"machine a login ann password 1\nmacdef init\ncd /x\n", "a", "ann:1"},
		"empty":                 {"", "a", ""},
		"a machine named login": {"machine login login ann password password", "login", "ann:password"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			machines, err := netrc.Parse(strings.NewReader(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if m, ok := netrc.Find(machines, tt.host); ok {
				got = m.Login + ":" + m.Password
			}
			if got != tt.want {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"unknown keyword":    {"machine a\nsesame x", "line 2: expected machine,"},
		"nothing to say":     {"machine a login", "line 1: login says nothing"},
		"login of nobody":    {"\n\nlogin ann", "line 3: login comes before any machine"},
		"open quotes":        {`machine a password "sesame`, "line 1: quotes are not closed"},
		"quotes over lines":  {"machine a password \"sesame\n\"", "line 1: quotes are not closed"},
		"no name":            {`machine "" login x`, "line 1: machine has no name"},
		"more than a secret": {strings.Repeat("machine a login b\n", 1<<16), "more than 1048576 bytes"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := netrc.Parse(strings.NewReader(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error is %v, want %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "sesame") {
				t.Errorf("error repeats the file: %v", err)
			}
		})
	}
}

func TestMachineDoesNotPrint(t *testing.T) {
	t.Parallel()
	m := netrc.Machine{Name: "a", Login: "ann", Password: "sesame"}
	if text := fmt.Sprintf("%v %+v %#v %s %q %x", m, m, m, m, m, []netrc.Machine{m}); strings.Contains(text, "sesame") {
		t.Errorf("prints as %s", text)
	}
}

// What Parse accepts, it finds again when it is written the plain way.
func FuzzParse(f *testing.F) {
	f.Add("machine a login b password c")
	f.Add("macdef x\n\ndefault login \"b\\n\" # c")
	f.Fuzz(func(t *testing.T, text string) {
		machines, err := netrc.Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		var b strings.Builder
		quote := func(s string) string {
			return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s) + `"`
		}
		for _, m := range machines {
			if m.Name == "" {
				b.WriteString("default\n")
			} else {
				b.WriteString("machine " + quote(m.Name) + "\n")
			}
			b.WriteString("login " + quote(m.Login) + " password " + quote(m.Password) + "\n")
		}
		again, err := netrc.Parse(strings.NewReader(b.String()))
		if err != nil || len(again) != len(machines) {
			if len(b.String()) > 1<<20 {
				return
			}
			t.Fatalf("%q is read as %d machines: %v", b.String(), len(again), err)
		}
		for i := range machines {
			if machines[i] != again[i] {
				t.Errorf("machine %d is another one in %q", i, b.String())
			}
		}
	})
}
