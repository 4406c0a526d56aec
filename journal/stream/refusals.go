package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
)

// Rejections lie in a stream of their own: the stream of refusals, which forgets the
// oldest. The journal forgets nothing, so that whoever publishes junk could fill it. The
// journals of older versions hold rejections too, and they are read in both places.

// gateOnly is the journal's integrity as the stream of refusals sees it: nothing is
// appended while the journal is shut. Sequences of another stream say nothing about how
// far the journal has come, so they never reach the keeper of its marks.
type gateOnly struct {
	noIntegrity

	journal Integrity
}

// Open implements Integrity.
func (g gateOnly) Open() error { return g.journal.Open() }

// AppendRejection implements journal.Journal. The rejection expects nothing on
// its own subject; a refusal means that it has been said. It goes to the stream of
// refusals and to no other: the server refuses it where another one takes in its subject.
// A rejection that an older version has put into the journal is not looked for: its
// message was terminated, or it is answered once more under the same identifier.
func (j *Journal) AppendRejection(ctx context.Context, r payment.Rejection) error {
	m, err := j.encoder.EncodeRejection(r, j.opts.Now())
	if err != nil {
		return fmt.Errorf("encode rejection: %w", err)
	}
	a, err := j.newAppend(m, 0)
	if err != nil {
		return err
	}
	_, err = j.refuse(ctx, a)
	return err
}

// refuse appends to the stream of refusals. What it returns as an error is never
// journal.ErrStoreRefuses: the journal itself still takes appends.
func (j *Journal) refuse(ctx context.Context, a *pending) (uint64, error) {
	a.guard, a.rejection = a.msg.Subject, true
	a.msg.Header[jetstream.ExpectedStreamHeader] = []string{j.opts.Refusals}
	sequence, err := j.refusals.commit(ctx, a)
	if errors.Is(err, journal.ErrStoreRefuses) {
		return 0, fmt.Errorf("%w: %s", journal.ErrRefusalNotTaken, err.Error())
	}
	return sequence, err
}

// Rejection returns a payment.command.rejected by its token; the zero Rejection if there
// is none. It asks the leaders of both places.
func (j *Journal) Rejection(ctx context.Context, token string) (payment.Rejection, error) {
	m, err := j.StoredRejection(ctx, token)
	if err != nil || m.Sequence == 0 {
		return payment.Rejection{}, err
	}
	r, _, err := events.DecodeRejection(m.Message)
	return r, err
}

// StoredRejection is Rejection as it is stored; the zero Stored if there is none.
func (j *Journal) StoredRejection(ctx context.Context, token string) (Stored, error) {
	if !events.ValidRejectionToken(token) {
		return Stored{}, fmt.Errorf("read rejection: %q is no token of one", events.Mask(token))
	}
	subject := events.RejectedSubject(token)
	m, err := j.refusals.read(ctx, subject)
	if err == nil && m.Sequence == 0 {
		m, err = j.read(ctx, subject)
	}
	return m, err
}

// inRefusals is where the positions of the stream of refusals begin, behind all of the
// journal's. A number in JSON keeps its value up to twice that.
const inRefusals = 1 << 52

// NextRejection returns the first rejection from a position on, in the order in which
// they were stored, and the position behind it; the zero Stored if there is none. The
// first position is 0. Positions mean something to NextRejection only.
func (j *Journal) NextRejection(ctx context.Context, from uint64) (m Stored, next uint64, err error) {
	if from < inRefusals {
		m, err = j.next(ctx, max(from, 1), events.RejectedFilter)
		if err != nil || m.Sequence != 0 {
			return m, m.Sequence + 1, err
		}
		from = inRefusals
	}
	m, err = j.refusals.next(ctx, max(from-inRefusals, 1), events.RejectedFilter)
	return m, inRefusals + m.Sequence + 1, err
}
