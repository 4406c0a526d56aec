package broker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/payment"
)

type keptMessage struct {
	Subject    string              `json:"subject"`
	Sequence   uint64              `json:"sequence"`
	Headers    map[string][]string `json:"headers"`
	Data       []byte              `json:"data"`
	RawHeaders [][2][]byte         `json:"rawHeaders"`
}

// kept reads what the quarantine holds under a token.
func (b *bundle) kept(token string) (keptMessage, nats.Header) {
	b.t.Helper()
	stream, err := b.js.Stream(b.ctx(), b.topology.Rejected)
	if err != nil {
		b.t.Fatal(err)
	}
	msg, err := stream.GetLastMsgForSubject(b.ctx(), events.QuarantineSubject(token))
	if err != nil {
		b.t.Fatalf("read quarantine: %v", err)
	}
	var k keptMessage
	decoder := json.NewDecoder(bytes.NewReader(msg.Data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&k); err != nil {
		b.t.Fatal(err)
	}
	return k, msg.Header
}

func original(token string, header map[string][]string, data []byte) handlers.Original {
	return handlers.Original{
		Rejection: payment.Rejection{Token: token, OriginSequence: 42},
		Message:   events.Message{Subject: "payment.refund.requested", Header: header, Data: data},
	}
}

func TestTheQuarantineKeepsAMessageAsData(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := broker.NewQuarantine(b.js, b.topology)
	header := map[string][]string{"ce-id": {"1", "2"}, "Nats-Rollup": {"all"}, "Nats-Schedule": {"@every 1s"}}
	data := append(bytes.Repeat([]byte{0xff, 0x00, '\n'}, 21000), '"')
	for range 2 { // the second finds the first
		if err := q.Keep(b.ctx(), original("42-0123456789ab", header, data)); err != nil {
			t.Fatal(err)
		}
	}
	got, sent := b.kept("42-0123456789ab")
	want := keptMessage{Subject: "payment.refund.requested", Sequence: 42, Headers: header, Data: data}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for name := range sent {
		if !strings.HasPrefix(name, "Nats-Expected-") {
			t.Errorf("header %s was sent on", name)
		}
	}
	if n := natstest.Messages(t, b.js, b.topology.Rejected); n != 1 {
		t.Errorf("quarantine holds %d messages, want 1", n)
	}
}

func TestTheQuarantineKeepsHeadersThatAreNoText(t *testing.T) {
	t.Parallel()
	b := setup(t)
	header := map[string][]string{"ce-id": {"a\xffb"}}
	if err := broker.NewQuarantine(b.js, b.topology).Keep(b.ctx(), original("1-a", header, nil)); err != nil {
		t.Fatal(err)
	}
	got, _ := b.kept("1-a")
	want := [][2][]byte{{[]byte("ce-id"), []byte("a\xffb")}}
	if diff := cmp.Diff(want, got.RawHeaders); diff != "" {
		t.Error(diff)
	}
}

func TestTheQuarantineTakesTheLargestCommand(t *testing.T) {
	t.Parallel()
	b := setup(t)
	header := map[string][]string{"x": {strings.Repeat("\x01", 32<<10)}}
	if err := broker.NewQuarantine(b.js, b.topology).Keep(b.ctx(), original("1-b", header, make([]byte, 32<<10))); err != nil {
		t.Fatal(err)
	}
}

func TestTheQuarantineRefusesATokenThatIsNoToken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, token := range []string{"", "a.b", "*", ">", "a b", "é", "\n"} {
		if err := broker.NewQuarantine(b.js, b.topology).Keep(b.ctx(), original(token, nil, nil)); err == nil {
			t.Errorf("token %q was taken", token)
		}
	}
}

func TestTheQuarantineReportsWhatItCouldNotKeep(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.js.DeleteStream(b.ctx(), b.topology.Rejected); err != nil {
		t.Fatal(err)
	}
	if err := broker.NewQuarantine(b.js, b.topology).Keep(b.ctx(), original("1-c", nil, nil)); err == nil {
		t.Error("kept without a stream")
	}
}

func TestAHandlerNeverSeesReservedHeadersButTheQuarantineKeepsThem(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := broker.NewQuarantine(b.js, b.topology)
	seen := make(chan handlers.Delivery, 1)
	b.run(nil, func(ctx context.Context, d handlers.Delivery) handlers.Disposition {
		if err := q.Keep(ctx, original("1-d", d.Header, d.Message.Data)); err != nil {
			return handlers.Disposition{}
		}
		seen <- d
		return handlers.Disposition{Kind: handlers.Terminate, Reason: "not a command"}
	})
	header := nats.Header{
		"ce-id": {"1"}, jetstream.MsgIDHeader: {"m"}, "nats-odd": {"x"},
		"Countermand-Origin-Sequence": {"999"}, "countermand-deliveries": {"50"}, "Countermand-Due": {"2999-01-01T00:00:00Z"},
	}
	seq := b.command("junk", header)
	d := receive(t, seen, "the message")
	if diff := cmp.Diff(map[string][]string{"ce-id": {"1"}}, d.Message.Header); diff != "" {
		t.Error(diff)
	}
	if d.OriginSequence != seq || d.Deliveries != 1 || !d.Due.IsZero() {
		t.Errorf("a publisher's headers were taken for ours: %+v", d)
	}
	b.allDone(b.topology.Commands)
	got, _ := b.kept("1-d")
	if diff := cmp.Diff(map[string][]string(header), got.Headers); diff != "" {
		t.Error(diff)
	}
}
