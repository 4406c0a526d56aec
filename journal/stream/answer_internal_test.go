package stream

import (
	"testing"
	"time"

	"github.com/countermand/countermand/internal/natstest"
)

// White-box: that the short way is taken cannot be seen from outside.
func TestTheServersUsualAcknowledgementIsReadTheShortWay(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, nil)
	natstest.CreateStream(t, server.JetStream(t), natstest.EventsConfig(1))
	reply, err := server.Connect(t).Request("payment.refund.started.opay-eg.1.1", []byte("{}"), 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if sequence, ok := plainlyAccepted(reply.Data, defaultStream); !ok || sequence != 1 {
		t.Errorf("%s: sequence %d, %t", reply.Data, sequence, ok)
	}
}

func TestOnlyTheUsualAcknowledgementIsReadTheShortWay(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		``, `{`, `{"stream":"PAYMENT_EVENTS","seq":}`, `{"stream":"PAYMENT_EVENTS","seq":12`,
		`{"stream":"PAYMENT_EVENTS","seq":0}`, `{"stream":"PAYMENT_EVENTS","seq":012}`, `{"stream":"PAYMENT_EVENTS","seq":-1}`,
		`{"stream":"PAYMENT_EVENTS","seq":1.0}`, `{"stream":"PAYMENT_EVENTS","seq":99999999999999999999}`,
		`{"stream":"PAYMENT_EVENTS","seq":12, "duplicate":true}`, `{"stream":"PAYMENT_EVENTS","seq":12, "domain":"hub"}`,
		`{"stream":"OTHER","seq":12}`, `{"stream":"PAYMENT_EVENTS", "seq":12}`,
		`{"error":{"code":400},"stream":"PAYMENT_EVENTS","seq":12}`,
	} {
		if sequence, ok := plainlyAccepted([]byte(text), defaultStream); ok {
			t.Errorf("%s is read as accepted at %d", text, sequence)
		}
	}
	if got := judge([]byte(`{"stream":"OTHER","seq":12}`), defaultStream); got.verdict != storeRefuses {
		t.Errorf("another stream's answer: %+v", got)
	}
	if got := judge([]byte(`{"stream":"PAYMENT_EVENTS","seq":12, "duplicate":true}`), defaultStream); got.verdict != refused {
		t.Errorf("a duplicate: %+v", got)
	}
}
