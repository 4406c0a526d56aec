package check_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/streams"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/check"
)

// marked stores a record in the bucket.
func (b *bundle) marked(r integrity.Record) {
	b.t.Helper()
	if _, err := streams.NewBucket(b.js.Conn(), app.Topology(b.cfg).Control).Raise(b.ctx(), r); err != nil {
		b.t.Fatal(err)
	}
}

// registered stores what a process says of itself.
func (b *bundle) registered(r integrity.Replica) {
	b.t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.js.Publish(b.ctx(), "$KV."+app.Topology(b.cfg).Control+"._replica."+r.Instance, data); err != nil {
		b.t.Fatal(err)
	}
}

func TestAJournalThatEndsBeforeItsMarkIsAnError(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	b.marked(integrity.Record{
		Mark:  integrity.Mark{Journal: integrity.Position{Sequence: 172, Token: "t"}, Streams: map[string]uint64{"PAYMENT_COMMANDS": 56}},
		Epoch: integrity.FirstEpoch(),
	})
	all := b.findings(nil)
	want(
		t, all,
		line{check.Error, check.Journal, "journal_shorter of PAYMENT_EVENTS"}, line{check.Error, check.Journal, "stream_shorter of PAYMENT_COMMANDS"},
	)
	if len(all) == 0 {
		return
	}
	if s := all[0].String(); !strings.Contains(s, "172") || !strings.Contains(s, "consumer journal status") || !strings.Contains(s, "docs/journal-loss.md") {
		t.Errorf("finding is %s", s)
	}
}

func TestAHeldEpochIsAWarning(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	b.marked(integrity.Record{Mark: integrity.Mark{Epoch: 1}, Epoch: integrity.Epoch{Number: 1, Phase: integrity.Held}})
	want(t, b.findings(nil), line{check.Warning, check.Journal, "epoch 1"})
}

func TestAProcessThatHasFoundALossIsAnError(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	b.registered(integrity.Replica{ID: "pod-a", Instance: "a", Standing: integrity.Broken.String(), Shut: true, Reason: "the journal ends at 3"})
	b.registered(integrity.Replica{ID: "pod-b", Instance: "b", Standing: integrity.Suspect.String(), Shut: true})
	b.registered(integrity.Replica{ID: "pod-c", Instance: "c", Standing: integrity.Whole.String()})
	b.registered(integrity.Replica{ID: "pod-d", Instance: "d", Standing: integrity.Broken.String(), Shut: true, Left: true})
	all := b.findings(nil)
	want(t, all, line{check.Error, check.Journal, "process pod-a"}, line{check.Error, check.Journal, "process pod-b"})
	if len(all) > 0 && all[0].Is != "broken (the journal ends at 3)" {
		t.Errorf("finding is %v", all[0])
	}
}

func TestABucketOfMarksThatIsGoneIsAnError(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	if err := b.js.DeleteKeyValue(b.ctx(), app.Topology(b.cfg).Control); err != nil {
		t.Fatal(err)
	}
	for _, f := range b.findings(nil) {
		if f.Severity == check.Error && f.Check == check.Journal && f.What == "bucket PAYMENT_CONTROL" {
			return
		}
	}
	t.Error("nothing says that the bucket is gone")
}

func TestAJournalThatMayNotBeAskedForIsNotCalledWhole(t *testing.T) {
	t.Parallel()
	b := provisioned(t, users(user("blind", `publish: {deny: ["$JS.API.STREAM.MSG.GET.KV_PAYMENT_CONTROL"]}`)), nats.UserInfo("admin", "p"))
	b.marked(integrity.Record{Mark: integrity.Mark{Journal: integrity.Position{Sequence: 172, Token: "t"}}, Epoch: integrity.FirstEpoch()})
	for _, f := range b.as("blind").findings(nil) {
		if f.Severity == check.NotVerifiable && f.Check == check.Journal {
			return
		}
	}
	t.Error("it is taken for whole")
}
