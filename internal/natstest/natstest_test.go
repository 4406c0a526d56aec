package natstest_test

import (
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/internal/natstest"
)

func TestARestartedServerKeepsItsAddressAndWhatItStored(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, nil)
	url := s.URL()
	js := s.JetStream(t)
	natstest.CreateStream(t, js, natstest.EventsConfig(1))
	if _, err := js.Publish(t.Context(), "payment.refund.started.opay-eg.1.1", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	s.Restart(t)
	if got := natstest.Messages(t, s.JetStream(t), natstest.EventsStream); got != 1 || s.URL() != url {
		t.Errorf("after the restart %s holds %d messages, before it was %s with 1", s.URL(), got, url)
	}
}

func TestConnectionsBufferNothingAndAreIndependent(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, nil)
	a, b := s.Connect(t), s.Connect(t)
	if a == b || a.Opts.ReconnectBufSize >= 0 {
		t.Errorf("connections are one (%t) or buffer %d bytes", a == b, a.Opts.ReconnectBufSize)
	}
	lost := a.StatusChanged(nats.RECONNECTING)
	s.Shutdown(t)
	<-lost
	if err := a.Publish("x", nil); err == nil {
		t.Error("a publish without a server was taken")
	}
}
