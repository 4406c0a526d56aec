// Package journaltest is the conformance suite of journal.Journal: what every
// implementation promises, written once. A new implementation passes it with
// one short test file:
//
//	func TestJournalKeepsItsPromises(t *testing.T) {
//		journaltest.Run(t, func(t *testing.T) journaltest.Store {
//			t.Parallel()
//			return newStore(t)
//		})
//	}
//
// The suite never waits for time to pass. What goes wrong between a writer and
// its store is decided by a Plan, try by try, so that every run is the same run.
// Faults that only one implementation can have belong into that one's own tests.
package journaltest
