package roles_test

import (
	"context"
	"encoding/json"
	"testing"

	protocol "github.com/cloudevents/sdk-go/protocol/nats_jetstream/v2"
	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/events"
)

// The official sender of CloudEvents asks for the stream before it publishes. Where it
// may not ask, it tries to create the stream.
func TestTheOfficialSenderOfCloudEventsPublishesByTheShippedFiles(t *testing.T) {
	t.Parallel()
	dir := layout(t)
	for name, as := range logins(t, dir) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, dir, as)
			const subject = "payment.refund.requested.opay-eg"
			sender, err := protocol.NewSenderFromConn(w.connect(ordersEG()), "PAYMENT_COMMANDS", subject, []nats.JSOpt{nats.Domain("payments")})
			if err != nil {
				t.Fatal(err)
			}
			client, err := cloudevents.NewClient(sender)
			if err != nil {
				t.Fatal(err)
			}
			decoder, err := events.NewDecoder()
			if err != nil {
				t.Fatal(err)
			}
			for id, sent := range officialEvents(t) {
				if result := client.Send(sent.mode(w.ctx()), sent.Event); cloudevents.IsUndelivered(result) {
					t.Fatalf("send %s: %v", id, result)
				}
				stream, err := w.stream(observer()).Stream(w.ctx(), "PAYMENT_COMMANDS")
				if err != nil {
					t.Fatal(err)
				}
				m, err := stream.GetLastMsgForSubject(w.ctx(), subject)
				if err != nil {
					t.Fatal(err)
				}
				c, fault := decoder.DecodeCommand(events.Message{Subject: m.Subject, Header: m.Header, Data: m.Data})
				if fault != nil {
					t.Errorf("%s: the service cannot read %v %s: %v", id, m.Header, m.Data, fault)
				} else if c.CommandID != id || c.Key != "k" || c.Amount == nil || c.Amount.Value != 400 || c.Reason != "zwei Zeilen" {
					t.Errorf("%s is read as %+v", id, c)
				}
			}
		})
	}
}

// officialEvent is an event and how the official library is told to send it.
type officialEvent struct {
	cloudevents.Event

	mode func(context.Context) context.Context
}

// officialEvents are the ways of its library to write one command: in each mode, which
// differ from the contract's in that no Content-Type is written, and with the data as a
// value and as bytes, which become data_base64.
func officialEvents(t *testing.T) map[string]officialEvent {
	t.Helper()
	value := map[string]any{
		"idempotencyKey": "k", "provider": "opay-eg", "payment": map[string]any{"orderId": "1001"},
		"amount": map[string]any{"value": 400, "currency": "EGP"}, "reason": "zwei\nZeilen",
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]officialEvent{}
	for mode, in := range map[string]func(context.Context) context.Context{
		"structured": cloudevents.WithEncodingStructured, "binary": cloudevents.WithEncodingBinary,
	} {
		for form, data := range map[string]any{"value": value, "bytes": encoded} {
			event := cloudevents.NewEvent()
			event.SetID(mode + "-" + form)
			event.SetSource("/shop/orders")
			event.SetType("payment.refund.requested")
			if err := event.SetData(cloudevents.ApplicationJSON, data); err != nil {
				t.Fatal(err)
			}
			all[event.ID()] = officialEvent{event, in}
		}
	}
	return all
}
