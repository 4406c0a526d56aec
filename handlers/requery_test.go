package handlers_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/simulator"
)

// carriedOut brings a subject to its end.
func carriedOut(t *testing.T, name string, faults ...simulator.Fault) (*setup, subject) {
	t.Helper()
	b := newSetup(t)
	s := named(name)
	base := b.seed(s)
	for _, f := range faults {
		if err := base.Fault(f); err != nil {
			t.Fatal(err)
		}
	}
	b.deliver(b.command(s.op, s.data))
	b.drive(func() bool { return b.terminals(key) > 0 })
	return b, s
}

func (b *setup) requery(s subject) handlers.Requeried {
	b.t.Helper()
	out, err := b.handler.Requery(context.Background(), s.id, s.op, key, &scheduler{b: b})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// reference is what the provider was told as our reference.
func (b *setup) reference() string {
	b.t.Helper()
	all, err := b.journal.Events()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range all {
		if e.ClientReference != "" {
			return e.ClientReference
		}
	}
	b.t.Fatal("no event has a reference")
	return ""
}

func TestARefundThatCameBackIsToldOnce(t *testing.T) {
	t.Parallel()
	b, s := carriedOut(t, "opay refund partial")
	if out := b.requery(s); !out.Asked || out.Answer != payment.Succeeded || out.Event != "" || out.Later {
		t.Errorf("a refund that stands: %+v", out)
	}
	if err := b.opay.Return(b.reference()); err != nil {
		t.Fatal(err)
	}
	if out := b.requery(s); out.Event != payment.EventReturned || out.Answer != payment.Failed {
		t.Errorf("a refund that came back: %+v", out)
	}
	if out := b.requery(s); out.Event != "" || out.Asked {
		t.Errorf("told already: %+v", out)
	}
	if got, want := b.types(), "started succeeded returned"; got != want {
		t.Errorf("the journal says %q, want %q", got, want)
	}
	if b.refunds() != 1 {
		t.Errorf("%d refund calls, want 1", b.refunds())
	}
}

func TestWhatWasCalledFailedAndWentThroughIsToldOnce(t *testing.T) {
	t.Parallel()
	b, s := carriedOut(t, "opay refund partial", simulator.Fault{Operation: "refund", Mode: simulator.Decline, Times: 1})
	if err := b.opay.ExecuteLate(b.reference()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b.requery(s)
	}
	if got, want := b.types(), "started failed executed_late"; got != want {
		t.Errorf("the journal says %q, want %q", got, want)
	}
	all, err := b.journal.Events()
	if err != nil {
		t.Fatal(err)
	}
	last := all[len(all)-1]
	if last.Moved == nil || last.Moved.Value != 400 || last.Basis != payment.BasisQuery || last.Key != key || last.CommandID != "e-1" {
		t.Errorf("the fact says %+v", last)
	}
}

func TestTheListingTellsThatARefundCameBack(t *testing.T) {
	t.Parallel()
	b, s := carriedOut(t, "tranzzo refund partial")
	if err := b.tranzzo.Return(s.id.Native); err != nil {
		t.Fatal(err)
	}
	if out := b.requery(s); out.Event != payment.EventReturned {
		t.Errorf("%+v", out)
	}
}

func TestATransactionTellsThatItsRefundFailedLate(t *testing.T) {
	t.Parallel()
	b, s := carriedOut(t, "bento refund partial")
	if out := b.requery(s); out.Event != "" || out.Answer != payment.Succeeded {
		t.Errorf("a refund that stands: %+v", out)
	}
	if err := b.bento.SetState(s.id.Native, "RefundFailed"); err != nil {
		t.Fatal(err)
	}
	if out := b.requery(s); out.Event != payment.EventReturned {
		t.Errorf("%+v", out)
	}
}

func TestAKindThatCannotTellOfWhatHasEndedIsNotAsked(t *testing.T) {
	t.Parallel()
	b, s := carriedOut(t, "openpay refund full")
	calls := len(b.openpay.Calls())
	if out := b.requery(s); out.Asked || len(b.openpay.Calls()) != calls {
		t.Errorf("%+v, %d calls more", out, len(b.openpay.Calls())-calls)
	}
}

func TestARequeryBringsAnOpenOperationsNextQuestionForward(t *testing.T) {
	t.Parallel()
	b := newSetup(t)
	s := named("opay refund partial")
	if err := b.seed(s).Fault(simulator.Fault{Operation: "refund", Mode: opaysim.StayPending, Times: 1}); err != nil {
		t.Fatal(err)
	}
	b.deliver(b.command(s.op, s.data))
	if out := b.requery(s); !out.Asked || out.Event != "" || out.Later {
		t.Errorf("still pending: %+v", out)
	}
	if len(b.timers) != 1 {
		t.Fatalf("%d timers, want the operation's one", len(b.timers))
	}
	if err := b.opay.Settle(b.reference()); err != nil {
		t.Fatal(err)
	}
	if out := b.requery(s); out.Event != payment.EventSucceeded {
		t.Errorf("settled: %+v", out)
	}
	b.drive(func() bool { return false }) // the timer that is left finds it ended
	if got, want := b.types(), "started pending succeeded"; got != want {
		t.Errorf("the journal says %q, want %q", got, want)
	}
}

// A rival that asks at the same time is told the same, and appends it first.
func TestARequeryThatARivalForestalledSaysNoEvent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault simulator.Fault
		turn  func(*setup) error
		event payment.EventType
		left  string
	}{
		"a fact": {
			turn:  func(b *setup) error { return b.opay.Return(b.reference()) },
			event: payment.EventReturned, left: "started succeeded returned",
		},
		"a result": {
			fault: simulator.Fault{Operation: "refund", Mode: opaysim.StayPending, Times: 1},
			turn:  func(b *setup) error { return b.opay.Settle(b.reference()) },
			event: payment.EventSucceeded, left: "started pending succeeded",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newSetup(t)
			s := named("opay refund partial")
			if base := b.seed(s); c.fault.Mode != "" {
				if err := base.Fault(c.fault); err != nil {
					t.Fatal(err)
				}
			}
			b.deliver(b.command(s.op, s.data))
			if err := c.turn(b); err != nil {
				t.Fatal(err)
			}
			var rival handlers.Requeried
			first := &onAppend{Journal: b.journal.Writer(nil), do: func() { rival = b.requery(s) }}
			out, err := b.newHandler(first, b.instances).Requery(t.Context(), s.id, s.op, key, &scheduler{b: b})
			if err != nil || !out.Asked || out.Event != "" {
				t.Errorf("%+v, %v; want asked, and no event: the rival appended it", out, err)
			}
			if rival.Event != c.event || b.types() != c.left {
				t.Errorf("the rival says %q and the journal %q, want %q and %q", rival.Event, b.types(), c.event, c.left)
			}
		})
	}
}

func TestARequerySaysItsOwnEventAlsoBehindARivals(t *testing.T) {
	t.Parallel()
	b, s := carriedOut(t, "opay refund partial")
	if err := b.opay.Return(b.reference()); err != nil {
		t.Fatal(err)
	}
	first := &onAppend{Journal: b.journal.Writer(nil), do: func() {
		b.deliver(b.command(s.op, strings.Replace(s.data, key, "rival-key", 1)))
	}}
	out, err := b.newHandler(first, b.instances).Requery(t.Context(), s.id, s.op, key, &scheduler{b: b})
	if err != nil || out.Event != payment.EventReturned {
		t.Errorf("%+v, %v", out, err)
	}
	if got, want := b.types(), "started succeeded started succeeded returned"; got != want {
		t.Errorf("the journal says %q, want %q", got, want)
	}
}

func TestARequeryThatHadNoAnswerIsForLater(t *testing.T) {
	t.Parallel()
	b, s := carriedOut(t, "opay refund partial")
	if err := b.opay.Fault(simulator.Fault{Operation: "query", Mode: simulator.CutBefore, Times: 1}); err != nil {
		t.Fatal(err)
	}
	if out := b.requery(s); !out.Asked || !out.Later || out.Event != "" {
		t.Errorf("%+v", out)
	}
}

func TestWhatCannotBeRequeriedIsNotAskedAbout(t *testing.T) {
	t.Parallel()
	b, s := carriedOut(t, "opay refund partial")
	calls := len(b.opay.Calls())
	var elsewhere []providers.Instance
	for _, in := range b.instances {
		in.Account += "-another"
		elsewhere = append(elsewhere, in)
	}
	unknown := s.id
	unknown.Native = "unknown"
	gone := s.id
	gone.Provider = "gone"
	for name, requery := range map[string]func() (handlers.Requeried, error){
		"another key":     func() (handlers.Requeried, error) { return b.handler.Requery(t.Context(), s.id, s.op, "other", nil) },
		"another payment": func() (handlers.Requeried, error) { return b.handler.Requery(t.Context(), unknown, s.op, key, nil) },
		"no instance":     func() (handlers.Requeried, error) { return b.handler.Requery(t.Context(), gone, s.op, key, nil) },
		"another account": func() (handlers.Requeried, error) {
			return b.newHandler(b.journal, elsewhere).Requery(t.Context(), s.id, s.op, key, nil)
		},
	} {
		if out, err := requery(); err != nil || out.Asked || out.Later {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
	if more := len(b.opay.Calls()) - calls; more != 0 {
		t.Errorf("%d calls more", more)
	}
}

// silent tells no stories.
type silent struct{}

func (silent) History(context.Context, payment.ID) ([]events.Entry, bool, error) {
	return nil, true, nil
}

func TestAnOperationWithoutAStoryIsAnError(t *testing.T) {
	t.Parallel()
	b, s := carriedOut(t, "opay refund partial")
	set, err := providers.NewSet(b.instances...)
	if err != nil {
		t.Fatal(err)
	}
	for _, history := range []handlers.History{nil, silent{}} {
		h, err := handlers.New(b.journal, set, b.quarantine, events.NewEncoder(nil), &handlers.Options{Now: time.Now, History: history})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Requery(t.Context(), s.id, s.op, key, nil); !errors.Is(err, handlers.ErrNoHistory) {
			t.Errorf("with %T: %v", history, err)
		}
	}
}

func TestANotificationIsAboutTheOperationItsReferenceNames(t *testing.T) {
	t.Parallel()
	b, s := carriedOut(t, "opay refund partial")
	reference := b.reference()
	if err := b.opay.Return(reference); err != nil {
		t.Fatal(err)
	}
	calls := len(b.opay.Calls())
	for name, c := range map[string]struct {
		id        payment.ID
		reference string
	}{
		"another reference": {s.id, "another"},
		"another payment":   {payment.ID{Provider: s.id.Provider, Native: "unknown"}, reference},
		"another provider":  {payment.ID{Provider: "gone", Native: s.id.Native}, reference},
	} {
		if found, err := b.handler.Notified(t.Context(), c.id, c.reference, &scheduler{b: b}); found || err != nil {
			t.Errorf("%s: %t, %v", name, found, err)
		}
	}
	if more := len(b.opay.Calls()) - calls; more != 0 {
		t.Errorf("%d calls more", more)
	}
	for _, named := range []string{reference, s.id.Native, ""} {
		if found, err := b.handler.Notified(t.Context(), s.id, named, &scheduler{b: b}); !found || err != nil {
			t.Errorf("reference %q: %t, %v", named, found, err)
		}
	}
	if got, want := b.types(), "started succeeded returned"; got != want {
		t.Errorf("the journal says %q, want %q", got, want)
	}
}

func TestALateRequeryReadsTheOperationOutOfItsResult(t *testing.T) {
	t.Parallel()
	b, s := carriedOut(t, "opay refund partial")
	all, err := b.journal.Events()
	if err != nil {
		t.Fatal(err)
	}
	result, err := events.NewEncoder(nil).EncodeEvent(all[len(all)-1])
	if err != nil {
		t.Fatal(err)
	}
	if err := b.opay.Return(b.reference()); err != nil {
		t.Fatal(err)
	}
	out, err := b.handler.RequeryLate(t.Context(), result, &scheduler{b: b})
	if err != nil || !out.Fact() || out.Op != s.op || out.Key != key {
		t.Errorf("%+v, %v", out, err)
	}
	for _, broken := range []events.Message{{Subject: result.Subject, Data: []byte("{")}, {Subject: "payment.refund.succeeded.x", Data: result.Data}} {
		if _, err := b.handler.RequeryLate(t.Context(), broken, nil); !errors.Is(err, handlers.ErrNoHistory) {
			t.Errorf("%s: %v", broken.Subject, err)
		}
	}
}
