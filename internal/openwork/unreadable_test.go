package openwork_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/internal/openwork"
	"github.com/countermand/countermand/payment"
)

// The server counts what it cannot read, a consumer passes over it, and the last
// message that can be read says that more will come.
func TestAScanEndsOverRecordsThatCannotBeReadAndNamesThem(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second, third := command("1001", "first", 400), command("1002", "second", 400), command("1003", "third", 400)
	b.start(first)                           // 1
	b.start(second)                          // 2
	b.conclude(second, payment.Succeeded)    // 3
	b.start(third)                           // 4
	b.conclude(first, payment.Indeterminate) // 5
	b.conclude(third, payment.Succeeded)     // 6
	b.server.Damage(t, "PAYMENT_EVENTS", "payment.refund.succeeded.opay-eg.1002.2", "payment.refund.succeeded.opay-eg.1003.2")
	b.js = b.server.JetStream(t)
	began := time.Now()
	x := b.scan()
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it took %s", took)
	}
	const hidden = "the journal's leader cannot show what lies there"
	if diff := cmp.Diff([]openwork.Damage{{Sequence: 3, Reason: hidden}, {Sequence: 6, Reason: hidden}}, x.Damaged); diff != "" {
		t.Errorf("damage differs (-want +got):\n%s", diff)
	}
	if x.Events != 4 || len(x.Operations) != 3 { // those whose end cannot be read are open
		t.Errorf("read %d events with %d open operations", x.Events, len(x.Operations))
	}
}

// A deleted message is a hole, which the marks know, or a person has accepted.
func TestAHoleIsNoDamage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s, err := b.js.Stream(t.Context(), "PAYMENT_EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	b.server.DeleteStream(t, b.js, cfg.Name)
	cfg.DenyDelete = false
	if s, err = b.js.CreateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	for _, order := range []string{"1001", "1002", "1003"} {
		b.start(command(order, "whole", 400))
	}
	for _, gone := range []uint64{2, 3} {
		if err := s.DeleteMsg(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
	}
	if x := b.scan(); x.Events != 1 || len(x.Damaged) != 0 {
		t.Errorf("read %d events with damage %v", x.Events, x.Damaged)
	}
}

func TestAStreamThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t, nil).JetStream(t)
	if _, err := openwork.ReadPart(t.Context(), js, "GONE", 0, 1); err == nil || !strings.Contains(err.Error(), "stream GONE") {
		t.Errorf("the journal: %v", err)
	}
	if _, err := openwork.Timers(t.Context(), js, "AWAY"); err == nil || !strings.Contains(err.Error(), "stream AWAY") {
		t.Errorf("the timers: %v", err)
	}
}
