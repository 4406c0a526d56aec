package broker_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/handlers"
)

// waitingFor schedules n timers of a provider in an hour. Those that wait for the end of
// a pause say so.
func (b *bundle) waitingFor(provider string, n int, paused bool) {
	b.t.Helper()
	timers := broker.NewTimers(b.js, b.topology)
	for i := range n {
		tm := timer(fmt.Sprintf("%s-%t-%d", provider, paused, i), time.Now().Add(time.Hour))
		tm.Subject = strings.Replace(tm.Subject, ".opay-eg.", "."+provider+".", 1)
		tm.Paused = paused
		if err := timers.Schedule(b.ctx(), tm); err != nil {
			b.t.Fatal(err)
		}
	}
}

// waker runs a waker until the returned function is called, or the test ends.
func (b *bundle) waker(o *broker.WakerOptions) (w *broker.Waker, stop func()) {
	b.t.Helper()
	w = broker.NewWaker(b.js, b.topology, o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); w.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		receive(b.t, ended, "the waker to stop")
	})
	b.t.Cleanup(stop)
	return w, stop
}

// woken counts how often each timer is delivered, by its text.
type woken struct {
	mu    sync.Mutex
	times map[string]int
	// first is called with the first one.
	first func()
}

func (w *woken) handle(_ context.Context, d handlers.Delivery) handlers.Disposition {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.times == nil {
		w.times = map[string]int{}
		if w.first != nil {
			w.first()
		}
	}
	w.times[string(d.Message.Data)]++
	return ack()
}

func (w *woken) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.times)
}

// once is every one of a provider's n paused timers, delivered once.
func once(provider string, n int) map[string]int {
	all := map[string]int{}
	for i := range n {
		all[fmt.Sprintf("%s-true-%d", provider, i)] = 1
	}
	return all
}

func (b *bundle) lastOfDue() uint64 {
	b.t.Helper()
	s, err := b.js.Stream(b.ctx(), b.topology.Due)
	if err != nil {
		b.t.Fatal(err)
	}
	return s.CachedInfo().State.LastSeq
}

func TestTheEndOfAPauseBringsForwardWhatWaitedForItAndEachOnceByAllProcesses(t *testing.T) {
	t.Parallel()
	const n = 60
	b := setup(t)
	b.waitingFor("opay-eg", n, true)
	b.waitingFor("opay-eg", 10, false) // polls of another kind
	b.waitingFor("other", 10, true)
	before := b.lastOfDue()
	var got woken
	b.run(nil, got.handle)
	var wakers []*broker.Waker
	for range 3 {
		w, _ := b.waker(nil)
		w.Paused("other", true)
		wakers = append(wakers, w)
	}
	for _, w := range wakers {
		w.Paused("opay-eg", false)
	}
	eventually(t, "all to be delivered", func() bool { return got.count() >= n })
	b.allDone(b.topology.Due)
	if diff := cmp.Diff(once("opay-eg", n), got.times); diff != "" {
		t.Errorf("delivered (-want +got):\n%s", diff)
	}
	// Each is written once, and delivered once, however many processes see the end.
	if writes := b.lastOfDue() - before; writes != 2*n {
		t.Errorf("%d messages were stored for %d timers, want two for each", writes, n)
	}
}

func TestASweepThatDiesIsFinishedByAnotherProcess(t *testing.T) {
	t.Parallel()
	const n = 40
	b := setup(t)
	b.waitingFor("opay-eg", n, true)
	var got woken
	b.run(nil, got.handle)
	w, die := b.waker(&broker.WakerOptions{PerSecond: map[string]float64{"opay-eg": 10}})
	w.Paused("opay-eg", false)
	eventually(t, "the sweep to begin", func() bool { return got.count() > 2 })
	die()
	if got.count() == n {
		t.Fatal("the first sweep was not cut")
	}
	w, _ = b.waker(nil) // it starts, and is told how the provider stands
	w.Paused("opay-eg", false)
	eventually(t, "all to be delivered", func() bool { return got.count() >= n })
	b.allDone(b.topology.Due)
	if diff := cmp.Diff(once("opay-eg", n), got.times); diff != "" {
		t.Errorf("delivered (-want +got):\n%s", diff)
	}
}

func TestATimerThatIsPutOffWhileTheSweepRunsIsBroughtForwardToo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.waitingFor("opay-eg", 3, true)
	// A process that has not seen the end of the pause yet puts one off once more.
	got := woken{first: func() { b.waitingFor("opay-eg", 4, true) }}
	b.run(nil, got.handle)
	w, _ := b.waker(&broker.WakerOptions{Again: 20 * time.Millisecond, PerSecond: map[string]float64{"opay-eg": 1}})
	w.Paused("opay-eg", false)
	eventually(t, "the late one to be delivered", func() bool { return got.count() == 4 })
}

func TestANewPauseStopsTheSweepOfTheOldOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.waitingFor("opay-eg", 500, true)
	b.waitingFor("other", 20, true)
	var got woken
	b.run(nil, got.handle)
	var log syncedText
	w, _ := b.waker(&broker.WakerOptions{Again: 3 * time.Second, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	w.Paused("opay-eg", false)
	eventually(t, "the sweep to begin", func() bool { return got.count() > 0 })
	w.Paused("opay-eg", true)
	w.Paused("other", false)
	// Its second pass is three seconds after the first: time for 500.
	eventually(t, "the other provider's sweep to end", func() bool { return strings.Contains(log.text(), "provider=other commands=20") })
	if n := got.count(); n > 300 {
		t.Errorf("%d timers came, though their provider is paused again", n)
	}
}

// syncedText is a log that is read while it is written.
type syncedText struct {
	mu  sync.Mutex
	all strings.Builder
}

func (l *syncedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *syncedText) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}
