package payment_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/providertest"
)

// storedStates are states as a journal holds them: one of each status.
func storedStates(f *testing.F) [][]byte {
	f.Helper()
	var list [][]byte
	for _, story := range []*story{
		tell(f, opay()).command(captured(refund("a", 400), 40000)),
		tell(f, opay()).command(refund("a", 400)).answered(1, payment.Outcome{}),
		tell(f, opay()).command(refund("a", 400)).answered(1, payment.Outcome{Result: payment.Pending}),
		tell(f, opay()).command(refund("a", 400)).answered(1, payment.Outcome{Result: payment.NotExecuted, Code: payment.CodeProviderUnavailable}),
		tell(f, opay()).command(refund("a", 400)).answered(1, payment.Outcome{Result: payment.Succeeded, Effect: payment.EffectRefunded, Moved: inEGP(400)}),
		tell(f, opay()).command(refund("a", 400)).answered(1, payment.Outcome{}).told(payment.Outcome{Result: payment.Ambiguous}),
		tell(f, opay()).command(cancel("a")).answered(1, payment.Outcome{Result: payment.Failed}),
	} {
		text, err := json.Marshal(story.in.State)
		if err != nil {
			f.Fatal(err)
		}
		list = append(list, text)
	}
	return list
}

// FuzzAnyStoredStateIsDecidedCarefully: whatever a stored state says, nothing
// panics, what is decided on is not changed, and an operation it knows is called
// again only where it is deferred.
func FuzzAnyStoredStateIsDecidedCarefully(f *testing.F) {
	scripts := providertest.Scripts(30)
	for _, text := range storedStates(f) {
		f.Add(text, []byte{}, uint32(0))
		for i, script := range scripts {
			f.Add(text, script, uint32(i*37))
		}
	}
	words := []string{
		`"started"`, `"deferred"`, `"pending"`, `"indeterminate"`, `"succeeded"`, `"failed"`, `"rejected"`, `"paused"`, `"refund"`, `"cancel"`,
		`400`, `9223372036854775807`, `-9223372036854775808`, `"EGP"`, `"USD"`, `"account-two"`, `"2026-03-02T09:00:00Z"`, `"0001-01-01T00:00:00Z"`, `"9999-12-31T23:59:59Z"`,
	}
	f.Fuzz(func(t *testing.T, text, script []byte, how uint32) {
		var state payment.State
		if json.Unmarshal(providertest.Reshape(text, script, words...), &state) != nil {
			return // the journal refuses it
		}
		commands := []payment.Command{refund("a", 400), cancel("a"), fullRefund("b"), captured(refund("b", 1), 2)}
		traits := []payment.Traits{opay(), tranzzo(), openpay()}
		s := tell(t, traits[how/4%3]).pass(time.Duration(how%7919) * time.Minute)
		s.in.State, s.in.Command, s.in.Timer = state, commands[how%4], how&16 != 0
		s.in.Instance.Paused, s.in.Instance.Breaker = how&32 != 0, payment.Breaker(how/64%3)
		s.in.Requery = how&512 != 0
		if how&256 != 0 {
			s.in.Reading = paid(40000, 0)
		}
		careful(t, s.in, undisturbed(t, s.in, payment.Decide))
		for result := payment.Indeterminate; result <= payment.Ambiguous; result++ {
			for _, heard := range []payment.Heard{{Attempt: 1}, {Query: true}} {
				heard.Outcome = payment.Outcome{Result: result, Moved: inEGP(400)}
				undisturbed(t, s.in, func(in payment.Input) payment.Decision { return payment.Conclude(in, heard) })
			}
		}
		s.in.Resolution = &payment.Resolution{Seen: s.in.Now}
		undisturbed(t, s.in, payment.Decide)
	})
}

// careful: a call follows its own started event, and no operation that is known
// is called but a deferred one.
func careful(t *testing.T, in payment.Input, d payment.Decision) {
	t.Helper()
	if d.Action != payment.Call {
		return
	}
	if d.Event == nil || d.Event.Type != payment.EventStarted || !d.Event.CallUntil.After(in.Now) || d.Event.Version() != in.State.Version+1 {
		t.Fatalf("a call without its started: %+v", d.Event)
	}
	if i := in.State.Find(in.Command.Op, in.Command.Key); i >= 0 {
		op := in.State.Operations[i]
		if op.Status != payment.StatusDeferred || op.InDoubt() || op.Fingerprint != in.Command.Fingerprint() {
			t.Fatalf("an operation is called again that is %+v", op)
		}
	}
}
