package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/internal/sleep"
)

// pollEvery is how often a view asks whether the bucket has changed. Asking is
// one small request; a pause is seen by every replica within about this time.
const pollEvery = time.Second

// Paused is told how a provider instance stands, once for each at the first
// view and then with each change.
type Paused func(provider string, paused bool)

// ControlOptions are the optional parts of a ControlView; nil and zero mean the
// defaults.
type ControlOptions struct {
	// StartPaused takes every instance for paused until it is resumed after this
	// view began: what the bucket said before does not count. For the first start
	// after an incident.
	StartPaused bool
	// Reached is the sequence that the bucket is known to have reached, by what
	// outlives the bucket; default: nothing is known.
	Reached func() uint64
	// Known are the newest decisions about pauses that are known to have been made, by
	// what outlives the bucket. The error says why that is not known yet; no view begins
	// before it is. Default: nothing is known.
	Known func() (integrity.Decisions, error)
	// Decided is told the newest decisions that the bucket shows; default: nobody.
	Decided func(shown integrity.Decisions)
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Logger; default none.
	Logger *slog.Logger
}

// ControlView keeps a process's view of the bucket of pauses. It asks the
// stream's leader for the newest sequence now and then and reads the keys when
// that has moved. Unlike a subscription, asking cannot go silent unnoticed, needs
// no consumer on the server, and after an outage is complete with the first
// answer. While nothing is answered the last view stands.
//
// A bucket that is gone, or ends before it once did, or no longer shows what was last
// decided about a provider, has lost pauses: every instance then counts as paused until
// somebody resumes it. The view writes these pauses into the bucket, so that other
// replicas and later starts see them as well.
type ControlView struct {
	control   *Control
	providers []string
	tell      Paused
	start     bool
	reached   func() uint64
	known     func() (integrity.Decisions, error)
	decided   func(integrity.Decisions)
	now       func() time.Time
	log       *slog.Logger

	mu    sync.Mutex
	view  map[string]bool // as told
	first chan struct{}   // closed with the first whole view
	err   error           // why there is none yet
	// began is the newest sequence of the first view, seen that of the last.
	began, seen uint64
	// short counts the polls in a row that found less than was known. lost is set by
	// the second one; excused is what was known then, and no new loss.
	short   int
	lost    bool
	gone    bool // at the last poll the bucket did not exist
	excused uint64
	// seenLast are the newest decisions that the bucket has shown, absent counts the
	// readings in a row that did not show a known one.
	seenLast integrity.Decisions
	absent   int
	// unsaid: the pauses that a loss brings are not in the bucket yet.
	unsaid bool
}

// NewControlView returns a view of the given provider instances, which tells
// what it sees. It does no I/O until it runs.
func NewControlView(c *Control, providers []string, tell Paused, o *ControlOptions) *ControlView {
	v := &ControlView{
		control: c, providers: providers, tell: tell, log: slog.New(slog.DiscardHandler),
		first: make(chan struct{}), err: errors.New("not asked yet"), reached: func() uint64 { return 0 },
		known: func() (integrity.Decisions, error) { return nil, nil }, decided: func(integrity.Decisions) {}, now: time.Now,
	}
	if o != nil {
		v.start = o.StartPaused
		if o.Reached != nil {
			v.reached = o.Reached
		}
		if o.Known != nil {
			v.known = o.Known
		}
		if o.Decided != nil {
			v.decided = o.Decided
		}
		if o.Now != nil {
			v.now = o.Now
		}
		if o.Logger != nil {
			v.log = o.Logger
		}
	}
	return v
}

// Run keeps the view until ctx ends. It outlives every outage of the server.
func (v *ControlView) Run(ctx context.Context) {
	for {
		if err := v.poll(ctx); err != nil && ctx.Err() == nil {
			v.failed(err)
		}
		if !sleep.For(ctx, pollEvery) {
			return
		}
	}
}

// First is closed once every instance's standing is known. Until then nothing
// may be called: any of them may be paused.
func (v *ControlView) First() <-chan struct{} { return v.first }

// Ready reports whether every instance's standing is known, and if not, why.
func (v *ControlView) Ready() (ok bool, reason string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.view == nil {
		return false, "it is not known which providers are paused: " + v.err.Error()
	}
	return true, ""
}

// failed keeps why there is no view, and says so once.
func (v *ControlView) failed(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	news := v.err == nil || v.err.Error() != err.Error()
	v.err = err
	switch {
	case !news:
	case v.view == nil:
		v.log.Warn("pauses cannot be read; nothing is carried out until they are", "error", err.Error())
	default:
		v.log.Warn("pauses cannot be read; the last view stands", "error", err.Error())
	}
}

// poll asks whether anything has changed and takes it in.
func (v *ControlView) poll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	known := v.reaches() // before the bucket is asked, which may grow meanwhile
	last, bucket, err := v.control.last(ctx)
	switch {
	case errors.Is(err, errNoBucket) && known > 0:
		v.fallsShort(0, known)
		v.setGone(true)
		return err
	case err != nil:
		return err
	case last < known && !v.fallsShort(last, known):
		return fmt.Errorf("the bucket ends at %d; it was known to reach %d", last, known)
	}
	v.mu.Lock()
	if v.gone && v.lost {
		v.began, v.seen = last, last // what an older copy says is no resume
	}
	viewed, seen := v.view != nil && !v.unsaid, v.seen
	v.short, v.gone = 0, false
	v.mu.Unlock()
	if viewed && last > seen {
		changed, err := v.control.changed(ctx, bucket, seen)
		if err != nil {
			return err
		}
		viewed = !changed
	}
	if viewed && last >= seen {
		v.answered(last)
		return nil
	}
	return v.read(ctx, bucket, last)
}

// read takes in what the bucket says of each provider.
func (v *ControlView) read(ctx context.Context, bucket jetstream.Stream, last uint64) error {
	known, err := v.known()
	if err != nil {
		return err
	}
	v.mu.Lock()
	known = known.Merge(v.seenLast)
	v.mu.Unlock()
	names := slices.Clone(v.providers)
	for name := range known {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	all, err := v.control.newest(ctx, bucket, names)
	if err != nil {
		return err
	}
	shown := shownIn(all)
	lost := known.Lost(shown)
	if !v.shows(lost, last) {
		return fmt.Errorf("the bucket no longer shows what was last decided about %s", strings.Join(lost, ", "))
	}
	v.mu.Lock()
	v.seenLast = v.seenLast.Merge(shown)
	v.mu.Unlock()
	v.decided(shown)
	v.take(last, all)
	return v.say(ctx, names, all, lost)
}

// shownIn are the decisions that values of the bucket are.
func shownIn(all map[string]Pause) integrity.Decisions {
	shown := integrity.Decisions{}
	for name, p := range all {
		if p.Revision > 0 {
			shown[name] = integrity.Decision{Sequence: p.Revision, At: p.Stored}
		}
	}
	return shown
}

// shows takes in which known decisions the bucket does not show, and reports whether
// that is certain: nothing is lost, or a second reading in a row says so.
func (v *ControlView) shows(lost []string, last uint64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(lost) == 0 {
		v.absent = 0
		return true
	}
	if v.unsaid {
		return true // it is known already, and so is what follows from it
	}
	if v.absent++; v.absent < 2 {
		return false
	}
	v.absent, v.lost, v.unsaid, v.began = 0, true, true, last
	v.log.Error("the bucket no longer shows what was last decided about pauses: every provider is paused until somebody resumes it",
		"providers", lost)
	return true
}

// say writes the pauses that a loss brings into the bucket, where other replicas and
// later starts find them. What somebody has said since stays. It is tried again with
// the next poll until each of them is stored.
func (v *ControlView) say(ctx context.Context, names []string, all map[string]Pause, lost []string) error {
	v.mu.Lock()
	unsaid, began := v.unsaid, v.began
	v.mu.Unlock()
	if !unsaid {
		return nil
	}
	for _, name := range names {
		p := all[name]
		if p.Revision > began && !p.erased || p.Paused && !slices.Contains(lost, name) {
			continue
		}
		is := Pause{Paused: true, Reason: lostReason, By: lostBy, Since: v.now().UTC()}
		if _, err := v.control.Set(ctx, name, is, p.Revision); err != nil {
			return err
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.unsaid = false
	return nil
}

// How the service says in the bucket that a loss has paused a provider.
const (
	lostBy     = "countermand"
	lostReason = "the bucket of pauses has lost something: what was paused before is not known"
)

func (v *ControlView) setGone(gone bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.gone = gone
}

// reaches is the sequence that the bucket has to reach.
func (v *ControlView) reaches() uint64 {
	reached := v.reached()
	v.mu.Lock()
	defer v.mu.Unlock()
	if reached <= v.excused {
		reached = 0
	}
	return max(v.seen, reached)
}

// fallsShort takes in that the bucket ends before it is known to have reached, and
// reports whether it has lost something for certain: the second time in a row.
func (v *ControlView) fallsShort(last, known uint64) bool {
	v.mu.Lock()
	v.short++
	if v.short < 2 {
		v.mu.Unlock()
		return false
	}
	v.lost, v.unsaid, v.began, v.seen, v.excused = true, true, last, last, max(v.excused, known)
	viewed := v.view != nil
	v.mu.Unlock()
	said := []any{"ends_at", last}
	if known < math.MaxUint64 { // else another bucket lies there, however much it holds
		said = append(said, "known_to_reach", known)
	}
	v.log.Error("the bucket of pauses has lost something: every provider is paused until somebody resumes it", said...)
	if viewed {
		v.take(last, nil) // until the bucket is read
	}
	return true
}

func (v *ControlView) answered(last uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.err, v.seen = nil, last
}

// take takes a whole view in and tells what is new.
func (v *ControlView) take(last uint64, all map[string]Pause) {
	v.answered(last)
	v.mu.Lock()
	began := v.view == nil
	if began && !v.lost {
		for _, p := range all {
			v.began = max(v.began, p.Revision)
		}
	}
	var changed []string
	view := make(map[string]bool, len(all))
	for _, name := range v.providers {
		p := all[name]
		view[name] = p.Paused || (v.start || v.lost) && (p.Revision <= v.began || p.erased)
		if was, known := v.view[name]; !known || was != view[name] {
			changed = append(changed, name)
		}
	}
	v.view = view
	v.mu.Unlock()
	for _, name := range changed {
		paused := view[name]
		v.tell(name, paused)
		switch {
		case paused:
			v.log.Warn("provider is paused: no call that can move money is sent", "provider", name)
		case !began:
			v.log.Info("provider is resumed", "provider", name)
		}
	}
	if began {
		close(v.first)
	}
}
