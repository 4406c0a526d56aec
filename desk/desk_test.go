package desk_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/journal/journaltest"
	"github.com/countermand/countermand/journal/memory"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

var (
	now   = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	id    = payment.ID{Provider: "openpay-eu", Native: "529-1-2"}
	alice = desk.Operator{Name: "alice", Identity: desk.IdentityNATS}
	bob   = desk.Operator{Name: "bob", Identity: desk.IdentityNATS}
)

// kind is a provider of which only the traits matter here.
type kind struct {
	providers.Provider

	partial payment.Repeat
}

func (k kind) Traits() payment.Traits {
	return payment.Traits{Kind: "openpay", PartialRefund: payment.OperationTraits{Supported: true, Repeat: k.partial}}
}

// index lists what it is told to.
type index []payment.ID

func (x index) Open(context.Context) ([]payment.ID, bool, error) { return x, true, nil }

// service notes what is carried out, and what the journal held then.
type service struct {
	journal *memory.Journal
	rulings []handlers.Ruling
	asked   int
	audits  int // in the journal when the last was carried out
	err     error
}

func (s *service) Resolve(_ context.Context, r handlers.Ruling) (journal.Record, error) {
	s.note()
	s.rulings = append(s.rulings, r)
	return journal.Record{State: payment.State{Version: r.Version + 1, Operations: []payment.Operation{{
		Op: r.Op, KeyHash: r.Key.Hash(), Status: payment.StatusSucceeded,
	}}}}, s.err
}

func (s *service) Ask(context.Context, payment.ID, payment.Op, payment.Key) (handlers.Answer, error) {
	s.note()
	s.asked++
	return handlers.Answer{Outcome: payment.Outcome{Result: payment.Ambiguous, Message: "card 4111 1111 1111 1111"}}, s.err
}

func (s *service) Requery(context.Context, payment.ID, payment.Op, payment.Key) (handlers.Requeried, error) {
	s.note()
	s.asked++
	return handlers.Requeried{Asked: true, Answer: payment.Failed, Event: payment.EventReturned}, s.err
}

func (s *service) note() {
	all, err := s.journal.Actions()
	if err != nil {
		panic(err) // it holds what was appended
	}
	s.audits = len(all)
}

// bundle is a desk on a journal in memory with one refund that needs a person.
type bundle struct {
	t       *testing.T
	desk    *desk.Desk
	journal *memory.Journal
	service *service
	index   index
	set     *providers.Set
	o       desk.Options
	passed  atomic.Int64 // of time
}

// options makes the desk anew, with other options.
func (b *bundle) options(change func(*desk.Options)) {
	b.t.Helper()
	if change != nil {
		change(&b.o)
	}
	var err error
	if b.desk, err = desk.New(b.journal, b.index, b.service, b.set, &b.o); err != nil {
		b.t.Fatal(err)
	}
}

// pass lets time pass.
func (b *bundle) pass(d time.Duration) { b.passed.Add(int64(d)) }

// content is the fingerprint of the payment's one operation.
func (b *bundle) content() string {
	b.t.Helper()
	rec, err := b.journal.Last(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return rec.State.Operations[0].Fingerprint
}

// setup gives the journal one event of each state; a fault breaks its appends.
func setup(t *testing.T, repeat payment.Repeat, above []payment.Money, fault func(memory.Try) memory.Fault, states ...payment.Event) *bundle {
	t.Helper()
	root := memory.New(nil)
	var ids index
	for _, e := range states {
		if _, err := root.Append(t.Context(), 0, e); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ID)
	}
	set, err := providers.NewSet(providers.Instance{Name: id.Provider, Kind: "openpay", Account: "account", Provider: kind{partial: repeat}})
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{t: t, journal: root.Writer(&memory.Options{Fault: fault}), service: &service{journal: root}, index: ids, set: set}
	var n atomic.Int64
	b.o = desk.Options{
		SecondPersonAbove: above, Now: func() time.Time { return now.Add(time.Duration(b.passed.Load())) },
		IDs: func() string { return fmt.Sprintf("01J8Z3N9Q8K6M2V4T7R5W1%04d", n.Add(1)) },
	}
	b.options(nil)
	return b
}

// inReview is a payment whose one refund needs a person since then.
func inReview(id payment.ID, amount int64, since time.Time) payment.Event {
	e := journaltest.Event(id, 1, "w")
	e.Type = payment.EventIndeterminate
	e.Payment = payment.Details{TransactionID: id.Native, Currency: "EUR"}
	e.Amount = &payment.Money{Value: amount, Currency: "EUR"}
	op := &e.State.Operations[0]
	op.Status, op.Amount = payment.StatusIndeterminate, e.Amount
	op.Open.Account, op.Open.CallUntil, op.Open.Doubt = "account", time.Time{}, []int{1}
	op.Open.Review = &payment.Review{Reason: "not_found_and_repeat_unsafe", Since: since, Question: "Was it made?"}
	e.Review = op.Open.Review
	return e
}

// view is the payment's story with a complete ruling on it.
func (b *bundle) view(as desk.As) (*desk.Story, desk.Ruling) {
	b.t.Helper()
	s, err := b.desk.Payment(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	o := s.Operations[0]
	r := desk.Ruling{
		Provider: s.Provider, Payment: s.Payment, Operation: o.Operation, Key: o.Key, Version: s.Version, Seen: s.Seen,
		As: as, Reason: "asked the provider", Evidence: "ticket 4711",
	}
	if as == desk.AsSucceeded {
		r.Moved, r.ProviderReference = &payment.Money{Value: 400, Currency: "EUR"}, "rf-1"
	}
	return s, r
}

// outcomes are the audit events, each as action and outcome.
func (b *bundle) outcomes() []string {
	b.t.Helper()
	all, err := b.journal.Actions()
	if err != nil {
		b.t.Fatal(err)
	}
	var list []string
	for _, a := range all {
		list = append(list, strings.TrimSpace(a.Operator+" "+a.Action+" "+a.Outcome))
	}
	return list
}

func faultOf(err error) desk.Fault {
	var no *desk.Error
	if errors.As(err, &no) {
		return no.Fault
	}
	return ""
}

func one(since time.Duration) payment.Event { return inReview(id, 400, now.Add(-since)) }

func TestARulingIsRecordedBeforeItIsCarriedOut(t *testing.T) {
	t.Parallel()
	b := setup(t, payment.RepeatUnsafe, nil, nil, one(time.Hour))
	_, r := b.view(desk.AsSucceeded)
	done, err := b.desk.Resolve(t.Context(), alice, r)
	if err != nil || !done.Applied || done.Version != 2 || done.Status != payment.StatusSucceeded {
		t.Fatalf("done %+v, %v", done, err)
	}
	want := handlers.Ruling{ID: id, Op: payment.Refund, Key: r.Key, Version: 1, Resolution: payment.Resolution{
		Verdict: payment.VerdictSucceeded, Seen: now, Testimony: payment.Testimony{Moved: r.Moved, ProviderReference: "rf-1"},
		Resolved: payment.ResolvedBy{Operator: "alice", Reason: "asked the provider", Evidence: "ticket 4711"},
	}}
	if diff := cmp.Diff([]handlers.Ruling{want}, b.service.rulings); diff != "" {
		t.Errorf("carried out (-want +got):\n%s", diff)
	}
	if b.service.audits != 1 {
		t.Errorf("%d audit events lay in the journal when it was carried out, want 1", b.service.audits)
	}
}

func TestWithoutItsRecordNothingIsDone(t *testing.T) {
	t.Parallel()
	for _, fault := range []memory.Fault{memory.Refuse, memory.GiveUpAbsent, memory.GiveUpStored} {
		b := setup(t, payment.RepeatUnsafe, nil, func(memory.Try) memory.Fault { return fault }, one(time.Hour))
		_, r := b.view(desk.AsFailed)
		if _, err := b.desk.Resolve(t.Context(), alice, r); faultOf(err) != desk.FaultUnavailable {
			t.Errorf("fault %d: resolve ended in %v", fault, err)
		}
		if _, err := b.desk.Ask(t.Context(), alice, id, payment.Refund, r.Key); faultOf(err) != desk.FaultUnavailable {
			t.Errorf("fault %d: ask ended in %v", fault, err)
		}
		if _, err := b.desk.Requery(t.Context(), alice, requeryOf(r.Key)); faultOf(err) != desk.FaultUnavailable {
			t.Errorf("fault %d: look ended in %v", fault, err)
		}
		if _, err := b.desk.Audit(t.Context(), alice, payment.OperatorAction{Action: "reveal", Token: "7-0", Reason: "why"}); faultOf(err) != desk.FaultUnavailable {
			t.Errorf("fault %d: audit ended in %v", fault, err)
		}
		if len(b.service.rulings) != 0 || b.service.asked != 0 {
			t.Errorf("fault %d: it was done all the same", fault)
		}
	}
}

// referring spoils a ruling's reference.
func referring(to string) func(*desk.Ruling) {
	return func(r *desk.Ruling) { r.ProviderReference = to }
}

func TestARulingThatLacksWhatItNeedsIsRefusedAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		as    desk.As
		spoil func(*desk.Ruling)
		want  desk.Fault
	}{
		"no reason":                    {desk.AsFailed, func(r *desk.Ruling) { r.Reason = " " }, desk.FaultInvalid},
		"no evidence":                  {desk.AsFailed, func(r *desk.Ruling) { r.Evidence = "" }, desk.FaultInvalid},
		"a reason of two lines":        {desk.AsFailed, func(r *desk.Ruling) { r.Reason = "a\nb" }, desk.FaultInvalid},
		"a reason too long":            {desk.AsFailed, func(r *desk.Ruling) { r.Reason = strings.Repeat("a", 201) }, desk.FaultInvalid},
		"no ruling":                    {"", nil, desk.FaultInvalid},
		"no version":                   {desk.AsFailed, func(r *desk.Ruling) { r.Version = 0 }, desk.FaultInvalid},
		"no time of the view":          {desk.AsFailed, func(r *desk.Ruling) { r.Seen = time.Time{} }, desk.FaultInvalid},
		"a view later than now":        {desk.AsFailed, func(r *desk.Ruling) { r.Seen = now.Add(time.Minute) }, desk.FaultInvalid},
		"another version":              {desk.AsFailed, func(r *desk.Ruling) { r.Version = 2 }, desk.FaultStale},
		"another key":                  {desk.AsFailed, func(r *desk.Ruling) { r.Key = "other" }, desk.FaultNotFound},
		"another payment":              {desk.AsFailed, func(r *desk.Ruling) { r.Payment = "other" }, desk.FaultNotFound},
		"a payment with a space":       {desk.AsFailed, func(r *desk.Ruling) { r.Payment = "a b" }, desk.FaultInvalid},
		"succeeded without an amount":  {desk.AsSucceeded, func(r *desk.Ruling) { r.Moved = nil }, desk.FaultInvalid},
		"succeeded without reference":  {desk.AsSucceeded, func(r *desk.Ruling) { r.ProviderReference = "" }, desk.FaultInvalid},
		"succeeded in other money":     {desk.AsSucceeded, func(r *desk.Ruling) { r.Moved = &payment.Money{Value: 400, Currency: "USD"} }, desk.FaultInvalid},
		"succeeded with a card number": {desk.AsSucceeded, func(r *desk.Ruling) { r.ProviderReference = "4111111111111111" }, desk.FaultInvalid},
		"succeeded with an order of letters turned in the reference": {desk.AsSucceeded, referring("rf\u202e9\u200b"), desk.FaultInvalid},
		"succeeded with a person for reference":                      {desk.AsSucceeded, referring("Olena Kovalenko olena@example.org +380441234567"), desk.FaultInvalid},
		"succeeded with a space behind the reference":                {desk.AsSucceeded, referring("rf-9 "), desk.FaultInvalid},
		"succeeded with a line break in the reference":               {desk.AsSucceeded, referring("rf-9\n"), desk.FaultInvalid},
		"succeeded with a name for reference":                        {desk.AsSucceeded, referring("Kovalenko"), desk.FaultInvalid},
		"succeeded with an account number":                           {desk.AsSucceeded, referring("GB33BUKB20201555555555"), desk.FaultInvalid},
		"succeeded with a card number in the reference":              {desk.AsSucceeded, referring("rf-4111111111111111"), desk.FaultInvalid},
		"succeeded with a reference too long":                        {desk.AsSucceeded, referring(strings.Repeat("9", 129)), desk.FaultInvalid},
		"failed with an amount":                                      {desk.AsFailed, func(r *desk.Ruling) { r.Moved = &payment.Money{Value: 1, Currency: "EUR"} }, desk.FaultInvalid},
		"a retry unconfirmed":                                        {desk.AsRetry, nil, desk.FaultRefused},
		"a retry of less":                                            {desk.AsRetry, func(r *desk.Ruling) { r.ConfirmAmount = &payment.Money{Value: 40, Currency: "EUR"} }, desk.FaultRefused},
		"a retry in other money":                                     {desk.AsRetry, func(r *desk.Ruling) { r.ConfirmAmount = &payment.Money{Value: 400, Currency: "USD"} }, desk.FaultRefused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, payment.RepeatUnsafe, nil, nil, one(time.Hour))
			_, r := b.view(c.as)
			if c.spoil != nil {
				c.spoil(&r)
			}
			if _, err := b.desk.Resolve(t.Context(), alice, r); faultOf(err) != c.want {
				t.Errorf("ended in %v, want %s", err, c.want)
			}
			if len(b.service.rulings) != 0 || len(b.outcomes()) != 0 {
				t.Errorf("carried out %v, recorded %v", b.service.rulings, b.outcomes())
			}
		})
	}
	b := setup(t, payment.RepeatUnsafe, nil, nil, one(time.Hour))
	_, r := b.view(desk.AsFailed)
	for _, nobody := range []desk.Operator{{}, {Name: "alice"}, {Identity: desk.IdentityNATS}} {
		if _, err := b.desk.Resolve(t.Context(), nobody, r); err == nil || len(b.service.rulings) != 0 {
			t.Errorf("%+v has ruled", nobody)
		}
	}
}

func TestARetryNeedsNoConfirmationWhereItCannotPayTwice(t *testing.T) {
	t.Parallel()
	deferred := one(time.Hour)
	op := &deferred.State.Operations[0]
	op.Status, op.Open.Doubt = payment.StatusDeferred, nil
	for name, c := range map[string]struct {
		repeat payment.Repeat
		event  payment.Event
	}{
		"the provider refuses a repeat":   {payment.RepeatRefused, one(time.Hour)},
		"a repeat is harmless":            {payment.RepeatHarmless, one(time.Hour)},
		"nothing was executed, certainly": {payment.RepeatUnsafe, deferred},
	} {
		b := setup(t, c.repeat, nil, nil, c.event)
		_, r := b.view(desk.AsRetry)
		if done, err := b.desk.Resolve(t.Context(), alice, r); err != nil || !done.Applied {
			t.Errorf("%s: %+v, %v", name, done, err)
		}
	}
	moved := one(time.Hour)
	moved.State.Operations[0].Open.Account = "another"
	b := setup(t, payment.RepeatHarmless, nil, nil, moved)
	_, r := b.view(desk.AsRetry)
	if _, err := b.desk.Resolve(t.Context(), alice, r); faultOf(err) != desk.FaultRefused {
		t.Errorf("at another account: %v", err)
	}
}

func TestNothingIsRuledWhileACallMayBeUnderWay(t *testing.T) {
	t.Parallel()
	e := one(time.Hour)
	op := &e.State.Operations[0]
	op.Status, op.Open.Doubt, op.Open.CallUntil = payment.StatusStarted, nil, now.Add(time.Second)
	b := setup(t, payment.RepeatUnsafe, nil, nil, e)
	_, r := b.view(desk.AsFailed)
	_, err := b.desk.Resolve(t.Context(), alice, r)
	var no *desk.Error
	if !errors.As(err, &no) || no.Fault != desk.FaultUnderWay || !no.Until.Equal(now.Add(time.Second)) {
		t.Errorf("ended in %v", err)
	}
}

func TestAboveTheSetAmountTwoOperatorsHaveToRuleTheSame(t *testing.T) {
	t.Parallel()
	b := setup(t, payment.RepeatUnsafe, []payment.Money{{Value: 399, Currency: "EUR"}}, nil, one(time.Hour))
	_, r := b.view(desk.AsSucceeded)
	done, err := b.desk.Resolve(t.Context(), alice, r)
	if err != nil || done.Applied || !done.AwaitsSecond || len(b.service.rulings) != 0 {
		t.Fatalf("the first: %+v, %v", done, err)
	}
	if _, err := b.desk.Resolve(t.Context(), alice, r); faultOf(err) != desk.FaultForbidden {
		t.Errorf("the same operator again: %v", err)
	}
	other := r
	other.Moved = &payment.Money{Value: 300, Currency: "EUR"}
	other.ConfirmAmount = other.Moved
	if done, err := b.desk.Resolve(t.Context(), bob, other); err != nil || done.Applied {
		t.Errorf("a second who rules otherwise: %+v, %v", done, err)
	}
	s, _ := b.view(desk.AsSucceeded)
	if p := s.Operations[0].Proposals; len(p) != 2 || p[0].Operator != "alice" || p[1].Moved.Value != 300 {
		t.Errorf("shown as waiting: %+v", p)
	}
	r.Reason = "bob's own"
	done, err = b.desk.Resolve(t.Context(), bob, r)
	if err != nil || !done.Applied || len(b.service.rulings) != 1 || b.service.rulings[0].Resolution.Resolved.Operator != "alice and bob" {
		t.Fatalf("the second: %+v, %v, %+v", done, err, b.service.rulings)
	}
	if diff := cmp.Diff([]string{"alice propose", "bob propose", "bob resolve"}, b.outcomes()); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
	small := setup(t, payment.RepeatUnsafe, []payment.Money{{Value: 400, Currency: "EUR"}, {Value: 1, Currency: "USD"}}, nil, one(time.Hour))
	_, r = small.view(desk.AsSucceeded)
	if done, err := small.desk.Resolve(t.Context(), alice, r); err != nil || !done.Applied {
		t.Errorf("not above: %+v, %v", done, err)
	}
}

// oneCancel is a payment whose one cancel needs a person; 400 are at risk.
func oneCancel() payment.Event {
	e := one(time.Hour)
	e.Op, e.Amount = payment.Cancel, nil
	op := &e.State.Operations[0]
	op.Op, op.Amount = payment.Cancel, nil
	e.State.Captured = &payment.Money{Value: 400, Currency: "EUR"}
	return e
}

func TestOfACancelItIsRuledWhatItDid(t *testing.T) {
	t.Parallel()
	four := &payment.Money{Value: 400, Currency: "EUR"}
	for name, c := range map[string]struct {
		as     desk.As
		effect payment.Effect
		moved  *payment.Money
		want   payment.Effect // of what is carried out
		no     desk.Fault
	}{
		"nothing said":           {as: desk.AsSucceeded, want: payment.EffectClosed},
		"voided":                 {as: desk.AsSucceeded, effect: payment.EffectVoided, want: payment.EffectVoided},
		"none":                   {as: desk.AsSucceeded, effect: payment.EffectNone, want: payment.EffectNone},
		"refunded":               {as: desk.AsSucceeded, effect: payment.EffectRefunded, moved: four, want: payment.EffectRefunded},
		"refunded, not how much": {as: desk.AsSucceeded, effect: payment.EffectRefunded, no: desk.FaultInvalid},
		"voided with money":      {as: desk.AsSucceeded, effect: payment.EffectVoided, moved: four, no: desk.FaultInvalid},
		"no word of ours":        {as: desk.AsSucceeded, effect: "gone", no: desk.FaultInvalid},
		"failed with an effect":  {as: desk.AsFailed, effect: payment.EffectVoided, no: desk.FaultInvalid},
		"failed":                 {as: desk.AsFailed},
	} {
		b := setup(t, payment.RepeatUnsafe, nil, nil, oneCancel())
		s, r := b.view(c.as)
		if got := s.Operations[0].Choices[0].Effects; len(got) != 4 || got[0] != payment.EffectClosed {
			t.Errorf("%s: effects %v are offered", name, got)
		}
		r.Effect, r.Moved, r.ProviderReference = c.effect, c.moved, ""
		if c.moved != nil {
			r.ProviderReference = "rf-1"
		}
		_, err := b.desk.Resolve(t.Context(), alice, r)
		if faultOf(err) != c.no || (err == nil) != (c.no == "") {
			t.Errorf("%s: ended in %v, want %q", name, err, c.no)
		}
		if c.no != "" {
			if len(b.service.rulings) != 0 || len(b.outcomes()) != 0 {
				t.Errorf("%s: carried out %v, recorded %v", name, b.service.rulings, b.outcomes())
			}
			continue
		}
		actions, err := b.journal.Actions()
		if err != nil {
			t.Fatal(err)
		}
		if got := b.service.rulings[0].Resolution.Effect; got != c.want || actions[0].Effect != c.want {
			t.Errorf("%s: carried out with effect %q, recorded with %q, want %q", name, got, actions[0].Effect, c.want)
		}
	}
	b := setup(t, payment.RepeatUnsafe, nil, nil, one(time.Hour))
	s, r := b.view(desk.AsSucceeded)
	r.Effect = payment.EffectRefunded
	if _, err := b.desk.Resolve(t.Context(), alice, r); faultOf(err) != desk.FaultInvalid || len(s.Operations[0].Choices[0].Effects) != 0 {
		t.Errorf("an effect of a refund: %v", err)
	}
}

func TestTwoOperatorsRuleTheSameOfACancelOnlyWithTheSameEffect(t *testing.T) {
	t.Parallel()
	b := setup(t, payment.RepeatUnsafe, []payment.Money{{Value: 399, Currency: "EUR"}}, nil, oneCancel())
	_, r := b.view(desk.AsSucceeded)
	r.Effect, r.Moved, r.ProviderReference = payment.EffectVoided, nil, ""
	if done, err := b.desk.Resolve(t.Context(), alice, r); err != nil || !done.AwaitsSecond {
		t.Fatalf("the first: %+v, %v", done, err)
	}
	r.Effect = payment.EffectNone
	if done, err := b.desk.Resolve(t.Context(), bob, r); err != nil || done.Applied {
		t.Errorf("a second with another effect: %+v, %v", done, err)
	}
	r.Effect = payment.EffectVoided
	if done, err := b.desk.Resolve(t.Context(), bob, r); err != nil || !done.Applied || b.service.rulings[0].Resolution.Effect != payment.EffectVoided {
		t.Errorf("a second with the same: %+v, %v", done, err)
	}
}

func TestADryRunChecksEverythingAndLeavesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, payment.RepeatUnsafe, nil, nil, one(time.Hour))
	_, r := b.view(desk.AsRetry)
	r.DryRun = true
	if _, err := b.desk.Resolve(t.Context(), alice, r); faultOf(err) != desk.FaultRefused {
		t.Errorf("an unconfirmed retry: %v", err)
	}
	r.ConfirmAmount = &payment.Money{Value: 400, Currency: "EUR"}
	if done, err := b.desk.Resolve(t.Context(), alice, r); err != nil || done.Applied || done.Audit != "" {
		t.Errorf("done %+v, %v", done, err)
	}
	if len(b.service.rulings) != 0 || len(b.outcomes()) != 0 {
		t.Errorf("carried out %v, recorded %v", b.service.rulings, b.outcomes())
	}
}

func TestWhatCameToNothingIsRecordedAndTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want desk.Fault
		then string
	}{
		"a rival was first":    {&handlers.RefusedError{Stale: true}, desk.FaultStale, "refused"},
		"a call is under way":  {&handlers.RefusedError{Code: payment.CodeWaitingForOperation}, desk.FaultUnderWay, "refused"},
		"the core refuses":     {&handlers.RefusedError{Code: payment.CodeAlreadyRefunded}, desk.FaultRefused, "refused"},
		"the provider is away": {&handlers.RefusedError{Code: payment.CodeProviderUnavailable}, desk.FaultUnavailable, "refused"},
		"the fate is unknown":  {fmt.Errorf("append: %w", journal.ErrUnknown), desk.FaultUnknown, "unknown"},
		"the journal is full":  {journal.ErrStoreRefuses, desk.FaultUnavailable, "refused"},
	} {
		b := setup(t, payment.RepeatUnsafe, nil, nil, one(time.Hour))
		b.service.err = c.err
		_, r := b.view(desk.AsFailed)
		if _, err := b.desk.Resolve(t.Context(), alice, r); faultOf(err) != c.want {
			t.Errorf("%s: told %v, want %s", name, err, c.want)
		}
		if diff := cmp.Diff([]string{"alice resolve", "alice resolve " + c.then}, b.outcomes()); diff != "" {
			t.Errorf("%s: recorded (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatAProviderSaysIsMasked(t *testing.T) {
	t.Parallel()
	b := setup(t, payment.RepeatUnsafe, nil, nil, one(time.Hour))
	reply, err := b.desk.Ask(t.Context(), alice, id, payment.Refund, "order-1001-return-1")
	if err != nil || reply.Clear || reply.Result != "ambiguous" || strings.Contains(reply.Message, "4111") {
		t.Errorf("reply %+v, %v", reply, err)
	}
	if b.service.audits != 1 {
		t.Errorf("%d audit events before the question, want 1", b.service.audits)
	}
}

func TestTheQueueShowsTheLongestWaitingAndOfTheSameHourTheLargestFirst(t *testing.T) {
	t.Parallel()
	named := func(name string) payment.ID { return payment.ID{Provider: id.Provider, Native: name} }
	b := setup(
		t, payment.RepeatUnsafe, nil, nil,
		inReview(named("young"), 999, now.Add(-time.Minute)), inReview(named("small"), 1, now.Add(-3*time.Hour)),
		inReview(named("large"), 500, now.Add(-3*time.Hour+10*time.Minute)), journaltest.Event(named("runs"), 1, "w"),
	)
	for name, c := range map[string]struct {
		filter desk.Filter
		want   []string
		total  int
	}{
		"all":         {desk.Filter{}, []string{"large", "small", "young"}, 3},
		"old":         {desk.Filter{OlderThan: time.Hour}, []string{"large", "small"}, 2},
		"large":       {desk.Filter{MinAmount: 500, Currency: "EUR"}, []string{"large", "young"}, 2},
		"other money": {desk.Filter{Currency: "USD"}, nil, 0},
		"elsewhere":   {desk.Filter{Provider: "opay-eg"}, nil, 0},
		"limited":     {desk.Filter{Limit: 1}, []string{"large"}, 3},
	} {
		q, err := b.desk.Queue(t.Context(), c.filter)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, i := range q.Items {
			got = append(got, i.Payment)
		}
		if diff := cmp.Diff(c.want, got); diff != "" || q.Total != c.total || !q.Complete {
			t.Errorf("%s: total %d, complete %t (-want +got):\n%s", name, q.Total, q.Complete, diff)
		}
	}
	if _, err := b.desk.Queue(t.Context(), desk.Filter{MinAmount: 1}); faultOf(err) != desk.FaultInvalid {
		t.Errorf("an amount without a currency: %v", err)
	}
}
