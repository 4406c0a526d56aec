package broker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

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
	// Logger; default none.
	Logger *slog.Logger
}

// ControlView keeps a process's view of the bucket of pauses. It asks the
// stream's leader for the newest sequence now and then and reads the keys when
// that has moved. Unlike a subscription, asking cannot go silent unnoticed, needs
// no consumer on the server, and after an outage is complete with the first
// answer. While nothing is answered the last view stands.
type ControlView struct {
	control   *Control
	providers []string
	tell      Paused
	start     bool
	log       *slog.Logger

	mu    sync.Mutex
	view  map[string]bool // as told
	first chan struct{}   // closed with the first whole view
	err   error           // why there is none yet
	// began is the newest sequence of the first view, seen that of the last.
	began, seen uint64
}

// NewControlView returns a view of the given provider instances, which tells
// what it sees. It does no I/O until it runs.
func NewControlView(c *Control, providers []string, tell Paused, o *ControlOptions) *ControlView {
	v := &ControlView{
		control: c, providers: providers, tell: tell, log: slog.New(slog.DiscardHandler),
		first: make(chan struct{}), err: errors.New("not asked yet"),
	}
	if o != nil {
		v.start = o.StartPaused
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
	last, err := v.control.last(ctx)
	if err != nil {
		return err
	}
	v.mu.Lock()
	same := v.view != nil && last == v.seen
	v.mu.Unlock()
	if same {
		v.answered(last)
		return nil
	}
	all, err := v.control.Get(ctx, v.providers...)
	if err != nil {
		return err
	}
	v.take(last, all)
	return nil
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
	if began {
		for _, p := range all {
			v.began = max(v.began, p.Revision)
		}
	}
	if last < v.began {
		v.began = last // the bucket was made anew
	}
	var changed []string
	view := make(map[string]bool, len(all))
	for _, name := range v.providers {
		p := all[name]
		view[name] = p.Paused || v.start && p.Revision <= v.began
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
