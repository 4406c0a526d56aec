package memory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// AppendOperator implements journal.Audit.
func (j *Journal) AppendOperator(ctx context.Context, a payment.OperatorAction) error {
	data, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("encode operator's action: %w", err)
	}
	subject := events.OperatorSubject(a.Action, a.ULID)
	_, err = j.commit(ctx, Try{Action: &a}, entry{
		token: j.store.nextToken(), filter: subject, subject: subject, rejection: true, action: true, data: data,
	}, 0)
	if errors.Is(err, errTaken) {
		return nil // already there
	}
	return err
}

// Actions returns the operators' actions in the order of their appends.
func (j *Journal) Actions() ([]payment.OperatorAction, error) {
	return decodeAll[payment.OperatorAction](j.store.snapshot(), func(e entry) bool { return e.action })
}

// OperatorActions returns the actions of one kind that lie behind a sequence.
func (j *Journal) OperatorActions(_ context.Context, action string, after uint64) ([]payment.OperatorAction, error) {
	prefix := events.OperatorSubject(action, "")
	prefix = prefix[:len(prefix)-1]
	var sequences []uint64
	all, err := decodeAll[payment.OperatorAction](j.store.snapshot(), func(e entry) bool {
		wanted := e.action && e.sequence > after && len(e.subject) > len(prefix) && e.subject[:len(prefix)] == prefix
		if wanted {
			sequences = append(sequences, e.sequence)
		}
		return wanted
	})
	for i := range all {
		all[i].Sequence = sequences[i]
	}
	return all, err
}

// History returns a payment's events in order, as they would be read from a
// stream; complete is always true.
func (j *Journal) History(_ context.Context, id payment.ID) (all []events.Entry, complete bool, err error) {
	filter, err := events.Filter(id)
	if err != nil {
		return nil, false, fmt.Errorf("name payment: %w", err)
	}
	appended, err := decodeAll[payment.Event](j.store.snapshot(), func(e entry) bool { return e.filter == filter })
	if err != nil {
		return nil, false, err
	}
	encoder := events.NewEncoder(nil)
	for _, e := range appended {
		m, err := encoder.EncodeEvent(e)
		if err != nil {
			return nil, false, fmt.Errorf("read history: %w", err)
		}
		one, err := events.DecodeEvent(m)
		if err != nil {
			return nil, false, fmt.Errorf("read history: %w", err)
		}
		all = append(all, one)
	}
	return all, true, nil
}
