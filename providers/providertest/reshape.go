package providertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"strings"
)

// Card is a card number (a well-known test one) that a careless provider might
// repeat. Reshape plants it.
const Card = "4111111111111111"

// Reshape changes a JSON text as a script says, so that a fuzzer that knows
// nothing of JSON meets answers that are nearly right: members left out, named
// twice, renamed, moved a level up or down, values swapped for one of words
// (each a JSON text) or for another value of the same answer, the text cut.
// Three bytes of the script are one change. A text that is no JSON is returned
// as it is, and so is any text under an empty script.
func Reshape(text, script []byte, words ...string) []byte {
	root, err := parse(json.NewDecoder(bytes.NewReader(text)))
	if err != nil || len(script) < 3 {
		return text
	}
	words = append(words, "null", "true", "0", "-1", `""`, "{}", "[]", "1e2", "9007199254740993", `"`+Card+`"`, Card)
	s := shaper{root: root, words: words}
	var cut, more bool
	for ; len(script) >= 3; script = script[3:] {
		switch op := script[0] % 16; op {
		case 14:
			cut = true
		case 15:
			more = true
		default:
			s.change(op, int(script[1]), int(script[2]))
		}
	}
	out := s.root.append(nil)
	if more {
		out = append(out, out...)
	}
	if cut && len(out) > 0 {
		out = out[:len(out)-1]
	}
	return out
}

// shape is a JSON value that may become one no reader should take.
type shape struct {
	scalar  string // "": an object or an array
	object  bool
	names   []string // as written, quotes included
	values  []*shape
	escaped bool // write the scalar string with escapes
}

var errShape = errors.New("no JSON value")

func parse(dec *json.Decoder) (*shape, error) {
	dec.UseNumber()
	v, err := parseValue(dec)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errShape
	}
	return v, nil
}

func parseValue(dec *json.Decoder) (*shape, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, errShape
	}
	delim, nested := token.(json.Delim)
	if !nested {
		text, err := json.Marshal(token)
		return &shape{scalar: string(text)}, err
	}
	s := &shape{object: delim == '{'}
	for dec.More() {
		if s.object {
			name, err := dec.Token()
			if err != nil {
				return nil, errShape
			}
			quoted, err := json.Marshal(name)
			if err != nil {
				return nil, errShape
			}
			s.names = append(s.names, string(quoted))
		}
		value, err := parseValue(dec)
		if err != nil {
			return nil, err
		}
		s.values = append(s.values, value)
	}
	if _, err := dec.Token(); err != nil {
		return nil, errShape
	}
	return s, nil
}

// append writes the value, whether or not it is good JSON by now.
func (s *shape) append(b []byte) []byte {
	switch {
	case s.scalar != "" && s.escaped && s.scalar[0] == '"':
		return escape(b, s.scalar)
	case s.scalar != "":
		return append(b, s.scalar...)
	}
	open, end := byte('['), byte(']')
	if s.object {
		open, end = '{', '}'
	}
	b = append(b, open)
	for i, v := range s.values {
		if i > 0 {
			b = append(b, ',')
		}
		if s.object {
			b = append(append(b, s.names[i]...), ':')
		}
		b = v.append(b)
	}
	return append(b, end)
}

// Escaped is a JSON text of the string in which every letter is an escape.
func Escaped(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		return `""`
	}
	return string(escape(nil, string(quoted)))
}

// escape writes a quoted text's letters and slashes as escapes, as some
// encoders do with some of them.
func escape(b []byte, quoted string) []byte {
	var text string
	if json.Unmarshal([]byte(quoted), &text) != nil {
		return append(b, quoted...)
	}
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(text) {
		c := text[i]
		if c == '/' {
			b = append(b, `\/`...)
			continue
		}
		b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
	}
	return append(b, '"')
}

// shaper applies changes to one value.
type shaper struct {
	root  *shape
	words []string
}

// all lists the value and everything in it.
func (s *shape) all(list []*shape) []*shape {
	list = append(list, s)
	for _, v := range s.values {
		list = v.all(list)
	}
	return list
}

// change does one change at the where-th value, with the what-th word.
func (s *shaper) change(op byte, where, what int) {
	list := s.root.all(nil)
	target := list[where%len(list)]
	word := &shape{scalar: s.words[what%len(s.words)]}
	switch op {
	case 0, 1:
		*target = *word
	case 2:
		other := *list[what%len(list)]
		if other.depth() < 8 {
			*target = *other.clone()
		}
	case 3:
		*target = shape{values: []*shape{target.clone()}}
	case 4:
		*target = shape{object: true, names: []string{s.name(what)}, values: []*shape{target.clone()}}
	case 5:
		if len(target.values) > 0 {
			*target = *target.values[what%len(target.values)]
		}
	case 6:
		target.retype()
	case 7:
		target.escaped = true
	default:
		target.member(op, what, word, s.name(what))
	}
}

// member does the changes of an object's or array's members.
func (s *shape) member(op byte, what int, word *shape, name string) {
	if s.scalar != "" || len(s.values) == 0 {
		return
	}
	i := what % len(s.values)
	insert := func(at int, name string, v *shape) {
		if s.object {
			s.names = append(s.names[:at:at], append([]string{name}, s.names[at:]...)...)
		}
		s.values = append(s.values[:at:at], append([]*shape{v}, s.values[at:]...)...)
	}
	own := ""
	if s.object {
		own = s.names[i]
	}
	switch op {
	case 8:
		if s.object {
			s.names = append(s.names[:i:i], s.names[i+1:]...)
		}
		s.values = append(s.values[:i:i], s.values[i+1:]...)
	case 9:
		insert(i, own, word)
	case 10:
		insert(len(s.values), own, word)
	case 11:
		insert(i, own, s.values[i].clone())
	case 12:
		if s.object {
			s.names[i] = strings.ToUpper(own)
		}
	case 13:
		insert(len(s.values), name, word)
	}
}

// name is a name that stands somewhere in the value.
func (s *shaper) name(n int) string {
	var names []string
	for _, v := range s.root.all(nil) {
		names = append(names, v.names...)
	}
	if len(names) == 0 {
		return `"x"`
	}
	return names[n%len(names)]
}

// retype puts a number into quotes, or takes a text out of them.
func (s *shape) retype() {
	if s.scalar == "" {
		return
	}
	if s.scalar[0] == '"' {
		s.scalar = s.scalar[1 : len(s.scalar)-1]
		if s.scalar == "" {
			s.scalar = "0"
		}
		return
	}
	s.scalar = `"` + s.scalar + `"`
}

func (s *shape) clone() *shape {
	c := *s
	c.names = append([]string(nil), s.names...)
	c.values = nil
	for _, v := range s.values {
		c.values = append(c.values, v.clone())
	}
	return &c
}

func (s *shape) depth() int {
	d := 0
	for _, v := range s.values {
		d = max(d, v.depth()+1)
	}
	return d
}

// Scripts returns n scripts of one to three changes each, always the same ones:
// something for a fuzzer to start from.
func Scripts(n int) [][]byte {
	next := uint32(1)
	list := make([][]byte, 0, n)
	for i := range n {
		script := make([]byte, 3*(1+i%3))
		for j := range script {
			next = next*1664525 + 1013904223 // Numerical Recipes' generator
			script[j] = byte(next >> 24)
		}
		list = append(list, script)
	}
	return list
}

// EveryChange yields the script of each single change there is for a JSON text:
// every value swapped for each of so many words and for every other value, and
// everything else Reshape knows.
func EveryChange(text []byte, words int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		root, err := parse(json.NewDecoder(bytes.NewReader(text)))
		if err != nil {
			return
		}
		list := root.all(nil)
		for op := range 16 {
			for where, v := range list {
				whats := 1
				switch op {
				case 0:
					whats = words
				case 2, 4, 13:
					whats = len(list)
				case 5, 8, 9, 10, 11, 12:
					whats = len(v.values)
				}
				for what := range whats {
					if !yield([]byte{byte(op), byte(where), byte(what)}) {
						return
					}
				}
			}
		}
	}
}
