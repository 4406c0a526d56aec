package keeper_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/keeper"
)

func TestCallsThatWaitShareReadingsAndRaises(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := run(t, newStreams(1), &store{}, nil)
		defer b.stop()
		b.wait(time.Second)
		b.streams.slow()
		readings, raises := b.streams.count(), b.bucket.count()
		b.streams.grow(101)
		var waiting sync.WaitGroup
		for i := range uint64(100) {
			b.Accepted(1, i+2, "t")
			waiting.Go(func() {
				if err := b.Sure(t.Context(), i+2); err != nil {
					t.Errorf("sure of %d: %v", i+2, err)
				}
			})
		}
		began := time.Now()
		waiting.Wait()
		if took := time.Since(began); took > 10*time.Millisecond {
			t.Errorf("waited for %s, longer than two readings need", took)
		}
		if n := b.streams.count() - readings; n > 3 {
			t.Errorf("100 waiters made %d readings", n)
		}
		if n := b.bucket.count() - raises; n > 3 {
			t.Errorf("100 waiters made %d raises", n)
		}
	})
}

func TestACallWaitsForTheBucket(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := run(t, newStreams(1), &store{}, nil)
		defer b.stop()
		b.wait(time.Second)
		b.bucket.put(b.Status().Record, errors.New("no answer"))
		b.streams.grow(2)
		b.Accepted(1, 2, "t")
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := b.Sure(ctx, 2); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("sure without the bucket: %v", err)
		}
		b.bucket.put(b.Status().Record, nil)
		if err := b.Sure(t.Context(), 2); err != nil {
			t.Errorf("sure with the bucket: %v", err)
		}
	})
}

func TestACallWaitsForAReadingThatBeganAfterIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := run(t, newStreams(1), &store{}, nil)
		defer b.stop()
		b.wait(2 * time.Second)
		b.streams.mu.Lock()
		b.streams.takes = time.Second
		b.streams.mu.Unlock()
		b.Refresh()
		b.wait(900 * time.Millisecond) // a reading is under way that began before the call
		began := time.Now()
		if err := b.Sure(t.Context(), 1); err != nil {
			t.Fatalf("sure: %v", err)
		}
		if took := time.Since(began); took < time.Second {
			t.Errorf("sure after %s, by a reading that had begun before", took)
		}
	})
}

func TestANewLeaderIsBelievedOnceItHasAnsweredTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := run(t, newStreams(1), &store{}, nil)
		defer b.stop()
		b.wait(time.Second)
		b.streams.set(func(r *integrity.Reading) { r.Leader = "n2" })
		readings := b.streams.count()
		if err := b.Sure(t.Context(), 1); err != nil {
			t.Fatalf("sure: %v", err)
		}
		if n := b.streams.count() - readings; n != 2 {
			t.Errorf("sure after %d readings, want 2", n)
		}
	})
}

func TestNobodyIsSureOfALoss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := run(t, newStreams(10), &store{}, nil)
		defer b.stop()
		b.wait(time.Second)
		b.streams.grow(5)
		b.Accepted(10, 11, "t")
		if err := b.Sure(t.Context(), 11); !errors.Is(err, keeper.ErrShut) {
			t.Errorf("sure of a shorter journal: %v", err)
		}
	})
}
