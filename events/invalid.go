package events

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/countermand/countermand/payment"
)

// The rules a fault can name. Faults about data carry the rule of the field,
// those about the envelope the rule of the attribute.
const (
	ruleJSON        = "json"        // not readable as JSON, or more than one value
	ruleBatch       = "batch"       // a batch of events
	ruleEnvelope    = "cloudevents" // refused by the CloudEvents specification itself
	ruleSpecVersion = "specversion" // a version other than 1.0
	ruleEncoding    = "encoding"    // a header that is no percent-encoded UTF-8
	ruleName        = "name"        // a malformed attribute name
	ruleSubject     = "subject"     // disagrees with the subject it came on
	ruleRequired    = "required"
	ruleUnknown     = "unknown"
	ruleDuplicate   = "duplicate"
	ruleType        = "type" // another JSON type; for numbers: no plain integer
	ruleMin         = "min"
	ruleMax         = "max"
	ruleRange       = "range" // a time out of all reason
	rulePattern     = "pattern"
	ruleOneOf       = "one_of"
	ruleCountry     = "country"
	ruleCurrency    = "currency"
	ruleExclusive   = "exclusive" // not together with another field
	ruleTime        = "time"
	ruleMore        = "more" // the list was cut
)

const (
	// maxFaults bounds a rejection: 64 KiB of nonsense can have thousands.
	maxFaults = 100
	// maxNamed bounds how much of an unknown member's name is repeated.
	maxNamed = 64
	// envelopePointer is where faults of the message as a whole lie.
	envelopePointer = "ce"
	// rootPointer is where faults of the data as a whole lie (RFC 6901).
	rootPointer = ""
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
type faults struct {
	list    []payment.Fault
	dropped int
}

func (f *faults) add(pointer, rule, detail string) {
	if len(f.list) >= maxFaults-1 {
		f.dropped++
		return
	}
	f.list = append(f.list, payment.Fault{Pointer: pointer, Rule: rule, Detail: detail})
}

// covers reports whether a fault was found at a pointer or above it, so that
// whatever else is said of it would only repeat that fault.
func (f *faults) covers(pointer string) bool {
	return slices.ContainsFunc(f.list, func(x payment.Fault) bool {
		return x.Pointer == pointer || x.Pointer == rootPointer ||
			(strings.HasPrefix(pointer, x.Pointer) && pointer[len(x.Pointer)] == '/')
	})
}

// sort brings faults of the envelope into one order: header maps have none.
func (f *faults) sort() {
	slices.SortStableFunc(f.list, func(a, b payment.Fault) int {
		return cmp.Or(cmp.Compare(a.Pointer, b.Pointer), cmp.Compare(a.Rule, b.Rule))
	})
}

// all returns the faults, the last one counting those that were dropped.
func (f *faults) all() []payment.Fault {
	if f.dropped == 0 {
		return f.list
	}
	return append(f.list, payment.Fault{
		Pointer: rootPointer, Rule: ruleMore, Detail: strconv.Itoa(f.dropped) + " more",
	})
}

// child returns the pointer of a member (RFC 6901), with the name shortened and
// masked if it is one we did not choose.
func child(pointer, name string) string {
	name = strings.NewReplacer("~", "~0", "/", "~1").Replace(shortName(name))
	return pointer + "/" + name
}

func shortName(name string) string {
	name = Mask(name)
	if utf8.RuneCountInString(name) > maxNamed {
		name = string([]rune(name)[:maxNamed]) + "…"
	}
	return name
}
