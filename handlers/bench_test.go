package handlers_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/simulators"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/journal/memory"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/bento/bentosim"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/openpay/openpaysim"
	"github.com/countermand/countermand/providers/simulator"
	"github.com/countermand/countermand/providers/tranzzo/tranzzosim"
)

// clock is a hand-driven clock.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advanceTo(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.now) {
		c.now = t
	}
}

// quarantine remembers what it was given, and can refuse.
type quarantine struct {
	mu   sync.Mutex
	kept []handlers.Original
	err  error
}

func (q *quarantine) Keep(_ context.Context, o handlers.Original) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.kept = append(q.kept, o)
	}
	return q.err
}

// setup is a service without a broker: the real handler, journal logic,
// adapters and simulators, and a clock that jumps from timer to timer.
type setup struct {
	t          *testing.T
	clock      *clock
	journal    *memory.Journal
	quarantine *quarantine
	opay       *opaysim.Simulator
	openpay    *openpaysim.Simulator
	bento      *bentosim.Simulator
	tranzzo    *tranzzosim.Simulator
	bases      map[string]*simulator.Base // by instance
	instances  []providers.Instance
	handler    *handlers.Handler
	timers     map[string]handlers.Timer // by subject: a newer one replaces an older
	sequence   atomic.Uint64
	losses     handlers.Losses    // nil: none
	originals  handlers.Originals // nil: none
	between    middleman          // nil: none
}

// middleman stands between the handler and a simulator, and may change its answers.
type middleman func(http.Handler, *simulator.Base) http.Handler

func newSetup(t *testing.T) *setup {
	t.Helper()
	return newSetupBehind(t, nil)
}

func newSetupBehind(t *testing.T, between middleman) *setup {
	t.Helper()
	s := &setup{
		t: t, between: between, clock: &clock{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)},
		journal: memory.New(nil), quarantine: &quarantine{}, timers: map[string]handlers.Timer{},
		bases: map[string]*simulator.Base{},
	}
	client := providers.NewClient(&providers.ClientOptions{Now: s.clock.Now})
	policy := payment.DefaultPolicy()
	for _, k := range simulators.Accounts() {
		sim := k.New(simulator.Manner{Now: s.clock.Now, Pace: simulator.AtOnce})
		if k.Instance == "bento-uk" { // with tokens of its own
			s.addBento(client, policy)
			continue
		}
		a, err := simulators.Open(k, s.serve(sim, sim.Base), client)
		if err != nil {
			t.Fatal(err)
		}
		s.bases[k.Instance] = sim.Base
		s.instances = append(s.instances, providers.Instance{
			Name: k.Instance, Kind: k.Name, Account: a.Account(), Provider: a, Policy: policy, MaxConcurrent: 8,
		})
		if k.Variant != "" {
			continue
		}
		switch own := sim.Handler.(type) {
		case *opaysim.Simulator:
			s.opay = own
		case *openpaysim.Simulator:
			s.openpay = own
		case *tranzzosim.Simulator:
			s.tranzzo = own
		}
	}
	s.handler = s.newHandler(s.journal, s.instances)
	return s
}

func (s *setup) serve(h http.Handler, base *simulator.Base) string {
	s.t.Helper()
	if s.between != nil {
		h = s.between(h, base)
	}
	server := httptest.NewServer(h)
	s.t.Cleanup(func() {
		base.Close()
		server.Close()
	})
	return server.URL
}

// hasty ends calls soon, for what a provider never answers. A busy machine may
// take longer over any other call, so only tests of a timeout are hasty.
func (s *setup) hasty() {
	for i := range s.instances {
		s.instances[i].Policy.CallTimeout = 150 * time.Millisecond
		if s.instances[i].Provider.Traits().Asks == payment.AsksHelpful {
			s.instances[i].Policy.CallTimeout = time.Second // no call waits for a reading that comes too late
		}
	}
	s.handler = s.newHandler(s.journal, s.instances)
}

// impatient gives up soon, so that what only waits ends in few timers.
func (s *setup) impatient() {
	for i := range s.instances {
		s.instances[i].Policy.GiveUpAfter = time.Hour
	}
	s.handler = s.newHandler(s.journal, s.instances)
}

// logging is a handler that logs into w.
func (s *setup) logging(w io.Writer, j journal.Journal) *handlers.Handler {
	s.t.Helper()
	set, err := providers.NewSet(s.instances...)
	if err != nil {
		s.t.Fatal(err)
	}
	log := slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h, err := handlers.New(j, set, s.quarantine, events.NewEncoder(nil), &handlers.Options{Now: s.clock.Now, Logger: log})
	if err != nil {
		s.t.Fatal(err)
	}
	return h
}

// newHandler is another consumer over the same store and providers.
func (s *setup) newHandler(j journal.Journal, instances []providers.Instance) *handlers.Handler {
	s.t.Helper()
	set, err := providers.NewSet(instances...)
	if err != nil {
		s.t.Fatal(err)
	}
	h, err := handlers.New(j, set, s.quarantine, events.NewEncoder(nil), &handlers.Options{
		Now: s.clock.Now, Patience: 50 * time.Millisecond, History: s.journal, Losses: s.losses, Originals: s.originals,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return h
}

// command publishes a command's structured event and returns its delivery.
func (s *setup) command(op payment.Op, data string) handlers.Delivery {
	sequence := s.sequence.Add(1)
	subject := "payment." + string(op) + ".requested"
	body := fmt.Sprintf(`{"specversion":"1.0","id":"e-%d","source":"/shop","type":%q,"data":%s}`, sequence, subject, data)
	return handlers.Delivery{
		Message:        events.Message{Subject: subject, Data: []byte(body)},
		OriginSequence: sequence, OriginTime: s.clock.Now(), Deliveries: 1,
		Hold: func(time.Time) {},
	}
}

// take carries a disposition out as the broker would.
func (s *setup) take(d handlers.Delivery, out handlers.Disposition) handlers.Disposition {
	if out.Kind == handlers.Later {
		s.timers[out.Timer.Subject] = out.Timer
	}
	return out
}

// deliver hands one message to the handler and keeps its timer.
func (s *setup) deliver(d handlers.Delivery) handlers.Disposition {
	s.t.Helper()
	return s.take(d, s.handler.Handle(context.Background(), d))
}

// next pops the earliest timer, jumps to it and returns its delivery.
func (s *setup) next() (handlers.Delivery, bool) {
	var first *handlers.Timer
	for _, timer := range s.timers {
		if first == nil || timer.At.Before(first.At) {
			first = &timer
		}
	}
	if first == nil {
		return handlers.Delivery{}, false
	}
	delete(s.timers, first.Subject)
	s.clock.advanceTo(first.At)
	m := first.Message
	m.Subject = first.Target
	return handlers.Delivery{
		Message: m, Timer: true, OriginSequence: first.OriginSequence, OriginTime: first.OriginTime,
		Original: first.Original, Deliveries: first.Deliveries + 1, Panics: first.Panics, Due: first.At,
		Recorded: first.Recorded, Hold: func(time.Time) {},
	}, true
}

// drive follows timers until none is left or the operation waits for a person.
func (s *setup) drive(done func() bool) {
	s.t.Helper()
	for range 200 {
		if done() {
			return
		}
		d, ok := s.next()
		if !ok {
			return
		}
		if out := s.deliver(d); out.Kind == handlers.Redeliver {
			s.t.Fatalf("timer was given back: %+v", out)
		}
	}
	s.t.Fatal("the operation did not come to an end in 200 timers")
}

// operation is what the journal says of an operation now.
func (s *setup) operation(id payment.ID, op payment.Op, key payment.Key) payment.Operation {
	s.t.Helper()
	rec, err := s.journal.Last(context.Background(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	i := rec.State.Find(op, key)
	if i < 0 {
		return payment.Operation{}
	}
	return rec.State.Operations[i]
}

// terminals counts an operation's terminal events.
func (s *setup) terminals(key payment.Key) int {
	s.t.Helper()
	all, err := s.journal.Events()
	if err != nil {
		s.t.Fatal(err)
	}
	n := 0
	for _, e := range all {
		if e.Key == key && e.Type.Terminal() {
			n++
		}
	}
	return n
}
