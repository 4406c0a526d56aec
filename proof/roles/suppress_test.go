package roles_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// What no permission prevents: message ids are one list for the whole stream, so
// whoever can guess another's loses it a command for two minutes. The
// confirmation tells.
func TestAnotherOrderServicesMessageIdCanSuppressACommandAndTheConfirmationTells(t *testing.T) {
	t.Parallel()
	w := start(t, layout(t), byKey(t))
	const id = "/shop/orders/guessed"
	if _, err := w.stream(ordersUA()).Publish(w.ctx(), "payment.refund.requested.tranzzo-ua", []byte("{}"), jetstream.WithMsgID(id)); err != nil {
		t.Fatal(err)
	}
	victim := w.stream(ordersEG())
	ack, err := victim.Publish(w.ctx(), "payment.refund.requested.opay-eg", []byte("{}"), jetstream.WithMsgID(id))
	if err != nil || !ack.Duplicate {
		t.Errorf("the confirmation is %+v, %v; docs/security.md says that it tells of a duplicate", ack, err)
	}
	ack, err = victim.Publish(w.ctx(), "payment.refund.requested.opay-eg", []byte("{}"))
	if err != nil || ack.Duplicate {
		t.Errorf("without a message id: %+v, %v; docs/security.md says that this cannot be suppressed", ack, err)
	}
}
