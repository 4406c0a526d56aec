package roles_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
)

// streams are those of the service.
func streams() []string {
	return []string{"PAYMENT_COMMANDS", "PAYMENT_EVENTS", "PAYMENT_DUE", "PAYMENT_REFUSALS", "PAYMENT_REJECTED"}
}

// mayNotPublish is what nobody of the role may publish to. Every line is tried under
// every way to log in.
func mayNotPublish() map[party][]string {
	writing := []string{
		"payment.refund.succeeded.opay-eg.1.1", "payment.cancel.started.opay-eg.1.1", "payment.command.rejected.1-0",
		"payment.operator.resolved.1", "payment.due.refund", "payment.quarantine.1-0",
	}
	timers := []string{"payment.schedule.refund.opay-eg.1.0"}
	commands := []string{"payment.refund.requested", "payment.cancel.requested", "payment.refund.requested.tranzzo-ua", "payment.cancel.requested.tranzzo-ua"}
	own := []string{"payment.refund.requested.opay-eg", "payment.cancel.requested.opay-eg"}
	control := []string{"$KV.PAYMENT_CONTROL.opay-eg", "$KV.PAYMENT_CONTROL._mark"}
	var destroying, changing, creating, reading, kept []string
	for _, api := range []string{"$JS.API.", "$JS.payments.API."} {
		for _, s := range append(streams(), "KV_PAYMENT_CONTROL") {
			destroying = append(destroying, api+"STREAM.DELETE."+s, api+"STREAM.RESTORE."+s, api+"STREAM.SNAPSHOT."+s)
			destroying = append(destroying, api+"STREAM.PURGE."+s)
			if s != "PAYMENT_REJECTED" {
				destroying = append(destroying, api+"STREAM.MSG.DELETE."+s)
			}
			changing = append(changing, api+"STREAM.UPDATE."+s)
			creating = append(creating, api+"STREAM.CREATE."+s, api+"CONSUMER.CREATE."+s, api+"CONSUMER.CREATE."+s+".spy",
				api+"CONSUMER.CREATE."+s+".spy.payment.>", api+"CONSUMER.DURABLE.CREATE."+s+".payment-consumer")
		}
		creating = append(creating, api+"STREAM.CREATE.EVIL", api+"STREAM.UPDATE.EVIL", api+"CONSUMER.DELETE.PAYMENT_EVENTS.ledger")
		kept = append(kept, api+"STREAM.MSG.GET.PAYMENT_REJECTED", api+"STREAM.MSG.DELETE.PAYMENT_REJECTED")
		reading = append(reading, api+"DIRECT.GET.PAYMENT_REJECTED",
			api+"CONSUMER.DELETE.PAYMENT_COMMANDS.payment-consumer", api+"CONSUMER.PAUSE.PAYMENT_COMMANDS.payment-consumer")
	}
	taking := []string{
		"$JS.API.CONSUMER.MSG.NEXT.PAYMENT_COMMANDS.payment-consumer", "$JS.payments.API.CONSUMER.MSG.NEXT.PAYMENT_COMMANDS.payment-consumer",
		"$JS.payments.API.CONSUMER.MSG.NEXT.PAYMENT_EVENTS.payment-consumer",
		"$JS.ACK.PAYMENT_COMMANDS.payment-consumer.1.1.1.1.1", "$JS.ACK.PAYMENT_DUE.payment-consumer.1.1.1.1.1", "$JS.ACK.PAYMENT_EVENTS.payment-consumer.1.1.1.1.1",
	}
	journal := []string{"$JS.API.STREAM.MSG.GET.PAYMENT_EVENTS", "$JS.payments.API.STREAM.MSG.GET.PAYMENT_EVENTS"}
	refusals := []string{"$JS.API.STREAM.MSG.GET.PAYMENT_REFUSALS", "$JS.payments.API.STREAM.MSG.GET.PAYMENT_REFUSALS"}
	durables := func(of ...string) (all []string) {
		for _, name := range of {
			for _, on := range []string{"PAYMENT_EVENTS.", "PAYMENT_REFUSALS."} {
				all = append(all, "$JS.payments.API.CONSUMER.MSG.NEXT."+on+name, "$JS.payments.API.CONSUMER.INFO."+on+name,
					"$JS.API.CONSUMER.MSG.NEXT."+on+name, "$JS.ACK."+on+name+".1.1.1.1.1", "$JS.FC."+on+name+".1")
			}
		}
		return all
	}
	const create = "$JS.payments.API.CONSUMER.CREATE.PAYMENT_EVENTS."
	readers := []string{
		create + "orders-eg", create + "orders-eg.payment.*.*.opay-eg.*.*", create + "orders-eg.payment.>", create + "ledger",
		create + "ledger.payment.*.succeeded.>", "$JS.payments.API.CONSUMER.DELETE.PAYMENT_EVENTS.orders-eg",
	}
	ruling := []string{"payments.desk.resolve.operator", "payments.control.pause.operator", "payments.control.resume.orders-eg", "payments.control.journal-accept.operator", "payments.control.journal-status.orders-eg", "payments.desk.queue.orders-eg", "$SRV.PING", "payments.status.tranzzo-ua.x", "payments.status.bento-uk"}
	asking := []string{"payments.status", "payments.status.tranzzo-ua"}
	outside := join(writing, refusals, timers, control, destroying, changing, creating, readers, reading, kept, taking, ruling, asking)
	others := join(outside, commands, own, []string{"payments.status.opay-eg"})
	return map[party][]string{
		ordersEG():     join(outside, commands, journal, durables("orders-eg", "orders-ua", "orders-pl", "ledger")),
		ordersEGRead(): join(others, journal, durables("orders-ua", "orders-pl", "ledger"), []string{"$JS.payments.API.STREAM.INFO.PAYMENT_COMMANDS"}),
		ordersUA():     join(writing, timers, control, own, journal, readers, creating, durables("orders-eg", "orders-ua", "ledger"), []string{"payments.status", "payments.status.opay-eg"}),
		ordersPL():     join(outside, commands, own, journal, durables("orders-eg", "ledger"), []string{"$JS.payments.API.CONSUMER.MSG.NEXT.PAYMENT_EVENTS.orders-pl", "$JS.payments.API.CONSUMER.MSG.NEXT.PAYMENT_REFUSALS.orders-pl"}),
		ledger():       join(others, journal, durables("orders-eg", "orders-ua", "orders-pl"), []string{"$JS.payments.API.STREAM.INFO.PAYMENT_COMMANDS"}),
		reader():       join(others, durables("orders-eg", "orders-ua", "orders-pl", "ledger"), []string{"$JS.API.STREAM.INFO.PAYMENT_REJECTED", "$JS.API.STREAM.INFO.KV_PAYMENT_CONTROL"}),
		recovery(): join(commands, own, control[:1], destroying, changing, ruling, asking, []string{
			"payment.operator.journal_propose.1", "payment.operator.journal_accepted.1", "payment.operator.journal_released.1", "payment.operator.journal_trusted.1",
			"payment.due.refund", "payment.quarantine.1-0", "$JS.API.STREAM.CREATE.EVIL", "$JS.API.STREAM.UPDATE.EVIL", "$JS.API.CONSUMER.CREATE.PAYMENT_REJECTED.spy",
		}),
		operator(): join(writing, refusals, timers, commands, own, control, destroying, changing, creating, readers, reading, kept, taking, journal, durables("orders-eg", "ledger", "operator"), []string{
			"$JS.API.INFO", "$JS.API.STREAM.LIST", "$JS.API.STREAM.INFO.PAYMENT_EVENTS", "$JS.API.STREAM.MSG.GET.PAYMENT_DUE", "$JS.API.STREAM.MSG.GET.KV_PAYMENT_CONTROL", "payments.status.opay-eg", "payments.control.pause.alice", "payments.control.resume.operator.x", "payments.control.journal-accept.alice", "payment.operator.journal_accepted.1", "payments.desk.resolve.alice", "payments.desk.resolve.operator.x", "$SRV.PING",
		}),
		provisioner(): join(writing, refusals, timers, control, destroying, changing, reading, kept, taking, ruling, asking, commands, own, journal, []string{
			"$JS.API.STREAM.CREATE.EVIL", "$JS.API.CONSUMER.CREATE.PAYMENT_EVENTS.spy", "$JS.API.CONSUMER.CREATE.PAYMENT_EVENTS.spy.payment.>",
			"$JS.API.CONSUMER.CREATE.PAYMENT_REJECTED.payment-consumer", "$JS.API.CONSUMER.DELETE.PAYMENT_EVENTS.ledger", "$JS.API.CONSUMER.MSG.NEXT.PAYMENT_EVENTS.ledger",
		}),
		consumer(): join(commands[2:], own, destroying, changing, creating, reading, ruling, []string{"payment.due.refund"}),
	}
}

func join(parts ...[]string) []string {
	var all []string
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func TestEachRoleMayDoNoMoreThanItsFileSays(t *testing.T) {
	t.Parallel()
	dir := layout(t)
	for name, as := range logins(t, dir) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, dir, as)
			before := w.held()
			for p, subjects := range mayNotPublish() {
				nc := w.connect(p)
				for _, subject := range subjects {
					if err := w.objection(nc, func() error { return nc.Publish(subject, nil) }); !errors.Is(err, nats.ErrPermissionViolation) {
						t.Errorf("%s may publish to %s (%v)", p.name, subject, err)
					}
				}
				w.hears(p, nc)
			}
			if diff := cmp.Diff(before, w.held()); diff != "" {
				t.Errorf("the streams have changed (-before +after):\n%s", diff)
			}
		})
	}
}

// hears tries what a party may listen to: its own inbox.
func (w *world) hears(p party, nc *nats.Conn) {
	w.t.Helper()
	for _, subject := range []string{
		"payment.>", ">", "$JS.>", "$JS.EVENT.>", "$KV.>", "$SYS.>",
		"_INBOX.>", "_INBOX_orders-eg.>", "_INBOX_orders-eg-read.>", "_INBOX_orders-ua.>", "_INBOX_ledger.>", "_INBOX_provisioner.>", "payments.results.>", "payments.results.orders-eg",
		"payments.refusals.>", "payments.refusals.orders-eg",
	} {
		own := subject == p.inbox()+".>"
		err := w.objection(nc, func() error { _, err := nc.SubscribeSync(subject); return err })
		if own == (err != nil) {
			w.t.Errorf("%s subscribes to %s: %v", p.name, subject, err)
		}
	}
}

// objection does something and returns the server's objection, if there is
// one: it arrives before the answer to the flush.
func (w *world) objection(nc *nats.Conn, do func() error) error {
	w.t.Helper()
	before := nc.LastError()
	if err := do(); err != nil {
		w.t.Fatal(err)
	}
	if err := nc.FlushTimeout(patience); err != nil {
		w.t.Fatal(err)
	}
	if after := nc.LastError(); after != before { //nolint:errorlint // the same error or another one, whatever it says
		return after
	}
	return nil
}

// held is what the streams hold, how they are set, and what consumers there are.
func (w *world) held() map[string]string {
	w.t.Helper()
	js := w.stream(observer())
	all := map[string]string{}
	for _, name := range streams() {
		s, err := js.Stream(w.ctx(), name)
		if err != nil {
			w.t.Fatal(err)
		}
		info := s.CachedInfo()
		var consumers []string
		for c := range s.ConsumerNames(w.ctx()).Name() {
			consumers = append(consumers, c)
		}
		all[name] = fmt.Sprintf("first %d, last %d, %d messages, %d deleted, consumers %v, %+v",
			info.State.FirstSeq, info.State.LastSeq, info.State.Msgs, info.State.NumDeleted, consumers, info.Config)
	}
	return all
}

// The server never checks the subject an answer shall go to. Whoever is in the
// account of the streams writes into them that way; whoever is not, does not.
func TestAnAnswersSubjectIsNoWayIntoTheStreams(t *testing.T) {
	t.Parallel()
	dir := layout(t)
	for name, as := range logins(t, dir) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, dir, as)
			js := w.stream(consumer())
			for n := range 4 {
				if _, err := js.Publish(w.ctx(), fmt.Sprintf("payment.refund.succeeded.opay-eg.1.%d", n+1), []byte("{}")); err != nil {
					t.Fatal(err)
				}
			}
			before := w.held()
			w.forge(ledger(), "$JS.payments.API.CONSUMER.INFO.PAYMENT_EVENTS.ledger", "")
			w.forge(ledger(), "$JS.payments.API.CONSUMER.MSG.NEXT.PAYMENT_EVENTS.ledger", `{"batch":1,"no_wait":true}`)
			w.forge(ledger(), "$JS.ACK.PAYMENT_EVENTS.ledger.1.1.1.1.0", "+NXT")
			w.forge(ordersEGRead(), "$JS.payments.API.CONSUMER.INFO.PAYMENT_EVENTS.orders-eg", "")
			w.forge(ordersEGRead(), "$JS.payments.API.CONSUMER.MSG.NEXT.PAYMENT_EVENTS.orders-eg", `{"batch":1,"no_wait":true}`)
			w.forge(ordersEGRead(), "$JS.payments.API.CONSUMER.INFO.PAYMENT_REFUSALS.orders-eg", "")
			w.forge(ordersEGRead(), "$JS.payments.API.CONSUMER.MSG.NEXT.PAYMENT_REFUSALS.orders-eg", `{"batch":1,"no_wait":true}`)
			w.forge(ordersEG(), "$JS.payments.API.STREAM.INFO.PAYMENT_COMMANDS", "")
			w.forge(ordersPL(), "$JS.payments.API.CONSUMER.INFO.PAYMENT_EVENTS.orders-pl", "")
			w.forge(ordersPL(), "$JS.ACK.PAYMENT_EVENTS.orders-pl.1.1.1.1.0", "+NXT")
			w.forge(ordersPL(), "$JS.FC.PAYMENT_EVENTS.orders-pl.1", "")
			w.forge(ordersPL(), "$JS.payments.API.CONSUMER.INFO.PAYMENT_REFUSALS.orders-pl", "")
			w.forge(ordersPL(), "$JS.ACK.PAYMENT_REFUSALS.orders-pl.1.1.1.1.0", "+NXT")
			w.forge(ordersPL(), "$JS.FC.PAYMENT_REFUSALS.orders-pl.1", "")
			w.forge(reader(), "$JS.API.STREAM.MSG.GET.PAYMENT_EVENTS", `{"seq":1}`)
			w.forge(reader(), "$JS.API.STREAM.INFO.PAYMENT_EVENTS", "")
			w.forge(ordersEG(), "payments.status.opay-eg", `{"provider":"opay-eg","payment":"1"}`)
			if diff := cmp.Diff(before, w.held()); diff != "" {
				t.Errorf("the streams have changed (-before +after):\n%s", diff)
			}
			w.forge(ordersEG(), "payment.refund.requested.opay-eg", "{}") // its own command is stored, as it may be
			after := w.held()
			delete(before, "PAYMENT_COMMANDS")
			delete(after, "PAYMENT_COMMANDS")
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("the streams have changed (-before +after):\n%s", diff)
			}
		})
	}
}

// forge makes a request whose answer shall go where the party may not write,
// and waits until the server has answered everybody.
func (w *world) forge(p party, request, body string) {
	w.t.Helper()
	nc := w.connect(p)
	for _, reply := range []string{
		"payment.refund.succeeded.opay-eg.1.9", "payment.command.rejected.9-9", "payment.due.refund", "payment.schedule.refund.opay-eg.1.0",
		"payment.quarantine.9-9", "payment.refund.requested.tranzzo-ua", "$JS.API.STREAM.PURGE.PAYMENT_DUE", "$KV.PAYMENT_CONTROL.opay-eg",
	} {
		if err := nc.PublishRequest(request, reply, []byte(body)); err != nil {
			w.t.Fatal(err)
		}
	}
	if strings.HasPrefix(request, "$JS.FC.") { // never answered: what follows on the connection is
		request = "payments.status." + provider(p)
	}
	// The same once more, with an answer that is heard: what came before it has
	// been answered.
	if _, err := nc.RequestWithContext(w.ctx(), request, []byte(body)); err != nil && !errors.Is(err, nats.ErrNoResponders) {
		w.t.Fatalf("%s asks %s: %v", p.name, request, err)
	}
}

// oneAccount is a server where an order service is in the account of the
// streams, allowed what it needs to publish and to follow its provider.
func oneAccount(t *testing.T) (admin, orders jetstream.JetStream) {
	t.Helper()
	s := startServer(t, filepath.Join(t.TempDir(), "nats.conf"), `authorization {users: [
  {user: admin, password: p}
  {user: orders, password: p, permissions: {
    publish: ["payment.refund.requested.opay-eg", "$JS.API.CONSUMER.CREATE.PAYMENT_EVENTS.orders.payment.*.*.opay-eg.*.*"]
    subscribe: "_INBOX_orders.>"
  }}
]}`)
	connect := func(user string) jetstream.JetStream {
		nc, err := nats.Connect(s.ClientURL(), nats.UserInfo(user, "p"), nats.CustomInboxPrefix("_INBOX_"+user))
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
	admin, orders = connect("admin"), connect("orders")
	if _, err := broker.Provision(t.Context(), admin, broker.DefaultTopology()); err != nil {
		t.Fatal(err)
	}
	return admin, orders
}

// holds waits until a stream holds n messages; what it holds in the end is returned.
func holds(t *testing.T, js jetstream.JetStream, stream string, n uint64) uint64 {
	t.Helper()
	again, deadline := time.NewTicker(10*time.Millisecond), time.After(patience/6)
	defer again.Stop()
	for {
		s, err := js.Stream(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		if is := s.CachedInfo().State.Msgs; is == n {
			return is
		}
		select {
		case <-again.C:
		case <-deadline:
			return s.CachedInfo().State.Msgs
		}
	}
}

// These two hold why each party has an account of its own: if a newer server
// refuses this, docs/security.md and the files can say less.
func TestInOneAccountAnAnswersSubjectIsAWayIntoTheJournal(t *testing.T) {
	t.Parallel()
	admin, orders := oneAccount(t)
	if err := orders.Conn().PublishRequest("payment.refund.requested.opay-eg", "payment.refund.succeeded.opay-eg.1.1", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if n := holds(t, admin, "PAYMENT_EVENTS", 1); n != 1 {
		t.Errorf("%d answers are in the journal, want 1", n)
	}
}

func TestInOneAccountAConsumersTargetIsAWayIntoTheCommands(t *testing.T) {
	t.Parallel()
	admin, orders := oneAccount(t)
	if _, err := admin.Publish(t.Context(), "payment.refund.started.opay-eg.1.1", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if _, err := orders.Conn().RequestWithContext(t.Context(), "$JS.API.CONSUMER.CREATE.PAYMENT_EVENTS.orders.payment.*.*.opay-eg.*.*", []byte(`{
		"stream_name": "PAYMENT_EVENTS", "config": {"durable_name": "orders", "filter_subject": "payment.*.*.opay-eg.*.*",
		"ack_policy": "none", "deliver_subject": "payment.refund.requested"}}`)); err != nil {
		t.Fatal(err)
	}
	if n := holds(t, admin, "PAYMENT_COMMANDS", 1); n != 1 {
		t.Errorf("%d events are among the commands, want 1", n)
	}
}
