package jsontree

import (
	"fmt"
	"strings"
)

// A parser takes apart a text that is known to be valid JSON.
type parser struct {
	text   string
	pos    int
	values int
}

func (p *parser) value(depth int) (*Value, error) {
	if p.values++; p.values > maxValues {
		return nil, fmt.Errorf("%w: more than %d values", ErrTooLarge, maxValues)
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("%w: nested more than %d levels deep", ErrTooLarge, maxDepth)
	}
	switch p.peek() {
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case '"':
		return &Value{kind: String, literal: p.str()}, nil
	default:
		return p.word(), nil
	}
}

// fewMembers is up to how many members of an object are compared one by one, which
// is quicker than a map.
const fewMembers = 16

func (p *parser) object(depth int) (*Value, error) {
	v := &Value{kind: Object}
	var seen map[string]bool // nil while there are few
	for p.pos++; p.peek() != '}'; {
		if p.text[p.pos] == ',' {
			p.pos++
			p.peek()
		}
		m := Member{literal: p.str()}
		if m.Key = unquote(m.literal); seen[m.Key] || seen == nil && v.Get(m.Key) != nil {
			line := 1 + strings.Count(p.text[:p.pos], "\n")
			return nil, fmt.Errorf("%w: line %d: %q", ErrDuplicate, line, m.Key)
		}
		p.peek()
		p.pos++ // the colon
		var err error
		if m.Value, err = p.value(depth + 1); err != nil {
			return nil, err
		}
		v.members = append(v.members, m)
		switch n := len(v.members); {
		case n == fewMembers:
			seen = make(map[string]bool, 2*n)
			for _, known := range v.members {
				seen[known.Key] = true
			}
		case n > fewMembers:
			seen[m.Key] = true
		}
	}
	p.pos++
	return v, nil
}

func (p *parser) array(depth int) (*Value, error) {
	v := &Value{kind: Array}
	for p.pos++; p.peek() != ']'; {
		if p.text[p.pos] == ',' {
			p.pos++
		}
		item, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		v.items = append(v.items, item)
	}
	p.pos++
	return v, nil
}

// peek passes over space and returns the next character.
func (p *parser) peek() byte {
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.pos]) >= 0 {
		p.pos++
	}
	if p.pos == len(p.text) {
		return 0
	}
	return p.text[p.pos]
}

// str returns the literal of the string that begins here.
func (p *parser) str() string {
	start := p.pos
	for p.pos++; p.text[p.pos] != '"'; p.pos++ {
		if p.text[p.pos] == '\\' {
			p.pos++
		}
	}
	p.pos++
	return p.text[start:p.pos]
}

// word returns the number, true, false or null that begins here.
func (p *parser) word() *Value {
	start := p.pos
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n,]}", p.text[p.pos]) < 0 {
		p.pos++
	}
	v := &Value{literal: p.text[start:p.pos]}
	switch v.literal {
	case "null":
		v.kind = Null
	case "true", "false":
		v.kind = Bool
	default:
		v.kind = Number
	}
	return v
}
