// Package strictjson reads a JSON text member by member, strictly: a name that
// is not known or comes twice, another type and text behind the value are
// faults. It does not stop at the first one. As long as the text can be read it
// goes on and reports every fault with its JSON pointer.
//
// It looks at the text only. What the values must be is left to its callers.
package strictjson

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/countermand/countermand/internal/bom"
	"github.com/countermand/countermand/internal/spelling"
)

// Placeholder stands in for a text that was given but is no text: it keeps the
// member from being called missing as well.
const Placeholder = "?"

// Reader reads one text after another. It is not safe for concurrent use.
type Reader struct {
	// Name makes the name of an unknown member fit to be repeated in a pointer.
	Name func(string) string
	// Suggest adds to an unknown name the known one that was probably meant.
	Suggest bool
	// Faults is where the faults of the text go.
	Faults *Faults

	dec    jsontext.Decoder
	source bytes.Buffer
	root   string
	mark   string // the encoding whose byte order mark the text begins with
	broken bool
}

// Begin turns to a text, whose faults as a whole lie at root.
// Duplicate names are found by object, one fault each, and not by the decoder,
// which would stop at the first. The decoder reads a bytes.Buffer in place and
// never writes to it, so the text stays as it came (a test holds it to that).
func (r *Reader) Begin(text []byte, root string, f *Faults) {
	r.source = *bytes.NewBuffer(text)
	r.dec.Reset(&r.source, jsontext.AllowDuplicateNames(true))
	r.Faults, r.root, r.mark, r.broken = f, root, bom.Name(text), false
}

// Forget lets go of the text.
func (r *Reader) Forget() { r.Begin(nil, Root, nil) }

// End refuses whatever follows the value read, and reports whether the text
// ended there.
func (r *Reader) End() bool {
	if r.broken {
		return false
	}
	at := r.dec.InputOffset()
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		r.broken = true
		r.Faults.Add(r.root, RuleJSON, "more text after the value, at byte "+strconv.FormatInt(at, 10))
	}
	return !r.broken
}

// Broken reports whether the text is no JSON from here on, so that nothing more
// can be read.
func (r *Reader) Broken() bool { return r.broken }

// Kind returns the kind of the next value: '{', '[', '"', '0' for any number,
// 't', 'f', 'n', or 0 where there is none.
func (r *Reader) Kind() jsontext.Kind { return r.dec.PeekKind() }

// Offset returns how many bytes of the text were read.
func (r *Reader) Offset() int { return int(r.dec.InputOffset()) }

// Object reads an object and calls member for each of its names; member reads
// the value. It reports whether there was an object. A known name costs no memory.
func (r *Reader) Object(pointer string, known []string, member func(name string)) bool {
	if r.dec.PeekKind() != '{' {
		r.WrongType(pointer, "an object")
		return false
	}
	r.token()
	for !r.broken && r.dec.PeekKind() != '}' {
		name := r.name(known)
		if r.broken {
			return false
		}
		member(name)
	}
	r.token()
	return !r.broken
}

// Members reads an object of known names, each at most once, and calls read for
// each of them with its pointer. Of a duplicate the first value is kept.
func (r *Reader) Members(pointer string, known []string, read func(name, at string)) bool {
	var seen uint
	return r.Object(pointer, known, func(name string) {
		for i, k := range known {
			if k != name {
				continue
			}
			at := pointer + "/" + k
			if seen&(1<<i) != 0 {
				r.Faults.Add(at, RuleDuplicate, "")
				r.Skip()
				return
			}
			seen |= 1 << i
			read(k, at)
			return
		}
		r.Faults.Add(pointer+"/"+escape(r.Name(name)), RuleUnknown, r.suggestion(name, known))
		r.Skip()
	})
}

// Text reads a string that must not be empty.
func (r *Reader) Text(pointer string) string {
	s := r.AnyText(pointer)
	if s == "" && !r.broken {
		r.Faults.Add(pointer, RuleMin, "at least 1 character")
		return Placeholder
	}
	return s
}

// AnyText reads a string.
func (r *Reader) AnyText(pointer string) string {
	if r.dec.PeekKind() != '"' {
		r.WrongType(pointer, "a string")
		return Placeholder
	}
	return r.token().String()
}

// Scalar reads a string, number, boolean or null as text and says which; of
// anything else only the kind. Both booleans have the kind 't'.
func (r *Reader) Scalar() (string, jsontext.Kind) {
	v := r.Value()
	if r.broken {
		return "", 0
	}
	switch kind := v.Kind(); kind {
	case '"':
		text, err := jsontext.AppendUnquote(nil, v)
		r.check(err)
		return string(text), kind
	case 't', 'f':
		return string(v), 't'
	default:
		return string(v), kind
	}
}

// Value reads a whole value of any kind. It is valid until the next call.
func (r *Reader) Value() jsontext.Value {
	v, err := r.dec.ReadValue()
	r.check(err)
	return v
}

// Skip passes over the next value.
func (r *Reader) Skip() { r.check(r.dec.SkipValue()) }

// WrongType adds the fault that the next value is of another type, and passes
// over it.
func (r *Reader) WrongType(pointer, want string) {
	r.Skip()
	if !r.broken {
		r.Faults.Add(pointer, RuleType, want)
	}
}

// escape makes a name part of a pointer (RFC 6901).
func escape(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

func (r *Reader) suggestion(name string, known []string) string {
	if !r.Suggest {
		return ""
	}
	if near := spelling.Nearest(name, known); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}

// name reads a member's name.
func (r *Reader) name(known []string) string {
	quoted := r.Value()
	if r.broken {
		return ""
	}
	for _, k := range known {
		if len(quoted) == len(k)+2 && string(quoted[1:len(quoted)-1]) == k {
			return k
		}
	}
	text, err := jsontext.AppendUnquote(nil, quoted)
	r.check(err)
	return string(text)
}

// token reads one token; a text that ends or is no JSON breaks the reader.
func (r *Reader) token() jsontext.Token {
	tok, err := r.dec.ReadToken()
	r.check(err)
	return tok
}

// check turns an error of the text into a fault and breaks the reader.
func (r *Reader) check(err error) {
	if err == nil || r.broken {
		return
	}
	r.broken = true
	if r.mark != "" { // JSON has none, so that nothing behind it was read
		r.Faults.Add(r.root, RuleJSON, "begins with a byte order mark of "+r.mark+": send UTF-8 without one")
		return
	}
	at := r.dec.InputOffset()
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		at = syntax.ByteOffset
	}
	r.Faults.Add(r.root, RuleJSON, "not readable as JSON at byte "+strconv.FormatInt(at, 10))
}
