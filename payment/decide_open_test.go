package payment_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countermand/countermand/payment"
)

// openCases are about operations whose fate a query can tell.
func openCases() []decideCase {
	const (
		lost      = "started | past callUntil"
		inPause   = "pending, indeterminate | paused"
		noCalls   = "pending, indeterminate | breaker open"
		due       = "pending, indeterminate | due"
		longAfter = 100 * 24 * time.Hour
	)
	query := seen{Action: payment.Query}
	away := func(at string) seen {
		return seen{Action: payment.ComeBack, Code: payment.CodeProviderUnavailable, At: at}
	}
	expired := func(s *story) {
		s.command(expiring(a(), time.Minute)).pass(10*time.Second).answered(1, payment.Outcome{})
	}
	return []decideCase{
		{row: lost, name: "a call that was never concluded is asked about at callUntil", begin: started, after: 15 * time.Second, ask: a(), timer: true, want: query},
		{row: lost, name: "a call that was never concluded is asked about in a pause", begin: started, after: 15 * time.Second, ask: a(), timer: true, with: paused, want: query},
		{row: lost, name: "a call that was never concluded is asked about however late", begin: started, after: longAfter, ask: a(), timer: true, want: query},
		{row: lost, name: "a call that was never concluded waits for the breaker without spinning", begin: started, after: 15 * time.Second, ask: a(), timer: true, with: broken, want: away("2s")},
		{row: lost, name: "a call that was never concluded is the breaker's probe", begin: started, after: 15 * time.Second, ask: a(), timer: true, with: probing, want: query},
		{row: inPause, name: "a pending refund is asked about in a pause", begin: pending, after: 2 * time.Second, ask: a(), timer: true, with: paused, want: query},
		{row: inPause, name: "a refund in doubt is asked about in a pause", begin: doubtful, after: 2 * time.Second, ask: a(), timer: true, with: paused, want: query},
		{row: noCalls, name: "a pending refund waits for the breaker on the grid of its polls", begin: pending, after: 2 * time.Second, ask: a(), timer: true, with: broken, want: away("4s")},
		{row: noCalls, name: "a refund in doubt waits for the breaker on the grid of its polls", begin: doubtful, after: 2 * time.Second, ask: a(), timer: true, with: broken, want: away("4s")},
		{row: noCalls, name: "a refund in doubt is the breaker's probe", begin: doubtful, after: 2 * time.Second, ask: a(), timer: true, with: probing, want: query},
		{row: due, name: "a pending refund is asked about when it is due", begin: pending, after: 2 * time.Second, ask: a(), timer: true, want: query},
		{row: due, name: "a refund in doubt is asked about when it is due", begin: doubtful, after: 2 * time.Second, ask: a(), timer: true, want: query},
		{row: due, name: "a refund in doubt is asked about however late", begin: doubtful, after: longAfter, ask: a(), timer: true, want: query},
		{row: due, name: "a refund in doubt does not expire", begin: expired, after: time.Hour, ask: a(), timer: true, want: query},
		{row: due, name: "a refund in review is asked about every few hours", begin: reviewed, after: 4 * time.Hour, ask: a(), timer: true, want: query},
	}
}

func TestDecideFollowsItsTable(t *testing.T) {
	t.Parallel()
	for _, c := range decideCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := tell(t, opay())
			if c.begin != nil {
				c.begin(s)
			}
			s.pass(c.after).about(c.ask)
			s.in.Timer = c.timer
			if c.with != nil {
				c.with(&s.in)
			}
			got := look(t, s.in, undisturbed(t, s.in, payment.Decide))
			if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("row %q (-want +got):\n%s", c.row, diff)
			}
		})
	}
}

func TestDecideHasACaseForEveryRowOfItsTable(t *testing.T) {
	t.Parallel()
	var named []string
	for _, c := range decideCases() {
		named = append(named, c.row)
	}
	everyRowHasACase(t, docRows(t, "decide.go", "Decide"), named)
}
