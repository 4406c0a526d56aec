package events

import (
	"strings"
	"unicode/utf8"

	"github.com/countermand/countermand/internal/strictjson"
	"github.com/countermand/countermand/payment"
)

// The rules a fault can name. Faults about data carry the rule of the field,
// those about the envelope the rule of the attribute.
const (
	ruleJSON        = strictjson.RuleJSON
	ruleBatch       = "batch"       // a batch of events
	ruleEnvelope    = "cloudevents" // refused by the CloudEvents specification itself
	ruleSpecVersion = "specversion" // a version other than 1.0
	ruleEncoding    = "encoding"    // a header that is no percent-encoded UTF-8
	ruleName        = "name"        // a malformed attribute name
	ruleSubject     = "subject"     // disagrees with the subject it came on
	ruleRequired    = "required"
	ruleUnknown     = strictjson.RuleUnknown
	ruleDuplicate   = strictjson.RuleDuplicate
	ruleType        = strictjson.RuleType // for numbers also: no plain integer
	ruleMin         = strictjson.RuleMin
	ruleMax         = "max"
	ruleRange       = "range" // a time out of all reason
	rulePattern     = "pattern"
	ruleOneOf       = "one_of"
	ruleCountry     = "country"
	ruleCurrency    = "currency"
	ruleExclusive   = "exclusive" // not together with another field
	ruleTime        = "time"
)

const (
	// maxFaults bounds a rejection: 64 KiB of nonsense can have thousands.
	maxFaults = 100
	// maxNamed bounds how much of an unknown member's name is repeated.
	maxNamed = 64
	// envelopePointer is where faults of the message as a whole lie.
	envelopePointer = "ce"
	// rootPointer is where faults of the data as a whole lie.
	rootPointer = strictjson.Root
)

// InvalidError says that a message is no valid command, with all that is wrong
// with it at once. The identifiers are set where they could be read and are
// valid themselves. It holds no value of the message but numbers and words of
// closed lists, and the (masked, shortened) names of unknown members.
type InvalidError struct {
	Code   payment.Code // always payment.CodeInvalidCommand
	Faults []payment.Fault

	CommandID string
	payment.Trace
}

// Error lists where what is wrong, in one line.
func (e *InvalidError) Error() string {
	var b strings.Builder
	b.WriteString("invalid command: ")
	for i, f := range e.Faults {
		if i > 0 {
			b.WriteString(", ")
		}
		if f.Pointer != "" {
			b.WriteString(f.Pointer)
			b.WriteByte(' ')
		}
		b.WriteString(f.Rule)
		if f.Detail != "" {
			b.WriteString(" (" + f.Detail + ")")
		}
	}
	return b.String()
}

// faults collects what is wrong with one message.
type faults = strictjson.Faults

// newFaults leaves room for the fault that counts the others.
func newFaults() *faults { return &faults{Max: maxFaults - 1} }

// ShortName makes a name that is not ours fit to be repeated: it is masked, and
// cut to 64 characters.
func ShortName(name string) string {
	name = Mask(name)
	if utf8.RuneCountInString(name) > maxNamed {
		name = string([]rune(name)[:maxNamed]) + "…"
	}
	return name
}
