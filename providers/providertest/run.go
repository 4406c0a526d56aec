package providertest

import "testing"

// suite is the checks of one operation.
type suite struct {
	Harness
	c Case
}

// check is one named promise.
type check struct {
	name string
	run  func(s suite, t *testing.T)
}

// Run runs the whole suite as parallel subtests, one group for each case.
func Run(t *testing.T, h Harness) {
	t.Helper()
	t.Run("traits", func(t *testing.T) {
		t.Parallel()
		traitsAreConstant(t, h)
	})
	t.Run("an unsupported operation is refused unsent", func(t *testing.T) {
		t.Parallel()
		unsupportedIsRefusedUnsent(t, h)
	})
	for _, c := range h.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			s := suite{Harness: h, c: c}
			for _, k := range checks() {
				t.Run(k.name, func(t *testing.T) {
					t.Parallel()
					k.run(s, t)
				})
			}
		})
	}
}

func checks() []check {
	return []check{
		{"carried out once, the ledger agrees", suite.carriedOutOnce},
		{"a decline is a failure and moves nothing", suite.declineIsFailure},
		{"payments side by side do not disturb each other", suite.sideBySide},

		{"every HTTP status without a word is no result", suite.everyStatus},
		{"a refusal counts by its status too", suite.refusalUnderStatus},
		{"every HTTP status to a question is no result", suite.everyStatusToAQuestion},

		{"misbehaviour is classified and asked about", suite.misbehaviour},
		{"an execution after the answer was lost is never denied", suite.lateExecution},
		{"a delay beyond the deadline is indeterminate", suite.delayBeyondDeadline},
		{"a hanging answer ends with the client's timeout", suite.hangingAnswer},
		{"a lagging query finds nothing and never fails", suite.laggingQuery},
		{"questions move no money", suite.questionsMoveNothing},
		{"what cannot be asked is not asked", suite.nobodyIsAsked},

		{"a refused connection is not executed", suite.refusedConnection},
		{"nothing is sent after its time", suite.nothingAfterItsTime},
		{"nothing is sent for a cancelled context", suite.cancelledContext},

		{"a second send does what the traits say", suite.secondSend},
		{"a refused repeat in doubt is not a failure", suite.refusedRepeat},
		{"money moved exactly as the outcomes say", suite.moneyAsSaid},

		{"no secret is shown", suite.noSecretShown},
	}
}
