package broker_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/internal/natstest"
)

// readers are one of each kind.
func readers() []broker.Reader {
	return []broker.Reader{
		{Name: "ledger", Filters: []string{"payment.*.succeeded.>"}},
		{Name: "orders", Filters: []string{"payment.*.*.opay-eg.*.*", "payment.command.rejected.*"}, Pulls: 2},
		{Name: "pushed", Filters: []string{"payment.*.*.opay-eg.*.*"}, Push: true},
	}
}

func TestProvisionCreatesReadersWithBoundsAndBringsThemBackWhereItCan(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.topology.Readers = readers()
	changes, err := broker.Provision(b.ctx(), b.js, b.topology)
	if err != nil || len(changes) != 4 { // orders on two streams
		t.Fatalf("changes %v, %v", changes, err)
	}
	for name, waiting := range map[string]int{"ledger": 4, "orders": 2} {
		c, err := b.js.Consumer(b.ctx(), b.topology.Events, name)
		if err != nil {
			t.Fatal(err)
		}
		is := c.CachedInfo().Config
		if is.MaxWaiting != waiting || is.MaxRequestBatch != 256 || is.MaxRequestExpires != 30*time.Second || len(broker.ReaderFindings(is)) > 0 {
			t.Errorf("%s: %+v", name, is)
		}
		is.MaxRequestBatch, is.MaxRequestExpires, is.FilterSubjects = 0, 0, []string{"payment.>"}
		if _, err := b.js.UpdateConsumer(b.ctx(), b.topology.Events, is); err != nil {
			t.Fatal(err)
		}
	}
	if changes, err = broker.Provision(b.ctx(), b.js, b.topology); err != nil || len(changes) != 6 {
		t.Errorf("changes %v, %v; want batch, expires and filter of two", changes, err)
	}
	// How many pulls may wait is fixed with the creation: a person has to make it anew.
	if err := b.js.DeleteConsumer(b.ctx(), b.topology.Events, "ledger"); err != nil {
		t.Fatal(err)
	}
	made, err := b.js.CreateConsumer(b.ctx(), b.topology.Events, jetstream.ConsumerConfig{
		Durable: "ledger", AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: -1, FilterSubjects: []string{"payment.*.succeeded.>"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, f := range broker.ReaderFindings(made.CachedInfo().Config) {
		named = append(named, f.Setting)
	}
	if want := []string{"max waiting", "max request batch", "max request expires"}; !slices.Equal(named, want) {
		t.Errorf("findings %v, want %v", named, want)
	}
	if changes, err = broker.Provision(b.ctx(), b.js, b.topology); err != nil || changes[0].Kind != broker.Refused || changes[0].Setting != "max waiting" {
		t.Errorf("changes %v, %v; want max waiting refused", changes, err)
	}
}

func TestAReaderThatCoversRefusalsHasAConsumerOnThemToo(t *testing.T) {
	t.Parallel()
	topology := broker.DefaultTopology()
	for _, row := range []struct {
		reader broker.Reader
		want   string // where it is delivered to; empty: pulled
		none   bool
	}{
		{reader: broker.Reader{Name: "orders", Filters: []string{"payment.*.*.opay-eg.*.*", "payment.command.rejected.*"}, Pulls: 2}},
		{reader: broker.Reader{Name: "all", Filters: []string{"payment.>"}}},
		{reader: broker.Reader{Name: "pushed", Filters: []string{"payment.command.>"}, Push: true}, want: "payments.refusals.pushed"},
		{reader: broker.Reader{Name: "ledger", Filters: []string{"payment.*.succeeded.>"}}, none: true},
	} {
		cfg, ok := topology.RefusalsReaderConfig(row.reader)
		if ok == row.none {
			t.Errorf("%s: %t", row.reader.Name, ok)
		}
		if !ok {
			continue
		}
		journal := topology.ReaderConfig(row.reader)
		if !slices.Equal(cfg.FilterSubjects, []string{"payment.command.rejected.*"}) || cfg.DeliverSubject != row.want ||
			cfg.Durable != row.reader.Name || cfg.MaxWaiting != journal.MaxWaiting || !slices.Equal(journal.FilterSubjects, row.reader.Filters) {
			t.Errorf("%s: %+v", row.reader.Name, cfg)
		}
		cfg.Name = cfg.Durable
		if found := broker.ReaderFindings(cfg); len(found) > 0 {
			t.Errorf("%s: %v", row.reader.Name, found)
		}
	}
}

func TestAReadersConsumerMayDeliverToItsOwnPlaceOnly(t *testing.T) {
	t.Parallel()
	for subject, good := range map[string]bool{
		"payments.results.pushed": true, "payments.results.other": false, "payments.refusals.pushed": true, "payments.refusals.other": false, "payment.refund.requested": false, "elsewhere": false,
	} {
		found := broker.ReaderFindings(jetstream.ConsumerConfig{Name: "pushed", DeliverSubject: subject})
		if good != (len(found) == 0) {
			t.Errorf("%s: %v", subject, found)
		}
	}
}

// denying starts a server with a login that may do everything and one that may not publish
// to some subjects.
func denying(t *testing.T, subjects ...string) (admin, some jetstream.JetStream) {
	t.Helper()
	s := natstest.StartConfigured(t, filepath.Join(t.TempDir(), "nats.conf"), `listen: "127.0.0.1:-1"
jetstream {store_dir: "`+t.TempDir()+`"}
authorization {users: [{user: admin, password: p}, {user: some, password: p, permissions: {publish: {deny: ["`+strings.Join(subjects, `", "`)+`"]}}}]}`)
	as := func(user string) jetstream.JetStream {
		nc, err := nats.Connect(s.ClientURL(), nats.UserInfo(user, "p"), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		return js
	}
	return as("admin"), as("some")
}

func TestProvisionDoesAllItMayAndNamesEachRightItLacks(t *testing.T) {
	t.Parallel()
	admin, some := denying(
		t, "$JS.API.STREAM.CREATE.PAYMENT_REJECTED", "$JS.API.STREAM.UPDATE.>", "$JS.API.CONSUMER.INFO.PAYMENT_EVENTS.ledger",
		"$JS.API.CONSUMER.CREATE.PAYMENT_EVENTS.orders",
	)
	topology := broker.DefaultTopology()
	topology.Readers = readers()
	older := topology.CommandsConfig()
	older.MaxMsgSize = 1000
	if _, err := admin.CreateStream(t.Context(), older); err != nil {
		t.Fatal(err)
	}
	changes, err := broker.Provision(t.Context(), some, topology)
	var lacking *broker.NotPermittedError
	if !errors.As(err, &lacking) {
		t.Fatalf("error %v, want the rights that are missing", err)
	}
	want := []string{
		"$JS.API.STREAM.UPDATE.PAYMENT_COMMANDS", "$JS.API.STREAM.CREATE.PAYMENT_REJECTED",
		"$JS.API.CONSUMER.INFO.PAYMENT_EVENTS.ledger", "$JS.API.CONSUMER.CREATE.PAYMENT_EVENTS.orders",
	}
	if !slices.Equal(lacking.Subjects, want) {
		t.Errorf("lacking %v, want %v", lacking.Subjects, want)
	}
	refused, created := 0, 0
	for _, c := range changes {
		switch c.Kind {
		case broker.Refused:
			refused++
			if !strings.Contains(c.String(), "does not permit it to this login") {
				t.Error(c)
			}
		case broker.Created:
			created++
		case broker.Updated:
			t.Error(c)
		}
	}
	if refused != 4 || created != 9 { // four streams, three consumers of the service's, a reader and one's refusals
		t.Errorf("%d refused, %d created: %v", refused, created, changes)
	}
	if changes, err = broker.Provision(t.Context(), admin, topology); err != nil || len(changes) != 4 {
		t.Errorf("with all rights: %v, %v", changes, err)
	}
}
