// Package netrc reads the file in which a user keeps logins for other machines,
// .netrc, in the form that ftp, curl and git know. It does not know where the
// file lies.
package netrc

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// maxSize bounds a file in bytes.
const maxSize = 1 << 20

// A Machine is one entry. It does not print: it holds a password.
type Machine struct {
	Name     string // host name; "" for the default entry
	Login    string
	Password string
}

// String keeps the password out of logs and error messages.
func (m Machine) String() string { return "Machine(" + m.Name + ")" }

// GoString keeps it out of %#v.
func (m Machine) GoString() string { return m.String() }

// Format keeps it out of every formatting verb.
func (m Machine) Format(f fmt.State, _ rune) { fmt.Fprint(f, m.String()) }

// Find returns the first entry for a host, or the default entry. Names of hosts
// have no case.
func Find(machines []Machine, host string) (Machine, bool) {
	for _, m := range machines {
		if m.Name == "" || strings.EqualFold(m.Name, host) {
			return m, true
		}
	}
	return Machine{}, false
}

// Parse reads all entries. Words may stand in double quotes, with a backslash
// before what is to be taken as it is; # begins a comment where a keyword is
// expected; macros are passed over. Errors name the line and never repeat a word
// of the file but a keyword.
func Parse(r io.Reader) ([]Machine, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxSize {
		return nil, fmt.Errorf("more than %d bytes", maxSize)
	}
	p := &parser{text: string(data), line: 1}
	var machines []Machine
	for {
		keyword, err := p.keyword()
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", p.line, err)
		}
		if keyword == "" {
			return machines, nil
		}
		if machines, err = p.entry(machines, keyword); err != nil {
			return nil, fmt.Errorf("line %d: %w", p.line, err)
		}
	}
}

// parser goes through the text word by word.
type parser struct {
	text string // what is left
	line int
}

// entry reads what follows a keyword into the machines there are.
func (p *parser) entry(machines []Machine, keyword string) ([]Machine, error) {
	switch keyword {
	case "default":
		return append(machines, Machine{}), nil
	case "macdef":
		p.skipMacro()
		return machines, nil
	case "machine", "login", "password", "account":
	default:
		return nil, errors.New("expected machine, default, login, password, account or macdef")
	}
	value, ok, err := p.word()
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, fmt.Errorf("%s says nothing", keyword)
	case keyword == "machine" && value == "":
		return nil, errors.New("machine has no name")
	case keyword == "machine":
		return append(machines, Machine{Name: value}), nil
	case len(machines) == 0:
		return nil, fmt.Errorf("%s comes before any machine", keyword)
	}
	last := &machines[len(machines)-1]
	switch keyword {
	case "login":
		last.Login = value
	case "password":
		last.Password = value
	}
	return machines, nil
}

// keyword returns the next word that is no comment, or "" at the end.
func (p *parser) keyword() (string, error) {
	for {
		p.space()
		if !strings.HasPrefix(p.text, "#") {
			word, _, err := p.word()
			return word, err
		}
		end := strings.IndexByte(p.text, '\n')
		if end < 0 {
			end = len(p.text)
		}
		p.text = p.text[end:]
	}
}

// space passes over white space.
func (p *parser) space() {
	rest := strings.TrimLeftFunc(p.text, unicode.IsSpace)
	p.line += strings.Count(p.text[:len(p.text)-len(rest)], "\n")
	p.text = rest
}

// word returns the next word; ok is false at the end.
func (p *parser) word() (word string, ok bool, err error) {
	p.space()
	if p.text == "" {
		return "", false, nil
	}
	if p.text[0] == '"' {
		word, err = p.quoted()
		return word, true, err
	}
	end := strings.IndexFunc(p.text, unicode.IsSpace)
	if end < 0 {
		end = len(p.text)
	}
	word, p.text = p.text[:end], p.text[end:]
	return word, true, nil
}

// quoted returns the word in quotes that comes next.
func (p *parser) quoted() (string, error) {
	var b strings.Builder
	escaped := false
	for i := 1; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == '\n':
			return "", errors.New("quotes are not closed")
		case escaped:
			b.WriteByte(unescaped(c))
			escaped = false
		case c == '\\':
			escaped = true
		case c == '"':
			p.text = p.text[i+1:]
			return b.String(), nil
		default:
			b.WriteByte(c)
		}
	}
	return "", errors.New("quotes are not closed")
}

func unescaped(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default:
		return c
	}
}

// skipMacro passes over a macro, which ends with an empty line.
func (p *parser) skipMacro() {
	for p.text != "" {
		line, rest, _ := strings.Cut(p.text, "\n")
		if strings.TrimSpace(line) == "" {
			return
		}
		p.text = rest
		p.line++
	}
}
