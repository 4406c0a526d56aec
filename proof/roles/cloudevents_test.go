package roles_test

import (
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
			// Structured mode as the contract wants it: the library writes no Content-Type.
			sender, err := protocol.NewSenderFromConn(w.connect(ordersEG()), "PAYMENT_COMMANDS", subject, []nats.JSOpt{nats.Domain("payments")})
			if err != nil {
				t.Fatal(err)
			}
			client, err := cloudevents.NewClient(sender)
			if err != nil {
				t.Fatal(err)
			}
			event := cloudevents.NewEvent()
			event.SetID("e-1")
			event.SetSource("/shop/orders")
			event.SetType("payment.refund.requested")
			if err := event.SetData(cloudevents.ApplicationJSON, map[string]any{
				"idempotencyKey": "k", "provider": "opay-eg", "payment": map[string]any{"orderId": "1001"},
				"amount": map[string]any{"value": 400, "currency": "EGP"},
			}); err != nil {
				t.Fatal(err)
			}
			if result := client.Send(w.ctx(), event); cloudevents.IsUndelivered(result) {
				t.Fatalf("send: %v", result)
			}
			stream, err := w.stream(operator()).Stream(w.ctx(), "PAYMENT_COMMANDS")
			if err != nil {
				t.Fatal(err)
			}
			m, err := stream.GetLastMsgForSubject(w.ctx(), subject)
			if err != nil {
				t.Fatal(err)
			}
			decoder, err := events.NewDecoder()
			if err != nil {
				t.Fatal(err)
			}
			if _, fault := decoder.DecodeCommand(events.Message{Subject: m.Subject, Header: m.Header, Data: m.Data}); fault != nil {
				t.Errorf("the service cannot read %s: %v", m.Data, fault)
			}
		})
	}
}
