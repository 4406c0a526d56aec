package events

import (
	"time"

	"github.com/countermand/countermand/payment"
)

// publishable returns the state as it may go out: all times in UTC and the free
// text of open operations masked. Otherwise it is written as it is, with times
// in full precision, so that what is read back equals what was decided on.
// The usual state needs no change and is not copied. The format is filled in
// where the folding left it open.
func publishable(s payment.State) payment.State {
	if s.Format == 0 {
		s.Format = s.WrittenFormat()
	}
	copied := false
	for i := range s.Operations {
		open := s.Operations[i].Open
		if open == nil || publishableOpen(open) {
			continue
		}
		if !copied {
			s.Operations = append([]payment.Operation(nil), s.Operations...)
			copied = true
		}
		s.Operations[i].Open = cleanOpen(*open)
	}
	return s
}

func publishableOpen(o *payment.Open) bool {
	for _, t := range [...]*time.Time{
		&o.Expiry, &o.RequestedAt, &o.CallUntil, &o.DoubtSince, &o.NotFoundSince,
		&o.WaitingSince, &o.Changed, &o.Due,
	} {
		if t.Location() != time.UTC {
			return false
		}
	}
	if o.Snapshot != nil && o.Snapshot.At.Location() != time.UTC {
		return false
	}
	// A review's own texts are ours, but they may quote a provider.
	return harmless(o.Reason) && o.Review == nil
}

func cleanOpen(o payment.Open) *payment.Open {
	for _, t := range [...]*time.Time{
		&o.Expiry, &o.RequestedAt, &o.CallUntil, &o.DoubtSince, &o.NotFoundSince,
		&o.WaitingSince, &o.Changed, &o.Due,
	} {
		*t = t.UTC()
	}
	if o.Snapshot != nil {
		snapshot := *o.Snapshot
		snapshot.At = snapshot.At.UTC()
		o.Snapshot = &snapshot
	}
	o.Reason = Text(o.Reason)
	if o.Review != nil {
		review := *o.Review
		review.Since, review.LastAsked = review.Since.UTC(), review.LastAsked.UTC()
		review.Reason, review.Question = Mask(review.Reason), Mask(review.Question)
		o.Review = &review
	}
	return &o
}
