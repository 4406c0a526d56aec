package acceptance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/keeper"
	"github.com/countermand/countermand/integrity/replicas"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

// Copy is what one server holds of the journal, or of a stream beside it.
type Copy struct {
	// Stream is the other stream's name; empty: the journal.
	Stream string `json:"stream,omitempty"`

	Server   string `json:"server"`
	Leads    bool   `json:"leads,omitempty"`
	First    uint64 `json:"first"`
	Last     uint64 `json:"last"`
	Messages uint64 `json:"messages"`
}

// Unasked is a server that was to be asked for its copy, and was not.
type Unasked struct {
	// Address is that of its monitoring port.
	Address string `json:"address"`
	Reason  string `json:"reason"`
	// Typed: a person has typed the address; otherwise it is configured.
	Typed bool `json:"typed,omitempty"`
}

// Action is an operator's action about the journal, as it lies there.
type Action struct {
	payment.OperatorAction
	events.JournalLoss

	// Position and Time are those of its message.
	Position integrity.Position
	Time     time.Time
}

// View is all that a decision rests on, at one moment.
type View struct {
	// Journal is the journal's stream, Commands that of the commands.
	Journal, Commands string
	// Bucket and Witness are what the stores hold, Record is both together.
	Bucket, Witness, Record integrity.Record
	BucketMissing           bool
	// WitnessError is why the witness cannot be read; nil also where there is none.
	WitnessError error
	// Lag is how far the witness stays behind; nil: it does not, or [Lagging] was not asked.
	Lag      *Lag
	Reading  integrity.Reading
	Findings []integrity.Finding
	// End is where the journal ends, without the operators' actions about the
	// journal that lie behind everything else.
	End uint64
	// CommandsCut is where the stream of commands was set back to, if it was filled
	// again since; 0: it was not, or to its beginning.
	CommandsCut uint64
	// Copies are what single servers hold of the journal, where they were asked.
	Copies []Copy
	// Others are what they hold of the streams beside it.
	Others []Copy
	// Unasked are the servers that did not answer.
	Unasked []Unasked
	// Replicas are the registered processes, Now is the server's time.
	Replicas []integrity.Registered
	Now      time.Time
	// Actions are the operators' actions about the journal, in its order.
	Actions []Action
	// Newest is the sequence of the newest audit event of any action; 0: there is none.
	// Actions holds all that lie up to there.
	Newest uint64
}

// Live are the registered processes that run.
func (v View) Live() []integrity.Registered { return integrity.Live(v.Replicas, v.Now) }

// Sources are where a view is read from.
type Sources struct {
	JetStream jetstream.JetStream
	Journal   *stream.Journal
	// Stream is the journal's name, Commands that of the stream of commands,
	// ControlBucket that of the bucket.
	Stream, Commands, ControlBucket string
	Reader                          keeper.Source
	Bucket                          keeper.Store
	// Witness is nil where there is none.
	Witness keeper.Store
	// Appended is how far the appends through Journal have come; nil: nobody counts them.
	Appended *Appended
	// Copies asks single servers what they hold of all streams; nil: they cannot be asked.
	Copies func(ctx context.Context) ([]Copy, []Unasked)
}

// Epoch returns the epoch that counts: the later one of bucket and witness.
func (s Sources) Epoch(ctx context.Context) (integrity.Epoch, error) {
	record, err := s.Bucket.Load(ctx)
	if err != nil {
		return integrity.Epoch{}, fmt.Errorf("read epoch: %w", err)
	}
	if s.Witness != nil {
		witness, err := s.Witness.Load(ctx)
		if err != nil {
			return integrity.Epoch{}, fmt.Errorf("read epoch: %w", err)
		}
		record = record.Merge(witness)
	}
	if record.Zero() {
		return integrity.FirstEpoch(), nil
	}
	return record.Epoch, nil
}

// Look reads a view. It changes nothing. A server that cannot be asked is an
// error; a witness that cannot be read is part of the view.
func Look(ctx context.Context, s Sources) (View, error) {
	v := View{Journal: s.Stream, Commands: s.Commands}
	if s.Copies != nil { // before the leaders are asked: what a copy holds beyond them then, they lack
		var copies []Copy
		copies, v.Unasked = s.Copies(ctx)
		for _, c := range copies {
			if c.Stream == "" {
				v.Copies = append(v.Copies, c)
			} else {
				v.Others = append(v.Others, c)
			}
		}
	}
	var err error
	v.Bucket, err = s.Bucket.Load(ctx)
	switch {
	case errors.Is(err, keeper.ErrNoStore):
		v.BucketMissing = true
	case err != nil:
		return View{}, fmt.Errorf("read mark: %w", err)
	}
	v.Record = v.Bucket
	if s.Witness != nil {
		if v.Witness, v.WitnessError = s.Witness.Load(ctx); v.WitnessError == nil {
			v.Record = v.Record.Merge(v.Witness)
		}
	}
	if v.Record.Zero() {
		v.Record.Epoch = integrity.FirstEpoch()
	}
	began := time.Now()
	if v.Reading, _, err = s.Reader.Read(ctx, v.Record.Mark, nil); err != nil {
		return View{}, fmt.Errorf("read streams: %w", err)
	}
	v.Reading.Began = began
	names := integrity.Names{Journal: s.Stream}
	v.Findings = integrity.Judge(v.Record.Mark, v.Reading, names)
	if v.Record.Mark.Zero() && !v.Reading.Journal.Missing {
		v.Findings = integrity.Unadopted(v.Reading, v.Findings, names)
	}
	if v.CommandsCut, err = commandsCut(ctx, s, v); err != nil {
		return View{}, err
	}
	if v.BucketMissing && !slices.ContainsFunc(v.Findings, func(f integrity.Finding) bool { return f.Object == "KV_"+s.ControlBucket }) {
		v.Findings = append(v.Findings, integrity.Finding{
			Kind: integrity.StreamMissing, Object: "KV_" + s.ControlBucket,
			Text: "the bucket of pauses and marks does not exist (stream KV_" + s.ControlBucket + ")",
		})
	}
	if v.Replicas, v.Now, err = replicas.List(ctx, s.JetStream, s.ControlBucket); err != nil {
		return View{}, err
	}
	v.Findings = append(v.Findings, integrity.FoundByOthers(v.Record.Epoch.Number, v.Live())...)
	v.Findings = append(v.Findings, ahead(v)...)
	if s.Witness != nil && v.WitnessError == nil {
		v.Findings = append(v.Findings, integrity.JudgeWitness(v.Bucket, v.Witness)...)
	}
	if v.Reading.Journal.Missing {
		return v, nil
	}
	newest, err := s.Journal.On(ctx, events.OperatorsFilter())
	if err != nil {
		return View{}, fmt.Errorf("read operators' actions: %w", err)
	}
	v.Newest = newest.Sequence
	if v.Actions, err = actions(ctx, s.Journal); err != nil {
		return View{}, err
	}
	v.End = endOf(v)
	return v, nil
}

// ahead are findings of processes that know a later epoch than the stores. They
// have learned of it there, so the stores were set back, with all that was
// written since.
func ahead(v View) []integrity.Finding {
	var all []integrity.Finding
	for _, r := range v.Live() {
		if r.Epoch.Number > v.Record.Epoch.Number {
			all = append(all, integrity.Finding{
				Kind: integrity.EpochForgotten, Object: r.ID, Known: r.Epoch.Number, Found: v.Record.Epoch.Number,
				Text: fmt.Sprintf("process %s works in epoch %d; the bucket and the witness know epoch %d only, so they were set back",
					r.ID, r.Epoch.Number, v.Record.Epoch.Number),
			})
		}
	}
	return all
}

// reached is the highest epoch that is known to have come into effect: in the
// stores, or in a process that runs. The journal may know of higher ones.
func (v View) reached() uint64 {
	n := v.Record.Epoch.Number
	for _, r := range v.Live() {
		n = max(n, r.Epoch.Number)
	}
	return n
}

// endOf is where the journal ends without what operators have said about the next
// epoch. The newest accepted loss is part of its epoch and counts.
func endOf(v View) uint64 {
	end, epoch := v.Reading.Journal.Last, v.reached()
	for i := len(v.Actions) - 1; i >= 0; i-- {
		at := v.Actions[i].Position.Sequence
		if at > end {
			continue // it was recorded after the reading
		}
		if at != end || v.Actions[i].Epoch <= epoch {
			break
		}
		end--
	}
	return end
}

// Actions of audit events about the journal (payment.operator.<action>).
const (
	ActionPropose  = "journal_propose"
	ActionAccepted = "journal_accepted"
	ActionReleased = "journal_released"
	ActionTrusted  = "journal_trusted"
)

// actions reads the operators' actions about the journal in its order.
func actions(ctx context.Context, j *stream.Journal) ([]Action, error) {
	var all []Action
	for _, name := range []string{ActionPropose, ActionAccepted, ActionReleased, ActionTrusted} {
		filter := events.OperatorFilter(name)
		for sequence := uint64(1); ; {
			m, err := j.Next(ctx, sequence, filter)
			if err != nil {
				return nil, fmt.Errorf("read operators' actions: %w", err)
			}
			if m.Sequence == 0 {
				break
			}
			sequence = m.Sequence + 1
			a, said, err := events.DecodeJournalAction(m.Message)
			if err != nil || said == nil {
				continue // not ours: nothing follows from it
			}
			all = append(all, Action{
				OperatorAction: a, JournalLoss: *said, Time: m.Time,
				Position: integrity.Position{Sequence: m.Sequence, Token: m.Token()},
			})
		}
	}
	slices.SortFunc(all, func(a, b Action) int { return cmp.Compare(a.Position.Sequence, b.Position.Sequence) })
	return all, nil
}
