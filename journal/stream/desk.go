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

// History returns the events of one payment in order, read one by one from the
// stream's leader: for a person, not for a hot path. An event that cannot be
// read is an error. complete is false where there are more than 2,000.
func (j *Journal) History(ctx context.Context, id payment.ID) (all []events.Entry, complete bool, err error) {
	filter, err := events.Filter(id)
	if err != nil {
		return nil, false, fmt.Errorf("name payment: %w", err)
	}
	last, err := j.read(ctx, filter)
	if err != nil || last.Sequence == 0 {
		return nil, err == nil, err
	}
	for sequence := uint64(1); sequence <= last.Sequence; {
		if len(all) == maxHistory {
			return all, false, nil
		}
		m, err := j.next(ctx, sequence, filter)
		if err != nil {
			return nil, false, err
		}
		if m.Sequence == 0 {
			return all, true, nil
		}
		e, err := events.DecodeEvent(events.Message{Subject: m.Subject, Header: m.header, Data: m.Data})
		if err != nil {
			return nil, false, fmt.Errorf("decode %s: %w", m.Subject, err)
		}
		all = append(all, e)
		sequence = m.Sequence + 1
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
