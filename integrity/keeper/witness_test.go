package keeper_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/keeper"
)

func TestDecisionsAboutPausesAreKnownOnceTheStoresWereAskedAndKeptInThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		old := mark(5)
		old.Pauses = integrity.Decisions{"a": {Sequence: 4, At: time.Now()}}
		b := run(t, newStreams(5), &store{}, &store{record: old, err: errors.New("lease not found")})
		defer b.stop()
		b.wait(3 * time.Second)
		if _, err := b.Decisions(); err == nil || !strings.Contains(err.Error(), "lease not found") {
			t.Errorf("although the witness was not read, decisions are known: %v", err)
		}
		b.witness.put(old, nil)
		b.wait(time.Second)
		if known, err := b.Decisions(); err != nil || known["a"].Sequence != 4 {
			t.Errorf("known are %v, %v", known, err)
		}
		b.Decided(integrity.Decisions{"b": {Sequence: 6, At: time.Now()}})
		b.wait(2 * time.Second)
		for name, s := range map[string]*store{"bucket": b.bucket, "witness": b.witness} {
			r, err := s.Load(t.Context())
			if err != nil || len(r.Pauses) != 2 {
				t.Errorf("the %s holds %v, %v", name, r.Pauses, err)
			}
		}
	})
}

// forgetful is a witness that was set back, and says so until it is restored.
type forgetful struct {
	*store
	foreign bool
}

func (f *forgetful) Restore(ctx context.Context, r integrity.Record) (integrity.Record, error) {
	if f.foreign {
		return integrity.Record{}, keeper.ErrSetBack
	}
	f.put(integrity.Record{}, nil)
	return f.Raise(ctx, r)
}

func TestAWitnessThatWasSetBackIsRaisedAgainByWhoKnowsMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, foreign := range map[string]bool{"an older copy": false, "that of another place": true} {
			w := &forgetful{store: &store{}, foreign: foreign}
			b := runWith(t, newStreams(1), &store{}, &keeper.Options{Witness: w})
			b.wait(11 * time.Second)
			w.put(mark(1), keeper.ErrSetBack)
			b.Accepted(1, 2, "t")
			b.streams.grow(2)
			b.wait(2 * time.Second)
			s := b.Status()
			if told := !s.WitnessSetBack.IsZero(); told == foreign || (s.Witness == nil) == foreign || s.WitnessSince.IsZero() == foreign {
				t.Errorf("%s: %+v, %v", name, s, s.Witness)
			}
			if raised := w.reaches() == 2; raised == foreign {
				t.Errorf("%s: the witness reaches %d", name, w.reaches())
			}
			b.standing(integrity.Whole)
			b.stop()
		}
	})
}

func TestAWitnessThatCannotBeWrittenIsSaidOnceUntilItCan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		w := &store{}
		b := runWith(t, newStreams(1), &store{}, &keeper.Options{Witness: w, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		defer b.stop()
		b.wait(11 * time.Second)
		began := time.Now()
		for n := range uint64(5) {
			w.put(w.record, fmt.Errorf("mark.%d: no space left", n))
			b.Accepted(n+1, n+2, "t")
			b.streams.grow(n + 2)
			b.wait(time.Second)
		}
		if s := b.Status(); s.Witness == nil || s.WitnessSince.Before(began) || s.WitnessSince.After(began.Add(time.Second)) {
			t.Errorf("it fails since %s with %v, begun %s", s.WitnessSince, s.Witness, began)
		}
		w.put(w.record, nil)
		b.wait(2 * time.Second)
		if s := b.Status(); s.Witness != nil || !s.WitnessSince.IsZero() {
			t.Errorf("it still fails: %v since %s", s.Witness, s.WitnessSince)
		}
		b.stop()
		for _, line := range []string{"cannot be stored", "can be stored again"} {
			if n := strings.Count(log.String(), line); n != 1 {
				t.Errorf("%q is said %d times", line, n)
			}
		}
	})
}
