package simulation

import (
	"slices"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// provider is the other side: what was paid, what was asked, what was done. It
// honours its kinds' traits and never lies; it may say nothing, or late.
type provider struct {
	accounts map[payment.ID]*account
	requests []*request
}

// account is one payment at the provider.
type account struct {
	id       payment.ID
	kind     *kind
	captured int64 // 0: unpaid
	refunded int64
	earlier  int64 // refunded, before the latest refund: what a lagging read shows
	closed   bool
	records  map[operation]*record
}

// record is what the provider knows of one operation.
type record struct {
	movements int
	declined  bool // remembered: a repeat finds the same no
	pending   bool // accepted, to be decided later
	returned  bool // the money came back
}

// request is one call that can move money, from when it left its consumer.
type request struct {
	name    operation
	attempt int
	epoch   uint64 // in which it was sent
	full    bool
	doubt   bool // an earlier attempt may have left
	amount  int64
	settled bool // executed, declined or lost for good: nothing more comes of it
	effect  bool // it did something, or was accepted
}

func (p *provider) enter(id payment.ID, k *kind, paid bool) {
	a := &account{id: id, kind: k, records: map[operation]*record{}}
	if paid {
		a.captured = captured
	}
	p.accounts[id] = a
}

// has reports whether one of the payments is at an instance.
func (p *provider) has(instance string) bool {
	for id := range p.accounts {
		if id.Provider == instance {
			return true
		}
	}
	return false
}

func (a *account) record(name operation) *record {
	if a.records[name] == nil {
		a.records[name] = &record{}
	}
	return a.records[name]
}

// alive counts the requests of an operation that may still be executed.
func (p *provider) alive(name operation) (n int) {
	for _, r := range p.requests {
		if r.name == name && !r.settled {
			n++
		}
	}
	return n
}

// late lists the requests that are under way to the provider still.
func (p *provider) late() []*request {
	return slices.DeleteFunc(slices.Clone(p.requests), func(r *request) bool { return r.settled })
}

// undecided lists what was accepted and not decided, in the order asked.
func (p *provider) undecided() []operation {
	var all []operation
	for _, r := range p.requests {
		if rec := p.accounts[r.name.id].record(r.name); rec.pending && !slices.Contains(all, r.name) {
			all = append(all, r.name)
		}
	}
	return all
}

// fate is what a provider does with a request that reaches it.
type fate int

const (
	accept  fate = iota // do it
	decline             // say no, and remember it where the kind remembers
	refuse              // say no to this request alone: from a cache, a test account, or too early
	later               // accept it, decide later
)

// execute lets a request take effect, or be refused for what it is.
func (w *world) execute(r *request, f fate) payment.Outcome {
	a := w.provider.accounts[r.name.id]
	rec, repeat := a.record(r.name), a.kind.traits.For(r.name.op, r.full).Repeat
	r.settled = true
	known := rec.movements > 0 || rec.pending || rec.declined
	switch {
	case a.kind.saysDone && r.full && a.captured > 0 && a.refunded >= a.captured:
		return alreadyRefunded(r)
	case known && repeat == payment.RepeatRefused:
		return payment.Outcome{Result: payment.Duplicate, ProviderCode: "known"}
	case known && repeat == payment.RepeatHarmless:
		return a.truth(r.name, r.amount)
	case f == refuse:
		return payment.Outcome{Result: payment.Failed, Code: payment.CodePaymentNotFound, ProviderCode: "refused"}
	case f == decline, !a.takes(r.name.op), w.losses > 0 && a.exceeded(r):
		rec.declined = repeat != payment.RepeatUnsafe && !a.kind.saysDone
		return payment.Outcome{Result: payment.Failed, Code: payment.CodeDeclined, ProviderCode: "declined"}
	case f == later:
		r.effect, rec.pending = true, true
		return payment.Outcome{Result: payment.Pending}
	default:
		r.effect = true
		w.move(a, rec, r)
		return a.truth(r.name, r.amount)
	}
}

// alreadyRefunded is what an adapter makes of the refusal of a full refund that says
// that the payment was refunded.
func alreadyRefunded(r *request) payment.Outcome {
	out := payment.Outcome{Result: payment.Failed, Code: payment.CodeAlreadyRefunded, ProviderCode: "done"}
	if r.doubt {
		out.Result, out.Effect, out.Basis = payment.Succeeded, payment.EffectRefunded, payment.BasisInferred
	}
	return out
}

// exceeded reports whether more would be given back than was captured.
func (a *account) exceeded(r *request) bool {
	amount := r.amount
	if r.full {
		amount = a.captured
	}
	return r.name.op.GivesBack() && a.refunded+amount > a.captured
}

// takes reports whether the payment is one the operation can be carried out on.
func (a *account) takes(op payment.Op) bool {
	switch op {
	case payment.Cancel:
		return a.captured == 0
	case payment.Refund:
		return a.captured > 0
	}
	return false
}

// move moves the money, and judges at once: nobody stops it here.
func (w *world) move(a *account, rec *record, r *request) {
	rec.pending = false
	rec.movements++
	w.moved(r.name, rec.movements)
	switch r.name.op {
	case payment.Cancel:
		a.closed = true
	case payment.Refund:
		w.giveBack(a, r)
	}
}

func (w *world) giveBack(a *account, r *request) {
	amount := r.amount
	if r.full {
		amount = a.captured
	}
	a.earlier = a.refunded
	a.refunded += amount
	w.check(a.refunded <= a.captured, "refunded %d of %d captured of %s", a.refunded, a.captured, a.id.Provider)
}

// settle decides what was accepted.
func (w *world) settle(name operation, yes bool) {
	a := w.provider.accounts[name.id]
	rec := a.record(name)
	if !rec.pending {
		return
	}
	rec.pending = false
	i := slices.IndexFunc(w.provider.requests, func(r *request) bool { return r.name == name })
	if yes && (w.losses == 0 || !a.exceeded(w.provider.requests[i])) {
		w.move(a, rec, w.provider.requests[i])
		return
	}
	rec.declined = true
	w.provider.requests[i].effect = false
}

// truth is the whole truth about one operation.
func (a *account) truth(name operation, amount int64) payment.Outcome {
	rec := a.record(name)
	switch {
	case rec.returned:
		return payment.Outcome{Result: payment.Failed, Code: payment.CodeDeclined, ProviderCode: "returned", ProviderReference: "r-1"}
	case rec.movements > 0 && name.op.EndsPayment():
		return payment.Outcome{Result: payment.Succeeded, Effect: payment.EffectClosed}
	case rec.movements > 0:
		out := payment.Outcome{Result: payment.Succeeded, Effect: payment.EffectRefunded}
		if amount > 0 {
			out.Moved = &payment.Money{Value: amount, Currency: a.kind.currency}
		}
		return out
	case rec.pending:
		return payment.Outcome{Result: payment.Pending}
	case rec.declined:
		return payment.Outcome{Result: payment.Failed, Code: payment.CodeDeclined, ProviderCode: "declined"}
	default:
		return payment.Outcome{Result: payment.NotFound}
	}
}

// tells is what asking tells, with all the time in the world: the truth, where
// the kind can say it.
func (a *account) tells(r providers.Request) payment.Outcome {
	switch {
	case a.kind.useless, a.kind.waits:
		return payment.Outcome{Code: payment.CodeProviderUnavailable}
	case a.kind.unseen(r.Full):
		return payment.Outcome{Result: payment.NotFound}
	}
	amount := int64(0)
	if r.Amount != nil {
		amount = r.Amount.Value
	}
	name := operation{id: a.id, op: r.Op, key: r.Key}
	if rec := a.record(name); a.kind.compares && r.Op.GivesBack() && !rec.pending && !rec.declined && !rec.returned {
		return a.compared(r)
	}
	return a.truth(name, amount)
}

// compared is what the payment tells where it carries nothing of ours: what has
// moved since the snapshot.
func (a *account) compared(r providers.Request) payment.Outcome {
	wanted, before := a.captured, int64(0)
	if !r.Full {
		wanted = r.Amount.Value
	}
	switch {
	case a.captured == 0: // never paid: there is nothing a refund could be
		return payment.Outcome{Result: payment.NotFound}
	case r.Snapshot == nil && a.refunded > 0:
		return payment.Outcome{Result: payment.Ambiguous}
	case r.Snapshot != nil && r.Snapshot.Refunded != nil:
		before = r.Snapshot.Refunded.Value
	}
	switch between := a.refunded - before; {
	case between < wanted:
		return payment.Outcome{Result: payment.NotFound}
	case between > wanted:
		return payment.Outcome{Result: payment.Ambiguous}
	default:
		return payment.Outcome{
			Result: payment.Succeeded, Effect: payment.EffectRefunded, Basis: payment.BasisInferred,
			Moved: &payment.Money{Value: wanted, Currency: a.kind.currency},
		}
	}
}

// reading is a preparing read: truthful, and as late as refunded is.
func (a *account) reading(refunded int64) payment.Reading {
	money := func(v int64) *payment.Money { return &payment.Money{Value: v, Currency: a.kind.currency} }
	switch {
	case a.kind.useless, a.kind.waits:
		return payment.Reading{Code: payment.CodeProviderUnavailable}
	case a.kind.dim && a.captured > 0 && refunded%2 == 0:
		return payment.Reading{OK: true, Status: payment.PaymentPaid, Captured: money(a.captured)}
	case a.kind.dim: // or it is wrong
		return payment.Reading{OK: true, Status: payment.PaymentFailed}
	case a.closed:
		return payment.Reading{OK: true, Status: payment.PaymentCancelled}
	case a.captured == 0:
		return payment.Reading{OK: true, Status: payment.PaymentUnpaid}
	case refunded >= a.captured:
		return payment.Reading{OK: true, Status: payment.PaymentRefunded, Captured: money(a.captured), Refunded: money(refunded)}
	case refunded > 0:
		return payment.Reading{OK: true, Status: payment.PaymentPartiallyRefunded, Captured: money(a.captured), Refunded: money(refunded)}
	default:
		return payment.Reading{OK: true, Status: payment.PaymentPaid, Captured: money(a.captured)}
	}
}
