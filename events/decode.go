package events

import (
	"strings"
	"sync"

	"github.com/go-playground/validator/v10"

	"github.com/countermand/countermand/payment"
)

// Decoder turns messages into valid commands. It is safe for concurrent use.
type Decoder struct {
	validator *validator.Validate
	readers   sync.Pool // of *reader
}

// NewDecoder builds a decoder, once for the whole program. Its error means that
// a rule could not be registered, which is a fault of the program.
func NewDecoder() (*Decoder, error) {
	v, err := newValidator()
	if err != nil {
		return nil, err
	}
	return &Decoder{validator: v, readers: sync.Pool{New: func() any { return newReader() }}}, nil
}

// DecodeCommand reads and validates the command in a message: the envelope in
// either CloudEvents mode, type against subject, the data strictly, then every
// rule of the wire. A message with anything wrong gives the zero command and an
// *InvalidError with all of its faults, those of the envelope first.
//
// The command's RequestedAt is left zero: it is the stream's time of the
// original message, which only the caller knows. Expiry and Time are in UTC.
// The message is not changed.
func (d *Decoder) DecodeCommand(m Message) (payment.Command, *InvalidError) {
	return d.decode(m, false)
}

// DecodeTaken is DecodeCommand for a message that a service may have taken before: what
// an earlier version took is no fault, because money may have moved since.
func (d *Decoder) DecodeTaken(m Message) (payment.Command, *InvalidError) {
	return d.decode(m, true)
}

func (d *Decoder) decode(m Message, taken bool) (payment.Command, *InvalidError) {
	f := newFaults()
	r := d.readers.Get().(*reader)
	defer func() {
		r.Forget()
		d.readers.Put(r)
	}()
	e := readEnvelope(r, m, f)
	if taken && !maybeJSON(e.values[attrDataContentType]) {
		e.values[attrDataContentType] = "" // an earlier version looked at the data alone
	}
	if e.broken {
		e.check(newFaults()) // only to empty what is not valid
		return payment.Command{}, e.invalid(f)
	}
	e.check(f)
	s := parseSubject(m.Subject)
	op := checkType(e, s, f)
	if e.values[attrSpecVersion] != "" {
		checkSpecification(e, f)
	}
	f.Sort()
	c := d.decodeData(r, e, commandSubject{op: op, provider: s.provider}, f)
	if len(f.List) > 0 {
		return payment.Command{}, e.invalid(f)
	}
	c.Origin = payment.Origin{CommandID: e.values[attrID], CommandSource: e.values[attrSource]}
	c.Trace, c.Time, c.Expiry = e.trace(), e.time, e.expiry
	return c, nil
}

// decodeData reads the data by the rules of an operation; without one they
// cannot be known, and the faults of the envelope must do.
func (d *Decoder) decodeData(r *reader, e *envelope, s commandSubject, f *faults) payment.Command {
	op := s.op
	if e.badData {
		return payment.Command{}
	}
	if !e.hasData {
		f.Add(rootPointer, ruleRequired, "data")
		return payment.Command{}
	}
	if op == "" {
		return payment.Command{}
	}
	inData := newFaults()
	data := readData(r, e.data, op, inData)
	if err := validate(d.validator, data, inData); err != nil {
		// No message can bring this about; refusing is the careful answer.
		inData.Add(rootPointer, ruleEnvelope, "rules not applicable")
	}
	if s.provider != "" && !inData.Covers("/provider") && s.provider != data.Provider {
		inData.Add("/provider", ruleSubject, "the provider of the subject")
	}
	for _, x := range inData.List {
		f.Add(x.Pointer, x.Rule, x.Detail)
	}
	f.Dropped += inData.Dropped
	if len(f.List) > 0 {
		return payment.Command{}
	}
	return data.command()
}

// commandSubject is what the subject of a message says of the command in it.
type commandSubject struct {
	op       payment.Op // "": no subject of commands
	provider string     // "": any
}

// parseSubject knows payment.<op>.requested, the same with a provider behind
// it, and payment.due.<op>, where timers arrive.
func parseSubject(subject string) commandSubject {
	if due, ok := strings.CutPrefix(subject, duePrefix); ok {
		if op := payment.Op(due); op.Known() {
			return commandSubject{op: op}
		}
		return commandSubject{}
	}
	op, provider, _ := readCommandSubject(subject)
	return commandSubject{op: op, provider: provider}
}

// checkType returns the operation the type names, or the subject's where the
// type names none, so that the data can be checked as well.
func checkType(e *envelope, s commandSubject, f *faults) payment.Op {
	op, known := opOfCommandType(e.values[attrType])
	switch {
	case e.values[attrType] == "":
		e.fault(attrType, ruleRequired, "", f)
		return s.op
	case !known:
		e.fault(attrType, ruleOneOf, commandTypes(), f)
		return s.op
	case s.op == "":
		e.fault(attrType, ruleSubject, "the subject is none of commands", f)
	case s.op != op:
		e.fault(attrType, ruleSubject, "the subject says "+commandType(s.op), f)
	}
	return op
}

// commandTypes lists the types of commands as a fault names them.
func commandTypes() string {
	types := make([]string, 0, len(payment.Ops()))
	for _, op := range payment.Ops() {
		types = append(types, commandType(op))
	}
	return strings.Join(types, " or ")
}
