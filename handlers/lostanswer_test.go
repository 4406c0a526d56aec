package handlers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/simulators"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/kinds"
	"github.com/countermand/countermand/providers/simulator"
)

// subject is one row of the matrix: an operation at a provider.
type subject struct {
	name string
	op   payment.Op
	id   payment.ID
	data string
	in   simulator.State // of the payment; empty: as the operation wants it
	// cannotTell: an interrupted call of unknown fate ends before a person.
	cannotTell bool
	// knowsOnlyYes: asking finds what was executed, and cannot tell that nothing
	// was: an interrupted call that never ran ends before a person.
	knowsOnlyYes bool
	// notSilent: before executing, a cut is told from after by asking.
	movesMoney bool
	// waits: nothing can be done there, so it is given up in the end.
	waits bool
	// dim: asking never shows a refund of the whole, or nobody can be asked.
	dim bool
}

const key = "order-1-return-1"

// subjects are all operations at all kinds, at the payment of that kind's that
// each simulator begins with.
func subjects() []subject {
	var all []subject
	for _, k := range simulators.Accounts() {
		id := payment.ID{Provider: k.Instance, Native: k.Names()[0]}
		for n, o := range k.Operations() {
			s := subject{name: k.Title() + " " + string(o), op: payment.Refund, id: id, in: simulator.StateFor(o), movesMoney: !k.Waits, waits: k.Waits}
			more := ""
			switch o {
			case simulator.Cancel, simulator.Void:
				if n == 0 {
					s.name = k.Title() + " cancel"
				}
				s.op, s.movesMoney = payment.Cancel, false
			case simulator.FullRefund:
				s.name, more = k.Title()+" refund full", `,"full":true`
				s.dim, s.knowsOnlyYes = k.Dim || k.Asked == simulator.Never, k.FullRepeat == simulator.Unsafe
			case simulator.PartialRefund:
				s.name, more = k.Title()+" refund partial", fmt.Sprintf(`,"amount":{"value":400,"currency":%q}`, k.Currency)
				s.cannotTell, s.knowsOnlyYes = k.Blind, k.PartRepeat == simulator.Unsafe && !k.Blind
			}
			s.data = dataOf(k, more)
			all = append(all, s)
		}
	}
	return all
}

// dataOf is a command's data about that payment.
func dataOf(k simulator.Kind, more string) string {
	ids, err := json.Marshal(k.Identifiers(k.Names()[0]))
	if err != nil {
		panic(err) // texts
	}
	return fmt.Sprintf(`{"idempotencyKey":%q,"provider":%q,"payment":%s%s}`, key, k.Instance, ids, more)
}

// interruption is one column: how the first call's answer is lost.
type interruption struct {
	name string
	mode simulator.Mode
	// release runs what the simulator held back, once the handler has given up.
	release bool
	stopped bool
	// certain: the caller knows that nothing left, so nothing is in doubt.
	certain bool
}

func interruptions() []interruption {
	return []interruption{
		{name: "cut before", mode: simulator.CutBefore},
		{name: "cut after", mode: simulator.CutAfter},
		{name: "timeout, then late execution", mode: simulator.Delay, release: true},
		{name: "cut, then late execution", mode: simulator.Late, release: true},
		{name: "5xx after execution", mode: simulator.StatusAfter},
		{name: "garbage after execution", mode: simulator.GarbageAfter},
		{name: "stopped past callUntil, woken", stopped: true, certain: true},
	}
}

// The lost-answer matrix. Every cell is judged by the simulator's own ledger.
func TestAnInterruptedCallFindsTheTruthAndNeverMovesMoneyTwice(t *testing.T) {
	t.Parallel()
	rows, columns := subjects(), interruptions()
	lines := make([]string, len(rows)*len(columns))
	t.Run("matrix", func(t *testing.T) {
		t.Parallel()
		for i, s := range rows {
			for j, how := range columns {
				t.Run(s.name+"/"+how.name, func(t *testing.T) {
					t.Parallel()
					lines[i*len(columns)+j] = cell(t, s, how)
				})
			}
		}
	})
	t.Cleanup(func() {
		var table strings.Builder
		w := tabwriter.NewWriter(&table, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "operation\tinterruption\toutcome\tbasis\tcode\tcalls\tmoney moved")
		for _, line := range lines {
			fmt.Fprintln(w, line)
		}
		_ = w.Flush() // into memory
		t.Logf("lost-answer matrix:\n%s", table.String())
	})
}

// cell plays one cell and returns its line.
func cell(t *testing.T, s subject, how interruption) string {
	b := newSetup(t)
	if how.mode == simulator.Delay {
		b.hasty()
	}
	if s.waits {
		b.impatient()
	}
	base := b.seed(s)
	if how.stopped {
		b.stopFirstCall(s)
	} else if err := base.Fault(simulator.Fault{Operation: string(s.op), Mode: how.mode, Times: 1}); err != nil {
		t.Fatal(err)
	}
	b.deliver(b.command(s.op, s.data))
	asked := 0
	b.drive(func() bool {
		if how.release && asked == 1 {
			base.Release() // late: after the first look, before the next
		}
		asked++
		op := b.operation(s.id, s.op, key)
		return op.Status.Terminal() || (op.Open != nil && op.Open.Review != nil)
	})
	op := b.operation(s.id, s.op, key)
	calls := 0
	for _, c := range base.Calls() {
		if c.Operation == string(s.op) {
			calls++
		}
	}
	moved := base.Ledger().Count(string(payment.Refund), s.id.Native)
	b.judge(s, how, op, moved)
	outcome := string(op.Status)
	if op.Open != nil && op.Open.Review != nil {
		outcome = "reviewRequired"
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%d\t%d", s.name, how.name, outcome, op.Basis, op.Code, calls, moved)
}

// judge checks a cell against the ledger.
func (b *setup) judge(s subject, how interruption, op payment.Operation, moved int) {
	b.t.Helper()
	if moved > 1 {
		b.t.Fatalf("money moved %d times", moved)
	}
	if s.waits {
		if op.Status != payment.StatusRejected || op.Attempt != 0 || b.terminals(key) != 1 {
			b.t.Fatalf("ended %s after %d attempts, want it given up without a call", op.Status, op.Attempt)
		}
		return
	}
	if how.stopped && op.Attempt != 2 {
		b.t.Fatalf("ended by attempt %d, want 2: what slept past its time must not be sent", op.Attempt)
	}
	if (s.cannotTell || (s.knowsOnlyYes && how.mode == simulator.CutBefore)) && !how.certain {
		if op.Open == nil || op.Open.Review == nil || op.Status != payment.StatusIndeterminate {
			b.t.Fatalf("ended %s, want reviewRequired: nobody but a person can tell", op.Status)
		}
		if n := b.terminals(key); n != 0 {
			b.t.Fatalf("%d terminal results while in doubt", n)
		}
		if s.knowsOnlyYes && moved != 0 {
			b.t.Fatalf("before a person, and money moved %d times", moved)
		}
		return
	}
	if op.Status != payment.StatusSucceeded {
		b.t.Fatalf("ended %s (%s), want succeeded", op.Status, op.Code)
	}
	if s.movesMoney && moved != 1 {
		b.t.Fatalf("called succeeded, and money moved %d times", moved)
	}
	if n := b.terminals(key); n != 1 {
		b.t.Fatalf("%d terminal results, want 1", n)
	}
}

// seed gives the subject's payment to its simulator.
func (b *setup) seed(s subject) *simulator.Base {
	b.t.Helper()
	all := simulators.Accounts()
	k := all[slices.IndexFunc(all, func(k simulator.Kind) bool { return k.Instance == s.id.Provider })]
	state := s.in
	if state == "" && s.op == payment.Cancel {
		state = k.Cancels[0]
	}
	base := b.bases[k.Instance]
	if err := base.Seed(k.Seed(s.id.Native, 40000, state)); err != nil {
		b.t.Fatal(err)
	}
	return base
}

// stopFirstCall makes the consumer stop between its started event and the
// send, as SIGSTOP would. Meanwhile the message is delivered to another
// consumer, the first one's time runs out, and the other one looks. Then the
// first wakes and goes on to send.
func (b *setup) stopFirstCall(s subject) {
	other := b.newHandler(b.journal.Writer(nil), b.instances)
	instances := append([]providers.Instance{}, b.instances...)
	for i := range instances {
		if instances[i].Name == s.id.Provider {
			instances[i].Provider = &sleeper{Provider: instances[i].Provider, asleep: func(r providers.Request) {
				again := b.command(s.op, s.data)
				again.Redelivered = true
				b.take(again, other.Handle(context.Background(), again))
				b.clock.advanceTo(b.clock.Now().Add(b.instances[0].Policy.CallTimeout + payment.DefaultPolicy().CallMargin + time.Second))
				d, ok := b.next()
				if !ok {
					b.t.Error("the redelivered message left no timer")
					return
				}
				b.take(d, other.Handle(context.Background(), d))
			}}
		}
	}
	b.handler = b.newHandler(b.journal, instances)
}

// sleeper sleeps before its first call.
type sleeper struct {
	providers.Provider
	asleep func(providers.Request)
	slept  bool
}

func (p *sleeper) sleep(r providers.Request) {
	if !p.slept {
		p.slept = true
		p.asleep(r)
	}
}

// Call sleeps, then sends.
func (p *sleeper) Call(ctx context.Context, r providers.Request) payment.Outcome {
	p.sleep(r)
	return p.Provider.Call(ctx, r)
}

var _ handlers.Quarantine = (*quarantine)(nil)

func TestTheLostAnswerMatrixHasRowsOfEveryKind(t *testing.T) {
	t.Parallel()
	for _, k := range kinds.All() {
		if !slices.ContainsFunc(subjects(), func(s subject) bool { return strings.HasPrefix(s.name, k.Name+" ") }) {
			t.Errorf("lost-answer matrix: no row is of %s", k.Name)
		}
	}
}
