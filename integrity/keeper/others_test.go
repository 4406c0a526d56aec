package keeper_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/keeper"
)

func TestWhatAnotherProcessHasFoundCountsHere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var others atomic.Pointer[[]integrity.Registered]
		others.Store(&[]integrity.Registered{})
		b := runWith(t, newStreams(10), &store{}, &keeper.Options{
			Others: func(context.Context) ([]integrity.Registered, bool, error) { return *others.Load(), true, nil },
		})
		defer b.stop()
		b.wait(4 * time.Second)
		b.standing(integrity.Whole)
		found := []integrity.Registered{{Replica: integrity.Replica{ID: "host.1", Standing: integrity.Suspect.String(), Found: []integrity.Finding{{Kind: integrity.JournalShorter}}}}}
		others.Store(&found)
		b.wait(time.Second) // while it is young
		b.standing(integrity.Suspect)
		others.Store(&[]integrity.Registered{}) // it has ended, and with it what it knew
		b.wait(time.Second)
		b.standing(integrity.Whole)
		heard := []integrity.Registered{{Replica: integrity.Replica{ID: "host.2", Standing: integrity.Suspect.String()}}}
		others.Store(&heard) // it has only heard of something
		b.wait(time.Second)
		b.standing(integrity.Whole)
		others.Store(&found) // and takes it back when it can write again
		b.wait(20 * time.Second)
		b.standing(integrity.Suspect)
		sure := []integrity.Registered{{Replica: integrity.Replica{ID: "host.1", Standing: integrity.Broken.String(), Found: found[0].Found}}}
		others.Store(&sure)
		b.wait(8 * time.Second)
		b.standing(integrity.Broken)
	})
}

func TestAWitnessThatHoldsNothingAfterItHeldSomethingWasLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := &store{}
		b := run(t, newStreams(10), bucket, &store{})
		b.standing(integrity.Whole)
		b.stop()
		if !bucket.record.Witnessed {
			t.Fatal("the bucket does not remember that there was a witness")
		}
		gone := begin(t, newStreams(10), bucket, &store{})
		defer gone.stop()
		gone.wait(5 * time.Second)
		if ok, reason := gone.Status().Ready(); ok || !strings.Contains(reason, "the witness holds nothing") {
			t.Errorf("without the witness: %t, %q", ok, reason)
		}
		accepted := gone.bucket.record // a person accepts: both stores hold the next epoch
		accepted.Epoch.Number, accepted.Epoch.Phase, accepted.Mark.Epoch = 1, integrity.Doubting, 1
		bucket.put(accepted, nil)
		gone.witness.put(accepted, nil)
		gone.wait(3 * time.Second)
		gone.standing(integrity.Whole)
	})
}

func TestAProcessBesideOthersWaitsForWhatTheyKnow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := runWith(t, newStreams(10), &store{}, &keeper.Options{
			Others: func(context.Context) ([]integrity.Registered, bool, error) { return nil, true, nil },
		})
		defer b.stop()
		b.wait(2 * time.Second)
		if ok, reason := b.Status().Ready(); ok || !strings.Contains(reason, "other processes") {
			t.Errorf("after two seconds: %t, %q", ok, reason)
		}
		turned := b.Changed()
		b.wait(2 * time.Second)
		b.standing(integrity.Whole)
		select {
		case <-turned:
		default:
			t.Error("nobody was told that the gate has opened")
		}
	})
}

func TestAStreamIsKnownToReachWhatWasPulledOfIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const commands = "PAYMENT_COMMANDS"
		s := newStreams(10)
		s.set(func(r *integrity.Reading) {
			r.Streams[commands] = integrity.StreamReading{First: 1, Last: 50, Messages: 50}
		})
		b := run(t, s, &store{}, nil)
		defer b.stop()
		b.Pulled("UNKNOWN", 7, time.Time{})
		stored := time.Now().Add(-time.Minute)
		b.Pulled(commands, 56, stored)
		b.Pulled(commands, 12, stored.Add(-time.Hour))
		if got := b.Reaches(commands); got != 56 || b.Reaches("UNKNOWN") != 0 {
			t.Fatalf("the stream is known to reach %d", got)
		}
		if got := b.Status().Record.Mark.Stamps[commands]; !got.Equal(stored) {
			t.Errorf("what lies there is of %s, want %s", got, stored)
		}
		b.Refresh() // before the next reading the stream was set back
		b.wait(time.Second)
		b.standing(integrity.Suspect)
	})
}
