package handlers_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
)

// published is what the stream of commands holds.
type published struct {
	messages map[uint64]events.Message
	err      error
	asked    int
}

func (p *published) Original(_ context.Context, sequence uint64) (events.Message, bool, error) {
	p.asked++
	m, found := p.messages[sequence]
	return m, found, p.err
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
	other := events.Message{Subject: "payment.cancel.requested", Data: []byte("other bytes")}
	away := errors.New("no leader")
	for name, c := range map[string]struct {
		holds func(sent events.Message) *published
		copy  bool // the timer's copy is kept
		again int  // how often the timer is given back first
	}{
		"it is there":               {func(m events.Message) *published { return &published{messages: map[uint64]events.Message{1: m}} }, false, 0},
		"it is gone":                {func(events.Message) *published { return &published{} }, true, 0},
		"the stream is another one": {func(events.Message) *published { return &published{messages: map[uint64]events.Message{1: other}} }, true, 0},
		"nobody may read it":        {func(events.Message) *published { return &published{err: away} }, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newSetup(t)
			d, sent := b.unknownProvider()
			holds := c.holds(sent)
			b.originals = holds
			b.handler = b.newHandler(b.journal, b.instances)
			b.deliver(d)
			var last handlers.Delivery
			for again := 0; len(b.quarantine.kept) == 0; {
				var ok bool
				if last, ok = b.next(); !ok {
					t.Fatal("there is no timer")
				}
				for out := b.deliver(last); out.Kind == handlers.Redeliver; out = b.deliver(last) {
					if again++; again > c.again {
						t.Fatalf("given back %d times", again)
					}
					last.Redelivered = true
				}
			}
			want := handlers.Original{Message: sent}
			if c.copy {
				want.Message = last.Message
				want.Message.Header = last.Header
			}
			sum := sha256.Sum256(sent.Data)
			hash := hex.EncodeToString(sum[:])
			want.Rejection = payment.Rejection{
				Token: events.RejectionTokenOf(1, hash), Code: payment.CodeUnknownProvider, Size: len(sent.Data), SHA256: hash,
				OriginSequence: 1, OriginSubject: want.Message.Subject, CommandID: "e-1",
				Faults: []payment.Fault{{Pointer: "/provider", Rule: "unknown_provider"}},
			}
			if diff := cmp.Diff([]handlers.Original{want}, b.quarantine.kept); diff != "" {
				t.Errorf("(-want +kept):\n%s", diff)
			}
			if holds.asked != 1+c.again {
				t.Errorf("the stream was asked %d times", holds.asked)
			}
		})
	}
}
