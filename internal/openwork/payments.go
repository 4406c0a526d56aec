package openwork

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// maxDelivered is how many delivered timers Payments looks at one by one.
const maxDelivered = 1000

// Payments lists the payments that have a timer, none twice, from the subjects
// of the timers alone. Where there are more than limit timers, or more than a
// thousand delivered and not acknowledged, complete is false: of the first none
// is listed then, for the server sends all or nothing. Operations whose message
// is in hand for the first time have no timer yet.
func Payments(ctx context.Context, js jetstream.JetStream, stream string, limit int) (ids []payment.ID, complete bool, err error) {
	s, err := open(ctx, js, stream)
	if err != nil {
		return nil, false, fmt.Errorf("list payments with timers: %w", err)
	}
	found := &paymentSet{seen: map[payment.ID]bool{}}
	complete = s.CachedInfo().State.NumSubjects <= uint64(max(limit, 0))
	if complete {
		info, err := s.Info(ctx, jetstream.WithSubjectFilter(events.ScheduleFilter))
		if err != nil {
			return nil, false, fmt.Errorf("list payments with timers: %w", err)
		}
		for subject := range info.State.Subjects {
			found.add(subject)
		}
	}
	all, err := found.addDelivered(ctx, s)
	if err != nil {
		return nil, false, fmt.Errorf("list payments with delivered timers: %w", err)
	}
	return found.ids, complete && all, nil
}

// paymentSet collects payments in the order they are met.
type paymentSet struct {
	ids  []payment.ID
	seen map[payment.ID]bool
}

// add takes the payment a timer's subject names. A timer of a command whose
// payment could not be derived names none; it has no operation either.
func (p *paymentSet) add(subject string) {
	id, err := events.PaymentOf(subject)
	if err == nil && !p.seen[id] {
		p.seen[id] = true
		p.ids = append(p.ids, id)
	}
}

// addDelivered adds the payments of delivered timers and reports whether that
// was all of them.
func (p *paymentSet) addDelivered(ctx context.Context, s jetstream.Stream) (all bool, err error) {
	sequence := s.CachedInfo().State.FirstSeq
	for range maxDelivered {
		m, err := s.GetMsg(ctx, sequence, jetstream.WithGetMsgSubject(events.DueFilter))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		if subject := m.Header.Get(jetstream.SchedulerHeader); subject != "" {
			p.add(subject)
		}
		sequence = m.Sequence + 1
	}
	return false, nil
}
