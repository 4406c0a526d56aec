package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// Actions of audit events (payment.operator.<action>).
const (
	ActionPause  = "pause"  // a provider is about to be paused
	ActionResume = "resume" // a provider's pause is about to be ended
)

// Standing is what the bucket of pauses says of one provider instance.
type Standing struct {
	Provider string    `json:"provider"`
	Paused   bool      `json:"paused"`
	Reason   string    `json:"reason,omitempty"`
	By       string    `json:"by,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	// Revision names what was seen; 0: nothing was ever said.
	Revision uint64 `json:"revision"`
}

// String is a line for people.
func (s Standing) String() string {
	p := broker.Pause{Paused: s.Paused, Reason: s.Reason, By: s.By, Since: s.Since}
	return fmt.Sprintf("%s: %s (revision %d)", s.Provider, p, s.Revision)
}

// Say is an operator's wish that a provider be paused, or run again.
type Say struct {
	// RequestID is a ULID of the request's own. The same one is carried out once.
	RequestID string `json:"requestId"`
	Provider  string `json:"provider"`
	Paused    bool   `json:"paused"`
	// Reason is required: one line of at most 200 characters, no personal data.
	Reason string `json:"reason"`
	// Revision is that of the Standing that the operator has seen.
	Revision uint64 `json:"revision"`
}

// Said is what became of it.
type Said struct {
	Standing Standing `json:"standing"`
	// Audit is the audit event's ULID; empty where the journal takes nothing and
	// the bucket alone tells of the pause.
	Audit string `json:"audit,omitempty"`
	// Already: the provider was paused before. Its first time and reason stay, nothing
	// was stored, and nothing recorded.
	Already bool `json:"already,omitempty"`
}

// String is a line for people.
func (s Said) String() string {
	if s.Already {
		return s.Standing.String() + ": it was paused before, and its first time and reason stay"
	}
	return s.Standing.String()
}

// Bucket is the bucket of pauses (*broker.Control).
type Bucket interface {
	At(ctx context.Context, provider string) (broker.Pause, error)
	Set(ctx context.Context, provider string, p broker.Pause, seen uint64) (revision uint64, err error)
}

// Journal is what is read of the payment journal.
type Journal interface {
	// OperatorAction returns the audit event of a ULID, whatever its action, and its
	// sequence; 0: there is none.
	OperatorAction(ctx context.Context, ulid string) (payment.OperatorAction, uint64, error)
	// OperatorActions returns the audit events of one action that lie behind a sequence.
	OperatorActions(ctx context.Context, action string, after uint64) ([]payment.OperatorAction, error)
}

// Options are what a Desk is built on. All fields are needed.
type Options struct {
	Desk    *desk.Desk // records what is done
	Bucket  Bucket
	Journal Journal
	// Open reports why the journal takes nothing at the moment; nil: it does.
	Open func() error
	// Providers are the names of the configured instances, in order.
	Providers []string
	Work      Work
	Losses    Losses
	Now       func() time.Time
}

// Desk carries out what operators ask of the service. It is safe for concurrent use, by
// many replicas too: what it must not do twice is guarded by the journal and the bucket.
type Desk struct {
	o        Options
	readings readings
}

// New returns a desk; no I/O.
func New(o Options) *Desk { return &Desk{o: o} }

// Standings lists what is said of each configured provider.
func (d *Desk) Standings(ctx context.Context) ([]Standing, error) {
	all := make([]Standing, 0, len(d.o.Providers))
	for _, name := range d.o.Providers {
		s, err := d.standing(ctx, name)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func (d *Desk) standing(ctx context.Context, provider string) (Standing, error) {
	p, err := d.o.Bucket.At(ctx, provider)
	if err != nil {
		return Standing{}, unavailable(err)
	}
	return Standing{Provider: provider, Paused: p.Paused, Reason: p.Reason, By: p.By, Since: p.Since, Revision: p.Revision}, nil
}

// Say pauses a provider or ends its pause, on the revision that was seen. A pause of a
// paused provider changes nothing. Errors are *desk.Error.
func (d *Desk) Say(ctx context.Context, who desk.Operator, r Say) (Said, error) {
	if err := cmp.Or(desk.CheckActor(who, r.Reason), checkID(r.RequestID)); err != nil {
		return Said{}, err
	}
	if !slices.Contains(d.o.Providers, r.Provider) {
		return Said{}, &desk.Error{Fault: desk.FaultInvalid, Message: fmt.Sprintf(
			"provider %q is not configured; there are %s", events.Mask(r.Provider), strings.Join(d.o.Providers, ", "),
		)}
	}
	closed := d.o.Open()
	switch {
	case closed == nil:
		if err := d.once(ctx, r.RequestID, r.Provider); err != nil {
			return Said{}, err
		}
	case !r.Paused:
		return Said{}, &desk.Error{Fault: desk.FaultUnavailable, Message: "the journal takes nothing, so nothing is sent in any case and a resume cannot be recorded: " + closed.Error()}
	}
	now, err := d.standing(ctx, r.Provider)
	if err != nil {
		return Said{}, err
	}
	if now.Revision != r.Revision {
		return Said{Standing: now}, stale(now)
	}
	if now.Paused && r.Paused {
		return Said{Standing: now, Already: true}, nil
	}
	a := payment.OperatorAction{ULID: r.RequestID, Action: ActionResume, Reason: r.Reason, ID: payment.ID{Provider: r.Provider}}
	if r.Paused {
		a.Action = ActionPause
	}
	out := Said{Audit: a.ULID}
	if closed != nil {
		out.Audit = "" // nothing is sent; what the bucket keeps has to do
	} else if err := d.o.Desk.Record(ctx, who, a); err != nil {
		return Said{}, err
	}
	out.Standing, err = d.set(ctx, who, r)
	if err != nil && out.Audit != "" {
		d.o.Desk.RecordOutcome(ctx, who, a, outcomeOf(err))
	}
	return out, err
}

// set stores what was recorded.
func (d *Desk) set(ctx context.Context, who desk.Operator, r Say) (Standing, error) {
	p := broker.Pause{
		Paused: r.Paused, Reason: events.Text(r.Reason), By: events.Mask(who.Name), Since: d.o.Now().UTC().Truncate(time.Second),
	}
	revision, err := d.o.Bucket.Set(ctx, r.Provider, p, r.Revision)
	switch {
	case errors.Is(err, broker.ErrChanged):
		now, err := d.standing(ctx, r.Provider)
		if err != nil {
			return Standing{}, err
		}
		if now.Paused == p.Paused && now.By == p.By && now.Reason == p.Reason {
			return now, nil // another replica was given the same request
		}
		return now, stale(now)
	case err != nil:
		return Standing{}, &desk.Error{Fault: desk.FaultUnknown, Message: "whether it was stored is not known, look again: " + err.Error()}
	}
	return Standing{Provider: r.Provider, Paused: p.Paused, Reason: p.Reason, By: p.By, Since: p.Since, Revision: revision}, nil
}

// outcomeOf is the audit's word for what became of a recorded action.
func outcomeOf(err error) string {
	var no *desk.Error
	if errors.As(err, &no) && no.Fault == desk.FaultStale {
		return desk.OutcomeRefused
	}
	return desk.OutcomeUnknown
}

func stale(now Standing) error {
	return &desk.Error{Fault: desk.FaultStale, Message: "it has changed since it was seen; it is now " + now.String()}
}

func unavailable(err error) error {
	return &desk.Error{Fault: desk.FaultUnavailable, Message: "nothing was done: " + err.Error()}
}
