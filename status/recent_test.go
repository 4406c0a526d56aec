package status_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/status"
)

// searched is what an error tells of the search, or nothing.
func searched(err error) status.Searched {
	var no *status.Error
	if errors.As(err, &no) && no.Searched != nil {
		return *no.Searched
	}
	return status.Searched{}
}

func TestACommandThatIsKnownCostsTwoReadsAndAnUnknownOneIsLookedForOnce(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	for i := range 300 {
		b.event(payment.ID{Provider: "p", Native: fmt.Sprint(i)}, payment.Key(fmt.Sprint(i)), payment.StatusStarted, nil)
	}
	r := b.reader(1000)
	ask := func(key payment.Key) (err error) { _, err = r.Ask(t.Context(), byCommand(key)); return err }
	if n := b.costs(func() {
		if err := ask("none"); codeOf(err) != status.CodeNotFound || !searched(err).Whole {
			t.Errorf("told %v, searched %+v", err, searched(err))
		}
	}); n != 301 {
		t.Errorf("300 messages took %d reads", n)
	}
	if n := b.costs(func() {
		for i := range 300 {
			if err := ask(payment.Key(fmt.Sprint(i))); err != nil {
				t.Error(i, err)
			}
		}
	}); n != 600 {
		t.Errorf("300 known commands took %d reads", n)
	}
	if n := b.costs(func() { _ = ask("none") }); n != 1 {
		t.Errorf("nothing new took %d reads", n)
	}
	b.event(payment.ID{Provider: "p", Native: "new"}, "new", payment.StatusStarted, nil)
	if n := b.costs(func() {
		if err := ask("new"); err != nil {
			t.Error(err)
		}
	}); n != 4 {
		t.Errorf("one new message took %d reads", n)
	}
}

// Whatever is appended and asked, in whichever order: an operation that began in
// what was searched is found, and what is found is right. Half of the orders are
// new in each run; one that fails belongs into the list.
func TestWhatWasSearchedHidesNothing(t *testing.T) {
	t.Parallel()
	var seeds []uint64
	for known := range uint64(50) {
		seeds = append(seeds, known, rand.Uint64())
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			searchAnyOrder(t, rand.New(rand.NewPCG(seed, 0)))
		})
	}
}

func searchAnyOrder(t *testing.T, choose *rand.Rand) {
	t.Helper()
	between := func(low, high int) int { return low + choose.IntN(high-low+1) }
	b := newBook(t)
	recent := 1000
	if between(0, 1) == 0 {
		recent = between(1, 40)
	}
	r := b.reader(recent)
	began := map[payment.Key]time.Time{}
	open := []payment.Key{}
	id := func(key payment.Key) payment.ID { return payment.ID{Provider: "p", Native: "x" + string(key[:1])} }
	ask := func(key payment.Key) {
		got, err := r.Ask(t.Context(), byCommand(key))
		at, there := began[key]
		within := searched(err)
		switch {
		case err == nil && (!there || got.Operations[0].Key != key || got.Payment != id(key).Native):
			t.Fatalf("%s is answered %+v", key, got)
		case err != nil && codeOf(err) != status.CodeNotFound:
			t.Fatalf("%s: %v", key, err)
		case err != nil && there && !within.Since.IsZero() && !at.Before(within.Since.Time) && !at.After(within.Until.Time):
			t.Fatalf("%s began at %s and is not found in %+v", key, at, within)
		case err != nil && there && within.Whole:
			t.Fatalf("%s is not found in the whole journal", key)
		}
	}
	for range between(1, 6) {
		for range between(0, 100) {
			switch what := between(0, 9); {
			case what == 0:
				b.hole()
			case what == 1:
				b.put(events.Message{Subject: "payment.command.rejected.1-0", Data: []byte(`{"data":{"commandId":"evt-1"}}`)})
			case what == 2:
				b.put(events.Message{Subject: "payment.refund.started.p.1.1", Data: []byte(`{`)})
			case what < 6 && len(open) > 0:
				i := between(0, len(open)-1)
				b.event(id(open[i]), open[i], payment.StatusSucceeded, nil)
				open = append(open[:i], open[i+1:]...)
			default:
				key := payment.Key(fmt.Sprint(len(began)))
				began[key] = b.now()
				b.event(id(key), key, payment.StatusStarted, nil)
				open = append(open, key)
			}
		}
		// A hole has no last message to be found: the newest is always there.
		b.put(events.Message{Subject: "payment.operator.ask.01J8Z3N9Q8K6M2V4T7R5W1X0YA", Data: []byte(`{}`)})
		for range between(1, 4) {
			ask(payment.Key(fmt.Sprint(between(0, len(began)))))
		}
	}
	for key := range began {
		ask(key)
	}
}

func TestFarBehindItBeginsAnewAtTheNewest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBook(t)
		b.event(first, "a", payment.StatusStarted, nil)
		r := b.reader(100_000)
		if _, err := r.Ask(t.Context(), byCommand("a")); err != nil {
			t.Fatal(err)
		}
		for range 30_000 {
			b.put(events.Message{Subject: "payment.operator.ask.x", Data: []byte(`{}`)})
		}
		b.event(first, "b", payment.StatusStarted, nil)
		if _, err := r.Ask(t.Context(), byCommand("b")); err != nil {
			t.Fatalf("the newest is not found: %v", err)
		}
		// The pace lets 20,000 be read at once and 2,000 a second from then on.
		_, err := r.Ask(t.Context(), byCommand("a"))
		if within := searched(err); codeOf(err) != status.CodeNotFound || within.Whole || within.Since.Before(start().Add(time.Second)) {
			t.Fatalf("told %v, searched %+v", err, within)
		}
		asked := 0
		for ; err != nil && asked < 60; asked++ {
			before := searched(err).Since
			<-time.After(time.Second) // of the bubble's clock, which the pace keeps to
			if _, err = r.Ask(t.Context(), byCommand("a")); err != nil && !searched(err).Since.Before(before.Time) {
				t.Fatalf("a further search reads no further than %s", before)
			}
		}
		if err != nil || asked < 2 {
			t.Errorf("after %d more questions: %v", asked, err)
		}
	})
}

func TestAFewSearchAtATimeAndTheOthersAreToldToComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBook(t)
		b.event(first, "a", payment.StatusStarted, nil)
		r := b.reader(10)
		b.hold = make(chan struct{})
		answers := make(chan error, 8)
		for range 8 {
			go func() { _, err := r.Ask(t.Context(), byCommand("none")); answers <- err }()
		}
		synctest.Wait() // one reads, the others wait
		before := time.Now()
		if _, err := r.Ask(t.Context(), byCommand("none")); codeOf(err) != status.CodeTooMany || time.Since(before) != 0 {
			t.Errorf("the ninth is told %v after %s", err, time.Since(before))
		}
		// Who asks by payment waits for nobody.
		if _, err := r.Ask(t.Context(), status.Query{Provider: first.Provider, Payment: first.Native}); err != nil {
			t.Error(err)
		}
		close(b.hold)
		for range 8 {
			if err := <-answers; codeOf(err) != status.CodeNotFound {
				t.Errorf("one that waited is told %v", err)
			}
		}
	})
}

func TestWithoutRoomACommandAloneFindsNothingAndReadsNothing(t *testing.T) {
	t.Parallel()
	b := threeOperations(t)
	r := b.reader(0)
	if n := b.costs(func() {
		if _, err := r.Ask(t.Context(), byCommand("b")); codeOf(err) != status.CodeNotFound {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%d reads", n)
	}
}

// BenchmarkRemember measures the memory of what is remembered.
func BenchmarkRemember(b *testing.B) {
	const n = 19_000
	j := newBook(b)
	for i := range n {
		j.put(events.Message{
			Subject: "payment.refund.started.p.1.1",
			Data:    fmt.Appendf(nil, `{"data":{"commandId":"evt-%d","commandSource":"/shop"}}`, i),
		})
	}
	var bytes float64
	for b.Loop() {
		r := j.reader(n)
		before := heap()
		if _, err := r.Ask(b.Context(), byCommand("none")); !searched(err).Whole {
			b.Fatalf("searched %+v", searched(err))
		}
		bytes = float64(heap()-before) / n
		runtime.KeepAlive(r)
	}
	b.ReportMetric(bytes, "B/command")
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
