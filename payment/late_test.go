package payment_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countermand/countermand/payment"
)

// requeried: somebody has reason to ask now.
func requeried(in *payment.Input) { in.Requery = true }

func and(changes ...func(*payment.Input)) func(*payment.Input) {
	return func(in *payment.Input) {
		for _, change := range changes {
			change(in)
		}
	}
}

// requeryCases are about queries that no timer asked for.
func requeryCases() []decideCase {
	const (
		ended = "terminal, called | Requery is set"
		open  = "started, pending, in doubt | Requery is set"
	)
	query, finish := seen{Action: payment.Query}, seen{Action: payment.Finish}
	silent := func(in *payment.Input) { in.Traits.TellsEnded = false }
	told := func(s *story) {
		failed(s)
		s.answered(1, payment.Outcome{Result: payment.Succeeded, ProviderReference: "p-1"})
	}
	nothingDone := func(s *story) {
		s.command(cancel("c")).answered(1, payment.Outcome{Result: payment.Succeeded, Effect: payment.EffectClosed})
	}
	return []decideCase{
		{row: ended, name: "a refund that succeeded is asked about again", begin: succeeded, after: 24 * time.Hour, ask: a(), with: requeried, want: query},
		{row: ended, name: "a refund that failed is asked about again", begin: failed, after: 24 * time.Hour, ask: a(), with: requeried, want: query},
		{row: ended, name: "what has ended is asked about in a pause", begin: succeeded, after: time.Hour, ask: a(), with: and(requeried, paused), want: query},
		{
			row: ended, name: "nobody waits for it while the breaker is open", begin: succeeded, after: time.Hour, ask: a(), with: and(requeried, broken),
			want: seen{Action: payment.ComeBack, Code: payment.CodeProviderUnavailable, At: "5m0s"},
		},
		{row: ended, name: "what was never called is not asked about", begin: rejected, ask: a(), with: requeried, want: finish},
		{row: ended, name: "a cancel that took effect is not asked about", begin: nothingDone, ask: cancel("c"), with: requeried, want: finish},
		{row: ended, name: "what was told once is not asked about again", begin: told, ask: a(), with: requeried, want: finish},
		{row: ended, name: "a kind that cannot tell is not asked", begin: succeeded, ask: a(), with: and(requeried, silent), want: finish},
		{row: ended, name: "where the instance is gone nobody can be asked", begin: succeeded, ask: a(), with: and(requeried, removed), want: finish},
		{
			row: ended, name: "other content is refused, looked at or not", begin: succeeded, ask: refund("a", 401), with: requeried,
			want: seen{Action: payment.RejectCommand, Code: payment.CodeIdempotencyKeyReused},
		},
		{row: open, name: "a pending refund is asked about before its time", begin: pending, after: time.Second, ask: a(), with: requeried, want: query},
		{row: open, name: "a refund in doubt is asked about before its time", begin: doubtful, after: time.Second, ask: a(), with: requeried, want: query},
		{row: open, name: "a refund in review is asked about before its time", begin: reviewed, after: time.Second, ask: a(), with: requeried, want: query},
		{
			row: open, name: "while a call may be under way nobody asks", begin: started, after: time.Second, ask: a(), with: requeried,
			want: seen{Action: payment.ComeBack, Code: payment.CodeWaitingForOperation, At: "14s"},
		},
		{row: open, name: "past callUntil it is asked about", begin: started, after: 15 * time.Second, ask: a(), with: requeried, want: query},
		{
			row: open, name: "what waits to be called is not called sooner", begin: waiting, after: time.Second, ask: a(), with: requeried,
			want: seen{Action: payment.ComeBack, Code: payment.CodePaused, At: "29s"},
		},
	}
}

func TestALateLookTellsWhatIsCertainAndNothingElse(t *testing.T) {
	t.Parallel()
	yes := payment.Outcome{Result: payment.Succeeded, ProviderReference: "p-1"}
	inferred := payment.Outcome{Result: payment.Succeeded, ProviderReference: "p-1", Basis: payment.BasisInferred, Moved: inEGP(400)}
	other := payment.Outcome{Result: payment.Succeeded, ProviderReference: "p-9"}
	no := payment.Outcome{Result: payment.Failed, ProviderReference: "p-1", Code: payment.CodeDeclined}
	finish := seen{Action: payment.Finish}
	person := seen{Action: payment.Finish, Alert: true}
	for _, c := range []struct {
		name  string
		begin func(*story)
		heard payment.Outcome
		want  seen
	}{
		{name: "a yes to what succeeded agrees", begin: succeeded, heard: yes, want: finish},
		{name: "a yes under another name is for a person, not for the books", begin: succeeded, heard: other, want: person},
		{
			name: "a no to what succeeded came back", begin: succeeded, heard: no,
			want: seen{Action: payment.Finish, Alert: true, Event: payment.EventReturned, EventCode: payment.CodeDeclined, Basis: payment.BasisQuery, Moved: 400, Status: payment.StatusSucceeded},
		},
		{
			name: "a yes to what failed went through", begin: failed, heard: yes,
			want: seen{Action: payment.Finish, Alert: true, Event: payment.EventExecutedLate, Effect: payment.EffectRefunded, Basis: payment.BasisQuery, Moved: 400, Status: payment.StatusFailed},
		},
		{name: "an inferred yes to what failed is for a person", begin: failed, heard: inferred, want: person},
		{name: "a no to what failed agrees", begin: failed, heard: no, want: finish},
		{name: "not found proves nothing", begin: succeeded, heard: payment.Outcome{Result: payment.NotFound}, want: finish},
		{name: "under way again proves nothing", begin: succeeded, heard: payment.Outcome{Result: payment.Pending}, want: finish},
		{name: "no answer proves nothing", begin: succeeded, heard: payment.Outcome{}, want: finish},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := tell(t, opay())
			c.begin(s)
			s.pass(24 * time.Hour).about(a()).with(requeried)
			heard := payment.Heard{Query: true, Outcome: c.heard}
			d := undisturbed(t, s.in, func(in payment.Input) payment.Decision { return payment.Conclude(in, heard) })
			if diff := cmp.Diff(c.want, look(t, s.in, d), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
