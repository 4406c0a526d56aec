package control

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/integrity/acceptance"
	"github.com/countermand/countermand/internal/openwork"
)

const (
	// readFor bounds how long one request reads the journal, below any request's time.
	readFor = 20 * time.Second
	// keptFor is how long what was read waits for the request to be made again, and
	// mostReadings how many requests are remembered.
	keptFor      = 10 * time.Minute
	mostReadings = 8
)

// readings are what requests have read of the journal so far. Requests follow each other
// until all is read, so that none outlives its time.
type readings struct {
	mu  sync.Mutex
	all map[string]*reading // by request
}

// reading is what one request has read.
type reading struct {
	turn     chan struct{} // holds one for whoever reads on
	who      string
	lookedAt time.Time

	epoch, next, last uint64
	begun             bool
	// doubted are the operations in doubt by their timers' subjects, true where they are
	// presumed; damaged is what cannot be read.
	doubted map[string]bool
	damaged map[openwork.Damage]bool
	timers  timers
}

// of returns what a request has read, and has it wait for no other request.
func (r *readings) of(id, who string, now time.Time) (*reading, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, one := range r.all {
		if now.Sub(one.lookedAt) > keptFor {
			delete(r.all, key)
		}
	}
	one := r.all[id]
	switch {
	case one != nil && one.who != who:
		return nil, &desk.Error{Fault: desk.FaultRefused, Message: "this request is another person's"}
	case one == nil && len(r.all) >= mostReadings:
		return nil, &desk.Error{Fault: desk.FaultUnavailable, Message: "too many requests read the journal at once: try again later"}
	case one == nil:
		one = &reading{turn: make(chan struct{}, 1), who: who}
		if r.all == nil {
			r.all = map[string]*reading{}
		}
		r.all[id] = one
	}
	one.lookedAt = now
	select {
	case one.turn <- struct{}{}:
		return one, nil
	default:
		return nil, &desk.Error{Fault: desk.FaultUnderWay, Message: "this request is being carried out: make it again in a moment"}
	}
}

// end forgets a request.
func (r *readings) end(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, id)
}

// left reads on what is left to do before the journal can be trusted. Where that takes
// longer than a request may, it says how far it has come.
func (d *Desk) left(ctx context.Context, sources acceptance.Sources, who, id string) (acceptance.Left, *Reading, error) {
	epoch, err := sources.Epoch(ctx)
	if err != nil {
		return acceptance.Left{}, nil, err
	}
	r, err := d.readings.of(id, who, d.o.Now())
	if err != nil {
		return acceptance.Left{}, nil, err
	}
	defer func() { <-r.turn }()
	if !r.begun || r.epoch != epoch.Number {
		r.begun, r.epoch, r.next, r.last = true, epoch.Number, 0, 0
		r.doubted, r.damaged, r.timers = map[string]bool{}, map[openwork.Damage]bool{}, timers{}
	}
	for began := d.o.Now(); ; {
		more, err := d.readOn(ctx, r, epoch.AcceptedAt)
		if err == nil && !more {
			more, err = d.readTimers(ctx, sources, r, epoch.AcceptedAt)
		}
		switch {
		case err != nil:
			d.readings.end(id) // nobody has to wait for it
			return acceptance.Left{}, nil, err
		case more && d.o.Now().Sub(began) >= readFor:
			return acceptance.Left{}, &Reading{To: cmp.Or(r.next, r.last+1) - 1, Last: r.last}, nil
		case more:
			continue
		}
		d.readings.end(id)
		left := r.left()
		left.Walked, left.Unwalked, err = acceptance.Walked(ctx, sources)
		return left, nil, err
	}
}

// left counts what is in doubt, once all is read.
func (r *reading) left() acceptance.Left {
	left := acceptance.Left{Unknown: uint64(len(r.timers.unknown)), Unreadable: uint64(len(r.damaged))}
	for _, presumed := range r.doubted {
		if presumed {
			left.Presumed++
		} else {
			left.Unchanged++
		}
	}
	return left
}

// readOn reads one part of the journal, if it was not read to its end.
func (d *Desk) readOn(ctx context.Context, r *reading, acceptedAt time.Time) (more bool, err error) {
	if r.timers.listed > 0 {
		return false, nil
	}
	w := d.o.Work
	part, err := openwork.ReadPart(ctx, w.JetStream, w.Events, r.next, cmp.Or(w.Part, defaultPart))
	if err != nil {
		return false, fmt.Errorf("read what is open: %w", err)
	}
	for _, o := range part.Operations {
		switch {
		case o.Operation.Open.Presumed:
			r.doubted[o.Subject] = true
		case o.Operation.Open.Changed.Before(acceptedAt):
			r.doubted[o.Subject] = false
		default:
			delete(r.doubted, o.Subject) // it has changed while this was read
		}
	}
	for _, x := range part.Damaged {
		r.damaged[x] = true
	}
	r.next, r.last = part.Next, part.Last
	return part.Next != 0, nil
}
