package handlers_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/journal/memory"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/simulator"
)

// partial is the subject most tests use: an OPay refund of a part.
func partial(t *testing.T) (*setup, subject) {
	t.Helper()
	b := newSetup(t)
	s := named("opay refund partial")
	b.seed(s)
	return b, s
}

// named is a row of the lost-answer matrix.
func named(name string) subject {
	for _, s := range subjects() {
		if s.name == name {
			return s
		}
	}
	panic("no subject " + name)
}

// refunds counts the refund calls OPay has seen.
func (b *setup) refunds() int {
	n := 0
	for _, c := range b.opay.Calls() {
		if c.Operation == "refund" {
			n++
		}
	}
	return n
}

// types lists the journal's events as words, in order.
func (b *setup) types() string {
	b.t.Helper()
	all, err := b.journal.Events()
	if err != nil {
		b.t.Fatal(err)
	}
	var words []string
	for _, e := range all {
		words = append(words, string(e.Type))
	}
	return strings.Join(words, " ")
}

func TestACommandIsCarriedOutWithTwoAppendsAndOneCall(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	if out := b.deliver(b.command(s.op, s.data)); out.Kind != handlers.Ack {
		t.Fatalf("disposition %v, want ack", out.Kind)
	}
	if got := b.types(); got != "started succeeded" {
		t.Fatalf("events %q", got)
	}
	if n := b.refunds(); n != 1 {
		t.Fatalf("%d calls", n)
	}
}

func TestARepeatAddsNoEventAndNoCall(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	b.deliver(b.command(s.op, s.data))
	again := b.command(s.op, s.data)
	for _, redelivered := range []bool{false, true} {
		again.Redelivered = redelivered
		if out := b.deliver(again); out.Kind != handlers.Ack {
			t.Fatalf("disposition %v, want ack", out.Kind)
		}
	}
	if got := b.types(); got != "started succeeded" || b.refunds() != 1 {
		t.Fatalf("events %q, %d calls", got, b.refunds())
	}
}

func TestAMessageThatIsNoCommandIsKeptThenRejectedThenTerminated(t *testing.T) {
	t.Parallel()
	b := newSetup(t)
	d := b.command(payment.Refund, `{"idempotencyKey":"k","provider":"opay-eg","payment":{"orderId":"1","country":"EG"},"AMOUNT":{"value":1,"currency":"EGP"}}`)
	d.Header = map[string][]string{"Nats-Msg-Id": {"m"}} // the decoder does not see it
	b.quarantine.err = errors.New("away")
	if out := b.deliver(d); out.Kind != handlers.Redeliver {
		t.Fatalf("disposition %v while the quarantine is away, want redeliver", out.Kind)
	}
	if all, _ := b.journal.Rejections(); len(all) != 0 {
		t.Fatal("rejected before its bytes were kept")
	}
	b.quarantine.err = nil
	for range 2 { // the second time as if the termination had been lost
		if out := b.deliver(d); out.Kind != handlers.Terminate {
			t.Fatalf("disposition %v, want terminate", out.Kind)
		}
	}
	all, err := b.journal.Rejections()
	if err != nil || len(all) != 1 {
		t.Fatalf("%d rejections, %v", len(all), err)
	}
	r := all[0]
	if r.Code != payment.CodeInvalidCommand || r.CommandID == "" || len(r.Faults) < 2 || string(b.quarantine.kept[0].Message.Data) != string(d.Message.Data) {
		t.Fatalf("rejection %+v", r)
	}
	if diff := cmp.Diff(d.Header, b.quarantine.kept[0].Message.Header); diff != "" {
		t.Errorf("kept headers (-want +got):\n%s", diff)
	}
}

func TestWhatAKindNeedsIsNamedAllAtOnce(t *testing.T) {
	t.Parallel()
	b := newSetup(t)
	out := b.deliver(b.command(payment.Refund, `{"idempotencyKey":"k","provider":"opay-eg","payment":{"transactionId":"1"},"full":true}`))
	all, err := b.journal.Rejections()
	if err != nil || out.Kind != handlers.Terminate || len(all) != 1 {
		t.Fatalf("disposition %v, %d rejections, %v", out.Kind, len(all), err)
	}
	var where []string
	for _, f := range all[0].Faults {
		where = append(where, f.Pointer+" "+f.Rule)
	}
	if got := strings.Join(where, ", "); got != "/payment/orderId required, /payment/country required" {
		t.Fatalf("faults %q", got)
	}
}

func TestAKeyReusedForOtherContentRevealsNothingAndChangesNothing(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	b.deliver(b.command(s.op, s.data))
	other := strings.Replace(s.data, "400", "401", 1)
	if out := b.deliver(b.command(s.op, other)); out.Kind != handlers.Terminate {
		t.Fatalf("disposition %v, want terminate", out.Kind)
	}
	all, err := b.journal.Rejections()
	if err != nil || len(all) != 1 || all[0].Code != payment.CodeIdempotencyKeyReused || len(all[0].Faults) != 1 {
		t.Fatalf("rejections %+v, %v", all, err)
	}
	if got := b.types(); got != "started succeeded" {
		t.Fatalf("events %q", got)
	}
}

func TestAnUnknownProviderIsRetriedForFiveMinutesThenRejected(t *testing.T) {
	t.Parallel()
	b := newSetup(t)
	begin := b.clock.Now()
	out := b.deliver(b.command(payment.Cancel, `{"idempotencyKey":"k","provider":"nobody","payment":{"orderId":"1"}}`))
	if out.Kind != handlers.Later || !strings.Contains(out.Timer.Subject, ".nobody.=.") {
		t.Fatalf("disposition %+v", out)
	}
	b.drive(func() bool { return false })
	all, err := b.journal.Rejections()
	if err != nil || len(all) != 1 || all[0].Code != payment.CodeUnknownProvider {
		t.Fatalf("rejections %+v, %v", all, err)
	}
	if waited := b.clock.Now().Sub(begin); waited < 5*time.Minute || waited > 6*time.Minute {
		t.Fatalf("rejected after %s", waited)
	}
}

func TestAProviderThatWasRemovedKeepsItsPaymentsComingBack(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	b.deliver(b.command(s.op, s.data))
	b.handler = b.newHandler(b.journal, slices.DeleteFunc(slices.Clone(b.instances), func(i providers.Instance) bool { return i.Name == "opay-eg" }))
	b.deliver(b.command(payment.Refund, strings.Replace(s.data, key, "another-key", 1)))
	for range 50 {
		d, ok := b.next()
		if !ok {
			t.Fatal("the command was dropped")
		}
		if out := b.deliver(d); out.Kind != handlers.Later {
			t.Fatalf("disposition %v, want later", out.Kind)
		}
	}
}

func TestAConflictIsDecidedAnewAndNothingIsCalledTwice(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	rival := b.newHandler(b.journal.Writer(nil), b.instances)
	raced := false
	mine := b.journal.Writer(&memory.Options{Fault: func(try memory.Try) memory.Fault {
		if try.Event != nil && !raced {
			raced = true
			rival.Handle(context.Background(), b.command(s.op, s.data))
		}
		return memory.None
	}})
	b.handler = b.newHandler(mine, b.instances)
	if out := b.deliver(b.command(s.op, s.data)); out.Kind != handlers.Ack {
		t.Fatalf("disposition %v, want ack", out.Kind)
	}
	if got := b.types(); got != "started succeeded" || b.refunds() != 1 {
		t.Fatalf("events %q, %d calls", got, b.refunds())
	}
}

func TestNothingIsCalledWhenTheFateOfStartedIsUnknown(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]memory.Fault{"absent": memory.GiveUpAbsent, "stored": memory.GiveUpStored} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, s := partial(t)
			mine := b.journal.Writer(&memory.Options{Fault: func(try memory.Try) memory.Fault {
				if try.Number == 1 {
					return fault
				}
				return memory.None
			}})
			b.handler = b.newHandler(mine, b.instances)
			d := b.command(s.op, s.data)
			if out := b.deliver(d); out.Kind != handlers.Redeliver || b.refunds() != 0 {
				t.Fatalf("disposition %v with %d calls, want redeliver with none", out.Kind, b.refunds())
			}
			d.Redelivered = true
			b.deliver(d)
			b.drive(func() bool { return b.operation(s.id, s.op, key).Status.Terminal() })
			if n := b.opay.Ledger().Count("refund", s.id.Native); n != 1 || b.terminals(key) != 1 {
				t.Fatalf("money moved %d times, %d terminal results", n, b.terminals(key))
			}
		})
	}
}

func TestAStoreThatRefusesStopsThePullingAndLosesNothing(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	full := true
	mine := b.journal.Writer(&memory.Options{Fault: func(memory.Try) memory.Fault {
		if full {
			return memory.Refuse
		}
		return memory.None
	}})
	b.handler = b.newHandler(mine, b.instances)
	d := b.command(s.op, s.data)
	if out := b.deliver(d); out.Kind != handlers.Redeliver || !out.StopPulling {
		t.Fatalf("disposition %+v, want redeliver and stop pulling", out)
	}
	full = false
	d.Redelivered = true
	if out := b.deliver(d); out.Kind != handlers.Ack || b.refunds() != 1 {
		t.Fatalf("disposition %v with %d calls", out.Kind, b.refunds())
	}
}

func TestAKnownOutcomeIsKeptInHandUntilTheStoreTakesIt(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	refused := 0
	mine := b.journal.Writer(&memory.Options{Fault: func(try memory.Try) memory.Fault {
		if try.Event != nil && try.Event.Type == payment.EventSucceeded && refused < 1 {
			refused++
			return memory.Refuse
		}
		return memory.None
	}})
	b.handler = b.newHandler(mine, b.instances)
	if out := b.deliver(b.command(s.op, s.data)); out.Kind != handlers.Ack {
		t.Fatalf("disposition %v, want ack", out.Kind)
	}
	if got := b.types(); got != "started succeeded" || refused != 1 {
		t.Fatalf("events %q after %d refusals", got, refused)
	}
	if held := b.handler.InHand(); len(held) > 0 {
		t.Errorf("it was appended, and is still in hand: %+v", held)
	}
}

func TestWhatIsInHandIsNamedWhileTheStoreRefusesIt(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	var held []handlers.InHand
	refused := 0
	mine := b.journal.Writer(&memory.Options{Fault: func(try memory.Try) memory.Fault {
		if try.Event == nil || try.Event.Type != payment.EventSucceeded {
			return memory.None
		}
		if refused++; refused == 1 {
			return memory.Refuse
		}
		held = b.handler.InHand() // the next try, after the first was refused
		return memory.None
	}})
	b.handler = b.newHandler(mine, b.instances)
	if out := b.deliver(b.command(s.op, s.data)); out.Kind != handlers.Ack || len(held) != 1 {
		t.Fatalf("disposition %v, in hand %+v", out.Kind, held)
	}
	one := held[0]
	if one.Op != s.op || one.Attempt != 1 || one.Outcome != payment.Succeeded || one.Provider == "" || one.Payment == "" || one.Since.IsZero() {
		t.Errorf("in hand %+v", one)
	}
}

func TestAnOutcomeIsFoldedOntoWhatARivalWroteMeanwhile(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	b.stopAfterAnswer(s)
	if out := b.deliver(b.command(s.op, s.data)); out.Kind != handlers.Ack {
		t.Fatalf("disposition %v, want ack", out.Kind)
	}
	if n := b.terminals(key); n != 1 {
		t.Fatalf("%d terminal results (%s), want 1", n, b.types())
	}
	if strings.Contains(b.types(), "executed_late") {
		t.Fatalf("an answer that agrees went out as a fact: %s", b.types())
	}
}

// stopAfterAnswer makes the consumer stop between the provider's answer and the
// append, past callUntil, while another one finds out.
func (b *setup) stopAfterAnswer(s subject) {
	other := b.newHandler(b.journal.Writer(nil), b.instances)
	instances := append([]providers.Instance{}, b.instances...)
	for i := range instances {
		inner := instances[i].Provider
		instances[i].Provider = &afterAnswer{Provider: inner, then: func(r providers.Request) {
			again := b.command(s.op, s.data)
			again.Redelivered = true
			b.take(again, other.Handle(context.Background(), again))
			b.clock.advanceTo(r.SendBefore.Add(time.Second))
			if d, ok := b.next(); ok {
				b.take(d, other.Handle(context.Background(), d))
			}
		}}
	}
	b.handler = b.newHandler(b.journal, instances)
}

type afterAnswer struct {
	providers.Provider
	then func(providers.Request)
}

// Call answers late to its caller.
func (p *afterAnswer) Call(ctx context.Context, r providers.Request) payment.Outcome {
	out := p.Provider.Call(ctx, r)
	p.then(r)
	return out
}

// panicky panics where it is told to.
type panicky struct {
	providers.Provider
	calls int
}

// Call executes and then panics, as an adapter that chokes on an answer.
func (p *panicky) Call(ctx context.Context, r providers.Request) payment.Outcome {
	p.calls++
	p.Provider.Call(ctx, r)
	panic("the answer could not be read")
}

func TestAnAdapterThatPanicsLeavesDoubtAndTheTruthIsFound(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	instances := slices.Clone(b.instances)
	i := slices.IndexFunc(instances, func(i providers.Instance) bool { return i.Name == "opay-eg" })
	bad := &panicky{Provider: instances[i].Provider}
	instances[i].Provider = bad
	b.handler = b.newHandler(b.journal, instances)
	b.deliver(b.command(s.op, s.data))
	b.drive(func() bool { return b.operation(s.id, s.op, key).Status.Terminal() })
	op := b.operation(s.id, s.op, key)
	if op.Status != payment.StatusSucceeded || op.Basis != payment.BasisQuery || bad.calls != 1 {
		t.Fatalf("ended %s (%s) after %d calls", op.Status, op.Basis, bad.calls)
	}
}

// counted counts the calls that reach an adapter.
type counted struct {
	providers.Provider
	refunds, reads int
}

// Call counts and passes on.
func (p *counted) Call(ctx context.Context, r providers.Request) payment.Outcome {
	p.refunds++
	return p.Provider.Call(ctx, r)
}

// Read counts and passes on.
func (p *counted) Read(ctx context.Context, r providers.Request) payment.Reading {
	p.reads++
	return p.Provider.Read(ctx, r)
}

// counting wraps one instance's adapter, over another writer of the journal.
func (b *setup) counting(name string, j journal.Journal) *counted {
	instances := slices.Clone(b.instances)
	i := slices.IndexFunc(instances, func(i providers.Instance) bool { return i.Name == name })
	c := &counted{Provider: instances[i].Provider}
	instances[i].Provider = c
	b.handler = b.newHandler(j, instances)
	return c
}

func TestACallWhoseTimePassedDuringTheAppendIsNotMade(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	slow := b.journal.Writer(&memory.Options{Fault: func(try memory.Try) memory.Fault {
		if try.Event != nil && try.Event.Type == payment.EventStarted && try.Event.Attempt == 1 {
			b.clock.advanceTo(try.Event.CallUntil)
		}
		return memory.None
	}})
	c := b.counting("opay-eg", slow)
	b.deliver(b.command(s.op, s.data))
	if got := b.types(); got != "started deferred" || c.refunds != 0 {
		t.Fatalf("events %q after %d calls, want started deferred after none", got, c.refunds)
	}
}

func TestAReadingIsMadeAnewWhenARivalMovedThePayment(t *testing.T) {
	t.Parallel()
	b := newSetup(t)
	s := named("openpay (status full) refund partial")
	b.seed(s)
	rival := b.newHandler(b.journal.Writer(nil), b.instances)
	raced := false
	mine := b.journal.Writer(&memory.Options{Fault: func(try memory.Try) memory.Fault {
		if try.Event != nil && !raced {
			raced = true
			rival.Handle(context.Background(), b.command(s.op, strings.Replace(s.data, key, "rival-key", 1)))
		}
		return memory.None
	}})
	c := b.counting(s.id.Provider, mine)
	if out := b.deliver(b.command(s.op, s.data)); out.Kind != handlers.Ack {
		t.Fatalf("disposition %v, want ack", out.Kind)
	}
	if c.reads != 2 || c.refunds != 1 {
		t.Fatalf("%d reads and %d calls, want 2 and 1: a snapshot from before the rival compares wrongly", c.reads, c.refunds)
	}
}

func TestARepeatAsksTheProviderNothing(t *testing.T) {
	t.Parallel()
	b := newSetup(t)
	s := named("openpay (status full) refund full")
	b.seed(s)
	c := b.counting(s.id.Provider, b.journal)
	b.deliver(b.command(s.op, s.data))
	b.deliver(b.command(s.op, s.data))
	if c.reads != 1 || c.refunds != 1 {
		t.Fatalf("%d reads and %d calls for a command and its repeat, want one each", c.reads, c.refunds)
	}
}

// poisoned is a journal whose reading panics for one command's payment.
type poisoned struct {
	journal.Journal
	left int
}

// Append panics as long as it is told to.
func (p *poisoned) Append(ctx context.Context, expected uint64, e payment.Event) (uint64, error) {
	if p.left > 0 {
		p.left--
		panic("a bug")
	}
	return p.Journal.Append(ctx, expected, e)
}

func TestACommandThatPanicsFiveTimesIsRejectedWhereNothingWasBegun(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	b.handler = b.newHandler(&poisoned{Journal: b.journal, left: 5}, b.instances)
	if out := b.deliver(b.command(s.op, s.data)); out.Kind != handlers.Later || out.Timer.Panics != 1 {
		t.Fatalf("disposition %+v, want later with one panic", out)
	}
	b.drive(func() bool { return b.operation(s.id, s.op, key).Status.Terminal() })
	op := b.operation(s.id, s.op, key)
	if op.Status != payment.StatusRejected || op.Code != payment.CodeInternalError || b.refunds() != 0 {
		t.Fatalf("ended %s (%s) after %d calls", op.Status, op.Code, b.refunds())
	}
}

func TestAPanicLogsNoValueOfTheMessage(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	var log strings.Builder
	h := b.logging(&log, &poisoned{Journal: b.journal, left: 1})
	h.Handle(context.Background(), b.command(s.op, s.data))
	if !strings.Contains(log.String(), "panicked") || strings.Contains(log.String(), key) {
		t.Fatalf("log: %s", log.String())
	}
}

func TestATimerThatCannotBeUnderstoodStays(t *testing.T) {
	t.Parallel()
	b := newSetup(t)
	out := b.deliver(handlers.Delivery{
		Message: events.Message{Subject: "payment.due.refund", Data: []byte(`{"specversion":"9"}`)},
		Timer:   true, Hold: func(time.Time) {},
	})
	if out.Kind != handlers.Redeliver || out.Delay == 0 {
		t.Fatalf("disposition %+v, want redeliver with a delay", out)
	}
}

func TestAStateInANewerFormatComesBackLater(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	newer := b.journal.Writer(&memory.Options{ReadFault: func(payment.ID) error { return journal.ErrNewerFormat }})
	b.handler = b.newHandler(newer, b.instances)
	d := b.command(s.op, s.data)
	d.Redelivered = true
	if out := b.deliver(d); out.Kind != handlers.Later || b.refunds() != 0 {
		t.Fatalf("disposition %v with %d calls, want later with none", out.Kind, b.refunds())
	}
}

func TestOnePaymentAtATimeWithoutHoldingUpOthers(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	if err := b.opay.Fault(simulator.Fault{Operation: "refund", Payment: s.id.Native, Mode: simulator.Delay, Times: 1}); err != nil {
		t.Fatal(err)
	}
	first := make(chan handlers.Disposition)
	go func() { first <- b.handler.Handle(context.Background(), b.command(s.op, s.data)) }()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := b.opay.WaitCalls(ctx, 1); err != nil {
		t.Fatal(err)
	}
	same := b.command(s.op, strings.Replace(s.data, key, "second-key", 1))
	if out := b.handler.Handle(ctx, same); out.Kind != handlers.Later {
		t.Fatalf("the same payment: %v, want later", out.Kind)
	}
	other := named("openpay refund partial")
	b.seed(other)
	if out := b.handler.Handle(ctx, b.command(other.op, other.data)); out.Kind != handlers.Ack {
		t.Fatalf("another payment: %v, want ack", out.Kind)
	}
	b.opay.Release()
	if out := <-first; out.Kind != handlers.Ack {
		t.Fatalf("the first: %v, want ack", out.Kind)
	}
}

// A version that looked at the data alone has put the command off. The next version goes
// on with its timer, whatever type the command names, and takes no such command in itself.
func TestWhatAnEarlierVersionPutOffIsCarriedToItsEnd(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	d := b.command(s.op, s.data)
	d.Message.Data = bytes.Replace(d.Message.Data, []byte(`"data":`), []byte(`"datacontenttype":"text/plain","data":`), 1)
	for _, redelivered := range []bool{false, true} {
		again := d
		again.OriginSequence, again.Redelivered = b.sequence.Add(1), redelivered
		if out := b.deliver(again); out.Kind != handlers.Terminate || b.refunds() != 0 {
			t.Errorf("a command of that type ends in %v after %d calls; redelivered: %t", out.Kind, b.refunds(), redelivered)
		}
	}
	b.originals = holding(d) // what its timer is held against
	b.handler = b.newHandler(b.journal, b.instances)
	d.Message.Subject, d.Timer = events.DueSubject(s.op), true
	b.deliver(d)
	b.drive(func() bool { return b.operation(s.id, s.op, key).Status.Terminal() })
	if n := b.opay.Ledger().Count("refund", s.id.Native); n != 1 || b.terminals(key) != 1 {
		t.Errorf("money moved %d times, %d terminal results", n, b.terminals(key))
	}
}
