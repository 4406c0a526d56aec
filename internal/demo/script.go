//go:build !production

package demo

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/simulators"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/bento/bentosim"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/simulator"
)

// The demo's provider instances.
const (
	opayEG    = "opay-eg"
	opayNG    = "opay-ng" // its address does not answer at first
	openpayEU = "openpay-eu"
	openpayUK = "openpay-uk" // has the status call that Openpay does not document
	tranzzoUA = "tranzzo-ua"
	bentoUK   = "bento-uk"
)

// source is the CloudEvents source of the demo's order service.
const source = "/shop/orders"

// story is one thing that happens, and what must come of it.
type story struct {
	title, tells string
	messages     []message
	// operation is what the story is about; its zero value: a message only.
	operation operation
	// ends is the status the operation ends in, or "reviewRequired".
	ends string
	code payment.Code // of that end, where it has one
	// rejected is the code of the payment.command.rejected that answers one of
	// the messages, where one is expected.
	rejected payment.Code
	// moved is how often money moves at the provider.
	moved int
	// unsafe: the provider cannot tell what became of a call, and would execute
	// a second one.
	unsafe bool
}

// operation names an operation as results do.
type operation struct {
	provider, payment string
	op                payment.Op
	key               string
}

func (o operation) id() string {
	return o.provider + "/" + o.payment + "/" + string(o.op) + "/" + o.key
}

// message is one command on its way in.
type message struct {
	id      string // the event's id; empty: not a CloudEvent
	subject string
	body    []byte
	// loseAck: the first acknowledgement is lost, so that the server delivers
	// the very same message again.
	loseAck bool
}

// fields are a command's data.
type fields map[string]any

func (o operation) command(id string, data fields) message {
	data["idempotencyKey"], data["provider"] = o.key, o.provider
	ids := fields{}
	for key, value := range kindOf(o.provider).Identifiers(o.payment) {
		ids[key] = value
	}
	if captured, ok := data["captured"]; ok {
		ids["capturedAmount"] = captured
		delete(data, "captured")
	}
	data["payment"] = ids
	subject := events.CommandSubject(o.op, "")
	body, err := json.MarshalIndent(fields{
		"specversion": "1.0", "id": id, "source": source, "type": subject, "data": data,
	}, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("demo command %s: %v", id, err)) // a literal of this package
	}
	return message{id: id, subject: subject, body: body}
}

func uah(minor int) fields { return fields{"value": minor, "currency": "UAH"} }
func egp(minor int) fields { return fields{"value": minor, "currency": "EGP"} }
func eur(minor int) fields { return fields{"value": minor, "currency": "EUR"} }

// refund and cancel name operations.
func refund(provider, p, key string) operation { return operation{provider, p, payment.Refund, key} }

func cancel(provider, p, key string) operation { return operation{provider, p, payment.Cancel, key} }

// script is every story, in the order they are told. All run at once.
func script() []story {
	told := slices.Concat(plainStories(), hardStories(), twistedStories(), refusedStories())
	return append(told, otherStories(told)...)
}

// otherStories tell a refund at each kind that no other story is about.
func otherStories(told []story) []story {
	var all []story
	for _, k := range simulators.Kinds() {
		if slices.ContainsFunc(told, func(s story) bool { return s.operation.provider == k.Instance }) {
			continue
		}
		o := refund(k.Instance, k.Names()[0], "order-5000-all-"+k.Name)
		all = append(all, story{
			title: "A full refund at " + k.Name, tells: "The provider gives back what was paid.",
			messages: []message{o.command("demo-50-"+k.Name, fields{"full": true})}, operation: o, ends: "succeeded", moved: 1,
		})
	}
	return all
}

// kindOf is the kind of one of the demo's instances.
func kindOf(instance string) simulator.Kind {
	switch instance {
	case opayNG:
		instance = opayEG
	case openpayUK:
		instance = openpayEU // payments are named alike
	}
	all := simulators.Kinds()
	return all[slices.IndexFunc(all, func(k simulator.Kind) bool { return k.Instance == instance })] // the script names no other
}

func plainStories() []story {
	a := refund(opayEG, "1001000", "order-1001-return-1")
	b := refund(opayEG, "1001001", "order-1002-all")
	c := cancel(opayEG, "1001002", "order-1003-cancel")
	d := refund(openpayEU, "529-1438673740-1", "order-2001-all")
	e := refund(openpayEU, "529-1438673740-2", "order-2002-return-1")
	f := refund(opayEG, "1001003", "order-1004-return-1")
	return []story{
		{
			title: "A partial refund, and the same command again under a new event id",
			tells: "400 of 40000 are refunded. The order service sends the command a second time: the same key and content name the same operation, so nothing happens.",
			messages: []message{
				a.command("demo-01", fields{"amount": egp(400), "captured": egp(40000), "reason": "item returned"}),
				a.command("demo-01-again", fields{"amount": egp(400), "captured": egp(40000), "reason": "item returned"}),
			},
			operation: a, ends: "succeeded", moved: 1,
		},
		{
			title:    "A full refund at OPay",
			tells:    "OPay wants an amount even for a full refund. The command names none, so the payment is read first.",
			messages: []message{b.command("demo-02", fields{"full": true})}, operation: b, ends: "succeeded", moved: 1,
		},
		{
			title:    "A cancel of an unpaid payment",
			tells:    "OPay closes it; nobody can pay it any more. No money moves.",
			messages: []message{c.command("demo-03", fields{})}, operation: c, ends: "succeeded",
		},
		{
			title:    "A full refund at Openpay",
			tells:    "Amount and currency are left out, as Openpay demands for full refunds.",
			messages: []message{d.command("demo-04", fields{"full": true})}, operation: d, ends: "succeeded", moved: 1,
		},
		{
			title:    "A partial refund at Openpay",
			tells:    "The account has partial refunds switched on.",
			messages: []message{e.command("demo-05", fields{"amount": eur(1550)})}, operation: e, ends: "succeeded", moved: 1, unsafe: true,
		},
		{
			title:     "The same message delivered twice",
			tells:     "The acknowledgement of a finished command is lost, so the server delivers the message again. The journal already holds its result.",
			messages:  []message{lost(f.command("demo-06", fields{"amount": egp(700)}))},
			operation: f, ends: "succeeded", moved: 1,
		},
	}
}

func lost(m message) message {
	m.loseAck = true
	return m
}

func hardStories() []story {
	a := refund(opayEG, "1001010", "order-1010-return-1")
	b := refund(openpayEU, "529-1438673740-10", "order-2010-all")
	c := refund(opayEG, "1001011", "order-1011-return-1")
	d := refund(opayEG, "1001012", "order-1012-return-1")
	e := refund(opayNG, "1001013", "order-1013-return-1")
	f := refund(openpayEU, "529-1438673740-11", "order-2011-return-1")
	g := refund(openpayUK, "529-1438673740-12", "order-2012-return-1")
	return []story{
		{
			title:    "OPay executes a refund, and its answer is lost",
			tells:    "The connection breaks after OPay has moved the money. A lost answer is not a no: OPay is asked by our reference, and says what happened. Nothing is sent twice.",
			messages: []message{a.command("demo-10", fields{"amount": egp(1000)})}, operation: a, ends: "succeeded", moved: 1,
		},
		{
			title:    "Openpay executes a full refund, and its answer is lost",
			tells:    "Openpay documents no call to ask by. So the refund is sent once more: Openpay refuses it as already refunded, which says that the first one was executed. The result says that this is inferred.",
			messages: []message{b.command("demo-11", fields{"full": true})}, operation: b, ends: "succeeded", code: payment.CodeAlreadyRefunded, moved: 1,
		},
		{
			title:    "The connection breaks before OPay has executed anything",
			tells:    "From here it looks just like the two before. OPay is asked twice and knows nothing; then the refund is repeated once under the same reference, which OPay would refuse if the first had arrived after all.",
			messages: []message{c.command("demo-12", fields{"amount": egp(1100)})}, operation: c, ends: "succeeded", moved: 1,
		},
		{
			title:    "OPay accepts a refund and takes its time",
			tells:    "The answer is PENDING; the provider is asked until it has decided.",
			messages: []message{d.command("demo-13", fields{"amount": egp(1200)})}, operation: d, ends: "succeeded", moved: 1,
		},
		{
			title:    "A provider that is down, and comes back",
			tells:    "No connection can be had, so certainly nothing was executed: the command waits and is tried again until the outage has healed.",
			messages: []message{e.command("demo-14", fields{"amount": egp(1300)})}, operation: e, ends: "succeeded", moved: 1,
		},
		{
			title:    "Openpay executes a partial refund, and its answer is lost",
			tells:    "Nobody can be asked whether it was executed, and a repeat would pay a second time. So it is not repeated: a person is asked, with everything that is known.",
			messages: []message{f.command("demo-15", fields{"amount": eur(2500)})}, operation: f, ends: "reviewRequired", moved: 1, unsafe: true,
		},
		{
			title:    "The same at an account with a status call",
			tells:    "Openpay's sister brands have a call that tells what was refunded; statusPath turns it on. The payment was seen unrefunded before the call, and exactly this amount is refunded now: no person is needed.",
			messages: []message{g.command("demo-16", fields{"amount": eur(2600)})}, operation: g, ends: "succeeded", moved: 1, unsafe: true,
		},
	}
}

// twistedStories are about answers that do not mean what they seem to say.
func twistedStories() []story {
	a := cancel(tranzzoUA, "ua-1001", "order-3001-cancel")
	b := refund(tranzzoUA, "ua-1002", "order-3002-return-1")
	c := refund(tranzzoUA, "ua-1003", "order-3003-return-1")
	d := cancel(bentoUK, "tx-1001", "order-4001-cancel")
	e := cancel(bentoUK, "tx-1002", "order-4002-cancel")
	f := refund(bentoUK, "tx-1003", "order-4003-all")
	return []story{
		{
			title:    "A Tranzzo cancel whose success is spelled failure",
			tells:    "Tranzzo answers a cancel that worked with status failure and code 6007.",
			messages: []message{a.command("demo-30", fields{})}, operation: a, ends: "succeeded",
		},
		{
			title:    "Tranzzo executes a partial refund, and its answer is lost",
			tells:    "The listing of the order is compared with the one from before the call: exactly one new refund of this amount.",
			messages: []message{b.command("demo-31", fields{"amount": uah(1500)})}, operation: b, ends: "succeeded", moved: 1, unsafe: true,
		},
		{
			title:    "A Tranzzo partial refund is lost before it is executed",
			tells:    "The listing shows nothing new, which proves nothing: the call may still run. A repeat could pay twice, so a person is asked.",
			messages: []message{c.command("demo-32", fields{"amount": uah(1600)})}, operation: c, ends: "reviewRequired",
		},
		{
			title:    "A Bento cancel that meets a captured payment",
			tells:    "Bento's one call would refund the customer in full. The state is read first and the cancel refused: a refund has to be asked for.",
			messages: []message{d.command("demo-33", fields{})}, operation: d, ends: "rejected", code: payment.CodePaymentAlreadyPaid,
		},
		{
			title:    "A Bento cancel that races a capture",
			tells:    "The payment is captured between the look and the call, so Bento refunds instead of voiding. The result says what happened, not what was asked.",
			messages: []message{e.command("demo-34", fields{})}, operation: e, ends: "succeeded", moved: 1,
		},
		{
			title:    "Bento executes a refund, and its answer is lost",
			tells:    "The transaction is read and shows the refund. Bento executes a refund once only.",
			messages: []message{f.command("demo-35", fields{"full": true})}, operation: f, ends: "succeeded", moved: 1,
		},
	}
}

func refusedStories() []story {
	a := refund(opayEG, "1001020", "order-1020-return-1")
	b := refund(opayEG, "1001021", "order-1021-return-1")
	c := cancel(openpayEU, "529-1438673740-20", "order-2020-cancel")
	return []story{
		{
			title: "One idempotency key with two amounts",
			tells: "Under one key only one content can be meant: whichever is taken in hand second is refused, and the other is untouched.",
			messages: []message{
				a.command("demo-20", fields{"amount": egp(500)}),
				a.command("demo-20-other", fields{"amount": egp(900)}),
			},
			operation: a, ends: "succeeded", rejected: payment.CodeIdempotencyKeyReused, moved: 1,
		},
		{
			title:     "A refund beyond the captured amount",
			tells:     "The provider is never told.",
			messages:  []message{b.command("demo-21", fields{"amount": egp(40001), "captured": egp(40000)})},
			operation: b, ends: "rejected", code: payment.CodeAmountExceedsCaptured,
		},
		{
			title:     "A cancel at a provider that cannot cancel",
			tells:     "Openpay has no cancel; the order service has to send a refund.",
			messages:  []message{c.command("demo-22", fields{})},
			operation: c, ends: "rejected", code: payment.CodeUnsupportedOperation,
		},
		{
			title:    "A message that is no command",
			tells:    "It is answered with everything that is wrong with it, and its bytes are kept for the operator.",
			messages: []message{{subject: events.CommandSubject(payment.Refund, ""), body: []byte(`{"please": "refund order 1001", "amount": 400`)}},
			rejected: payment.CodeInvalidCommand,
		},
	}
}

// seed puts the script's payments and faults into fresh simulators. A payment
// that is cancelled is in the first state in which its kind can do that; the
// exception is paid, so that its cancel is refused.
func (w *world) seed() error {
	done := map[string]bool{}
	for _, s := range script() {
		o := s.operation
		if o.provider == "" || done[o.provider+"/"+o.payment] {
			continue
		}
		done[o.provider+"/"+o.payment] = true
		m, state := w.member(o.provider), simulator.Paid
		if o.op.EndsPayment() && s.ends == "succeeded" {
			state = m.kind.Cancels[0]
		}
		if err := m.sim.Seed(m.kind.Seed(o.payment, m.kind.Amount, state)); err != nil {
			return err
		}
	}
	for _, m := range w.sims { // for whoever goes on by hand
		if err := simulators.Seed(m.kind, m.sim, func(name string) bool { return done[m.instance+"/"+name] }); err != nil {
			return err
		}
	}
	for instance, faults := range plannedFaults() {
		if err := w.member(instance).sim.Fault(faults...); err != nil {
			return err
		}
	}
	return nil
}

// plannedFaults are what goes wrong at each instance, once each.
func plannedFaults() map[string][]simulator.Fault {
	once := func(operation, payment string, mode simulator.Mode) simulator.Fault {
		return simulator.Fault{Operation: operation, Payment: payment, Mode: mode, Times: 1}
	}
	return map[string][]simulator.Fault{
		opayEG: {
			once("refund", "1001010", simulator.CutAfter), once("refund", "1001011", simulator.CutBefore),
			once("refund", "1001012", opaysim.StayPending),
		},
		openpayEU: {
			once("refund", "529-1438673740-10", simulator.CutAfter), once("refund", "529-1438673740-11", simulator.CutAfter),
		},
		openpayUK: {once("refund", "529-1438673740-12", simulator.CutAfter)},
		tranzzoUA: {once("refund", "ua-1002", simulator.CutAfter), once("refund", "ua-1003", simulator.CutBefore)},
		bentoUK:   {once("cancel", "tx-1002", bentosim.CaptureFirst), once("refund", "tx-1003", simulator.CutAfter)},
	}
}
