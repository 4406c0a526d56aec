package status

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// MaxQuery is the largest request that is read, in bytes.
const MaxQuery = 8 << 10

// Query is what is asked. Either Provider and Payment are given, or CommandID
// and CommandSource, or all of them; with a payment, Operation and Key may name
// one of its operations instead of the command.
type Query struct {
	Provider string
	// Payment is the identifier that names the payment there, not its token.
	Payment       string
	Operation     payment.Op
	Key           payment.Key
	CommandID     string
	CommandSource string
}

// ID names the query's payment.
func (q Query) ID() payment.ID { return payment.ID{Provider: q.Provider, Native: q.Payment} }

// The rules a request can break; docs/errors.md explains them.
const (
	ruleJSON      = "json"
	ruleRequired  = "required"
	ruleUnknown   = "unknown"
	ruleDuplicate = "duplicate"
	ruleType      = "type"
	ruleMin       = "min"
	ruleMax       = "max"
	rulePattern   = "pattern"
	ruleOneOf     = "one_of"
	ruleExclusive = "exclusive"
)

const (
	// maxFaults bounds what is told of one request.
	maxFaults = 20
	// maxNamed bounds how much of an unknown member's name is repeated, in characters.
	maxNamed = 64
)

// field is one member of a request: all are texts.
type field struct {
	name  string
	value *string
	// max is in characters; valid says what else it must be.
	max    int
	valid  func(string) bool
	detail string
	given  bool
}

// DecodeQuery reads a request, a JSON object. It is strict: unknown and repeated
// names, null and other types are faults, and all faults are told at once. With
// faults the query is not to be used.
func DecodeQuery(data []byte) (Query, []payment.Fault) {
	if len(data) > MaxQuery {
		return Query{}, []payment.Fault{{Rule: ruleMax, Detail: "at most 8192 bytes"}}
	}
	var q Query
	var operation, key string
	fields := []*field{
		{name: "provider", value: &q.Provider, max: 32, valid: providerName, detail: "^[a-z0-9][a-z0-9-]{0,31}$"},
		{name: "payment", value: &q.Payment, max: 64, valid: graphic, detail: "printable ASCII without space"},
		{name: "operation", value: &operation, max: 16},
		{name: "idempotencyKey", value: &key, max: 255, valid: graphic, detail: "printable ASCII without space"},
		{name: "commandId", value: &q.CommandID, max: 128, valid: oneLine, detail: "one line"},
		{name: "commandSource", value: &q.CommandSource, max: 255, valid: oneLine, detail: "one line"},
	}
	r := &reader{dec: jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true)), fields: fields}
	r.object()
	if !r.broken {
		r.values()
		r.together()
	}
	q.Operation, q.Key = payment.Op(operation), payment.Key(key)
	return q, r.faults
}

type reader struct {
	dec    *jsontext.Decoder
	fields []*field
	faults []payment.Fault
	// broken: it is no JSON object, and nothing more can be said.
	broken bool
}

func (r *reader) fault(pointer, rule, detail string) {
	if len(r.faults) < maxFaults {
		r.faults = append(r.faults, payment.Fault{Pointer: pointer, Rule: rule, Detail: detail})
	}
}

func (r *reader) fail(rule, detail string) {
	r.broken, r.faults = true, []payment.Fault{{Rule: rule, Detail: detail}}
}

// object reads the whole request.
func (r *reader) object() {
	first, err := r.dec.ReadToken()
	if err != nil {
		r.fail(ruleJSON, "")
		return
	}
	if first.Kind() != '{' {
		r.fail(ruleType, "an object")
		return
	}
	for r.dec.PeekKind() != '}' {
		name, err := r.dec.ReadToken()
		if err != nil {
			r.fail(ruleJSON, "")
			return
		}
		if !r.member(name.String()) {
			r.fail(ruleJSON, "")
			return
		}
	}
	if _, err := r.dec.ReadToken(); err != nil {
		r.fail(ruleJSON, "")
		return
	}
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		r.fail(ruleJSON, "one value and nothing behind it")
	}
}

// member reads one value; false where the rest cannot be read.
func (r *reader) member(name string) bool {
	value, err := r.dec.ReadValue()
	if err != nil {
		return false
	}
	for _, f := range r.fields {
		switch {
		case f.name != name:
			continue
		case f.given:
			r.fault("/"+name, ruleDuplicate, "")
			return true
		}
		f.given = true
		if value.Kind() != '"' {
			r.fault("/"+name, ruleType, "a string")
			return true
		}
		text, err := jsontext.AppendUnquote(nil, value)
		if err != nil {
			return false
		}
		*f.value = string(text)
		f.check(r)
		return true
	}
	r.fault("/"+named(name), ruleUnknown, "")
	return true
}

// check holds a text to its rule.
func (f *field) check(r *reader) {
	switch at := "/" + f.name; {
	case *f.value == "":
		r.fault(at, ruleMin, "at least 1 character")
	case utf8.RuneCountInString(*f.value) > f.max:
		r.fault(at, ruleMax, "")
	case f.valid != nil && !f.valid(*f.value):
		r.fault(at, rulePattern, f.detail)
	}
}

func (r *reader) given(name string) bool {
	for _, f := range r.fields {
		if f.name == name {
			return f.given
		}
	}
	return false
}

// values holds the one closed list.
func (r *reader) values() {
	for _, f := range r.fields {
		if v := payment.Op(*f.value); f.name == "operation" && v != "" && !v.Known() {
			r.fault("/operation", ruleOneOf, payment.JoinOps(", "))
		}
	}
}

// together says which fields want each other, and which do not go together.
func (r *reader) together() {
	needs := func(name, other string) {
		if r.given(name) {
			r.needed(other, "together with "+name)
		}
	}
	needs("commandId", "commandSource")
	needs("commandSource", "commandId")
	needs("operation", "idempotencyKey")
	needs("idempotencyKey", "operation")
	needs("payment", "provider")
	if r.given("operation") || r.given("idempotencyKey") {
		r.needed("payment", "together with idempotencyKey")
	}
	if r.given("commandId") && r.given("idempotencyKey") {
		r.fault("/idempotencyKey", ruleExclusive, "not together with commandId")
	}
	if !r.given("commandId") && !r.given("commandSource") {
		r.needed("provider", "or commandId and commandSource")
		r.needed("payment", "or commandId and commandSource")
	}
}

// needed adds a fault for a field that is missing, once.
func (r *reader) needed(name, detail string) {
	told := slices.ContainsFunc(r.faults, func(f payment.Fault) bool { return f.Pointer == "/"+name })
	if !r.given(name) && !told {
		r.fault("/"+name, ruleRequired, detail)
	}
}

// named is a foreign name as a pointer may hold it, shortened and masked.
func named(name string) string {
	name = events.Mask(name)
	if utf8.RuneCountInString(name) > maxNamed {
		name = string([]rune(name)[:maxNamed]) + "…"
	}
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

func providerName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (c != '-' || i == 0) {
			return false
		}
	}
	return true
}

func graphic(s string) bool {
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

func oneLine(s string) bool { return !strings.ContainsFunc(s, unicode.IsControl) }
