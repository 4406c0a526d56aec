//go:build unix

package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/proof/chaos/compare"
	"github.com/countermand/countermand/providers/simulator"
)

// workload draws the commands of one row, batch by batch. Each batch has operations
// of every kind and of every end, each on a payment of its own.
type workload struct {
	drawer *drawer
	each   int
	drawn  int // payments so far
	seeded int // of them the simulators know
}

// batch is a part of the commands.
type batch struct {
	messages []message
	commands []compare.Command
	declined []simulatedPayment
}

// simulatedPayment names a payment of a simulated provider.
type simulatedPayment struct{ kind, native string }

func newWorkload(seed uint64, each int) *workload {
	d := newDrawer(seed)
	d.once = true
	return &workload{drawer: d, each: max(1, each)}
}

// batch draws a part, a share of the full number of operations: partial refunds, and
// a quarter as many full ones, refunds that this service rejects and refunds that
// the provider declines.
func (l *workload) batch(share float64) batch {
	d := l.drawer
	messages, commands := len(d.plan.messages), len(d.plan.commands)
	n := max(1, int(share*float64(l.each)+0.5))
	var b batch
	for _, k := range kinds() {
		part := string(k.PartRepeat)
		l.payments(k, n, func() { d.parts(1, part) })
		l.payments(k, (n+3)/4, d.full)
		l.payments(k, (n+3)/4, func() { d.tooMuch(part) })
		l.payments(k, (n+3)/4, func() {
			d.parts(1, part)
			b.declined = append(b.declined, simulatedPayment{k.Name, d.native})
		})
	}
	b.messages, b.commands = slices.Clone(d.plan.messages[messages:]), d.plan.commands[commands:]
	slices.SortStableFunc(b.messages, byTime)
	return b
}

// payments draws n payments of a kind and what is asked for of each.
func (l *workload) payments(k simulator.Kind, n int, ask func()) {
	for range n {
		l.drawer.begin(k, fmt.Sprintf("c-%d", l.drawn))
		l.drawn++
		ask()
		l.drawer.seed(simulator.Paid)
	}
}

// seed tells the simulators of what was drawn since the last time, and of what they
// are to decline.
func (l *workload) seed(ctx context.Context, s *simulators, b batch) error {
	payments := l.drawer.plan.payments[l.seeded:]
	l.seeded += len(payments)
	if err := s.seed(ctx, payments); err != nil {
		return err
	}
	for _, p := range b.declined {
		f := simulator.Fault{Operation: string(payment.Refund), Payment: p.native, Mode: simulator.Decline, Times: 1}
		if err := s.fault(ctx, p.kind, f); err != nil {
			return err
		}
	}
	return nil
}

// again are the messages of batches as order services send them a second time.
func again(word string, batches ...batch) []message {
	var all []message
	for _, b := range batches {
		for _, m := range b.messages {
			m.id += "-" + word
			all = append(all, m)
		}
	}
	return all
}
