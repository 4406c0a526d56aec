//go:build unix

package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/proof/chaos/compare"
	"github.com/countermand/countermand/providers/simulator"
	"github.com/countermand/countermand/schemas"
)

// Of a hundred commands 20 come again, each once or more often, and 3 messages
// are no command.
const (
	repeatPercent    = 20
	malformedPercent = 3
	misspeltEvery    = 100
)

const source = "/shop/orders"

// seeded is a payment to add to a simulated provider.
type seeded struct {
	kind string
	body any
}

// message is one message to publish.
type message struct {
	// at is its place in the time of publishing, from 0 to 1.
	at      float64
	id      string // by which the stream tells a second publish of it
	subject string
	header  map[string][]string
	data    []byte
	// malformed says what is wrong; empty: a command.
	malformed string
	// corrected is what an operator makes of it; nil: nothing can be.
	corrected []byte
}

// plan is everything that is asked for. It is a function of the seed alone.
type plan struct {
	payments []seeded
	commands []compare.Command
	captured map[string]int64
	messages []message
	repeats  int
	// misspelt counts the commands whose message is malformed, to be corrected.
	misspelt int
}

// drawer draws a plan; the fields below plan are of the payment at hand.
type drawer struct {
	random *rand.Rand
	plan   *plan

	kind   simulator.Kind
	native string
	at     float64
	used   map[int64]bool // amounts
	asked  int

	once  bool // no repeats
	apart bool // no operations that wait for each other
	twins bool // one amount for all parts of a payment
	// misspell: one command of a hundred needs an operator who corrects it.
	misspell bool
}

// draw draws n commands with their payments, repeats and malformed messages.
func (d *drawer) draw(n int) (*plan, error) {
	all := kinds()
	for i := 0; len(d.plan.commands) < n; i++ {
		d.payment(all, i)
	}
	if err := d.malformed(n * malformedPercent / 100); err != nil {
		return nil, err
	}
	slices.SortStableFunc(d.plan.messages, byTime)
	return d.plan, nil
}

func byTime(a, b message) int { return cmp.Compare(a.at, b.at) }

func newDrawer(seed uint64) *drawer {
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a run must be repeatable
	return &drawer{random: random, plan: &plan{captured: map[string]int64{}}}
}

// payment draws one payment and its commands.
func (d *drawer) payment(all []simulator.Kind, i int) {
	weights := 0
	for _, k := range all {
		weights += k.Weight
	}
	pick := d.random.IntN(weights)
	for _, k := range all {
		if pick -= k.Weight; pick < 0 {
			d.begin(k, fmt.Sprintf("c-%d", i))
			d.seed(d.play())
			return
		}
	}
}

// seed adds the payment at hand, in a state.
func (d *drawer) seed(s simulator.State) {
	d.plan.payments = append(d.plan.payments, seeded{d.kind.Name, d.kind.Seed(d.native, d.kind.Amount, s)})
}

func (d *drawer) begin(k simulator.Kind, native string) {
	d.kind, d.native, d.at, d.used = k, native, d.random.Float64(), map[int64]bool{}
	d.asked = 0
	d.plan.captured[k.Instance+"/"+native] = k.Amount
}

// newAmount returns one that no other operation of the payment has, so that a movement
// tells whose it is; with twins the one they all have. Four of them never reach what was captured.
func (d *drawer) newAmount() int64 {
	if d.twins && len(d.used) > 0 {
		for amount := range d.used { // there is one
			return amount
		}
	}
	for {
		amount := 100 + d.random.Int64N(d.kind.Amount/4-100)
		if !d.used[amount] {
			d.used[amount] = true
			return amount
		}
	}
}

// wish is one operation to ask for.
type wish struct {
	op      payment.Op
	repeat  string
	amount  int64 // of a refund
	full    bool
	refused bool
	expiry  string
}

func (d *drawer) parts(n int, repeat string) {
	for range n {
		d.ask(wish{op: payment.Refund, repeat: repeat, amount: d.newAmount()})
	}
}

// full asks for everything; every kind refuses a second one.
func (d *drawer) full() {
	d.ask(wish{op: payment.Refund, repeat: "refused", amount: d.kind.Amount, full: true})
}

func (d *drawer) tooMuch(repeat string) {
	d.ask(wish{op: payment.Refund, repeat: repeat, amount: d.kind.Amount + 1 + d.random.Int64N(1000), refused: true})
}

func (d *drawer) expired(repeat string) {
	d.ask(wish{op: payment.Refund, repeat: repeat, amount: d.newAmount(), refused: true, expiry: "2026-01-01T00:00:00Z"})
}

// ask adds one operation, its command and perhaps repeats of that.
func (d *drawer) ask(w wish) {
	parallel := d.kind.Parallel && w.op.GivesBack() && !w.full
	if d.asked++; d.apart && d.asked > 1 && !parallel {
		return
	}
	n := len(d.plan.commands)
	key := fmt.Sprintf("key-%d", n)
	claim := compare.Claim{Provider: d.kind.Instance, Payment: d.native, Operation: string(w.op), Amount: w.amount}
	claims := []compare.Claim{claim}
	if w.op.EndsPayment() { // a gateway may refund instead
		claims = append(claims, compare.Claim{Provider: d.kind.Instance, Payment: d.native, Operation: string(payment.Refund), Amount: d.kind.Amount})
	}
	d.plan.commands = append(d.plan.commands, compare.Command{
		Name:    operationName(d.kind.Instance, d.native, string(w.op), key),
		Payment: d.kind.Instance + "/" + d.native, Repeat: w.repeat, Claims: claims, Refused: w.refused,
	})
	data := d.data(w, key)
	id := fmt.Sprintf("e-%d", n)
	if d.misspell && w.expiry == "" && n >= misspeltEvery*d.plan.misspelt+misspeltEvery/2 {
		d.addMisspelt(id, w, data)
		return
	}
	// Commands of one payment come close together, so that they meet.
	d.add(d.at+d.random.Float64()/100, id, id, w, data)
	for again := 1; !d.once && d.random.IntN(100) < repeatPercent*100/(100+repeatPercent); again++ {
		d.plan.repeats++
		msgID, eventID := fmt.Sprintf("%s-again-%d", id, again), id
		if d.random.IntN(2) == 0 {
			eventID = msgID // a new event for the same operation; else the very same one
		}
		d.add(d.at+d.random.ExpFloat64()/20, msgID, eventID, w, data)
	}
}

// operationName names an operation as results do.
func operationName(provider, native, op, key string) string {
	return provider + "/" + native + "/" + op + "/" + key
}

// data is a command's.
func (d *drawer) data(w wish, key string) map[string]any {
	money := func(value int64) map[string]any { return map[string]any{"value": value, "currency": d.kind.Currency} }
	ids := map[string]any{"orderId": d.native, "capturedAmount": money(d.kind.Amount)}
	if d.kind.ByTransaction {
		ids["transactionId"], ids["orderId"] = d.native, simulator.OrderOf(d.native)
	}
	data := map[string]any{"idempotencyKey": key, "provider": d.kind.Instance, "payment": ids, "reason": "item returned"}
	switch {
	case !w.op.TakesAmount():
	case w.full:
		data["full"] = true
	default:
		data["amount"] = money(w.amount)
	}
	return data
}

// add adds a message, in one of the forms order services use.
func (d *drawer) add(at float64, msgID, eventID string, w wish, data map[string]any) {
	kind := events.CommandSubject(w.op, "")
	m := message{at: min(at, 1), id: source + "/" + msgID, subject: kind}
	if d.random.IntN(2) == 0 {
		m.subject += "." + d.kind.Instance
	}
	if d.random.IntN(5) == 0 { // binary mode
		m.header = map[string][]string{
			"ce-specversion": {"1.0"}, "ce-id": {eventID}, "ce-source": {source}, "ce-type": {kind}, "Content-Type": {"application/json"},
		}
		if w.expiry != "" {
			m.header["ce-expirytime"] = []string{w.expiry}
		}
		m.data = encode(data)
	} else {
		event := map[string]any{"specversion": "1.0", "id": eventID, "source": source, "type": kind, "data": data}
		if w.expiry != "" {
			event["expirytime"] = w.expiry
		}
		m.header = map[string][]string{"Content-Type": {"application/cloudevents+json"}}
		m.data = encode(event)
	}
	d.plan.messages = append(d.plan.messages, m)
}

// addMisspelt adds a command whose key nobody can read, with what it should say.
func (d *drawer) addMisspelt(id string, w wish, data map[string]any) {
	d.add(d.at, id, id, w, data)
	m := &d.plan.messages[len(d.plan.messages)-1]
	m.malformed, m.corrected = "misspelt", m.data
	m.data = bytes.Replace(m.data, []byte(`"idempotencyKey"`), []byte(`"idempotencyKy"`), 1)
	d.plan.misspelt++
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of texts and numbers
	}
	return b
}

// malformed adds messages that the decoder alone refuses.
func (d *drawer) malformed(n int) error {
	list, err := schemas.BadInputs()
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(b schemas.BadInput) bool {
		return b.Expect.By != "decoder" || b.Expect.Kind != schemas.AnswerCommandRejected
	})
	for i := range n {
		in := list[d.random.IntN(len(list))]
		header := map[string][]string{}
		for name, values := range in.Headers {
			header[name] = values
		}
		d.plan.messages = append(d.plan.messages, message{
			at: d.random.Float64(), id: fmt.Sprintf("malformed-%d", i), subject: in.Subject, header: header, data: in.Bytes(), malformed: in.ID,
		})
	}
	return nil
}
