package handlers_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
)

// waits is a command that the stream holds, and the timer of it that waits for its
// payment's turn: the journal knows nothing of the operation.
func (b *setup) waits(s subject) (timer handlers.Delivery, stream *published) {
	d := b.command(s.op, s.data)
	stream = holding(d)
	b.originals = stream
	b.handler = b.newHandler(b.journal, b.instances)
	d.Message.Subject = events.DueSubject(s.op)
	d.Timer, d.Deliveries = true, 2
	return d, stream
}

// replaced is a timer with other text in its event.
func replaced(old, with string) func(*handlers.Delivery) {
	return func(d *handlers.Delivery) {
		data := bytes.Replace(d.Message.Data, []byte(old), []byte(with), 1)
		if bytes.Equal(data, d.Message.Data) {
			panic("nothing is replaced")
		}
		d.Message.Data = data
	}
}

// Whoever can store a timer names a command that was published, and asks for something else.
func TestATimerThatIsNotLikeItsCommandMovesNoMoney(t *testing.T) {
	t.Parallel()
	const junk = 99 // a message that was rejected
	amount := replaced(`"amount":{"value":`, `"amount":{"value":1`)
	for name, c := range map[string]struct {
		forge   func(*handlers.Delivery)
		carried bool // the operation is carried out before
	}{
		"another amount":          {amount, false},
		"another key":             {replaced(`"idempotencyKey":"`, `"idempotencyKey":"x`), false},
		"another payment":         {replaced(`"orderId":"`, `"orderId":"2`), false},
		"an amount captured":      {replaced(`"payment":{`, `"payment":{"capturedAmount":{"value":999999,"currency":"EGP"},`), false},
		"another sender":          {replaced(`"id":"`, `"id":"x`), false},
		"another expiry":          {replaced(`"source":`, `"expirytime":"2999-01-01T00:00:00Z","source":`), false},
		"a provider not there":    {replaced(`"provider":"`, `"provider":"x`), false},
		"a later time":            {func(d *handlers.Delivery) { d.OriginTime = d.OriginTime.Add(time.Hour) }, false},
		"other bytes' sum":        {func(d *handlers.Delivery) { d.Original = handlers.Digest{SHA256: strings.Repeat("0", 64), Size: 1} }, false},
		"no command":              {func(d *handlers.Delivery) { d.Nameless = true }, false},
		"more than the journal":   {func(d *handlers.Delivery) { amount(d); d.Recorded = payment.Recorded{Version: 77, Operation: 77} }, false},
		"one that was no command": {func(d *handlers.Delivery) { d.OriginSequence = junk }, false},
		// Its sender would hear that its command was rejected.
		"the key for another amount": {amount, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, s := partial(t)
			d, stream := b.waits(s)
			stream.commands[junk] = handlers.Published{
				Message: events.Message{Subject: "payment.refund.requested", Data: []byte("{}")}, At: d.OriginTime,
			}
			if c.carried {
				if out := b.deliver(d); out.Kind != handlers.Ack {
					t.Fatalf("the genuine timer becomes %+v", out)
				}
			}
			calls, told := b.refunds(), b.types()
			c.forge(&d)
			out := b.deliver(d)
			if out.Kind != handlers.Terminate || out.Reason != "forged_timer" {
				t.Errorf("it becomes %+v", out)
			}
			if b.refunds() != calls || b.types() != told {
				t.Errorf("%d calls, before it %d; the journal holds %q, before it %q", b.refunds(), calls, b.types(), told)
			}
			rejections, err := b.journal.Rejections()
			if err != nil || len(rejections) > 0 {
				t.Errorf("somebody is told a rejection: %+v, %v", rejections, err)
			}
			if kept := b.quarantine.kept; len(kept) != 1 || !bytes.Equal(kept[0].Message.Data, d.Message.Data) ||
				kept[0].Rejection.Token != events.RejectionToken(d.OriginSequence, d.Message.Data) {
				t.Errorf("kept: %+v", kept)
			}
		})
	}
}

func TestATimerThatIsLikeItsCommandIsCarriedOutOnceItIsRead(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	d, stream := b.waits(s)
	stream.err = errors.New("no leader")
	if out := b.deliver(d); out.Kind != handlers.Redeliver || out.Delay == 0 || b.types() != "" || b.refunds() != 0 {
		t.Errorf("unread it becomes %+v, with %d calls and %q", out, b.refunds(), b.types())
	}
	stream.err = nil
	if out := b.deliver(d); out.Kind != handlers.Ack || b.types() != "started succeeded" {
		t.Errorf("read it becomes %+v, with %q", out, b.types())
	}
	asked := stream.asked
	if out := b.deliver(d); out.Kind != handlers.Ack || stream.asked != asked {
		t.Errorf("what the journal knows becomes %+v, and the stream was asked %d times", out, stream.asked-asked)
	}
}

// The stream of commands was set back and filled again: what lies at the sequence is
// another order service's, and of another time.
func TestATimerIsNotCalledForgedWhereItsCommandWasLost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before bool // an accepted loss took what the timer knew
		known  bool // its key is known with other content
	}{"nothing was recorded": {}, "an event was recorded before the loss": {before: true}, "its key is another one's": {known: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, s := partial(t)
			var losses acceptance
			b.losses = &losses
			d, stream := b.waits(s)
			if c.known {
				if out := b.deliver(d); out.Kind != handlers.Ack {
					t.Fatalf("the genuine one becomes %+v", out)
				}
				replaced(`"amount":{"value":`, `"amount":{"value":1`)(&d)
			}
			calls, told := b.refunds(), b.types()
			stream.commands[d.OriginSequence] = handlers.Published{
				Message: events.Message{Subject: "payment.refund.requested", Data: []byte("{}")}, At: d.OriginTime.Add(time.Minute),
			}
			if c.before {
				now := b.clock.Now()
				losses.at.Store(&now)
				d.Recorded = payment.Recorded{Version: 1, Operation: 1}
			}
			asked := stream.asked
			out := b.deliver(d)
			if c.before != (stream.asked == asked) {
				t.Errorf("the stream was asked %d times", stream.asked-asked)
			}
			rejections, err := b.journal.Rejections()
			if err != nil || len(rejections) > 0 {
				t.Errorf("somebody is told a rejection: %+v, %v", rejections, err)
			}
			if c.known {
				if out.Kind != handlers.Terminate || len(b.quarantine.kept) != 1 || b.types() != told {
					t.Errorf("it becomes %+v, kept %d, told %q", out, len(b.quarantine.kept), b.types())
				}
				return
			}
			if out.Kind != handlers.Later || len(b.quarantine.kept) > 0 {
				t.Fatalf("it becomes %+v, and %d are in quarantine", out.Kind, len(b.quarantine.kept))
			}
			b.drive(func() bool {
				o := b.operation(s.id, s.op, key).Open
				return o == nil || o.Review != nil
			})
			if op := b.operation(s.id, s.op, key); op.Open == nil || op.Open.Review == nil || b.refunds() != calls {
				t.Errorf("after %d calls it is %s (%s): %s", b.refunds()-calls, op.Status, op.Code, b.types())
			}
		})
	}
}

// The stream of commands was made anew, or is older than it keeps: nobody knows any
// more whether the operation was carried out.
func TestATimerWhoseCommandIsGoneIsPresumedAndNeverCalled(t *testing.T) {
	t.Parallel()
	for name, accepted := range map[string]bool{"no loss is known": false, "a loss was accepted, and the timer claims to be newer": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, s := partial(t)
			var losses acceptance
			b.losses = &losses
			d, stream := b.waits(s)
			clear(stream.commands)
			if accepted {
				now := b.clock.Now()
				losses.at.Store(&now)
				d.OriginTime = now.Add(time.Minute)
			}
			b.deliver(d)
			inReview := func() bool {
				o := b.operation(s.id, s.op, key).Open
				return o != nil && o.Review != nil
			}
			b.drive(inReview)
			op := b.operation(s.id, s.op, key)
			if !inReview() || op.Code != payment.CodeJournalIncomplete || b.refunds() != 0 {
				t.Errorf("after %d calls it is %s (%s): %s", b.refunds(), op.Status, op.Code, b.types())
			}
		})
	}
}
