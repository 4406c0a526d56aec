package check_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/streams"
	"github.com/countermand/countermand/internal/check"
	"github.com/countermand/countermand/internal/natstest"
)

// damaged is a server whose journal can lose single messages.
func damaged(t *testing.T) *bundle {
	t.Helper()
	b := provisioned(t, durable)
	s, err := b.js.Stream(b.ctx(), b.cfg.Streams.Events)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.DenyDelete = false
	natstest.DeleteStream(t, b.server, b.js, cfg.Name)
	if _, err := b.js.CreateStream(b.ctx(), cfg); err != nil {
		t.Fatal(err)
	}
	for _, order := range []string{"1001", "1002", "1003", "1004"} {
		e := b.started(order, time.Minute)
		for version := uint64(1); version <= 3; version++ {
			e.State.Version = version
			b.journal(e, nil)
		}
	}
	return b
}

func (b *bundle) lose(sequences ...uint64) {
	b.t.Helper()
	s, err := b.js.Stream(b.ctx(), b.cfg.Streams.Events)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, sequence := range sequences {
		if err := s.DeleteMsg(b.ctx(), sequence); err != nil {
			b.t.Fatal(err)
		}
	}
}

// ofSequences are the findings about the journal's sequences.
func (b *bundle) ofSequences(deep bool) []line {
	b.t.Helper()
	var some []line
	for _, l := range lines(b.findings(&check.Options{Deep: deep})) {
		if l.Check == check.JournalSequences {
			some = append(some, l)
		}
	}
	return some
}

func TestADeepCheckFindsWhatNoCountShows(t *testing.T) {
	t.Parallel()
	b := damaged(t)
	if found := b.ofSequences(true); len(found) > 0 {
		t.Fatalf("a whole journal: %v", found)
	}
	b.lose(2, 7, 8)
	want := []line{
		{check.Error, check.JournalSequences, "sequence 2"},
		{check.Error, check.JournalSequences, "payment.refund.started.opay-eg.1001.3 (sequence 3)"},
		{check.Error, check.JournalSequences, "sequences 7 to 8"},
		{check.Error, check.JournalSequences, "payment.refund.started.opay-eg.1003.3 (sequence 9)"},
	}
	if diff := cmp.Diff(want, b.ofSequences(true)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if found := b.ofSequences(false); len(found) > 0 {
		t.Errorf("a check that is not deep: %v", found)
	}
	// What a person has accepted is no error any more, and the rest stays one.
	_, err := streams.NewBucket(b.js.Conn(), "PAYMENT_CONTROL").Raise(b.ctx(), integrity.Record{
		Mark: integrity.Mark{Epoch: 1, Holes: []integrity.Range{{From: 7, To: 7}}}, Epoch: integrity.Epoch{Number: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	want = []line{
		want[0], want[1],
		{check.Warning, check.JournalSequences, "sequence 7"},
		{check.Error, check.JournalSequences, "sequence 8"},
		{check.Warning, check.JournalSequences, "payment.refund.started.opay-eg.1003.3 (sequence 9)"},
	}
	if diff := cmp.Diff(want, b.ofSequences(true)); diff != "" {
		t.Errorf("with an accepted hole (-want +got):\n%s", diff)
	}
}
