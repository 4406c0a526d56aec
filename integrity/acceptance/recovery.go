package acceptance

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// ActionRecover is the audit of something that is about to be brought back.
const ActionRecover = "journal_recover"

// Under returns the acceptance of the epoch that counts; found is false where the
// journal does not show it.
func Under(v View) (accepted Action, found bool) {
	for _, a := range v.Actions {
		if a.Action == ActionAccepted && a.Epoch == v.Record.Epoch.Number {
			return a, true
		}
	}
	return Action{}, false
}

// RecordRecovery records that something is about to be brought back, and under which
// acceptance. Nothing may be brought back after an error.
func RecordRecovery(ctx context.Context, s Sources, encoder *events.Encoder, v View, a Asked) error {
	under, _ := Under(v)
	now := time.Now()
	m, err := encoder.EncodeJournalAction(payment.OperatorAction{
		ULID: ulid.MustNew(ulid.Timestamp(now), rand.Reader).String(), Action: ActionRecover,
		Operator: a.Operator, Identity: a.Identity, Reason: a.Reason, Follows: under.ULID, At: now,
	}, &events.JournalLoss{Epoch: v.Record.Epoch.Number})
	if err != nil {
		return err
	}
	if _, err := s.Journal.Put(ctx, 0, m); err != nil {
		return fmt.Errorf("record the recovery, so nothing was brought back: %w", err)
	}
	return nil
}
