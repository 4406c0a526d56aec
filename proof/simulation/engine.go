package simulation

import (
	"fmt"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/internal/simulators"
	"github.com/countermand/countermand/journal/memory"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/simulator"
)

// consumers is how many processes share the work.
const consumers = 3

// engine plays one schedule after another. It is used by one goroutine;
// several engines run side by side.
type engine struct {
	kinds     []kind
	processes []*process
	world     *world
}

// Result is what came of one schedule.
type Result struct {
	// Violation is the first rule that was broken; empty: none.
	Violation string
	Steps     int // of the scheduler
	Events    int // appended to the journal
	Calls     int // that could move money and left
	Movements int
	Reviews   int // operations that wait for a person at the end
	Ends      int // terminal results
	Queries   int // that were asked of providers
	Losses    int // of streams, that were chosen
	// Unnoticed: every place that knew more than the journal was gone before
	// anybody looked. Otherwise counts the results that a second one disagrees with.
	Unnoticed bool
	Otherwise int
	Accepted  int // losses that an operator accepted
	Trusted   bool
	// Contradictions counts the timers that contradicted the journal.
	Contradictions int
	// Trace says what happened, where it was asked for.
	Trace []string
}

// New builds an engine: the real handlers of three consumers, at one account of
// each kind as its provider documents it.
func New() (*Engine, error) { return NewAt(simulators.Kinds()) }

// NewAt builds an engine at other accounts.
func NewAt(accounts []simulator.Kind) (*Engine, error) {
	kinds, err := newKinds(accounts)
	if err != nil {
		return nil, err
	}
	e := &engine{kinds: kinds}
	for i := range consumers {
		p := &process{number: i + 1, engine: e, skew: time.Duration(i-1) * 900 * time.Millisecond}
		if p.handler, err = newHandler(p, kinds); err != nil {
			return nil, err
		}
		e.processes = append(e.processes, p)
	}
	return &Engine{e}, nil
}

// Engine plays schedules, one at a time. It is not safe for concurrent use.
type Engine struct{ engine *engine }

// policy makes everything that takes days in production take minutes.
func policy() payment.Policy {
	return payment.Policy{
		CallTimeout: 10 * time.Second, CallMargin: 5 * time.Second,
		RetryInitial: time.Second, RetryMax: time.Minute, GiveUpAfter: time.Hour,
		PollInitial: 2 * time.Second, PollMax: 2 * time.Minute,
		ReviewAfter: 5 * time.Minute, ReviewPoll: 30 * time.Minute,
	}
}

func newHandler(p *process, kinds []kind) (*handlers.Handler, error) {
	var instances []providers.Instance
	for i := range kinds {
		k := &kinds[i]
		instances = append(instances, providers.Instance{
			Name: k.name, Kind: k.traits.Kind, Account: k.account, Provider: port{p, k}, Policy: policy(), MaxConcurrent: 2,
		})
	}
	set, err := providers.NewSet(instances...)
	if err != nil {
		return nil, fmt.Errorf("list instances: %w", err)
	}
	return handlers.New(tap{p}, set, tap{p}, events.NewEncoder(&events.EncoderOptions{Source: "/payments/consumer"}), &handlers.Options{
		Now: p.now, Isolation: gate{p: p}, History: tap{p}, Losses: tap{p}, Originals: tap{p},
		Patience: time.Nanosecond, // nobody else runs while a coroutine waits
	})
}

// Play plays one schedule in which no stream loses anything. Marks are kept all the
// same, and must never find anything. trace asks for an account of what happened.
func (e *Engine) Play(schedule []byte, trace bool) Result { return e.play(schedule, watched, trace) }

// PlayUnwatched plays a schedule as Play does, without marks.
func (e *Engine) PlayUnwatched(schedule []byte, trace bool) Result {
	return e.play(schedule, unwatched, trace)
}

// PlayLosses plays a schedule in which streams lose something at any step.
func (e *Engine) PlayLosses(schedule []byte, trace bool) Result {
	return e.play(schedule, lossy, trace)
}

func (e *Engine) play(schedule []byte, m mode, trace bool) Result {
	w := &world{
		engine: e.engine, choose: choices{schedule: schedule}, kinds: e.engine.kinds,
		clock:    time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC),
		provider: &provider{accounts: map[payment.ID]*account{}},
		journal:  memory.New(nil), timers: map[string]*message{}, weather: map[string]weather{}, judge: newJudge(), late: newLate(),
		keeping: keeping{mode: m, otherwise: map[operation]int{}, askedIn: map[operation]uint64{}, publishedAt: map[uint64]time.Time{}},
	}
	var notes []string
	if trace {
		w.trace = &notes
	}
	e.engine.world = w
	for _, p := range e.engine.processes {
		p.stopped, p.broken = false, memory.None
		p.journal = w.journal.Writer(&memory.Options{Fault: p.fault})
		p.load()
	}
	w.play()
	return w.result(notes)
}

// fault is what befalls one try of an append: what was chosen, once.
func (p *process) fault(memory.Try) memory.Fault {
	f := p.broken
	p.broken = memory.None
	return f
}

func (w *world) result(notes []string) Result {
	r := Result{
		Violation: w.broken, Steps: w.steps, Calls: len(w.provider.requests), Ends: len(w.ends), Trace: notes,
		Queries: w.queries, Losses: w.losses, Unnoticed: w.unnoticeable, Otherwise: len(w.otherwise), Contradictions: w.contradictions,
		Accepted: int(w.newestEpoch().Number), Trusted: w.newestEpoch().Number > 0 && w.newestEpoch().Phase == integrity.Trusted,
	}
	for _, s := range w.states {
		r.Events += int(s.Version)
	}
	for _, a := range w.provider.accounts {
		for _, rec := range a.records {
			r.Movements += rec.movements
		}
	}
	for _, o := range w.openOperations() {
		if o.state.Open.Review != nil {
			r.Reviews++
		}
	}
	return r
}
