package payment_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
)

// The tests of the decision core speak in stories: one payment, brought step
// by step to where a case begins by the same two functions the service uses.

// morning is when every story begins; the first command was published then.
func morning() time.Time { return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) }

func inEGP(v int64) *payment.Money { return &payment.Money{Value: v, Currency: "EGP"} }
func inUSD(v int64) *payment.Money { return &payment.Money{Value: v, Currency: "USD"} }

const (
	ourAccount   = "account-one"
	otherAccount = "account-two"
)

// opay is a kind whose refunds go side by side and whose full refund names an
// amount, read at the provider where nobody said it.
func opay() payment.Traits {
	return payment.Traits{
		Kind: "opay", Identity: payment.IdentityOrder, RequiresCountry: true, Parallel: true, TellsEnded: true,
		Cancel:        payment.OperationTraits{Supported: true, Repeat: payment.RepeatHarmless},
		FullRefund:    payment.OperationTraits{Supported: true, Repeat: payment.RepeatRefused, Prepare: payment.PrepareAmount, NeedsAmount: true},
		PartialRefund: payment.OperationTraits{Supported: true, Repeat: payment.RepeatRefused},
	}
}

// tranzzo is a kind that compares with a snapshot and whose partial refund
// must never be repeated.
func tranzzo() payment.Traits {
	return payment.Traits{
		Kind: "tranzzo", Identity: payment.IdentityOrder, RequiresCurrency: true, TellsEnded: true,
		Cancel:        payment.OperationTraits{Supported: true, Repeat: payment.RepeatHarmless, Prepare: payment.PrepareAlways},
		FullRefund:    payment.OperationTraits{Supported: true, Repeat: payment.RepeatRefused, Prepare: payment.PrepareAlways},
		PartialRefund: payment.OperationTraits{Supported: true, Repeat: payment.RepeatUnsafe, Prepare: payment.PrepareAlways},
	}
}

// openpay is a kind without cancels whose partial refund must never be repeated.
func openpay() payment.Traits {
	return payment.Traits{
		Kind: "openpay", Identity: payment.IdentityTransaction, RequiresOrderID: true, MaxIdentifier: 32,
		FullRefund:    payment.OperationTraits{Supported: true, Repeat: payment.RepeatRefused},
		PartialRefund: payment.OperationTraits{Supported: true, Repeat: payment.RepeatUnsafe},
	}
}

// refund is a command for a partial refund; its key is its name.
func refund(key payment.Key, v int64) payment.Command {
	c := command(payment.Refund, key)
	c.Amount = inEGP(v)
	return c
}

func fullRefund(key payment.Key) payment.Command {
	c := command(payment.Refund, key)
	c.Full = true
	return c
}

func cancel(key payment.Key) payment.Command { return command(payment.Cancel, key) }

func command(op payment.Op, key payment.Key) payment.Command {
	return payment.Command{
		Op: op, Key: key, Provider: "shop",
		Payment: payment.Details{OrderID: "1001", TransactionID: "tx-1", Country: "EG", Currency: "EGP"},
		Origin:  payment.Origin{CommandID: "event-" + string(key), CommandSource: "/orders"}, Trace: payment.Trace{CorrelationID: "correlation-" + string(key)},
		RequestedAt: morning(),
	}
}

func captured(c payment.Command, v int64) payment.Command {
	c.Payment.CapturedAmount = inEGP(v)
	return c
}

func expiring(c payment.Command, after time.Duration) payment.Command {
	c.Expiry = morning().Add(after)
	return c
}

// paid is a reading of a payment that was captured and partly given back.
func paid(capturedValue, refunded int64) *payment.Reading {
	return &payment.Reading{OK: true, Status: payment.PaymentPaid, Captured: inEGP(capturedValue), Refunded: inEGP(refunded), At: morning()}
}

// story is one payment at one instance. Its steps apply what was decided.
type story struct {
	t      testing.TB
	in     payment.Input
	events []payment.Event
	last   payment.Decision
}

func tell(t testing.TB, traits payment.Traits) *story {
	return &story{t: t, in: payment.Input{
		ID: payment.ID{Provider: "shop", Native: "1001"}, Traits: traits,
		Instance: payment.Instance{Configured: true, Account: ourAccount, Policy: payment.DefaultPolicy()},
		Now:      morning(),
	}}
}

// pass lets time go by.
func (s *story) pass(d time.Duration) *story {
	s.in.Now = s.in.Now.Add(d)
	return s
}

// with changes what the next steps see.
func (s *story) with(change func(*payment.Input)) *story {
	change(&s.in)
	return s
}

// command is the message of an order service, first delivery or repeat.
func (s *story) command(c payment.Command) *story {
	s.in.Command, s.in.Timer = c, false
	return s.step(payment.Decide(s.in))
}

// timer is our own timer for the command last spoken of.
func (s *story) timer() *story {
	s.in.Timer = true
	return s.step(payment.Decide(s.in))
}

// answered is an outcome of attempt n's call.
func (s *story) answered(n int, out payment.Outcome) *story {
	return s.step(payment.Conclude(s.in, payment.Heard{Attempt: n, Outcome: out}))
}

// told is the outcome of a status query.
func (s *story) told(out payment.Outcome) *story {
	return s.step(payment.Conclude(s.in, payment.Heard{Query: true, Outcome: out}))
}

// about turns the story to another command without a step.
func (s *story) about(c payment.Command) *story {
	s.in.Command = c
	return s
}

func (s *story) step(d payment.Decision) *story {
	s.last = d
	if d.Event != nil {
		s.events = append(s.events, *d.Event)
		s.in.State = d.Event.State
	}
	return s
}

func (s *story) operation(c payment.Command) payment.Operation {
	s.t.Helper()
	i := s.in.State.Find(c.Op, c.Key)
	if i < 0 {
		s.t.Fatalf("no operation under key %s", c.Key)
	}
	return s.in.State.Operations[i]
}

// seen is what of a decision a case checks; instants are durations from now,
// empty where they are absent.
type seen struct {
	Action    payment.Action
	Code      payment.Code
	At        string
	Alert     bool
	Event     payment.EventType
	EventCode payment.Code
	Basis     payment.Basis
	Effect    payment.Effect
	Moved     int64
	Attempt   int
	CallUntil string
	Next      string
	Review    string
	Status    payment.Status
	Doubt     []int
}

// look reads a decision as a case sees it, and checks what holds of every one.
func look(t testing.TB, in payment.Input, d payment.Decision) seen {
	t.Helper()
	s := seen{Action: d.Action, Code: d.Code, At: from(in.Now, d.At), Alert: d.Alert != ""}
	e := d.Event
	if e == nil {
		return s
	}
	s.Event, s.EventCode, s.Basis, s.Effect, s.Attempt = e.Type, e.Code, e.Basis, e.Effect, e.Attempt
	s.CallUntil, s.Next = from(in.Now, e.CallUntil), from(in.Now, e.NextAttemptAt)
	if e.Moved != nil {
		s.Moved = e.Moved.Value
	}
	if e.Review != nil {
		s.Review = e.Review.Reason
	}
	if e.Version() != in.State.Version+1 {
		t.Errorf("version = %d, want one more than %d", e.Version(), in.State.Version)
	}
	if !e.OccurredAt.Equal(in.Now) {
		t.Errorf("occurredAt = %v, want now", e.OccurredAt)
	}
	op := e.State.Operations[e.State.Find(in.Command.Op, in.Command.Key)]
	s.Status = op.Status
	if op.Open != nil {
		s.Doubt = op.Open.Doubt
	}
	if op.Status.Terminal() != (op.Open == nil) {
		t.Errorf("a %s operation keeps open = %t", op.Status, op.Open != nil)
	}
	return s
}

func from(now, at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.Sub(now).String()
}

// undisturbed runs f and fails when it changed anything its input points at.
func undisturbed(t testing.TB, in payment.Input, f func(payment.Input) payment.Decision) payment.Decision {
	t.Helper()
	before := copied(in.State)
	d := f(in)
	if diff := cmp.Diff(before, in.State); diff != "" {
		t.Errorf("the state that was handed in has changed (-before +after):\n%s", diff)
	}
	return d
}

// copied is a deep copy, so that a write through a shared pointer shows.
func copied(s payment.State) payment.State {
	ops := s.Operations
	s.Captured = sameMoney(s.Captured)
	s.Operations = nil
	for _, op := range ops {
		op.Amount, op.Moved = sameMoney(op.Amount), sameMoney(op.Moved)
		if op.Open != nil {
			o := *op.Open
			o.Doubt = append([]int(nil), o.Doubt...)
			o.Payment.CapturedAmount = sameMoney(o.Payment.CapturedAmount)
			if o.Snapshot != nil {
				r := *o.Snapshot
				r.Captured, r.Refunded = sameMoney(r.Captured), sameMoney(r.Refunded)
				r.Movements = append([]payment.Movement(nil), r.Movements...)
				o.Snapshot = &r
			}
			if o.Review != nil {
				r := *o.Review
				r.SafeActions = append([]string(nil), r.SafeActions...)
				o.Review = &r
			}
			op.Open = &o
		}
		s.Operations = append(s.Operations, op)
	}
	return s
}

func sameMoney(m *payment.Money) *payment.Money {
	if m == nil {
		return nil
	}
	c := *m
	return &c
}
