package stream

import (
	"context"
	"fmt"
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

// History returns the events of one payment in order, each read by its version
// from the stream's leader: forwards by the payment's subjects the server would
// search the whole stream. An event that cannot be read is an error. complete is
// false where there are more than 2,000.
func (j *Journal) History(ctx context.Context, id payment.ID) (all []events.Entry, complete bool, err error) {
	last, err := j.Last(ctx, id)
	if err != nil {
		return nil, false, err
	}
	for version := uint64(1); version <= last.State.Version; version++ {
		if len(all) == maxHistory {
			return all, false, nil
		}
		e, err := j.EventAt(ctx, id, version)
		switch {
		case err != nil:
			return nil, false, err
		case e.ID != "": // the journal loses none; one that an operator has removed is passed over
			all = append(all, e)
		}
	}
	return all, true, nil
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
		a, err := events.DecodeOperator(events.Message{Subject: m.Subject, Header: m.header, Data: m.Data})
		if err != nil {
			return nil, fmt.Errorf("decode %s: %w", m.Subject, err)
		}
		all = append(all, a)
		after = m.Sequence
	}
	return all, nil
}

// next is the first message of a filter from a sequence on; the zero one if
// there is none.
func (j *Journal) next(ctx context.Context, sequence uint64, filter string) (storedMessage, error) {
	return j.get(ctx, filter, `{"seq":`+strconv.FormatUint(sequence, 10)+`,"next_by_subj":"`+filter+`"}`)
}
