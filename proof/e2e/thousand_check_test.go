package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/providers/simulator"
)

// ackLoser stands for acknowledgements lost on their way to the server.
type ackLoser struct {
	broker.Handler
	mu    sync.Mutex
	acks  int // of messages delivered for the first time
	total int // of them lost
}

// Handle handles the message, and forgets now and then that it did.
func (l *ackLoser) Handle(ctx context.Context, d handlers.Delivery) handlers.Disposition {
	out := l.Handler.Handle(ctx, d)
	l.mu.Lock()
	defer l.mu.Unlock()
	if (out.Kind == handlers.Ack || out.Kind == handlers.Terminate) && !d.Redelivered {
		if l.acks++; l.acks%ackLostOneIn == 0 {
			l.total++
			return handlers.Disposition{Kind: handlers.Redeliver}
		}
	}
	return out
}

func TestAThousandCommandsMoveMoneyOncePerOperation(t *testing.T) {
	t.Parallel()
	w := setup(t)
	p := w.newPlan()
	results := w.follow()
	var losers [2]*ackLoser
	for i := range losers {
		losers[i] = &ackLoser{}
		stop := w.serve(func(h broker.Handler) broker.Handler { losers[i].Handler = h; return losers[i] })
		t.Cleanup(stop)
	}
	began := time.Now()
	sequences := w.publishAll(p.messages)
	published := time.Since(began)
	events := results.await(p.missing)
	if p.missing(events) == "" {
		w.quiet()
		w.timersLeft(p)
		events, _ = results.all() // repeats added nothing
	}
	w.checkRejections(p, sequences, events)
	sum := w.checkOrders(p, events)
	t.Logf("%d messages in %s: %d operations, %d repeats, %d malformed, %d answers lost, %d acknowledgements lost; "+
		"%d events, %d terminal results, %d in review, %d movements by the simulators' ledgers, %d double; all told after %s",
		len(p.messages), published.Round(time.Millisecond), len(p.orders), p.again, len(p.bad), p.lost, losers[0].total+losers[1].total,
		len(events), sum.terminal, sum.review, sum.movements, sum.doubled, time.Since(began).Round(time.Millisecond))
}

// missing says what the events do not tell of yet.
func (p *plan) missing(events []event) string {
	last := map[string]event{}
	rejections := 0
	for _, e := range events {
		if e.rejection() {
			rejections++
			continue
		}
		last[e.Data.operation()] = e
	}
	open, first := 0, ""
	for id := range p.orders {
		if e, told := last[id]; !told || !e.settled() {
			open++
			first = fmt.Sprintf("%s (%s, %s)", id, e.Type, e.Data.Code)
		}
	}
	if open == 0 && rejections >= len(p.bad) {
		return ""
	}
	return fmt.Sprintf("%d of %d rejections, %d of %d operations, such as %s", len(p.bad)-rejections, len(p.bad), open, len(p.orders), first)
}

// timersLeft waits until only operations in review have a timer: every open
// operation has one, and no ended one keeps it.
func (w *world) timersLeft(p *plan) {
	w.t.Helper()
	review := 0
	for _, o := range p.orders {
		if slices.Contains(o.ends, "reviewRequired") {
			review++
		}
	}
	s, err := w.js.Stream(w.t.Context(), w.cfg.Streams.Due)
	if err != nil {
		w.t.Fatal(err)
	}
	w.poll(fmt.Sprintf("there are not just %d timers, of the operations in review", review), func() bool {
		info, err := s.Info(w.t.Context(), jetstream.WithSubjectFilter("payment.>"))
		return err == nil && len(info.State.Subjects) == review && info.State.Msgs == uint64(review)
	})
}

// checkRejections: every malformed message is answered once, and kept.
func (w *world) checkRejections(p *plan, sequences []uint64, events []event) {
	w.t.Helper()
	answers := map[uint64][]event{}
	total := 0
	for _, e := range events {
		if e.rejection() {
			answers[e.Data.OriginSequence] = append(answers[e.Data.OriginSequence], e)
			total++
		}
	}
	if total != len(p.bad) {
		w.t.Errorf("%d rejections of %d malformed messages", total, len(p.bad))
	}
	for i, m := range p.messages {
		if !slices.Contains(p.bad, m) {
			continue
		}
		got := answers[sequences[i]]
		if len(got) != 1 || got[0].Data.Code != "invalid_command" || len(got[0].Data.Faults) == 0 {
			w.t.Errorf("message %d is malformed and was answered %d times: %+v", sequences[i], len(got), got)
			continue
		}
		if k := w.quarantined(got[0]); !bytes.Equal(k.Data, m.Data) || k.Sequence != sequences[i] || k.Subject != m.Subject {
			w.t.Errorf("quarantine holds %q of message %d on %s, want %q", k.Data, k.Sequence, k.Subject, m.Data)
		}
	}
}

// sum is what the check counted.
type sum struct{ terminal, review, movements, doubled int }

// checkOrders holds events and ledgers against the plan, one operation at a time.
func (w *world) checkOrders(p *plan, events []event) sum {
	w.t.Helper()
	var s sum
	told := map[string][]event{}
	for _, e := range events {
		if !e.rejection() {
			told[e.Data.operation()] = append(told[e.Data.operation()], e)
		}
	}
	moved := w.movements()
	for id, o := range p.orders {
		history := told[id]
		delete(told, id)
		if len(history) == 0 {
			w.t.Errorf("%s: no event", id)
			continue
		}
		last := history[len(history)-1]
		terminal := 0
		for _, e := range history {
			if e.terminal() {
				terminal++
			}
		}
		key := movementOf(last.Data)
		found := moved[key]
		delete(moved, key)
		s.terminal += terminal
		s.movements += len(found)
		if len(found) > 1 {
			s.doubled++
		}
		if last.Data.Status == "reviewRequired" {
			s.review++
			terminal++ // a person's place
		}
		if terminal != 1 || !slices.Contains(o.ends, last.Data.Status) {
			w.t.Errorf("%s: %d ends, the last is %s (%s), want %v", id, terminal, last.Type, last.Data.Code, o.ends)
		}
		if problem := o.disagree(last.Data, found); problem != "" {
			w.t.Errorf("%s (%s): %s", id, last.Type, problem)
		}
	}
	for id := range told {
		w.t.Errorf("%s: nobody asked for it", id)
	}
	for id, found := range moved {
		w.t.Errorf("%s: executed %d times without an event", id, len(found))
	}
	return s
}

// disagree says how result and ledger differ from the order or each other.
func (o order) disagree(d data, found []simulator.Movement) string {
	if !slices.Contains(o.moves, len(found)) {
		return fmt.Sprintf("executed %d times at the provider, want %v", len(found), o.moves)
	}
	for _, m := range found {
		if m.Operation != o.op || m.Amount != o.amount {
			return fmt.Sprintf("the provider's ledger says %s of %d, want %s of %d", m.Operation, m.Amount, o.op, o.amount)
		}
		if d.Status == "succeeded" && o.op == "refund" && (d.Moved == nil || d.Moved.Value != m.Amount || d.Moved.Currency != m.Currency) {
			return fmt.Sprintf("the result says %+v moved, the provider's ledger %d %s", d.Moved, m.Amount, m.Currency)
		}
	}
	return ""
}

// movements are the simulators' ledgers by what names an operation there: our
// reference for refunds at OPay, else the payment.
func (w *world) movements() map[string][]simulator.Movement {
	all := map[string][]simulator.Movement{}
	for _, m := range w.opay.Ledger().Movements("") {
		key := "opay " + m.Payment + " " + m.Reference
		all[key] = append(all[key], m)
	}
	for _, m := range w.openpay.Ledger().Movements("") {
		all["openpay "+m.Payment] = append(all["openpay "+m.Payment], m)
	}
	return all
}

// movementOf names an operation's movement as movements does.
func movementOf(d data) string {
	switch {
	case d.Provider == "openpay-eu":
		return "openpay " + d.Payment.TransactionID
	case d.Operation == "cancel":
		return "opay " + d.Payment.OrderID + " "
	default:
		return "opay " + d.Payment.OrderID + " " + d.ClientReference
	}
}
