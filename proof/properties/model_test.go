package properties_test

import (
	"slices"

	"github.com/countermand/countermand/payment"
)

// request is one call on its way to the model provider.
type request struct {
	reference string
	attempt   int
	op        payment.Op
	full      bool
	amount    int64
	sent      bool // it has left the process
	settled   bool // executed, declined or lost for good: nothing more comes of it
	answer    payment.Outcome
}

// record is what the provider knows under one of our references.
type record struct {
	movements int
	moved     int64
	declined  bool
	pending   bool // accepted, to be decided later
}

// model is a provider that honours its traits and answers truthfully, if at
// all. Requests execute whenever the test says so, however late.
type model struct {
	traits   payment.Traits
	captured int64 // zero: an unpaid payment
	records  map[string]*record
	requests []*request
}

func (m *model) record(reference string) *record {
	if m.records[reference] == nil {
		m.records[reference] = &record{}
	}
	return m.records[reference]
}

// execute lets a request take effect, or be refused for what it is.
func (m *model) execute(r *request, decline, later bool) {
	r.settled = true
	rec, repeat := m.record(r.reference), m.traits.For(r.op, r.full).Repeat
	known := rec.movements > 0 || rec.pending || rec.declined
	switch {
	case known && repeat == payment.RepeatRefused:
		r.answer = payment.Outcome{Result: payment.Duplicate}
	case known && repeat == payment.RepeatHarmless:
		r.answer = m.query(r)
	case decline || (r.op == payment.Cancel) != (m.captured == 0):
		rec.declined = repeat != payment.RepeatUnsafe
		r.answer = payment.Outcome{Result: payment.Failed, Code: payment.CodeDeclined}
	case later:
		rec.pending = true
		r.answer = payment.Outcome{Result: payment.Pending}
	default:
		m.move(rec, r)
		r.answer = payment.Outcome{Result: payment.Succeeded, Moved: m.movement(r)}
	}
}

// refuse declines one request without remembering it: another request under
// the same reference may still execute.
func (m *model) refuse(r *request) {
	rec := m.record(r.reference)
	if rec.movements > 0 || rec.pending || rec.declined {
		m.execute(r, true, false)
		return
	}
	r.settled = true
	r.answer = payment.Outcome{Result: payment.Failed, Code: payment.CodeProviderRejectedRequest}
}

func (m *model) move(rec *record, r *request) {
	rec.movements++
	rec.pending = false
	if r.op == payment.Refund {
		rec.moved += r.amount
	}
}

func (m *model) movement(r *request) *payment.Money {
	if r.op == payment.Cancel {
		return nil
	}
	return inEGP(r.amount)
}

// query answers truthfully about one reference.
func (m *model) query(r *request) payment.Outcome {
	rec := m.record(r.reference)
	switch {
	case rec.movements > 0:
		return payment.Outcome{Result: payment.Succeeded, Moved: m.movement(r)}
	case rec.pending:
		return payment.Outcome{Result: payment.Pending}
	case rec.declined:
		return payment.Outcome{Result: payment.Failed, Code: payment.CodeDeclined}
	default:
		return payment.Outcome{Result: payment.NotFound}
	}
}

// read is a truthful preparing read.
func (m *model) read() *payment.Reading {
	refunded, cancelled := int64(0), false
	for _, rec := range m.records {
		refunded += rec.moved
		cancelled = cancelled || (m.captured == 0 && rec.movements > 0)
	}
	r := &payment.Reading{OK: true, Status: payment.PaymentPaid, Captured: inEGP(m.captured), Refunded: inEGP(refunded)}
	switch {
	case cancelled:
		return &payment.Reading{OK: true, Status: payment.PaymentCancelled}
	case m.captured == 0:
		return &payment.Reading{OK: true, Status: payment.PaymentUnpaid}
	case refunded >= m.captured:
		r.Status = payment.PaymentRefunded
	case refunded > 0:
		r.Status = payment.PaymentPartiallyRefunded
	}
	return r
}

// alive returns the requests under a reference that may still execute.
func (m *model) alive(reference string) (n int) {
	for _, r := range m.requests {
		if r.reference == reference && !r.settled {
			n++
		}
	}
	return n
}

// last returns the newest request under a reference.
func (m *model) last(reference string) *request {
	for _, r := range slices.Backward(m.requests) {
		if r.reference == reference {
			return r
		}
	}
	return nil
}
