package simulation

import (
	"fmt"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// captured is what each paid payment was paid with, in minor units.
const captured = 1000

// command is one command as an order service publishes it.
type command struct {
	op      payment.Op
	key     payment.Key
	id      payment.ID
	full    bool
	amount  int64
	invalid bool
	data    []byte
	name    operation
}

// operation names one operation in the ledgers.
type operation struct {
	id  payment.ID
	op  payment.Op
	key payment.Key
}

func (o operation) String() string {
	return fmt.Sprintf("%s %s of %s/%s", o.op, o.key, o.id.Provider, o.id.Native)
}

// draw makes the payments and commands of a schedule: one to four commands for
// one or two payments, with keys that repeat and contents that differ.
func (w *world) draw() {
	w.choose.style = style(w.choose.of(3))
	payments := 1 + w.choose.of(2)
	first := w.choose.of(len(w.kinds))
	for i := range payments {
		k := &w.kinds[(first+i)%len(w.kinds)]
		id := payment.ID{Provider: k.name, Native: "p-1"}
		paid := w.choose.of(4) > 0 || !k.traits.Cancel.Supported
		w.provider.enter(id, k, paid)
		w.ids = append(w.ids, id)
	}
	for range 1 + w.choose.of(4) {
		w.commands = append(w.commands, w.drawCommand())
	}
	if w.mode == lossy && w.choose.of(2) == 1 {
		w.drawTwins()
	}
}

// drawTwins adds two refunds of one amount on one payment.
func (w *world) drawTwins() {
	for _, key := range []payment.Key{"a", "b"} {
		c := &command{id: w.ids[0], op: payment.Refund, key: key, amount: 400}
		c.name = operation{id: c.id, op: c.op, key: c.key}
		c.encode(w.provider.accounts[c.id].kind)
		w.commands = append(w.commands, c)
	}
}

func (w *world) drawCommand() *command {
	id := w.ids[w.choose.of(len(w.ids))]
	account := w.provider.accounts[id]
	shape := w.choose.of(16)
	c := &command{id: id, op: payment.Refund, key: payment.Key([]string{"a", "b", "c"}[w.choose.of(3)])}
	switch {
	case account.captured == 0 && shape < 12, account.captured > 0 && shape == 12:
		c.op = payment.Cancel
	case shape%3 == 0:
		c.full = true
	case shape%3 == 1:
		c.amount = 400
	default:
		c.amount = 1000
	}
	c.invalid = shape == 15
	c.name = operation{id: id, op: c.op, key: c.key}
	c.encode(account.kind)
	return c
}

// encode writes the command's data.
func (c *command) encode(k *kind) {
	which := fmt.Sprintf(`"orderId":%q`, c.id.Native)
	if k.traits.Identity == payment.IdentityTransaction {
		which = fmt.Sprintf(`"transactionId":%q,"orderId":"o-1"`, c.id.Native)
	}
	what := ""
	switch {
	case !c.op.TakesAmount():
	case c.full:
		what = `,"full":true`
	default:
		what = fmt.Sprintf(`,"amount":{"value":%d,"currency":%q}`, c.amount, k.currency)
	}
	if c.invalid {
		what += `,"ammount":1`
	}
	c.data = fmt.Appendf(nil, `{"idempotencyKey":%q,"provider":%q,"payment":{%s,"country":"EG","currency":%q,"capturedAmount":{"value":%d,"currency":%q}}%s}`,
		c.key, k.name, which, k.currency, captured, k.currency, what)
}

// of reports whether the command is one of the operation, and not one that
// uses its key for something else.
func (c *command) of(o payment.Operation) bool {
	return !c.invalid && c.op == o.Op && c.key.Hash() == o.KeyHash && c.full == o.Full &&
		(c.full || !c.op.TakesAmount() || o.Amount != nil && o.Amount.Value == c.amount)
}

// message is the command's event in structured mode.
func (c *command) message(sequence uint64) events.Message {
	subject := events.CommandSubject(c.op, "")
	body := fmt.Appendf(nil, `{"specversion":"1.0","id":"e-%d","source":"/shop","type":%q,"data":%s}`, sequence, subject, c.data)
	return events.Message{Subject: subject, Data: body}
}
