package handlers_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
)

// published is what the stream of commands holds.
type published struct {
	commands map[uint64]handlers.Published
	err      error
	asked    int
}

func (p *published) Original(_ context.Context, sequence uint64) (handlers.Published, bool, error) {
	p.asked++
	c, found := p.commands[sequence]
	return c, found, p.err
}

// holding is a stream with one command in it, as it came.
func holding(d handlers.Delivery) *published {
	m := d.Message
	m.Header = d.Header
	return &published{commands: map[uint64]handlers.Published{d.OriginSequence: {Message: m, At: d.OriginTime}}}
}

// unknownProvider is a command that nobody can carry out, as its publisher sent it:
// with headers of ours among its own, and in a form of its own.
func (b *setup) unknownProvider() (handlers.Delivery, events.Message) {
	d := b.command(payment.Cancel, `{"idempotencyKey":"k", "provider":"nobody",  "payment":{"orderId":"1"}}`)
	d.Message.Subject = "payment.cancel.requested.nobody"
	sent := d.Message
	sent.Header = map[string][]string{"X-Shop": {"a", "b"}, "Nats-Msg-Id": {"/shop/1"}, "Countermand-Due": {"never"}}
	d.Header = sent.Header
	return d, sent
}

func TestACommandThatIsRejectedAfterItWaitedIsQuarantinedAsItWasPublished(t *testing.T) {
	t.Parallel()
	b := newSetup(t)
	d, sent := b.unknownProvider()
	b.originals = holding(d)
	b.handler = b.newHandler(b.journal, b.instances)
	b.deliver(d)
	for len(b.quarantine.kept) == 0 {
		timer, ok := b.next()
		if !ok {
			t.Fatal("there is no timer")
		}
		b.deliver(timer)
	}
	sum := sha256.Sum256(sent.Data)
	hash := hex.EncodeToString(sum[:])
	want := handlers.Original{Message: sent, Rejection: payment.Rejection{
		Token: events.RejectionTokenOf(1, hash), Code: payment.CodeUnknownProvider, Size: len(sent.Data), SHA256: hash,
		OriginSequence: 1, OriginSubject: sent.Subject, CommandID: "e-1",
		Faults: []payment.Fault{{Pointer: "/provider", Rule: "unknown_provider"}},
	}}
	if diff := cmp.Diff([]handlers.Original{want}, b.quarantine.kept); diff != "" {
		t.Errorf("(-want +kept):\n%s", diff)
	}
}
