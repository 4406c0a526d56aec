package acceptance

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

// RefusedError lists what forbids a decision.
type RefusedError struct{ Reasons []string }

// Error implements error.
func (e *RefusedError) Error() string { return "refused: " + strings.Join(e.Reasons, "; ") }

// Asked is a decision as a person hands it in.
type Asked struct {
	// Operator is who decides, Identity how that is known, Login what was
	// authenticated; empty where nothing was.
	Operator, Identity, Login string
	Reason                    string
	// RequestID is a ULID of the request's own, and names its audit event. The same one
	// is carried out once. Empty: a new one.
	RequestID string
	// Seen is the fingerprint of the loss that the person has seen; empty: it does not
	// matter. Another loss is not accepted.
	Seen string
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
	First string `json:"first,omitempty"`
	// Differs are proposals of the same decision with other figures, in words. Whoever
	// decides is not the second person of those.
	Differs []string        `json:"differs,omitempty"`
	Epoch   integrity.Epoch `json:"epoch"`
	// Audit is the audit event's ULID, By who has recorded it. It may be another
	// request's: see Already.
	Audit string `json:"audit,omitempty"`
	By    string `json:"by,omitempty"`
	// Witness is why the witness could not be raised; the processes will do it.
	Witness string `json:"witness,omitempty"`
	// Unasked are servers whose copy of the journal nobody could look at.
	Unasked []Unasked `json:"unasked,omitempty"`
	// Already: the same was accepted before, by whoever By names, and nothing was lost
	// since. This request has recorded nothing.
	Already bool  `json:"already,omitempty"`
	Loss    *Loss `json:"loss,omitempty"`
	// NothingFound: no place shows a loss. What all of them lost together leaves no trace,
	// so commands count as lost.
	NothingFound bool `json:"nothingFound,omitempty"`
	// Idle are processes that run and do not follow the decision yet, Following is how many
	// do. They are told of what was applied.
	Idle      []Idle `json:"idle,omitempty"`
	Following int    `json:"following,omitempty"`
}

// Another finds, among the proposals about one matter in their order, that of another
// person which says the same; waits is true while there is none. A person's newest
// proposal replaces the earlier ones.
type Another func(a Asked, matter []payment.OperatorAction, same func(payment.OperatorAction) bool) (first payment.OperatorAction, waits bool, err error)

// Options are the optional parts of a Desk; nil and zero mean the defaults.
type Options struct {
	// Another finds the other person. Its errors are Accept's. Nil: one person is enough.
	Another Another
	// Open reports why the gate of this process is shut; nil from it: it is open. Default:
	// this process has none.
	Open func() error
	Now  func() time.Time // default time.Now
}

// Desk carries decisions out. It is safe for concurrent use, by many replicas too: of
// decisions that rest on the same view, the journal takes one.
type Desk struct {
	sources Sources
	encoder *events.Encoder
	another Another
	open    func() error // nil: no gate here
	now     func() time.Time
}

// NewDesk returns a desk over sources. It does no I/O.
func NewDesk(s Sources, encoder *events.Encoder, o *Options) *Desk {
	d := &Desk{sources: s, encoder: encoder, now: time.Now}
	if o != nil {
		d.another, d.open = o.Another, o.Open
		if o.Now != nil {
			d.now = o.Now
		}
	}
	return d
}

// turn is one try to make a decision, on one view.
type turn struct {
	View
	Asked

	// unguarded: the record is appended whatever others have recorded meanwhile.
	unguarded bool
}

// tries bounds how often a decision is made anew because somebody has recorded
// something meanwhile. The last one does not care: a damaged record could stand in the
// way of all of them.
const tries = 5

// decide looks and has a decision made, anew while others are faster.
func (d *Desk) decide(ctx context.Context, a Asked, try func(turn) (Done, error)) (Done, error) {
	if a.RequestID == "" {
		a.RequestID = ulid.MustNew(ulid.Timestamp(d.now()), rand.Reader).String()
	}
	for n := 1; ; n++ {
		v, err := Look(ctx, d.sources)
		if err != nil {
			return Done{}, err
		}
		t := turn{View: v, Asked: a, unguarded: n == tries}
		if before, found := v.recorded(a.RequestID); found {
			return Done{Epoch: v.Record.Epoch}, &RefusedError{[]string{madeBefore(v, before)}}
		}
		done, err := try(t)
		if !errors.Is(err, stream.ErrOvertaken) {
			return done, err
		}
	}
}

// recorded returns the action that was recorded under a ULID.
func (v View) recorded(id string) (a Action, found bool) {
	i := slices.IndexFunc(v.Actions, func(a Action) bool { return a.ULID == id })
	if i < 0 {
		return Action{}, false
	}
	return v.Actions[i], true
}

// madeBefore says what became of a request that comes a second time.
func madeBefore(v View, before Action) string {
	return fmt.Sprintf("this request was made before: %s by %s was recorded at %s; now epoch %d is %s",
		before.Action, before.Operator, before.Time.UTC().Format(time.RFC3339), v.Record.Epoch.Number, v.Record.Epoch.Phase)
}

// Accept accepts the journal as it is now and begins the next epoch, held. lose is
// how much is given up, as the person has typed it. Errors: *RefusedError where
// something forbids it, those of Options.Another, and ErrUnfinished.
func (d *Desk) Accept(ctx context.Context, a Asked, lose Typed) (Done, error) {
	return d.decide(ctx, a, func(t turn) (Done, error) { return d.accept(ctx, t, lose) })
}

// accept is one try: it finds out what forbids the acceptance, and whom it waits for.
func (d *Desk) accept(ctx context.Context, t turn, lose Typed) (Done, error) {
	v, loss := t.View, LossOf(t.View)
	if before, found := acceptedBefore(v, loss, t.Asked, lose); found {
		return d.again(ctx, t, before)
	}
	no := append(changed(v, loss, t.Asked), Check(v, lose)...)
	if d.open != nil && d.open() == nil && len(integrity.Open(v.Live())) == 0 {
		no = append(no, "the gate is open in the process that answers: it has to report it shut")
	}
	if len(no) > 0 {
		return Done{Loss: &loss, Epoch: v.Record.Epoch}, &RefusedError{no}
	}
	said := saidOf(v, loss, lose)
	out := Done{Loss: &loss, NothingFound: nothingFound(v, loss), Unasked: v.Unasked, Epoch: integrity.Epoch{Number: said.Epoch, CommandsLost: said.CommandsLost}}
	if before, found := unfinished(v, loss); found { // whoever recorded it was interrupted, or is about to store it
		out.Already, out.Audit, out.By = true, before.ULID, before.Operator
		return d.begin(ctx, t, before, out)
	}
	if err := d.second(t, said, &out); err != nil || !t.Apply {
		return out, err
	}
	recorded, err := d.record(ctx, t, said, ActionAccepted, &out)
	if err != nil || out.AwaitsSecond {
		return out, err
	}
	return d.begin(ctx, t, recorded, out)
}

// begin stores the epoch that a recorded acceptance begins.
func (d *Desk) begin(ctx context.Context, t turn, accepted Action, out Done) (Done, error) {
	if !t.Apply {
		return out, nil
	}
	out.Epoch = integrity.Epoch{Number: accepted.Epoch, AcceptedAt: accepted.Time.UTC(), CommandsLost: accepted.CommandsLost}
	mark := integrity.MarkOf(t.Reading, accepted.Position, accepted.Epoch)
	mark.Holes, mark.At = out.Loss.Holes, accepted.Time.UTC()
	err := d.store(ctx, integrity.Record{Mark: mark, Epoch: out.Epoch}, &out)
	return out, err
}

// saidOf is what the audit event says of a loss that is accepted.
func saidOf(v View, loss Loss, lose Typed) events.JournalLoss {
	said := events.JournalLoss{
		Epoch: nextEpoch(v, loss), Fingerprint: loss.Fingerprint, Known: loss.Known, Found: loss.End, GivenUp: loss.Messages,
		CommandsLost: plus(max(loss.Commands.Messages, lose.Commands), unsettled(v)), KnownAt: events.Stamp{Time: v.Record.Mark.At},
	}
	if first := v.Record.Mark.Identity; first != (integrity.Identity{}) {
		said.First = (*events.FirstMessage)(&first)
	}
	if nothingFound(v, loss) {
		said.CommandsLost = max(said.CommandsLost, 1) // nobody can count them
	}
	for _, hole := range loss.Holes {
		said.Holes = append(said.Holes, events.SequenceRange(hole))
	}
	return said
}

// plus adds two numbers, and stays at the highest where the sum is above it.
func plus(a, b uint64) uint64 {
	if sum := a + b; sum >= a {
		return sum
	}
	return math.MaxUint64
}

// nothingFound reports whether no place shows a loss that is to be accepted: after a
// failover to a copy of everything, none remembers more than the copy.
func nothingFound(v View, loss Loss) bool {
	return len(v.Findings) == 0 && !v.BucketMissing && loss.Messages == 0 && loss.Commands.Messages == 0
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

// acceptedBefore returns the acceptance that has come into effect of what is to be
// accepted: of the loss that the person has seen, or by the same command, such as one
// that was killed before it could say so. A command is the same if its reason is, and
// if it types out nothing else.
func acceptedBefore(v View, loss Loss, a Asked, lose Typed) (before Action, found bool) {
	e := v.Record.Epoch
	seen := a.Seen != "" && a.Seen != loss.Fingerprint
	if e.Number == 0 || v.BucketMissing || len(v.Findings) > 0 || loss.Messages > 0 || loss.Commands.Messages > 0 || !seen && e.Phase != integrity.Held {
		return Action{}, false
	}
	for _, before := range v.Actions {
		if before.Action != ActionAccepted || before.Epoch != e.Number {
			continue
		}
		same := before.Reason == events.Text(a.Reason) && (lose.Messages == 0 || lose.Messages == before.GivenUp) && lose.Commands <= before.CommandsLost
		if seen && before.Fingerprint == a.Seen || !seen && same {
			return before, true
		}
	}
	return Action{}, false
}

// changed says that the loss is not the one that the person has seen.
func changed(v View, loss Loss, a Asked) []string {
	if a.Seen == "" || a.Seen == loss.Fingerprint {
		return nil
	}
	return []string{fmt.Sprintf("what was seen has changed: now epoch %d is %s, and the journal is known to reach %d and ends at %d: look again",
		v.Record.Epoch.Number, v.Record.Epoch.Phase, loss.Known, loss.End)}
}

// again finishes an acceptance that counts already: the witness may not know of it.
func (d *Desk) again(ctx context.Context, t turn, before Action) (Done, error) {
	out := Done{Already: true, Epoch: t.Record.Epoch, Audit: before.ULID, By: before.Operator}
	if !t.Apply {
		return out, nil
	}
	err := d.store(ctx, t.Record, &out)
	return out, err
}

// Go lets work begin after an accepted loss: what the journal cannot know is
// asked before it is called. One person is enough: nothing is believed because of it.
// Errors are those of Accept.
func (d *Desk) Go(ctx context.Context, a Asked) (Done, error) {
	return d.decide(ctx, a, func(t turn) (Done, error) {
		no := CheckGo(t.View)
		if len(no) > 0 {
			return Done{Epoch: t.Record.Epoch}, &RefusedError{no}
		}
		said := events.JournalLoss{Epoch: t.Record.Epoch.Number}
		return d.enter(ctx, t, integrity.Doubting, said, Done{})
	})
}

// MayTrust fails where Trust would in any case, whatever is left to do: so nobody reads
// the whole journal in vain. Errors are those of Accept.
func (d *Desk) MayTrust(ctx context.Context, a Asked) (Done, error) {
	return d.decide(ctx, a, func(t turn) (Done, error) {
		if no := notDoubting(t.View); len(no) > 0 {
			return Done{Epoch: t.Record.Epoch}, &RefusedError{no}
		}
		return Done{}, nil
	})
}

// Trust takes the journal for complete. open and withoutWalk are what the person
// has typed, see CheckTrust. Where a loss needs two persons, this does. Errors are those
// of Accept.
func (d *Desk) Trust(ctx context.Context, a Asked, left Left, open uint64, withoutWalk bool) (Done, error) {
	return d.decide(ctx, a, func(t turn) (Done, error) {
		if no := CheckTrust(t.View, left, open, withoutWalk); len(no) > 0 {
			return Done{Epoch: t.Record.Epoch}, &RefusedError{no}
		}
		var out Done
		said := trusting(t.View, left, open, withoutWalk)
		if err := d.second(t, said, &out); err != nil {
			return Done{Epoch: t.Record.Epoch}, err
		}
		return d.enter(ctx, t, integrity.Trusted, said, out)
	})
}

// enter records the action and stores the next phase of the epoch. said is what a
// proposal says, where another person is waited for.
func (d *Desk) enter(ctx context.Context, t turn, phase integrity.Phase, said events.JournalLoss, out Done) (Done, error) {
	out.Epoch = t.Record.Epoch
	out.Epoch.Phase = phase
	if !t.Apply {
		return out, nil
	}
	action := ActionReleased
	if phase == integrity.Trusted {
		action = ActionTrusted
	}
	if !out.AwaitsSecond {
		said = events.JournalLoss{Epoch: said.Epoch}
	}
	if _, err := d.record(ctx, t, said, action, &out); err != nil {
		return Done{Epoch: t.Record.Epoch}, err
	}
	if out.AwaitsSecond {
		return out, nil
	}
	err := d.store(ctx, integrity.Record{Epoch: out.Epoch}, &out)
	return out, err
}

// ErrUnfinished: the action is or may be in the journal, and does not count yet. The
// same decision, made again, finishes it.
var ErrUnfinished = errors.New("the decision is not finished")

// record appends the audit event of a decision, or of a proposal where another person is
// waited for, and returns it as it lies in the journal. The error is stream.ErrOvertaken
// if an operator has recorded something since the view.
func (d *Desk) record(ctx context.Context, t turn, said events.JournalLoss, action string, out *Done) (Action, error) {
	switch {
	case out.AwaitsSecond:
		action = ActionPropose
	case out.First != "":
		t.Operator = out.First + " and " + t.Operator
	}
	recorded, err := d.put(ctx, t, action, said)
	out.Audit, out.By = recorded.ULID, recorded.Operator
	return recorded, err
}

// put is record for an action and an operator as they are.
func (d *Desk) put(ctx context.Context, t turn, action string, said events.JournalLoss) (Action, error) {
	if strings.TrimSpace(t.Reason) == "" || t.Operator == "" {
		return Action{}, &RefusedError{[]string{"operator and reason are required"}}
	}
	entry := payment.OperatorAction{
		ULID: t.RequestID, Action: action, Operator: t.Operator, Identity: t.Identity, Login: t.Login, Reason: t.Reason, At: d.now(),
	}
	m, err := d.encoder.EncodeJournalAction(entry, &said)
	if err != nil {
		return Action{}, err
	}
	var sequence uint64
	if t.unguarded {
		sequence, err = d.sources.Journal.Put(ctx, 0, m)
	} else {
		sequence, err = d.sources.Journal.PutNext(ctx, events.OperatorsFilter(), t.Newest, m)
	}
	if errors.Is(err, journal.ErrUnknown) {
		err = fmt.Errorf("%w: %w", ErrUnfinished, err)
	}
	if err != nil {
		return Action{}, fmt.Errorf("record the action: %w", err)
	}
	stored, err := d.at(ctx, sequence)
	if err != nil {
		return Action{}, fmt.Errorf("%w: %w", ErrUnfinished, err)
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
		return fmt.Errorf("%w: it is recorded in the journal and not stored, so it does not count yet: run it again: %w", ErrUnfinished, err)
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
