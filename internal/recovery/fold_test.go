package recovery_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/recovery"
	"github.com/countermand/countermand/payment"
)

// book is one payment, told by the core, event by event.
type book struct {
	*bundle

	in payment.Input
}

// book opens a payment as the journal has it now.
func (b *bundle) book(n int) *book {
	b.t.Helper()
	last, err := b.journal.Last(b.t.Context(), id(n))
	if err != nil {
		b.t.Fatal(err)
	}
	refund := payment.OperationTraits{Supported: true, Repeat: payment.RepeatRefused, NeedsAmount: true}
	return &book{b, payment.Input{
		ID: id(n), State: last.State, Now: time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC),
		Traits:   payment.Traits{Kind: "opay", Parallel: true, FullRefund: refund, PartialRefund: refund},
		Instance: payment.Instance{Configured: true, Account: payment.AccountHash("opay", "host", "m"), Policy: payment.DefaultPolicy()},
	}}
}

func (k *book) add(d payment.Decision) *book {
	k.t.Helper()
	last, err := k.journal.Last(k.t.Context(), k.in.ID)
	if err != nil || d.Event == nil {
		k.t.Fatalf("%+v, %v", d, err)
	}
	if _, err := k.journal.Append(k.t.Context(), last.Sequence, *d.Event); err != nil {
		k.t.Fatal(err)
	}
	k.in.State = d.Event.State
	k.in.Now = k.in.Now.Add(time.Second)
	return k
}

// about names the command that the next steps are about.
func (k *book) about(key payment.Key) *book {
	at := time.Date(2026, 11, 30, 8, 59, 0, 0, time.UTC)
	k.in.Command = payment.Command{
		Op: payment.Refund, Key: key, Provider: k.in.ID.Provider, Amount: &payment.Money{Value: 400, Currency: "EGP"},
		Payment: payment.Details{OrderID: k.in.ID.Native, Country: "EG", Currency: "EGP"},
		Origin:  payment.Origin{CommandID: "c-" + string(key), CommandSource: "/orders"},
		Trace:   payment.Trace{CorrelationID: "order"}, RequestedAt: at,
	}
	return k
}

// command is what a shop asks for under a key.
func (k *book) command(key payment.Key) *book {
	k.about(key)
	return k.add(payment.Decide(k.in))
}

func (k *book) answered(r payment.Result, reference string) *book {
	return k.add(payment.Conclude(k.in, payment.Heard{Attempt: 1, Outcome: payment.Outcome{Result: r, ProviderReference: reference, Code: codeOf(r)}}))
}

func codeOf(r payment.Result) payment.Code {
	if r == payment.Failed {
		return payment.CodeDeclined
	}
	return ""
}

// presumed is the key's operation after a loss.
func (k *book) presumed(key payment.Key) *book {
	k.in.Loss = &payment.Loss{AcceptedAt: k.in.Now, CallsEnd: k.in.Now.Add(time.Minute)}
	return k.command(key)
}

// lostEnds is a journal whose payments have moved on since the loss, and its archive.
func (b *bundle) lostEnds() (path string) {
	b.t.Helper()
	b.book(0).command("first")
	b.book(5).command("called")
	back := b.older()
	b.book(0).about("first").answered(payment.Succeeded, "p-0")
	b.book(1).command("one").answered(payment.Succeeded, "p-1")
	b.book(1).command("two").answered(payment.Failed, "")
	b.book(2).command("one").answered(payment.Succeeded, "p-2")
	b.book(3).command("open")
	b.book(4).command("one").answered(payment.Succeeded, "p-4")
	b.book(5).about("called").answered(payment.Failed, "")
	path = b.archive()
	back()
	b.book(0).presumed("other")                                  // beside the lost end of another
	b.book(1).presumed("one").presumed("two")                    // and nobody has called since
	b.book(2).command("one").answered(payment.Failed, "")        // another end
	b.book(3).presumed("open")                                   // no end anywhere
	b.book(4).command("new").answered(payment.Succeeded, "p-41") // on the very subjects of the archive
	again := b.book(5).about("called").answered(payment.NotExecuted, "")
	again.in.Timer, again.in.Now = true, again.in.Now.Add(time.Hour)
	again.add(payment.Decide(again.in)) // called again
	return path
}

func TestAnArchivedEndIsToldWhereItsPaymentHasMovedOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := b.lostEnds()
	before, _ := b.messages()
	// Payments 0, 1, 1 and 4 have an end to tell. What is left: another end of 2, the
	// no of 5 from before a call, and the operation of 3 that has no end.
	want := map[string]int{recovery.Folded: 4, recovery.Passed: 4, recovery.Disagrees: 1, recovery.MovedOn: 2}
	count, rows, err := b.recover(b.journal, false, path)
	if err != nil || !maps.Equal(count, want) {
		t.Fatalf("dry run: %v, %v, want %v\n%+v", count, err, want, rows)
	}
	if after, _ := b.messages(); len(after) != len(before) {
		t.Fatal("the dry run has changed the journal")
	}
	for after := int64(1); ; after++ { // killed at each append, until it is not
		killed := &refusing{Journal: b.journal}
		killed.after.Store(after)
		_, _, err := b.recover(killed, true, path)
		if err == nil {
			break
		}
		if !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
	}
	after, recovered := b.messages()
	if len(after) != len(before)+4 || len(recovered) != 4 {
		t.Errorf("%d messages were added, %d name their old place, want 4", len(after)-len(before), len(recovered))
	}
	for subject, m := range before {
		if !slices.Equal(after[subject].Data, m.Data) {
			t.Errorf("%s has changed", subject)
		}
	}
	b.checkEnds()
	count, _, err = b.recover(b.journal, true, path)
	if want := map[string]int{recovery.Passed: 8, recovery.Disagrees: 1, recovery.MovedOn: 2}; err != nil || !maps.Equal(count, want) {
		t.Errorf("again: %v, %v, want %v", count, err, want)
	}
}

// checkEnds looks at what the journal says after the ends were told.
func (b *bundle) checkEnds() {
	b.t.Helper()
	for _, c := range []struct {
		n      int
		key    payment.Key
		status payment.Status
		basis  payment.Basis
	}{
		{0, "first", payment.StatusSucceeded, payment.BasisArchive},
		{0, "other", payment.StatusIndeterminate, ""},
		{1, "one", payment.StatusSucceeded, payment.BasisArchive},
		{1, "two", payment.StatusFailed, payment.BasisArchive},
		{2, "one", payment.StatusFailed, payment.BasisAnswer},
		{3, "open", payment.StatusIndeterminate, ""},
		{4, "one", payment.StatusSucceeded, payment.BasisArchive},
		{4, "new", payment.StatusSucceeded, payment.BasisAnswer},
		{5, "called", payment.StatusStarted, ""},
	} {
		last, err := b.journal.Last(b.t.Context(), id(c.n))
		if err != nil {
			b.t.Fatal(err)
		}
		i := last.State.Find(payment.Refund, c.key)
		if i < 0 || last.State.Operations[i].Status != c.status || last.State.Operations[i].Basis != c.basis {
			b.t.Errorf("payment %d, %s: %+v, want %s by %s", c.n, c.key, last.State.Operations, c.status, c.basis)
		}
	}
	all, _ := b.messages()
	for subject, m := range all {
		e, err := events.DecodeEvent(m)
		if err != nil {
			b.t.Fatal(err)
		}
		if e.Data.Basis == payment.BasisArchive && (e.Trace.CorrelationID != "order" || e.Data.CommandID == "" || !strings.HasPrefix(e.ID, subject)) {
			b.t.Errorf("%s names no command: %+v", subject, e)
		}
	}
}

func TestEndsThatArchivesDisagreeAboutAreLeft(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.book(0).command("first")
	back := b.older()
	var paths []string
	for _, r := range []payment.Result{payment.Succeeded, payment.Failed} {
		b.book(0).command("one").answered(r, "")
		paths = append(paths, b.archive())
		back()
	}
	b.book(0).presumed("one")
	count, _, err := b.recover(b.journal, true, paths...)
	if want := map[string]int{recovery.Ambiguous: 2, recovery.MovedOn: 2}; err != nil || !maps.Equal(count, want) {
		t.Errorf("%v, %v, want %v", count, err, want)
	}
}
