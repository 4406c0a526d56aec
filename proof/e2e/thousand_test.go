package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/openpay/openpaysim"
	"github.com/countermand/countermand/providers/simulator"
	"github.com/countermand/countermand/schemas"
)

// A thousand messages: of a hundred, 30 repeat another one and 5 are no command.
const (
	thousand  = 1000
	repeats   = thousand * 30 / 100
	malformed = thousand * 5 / 100
	wanted    = thousand - repeats - malformed
	// One payment in lostOneIn loses an answer, which makes about 5 of a hundred
	// operations: some payments have several, refused ones are never called.
	lostOneIn = 11
	// One acknowledgement in ackLostOneIn is lost, so that the server delivers
	// the same message again.
	ackLostOneIn = 25
)

// order is an operation an order service wants, and what must come of it.
type order struct {
	op, key string
	data    map[string]any
	// ends lists the states it may end in; moves is how often the provider
	// executes it, where it is known.
	ends  []string
	moves []int
	// amount of the movement; 0 for a cancel.
	amount int64
}

// plan is everything that is published, and what must come of it.
type plan struct {
	random   *rand.Rand
	orders   map[string]order // by operation
	list     []order          // in the order of drawing
	messages []*nats.Msg
	bad      []*nats.Msg
	lost     int
	again    int // repeats
}

// seeded returns randomness whose seed is logged and can be given.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("COUNTERMAND_TEST_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatalf("COUNTERMAND_TEST_SEED: %v", err)
		}
	}
	t.Logf("COUNTERMAND_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// newPlan draws the orders and sets the simulators up for them.
func (w *world) newPlan() *plan {
	w.t.Helper()
	p := &plan{random: seeded(w.t), orders: map[string]order{}}
	kinds := []func(*plan, int) []order{w.partsAtOPay, w.allAtOPay, w.cancelAtOPay, w.refusedAtOPay, w.allAtOpenpay, w.partAtOpenpay}
	for n := 0; len(p.orders) < wanted; n++ {
		for _, o := range kinds[p.random.IntN(len(kinds))](p, n) {
			if len(p.orders) < wanted {
				p.add(o)
			}
		}
	}
	for range repeats {
		p.repeat()
	}
	p.addMalformed(w.t)
	p.random.Shuffle(len(p.messages), func(i, j int) { p.messages[i], p.messages[j] = p.messages[j], p.messages[i] })
	return p
}

func (p *plan) add(o order) {
	o.data["idempotencyKey"] = o.key
	ids, _ := o.data["payment"].(map[string]any)
	native := ids["orderId"]
	if id, ok := ids["transactionId"]; ok {
		native = id
	}
	p.list = append(p.list, o)
	p.orders[fmt.Sprintf("%s %s %s %s", o.data["provider"], native, o.op, o.key)] = o
	p.messages = append(p.messages, command(fmt.Sprintf("e-%d", len(p.messages)), o.op, o.data))
}

// repeat publishes one of the commands again: under a new event id, or the
// very same bytes.
func (p *plan) repeat() {
	p.again++
	i := p.random.IntN(wanted)
	m, o := p.messages[i], p.list[i]
	if p.random.IntN(2) == 0 {
		m = command(fmt.Sprintf("again-%d", p.again), o.op, o.data)
	}
	p.messages = append(p.messages, m)
}

func (p *plan) addMalformed(t *testing.T) {
	t.Helper()
	list, err := schemas.BadInputs()
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; len(p.bad) < malformed; i++ {
		if in := list[i%len(list)]; in.Expect.By == "decoder" {
			p.bad = append(p.bad, &nats.Msg{Subject: in.Subject, Header: in.Headers, Data: in.Bytes()})
		}
	}
	p.messages = append(p.messages, p.bad...)
}

// losing says whether the next operation's answer is lost, and how.
func (p *plan) losing(w *world, base *simulator.Base, op, native string) (simulator.Mode, bool) {
	if p.random.IntN(lostOneIn) > 0 {
		return "", false
	}
	modes := []simulator.Mode{simulator.CutBefore, simulator.CutAfter, simulator.StatusAfter, simulator.GarbageAfter}
	mode := modes[p.random.IntN(len(modes))]
	w.fault(base, simulator.Fault{Operation: op, Payment: native, Mode: mode, Times: 1})
	p.lost++
	return mode, true
}

func (w *world) fault(base *simulator.Base, f simulator.Fault) {
	w.t.Helper()
	if err := base.Fault(f); err != nil {
		w.t.Fatal(err)
	}
}

// opayPayment adds one and returns how commands name it.
func (w *world) opayPayment(n int, status string) (native string, data map[string]any) {
	w.t.Helper()
	native = fmt.Sprintf("order-%d", n)
	err := w.opay.AddPayment(opaysim.Payment{Reference: native, Country: "EG", Amount: 40000, Currency: "EGP", Status: status})
	if err != nil {
		w.t.Fatal(err)
	}
	return native, map[string]any{"orderId": native, "country": "EG", "capturedAmount": egp(40000)}
}

func egp(value int64) map[string]any { return map[string]any{"value": value, "currency": "EGP"} }

// partsAtOPay are up to three partial refunds of one payment, side by side.
func (w *world) partsAtOPay(p *plan, n int) []order {
	native, ids := w.opayPayment(n, "SUCCESS")
	var all []order
	for i := range 1 + p.random.IntN(3) {
		amount := 1 + p.random.Int64N(10000)
		all = append(all, order{
			op: "refund", key: fmt.Sprintf("return-%d", i), amount: amount, ends: []string{"succeeded"}, moves: []int{1},
			data: map[string]any{"provider": "opay-eg", "payment": ids, "amount": egp(amount)},
		})
	}
	p.losing(w, w.opay.Base, "refund", native)
	return all
}

func (w *world) allAtOPay(p *plan, n int) []order {
	native, ids := w.opayPayment(n, "SUCCESS")
	p.losing(w, w.opay.Base, "refund", native)
	return []order{{
		op: "refund", key: "all", amount: 40000, ends: []string{"succeeded"}, moves: []int{1},
		data: map[string]any{"provider": "opay-eg", "payment": ids, "full": true},
	}}
}

// cancelAtOPay cancels an unpaid payment, or one that was paid: that fails.
func (w *world) cancelAtOPay(p *plan, n int) []order {
	status, ends, moves := "INITIAL", "succeeded", 1
	if p.random.IntN(3) == 0 {
		status, ends, moves = "SUCCESS", "failed", 0
	}
	native, ids := w.opayPayment(n, status)
	p.losing(w, w.opay.Base, "cancel", native)
	return []order{{
		op: "cancel", key: "cancel", ends: []string{ends}, moves: []int{moves},
		data: map[string]any{"provider": "opay-eg", "payment": ids},
	}}
}

// refusedAtOPay is a refund that OPay declines, or that this service refuses.
func (w *world) refusedAtOPay(p *plan, n int) []order {
	native, ids := w.opayPayment(n, "SUCCESS")
	o := order{
		op: "refund", key: "too-much", ends: []string{"rejected"}, moves: []int{0},
		data: map[string]any{"provider": "opay-eg", "payment": ids, "amount": egp(40001)},
	}
	if p.random.IntN(2) == 0 {
		w.fault(w.opay.Base, simulator.Fault{Operation: "refund", Payment: native, Mode: simulator.Decline})
		o.key, o.ends, o.data["amount"] = "declined", []string{"failed"}, egp(100)
	}
	return []order{o}
}

func (w *world) openpayPayment(n int) (native string, data map[string]any) {
	w.t.Helper()
	native = fmt.Sprintf("529-%d", n)
	err := w.openpay.AddPayment(openpaysim.Payment{TransactionID: native, ReferenceNo: "ref-" + native, Amount: 12340, Currency: "EUR"})
	if err != nil {
		w.t.Fatal(err)
	}
	return native, map[string]any{"transactionId": native, "orderId": "ref-" + native}
}

func (w *world) allAtOpenpay(p *plan, n int) []order {
	native, ids := w.openpayPayment(n)
	p.losing(w, w.openpay.Base, "refund", native)
	return []order{{
		op: "refund", key: "all", amount: 12340, ends: []string{"succeeded"}, moves: []int{1},
		data: map[string]any{"provider": "openpay-eu", "payment": ids, "full": true},
	}}
}

// partAtOpenpay is a partial refund. Where its answer is lost a person is
// asked: the provider cannot say, and would execute a second one.
func (w *world) partAtOpenpay(p *plan, n int) []order {
	native, ids := w.openpayPayment(n)
	o := order{
		op: "refund", key: "part", amount: 1 + p.random.Int64N(12339), ends: []string{"succeeded"}, moves: []int{1},
	}
	if mode, lost := p.losing(w, w.openpay.Base, "refund", native); lost {
		o.ends = []string{"reviewRequired"}
		if mode == simulator.CutBefore {
			o.moves = []int{0}
		}
	}
	o.data = map[string]any{"provider": "openpay-eu", "payment": ids, "amount": map[string]any{"value": o.amount, "currency": "EUR"}}
	return []order{o}
}

// publishAll publishes the plan and returns the sequence of each message.
func (w *world) publishAll(messages []*nats.Msg) []uint64 {
	w.t.Helper()
	var acks []jetstream.PubAckFuture
	for _, m := range messages {
		ack, err := w.js.PublishMsgAsync(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
		if err != nil {
			w.t.Fatal(err)
		}
		acks = append(acks, ack)
	}
	var sequences []uint64
	for _, ack := range acks {
		select {
		case ok := <-ack.Ok():
			sequences = append(sequences, ok.Sequence)
		case err := <-ack.Err():
			w.t.Fatal(err)
		}
	}
	return sequences
}
