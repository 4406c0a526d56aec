package broker_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
)

func TestTheOriginalIsReadByteForByte(t *testing.T) {
	t.Parallel()
	b := setup(t)
	originals := broker.NewOriginals(b.js, b.topology)
	header := nats.Header{
		"ce-id": {"1", "2"}, "X-Odd": {"two  spaces"}, "lower": {"a"}, jetstream.MsgIDHeader: {"m"},
		"Countermand-Due": {"2999-01-01T00:00:00Z"},
	}
	data := append(bytes.Repeat([]byte{0xff, 0x00, '\r', '\n'}, 15000), '"')
	sequence := b.command(string(data), header)
	bare := b.command("", nil)
	got, found, err := originals.Original(b.ctx(), sequence)
	if err != nil || !found || got.Message.Subject != "payment.refund.requested" || !bytes.Equal(got.Message.Data, data) || got.At.IsZero() {
		t.Fatalf("found %t on %s with %d bytes at %s: %v", found, got.Message.Subject, len(got.Message.Data), got.At, err)
	}
	if diff := cmp.Diff(map[string][]string(header), got.Message.Header); diff != "" {
		t.Error(diff)
	}
	if got, found, err := originals.Original(b.ctx(), bare); err != nil || !found || len(got.Message.Data) > 0 || len(got.Message.Header) > 0 {
		t.Errorf("an empty one: %+v, %t, %v", got, found, err)
	}
	if _, found, err := originals.Original(b.ctx(), 99); err != nil || found {
		t.Errorf("one that is not there: %t, %v", found, err)
	}
	if err := b.js.DeleteStream(b.ctx(), b.topology.Commands); err != nil {
		t.Fatal(err)
	}
	if _, found, err := originals.Original(b.ctx(), 1); err != nil || found {
		t.Errorf("of a stream that is gone: %t, %v", found, err)
	}
	b.server.Shutdown(t)
	if _, _, err := originals.Original(b.ctx(), 1); err == nil {
		t.Error("a server that is away has answered")
	}
}
