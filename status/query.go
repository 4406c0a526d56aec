package status

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/strictjson"
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

// The rules a request can break beside those of the reader; docs/errors.md
// explains them.
const (
	ruleRequired  = "required"
	ruleMax       = "max"
	rulePattern   = "pattern"
	ruleOneOf     = "one_of"
	ruleExclusive = "exclusive"
)

// maxFaults bounds what is told of one request.
const maxFaults = 20

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
		return broken(ruleMax, "at most 8192 bytes")
	}
	var q Query
	var operation, key string
	c := check{fields: []*field{
		{name: "provider", value: &q.Provider, max: 32, valid: providerName, detail: "^[a-z0-9][a-z0-9-]{0,31}$"},
		{name: "payment", value: &q.Payment, max: 64, valid: graphic, detail: "printable ASCII without space"},
		{name: "operation", value: &operation, max: 16},
		{name: "idempotencyKey", value: &key, max: 255, valid: graphic, detail: "printable ASCII without space"},
		{name: "commandId", value: &q.CommandID, max: 128, valid: oneLine, detail: "one line"},
		{name: "commandSource", value: &q.CommandSource, max: 255, valid: oneLine, detail: "one line"},
	}}
	c.Max = maxFaults
	r := &strictjson.Reader{Name: events.ShortName}
	r.Begin(data, strictjson.Root, &c.Faults)
	read := c.read(r)
	switch {
	case r.Broken():
		return broken(strictjson.RuleJSON, "")
	case !read:
		return broken(strictjson.RuleType, "an object")
	case !r.End():
		return broken(strictjson.RuleJSON, "one value and nothing behind it")
	}
	c.values()
	c.together()
	q.Operation, q.Key = payment.Op(operation), payment.Key(key)
	return q, c.List
}

// broken refuses what is no JSON object: nothing more can be said of it.
func broken(rule, detail string) (Query, []payment.Fault) {
	return Query{}, []payment.Fault{{Rule: rule, Detail: detail}}
}

// check holds the fields of a request to their rules.
type check struct {
	strictjson.Faults
	fields []*field
}

// read reads the whole request, and reports whether it is an object.
func (c *check) read(r *strictjson.Reader) bool {
	names := make([]string, len(c.fields))
	for i, f := range c.fields {
		names[i] = f.name
	}
	return r.Members(strictjson.Root, names, func(name, at string) {
		f := c.fields[slices.Index(names, name)]
		f.given = true
		text := r.Text(at)
		if r.Broken() || c.Covers(at) {
			return
		}
		*f.value = text
		switch {
		case utf8.RuneCountInString(text) > f.max:
			c.Add(at, ruleMax, "")
		case f.valid != nil && !f.valid(text):
			c.Add(at, rulePattern, f.detail)
		}
	})
}

func (c *check) given(name string) bool {
	return slices.ContainsFunc(c.fields, func(f *field) bool { return f.name == name && f.given })
}

// values holds the one closed list.
func (c *check) values() {
	for _, f := range c.fields {
		if v := payment.Op(*f.value); f.name == "operation" && v != "" && !v.Known() {
			c.Add("/operation", ruleOneOf, payment.JoinOps(", "))
		}
	}
}

// together says which fields want each other, and which do not go together.
func (c *check) together() {
	needs := func(name, other string) {
		if c.given(name) {
			c.needed(other, "together with "+name)
		}
	}
	needs("commandId", "commandSource")
	needs("commandSource", "commandId")
	needs("operation", "idempotencyKey")
	needs("idempotencyKey", "operation")
	needs("payment", "provider")
	if c.given("operation") || c.given("idempotencyKey") {
		c.needed("payment", "together with idempotencyKey")
	}
	if c.given("commandId") && c.given("idempotencyKey") {
		c.Add("/idempotencyKey", ruleExclusive, "not together with commandId")
	}
	if !c.given("commandId") && !c.given("commandSource") {
		c.needed("provider", "or commandId and commandSource")
		c.needed("payment", "or commandId and commandSource")
	}
}

// needed adds a fault for a field that is missing, once.
func (c *check) needed(name, detail string) {
	if at := "/" + name; !c.given(name) && !c.Covers(at) {
		c.Add(at, ruleRequired, detail)
	}
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
