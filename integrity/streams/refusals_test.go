package streams_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/internal/natstest"
)

// The stream of refusals forgets for want of room and for age, down to nothing. That is
// no loss. That it is gone, or set back, is one.
func TestRefusalsThatAreForgottenAreNoLoss(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill(1, 3)
	refuse := func(from, to int) {
		t.Helper()
		for n := from; n <= to; n++ {
			if _, err := b.js.Publish(t.Context(), fmt.Sprintf("payment.command.rejected.%d-0123456789ab", n), make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
		}
	}
	refuse(1, 5)
	m := b.known()
	if m.Streams[b.topology.Refusals] != 5 {
		t.Fatalf("the mark of the refusals is %d", m.Streams[b.topology.Refusals])
	}
	cfg := b.topology.RefusalsConfig()
	cfg.MaxBytes = 3000
	b.updateRefusals(cfg)
	refuse(6, 20)
	b.finds(m)
	cfg.MaxAge = 100 * time.Millisecond
	b.updateRefusals(cfg)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for natstest.Messages(t, b.js, b.topology.Refusals) > 0 {
		<-again.C
	}
	b.finds(m)
	b.server.Restart(t)
	b.finds(m) // an empty stream remembers how far it has come
	b.finds(b.known())

	b.js = b.server.JetStream(t)
	b.deleteStream(b.topology.Refusals)
	b.finds(m, integrity.StreamMissing)
	b.provision()
	b.finds(m, integrity.StreamShorter)
}

func (b *bench) updateRefusals(cfg jetstream.StreamConfig) {
	b.t.Helper()
	if _, err := b.js.UpdateStream(b.t.Context(), cfg); err != nil {
		b.t.Fatal(err)
	}
}
