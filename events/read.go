package events

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/countermand/countermand/payment"
)

// readEnvelope reads a message in the mode it is in. What cannot be read is in
// the faults; the envelope then holds what could.
func readEnvelope(r *reader, m Message, f *faults) *envelope {
	e := new(envelope)
	contentType := header(m, "content-type")
	switch {
	case isBatch(contentType):
		f.add(envelopePointer, ruleBatch, "one event a message")
		e.broken = true
	case isStructured(m):
		r.begin(m.Data, envelopePointer, f)
		r.structured(e, m.Data)
	default:
		readBinary(e, m, f)
	}
	f.sort()
	return e
}

// readBinary reads ce- headers. Names are compared in lower case.
func readBinary(e *envelope, m Message, f *faults) {
	e.data, e.hasData = m.Data, len(m.Data) > 0
	for name, values := range m.Header {
		name = strings.ToLower(name)
		name, ok := strings.CutPrefix(name, "ce-")
		if !ok {
			continue
		}
		a := attrNamed(name)
		for i, raw := range values {
			value, err := decodeHeader(raw)
			switch {
			case name == "data_base64":
				f.add("ce-data_base64", ruleUnknown, "data is JSON")
			case a != noAttr && a.tracing() && err != nil:
			case err != nil:
				f.add("ce-"+shortName(name), ruleEncoding, "percent-encoded UTF-8")
			case a != noAttr:
				e.set(a, value, f)
			case i > 0:
				f.add("ce-"+shortName(name), ruleDuplicate, "")
			default:
				e.extend(name, value, f)
			}
		}
	}
	if contentType := header(m, "content-type"); !e.present[attrDataContentType] && contentType != "" {
		e.set(attrDataContentType, contentType, f)
	}
}

// structured reads an event in the JSON format. The whole text is scanned
// once; the data is left as it is, to be read strictly by its own rules.
func (r *reader) structured(e *envelope, text []byte) {
	if r.dec.PeekKind() == '[' {
		r.faults.add(envelopePointer, ruleBatch, "one event a message")
		e.broken = true
		return
	}
	var seen names
	ok := r.object(envelopePointer, func(name string) {
		if a := attrNamed(name); a == noAttr && seen.again(name) {
			r.faults.add("ce-"+shortName(name), ruleDuplicate, "")
			r.skip()
			return
		}
		r.attribute(e, name, text)
	})
	if ok {
		r.end()
	}
	// Of a text that is no event nothing is worth checking field by field.
	e.broken = !ok || r.broken
}

// names are those of an event's members that are no attributes we know. Most
// events have the data alone, which costs no map.
type names struct {
	data   bool
	others map[string]bool
}

// again reports whether the name was there before.
func (n *names) again(name string) bool {
	if name == "data" {
		was := n.data
		n.data = true
		return was
	}
	if n.others[name] {
		return true
	}
	if n.others == nil {
		n.others = make(map[string]bool)
	}
	n.others[name] = true
	return false
}

// attribute reads one member of a structured event.
func (r *reader) attribute(e *envelope, name string, text []byte) {
	if name == "data" {
		value := r.value()
		end := int(r.dec.InputOffset())
		e.data = text[end-len(value) : end]
		e.hasData = len(value) > 0 && value.Kind() != 'n'
		return
	}
	a := attrNamed(name)
	value, kind := r.scalar()
	switch {
	case r.broken || kind == 'n': // null means unset in the JSON format (its section 2.2)
	case name == "data_base64":
		r.faults.add("ce-data_base64", ruleUnknown, "data is JSON")
	case a != noAttr && kind == '"':
		e.set(a, value, r.faults)
	case a != noAttr && a.tracing():
	case a != noAttr:
		e.present[a] = true
		r.faults.add(a.pointer(), ruleType, "a string")
	case kind == '"' || kind == 't' || (kind == '0' && integer(value)):
		e.extend(name, value, r.faults)
	default:
		r.faults.add("ce-"+shortName(name), ruleType, "a string, a boolean or an integer")
	}
}

// reader reads JSON strictly, and goes on after whatever is wrong with a value
// as long as the text itself can be read. It reads one text after another.
type reader struct {
	dec    jsontext.Decoder
	source bytes.Buffer
	faults *faults
	root   string
	// broken: the text is no JSON from here on; nothing more can be read.
	broken bool
}

// begin turns to a text, whose faults as a whole lie at root.
// Duplicate names are found by object, one fault each, and not by the decoder,
// which would stop at the first. The decoder reads a bytes.Buffer in place and
// never writes to it, so the text stays as it came (a test holds it to that).
func (r *reader) begin(text []byte, root string, f *faults) {
	r.source = *bytes.NewBuffer(text)
	r.dec.Reset(&r.source, jsontext.AllowDuplicateNames(true))
	r.faults, r.root, r.broken = f, root, false
}

// forget lets go of the text.
func (r *reader) forget() { r.begin(nil, "", nil) }

// object reads an object and calls member for each of its names; member reads
// the value. It reports whether there was an object.
func (r *reader) object(pointer string, member func(name string)) bool {
	if r.dec.PeekKind() != '{' {
		r.wrongType(pointer, "an object")
		return false
	}
	r.token()
	for !r.broken && r.dec.PeekKind() != '}' {
		name := r.name()
		if r.broken {
			return false
		}
		member(name)
	}
	r.token()
	return !r.broken
}

// name reads a member's name. Those we know cost no memory.
func (r *reader) name() string {
	quoted := r.value()
	if r.broken {
		return ""
	}
	if known := knownName(quoted); known != "" {
		return known
	}
	text, err := jsontext.AppendUnquote(nil, quoted)
	r.check(err)
	return string(text)
}

// end refuses whatever follows the value read.
func (r *reader) end() {
	if r.broken {
		return
	}
	at := r.dec.InputOffset()
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		r.broken = true
		r.faults.add(r.root, ruleJSON, "more text after the value, at byte "+strconv.FormatInt(at, 10))
	}
}

// token reads one token; a text that ends or is no JSON breaks the reader.
func (r *reader) token() jsontext.Token {
	tok, err := r.dec.ReadToken()
	r.check(err)
	return tok
}

// value reads a whole value of any kind.
func (r *reader) value() jsontext.Value {
	v, err := r.dec.ReadValue()
	r.check(err)
	return v
}

func (r *reader) skip() {
	r.check(r.dec.SkipValue())
}

// check turns an error of the text into a fault and breaks the reader.
func (r *reader) check(err error) {
	if err == nil || r.broken {
		return
	}
	r.broken = true
	at := r.dec.InputOffset()
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		at = syntax.ByteOffset
	}
	r.faults.add(r.root, ruleJSON, "not readable as JSON at byte "+strconv.FormatInt(at, 10))
}

// scalar reads a string, number, boolean or null as text and says which; of
// anything else only the kind. Both booleans have the kind 't'.
func (r *reader) scalar() (string, jsontext.Kind) {
	v := r.value()
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

// wrongType notes that the next value is of another type, and passes over it.
func (r *reader) wrongType(pointer, want string) {
	r.skip()
	if !r.broken {
		r.faults.add(pointer, ruleType, want)
	}
}

// integer reports whether a JSON number is written as a plain integer.
func integer(literal string) bool {
	return !strings.ContainsAny(literal, ".eE")
}

// invalid builds the error of a message with faults.
func (e *envelope) invalid(f *faults) *InvalidError {
	return &InvalidError{
		Code: payment.CodeInvalidCommand, Faults: f.all(),
		CommandID: e.values[attrID], Trace: e.trace(),
	}
}

// trace is what the envelope says of the conversation the event belongs to.
func (e *envelope) trace() payment.Trace {
	return payment.Trace{
		CorrelationID: e.values[attrCorrelationID], TraceParent: e.values[attrTraceParent], TraceState: e.values[attrTraceState],
	}
}

func itoa(n int) string { return strconv.Itoa(n) }
