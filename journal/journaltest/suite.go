package journaltest

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
)

// Run checks an implementation against everything journal.Journal promises.
// open is called once for each check, on the check's own t, and returns an empty
// store. It calls t.Parallel if the stores are independent of each other.
func Run(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	for _, c := range checks() {
		t.Run(c.says, func(t *testing.T) {
			c.run(t, open(t))
		})
	}
}

// check is one promise and how it is tested on an empty store.
type check struct {
	says string
	run  func(t *testing.T, s Store)
}

func checks() []check {
	return []check{
		{"a payment without events has the zero record", lastOfNothing},
		{"a fresh payment takes its first event", freshAppend},
		{"each event goes on top of the one before", chain},
		{"an append expecting nothing conflicts with what is there", expectedTooLow},
		{"an append expecting more than is there conflicts", expectedTooHigh},
		{"a reader gone stale loses and is told the newest record", staleReader},
		{"what one writer appended every other reads at once", readsAreFresh},
		{"an event's subject is written once", writeOnce},
		{"payments with similar identifiers do not conflict", similarIdentifiers},
		{"one of many writers wins each version and the others see it", concurrentWriters},
		{"a state comes back as it was appended", roundTrip},
		{"a state of 600 KB fits", bigState},
		{"what is appended and read is nobody else's to change", noAliasing},
		{"a state in a newer format is not guessed at", newerFormat},
		{"an identifier that names no payment is refused", badIdentifier},

		{"an append whose acknowledgement was lost is found to be there", lostAnswer},
		{"an append that never arrived is repeated", lostRequest},
		{"a rival who came first after our request was lost wins", rivalAfterLostRequest},
		{"a rival on top of our unacknowledged append is a conflict", rivalAfterLostAnswer},
		{"a spurious in-flight answer is no conflict", spuriousInFlight},
		{"in flight after a lost acknowledgement is our own append", inFlightAfterLostAnswer},
		{"nobody answering for a while is waited out", noRespondersForAWhile},
		{"a disconnected writer appends once it is connected again", disconnectedForAWhile},
		{"a store that takes nothing more refuses", storeFull},
		{"a full store that holds our append has accepted it", storeFullAfterLostAnswer},
		{"a full store after a request of unknown fate refuses", storeFullAfterLostRequest},
		{"an append that never arrives ends in unknown and leaves nothing", unknownAndAbsent},
		{"an append that is never acknowledged ends in unknown though it is there", unknownButThere},
		{"a writer without a connection leaves nothing behind", disconnectedToTheEnd},
		{"an ended context appends nothing", endedContext},
		{"under any faults each version is one append's and no append is lost", anyFaults},

		{"a rejection is stored beside the payments", rejection},
		{"a rejection said twice is said once", rejectionTwice},
		{"a rejection whose acknowledgement was lost is said once", rejectionLostAnswer},
		{"a rejection refused by a full store is not said", rejectionStoreFull},
		{"a rejection of unknown fate is not called said", rejectionUnknown},

		{"an operator's action is stored beside the payments", action},
		{"an operator's action appended twice is there once", actionTwice},
		{"an operator's action whose acknowledgement was lost is there once", actionLostAnswer},
		{"an operator's action refused by a full store is not there", actionStoreFull},
		{"an operator's action of unknown fate is not called there", actionUnknown},
	}
}

// one is the payment most checks are about.
func one() payment.ID { return payment.ID{Provider: "opay-eg", Native: "1001000"} }

// append1 appends and fails the test if that is not accepted.
func append1(t *testing.T, j journal.Journal, expected uint64, e payment.Event) uint64 {
	t.Helper()
	sequence, err := j.Append(bounded(t), expected, e)
	if err != nil {
		t.Fatalf("append version %d expecting %d: %v", e.Version(), expected, err)
	}
	return sequence
}

// last reads and fails the test if that is not possible.
func last(t *testing.T, j journal.Journal, id payment.ID) journal.Record {
	t.Helper()
	record, err := j.Last(bounded(t), id)
	if err != nil {
		t.Fatalf("read last of %v: %v", id, err)
	}
	return record
}

// conflict fails the test unless err says that the payment has moved to the
// given record.
func conflict(t *testing.T, err error, want journal.Record) {
	t.Helper()
	var moved *journal.ConflictError
	if !errors.As(err, &moved) {
		t.Fatalf("append ended in %v, not in a conflict", err)
	}
	if diff := cmp.Diff(want, moved.Last); diff != "" {
		t.Errorf("record in the conflict (-want +got):\n%s", diff)
	}
}

// record is what Last returns for an event of the fixtures.
func record(sequence uint64, e payment.Event) journal.Record {
	return journal.Record{Sequence: sequence, Type: e.Type, Op: e.Op, State: e.State}
}

// holds fails the test unless the payment's newest record is this one.
func holds(t *testing.T, s Store, want journal.Record, id payment.ID) {
	t.Helper()
	if diff := cmp.Diff(want, last(t, s.Writer(t, nil), id)); diff != "" {
		t.Errorf("newest record (-want +got):\n%s", diff)
	}
}

// length fails the test unless the store holds this many entries.
func length(t *testing.T, s Store, want int) {
	t.Helper()
	if got := s.Len(t); got != want {
		t.Errorf("store holds %d entries, want %d", got, want)
	}
}
