package events

import (
	"encoding/base64"
	"strings"

	"github.com/countermand/countermand/internal/strictjson"
	"github.com/countermand/countermand/payment"
)

// readEnvelope reads a message in the mode it is in. What cannot be read is in
// the faults; the envelope then holds what could.
func readEnvelope(r *reader, m Message, f *faults) *envelope {
	e := new(envelope)
	contentType := header(m, "content-type")
	switch {
	case isBatch(contentType):
		f.Add(envelopePointer, ruleBatch, "one event a message")
		e.broken = true
	case isStructured(m):
		r.Begin(m.Data, envelopePointer, f)
		r.structured(e, m.Data)
		if !isCloudEventsType(contentType) {
			checkAnnounced(e, m, f)
		}
	default:
		readBinary(e, m, f)
	}
	if !e.present[attrTraceParent] {
		// A client library that traces writes the W3C headers beside the event.
		e.values[attrTraceParent], e.values[attrTraceState] = header(m, "traceparent"), header(m, "tracestate")
	}
	f.Sort()
	return e
}

// checkAnnounced looks at a message whose headers announce no mode. If it is no event in
// itself, whatever else is wrong with it would mislead: its body may be the data alone,
// beside headers that another binding names differently.
func checkAnnounced(e *envelope, m Message, f *faults) {
	foreign := foreignVersion(m)
	if e.present[attrSpecVersion] || foreign == "" && (e.broken || e.named()) {
		return
	}
	detail := "no ce-specversion and no CloudEvents Content-Type"
	if foreign != "" {
		detail += "; " + foreign + " is another binding's"
	}
	f.List, f.Dropped = nil, 0
	e.broken = true
	f.Add(attrSpecVersion.pointer(), ruleRequired, detail)
}

// foreignVersion returns the name that another binding of CloudEvents gives the version
// of a binary message, if there is such a header: that of Kafka, of MQTT or of AMQP.
func foreignVersion(m Message) string {
	for _, name := range []string{"ce_specversion", "specversion", "cloudevents:specversion", "cloudevents_specversion"} {
		if header(m, name) != "" {
			return name
		}
	}
	return ""
}

// named reports whether the event has an attribute that every event must have.
func (e *envelope) named() bool {
	return e.present[attrID] || e.present[attrSource] || e.present[attrSpecVersion] || e.present[attrType]
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
			case name == memberBase64:
				f.Add(base64Pointer, ruleUnknown, "the data is the body")
			case a != noAttr && a.tracing() && err != nil:
			case err != nil:
				f.Add("ce-"+ShortName(name), ruleEncoding, "percent-encoded UTF-8")
			case a != noAttr:
				e.set(a, value, f)
			case i > 0:
				f.Add("ce-"+ShortName(name), ruleDuplicate, "")
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
	if r.Kind() == '[' {
		r.Faults.Add(envelopePointer, ruleBatch, "one event a message")
		e.broken = true
		return
	}
	var seen names
	ok := r.Object(envelopePointer, memberNames(), func(name string) {
		if a := attrNamed(name); a == noAttr && seen.again(name) {
			r.Faults.Add("ce-"+ShortName(name), ruleDuplicate, "")
			r.Skip()
			return
		}
		r.attribute(e, name, text)
	})
	e.decodeData(r.Faults)
	// Of a text that is no event nothing is worth checking field by field.
	e.broken = !ok || !r.End()
}

// decodeData takes the data from data_base64: bytes, as senders write that are not told
// that the data is JSON.
func (e *envelope) decodeData(f *faults) {
	if e.base64 == nil {
		return
	}
	if e.hasData {
		e.badData = true
		f.Add(base64Pointer, ruleExclusive, "data or data_base64, not both")
		return
	}
	data, err := base64.StdEncoding.Strict().DecodeString(*e.base64)
	if err != nil {
		e.badData = true
		f.Add(base64Pointer, ruleEncoding, "base64, with its padding")
		return
	}
	e.data, e.hasData = data, len(data) > 0
}

// names are those of an event's members that are no attributes we know. Most
// events have the data alone, which costs no map.
type names struct {
	data   bool
	others map[string]bool
}

// again reports whether the name was there before.
func (n *names) again(name string) bool {
	if name == memberData {
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
	if name == memberData {
		value := r.Value()
		end := r.Offset()
		e.data = text[end-len(value) : end]
		e.hasData = len(value) > 0 && value.Kind() != 'n'
		return
	}
	a := attrNamed(name)
	value, kind := r.Scalar()
	switch {
	case r.Broken() || kind == 'n': // null means unset in the JSON format (its section 2.2)
	case name == memberBase64 && kind == '"':
		e.base64 = &value
	case name == memberBase64:
		e.badData = true
		r.Faults.Add(base64Pointer, ruleType, "a string")
	case a != noAttr && kind == '"':
		e.set(a, value, r.Faults)
	case a != noAttr && a.tracing():
	case a != noAttr:
		e.present[a] = true
		r.Faults.Add(a.pointer(), ruleType, "a string")
	case kind == '"' || kind == 't' || (kind == '0' && integer(value)):
		e.extend(name, value, r.Faults)
	default:
		r.Faults.Add("ce-"+ShortName(name), ruleType, "a string, a boolean or an integer")
	}
}

// reader reads commands.
type reader struct{ strictjson.Reader }

func newReader() *reader { return &reader{strictjson.Reader{Name: ShortName, Suggest: true}} }

// integer reports whether a JSON number is written as a plain integer.
func integer(literal string) bool {
	return !strings.ContainsAny(literal, ".eE")
}

// invalid builds the error of a message with faults.
func (e *envelope) invalid(f *faults) *InvalidError {
	return &InvalidError{
		Code: payment.CodeInvalidCommand, Faults: f.All(),
		CommandID: e.values[attrID], Trace: e.trace(),
	}
}

// trace is what the envelope says of the conversation the event belongs to.
func (e *envelope) trace() payment.Trace {
	return payment.Trace{
		CorrelationID: e.values[attrCorrelationID], TraceParent: e.values[attrTraceParent], TraceState: e.values[attrTraceState],
	}
}
