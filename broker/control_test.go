package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/internal/natstest"
)

// controlled is a server with the bucket, and the views of two processes.
type controlled struct {
	t        *testing.T
	server   *natstest.Server
	topology broker.Topology
	control  *broker.Control
}

func setupControl(t *testing.T) *controlled {
	t.Helper()
	server := natstest.Start(t, nil)
	js := server.JetStream(t)
	topology := broker.DefaultTopology()
	if _, err := broker.Provision(t.Context(), js, topology); err != nil {
		t.Fatal(err)
	}
	return &controlled{t, server, topology, broker.NewControl(js, topology)}
}

func (c *controlled) put(provider string, paused bool) {
	c.t.Helper()
	put(c.t, c.control, provider, paused)
}

// put says it on what is there, also where a view has just said something itself.
func put(t *testing.T, c *broker.Control, provider string, paused bool) {
	t.Helper()
	for {
		is, err := c.At(t.Context(), provider)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Set(t.Context(), provider, broker.Pause{Paused: paused, Since: time.Now()}, is.Revision)
		if errors.Is(err, broker.ErrChanged) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
}

func TestAPauseIsStoredOnTheRevisionThatWasSeenOrNotAtAll(t *testing.T) {
	t.Parallel()
	c := setupControl(t)
	never, err := c.control.At(t.Context(), "a")
	if err != nil || never.Revision != 0 {
		t.Fatalf("nothing was said: %+v, %v", never, err)
	}
	first, err := c.control.Set(t.Context(), "a", broker.Pause{Paused: true, Reason: "one"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, seen := range []uint64{0, first + 1} {
		if _, err := c.control.Set(t.Context(), "a", broker.Pause{}, seen); !errors.Is(err, broker.ErrChanged) {
			t.Errorf("on revision %d, where %d is there: %v", seen, first, err)
		}
	}
	if is, err := c.control.At(t.Context(), "a"); err != nil || !is.Paused || is.Reason != "one" || is.Revision != first {
		t.Errorf("stored is %+v, %v", is, err)
	}
	bucket, err := c.server.JetStream(t).KeyValue(t.Context(), c.topology.Control)
	if err != nil {
		t.Fatal(err)
	}
	if err := bucket.Delete(t.Context(), "a"); err != nil { // by hand
		t.Fatal(err)
	}
	put(t, c.control, "a", true)
}

// follower is what one view has told, in order.
type follower struct {
	t    *testing.T
	view *broker.ControlView
	mu   sync.Mutex
	told []string
	news chan struct{}
}

// follow runs a view of the providers "a" and "b" on a connection of its own.
func (c *controlled) follow(o *broker.ControlOptions) *follower {
	c.t.Helper()
	f := &follower{t: c.t, news: make(chan struct{}, 100)}
	own := broker.NewControl(c.server.JetStream(c.t), c.topology)
	f.view = broker.NewControlView(own, []string{"a", "b"}, f.tell, o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); f.view.Run(ctx) }()
	c.t.Cleanup(func() { cancel(); <-ended })
	return f
}

func (f *follower) tell(provider string, paused bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, fmt.Sprint(provider, " ", paused))
	f.news <- struct{}{}
}

// await waits until exactly n things were told, and returns the last of them.
func (f *follower) await(n int) []string {
	f.t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		f.mu.Lock()
		told := append([]string{}, f.told...)
		f.mu.Unlock()
		if len(told) >= n {
			return told
		}
		select {
		case <-f.news:
		case <-deadline:
			f.t.Fatalf("told %q, want %d things", told, n)
		}
	}
}

func (f *follower) want(want ...string) {
	f.t.Helper()
	got := f.await(len(want))
	if diff := cmp.Diff(want, got); diff != "" {
		f.t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestEveryReplicaFollowsPausesAndKnowsOlderOnesFromTheStart(t *testing.T) {
	t.Parallel()
	c := setupControl(t)
	c.put("a", true)
	first, second := c.follow(nil), c.follow(nil)
	<-first.view.First()
	<-second.view.First()
	for _, f := range []*follower{first, second} {
		f.want("a true", "b false")
	}
	c.put("b", true)
	first.await(3)
	second.await(3)
	c.put("b", true) // again, which changes nothing
	c.put("a", false)
	for _, f := range []*follower{first, second} {
		f.want("a true", "b false", "b true", "a false")
	}
}

func TestAViewOutlivesTheServerAndIsWholeWithTheFirstAnswer(t *testing.T) {
	t.Parallel()
	c := setupControl(t)
	f := c.follow(nil)
	f.await(2)
	c.put("a", true)
	f.await(3)
	c.server.Shutdown(t)
	if ok, reason := f.view.Ready(); !ok {
		t.Errorf("without a server the last view is given up: %s", reason)
	}
	c.server.Restart(t)
	other := broker.NewControl(c.server.JetStream(t), c.topology)
	put(t, other, "a", false)
	f.want("a false", "b false", "a true", "a false")
}

func TestWithoutTheBucketNothingIsKnownUntilItIsThere(t *testing.T) {
	t.Parallel()
	c := setupControl(t)
	js := c.server.JetStream(t)
	if err := js.DeleteKeyValue(t.Context(), c.topology.Control); err != nil {
		t.Fatal(err)
	}
	f := c.follow(nil)
	ok, reason := f.view.Ready()
	if ok || !strings.HasPrefix(reason, "it is not known which providers are paused: ") {
		t.Errorf("ready %t: %s", ok, reason)
	}
	if _, err := broker.Provision(t.Context(), js, c.topology); err != nil {
		t.Fatal(err)
	}
	<-f.view.First()
	if ok, reason := f.view.Ready(); !ok {
		t.Errorf("not ready: %s", reason)
	}
}

func TestAStartInPauseTakesOnlyAResumeThatComesAfterIt(t *testing.T) {
	t.Parallel()
	c := setupControl(t)
	c.put("a", false) // long ago
	f := c.follow(&broker.ControlOptions{StartPaused: true})
	f.want("a true", "b true")
	c.put("a", false)
	f.want("a true", "b true", "a false")
	c.put("a", true)
	c.put("b", true)
	c.put("b", false)
	f.want("a true", "b true", "a false", "a true", "b false")
	// Another process that starts now begins in pause again.
	again := c.follow(&broker.ControlOptions{StartPaused: true})
	again.want("a true", "b true")
}

func TestWhatCannotBeReadInTheBucketIsAPause(t *testing.T) {
	t.Parallel()
	c := setupControl(t)
	bucket, err := c.server.JetStream(t).KeyValue(t.Context(), c.topology.Control)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.Put(t.Context(), "a", []byte("yes please")); err != nil {
		t.Fatal(err)
	}
	c.put("b", true)
	if err := bucket.Delete(t.Context(), "b"); err != nil { // by hand: nothing is said any more
		t.Fatal(err)
	}
	all, err := c.control.Get(t.Context(), "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	if !all["a"].Paused || all["b"].Paused {
		t.Errorf("read as %+v", all)
	}
}

func TestTheBucketKeepsWhoPausedLatelyAndCannotBeErased(t *testing.T) {
	t.Parallel()
	c := setupControl(t)
	js := c.server.JetStream(t)
	for n := range 7 {
		c.put("a", n%2 == 0)
	}
	bucket, err := js.KeyValue(t.Context(), c.topology.Control)
	if err != nil {
		t.Fatal(err)
	}
	history, err := bucket.History(t.Context(), "a")
	if err != nil || len(history) != 5 {
		t.Errorf("%d values kept, %v; want 5", len(history), err)
	}
	if err := bucket.Purge(t.Context(), "a"); err == nil {
		t.Error("a key could be erased with its history")
	}
	stream, err := js.Stream(t.Context(), c.topology.ControlStream())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context()); err == nil {
		t.Error("the bucket could be purged")
	}
	if got := stream.CachedInfo().Config; got.Storage != jetstream.FileStorage || got.AllowDirect {
		t.Errorf("bucket is %+v", got)
	}
}

func TestAMarkInTheBucketDoesNotHaveThePausesReadAgain(t *testing.T) {
	t.Parallel()
	c := setupControl(t)
	js := c.server.JetStream(t)
	f := c.follow(nil)
	f.await(2)
	own := c.server.JetStream(t)
	// The view reads a key only after it has asked for the stream and what is new there.
	asked, err := own.Conn().SubscribeSync("$JS.API.STREAM.MSG.GET." + c.topology.ControlStream())
	if err != nil {
		t.Fatal(err)
	}
	if err := own.Conn().Flush(); err != nil { // the view asks over another connection
		t.Fatal(err)
	}
	for n := range 30 {
		if _, err := js.Publish(t.Context(), fmt.Sprintf("$KV.%s._mark", c.topology.Control), fmt.Append(nil, n)); err != nil {
			t.Fatal(err)
		}
		if _, err := js.Publish(t.Context(), fmt.Sprintf("$KV.%s._replica.%d", c.topology.Control, n), nil); err != nil {
			t.Fatal(err)
		}
	}
	for range 6 {
		m, err := asked.NextMsg(30 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(m.Data), "last_by_subj") {
			t.Fatalf("pauses were read again: %s", m.Data)
		}
	}
	c.put("b", true)
	f.want("a false", "b false", "b true")
}

func TestALostBucketPausesEverythingUntilSomebodyResumes(t *testing.T) {
	t.Parallel()
	c := setupControl(t)
	c.put("a", true)
	c.put("a", false)
	f := c.follow(nil)
	f.want("a false", "b false")
	js := c.server.JetStream(t)
	if err := js.DeleteKeyValue(t.Context(), c.topology.Control); err != nil {
		t.Fatal(err)
	}
	f.want("a false", "b false", "a true", "b true")
	if _, err := broker.Provision(t.Context(), js, c.topology); err != nil {
		t.Fatal(err)
	}
	c.put("b", true) // what is said first need not be a resume
	eventually(t, "the new bucket to be read", func() bool { ok, _ := f.view.Ready(); return ok })
	c.put("a", false)
	for len(f.await(4)) == 4 {
		c.put("a", false) // a resume that came before the view saw the bucket does not count
		<-time.After(10 * time.Millisecond)
	}
	f.want("a false", "b false", "a true", "b true", "a false")
}

func TestAnOlderCopyOfTheBucketPausesEverything(t *testing.T) {
	t.Parallel()
	c := setupControl(t)
	c.put("a", false)
	old := c.server.Copy(t)
	c.control = broker.NewControl(c.server.JetStream(t), c.topology)
	c.put("a", true)
	c.put("b", false)
	f := c.follow(nil)
	f.want("a true", "b false")
	c.server.Restore(t, old)
	f.want("a true", "b false", "b true")
}

func TestWhatOutlivesTheBucketTellsOfALossBeforeTheStart(t *testing.T) {
	t.Parallel()
	c := setupControl(t)
	c.put("a", false)
	f := c.follow(&broker.ControlOptions{Reached: func() uint64 { return 9 }})
	f.want("a true", "b true")
	c.put("a", false)
	f.want("a true", "b true", "a false")
	c.said("b", true)
	whole := c.follow(&broker.ControlOptions{Reached: func() uint64 { return 2 }})
	whole.want("a false", "b true") // nobody has resumed it
}

// said waits until the bucket says so of a provider, in the service's own name.
func (c *controlled) said(provider string, paused bool) {
	c.t.Helper()
	eventually(c.t, "what a loss brings to be in the bucket", func() bool {
		is, err := c.control.At(c.t.Context(), provider)
		return err == nil && is.Paused == paused && is.By == "countermand"
	})
}

// remembered are the decisions about pauses that outlive the bucket.
type remembered struct {
	mu    sync.Mutex
	all   integrity.Decisions
	asked bool
}

func (r *remembered) known() (integrity.Decisions, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.asked {
		return nil, errors.New("the witness holds nothing")
	}
	return r.all, nil
}

func (r *remembered) decided(shown integrity.Decisions) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = r.all.Merge(shown)
}

func (r *remembered) options() *broker.ControlOptions {
	return &broker.ControlOptions{Known: r.known, Decided: r.decided}
}

// forget takes everything out of the bucket without a trace in its count: a limit of
// age that is there for a moment.
func (c *controlled) forget() {
	c.t.Helper()
	js := c.server.JetStream(c.t)
	s, err := js.Stream(c.t.Context(), c.topology.ControlStream())
	if err != nil {
		c.t.Fatal(err)
	}
	before := s.CachedInfo().State.LastSeq
	for _, age := range []time.Duration{100 * time.Millisecond, 0} {
		aged := s.CachedInfo().Config
		aged.MaxAge, aged.Duplicates = age, age
		if s, err = js.UpdateStream(c.t.Context(), aged); err != nil {
			c.t.Fatal(err)
		}
		eventually(c.t, "the bucket to be empty", func() bool {
			info, err := s.Info(c.t.Context())
			return err == nil && info.State.Msgs == 0 && info.State.LastSeq == before
		})
	}
}

// remake makes the bucket anew, and fills it beyond what it held before with what the
// service keeps there for itself.
func (c *controlled) remake() {
	c.t.Helper()
	js := c.server.JetStream(c.t)
	if err := js.DeleteKeyValue(c.t.Context(), c.topology.Control); err != nil {
		c.t.Fatal(err)
	}
	if _, err := broker.Provision(c.t.Context(), js, c.topology); err != nil {
		c.t.Fatal(err)
	}
	for n := range 20 {
		if _, err := js.Publish(c.t.Context(), "$KV."+c.topology.Control+"._replica.1", fmt.Append(nil, n)); err != nil {
			c.t.Fatal(err)
		}
	}
}

func TestAPauseThatTheBucketNoLongerShowsPausesEverythingForGood(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*controlled){"aged": (*controlled).forget, "made anew": (*controlled).remake} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := setupControl(t)
			c.put("b", false)
			c.put("a", true)
			memory := &remembered{asked: true}
			c.follow(memory.options()).want("a true", "b false")
			running, _ := memory.known()
			if len(running) != 2 {
				t.Fatalf("remembered is %v", running)
			}
			lose(c)
			c.follow(memory.options()).want("a true", "b true")
			c.said("a", true)
			c.said("b", true)
			// An older release knows nothing of a loss, and a later start finds none.
			c.follow(nil).want("a true", "b true")
			eventually(t, "the pauses to be remembered", func() bool {
				now, _ := memory.known()
				return now["a"].At.After(running["a"].At) && now["b"].At.After(running["b"].At)
			})
			c.put("a", false)
			c.follow(memory.options()).want("a false", "b true")
			c.put("b", false)
			c.follow(memory.options()).want("a false", "b false")
		})
	}
}

func TestNothingIsKnownOfPausesBeforeWhatIsRememberedWasAsked(t *testing.T) {
	t.Parallel()
	c := setupControl(t)
	memory := &remembered{}
	f := c.follow(memory.options())
	eventually(t, "the reason", func() bool {
		ok, reason := f.view.Ready()
		return !ok && strings.Contains(reason, "the witness holds nothing")
	})
	memory.mu.Lock()
	memory.asked = true
	memory.mu.Unlock()
	f.want("a false", "b false")
}

func TestAPauseOfAProviderThatIsNoLongerConfiguredIsLostOnce(t *testing.T) {
	t.Parallel()
	c := setupControl(t)
	memory := &remembered{asked: true, all: integrity.Decisions{"gone": {Sequence: 40, At: time.Now().Add(-time.Hour)}}}
	c.follow(memory.options()).want("a true", "b true")
	c.said("gone", true)
	c.put("a", false)
	c.put("b", false)
	c.follow(memory.options()).want("a false", "b false")
}
