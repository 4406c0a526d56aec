package strictjson

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/countermand/countermand/payment"
)

// The rules that reading can break, as faults name them (docs/errors.md).
const (
	RuleJSON      = "json" // not readable as JSON, or more than one value
	RuleUnknown   = "unknown"
	RuleDuplicate = "duplicate"
	RuleType      = "type" // another JSON type
	RuleMin       = "min"
	RuleMore      = "more" // the list was cut
)

// Root is where the faults of a text as a whole lie (RFC 6901).
const Root = ""

// Faults collects what is wrong with one text: the first Max faults, and how
// many more there were.
type Faults struct {
	Max     int
	List    []payment.Fault
	Dropped int
}

// Add adds a fault.
func (f *Faults) Add(pointer, rule, detail string) {
	if len(f.List) >= f.Max {
		f.Dropped++
		return
	}
	f.List = append(f.List, payment.Fault{Pointer: pointer, Rule: rule, Detail: detail})
}

// Covers reports whether a fault was found at a pointer or above it, so that
// whatever else is said of it would only repeat that fault.
func (f *Faults) Covers(pointer string) bool {
	return slices.ContainsFunc(f.List, func(x payment.Fault) bool {
		return x.Pointer == pointer || x.Pointer == Root ||
			(strings.HasPrefix(pointer, x.Pointer) && pointer[len(x.Pointer)] == '/')
	})
}

// Sort brings the faults into one order, by pointer and rule.
func (f *Faults) Sort() {
	slices.SortStableFunc(f.List, func(a, b payment.Fault) int {
		return cmp.Or(cmp.Compare(a.Pointer, b.Pointer), cmp.Compare(a.Rule, b.Rule))
	})
}

// All returns the faults, with one more that counts those that were dropped.
func (f *Faults) All() []payment.Fault {
	if f.Dropped == 0 {
		return f.List
	}
	return append(f.List, payment.Fault{Pointer: Root, Rule: RuleMore, Detail: strconv.Itoa(f.Dropped) + " more"})
}
