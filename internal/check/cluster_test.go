package check_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/check"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/providers/opay/opaysim"
)

func TestOneReplicaInAClusterOfThreeIsAWarning(t *testing.T) {
	t.Parallel()
	cluster := natstest.StartCluster(t)
	nc := cluster.Connect(t)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{t: t, js: js, cfg: config.Defaults()}
	b.cfg.Journal.Witness.File = filepath.Join(t.TempDir(), "mark")
	b.cfg.NATS.URL, b.cfg.NATS.Replicas = nc.ConnectedUrl(), 1
	b.provider("opay-eg", opaysim.DefaultMerchantID, opaysim.DefaultSecretKey)
	for _, s := range app.Topology(b.cfg).Streams() {
		cluster.CreateStream(t, js, s)
	}
	if _, err := broker.Provision(b.ctx(), js, app.Topology(b.cfg)); err != nil {
		t.Fatal(err)
	}
	unknown := line{check.NotVerifiable, check.SyncInterval, "sync_interval of the servers"}
	all := b.findings(nil)
	want(t, all, unknown, line{check.Warning, check.Replicas, "nats.replicas"},
		line{check.NotVerifiable, check.Account, "streams, consumers and logins of the account"})
	if all[1].Is != "1 in a cluster of 3 servers" {
		t.Errorf("finding is %v", all[1])
	}

	// Three are wanted, one is there: each stream and consumer is named.
	b.cfg.NATS.Replicas = 3
	var wrong []string
	for _, f := range b.findings(nil) {
		if f.Check == check.Topology && f.Severity == check.Error && f.Is == "1" && f.Want == "3" {
			wrong = append(wrong, f.What)
		}
	}
	if diff := cmp.Diff([]string{
		"stream PAYMENT_COMMANDS, replicas", "stream PAYMENT_EVENTS, replicas", "stream PAYMENT_REFUSALS, replicas", "stream PAYMENT_DUE, replicas", "stream PAYMENT_REJECTED, replicas",
		"stream KV_PAYMENT_CONTROL, replicas",
		"consumer payment-consumer on PAYMENT_COMMANDS, replicas", "consumer payment-consumer on PAYMENT_DUE, replicas", "consumer payment-consumer on PAYMENT_EVENTS, replicas",
	}, wrong); diff != "" {
		t.Errorf("findings differ (-want +got):\n%s", diff)
	}
}

func TestAReplicaThatIsAwayIsAWarning(t *testing.T) {
	t.Parallel()
	cluster := natstest.StartCluster(t)
	nc := cluster.Connect(t)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{t: t, js: js, cfg: config.Defaults()}
	b.provider("opay-eg", opaysim.DefaultMerchantID, opaysim.DefaultSecretKey)
	for _, s := range app.Topology(b.cfg).Streams() {
		cluster.CreateStream(t, js, s)
	}
	if _, err := broker.Provision(b.ctx(), js, app.Topology(b.cfg)); err != nil {
		t.Fatal(err)
	}
	before := b.everything()
	b.cfg.NATS.URL = nc.ConnectedUrl()
	b.findings(&check.Options{Deep: true})
	if diff := cmp.Diff(before, b.everything()); diff != "" {
		t.Errorf("a check has changed the replicated streams (-before +after):\n%s", diff)
	}
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	stopped := ""
	for ctx := b.ctx(); ; {
		if stopped == "" {
			stopped = cluster.StopFollower(t, b.cfg.Streams.Events)
		}
		b.cfg.NATS.URL = nc.ConnectedUrl()
		for _, f := range b.findings(nil) {
			if stopped != "" && f.Check == check.Replicas && f.Severity == check.Warning && f.What == "stream PAYMENT_EVENTS on "+stopped {
				return
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("that %s is away was not noticed", stopped)
		}
	}
}
