package keeper_test

import (
	"cmp"
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/keeper"
)

const (
	journalStream = "PAYMENT_EVENTS"
	bucketStream  = "KV_PAYMENT_CONTROL"
)

// streams is a source that tests set; it counts its readings.
type streams struct {
	mu       sync.Mutex
	reading  integrity.Reading
	err      error
	tokens   map[uint64]string
	readings int
	takes    time.Duration
	// still says that open findings hold.
	still  bool
	beside error // of whole readings alone
}

func newStreams(last uint64) *streams {
	s := &streams{tokens: map[uint64]string{}}
	s.reading.Leader = "n1"
	s.reading.Streams = map[string]integrity.StreamReading{bucketStream: {First: 1, Last: 3, Messages: 3}}
	s.set(func(*integrity.Reading) {})
	s.grow(last)
	return s
}

func (s *streams) set(change func(*integrity.Reading)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.reading)
}

// grow gives the journal this many messages, each with its own token.
func (s *streams) grow(last uint64) {
	s.set(func(r *integrity.Reading) {
		r.Journal.StreamReading = integrity.StreamReading{First: min(1, last), Last: last, Messages: last}
		if last > 0 {
			r.Journal.Head = integrity.Identity{Subject: "payment.refund.started.a.1.1", SHA256: "aa"}
		}
	})
}

// slow gives a test the time to see what is so before the next reading.
func (s *streams) slow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takes = time.Millisecond
}

func (s *streams) token(sequence uint64) string {
	if t := s.tokens[sequence]; t != "" {
		return t
	}
	return "t"
}

func (s *streams) Read(ctx context.Context, m integrity.Mark, open []integrity.Finding) (integrity.Reading, []integrity.Finding, error) {
	r, still, err := s.read(ctx, m, open)
	s.mu.Lock()
	defer s.mu.Unlock()
	return r, still, cmp.Or(err, s.beside)
}

func (s *streams) read(ctx context.Context, m integrity.Mark, open []integrity.Finding) (integrity.Reading, []integrity.Finding, error) {
	s.mu.Lock()
	takes := s.takes
	s.mu.Unlock()
	if takes > 0 {
		select {
		case <-ctx.Done():
			return integrity.Reading{}, nil, ctx.Err()
		case <-time.After(takes):
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readings++
	r := s.reading
	if at := m.Journal.Sequence; at > 0 && at <= r.Journal.Last {
		r.Journal.AtMark = integrity.Position{Sequence: at, Token: s.token(at)}
	}
	if last := r.Journal.Last; last > 0 {
		r.Newest = integrity.Position{Sequence: last, Token: s.token(last)}
	}
	if !s.still {
		open = nil
	}
	return r, open, s.err
}

func (s *streams) Glance(ctx context.Context, m integrity.Mark) (integrity.Reading, error) {
	r, _, err := s.read(ctx, m, nil)
	r.Newest, r.Streams, r.Durables = integrity.Position{}, nil, nil
	r.Journal.Head = m.Identity
	return r, err
}

func (s *streams) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.readings
}

// store keeps a record in memory; it counts its raises.
type store struct {
	mu     sync.Mutex
	record integrity.Record
	err    error
	raises int
	at     []time.Time
}

func (s *store) Load(context.Context) (integrity.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record, s.err
}

func (s *store) Raise(_ context.Context, r integrity.Record) (integrity.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return integrity.Record{}, s.err
	}
	s.raises++
	s.at = append(s.at, time.Now())
	s.record = s.record.Merge(r)
	return s.record, nil
}

func (s *store) put(r integrity.Record, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.record, s.err = r, err
}

func (s *store) reaches() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record.Mark.Journal.Sequence
}

func (s *store) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.raises
}

// bench is a keeper that runs until its test ends.
type bench struct {
	*keeper.Keeper
	t       *testing.T
	streams *streams
	bucket  *store
	witness *store
	stop    func()
}

// run starts a keeper over what is given and waits for its first reading. It is
// for the inside of a bubble.
func run(t *testing.T, s *streams, bucket, witness *store) *bench {
	t.Helper()
	b := begin(t, s, bucket, witness)
	b.wait(11 * time.Second) // in the first ten it reads each second
	return b
}

// begin is run as it is after the first reading.
func begin(t *testing.T, s *streams, bucket, witness *store) *bench {
	t.Helper()
	o := &keeper.Options{}
	if witness != nil {
		o.Witness = witness
	}
	b := runWith(t, s, bucket, o)
	b.witness = witness
	return b
}

// runWith starts a keeper with options.
func runWith(t *testing.T, s *streams, bucket *store, o *keeper.Options) *bench {
	t.Helper()
	b := &bench{Keeper: keeper.New(s, bucket, o), t: t, streams: s, bucket: bucket}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := b.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	b.stop = sync.OnceFunc(func() { cancel(); <-ended })
	synctest.Wait()
	return b
}

func (b *bench) wait(d time.Duration) {
	time.Sleep(d) // the bubble's clock
	synctest.Wait()
}

func (b *bench) standing(want integrity.Standing) {
	b.t.Helper()
	got := b.Status().Watch
	if got.Standing != want {
		b.t.Fatalf("the journal stands %s with %v, want %s", got.Standing, got.Findings, want)
	}
	if err := b.Open(); (err == nil) != (want == integrity.Whole) || err != nil && !errors.Is(err, keeper.ErrShut) {
		b.t.Fatalf("while %s the gate says %v", want, err)
	}
}

func mark(sequence uint64) integrity.Record {
	return integrity.Record{Epoch: integrity.FirstEpoch(), Mark: integrity.Mark{
		Identity: integrity.Identity{Subject: "payment.refund.started.a.1.1", SHA256: "aa"},
		Journal:  integrity.Position{Sequence: sequence, Token: "t"},
		At:       time.Date(2026, 11, 30, 9, 12, 7, 0, time.UTC),
	}}
}

func TestNothingIsOpenBeforeTheFirstReading(t *testing.T) {
	t.Parallel()
	k := keeper.New(newStreams(1), &store{}, nil)
	if err := k.Open(); !errors.Is(err, keeper.ErrShut) {
		t.Errorf("open before any reading: %v", err)
	}
}

func TestAWholeJournalWithoutAMarkIsAdopted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := run(t, newStreams(12), &store{}, &store{})
		defer b.stop()
		b.standing(integrity.Whole)
		if b.Mark() != 12 {
			t.Errorf("the mark is %d", b.Mark())
		}
		b.wait(time.Second)
		if b.bucket.reaches() != 12 || b.witness.reaches() != 12 {
			t.Errorf("stored: bucket %d, witness %d", b.bucket.reaches(), b.witness.reaches())
		}
		if e := b.Status().Record.Epoch; e != integrity.FirstEpoch() {
			t.Errorf("the first epoch is %+v", e)
		}
	})
}

func TestAJournalWhoseAcceptedLossIsForgottenIsNotAdopted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStreams(12)
		s.set(func(r *integrity.Reading) { r.Accepted = 1 })
		b := begin(t, s, &store{}, nil)
		defer b.stop()
		b.standing(integrity.Suspect)
		b.wait(3 * time.Second)
		b.standing(integrity.Broken)
		if f := b.Status().Watch.Findings[0]; f.Kind != integrity.EpochForgotten || b.Mark() != 0 {
			t.Errorf("%+v, the mark is %d", f, b.Mark())
		}
	})
}

func TestAnEmptyJournalIsAdoptedOnlyWhereNothingWasDelivered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t, newStreams(0), &store{}, nil)
		b.standing(integrity.Whole)
		b.stop()
		s := newStreams(0)
		s.set(func(r *integrity.Reading) {
			r.Durables = []integrity.DurableReading{{Stream: "PAYMENT_COMMANDS", Name: "payment-consumer", Delivered: 7}}
		})
		b = begin(t, s, &store{}, nil)
		defer b.stop()
		b.standing(integrity.Suspect)
		b.wait(3 * time.Second)
		b.standing(integrity.Broken)
	})
}

func TestAJournalThatWasNeverThereIsNoLoss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStreams(0)
		s.set(func(r *integrity.Reading) { r.Journal.Missing = true })
		b := run(t, s, &store{err: keeper.ErrNoStore}, nil)
		defer b.stop()
		b.wait(time.Minute)
		b.standing(integrity.Unread)
		if err := b.Open(); !strings.Contains(err.Error(), "consumer provision") {
			t.Errorf("the reason is %v", err)
		}
		s.set(func(r *integrity.Reading) { r.Journal.Missing = false })
		b.bucket.put(integrity.Record{}, nil)
		b.wait(2 * time.Second)
		b.standing(integrity.Whole)
	})
}

func TestALossIsSuspectAtOnceAndHealsOrStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := run(t, newStreams(1958), &store{}, nil)
		defer b.stop()
		b.standing(integrity.Whole)
		b.streams.grow(563)
		b.Refresh()
		synctest.Wait()
		b.standing(integrity.Suspect)
		b.streams.grow(1958)
		b.wait(time.Second)
		b.standing(integrity.Whole)

		b.streams.grow(563)
		b.wait(5 * time.Second)
		b.standing(integrity.Suspect)
		b.wait(2 * time.Second)
		b.standing(integrity.Broken)
		if err := b.Open(); !strings.Contains(err.Error(), "the journal ends at 563; it was known to reach 1958 at 2000-01-01T") {
			t.Errorf("the reason is %v", err)
		}
		b.streams.grow(1958)
		b.wait(time.Hour)
		b.standing(integrity.Broken)
	})
}

func TestWhatTheStoresRememberCountsBeforeTheFirstReading(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, at := range map[string][2]integrity.Record{
			"bucket": {mark(1958), {}}, "witness": {{}, mark(1958)}, "both": {mark(20), mark(1958)},
		} {
			b := begin(t, newStreams(563), &store{record: at[0]}, &store{record: at[1]})
			b.standing(integrity.Suspect)
			if want := "it was known to reach 1958 at 2026-11-30T09:12:07Z"; !strings.Contains(b.Open().Error(), want) {
				t.Errorf("%s: the reason is %v", name, b.Open())
			}
			b.stop()
		}
	})
}

func TestAWitnessThatIsAwayKeepsTheGateShutAtTheStartOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := run(t, newStreams(5), &store{}, &store{err: errors.New("lease not found")})
		defer b.stop()
		b.wait(time.Minute)
		b.standing(integrity.Unread)
		if !strings.Contains(b.Open().Error(), "lease not found") {
			t.Errorf("the reason is %v", b.Open())
		}
		b.witness.put(integrity.Record{}, nil)
		b.wait(time.Second)
		b.standing(integrity.Whole)
		b.wait(time.Second)
		b.witness.put(integrity.Record{}, errors.New("lease not found"))
		b.Accepted(5, 6, "t")
		b.streams.grow(6)
		b.wait(3 * time.Second)
		b.standing(integrity.Whole)
		if b.Status().Witness == nil {
			t.Error("the status does not say that the witness is away")
		}
	})
}

func TestTheBucketIsRaisedAtMostEvery100Milliseconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := run(t, newStreams(1), &store{}, nil)
		b.wait(time.Second)
		before := b.bucket.count()
		for i := range uint64(1000) {
			b.streams.grow(i + 2)
			b.Accepted(b.Mark(), i+2, "t")
			b.wait(time.Millisecond)
		}
		if n := b.bucket.count() - before; n < 9 || n > 12 {
			t.Errorf("raised %d times in a second", n)
		}
		b.streams.grow(1002)
		b.Accepted(b.Mark(), 1002, "t")
		b.stop() // once more at the end
		if b.bucket.reaches() != 1002 {
			t.Errorf("the bucket reaches %d at the end", b.bucket.reaches())
		}
	})
}

func TestAnIdleKeeperStoresNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := run(t, newStreams(1), &store{}, &store{})
		defer b.stop()
		b.wait(2 * time.Second)
		bucket, witness := b.bucket.count(), b.witness.count()
		b.streams.set(func(r *integrity.Reading) {
			r.Streams[bucketStream] = integrity.StreamReading{First: 1, Last: 4, Messages: 4}
		})
		b.wait(time.Hour)
		if b.bucket.count() != bucket {
			t.Error("the bucket's own position has raised the bucket")
		}
		if b.witness.count() > witness+1 {
			t.Errorf("the witness was raised %d times in an idle hour", b.witness.count()-witness)
		}
	})
}

func TestTheWitnessIsRaisedEachSecondWhileWhole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := run(t, newStreams(1), &store{}, &store{})
		defer b.stop()
		b.wait(time.Second)
		b.Accepted(1, 2, "t")
		b.wait(time.Second)
		if b.witness.reaches() != 2 {
			t.Errorf("the witness reaches %d", b.witness.reaches())
		}
		b.Unreadable("payment.x")
		b.streams.mu.Lock()
		b.streams.still = true
		b.streams.mu.Unlock()
		b.Accepted(2, 3, "t")
		b.wait(time.Minute)
		b.standing(integrity.Broken)
		if b.witness.reaches() != 2 {
			t.Error("the witness was raised while the journal was not whole")
		}
	})
}

func TestAnAppendAtATakenSequenceIsSuspectAndTheReadingDecides(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := run(t, newStreams(10), &store{}, nil)
		defer b.stop()
		b.streams.slow()
		before := b.Mark()
		b.Accepted(before, 11, "t")
		b.standing(integrity.Whole)
		b.streams.grow(11)
		b.Accepted(before, 9, "other")
		b.standing(integrity.Suspect)
		b.wait(2 * time.Second)
		b.standing(integrity.Whole) // the stream does reach the mark, with its token
		b.streams.mu.Lock()
		b.streams.tokens[11] = "foreign"
		b.streams.mu.Unlock()
		b.Accepted(11, 11, "foreign")
		b.wait(3 * time.Second)
		b.standing(integrity.Broken)
	})
}

func TestAnUnreadableRecordIsBrokenWhileItStaysUnreadable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := run(t, newStreams(10), &store{}, nil)
		defer b.stop()
		b.streams.slow()
		b.Unreadable("payment.x")
		b.standing(integrity.Suspect)
		b.wait(2 * time.Second)
		b.standing(integrity.Whole)
		b.streams.mu.Lock()
		b.streams.still = true
		b.streams.mu.Unlock()
		b.Unreadable("payment.x")
		b.wait(3 * time.Second)
		b.standing(integrity.Broken)
	})
}

func TestAJournalThatATimerContradictsIsBrokenWhileTheLeaderShowsLess(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]bool{"timer_ahead": true, "timer_unknown": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := run(t, newStreams(10), &store{}, nil)
				defer b.stop()
				b.streams.slow()
				b.Timer(1, "a/1/refund/0f", ahead, 4, 2)
				b.standing(integrity.Whole) // it is of another epoch
				b.Timer(0, "a/1/refund/0f", ahead, 4, 2)
				b.standing(integrity.Suspect)
				b.wait(2 * time.Second)
				b.standing(integrity.Whole)
				b.streams.mu.Lock()
				b.streams.still = true
				b.streams.mu.Unlock()
				b.Timer(0, "a/1/refund/0f", ahead, 4, 2)
				b.wait(3 * time.Second)
				b.standing(integrity.Broken)
				if f := b.Status().Watch.Findings[0]; string(f.Kind) != name || f.Known != 4 || f.Found != 2 {
					t.Errorf("found %+v", f)
				}
				if err := b.Open(); !strings.Contains(err.Error(), "journal broken: a timer ") {
					t.Errorf("the reason is %v", err)
				}
			})
		})
	}
}

func TestAnOutageIsNoFinding(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := run(t, newStreams(10), &store{}, nil)
		defer b.stop()
		b.streams.mu.Lock()
		b.streams.err = errors.New("no leader")
		b.streams.mu.Unlock()
		b.wait(time.Hour)
		b.standing(integrity.Whole)
		if b.Status().Reading == nil {
			t.Error("the status does not say that there is no reading")
		}
	})
}

func TestALostBucketIsALoss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, now := range map[string]integrity.StreamReading{"missing": {Missing: true}, "made anew": {}} {
			b := run(t, newStreams(10), &store{}, nil)
			b.streams.set(func(r *integrity.Reading) { r.Streams[bucketStream] = now })
			b.bucket.put(integrity.Record{}, keeper.ErrNoStore)
			b.wait(5 * time.Second)
			b.standing(integrity.Suspect)
			b.wait(2 * time.Second)
			b.standing(integrity.Broken)
			if b.Reaches(bucketStream) != 3 {
				t.Errorf("%s: the bucket was known to reach %d", name, b.Reaches(bucketStream))
			}
			b.stop()
		}
	})
}

func TestAHigherMarkOfAnotherPlaceDoesNotHideALoss(t *testing.T) {
	t.Parallel()
	// The journal was set back to 5 and has grown again to 20, by a process that
	// knew nothing and stored its own mark.
	regrown := func() *streams {
		s := newStreams(20)
		for n := uint64(6); n <= 20; n++ {
			s.tokens[n] = "other"
		}
		return s
	}
	higher := mark(20)
	higher.Mark.Journal.Token = "other"
	for name, begin := range map[string]func(t *testing.T) *bench{
		"while this process runs": func(t *testing.T) *bench {
			b := run(t, newStreams(10), &store{}, nil)
			b.standing(integrity.Whole)
			other := regrown()
			b.streams.mu.Lock()
			b.streams.tokens, b.streams.reading = other.tokens, other.reading
			b.streams.mu.Unlock()
			b.bucket.put(higher, nil)
			return b
		},
		"the witness remembers less than the bucket": func(t *testing.T) *bench {
			return run(t, regrown(), &store{record: higher}, &store{record: mark(10)})
		},
		"the bucket remembers less than the witness": func(t *testing.T) *bench {
			return run(t, regrown(), &store{record: mark(10)}, &store{record: higher})
		},
		"both know another message at one place": func(t *testing.T) *bench {
			low := mark(20)
			return run(t, regrown(), &store{record: higher}, &store{record: low})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := begin(t)
				defer b.stop()
				b.wait(10 * time.Second)
				b.standing(integrity.Broken)
			})
		})
	}
}

func TestAHigherMarkOfAnotherPlaceIsTakenInOnceOursIsConfirmed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := run(t, newStreams(10), &store{record: mark(7)}, &store{record: mark(9)})
		b.standing(integrity.Whole)
		b.wait(time.Second)
		if b.Mark() != 10 {
			t.Errorf("the mark is %d", b.Mark())
		}
		b.stop()
		// The witness knows of more than the journal holds.
		b = run(t, newStreams(10), &store{record: mark(7)}, &store{record: mark(12)})
		defer b.stop()
		b.wait(10 * time.Second)
		b.standing(integrity.Broken)
	})
}

func TestABucketThatWasMadeAnewIsALossHoweverMuchItHolds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := run(t, newStreams(10), &store{}, nil)
		defer b.stop()
		b.standing(integrity.Whole)
		b.bucket.put(integrity.Record{}, keeper.ErrSetBack)
		b.wait(1100 * time.Millisecond)
		b.standing(integrity.Suspect)
		b.wait(3 * time.Second)
		b.standing(integrity.Broken)
		if b.Reaches(bucketStream) != math.MaxUint64 {
			t.Errorf("the bucket was known to reach %d", b.Reaches(bucketStream))
		}
		b.bucket.put(integrity.Record{Epoch: integrity.Epoch{Number: 1, Phase: integrity.Doubting}, Mark: integrity.Mark{Epoch: 1}}, nil)
		b.wait(3 * time.Second)
		b.standing(integrity.Whole)
	})
}

func TestABucketThatShowsAnOlderStateForAMomentHeals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := run(t, newStreams(10), &store{}, nil)
		defer b.stop()
		held := b.Status().Record
		b.bucket.put(integrity.Record{}, keeper.ErrSetBack)
		b.wait(1100 * time.Millisecond)
		b.standing(integrity.Suspect)
		b.bucket.put(held, nil)
		b.wait(2 * time.Second)
		b.standing(integrity.Whole)
		if b.Reaches(bucketStream) == math.MaxUint64 {
			t.Error("the pauses count as lost")
		}
	})
}

func TestAGlanceBetweenReadingsShutsTheGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := run(t, newStreams(10), &store{}, nil)
		defer b.stop()
		b.wait(time.Second)
		b.streams.grow(4)
		if err := b.Sure(t.Context(), 10); !errors.Is(err, keeper.ErrShut) {
			t.Errorf("sure of a shorter journal: %v", err)
		}
		b.wait(3 * time.Second)
		b.standing(integrity.Broken)
	})
}

func TestALossIsFoundWhileTheStreamsBesideTheJournalHaveNoLeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := run(t, newStreams(10), &store{}, nil)
		defer b.stop()
		b.wait(time.Second)
		b.streams.mu.Lock()
		b.streams.beside = errors.New("the stream has no leader at the moment")
		b.streams.mu.Unlock()
		b.wait(10 * time.Second)
		b.standing(integrity.Whole)
		b.streams.grow(4)
		b.wait(2 * time.Second)
		if s := b.Status().Watch.Standing; s == integrity.Whole {
			t.Error("the journal is shorter and counts as whole")
		}
	})
}

func TestOthersMarksAndEpochsAreTakenInWithinASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := run(t, newStreams(10), &store{}, nil)
		defer b.stop()
		b.streams.grow(30)
		b.bucket.put(mark(30), nil)
		b.wait(time.Second)
		if b.Mark() != 30 {
			t.Errorf("the mark is %d", b.Mark())
		}
		b.streams.grow(20)
		b.wait(7 * time.Second)
		b.standing(integrity.Broken)

		turned := b.Changed()
		accepted := mark(20)
		accepted.Mark.Epoch = 1
		accepted.Epoch = integrity.Epoch{Number: 1}
		b.bucket.put(accepted, nil)
		b.wait(2 * time.Second)
		if w := b.Status().Watch; w.Standing != integrity.Whole {
			t.Fatalf("after acceptance the journal stands %s: %v", w.Standing, w.Findings)
		}
		if err := b.Open(); !errors.Is(err, keeper.ErrShut) {
			t.Errorf("held: the gate says %v", err)
		}
		select {
		case <-turned:
		default:
			t.Error("nobody was told of the epoch")
		}
		accepted.Epoch.Phase = integrity.Doubting
		b.Learn(accepted)
		b.standing(integrity.Whole)
		if b.Mark() != 20 {
			t.Errorf("the mark of the new epoch is %d", b.Mark())
		}
	})
}
