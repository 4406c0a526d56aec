package desk_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
)

// lookAt asks about the operation under a key.
func requeryOf(key payment.Key) desk.Requery {
	return desk.Requery{Provider: id.Provider, Payment: id.Native, Operation: payment.Refund, Key: key, Reason: "the statement differs"}
}

func TestARequeryIsRecordedBeforeTheProviderIsAsked(t *testing.T) {
	t.Parallel()
	b := setup(t, payment.RepeatUnsafe, nil, nil, one(time.Hour))
	_, r := b.view(desk.AsFailed)
	got, err := b.desk.Requery(t.Context(), alice, requeryOf(r.Key))
	if err != nil {
		t.Fatal(err)
	}
	want := &desk.Requeried{Audit: got.Audit, Asked: true, Answer: "failed", Event: payment.EventReturned}
	if diff := cmp.Diff(want, got); diff != "" || got.Audit == "" {
		t.Error(diff)
	}
	all, err := b.journal.Actions()
	if err != nil || len(all) != 1 || b.service.audits != 1 {
		t.Fatalf("%d records, %d of them when the provider was asked, %v", len(all), b.service.audits, err)
	}
	if a := all[0]; a.Action != desk.ActionRequery || a.Operator != alice.Name || a.Reason != "the statement differs" || a.Key != r.Key || a.ID != id {
		t.Errorf("recorded %+v", a)
	}
}

func TestARequeryThatNamesNothingLeavesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, payment.RepeatUnsafe, nil, nil, one(time.Hour))
	_, r := b.view(desk.AsFailed)
	with := func(change func(*desk.Requery)) desk.Requery {
		l := requeryOf(r.Key)
		change(&l)
		return l
	}
	for name, c := range map[string]struct {
		look desk.Requery
		who  desk.Operator
		want desk.Fault
	}{
		"no reason":       {with(func(l *desk.Requery) { l.Reason = " " }), alice, desk.FaultInvalid},
		"long reason":     {with(func(l *desk.Requery) { l.Reason = strings.Repeat("x", 201) }), alice, desk.FaultInvalid},
		"no provider":     {with(func(l *desk.Requery) { l.Provider = "" }), alice, desk.FaultInvalid},
		"no operation":    {with(func(l *desk.Requery) { l.Operation = "" }), alice, desk.FaultInvalid},
		"another key":     {with(func(l *desk.Requery) { l.Key = "other" }), alice, desk.FaultNotFound},
		"another payment": {with(func(l *desk.Requery) { l.Payment = "other" }), alice, desk.FaultNotFound},
		"nobody":          {requeryOf(r.Key), desk.Operator{}, desk.FaultForbidden},
	} {
		if _, err := b.desk.Requery(t.Context(), c.who, c.look); faultOf(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if all, err := b.journal.Actions(); err != nil || len(all) != 0 || b.service.asked != 0 {
		t.Errorf("%d records, asked %d times, %v", len(all), b.service.asked, err)
	}
}

func TestARequeryThatCannotBeMadeSaysWhetherToTryAgain(t *testing.T) {
	t.Parallel()
	for want, cause := range map[desk.Fault]error{
		desk.FaultUnavailable: errors.New("the journal is away"),
		desk.FaultRefused:     fmt.Errorf("requery: %w", handlers.ErrNoHistory),
	} {
		b := setup(t, payment.RepeatUnsafe, nil, nil, one(time.Hour))
		_, r := b.view(desk.AsFailed)
		b.service.err = cause
		if _, err := b.desk.Requery(t.Context(), alice, requeryOf(r.Key)); faultOf(err) != want {
			t.Errorf("%v: %v, want %s", cause, err, want)
		}
	}
}
