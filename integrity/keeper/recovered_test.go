package keeper_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/keeper"
)

// setBack has a running process find that the journal was set back.
func setBack(b *bench, to uint64) {
	b.t.Helper()
	b.standing(integrity.Whole)
	b.streams.grow(to)
	b.wait(10 * time.Second)
	b.standing(integrity.Broken)
	if !b.Status().Recovered.IsZero() {
		b.t.Error("what is lost counts as remembered")
	}
}

func TestABrokenJournalThatIsAllThereAgainIsSaidToBeSoAndStaysBroken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := run(t, newStreams(10), &store{}, nil)
		defer b.stop()
		setBack(b, 4)
		broke := b.Status().Watch.Since.UTC().Format(time.RFC3339)
		if err := b.Open(); !strings.Contains(err.Error(), "the journal ends at 4") || !strings.HasSuffix(err.Error(), " (as read at "+broke+")") {
			t.Errorf("while it is lost: %v", err)
		}
		b.streams.grow(10)
		b.wait(1500 * time.Millisecond)
		if !b.Status().Recovered.IsZero() {
			t.Error("one or two readings are enough")
		}
		b.wait(3 * time.Second)
		b.standing(integrity.Broken)
		if b.Status().Recovered.IsZero() {
			t.Fatal("nobody says that all is there again")
		}
		if err := b.Open(); !strings.Contains(err.Error(), " (as read at "+broke+"; since ") || !strings.Contains(err.Error(), "all that this process remembers is there") {
			t.Errorf("once it is there: %v", err)
		}
		b.streams.grow(9)
		b.wait(2 * time.Second)
		if !b.Status().Recovered.IsZero() {
			t.Error("it was lost once more, and counts as there")
		}
	})
}

func TestWhatAnotherProcessHasFoundDoesNotHideThatAllIsThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		other := []integrity.Registered{{Replica: integrity.Replica{ID: "b", Standing: "broken", MoreFound: 1}}}
		b := runWith(t, newStreams(10), &store{}, &keeper.Options{
			Others: func(context.Context) ([]integrity.Registered, bool, error) { return other, true, nil },
		})
		defer b.stop()
		b.wait(15 * time.Second)
		b.standing(integrity.Broken)
		if b.Status().Recovered.IsZero() {
			t.Error("two processes that have found something wait for each other")
		}
	})
}

// A restart forgets what only the memory of the process holds.
func TestAllIsThereOnlyWhereAProcessThatBeginsNowWouldFindNoLess(t *testing.T) {
	t.Parallel()
	for name, less := range map[string]func(b *bench){
		"another message lies at the mark": func(b *bench) {
			b.streams.mu.Lock()
			defer b.streams.mu.Unlock()
			b.streams.tokens[10] = "other"
		},
		"another first message": func(b *bench) {
			b.streams.set(func(r *integrity.Reading) { r.Journal.Head.SHA256 = "bb" })
		},
		"another stream is shorter": func(b *bench) {
			b.streams.set(func(r *integrity.Reading) {
				r.Streams = map[string]integrity.StreamReading{bucketStream: {First: 1, Last: 2, Messages: 2}}
			})
		},
		"the bucket holds less than it did": func(b *bench) { b.bucket.put(mark(4), keeper.ErrSetBack) },
		"the bucket does not take the mark": func(b *bench) { b.bucket.put(mark(9), errors.New("no room")) },
		"two places know two messages": func(b *bench) {
			r := b.Status().Record
			r.Mark.Journal.Token = "other"
			b.bucket.put(r, nil)
		},
		"an append went into the older copy": func(b *bench) { b.Accepted(10, 5, "mine") },
		"there is no reading": func(b *bench) {
			b.streams.mu.Lock()
			defer b.streams.mu.Unlock()
			b.streams.beside = errors.New("no leader")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				bucket := &store{}
				b := run(t, newStreams(10), bucket, nil)
				defer b.stop()
				if name == "the bucket does not take the mark" {
					less(b)
					b.streams.grow(12)
					b.wait(6 * time.Second) // it knows more than is stored
					setBack(b, 4)
					b.streams.grow(12)
				} else {
					setBack(b, 4)
					b.streams.grow(10)
					less(b)
				}
				b.wait(10 * time.Second)
				b.standing(integrity.Broken)
				if !b.Status().Recovered.IsZero() {
					t.Error("it counts as there")
				}
			})
		})
	}
}
