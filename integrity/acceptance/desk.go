package acceptance

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

// RefusedError lists what forbids a decision.
type RefusedError struct{ Reasons []string }

// Error implements error.
func (e *RefusedError) Error() string { return "refused: " + strings.Join(e.Reasons, "; ") }

// Asked is a decision as a person hands it in.
type Asked struct {
	// Operator is who decides, Identity how that is known.
	Operator, Identity string
	Reason             string
	// Apply carries the decision out; without it nothing is changed.
	Apply bool
}

// Done is what came of a decision.
type Done struct {
	// Applied: the epoch is stored. Without it and without AwaitsSecond, nothing
	// was changed.
	Applied bool `json:"applied"`
	// AwaitsSecond: another operator has to say the same.
	AwaitsSecond bool `json:"awaitsSecond,omitempty"`
	// First is the operator who said it before.
	First string          `json:"first,omitempty"`
	Epoch integrity.Epoch `json:"epoch"`
	Audit string          `json:"audit,omitempty"`
	// Witness is why the witness could not be raised; the processes will do it.
	Witness string `json:"witness,omitempty"`
	// Unasked are servers whose copy of the journal nobody could look at.
	Unasked []Unasked `json:"unasked,omitempty"`
	// Already: the same was accepted before, and nothing was lost since.
	Already bool  `json:"already,omitempty"`
	Loss    *Loss `json:"loss,omitempty"`
}

// Options are the optional parts of a Desk; nil and zero mean the defaults.
type Options struct {
	// SecondPerson: a loss is accepted once two operators have said the same.
	SecondPerson bool
	Now          func() time.Time // default time.Now
}

// proposalFor is how long a proposal waits for the second operator.
const proposalFor = 24 * time.Hour

// Desk carries decisions out.
type Desk struct {
	sources Sources
	encoder *events.Encoder
	second  bool
	now     func() time.Time
}

// NewDesk returns a desk over sources. It does no I/O.
func NewDesk(s Sources, encoder *events.Encoder, o *Options) *Desk {
	d := &Desk{sources: s, encoder: encoder, now: time.Now}
	if o != nil {
		d.second = o.SecondPerson
		if o.Now != nil {
			d.now = o.Now
		}
	}
	return d
}

// Accept accepts the journal as it is now and begins the next epoch, held. lose is
// how much is given up, as the person has typed it. Errors: *RefusedError where
// something forbids it.
func (d *Desk) Accept(ctx context.Context, a Asked, lose Typed) (Done, error) {
	v, err := Look(ctx, d.sources)
	if err != nil {
		return Done{}, err
	}
	loss := LossOf(v)
	if before, found := acceptedBefore(v, loss, a, lose); found {
		return d.again(ctx, v, a, before)
	}
	if no := Check(v, lose); len(no) > 0 {
		return Done{Loss: &loss, Epoch: v.Record.Epoch}, &RefusedError{no}
	}
	said := events.JournalLoss{
		Epoch: nextEpoch(v, loss), Fingerprint: loss.Fingerprint, Known: loss.Known, Found: loss.End, GivenUp: loss.Messages,
		CommandsLost: max(loss.Commands.Messages, lose.Commands) + unsettled(v), KnownAt: events.Stamp{Time: v.Record.Mark.At},
	}
	if first := v.Record.Mark.Identity; first != (integrity.Identity{}) {
		said.First = (*events.FirstMessage)(&first)
	}
	for _, hole := range loss.Holes {
		said.Holes = append(said.Holes, events.SequenceRange(hole))
	}
	out := Done{Loss: &loss, Unasked: v.Unasked, Epoch: integrity.Epoch{Number: said.Epoch, CommandsLost: said.CommandsLost}}
	accepted, found := unfinished(v, loss)
	if !found && d.second {
		if out.First, err = firstPerson(v, loss, a, d.now()); err != nil {
			return out, err
		}
		out.AwaitsSecond = out.First == ""
	}
	switch {
	case !a.Apply:
		return out, nil
	case out.AwaitsSecond:
		proposed, err := d.record(ctx, ActionPropose, a, said)
		out.Audit = proposed.ULID
		return out, err
	case !found:
		if out.First != "" {
			a.Operator = out.First + " and " + a.Operator
		}
		if accepted, err = d.record(ctx, ActionAccepted, a, said); err != nil {
			return out, err
		}
	}
	out.Audit = accepted.ULID
	out.Epoch = integrity.Epoch{Number: accepted.Epoch, AcceptedAt: accepted.Time.UTC(), CommandsLost: accepted.CommandsLost}
	mark := integrity.MarkOf(v.Reading, accepted.Position, accepted.Epoch)
	mark.Holes, mark.At = loss.Holes, accepted.Time.UTC()
	err = d.store(ctx, integrity.Record{Mark: mark, Epoch: out.Epoch}, &out)
	return out, err
}

// nextEpoch is the number of the epoch that accepting a loss begins. An
// acceptance of something else that never came into effect keeps its number. So
// does one whose event and record were set back: a process that runs knows it.
// A number that was used again would name two histories.
func nextEpoch(v View, loss Loss) uint64 {
	if a, found := unfinished(v, loss); found {
		return a.Epoch
	}
	next := v.reached()
	for _, a := range v.Actions {
		if a.Action == ActionAccepted {
			next = max(next, a.Epoch)
		}
	}
	return next + 1
}

// unfinished returns the acceptance of this very loss that lies in the journal
// and that no store knows: whoever recorded it was interrupted.
func unfinished(v View, loss Loss) (a Action, found bool) {
	for _, a := range v.Actions {
		if a.Action == ActionAccepted && a.Epoch > v.reached() && a.Fingerprint == loss.Fingerprint {
			return a, true
		}
	}
	return Action{}, false
}

// acceptedBefore returns the acceptance that the same command has brought into
// effect before, such as one that was killed before it could say so. A command is
// the same if its reason is, and if it types out nothing else.
func acceptedBefore(v View, loss Loss, a Asked, lose Typed) (before Action, found bool) {
	e := v.Record.Epoch
	if e.Number == 0 || e.Phase != integrity.Held || v.BucketMissing || len(v.Findings) > 0 || loss.Messages > 0 || loss.Commands.Messages > 0 {
		return Action{}, false
	}
	for _, before := range v.Actions {
		if before.Action == ActionAccepted && before.Epoch == e.Number && before.Reason == events.Mask(a.Reason) &&
			(lose.Messages == 0 || lose.Messages == before.GivenUp) && lose.Commands <= before.CommandsLost {
			return before, true
		}
	}
	return Action{}, false
}

// again finishes an acceptance that counts already: the witness may not know of it.
func (d *Desk) again(ctx context.Context, v View, a Asked, before Action) (Done, error) {
	out := Done{Already: true, Epoch: v.Record.Epoch, Audit: before.ULID}
	if !a.Apply {
		return out, nil
	}
	err := d.store(ctx, v.Record, &out)
	return out, err
}

// firstPerson returns another operator who has lately proposed to accept the same
// loss; "" where there is none.
func firstPerson(v View, loss Loss, a Asked, now time.Time) (string, error) {
	mine := false
	for _, p := range v.Actions {
		if p.Action != ActionPropose || p.Fingerprint != loss.Fingerprint || p.Epoch <= v.reached() || now.Sub(p.Time) > proposalFor {
			continue
		}
		if !sameName(p.Operator, events.Mask(a.Operator)) {
			return p.Operator, nil
		}
		mine = true
	}
	if mine {
		return "", &RefusedError{[]string{"you have proposed this already: another operator has to say the same"}}
	}
	return "", nil
}

// sameName reports whether two names are taken for one person's: "ann" and "Ann " are.
func sameName(a, b string) bool {
	return strings.EqualFold(strings.Join(strings.Fields(a), " "), strings.Join(strings.Fields(b), " "))
}

// Go lets work begin after an accepted loss: what the journal cannot know is
// asked before it is called. Errors are those of Accept.
func (d *Desk) Go(ctx context.Context, a Asked) (Done, error) {
	v, err := Look(ctx, d.sources)
	if err != nil {
		return Done{}, err
	}
	return d.enter(ctx, v, a, integrity.Doubting, CheckGo(v))
}

// Trust takes the journal for complete. open and withoutWalk are what the person
// has typed, see CheckTrust. Errors are those of Accept.
func (d *Desk) Trust(ctx context.Context, a Asked, left Left, open uint64, withoutWalk bool) (Done, error) {
	v, err := Look(ctx, d.sources)
	if err != nil {
		return Done{}, err
	}
	return d.enter(ctx, v, a, integrity.Trusted, CheckTrust(v, left, open, withoutWalk))
}

// enter records the action and stores the next phase of the epoch.
func (d *Desk) enter(ctx context.Context, v View, a Asked, phase integrity.Phase, no []string) (Done, error) {
	next := v.Record.Epoch
	if len(no) > 0 {
		return Done{Epoch: next}, &RefusedError{no}
	}
	next.Phase = phase
	if !a.Apply {
		return Done{Epoch: next}, nil
	}
	action := ActionReleased
	if phase == integrity.Trusted {
		action = ActionTrusted
	}
	recorded, err := d.record(ctx, action, a, events.JournalLoss{Epoch: next.Number})
	if err != nil {
		return Done{Epoch: v.Record.Epoch}, err
	}
	out := Done{Epoch: next, Audit: recorded.ULID}
	err = d.store(ctx, integrity.Record{Epoch: next}, &out)
	return out, err
}

// record appends the audit event of an action and returns it as it lies in the
// journal.
func (d *Desk) record(ctx context.Context, action string, a Asked, said events.JournalLoss) (Action, error) {
	if strings.TrimSpace(a.Reason) == "" || a.Operator == "" {
		return Action{}, &RefusedError{[]string{"operator and reason are required"}}
	}
	now := d.now()
	entry := payment.OperatorAction{
		ULID: ulid.MustNew(ulid.Timestamp(now), rand.Reader).String(), Action: action,
		Operator: a.Operator, Identity: a.Identity, Reason: a.Reason, At: now,
	}
	m, err := d.encoder.EncodeJournalAction(entry, &said)
	if err != nil {
		return Action{}, err
	}
	sequence, err := d.sources.Journal.Put(ctx, 0, m)
	if err != nil {
		return Action{}, fmt.Errorf("record the action, so nothing was done: %w", err)
	}
	stored, err := d.at(ctx, sequence)
	if err != nil {
		return Action{}, err
	}
	return Action{
		OperatorAction: entry, JournalLoss: said, Time: stored.Time,
		Position: integrity.Position{Sequence: sequence, Token: stored.Token()},
	}, nil
}

// at reads the message that was just appended.
func (d *Desk) at(ctx context.Context, sequence uint64) (stream.Stored, error) {
	stored, err := d.sources.Journal.At(ctx, sequence)
	switch {
	case err != nil:
		return stored, fmt.Errorf("the action is recorded and cannot be read back: run it again: %w", err)
	case stored.Sequence != sequence:
		return stored, errors.New("the action was recorded and is not there: look at the journal's replicas (consumer journal status)")
	}
	return stored, nil
}

// store raises the record in the bucket and then in the witness. From the first
// on it counts, and a witness that lags is raised by the processes themselves.
func (d *Desk) store(ctx context.Context, r integrity.Record, out *Done) error {
	if _, err := d.sources.Bucket.Raise(ctx, r); err != nil {
		return fmt.Errorf("it is recorded in the journal and not stored, so it does not count yet: run it again: %w", err)
	}
	out.Applied = true
	if d.sources.Witness == nil {
		return nil
	}
	if _, err := d.sources.Witness.Raise(ctx, r); err != nil {
		out.Witness = err.Error()
	}
	return nil
}
