package crash_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/internal/simulators"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/simulator"
)

// row is an operation at a provider.
type row struct {
	kind   simulator.Kind
	traits payment.OperationTraits // the adapter's own
	name   simulator.Operation
	op     payment.Op
	full   bool
	// offered is false where the provider has no such operation.
	offered bool
}

const (
	cancel  = simulator.Cancel
	void    = simulator.Void
	full    = simulator.FullRefund
	partial = simulator.PartialRefund
)

// rows are all operations at all kinds. Where there is no cancel, asking for one
// is a row too.
func rows(t *testing.T) []row {
	t.Helper()
	var all []row
	for _, k := range simulators.Accounts() {
		a, err := simulators.Open(k, nobody, providers.NewClient(nil))
		if err != nil {
			t.Fatal(err)
		}
		if len(k.Cancels) == 0 && k.Variant == "" {
			all = append(all, row{kind: k, name: cancel, op: payment.Cancel})
		}
		for _, name := range k.Operations() {
			r := row{kind: k, name: name, op: payment.Refund, full: name == full, offered: true}
			if name == cancel || name == void {
				r.op = payment.Cancel
			}
			r.traits = a.Traits().For(r.op, r.full)
			all = append(all, r)
		}
	}
	return all
}

// The amounts of the matrix, in minor units: by them a movement is known again.
const (
	captured = 40000
	part     = 400
	other    = 300
)

// path is one way a command can go.
type path struct {
	name string
	// faults is what the provider does on this path; without an operation they
	// strike the row's own.
	faults []simulator.Fault
	// options of the simulator: see newBench.
	pending, hidden bool
	// unreachable: the first call finds no connection.
	unreachable bool
	// review: it may end before a person also where a repeat moves no money twice, because
	// a repeat that the provider has declined is not repeated.
	review bool
	// rules is what an operator does; second: it takes two of them. deaf: once it
	// was called the provider answers no question, and a person is asked soon.
	rules        rules
	second, deaf bool
	// age is how long the command has lain in its stream.
	age      time.Duration
	commands []command
	// ends is how each command ends in the clean run.
	ends []string
}

// command is one message of a path.
type command struct {
	op       payment.Op
	full     bool
	amount   int64
	key      string
	provider string // default: the row's
	envelope string // more attributes
	broken   bool   // lacks its key
	details  string // more about the payment
	// refused: it is answered by payment.command.rejected, whatever comes before.
	refused bool

	sequence    uint64
	schedule    string
	fingerprint string
}

// Ends of a command.
const (
	succeeded = "succeeded"
	failed    = "failed"
	rejected  = "rejected"
	review    = "reviewRequired"
	refused   = "command.rejected"
)

// own is the row's own command.
func (r row) own() command {
	c := command{op: r.op, full: r.full, key: "first"}
	if r.op == payment.Refund && !r.full {
		c.amount = part
	}
	return c
}

// data is the command as a structured event about a payment.
func (c *command) data(r row, id payment.ID) []byte {
	var names []string
	for key, value := range r.kind.Identifiers(id.Native) {
		names = append(names, fmt.Sprintf("%q:%q", key, value))
	}
	slices.Sort(names)
	provider := r.kind.Instance
	if c.provider != "" {
		provider = c.provider
	}
	key := fmt.Sprintf(`"idempotencyKey":%q,`, c.key)
	if c.broken {
		key = ""
	}
	what := ""
	switch {
	case c.full:
		what = `,"full":true`
	case c.amount > 0:
		what = fmt.Sprintf(`,"amount":{"value":%d,"currency":%q}`, c.amount, r.kind.Currency)
	}
	data := fmt.Sprintf(`{%s"provider":%q,"payment":{%s%s}%s}`, key, provider, strings.Join(names, ","), c.details, what)
	text := fmt.Sprintf(`{"specversion":"1.0","id":"e-%s-%s","source":"/shop","type":"payment.%s.requested"%s,"data":%s}`,
		id.Native, c.key, c.op, c.envelope, data)
	if !json.Valid([]byte(text)) {
		panic("a command of the matrix is no JSON: " + text)
	}
	return []byte(text)
}

// paths lists the ways the row's command can go.
func (r row) paths() []path {
	own := r.own()
	if !r.offered {
		return []path{{name: "not supported", commands: []command{own}, ends: []string{rejected}}}
	}
	if r.kind.Waits {
		return []path{{name: "waits until it is given up", commands: []command{own}, ends: []string{rejected}}}
	}
	all := []path{
		{name: "succeeds", ends: []string{succeeded}},
		{name: "declined once", review: true, faults: []simulator.Fault{{Mode: simulator.Decline, Times: 1}}, ends: []string{failed}},
		{name: "rate limited first", faults: []simulator.Fault{{Mode: simulator.RateLimit, Times: 1}}, ends: []string{succeeded}},
		{name: "no connection first", unreachable: true, ends: []string{succeeded}},
		{name: "answer lost, executed", faults: []simulator.Fault{{Mode: simulator.CutAfter, Times: 1}}, ends: []string{r.seen(succeeded)}},
		{name: "answer lost, not executed", faults: []simulator.Fault{{Mode: simulator.CutBefore, Times: 1}}, ends: []string{r.safe(succeeded)}},
		{name: "answer lost, repeat refused", hidden: true, faults: r.refusesRepeat(), ends: []string{r.unseen(succeeded)}},
		{name: "guard rejects", commands: []command{own.with(func(c *command) { c.envelope = `,"expirytime":"2039-12-31T00:00:00Z"` })}, ends: []string{rejected}},
		{name: "not a command", commands: []command{own.with(func(c *command) { c.broken, c.refused = true, true })}, ends: []string{refused}},
		{name: "repeated", commands: []command{own, own}, ends: []string{succeeded, succeeded}},
		{name: "key reused", commands: []command{own, own.with(r.differ)}, ends: []string{succeeded, refused}},
		r.inTheWay(),
	}
	all = append(all, r.special()...)
	all = append(all, r.ruled()...)
	if r.kind.Variant != "" {
		all = slices.DeleteFunc(all, func(p path) bool { return !r.differs(p) })
	}
	for i := range all {
		if all[i].commands == nil {
			all[i].commands = []command{own}
		}
	}
	return all
}

// differs reports whether a path of a variant may go another way than that of the
// kind's own account: nothing but what it can be asked is different there.
func (r row) differs(p path) bool {
	return strings.HasPrefix(p.name, "answer lost") || strings.HasPrefix(p.name, "reading") || p.name == "succeeds" || p.name == "ruled retry, executed"
}

// special is what not every row has.
func (r row) special() []path {
	var all []path
	if r.kind.Slow && r.name != cancel {
		all = append(all, path{name: "pending, then done", pending: true, ends: []string{succeeded}})
	}
	later := r.kind.DeclineLater
	if later != "" && r.op == payment.Refund {
		all = append(all, path{name: "pending, then failed", pending: true, faults: []simulator.Fault{{Mode: later}}, ends: []string{failed}})
	}
	if r.name == full || r.name == void {
		// A decline that leaves no trace, lost, is not found; the repeat is
		// declined too, and says nothing of the first.
		all = append(all, path{name: "declined always", review: true, faults: []simulator.Fault{{Mode: simulator.Decline}}, ends: []string{failed}})
	}
	if reads := r.reads(); reads != "" {
		all = append(all, path{
			name: "reading fails first", faults: []simulator.Fault{{Operation: reads, Mode: simulator.StatusBefore, Times: 1}},
			ends: []string{succeeded},
		})
	}
	if r.name == partial && r.kind.Name == simulators.Kinds()[0].Name { // once is enough
		all = append(all, path{
			name: "unknown provider", age: 4*time.Minute + 45*time.Second,
			commands: []command{r.own().with(func(c *command) { c.provider, c.refused = "nobody", true })}, ends: []string{refused},
		})
	}
	return all
}

// inTheWay is two operations of one payment: the first is held up.
func (r row) inTheWay() path {
	second := command{op: payment.Refund, amount: other, key: "second"}
	p := path{
		name: "in the way", commands: []command{r.own(), second},
		faults: []simulator.Fault{{Mode: simulator.RateLimit, Times: 1}}, ends: []string{succeeded, succeeded},
	}
	if r.op == payment.Cancel || r.full || r.kind.OneRefund {
		p.ends[1] = rejected // nothing is left to refund, or its one refund is used up
	}
	return p
}

// refusesRepeat has the first call's answer lost and the provider not find it.
func (r row) refusesRepeat() []simulator.Fault {
	asks := r.kind.Query
	if r.op == payment.Cancel {
		asks = r.kind.Read
	}
	if asks == "" {
		return []simulator.Fault{{Mode: simulator.CutAfter, Times: 1}}
	}
	return []simulator.Fault{{Mode: simulator.CutAfter, Times: 1}, {Operation: asks, Mode: simulator.Lag, Times: 3}}
}

// reads is what the simulator calls the preparing read, "" where there is none.
func (r row) reads() string {
	switch r.traits.Prepare {
	case payment.PrepareAlways, payment.PrepareHelpful:
		return r.kind.Read
	case payment.PrepareAmount:
		if r.full {
			return r.kind.Read
		}
	case payment.PrepareNever:
	}
	return ""
}

// seen is how an operation ends that was executed unheard: found out, unless
// its provider shows nothing of it.
func (r row) seen(end string) string {
	if r.kind.Blind && r.name == partial {
		return review
	}
	return end
}

// unseen is how it ends where the provider hides what it can.
func (r row) unseen(end string) string {
	if r.kind.Asked == simulator.InVain && r.name == partial {
		return review
	}
	return r.seen(end)
}

// safe is how an operation ends that was lost before it was executed: repeated,
// unless a repeat could pay twice.
func (r row) safe(end string) string {
	if r.traits.Repeat == payment.RepeatUnsafe {
		return review
	}
	return end
}

func (c command) with(change func(*command)) command {
	change(&c)
	return c
}

// differ makes another command under the same key.
func (r row) differ(c *command) {
	if c.op == payment.Refund {
		c.full, c.amount = false, other
		return
	}
	// A cancel has no content of its own but the payment: one more detail of it
	// is other content.
	c.details = `,"country":"GB"`
	if r.kind.Also["country"] != "" {
		c.details = fmt.Sprintf(`,"currency":%q`, r.kind.Currency)
	}
}

// slug is a name that fits into identifiers.
func slug(parts ...string) string {
	return strings.NewReplacer(" ", "-", ",", "").Replace(strings.Join(parts, "-"))
}
