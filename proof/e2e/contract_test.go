package e2e_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/internal/natstest"
)

// What docs/contract.md says of permissions, each line tried as that user.
func TestNobodyMayDoMoreThanTheContractSays(t *testing.T) {
	t.Parallel()
	w := grantedServer(t)
	w.provision(t, everything)
	const create = "$JS.payments.API.CONSUMER.CREATE.PAYMENT_EVENTS."
	everybody := []string{
		"payment.refund.succeeded.opay-eg.1.1", "payment.command.rejected.1-0", "payment.operator.resolved.1",
		"payment.schedule.refund.opay-eg.1.0", "payment.due.refund", "payment.quarantine.1-0",
		"payment.refund.requested.tranzzo-ua", "payment.refund.requested", "$KV.PAYMENT_CONTROL.opay-eg",
		"$JS.API.STREAM.MSG.GET.PAYMENT_REJECTED", "$JS.API.STREAM.PURGE.PAYMENT_EVENTS",
		"$JS.API.STREAM.DELETE.PAYMENT_COMMANDS", "$JS.API.STREAM.UPDATE.PAYMENT_EVENTS", "$JS.payments.API.STREAM.UPDATE.PAYMENT_EVENTS",
		"payments.status", "payments.status.tranzzo-ua", "$SRV.INFO",
		"$JS.API.CONSUMER.MSG.NEXT.PAYMENT_COMMANDS.payment-consumer", "$JS.ACK.PAYMENT_COMMANDS.payment-consumer.1.1.1.1.1",
		create + "ledger", create + "orders-eg", create + "orders-eg.payment.*.*.opay-eg.*.*", create + "orders-eg.payment.>",
		"$JS.payments.API.CONSUMER.DELETE.PAYMENT_EVENTS.ledger", "$JS.payments.API.STREAM.MSG.GET.PAYMENT_EVENTS",
	}
	const next, ack = "$JS.payments.API.CONSUMER.MSG.NEXT.PAYMENT_EVENTS.", "$JS.ACK.PAYMENT_EVENTS."
	for user, more := range map[string][]string{
		"orders-eg":      {next + "ledger", next + "orders-eg", ack + "ledger.1.1.1.1.1", ack + "orders-eg.1.1.1.1.1"},
		"orders-eg-read": {"payment.refund.requested.opay-eg", "payments.status.opay-eg", next + "ledger", ack + "ledger.1.1.1.1.1"},
		"ledger":         {"payment.refund.requested.opay-eg", next + "orders-eg", ack + "orders-eg.1.1.1.1.1"},
	} {
		password, _, _ := strings.Cut(user, "-")
		js := w.connect(t, asUser(user, password)...)
		for _, subject := range append(everybody, more...) {
			if err := publishPlain(t, js.Conn(), subject); !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("%s may publish to %s (%v)", user, subject, err)
			}
		}
		for _, subject := range []string{"payment.>", "_INBOX.>", "_INBOX_orders-eg.x", "_INBOX_orders-eg-read.x", "_INBOX_ledger.x", "$JS.EVENT.>"} {
			own := strings.HasPrefix(subject, "_INBOX_"+user+".")
			err := objection(t, js.Conn(), func() error {
				_, err := js.Conn().SubscribeSync(subject)
				return err
			})
			if own == (err != nil) {
				t.Errorf("%s subscribes to %s: %v", user, subject, err)
			}
		}
	}
	js := w.connect(t, w.consumer)
	for _, subject := range []string{"payment.refund.requested.opay-eg", "payment.due.refund", "$JS.API.STREAM.PURGE.PAYMENT_DUE", "$JS.API.STREAM.UPDATE.PAYMENT_EVENTS"} {
		if err := publishPlain(t, js.Conn(), subject); !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("the consumer may publish to %s (%v)", subject, err)
		}
	}
}

// publishPlain publishes to a subject and returns what the server objects to.
func publishPlain(t *testing.T, nc *nats.Conn, subject string) error {
	t.Helper()
	return objection(t, nc, func() error { return nc.Publish(subject, nil) })
}

// objection does something and returns the server's objection, if there is
// one: it arrives before the answer to the flush.
func objection(t *testing.T, nc *nats.Conn, do func() error) error {
	t.Helper()
	before := nc.LastError()
	if err := do(); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if after := nc.LastError(); after != before { //nolint:errorlint // the same error or another one, whatever it says
		return after
	}
	return nil
}

func TestAPlainSubscriptionSeesAppendsThatTheStreamRefused(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, nil)
	js := s.JetStream(t)
	natstest.CreateStream(t, js, broker.DefaultTopology().EventsConfig())
	nc := s.Connect(t)
	plain, err := nc.SubscribeSync("payment.*.succeeded.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil { // the server knows of it from here on
		t.Fatal(err)
	}
	guard := jetstream.WithExpectLastSequenceForSubject(0, "payment.*.*.opay-eg.1.*")
	var refused *jetstream.APIError
	if _, err := js.Publish(t.Context(), "payment.refund.started.opay-eg.1.1", []byte("{}"), guard); err != nil {
		t.Fatal(err)
	}
	_, err = js.Publish(t.Context(), "payment.refund.succeeded.opay-eg.1.1", []byte("{}"), guard)
	if !errors.As(err, &refused) || refused.ErrorCode != 10071 {
		t.Fatalf("the second append was answered %v, want 10071", err)
	}
	if m, err := plain.NextMsg(10 * time.Second); err != nil {
		t.Errorf("the plain subscription saw nothing of what the stream refused: %v; the warning in docs/contract.md is not needed", err)
	} else if m.Subject != "payment.refund.succeeded.opay-eg.1.1" {
		t.Errorf("the plain subscription saw %s", m.Subject)
	}
	if got := natstest.Messages(t, js, natstest.EventsStream); got != 1 {
		t.Errorf("the stream holds %d events", got)
	}
}

func TestAMessageIdThatIsNotTheEventsOwnLosesCommands(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, nil)
	js := s.JetStream(t)
	created := natstest.CreateStream(t, js, broker.DefaultTopology().CommandsConfig())
	if window := created.CachedInfo().Config.Duplicates; window != 2*time.Minute {
		t.Errorf("the window for message ids is %s; docs/contract.md says two minutes", window)
	}
	for n, id := range []string{"return-1", "return-1", "/shop/a", "/shop/b"} {
		ack, err := js.Publish(t.Context(), "payment.refund.requested", []byte("{}"), jetstream.WithMsgID(id))
		if err != nil {
			t.Fatal(err)
		}
		if lost := n == 1; ack.Duplicate != lost {
			t.Errorf("command %d with id %s: lost as a duplicate is %t", n, id, ack.Duplicate)
		}
	}
}
