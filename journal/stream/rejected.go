package stream

import (
	"context"
	"fmt"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// Rejection returns a payment.command.rejected by its token, read from the stream's
// leader; the zero Rejection if there is none.
func (j *Journal) Rejection(ctx context.Context, token string) (payment.Rejection, error) {
	if !events.ValidRejectionToken(token) {
		return payment.Rejection{}, fmt.Errorf("read rejection: %q is no token of one", events.Mask(token))
	}
	m, err := j.read(ctx, events.RejectedSubject(token))
	if err != nil || m.Sequence == 0 {
		return payment.Rejection{}, err
	}
	r, _, err := events.DecodeRejection(m.Message)
	return r, err
}
