package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countermand/countermand/internal/safetext"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// What became of a movement in a provider's statement that an open operation has.
const (
	// Settled: its operation has succeeded, or would have.
	Settled = "settled"
	// Ended: its operation has ended meanwhile.
	Ended = "ended"
	// NeedsSecond: the amount is one that two persons have to rule on.
	NeedsSecond = "needs_second_person"
	// Refused: the core does not take it, such as while a call may be under way. Of an
	// archive: the line is none of the journal's, since its subject is not, or its body
	// is another subject's. It was left.
	Refused = "refused"
)

// Books is the journal as a statement settles it. Implementations are safe for
// concurrent use.
type Books interface {
	Appender
	// Last returns the payment's newest record, or the zero Record.
	Last(ctx context.Context, id payment.ID) (journal.Record, error)
	// AppendOperator adds an operator's action under its ULID, once.
	AppendOperator(ctx context.Context, a payment.OperatorAction) error
}

// Settling settles open operations by what a provider's statement says of them under
// our own reference. A named person hands the statement in, and is who decides.
type Settling struct {
	Journal  Books
	Instance providers.Instance
	// By is the operator's action without what it is about: who, why, and how the name
	// is known. Its Action is that of a ruling.
	By payment.OperatorAction
	// ID returns a new ULID at each call.
	ID func() string
	// NeedsSecond (may be nil) reports whether two persons have to rule on an amount.
	NeedsSecond func(*payment.Money) bool
	// Apply: do it. Else it is only said.
	Apply bool
}

// Evidence is what a statement says of one operation.
type Evidence struct {
	ID  payment.ID
	Op  payment.Op
	Key payment.Key
	payment.Testimony

	// Text names the row.
	Text string
}

// Settle settles one operation and returns what became of it. The audit event comes
// first. Nothing is called because of it.
func (s Settling) Settle(ctx context.Context, e Evidence) (string, error) {
	if !safetext.Identifier(e.ProviderReference) {
		e.ProviderReference = "" // as of a provider's answer: it could name a person
	}
	if s.NeedsSecond != nil && e.Op.GivesBack() && s.NeedsSecond(e.Moved) {
		return NeedsSecond, nil
	}
	for range maxRivals {
		last, err := s.Journal.Last(ctx, e.ID)
		if err != nil {
			return "", err
		}
		i := last.State.Find(e.Op, e.Key)
		switch {
		case i < 0:
			return Refused, nil
		case last.State.Operations[i].Status.Terminal():
			return Ended, nil
		}
		d := s.decide(last.State, last.State.Operations[i], e)
		switch {
		case d.Event == nil || d.Action != payment.Finish:
			return Refused, nil
		case !s.Apply:
			return Settled, nil
		}
		if err := s.Journal.AppendOperator(ctx, s.audit(last.State.Version, e)); err != nil {
			return "", fmt.Errorf("record the action: %w", err)
		}
		_, err = s.Journal.Append(ctx, last.Sequence, *d.Event)
		if _, rival := errors.AsType[*journal.ConflictError](err); rival {
			continue
		}
		return Settled, err
	}
	return "", errors.New("the payment moves on and on: run it again")
}

// decide asks the core, as for an operator's ruling that it has happened.
func (s Settling) decide(state payment.State, op payment.Operation, e Evidence) payment.Decision {
	c, err := op.Command(e.ID)
	if err != nil {
		return payment.Decision{}
	}
	now := time.Now().UTC()
	return payment.Decide(payment.Input{
		State: state, ID: e.ID, Command: c, Traits: s.Instance.Provider.Traits(),
		Instance: payment.Instance{Configured: true, Account: s.Instance.Account, Policy: s.Instance.Policy},
		Resolution: &payment.Resolution{
			Verdict: payment.VerdictSucceeded, Seen: now, Testimony: e.Testimony,
			Resolved: payment.ResolvedBy{Operator: s.By.Operator, Reason: s.By.Reason, Evidence: e.Text},
		},
		Now: now,
	})
}

// audit is what is recorded before an operation is settled.
func (s Settling) audit(version uint64, e Evidence) payment.OperatorAction {
	a := s.By
	a.ULID, a.ID, a.Op, a.Key, a.Version = s.ID(), e.ID, e.Op, e.Key, version
	a.Ruling, a.Testimony, a.Evidence, a.At = string(payment.StatusSucceeded), e.Testimony, e.Text, time.Now().UTC()
	return a
}
