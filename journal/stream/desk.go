package stream

import (
	"context"
	"fmt"
	"iter"
	"strconv"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

const (
	// maxHistory bounds the events of one payment that are read at a time.
	maxHistory = 2000
	// maxActions bounds the audit events that are read at a time.
	maxActions = 1000
)

// AppendOperator implements journal.Audit.
func (j *Journal) AppendOperator(ctx context.Context, o payment.OperatorAction) error {
	m, err := j.encoder.EncodeOperator(o)
	if err != nil {
		return fmt.Errorf("encode operator's action: %w", err)
	}
	a, err := j.newAppend(m, 0)
	if err != nil {
		return err
	}
	// Its subject holds its own ULID: what lies there is this one, as it is with a rejection.
	a.guard, a.rejection = m.Subject, true
	_, err = j.commit(ctx, a)
	return err
}

// History returns the events of one payment in order, as Messages reads them. An
// event that cannot be decoded is an error. complete is false where there are more
// than 2,000.
func (j *Journal) History(ctx context.Context, id payment.ID) (all []events.Entry, complete bool, err error) {
	for m, err := range j.Messages(ctx, id) {
		if err != nil {
			return nil, false, err
		}
		if len(all) == maxHistory {
			return all, false, nil
		}
		e, err := m.entry()
		if err != nil {
			return nil, false, err
		}
		all = append(all, e)
	}
	return all, true, nil
}

// Messages yields the events of one payment in order as they are stored, each read
// by its version from the stream's leader: if it read forwards by the payment's
// subjects, the server would search the whole stream. After an error there is nothing more.
func (j *Journal) Messages(ctx context.Context, id payment.ID) iter.Seq2[Stored, error] {
	return j.MessagesFrom(ctx, id, 1)
}

// MessagesFrom is Messages from a version on.
func (j *Journal) MessagesFrom(ctx context.Context, id payment.ID, first uint64) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		filter, newest, err := j.newestVersion(ctx, id)
		if err != nil {
			yield(Stored{}, err)
			return
		}
		for version := first; version <= newest; version++ {
			m, err := j.version(ctx, filter, version)
			switch {
			case err != nil:
				yield(Stored{}, err)
				return
			case m.Sequence != 0 && !yield(m, nil): // the journal loses none; one that an operator has removed is passed over
				return
			}
		}
	}
}

// newestVersion is a payment's filter and the version of its newest event; 0 where it has none.
func (j *Journal) newestVersion(ctx context.Context, id payment.ID) (filter string, version uint64, err error) {
	filter, err = events.Filter(id)
	if err != nil {
		return "", 0, fmt.Errorf("name payment: %w", err)
	}
	last, err := j.read(ctx, filter)
	if err != nil || last.Sequence == 0 {
		return filter, 0, err
	}
	version, err = events.VersionOf(last.Message.Subject)
	return filter, version, err
}

// OperatorActions returns the audit events of one action that lie behind a
// sequence, in order, at most 1,000.
func (j *Journal) OperatorActions(ctx context.Context, action string, after uint64) ([]payment.OperatorAction, error) {
	filter := events.OperatorFilter(action)
	var all []payment.OperatorAction
	for range maxActions {
		m, err := j.next(ctx, after+1, filter)
		if err != nil || m.Sequence == 0 {
			return all, err
		}
		a, err := events.DecodeOperator(m.Message)
		if err != nil {
			return nil, fmt.Errorf("decode %s: %w", m.Message.Subject, err)
		}
		a.Sequence = m.Sequence
		all = append(all, a)
		after = m.Sequence
	}
	return all, nil
}

// OperatorAction returns the audit event of a ULID, whatever its action is, and its
// sequence; 0 where there is none.
func (j *Journal) OperatorAction(ctx context.Context, ulid string) (payment.OperatorAction, uint64, error) {
	m, err := j.read(ctx, events.OperatorNameFilter(ulid))
	if err != nil || m.Sequence == 0 {
		return payment.OperatorAction{}, 0, err
	}
	a, err := events.DecodeOperator(m.Message)
	if err != nil {
		return payment.OperatorAction{}, 0, fmt.Errorf("decode %s: %w", m.Message.Subject, err)
	}
	return a, m.Sequence, nil
}

// next is the first message of a filter from a sequence on; the zero one if
// there is none.
func (j *Journal) next(ctx context.Context, sequence uint64, filter string) (Stored, error) {
	return j.get(ctx, filter, `{"seq":`+strconv.FormatUint(sequence, 10)+`,"next_by_subj":"`+filter+`"}`)
}
