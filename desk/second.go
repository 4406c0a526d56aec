package desk

import (
	"context"
	"slices"
	"time"

	"github.com/countermand/countermand/payment"
)

const (
	// recentFor is how far back audit events are looked at; more than any rule needs.
	recentFor = 48 * time.Hour
	// actionsPage is how many audit events the journal hands out at a time, at most.
	actionsPage = 1000
)

// NeedsSecond reports whether a decision needs a second person, where it does above
// each of these. The largest of the amounts counts. An amount that nobody has named
// (nil) does, and so does one in a currency that has no limit.
func NeedsSecond(above []payment.Money, amounts ...*payment.Money) bool {
	if len(above) == 0 {
		return false
	}
	return slices.ContainsFunc(amounts, func(m *payment.Money) bool {
		if m == nil {
			return true
		}
		i := slices.IndexFunc(above, func(limit payment.Money) bool { return limit.Currency == m.Currency })
		return i < 0 || m.Value > above[i].Value
	})
}

// stake is the amount that a ruling decides about: the largest of what is at risk and
// what is said to have moved. Nil: nobody has named what is at risk.
func (r Ruling) stake(op *Operation) *payment.Money {
	if op.AtRisk == nil || r.Moved == nil || r.Moved.Currency != op.AtRisk.Currency || r.Moved.Value <= op.AtRisk.Value {
		return op.AtRisk
	}
	return r.Moved
}

// Stake is the amount that a ruling decides about, as the second person's rule sees
// it; nil where nobody has named it, or the payment has no such operation.
func (s *Story) Stake(r Ruling) *payment.Money {
	if op := s.Find(r.Operation, r.Key); op != nil {
		return r.stake(op)
	}
	return nil
}

// second reports whether a ruling needs a second person. Of a file's rulings the sum
// counts of all that the person has ruled alone from files on this day.
func (d *Desk) second(ctx context.Context, who Operator, r Ruling, op *Operation) (bool, error) {
	amounts := []*payment.Money{op.AtRisk}
	if r.Moved != nil {
		amounts = append(amounts, r.Moved)
	}
	if NeedsSecond(d.o.SecondPersonAbove, amounts...) || !r.Bulk || len(d.o.SecondPersonAbove) == 0 {
		return NeedsSecond(d.o.SecondPersonAbove, amounts...), nil
	}
	sum := *r.stake(op)
	add := func(m *payment.Money) bool {
		if m == nil || m.Currency != sum.Currency {
			return m != nil
		}
		var err error
		sum, err = sum.Add(*m)
		return err == nil
	}
	alone, err := d.aloneToday(ctx, who)
	if err != nil {
		return false, unavailable("read what you have ruled today", err)
	}
	for i := range alone {
		if !add(alone[i].AtRisk) {
			return true, nil
		}
	}
	for i := range r.Before {
		if r.DryRun && !add(&r.Before[i]) {
			return true, nil
		}
	}
	return NeedsSecond(d.o.SecondPersonAbove, &sum), nil
}

// aloneToday are the rulings of files that a person has carried out alone on this day
// (UTC), without those that were refused.
func (d *Desk) aloneToday(ctx context.Context, who Operator) ([]payment.OperatorAction, error) {
	all, err := d.recent(ctx, ActionResolve)
	if err != nil {
		return nil, err
	}
	refused := map[string]bool{}
	for i := range all {
		refused[all[i].Follows] = refused[all[i].Follows] || all[i].Outcome == OutcomeRefused
	}
	day := d.o.Now().UTC().Format(time.DateOnly)
	return slices.DeleteFunc(all, func(a payment.OperatorAction) bool {
		return !a.Bulk || a.Outcome != "" || a.Follows != "" || refused[a.ULID] || a.At.UTC().Format(time.DateOnly) != day || d.relate(a, who) != samePerson
	}), nil
}

// recent are the audit events of an action of the last two days. What is older is
// read once and then passed over.
func (d *Desk) recent(ctx context.Context, action string) ([]payment.OperatorAction, error) {
	d.floorsMu.Lock()
	after := d.floors[action]
	d.floorsMu.Unlock()
	all, err := d.actions(ctx, action, after)
	if err != nil {
		return nil, err
	}
	old := slices.IndexFunc(all, func(a payment.OperatorAction) bool { return d.o.Now().Sub(a.At) < recentFor })
	if old < 0 {
		old = len(all)
	}
	if old > 0 {
		d.floorsMu.Lock()
		d.floors[action] = max(d.floors[action], all[old-1].Sequence)
		d.floorsMu.Unlock()
	}
	return all[old:], nil
}

// actions are all audit events of an action behind a sequence.
func (d *Desk) actions(ctx context.Context, action string, after uint64) (all []payment.OperatorAction, err error) {
	for {
		page, err := d.o.Journal.OperatorActions(ctx, action, after)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < actionsPage || page[len(page)-1].Sequence <= after {
			return all, nil
		}
		after = page[len(page)-1].Sequence
	}
}

// Another is the proposal of another person that says the same as somebody, among all
// those about one matter, in their order; waits is true while there is none. Of each
// person the newest word counts alone: who has proposed something else since stands by
// the earlier proposal no more. It fails (*Error) if the same person's newest proposal is
// the same, or if nothing says whether the one who has made it is another person.
func (d *Desk) Another(who Operator, matter []payment.OperatorAction, same func(payment.OperatorAction) bool) (first payment.OperatorAction, waits bool, err error) {
	for _, p := range d.newest(matter) {
		if !same(p) {
			continue
		}
		switch d.relate(p, who) {
		case anotherPerson:
			return p, false, nil
		case samePerson:
			err = &Error{Fault: FaultForbidden, Message: "you have said this already: another person has to say the same"}
		case unclear:
			if err == nil && !d.o.People.set() {
				err = &Error{Fault: FaultForbidden, Message: p.Operator + " has said the same, and nothing says whether you are another person: the setting people names the logins of each person"}
			}
		}
	}
	return payment.OperatorAction{}, true, err
}

// newest are those of the proposals about one matter, in their order, that no later one of
// the same person has replaced.
func (d *Desk) newest(matter []payment.OperatorAction) []payment.OperatorAction {
	var standing []payment.OperatorAction
	for i, p := range matter {
		replaced := slices.ContainsFunc(matter[i+1:], func(later payment.OperatorAction) bool {
			return d.relate(p, Operator{Name: later.Operator, Identity: Identity(later.Identity), Login: later.Login}) == samePerson
		})
		if !replaced {
			standing = append(standing, p)
		}
	}
	return standing
}
