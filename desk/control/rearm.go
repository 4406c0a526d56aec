package control

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/openwork"
	"github.com/countermand/countermand/payment"
)

// ActionRearm is the audit of timers that are about to be restored.
const ActionRearm = "rearm"

// Rearm is an operator's wish that the open operations of a part of the journal get
// back the timers that they have lost. Parts follow each other until there is none.
type Rearm struct {
	// RequestID is a ULID, the same for all parts.
	RequestID string `json:"requestId"`
	// Reason is required: one line of at most 200 characters, no personal data.
	Reason string `json:"reason"`
	// From is the Next of the part before; 0: the first part, which is recorded.
	From uint64 `json:"from,omitempty"`
	// DryRun says what would be done, and does and records nothing.
	DryRun bool `json:"dryRun,omitempty"`
}

// Rearmed is what became of one part.
type Rearmed struct {
	Audit string `json:"audit,omitempty"`
	// Next is where the next part begins; 0: this was the last one. Last is where the
	// journal ended.
	Next uint64 `json:"next,omitempty"`
	Last uint64 `json:"last"`
	// Events were read, Open operations found, Lost of them without a timer. With
	// DryRun nothing was restored of those.
	Events uint64 `json:"events"`
	Open   int    `json:"open"`
	Lost   int    `json:"lost"`
	// Restored are the operations without a timer, or the first of them where an
	// answer cannot hold them all.
	Restored []Restored `json:"restored,omitempty"`
	Damaged  []Damage   `json:"damaged,omitempty"`
	// Timers wait and Delivered have come due, at the last part.
	Timers    int    `json:"timers,omitempty"`
	Delivered uint64 `json:"delivered,omitempty"`
}

// Restored is one operation whose timer was restored.
type Restored struct {
	Provider  string         `json:"provider"`
	Payment   string         `json:"payment"` // as a token
	Operation payment.Op     `json:"operation"`
	Status    payment.Status `json:"status"`
	Subject   string         `json:"subject"`
	At        time.Time      `json:"at"`
}

// Damage is what could not be read or rebuilt (openwork.Damage).
type Damage struct {
	Subject   string `json:"subject"`
	Sequence  uint64 `json:"sequence"`
	Operation string `json:"operation"`
	Reason    string `json:"reason"`
	Newer     bool   `json:"newer"`
}

// Work is where open work and its timers are found and restored.
type Work struct {
	JetStream jetstream.JetStream
	// Events and Due are the streams of the journal and of the timers.
	Events, Due string
	Timers      handlers.Scheduler
	Encoder     *events.Encoder
	// Part is how many sequences of the journal one request reads; 0: 5,000.
	Part uint64
}

const (
	defaultPart = 5000
	// scheduling is how many timers are on their way at a time.
	scheduling = 64
	// rearmFor is how long after its record a request may go on.
	rearmFor = 24 * time.Hour
)

// Rearm restores the lost timers of one part of the journal. A timer too many is
// harmless: it names an operation, and the journal decides. Errors are *desk.Error.
func (d *Desk) Rearm(ctx context.Context, who desk.Operator, r Rearm) (Rearmed, error) {
	if err := cmp.Or(desk.CheckActor(who, r.Reason), checkID(r.RequestID)); err != nil {
		return Rearmed{}, err
	}
	var out Rearmed
	if !r.DryRun {
		if err := d.recordRearm(ctx, who, r); err != nil {
			return out, err
		}
		out.Audit = r.RequestID
	}
	w := d.o.Work
	part, err := openwork.ReadPart(ctx, w.JetStream, w.Events, r.From, cmp.Or(w.Part, defaultPart))
	if err != nil {
		return out, unavailable(err)
	}
	out.Next, out.Last, out.Events, out.Open = part.Next, part.Last, part.Events, len(part.Operations)
	for _, x := range part.Damaged {
		out.Damaged = append(out.Damaged, Damage(x))
	}
	lost, err := d.lost(ctx, part, &out)
	if err != nil {
		return out, unavailable(err)
	}
	err = d.restore(ctx, lost, r.DryRun, &out)
	return out, err
}

// recordRearm records the first part, and finds that record for the others.
func (d *Desk) recordRearm(ctx context.Context, who desk.Operator, r Rearm) error {
	if closed := d.o.Open(); closed != nil {
		return &desk.Error{Fault: desk.FaultUnavailable, Message: "the journal takes nothing, and what it holds may not be all: " + closed.Error()}
	}
	if r.From == 0 {
		if err := d.once(ctx, r.RequestID, ""); err != nil {
			return err
		}
		return d.o.Desk.Record(ctx, who, payment.OperatorAction{ULID: r.RequestID, Action: ActionRearm, Reason: r.Reason})
	}
	a, sequence, err := d.o.Journal.OperatorAction(ctx, r.RequestID)
	switch {
	case err != nil:
		return unavailable(err)
	case sequence == 0 || a.Action != ActionRearm || a.Operator != events.Mask(who.Name) || d.o.Now().Sub(a.At) > rearmFor:
		return &desk.Error{Fault: desk.FaultRefused, Message: "you have begun no such request within a day: begin again from the beginning"}
	default:
		return nil
	}
}

// lost are the part's operations that have no timer.
func (d *Desk) lost(ctx context.Context, part *openwork.Part, out *Rearmed) ([]openwork.Operation, error) {
	if len(part.Operations) == 0 && part.Next != 0 {
		return nil, nil
	}
	timers, err := openwork.Timers(ctx, d.o.Work.JetStream, d.o.Work.Due)
	if err != nil {
		return nil, err
	}
	out.Timers, out.Delivered = timers.Scheduled, timers.Delivered
	var lost []openwork.Operation
	for _, o := range part.Operations {
		if !timers.Has(o.Subject) {
			lost = append(lost, o)
		}
	}
	return lost, nil
}

// restore schedules the timers of operations, several at a time.
func (d *Desk) restore(ctx context.Context, lost []openwork.Operation, dry bool, out *Rearmed) error {
	errs := make([]error, len(lost))
	out.Restored, out.Lost = make([]Restored, len(lost)), len(lost)
	slots := make(chan struct{}, scheduling)
	var all sync.WaitGroup
	for i, o := range lost {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			out.Restored[i], errs[i] = d.one(ctx, o, dry)
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return &desk.Error{Fault: desk.FaultUnknown, Message: "not every timer was restored, so do it again: " + first(errs).Error()}
	}
	return nil
}

func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// one restores one timer.
func (d *Desk) one(ctx context.Context, o openwork.Operation, dry bool) (Restored, error) {
	timer, err := o.Timer(d.o.Work.Encoder, d.o.Now().UTC())
	if err == nil && !dry {
		err = d.o.Work.Timers.Schedule(ctx, timer)
	}
	return Restored{
		Provider: o.ID.Provider, Payment: events.Token(o.ID.Native), Operation: o.Command.Op, Status: o.Operation.Status,
		Subject: o.Subject, At: timer.At,
	}, err
}
