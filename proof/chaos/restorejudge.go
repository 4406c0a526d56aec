//go:build unix

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/internal/program"
	"github.com/countermand/countermand/internal/sleep"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/proof/chaos/compare"
	"github.com/countermand/countermand/providers/simulator"
)

// movingCall is one that could have moved money, and when it arrived.
type movingCall struct {
	kind simulator.Kind
	simulator.Call
}

// unsafe reports whether nothing makes the call repeatable.
func (c movingCall) unsafe() bool {
	if c.Operation != string(payment.Refund) {
		return c.kind.CancelRepeat == simulator.Unsafe
	}
	amount, named := c.kind.AmountOf(c.Body)
	return named && amount != c.kind.Amount && c.kind.PartRepeat == simulator.Unsafe
}

// moving reads all calls that could have moved money.
func (s *simulators) moving(ctx context.Context) ([]movingCall, error) {
	var all []movingCall
	for _, k := range kinds() {
		calls, err := s.calls(ctx, k)
		if err != nil {
			return nil, err
		}
		for _, c := range calls {
			if payment.Op(c.Operation).Known() {
				all = append(all, movingCall{k, c})
			}
		}
	}
	return all, nil
}

// toTheEnd has operators rule on everything that a person must decide, and trusts
// the journal; then everything goes on as if nothing had ever been lost.
func (p *lossPlay) toTheEnd(ctx context.Context) error {
	w := p.world
	if err := p.walk(ctx); err != nil { // also where it takes more than one
		return err
	}
	if !p.row.toTheEnd {
		return nil
	}
	people, err := newOperators(w, p.load.drawer.plan, &p.sent, rand.New(rand.NewPCG(p.seed, 4))) //nolint:gosec // a run must be repeatable
	if err != nil {
		return err
	}
	defer people.nc.Close()
	people.calm()
	err = program.Await(ctx, func() bool {
		people.round(ctx)
		q, err := asked(ctx, func(ctx context.Context) (*desk.Queue, error) {
			return people.someone().client.Queue(ctx, desk.Filter{})
		})
		if err == nil && len(q.Items) == 0 {
			return true
		}
		sleep.For(ctx, ruleEvery)
		return false
	})
	if err != nil {
		return fmt.Errorf("rule on what is in review: %w", err)
	}
	for _, wrong := range people.tally.wrong {
		p.result.note("the desk: %s", wrong)
	}
	trust := []string{"journal", "trust", "--reason", "all settled", "--apply", "--operator", "ann"}
	if p.result.CommandsGivenUp > 0 {
		trust = append(trust, "--without-commands")
	}
	if _, err := w.consumer(ctx, trust...); err != nil {
		return err
	}
	p.result.Trusted = true
	if err := p.everybodyTrusts(ctx); err != nil {
		return err
	}
	last := p.load.batch(freshShare)
	if err := p.load.seed(ctx, w.simulators, last); err != nil {
		return err
	}
	if err := w.publish(ctx, last.messages, 0, &p.sent); err != nil {
		return err
	}
	return p.comeToRest(ctx)
}

// judge compares what was paid and told before and after.
func (p *lossPlay) judge(ctx context.Context) error {
	w, r, plan := p.world, p.result, p.load.drawer.plan
	if err := w.unexpected(); err != nil {
		r.note("%v", err)
	}
	l, _, err := w.ledgers(ctx, plan, &p.sent, newTold(false))
	if err != nil {
		return err
	}
	v := compare.Compare(l)
	r.Operations, r.Ends = len(plan.commands), v.Ends
	r.Violations = slices.DeleteFunc(v.Violations, func(broken compare.Violation) bool { return excused(broken, l.Events) })
	for _, broken := range v.Violations {
		if kind, _, _ := strings.Cut(broken.What, "/"); broken.Kind == compare.MovedTwice {
			r.PaidTwice[kind]++
		}
	}
	r.tell(p.told, l.Events)
	return p.between(ctx)
}

// excused reports whether after a loss it is no violation: a command that this
// service has to refuse was called failed by an operator, whose business it is then;
// or an end was told once more and is the same, since what was lost came back.
func excused(v compare.Violation, all []compare.Event) bool {
	var ends []compare.Event
	for _, e := range all {
		if e.Operation == v.What && e.Terminal() {
			ends = append(ends, e)
		}
	}
	switch v.Kind {
	case compare.WronglyTaken:
		return len(ends) > 0 && ends[0].Type == "failed" && ends[0].Ruled
	case compare.Doubled:
		return !slices.ContainsFunc(ends, func(e compare.Event) bool { return !same(e, ends[0]) })
	default:
		return false
	}
}

// same reports whether two results say the same to whoever reads them.
func same(a, b compare.Event) bool {
	return a.Type == b.Type && a.Effect == b.Effect && a.Moved == b.Moved
}

// between counts the calls that went out although the journal had lost something.
func (p *lossPlay) between(ctx context.Context) error {
	calls, err := p.world.simulators.moving(ctx)
	if err != nil {
		return err
	}
	for _, c := range calls {
		switch {
		case c.Time.Before(p.lostFrom()):
		case c.Time.Before(p.accepted):
			p.result.Calls++
			if c.unsafe() {
				p.result.UnsafeCalls++
			}
		case p.row.held && c.Time.Before(p.resumed):
			p.result.note("a call at %s went out although it was paused", c.kind.Instance)
		}
	}
	if p.row.held && p.result.Calls > 0 {
		p.result.note("%d held operations went out", p.result.Calls)
	}
	return nil
}

// lostFrom is from when no call may go out: one that was let go before arrives a
// moment later.
func (p *lossPlay) lostFrom() time.Time { return p.began.Add(underWay) }

// underWay is how long a call that was let go may take to arrive.
const underWay = 100 * time.Millisecond

// ends are the terminal results that were told, by operation.
func (t *told) ends() map[string]compare.Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	return endsOf(t.events)
}

func endsOf(events []compare.Event) map[string]compare.Event {
	ends := map[string]compare.Event{}
	for _, e := range events {
		if e.Terminal() {
			ends[e.Operation] = e
		}
	}
	return ends
}
