package roles_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// flood is a pull that the server answers for a year: a heartbeat as often as it may,
// and every event.
const flood = `{"batch":1000000,"idle_heartbeat":1,"expires":31536000000000000}`

// steady is one that keeps to the bounds of a reader's consumer.
const steady = `{"batch":256,"idle_heartbeat":1,"expires":30000000000}`

// unlimited takes the users' limits out of the files of some accounts, as somebody who
// holds an account's key could: what is left is what the account imports.
func unlimited(t *testing.T, dir string, who ...party) {
	t.Helper()
	for _, p := range who {
		path := filepath.Join(dir, "permissions", p.file)
		imports, _, found := strings.Cut(read(t, path), "default_permissions")
		if !found {
			t.Fatalf("%s has no default permissions", path)
		}
		write(t, path, imports+"default_permissions { publish: \">\", subscribe: \">\" }\n")
	}
}

// beats waits until a consumer that somebody may read has sent a few heartbeats, after
// it has delivered an event: whatever the server sends in that time has been sent.
func (w *world) beats(p party, n int) {
	w.t.Helper()
	nc := w.connect(p)
	inbox, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		w.t.Fatal(err)
	}
	const pull = `{"batch":256,"idle_heartbeat":100000000,"expires":30000000000}`
	if err := nc.PublishRequest("$JS.payments.API.CONSUMER.MSG.NEXT.PAYMENT_EVENTS."+p.durable(), inbox.Subject, []byte(pull)); err != nil {
		w.t.Fatal(err)
	}
	for n > 0 {
		m, err := inbox.NextMsgWithContext(w.ctx())
		if err != nil {
			w.t.Fatal(err)
		}
		switch m.Header.Get("Status") {
		case "100":
			n--
		case "":
		default:
			w.t.Fatalf("the pull of %s ended: %v", p.name, m.Header)
		}
	}
}

// stored is how many messages a stream has ever taken.
func (w *world) stored(stream string) uint64 {
	w.t.Helper()
	s, err := w.stream(consumer()).Stream(w.ctx(), stream)
	if err != nil {
		w.t.Fatal(err)
	}
	return s.CachedInfo().State.LastSeq
}

// One message from one order service stopped all payments: a pull whose answers are
// commands. It holds whatever the users of the accounts may do.
func TestAPullWhoseAnswersShallBeCommandsStoresNone(t *testing.T) {
	t.Parallel()
	attackers := []party{ordersEG(), ordersEGRead(), ordersPL(), ledger(), reader()}
	for _, limits := range []string{"as shipped", "without limits"} {
		for name, as := range map[string]func(*testing.T, string) login{
			"by key":         func(t *testing.T, _ string) login { return byKey(t) },
			"by credentials": func(t *testing.T, dir string) login { return byCredentials(t, dir) },
		} {
			t.Run(limits+", "+name, func(t *testing.T) {
				t.Parallel()
				dir := layout(t)
				if limits == "without limits" {
					unlimited(t, dir, attackers...)
				}
				w := start(t, dir, as(t, dir))
				for _, p := range attackers {
					nc := w.connect(p)
					for _, api := range []string{"$JS.API.", "$JS.payments.API."} {
						for _, durable := range []string{"orders-eg", "orders-ua", "orders-pl", "ledger", "payment-consumer"} {
							for _, reply := range []string{"payment.refund.requested." + provider(p), "payment.refund.requested", "payment.cancel.requested." + provider(p)} {
								for _, pull := range []string{flood, steady} {
									for _, stream := range []string{"PAYMENT_EVENTS.", "PAYMENT_REFUSALS."} {
										if err := nc.PublishRequest(api+"CONSUMER.MSG.NEXT."+stream+durable, reply, []byte(pull)); err != nil {
											t.Fatal(err)
										}
									}
								}
							}
						}
					}
					if err := nc.Flush(); err != nil {
						t.Fatal(err)
					}
					nc.Close() // the server would go on without the attacker
				}
				w.events()
				w.beats(ordersUARead(), 3)
				if n := w.stored("PAYMENT_COMMANDS"); n != 0 {
					t.Errorf("the attack stored %d commands", n)
				}
			})
		}
	}
}

// This holds why publishing and reading are two accounts: if a newer server refuses
// it, one account is enough.
func TestInOneAccountAPullIsAWayIntoTheCommands(t *testing.T) {
	t.Parallel()
	dir := layout(t)
	both := func(files ...party) string {
		var imports strings.Builder
		for _, p := range files {
			_, text, _ := strings.Cut(read(t, filepath.Join(dir, "permissions", p.file)), "imports: [\n")
			text, _, _ = strings.Cut(text, "\n]\n")
			imports.WriteString(text + "\n")
		}
		return "imports: [\n" + imports.String() + "]\ndefault_permissions { publish: \">\", subscribe: \">\" }\n"
	}
	write(t, filepath.Join(dir, "permissions", ordersEG().file), both(ordersEG(), ordersEGRead()))
	w := start(t, dir, byKey(t))
	nc := w.connect(ordersEG())
	if err := nc.PublishRequest("$JS.payments.API.CONSUMER.MSG.NEXT.PAYMENT_EVENTS.orders-eg", "payment.refund.requested.opay-eg",
		[]byte(steady)); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	nc.Close()
	w.beats(ordersUARead(), 5) // half a second
	if n := w.stored("PAYMENT_COMMANDS"); n < 20 {
		t.Errorf("%d heartbeats are among the commands, want many: accounts need not be apart", n)
	}
}

// request asks as somebody and returns the server's answer: its error code, or 0; or
// that there was none.
func (w *world) request(nc *nats.Conn, subject string, body any) (code int, answered bool) {
	w.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	inbox, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		w.t.Fatal(err)
	}
	refusal := w.objection(nc, func() error { return nc.PublishRequest(subject, inbox.Subject, data) })
	if errors.Is(refusal, nats.ErrPermissionViolation) {
		return 0, false
	}
	m, err := inbox.NextMsgWithContext(w.ctx())
	if err != nil {
		w.t.Fatalf("%s asks %s: %v", nc.Opts.Name, subject, err)
	}
	var answer struct {
		Error struct {
			Code int `json:"err_code"`
		} `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return 0, false // no responders: nobody imports it
	}
	return answer.Error.Code, true
}

// A stream that publishes what it takes in once more, as a command: who may create it
// refunds any payment.
func TestNobodyOutsideCreatesAStreamThatPublishesCommands(t *testing.T) {
	t.Parallel()
	dir := layout(t)
	for name, as := range logins(t, dir) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, dir, as)
			before := w.held()
			for _, p := range []party{ordersEG(), ordersEGRead(), ordersPL(), ledger(), reader(), operator(), provisioner(), recovery(), consumer()} {
				nc := w.connect(p)
				for _, api := range []string{"$JS.API.", "$JS.payments.API."} {
					for _, verb := range []string{"CREATE", "UPDATE"} {
						evil := map[string]any{
							"name": "EVIL", "subjects": []string{"payments.desk.queue.operator"}, "retention": "limits", "storage": "file", "discard": "old",
							"republish": map[string]string{"src": ">", "dest": "payment.refund.requested.opay-eg"},
						}
						if _, answered := w.request(nc, api+"STREAM."+verb+".EVIL", evil); answered {
							t.Errorf("%s asks %sSTREAM.%s.EVIL and is answered", p.name, api, verb)
						}
						for _, stream := range streams() {
							evil["name"], evil["subjects"] = stream, []string{"payments.desk.queue.operator", "payment.>"}
							code, answered := w.request(nc, api+"STREAM."+verb+"."+stream, evil)
							// The provisioner may ask to create what is there already.
							if answered && (p != provisioner() || verb != "CREATE" || code == 0) {
								t.Errorf("%s asks %sSTREAM.%s.%s: answered %d", p.name, api, verb, stream, code)
							}
						}
					}
				}
			}
			if diff := cmp.Diff(before, w.held()); diff != "" {
				t.Errorf("the streams have changed (-before +after):\n%s", diff)
			}
			if _, err := w.stream(observer()).Stream(w.ctx(), "EVIL"); !errors.Is(err, jetstream.ErrStreamNotFound) {
				t.Errorf("the attacker's stream: %v", err)
			}
		})
	}
}

// A life time of 200 ms and back: the journal is empty, and an honest repeat was paid
// twice.
func TestNobodyChangesHowLongTheJournalLives(t *testing.T) {
	t.Parallel()
	dir := layout(t)
	for name, as := range logins(t, dir) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, dir, as)
			w.events()
			before := w.held()
			s, err := w.stream(observer()).Stream(w.ctx(), "PAYMENT_EVENTS")
			if err != nil {
				t.Fatal(err)
			}
			short := s.CachedInfo().Config
			short.MaxAge = 200 * time.Millisecond
			for _, p := range parties() {
				nc := w.connect(p)
				for _, api := range []string{"$JS.API.", "$JS.payments.API."} {
					if code, answered := w.request(nc, api+"STREAM.UPDATE.PAYMENT_EVENTS", short); answered {
						t.Errorf("%s may update the journal: answered %d", p.name, code)
					}
				}
			}
			if diff := cmp.Diff(before, w.held()); diff != "" {
				t.Errorf("the streams have changed (-before +after):\n%s", diff)
			}
		})
	}
}

// What a reader's own consumer lets through: a pull beyond the bounds is refused.
func TestAPullBeyondTheBoundsIsRefused(t *testing.T) {
	t.Parallel()
	w := start(t, layout(t), byKey(t))
	for body, want := range map[string]string{
		`{"batch":257,"expires":1000000000}`:  "Exceeded MaxRequestBatch of 256",
		`{"batch":1,"expires":30100000000}`:   "Exceeded MaxRequestExpires of 30s",
		flood:                                 "Exceeded MaxRequestBatch of 256",
		`{"batch":256,"expires":2000000000}`:  "",
		`{"batch":256,"expires":29900000000}`: "",
	} {
		nc := w.connect(ledger())
		inbox, err := nc.SubscribeSync(nc.NewInbox())
		if err != nil {
			t.Fatal(err)
		}
		if err := nc.PublishRequest("$JS.payments.API.CONSUMER.MSG.NEXT.PAYMENT_EVENTS.ledger", inbox.Subject, []byte(body)); err != nil {
			t.Fatal(err)
		}
		if want == "" {
			continue
		}
		m, err := inbox.NextMsgWithContext(w.ctx())
		if err != nil || m.Header.Get("Status") != "409" || m.Header.Get("Description") != want {
			t.Errorf("%s: answered %v, %v; want %q", body, m, err, want)
		}
	}
	// Two pulls of the ledger may wait, and two do: a third is refused.
	nc := w.connect(ledger())
	inbox, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := nc.PublishRequest("$JS.payments.API.CONSUMER.MSG.NEXT.PAYMENT_EVENTS.ledger", inbox.Subject, []byte(`{"batch":1,"expires":29000000000}`)); err != nil {
			t.Fatal(err)
		}
	}
	if m, err := inbox.NextMsgWithContext(w.ctx()); err != nil || m.Header.Get("Description") != "Exceeded MaxWaiting" {
		t.Errorf("a third pull: answered %v, %v", m, err)
	}
}

// pushed is the work of an order service with one account: it publishes, and results
// are pushed to it.
func TestAnOrderServiceWithOneAccountHasItsResultsPushed(t *testing.T) {
	t.Parallel()
	dir := layout(t)
	for name, as := range logins(t, dir) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, dir, as)
			js := w.stream(ordersPL())
			if _, err := js.Publish(w.ctx(), "payment.refund.requested.openpay-pl", []byte("{}"), jetstream.WithExpectStream("PAYMENT_COMMANDS")); err != nil {
				t.Fatal(err)
			}
			c, err := js.PushConsumer(w.ctx(), "PAYMENT_EVENTS", "orders-pl")
			if err != nil {
				t.Fatal(err)
			}
			const n = 3000 // more than one round of flow control
			got := make(chan string, n)
			running, err := c.Consume(func(m jetstream.Msg) {
				if err := m.Ack(); err != nil {
					t.Errorf("acknowledge: %v", err)
				}
				got <- m.Subject()
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(running.Stop)
			service := w.stream(consumer())
			body := []byte(`{"padding":"` + strings.Repeat("x", 3000) + `"}`)
			for i := range n {
				if _, err := service.PublishAsync(fmt.Sprintf("payment.refund.succeeded.openpay-pl.%d.1", i), body); err != nil {
					t.Fatal(err)
				}
			}
			for i := range n {
				select {
				case s := <-got:
					if want := fmt.Sprintf("payment.refund.succeeded.openpay-pl.%d.1", i); s != want {
						t.Fatalf("result %d is %s, want %s", i, s, want)
					}
				case <-w.ctx().Done():
					t.Fatalf("after %d results no more came", i)
				}
			}
		})
	}
}

// Refusals are pushed to another subject than results, from another consumer.
func TestAnOrderServiceWithOneAccountHasItsRefusalsPushed(t *testing.T) {
	t.Parallel()
	w := start(t, layout(t), byKey(t))
	js := w.stream(ordersPL())
	got := make(chan string, 4)
	for _, stream := range []string{"PAYMENT_EVENTS", "PAYMENT_REFUSALS"} {
		c, err := js.PushConsumer(w.ctx(), stream, "orders-pl")
		if err != nil {
			t.Fatal(err)
		}
		running, err := c.Consume(func(m jetstream.Msg) {
			if err := m.DoubleAck(w.ctx()); err != nil {
				t.Errorf("acknowledge: %v", err)
			}
			got <- m.Subject()
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(running.Stop)
	}
	service := w.stream(consumer())
	for _, subject := range []string{"payment.command.rejected.1-0", "payment.refund.succeeded.openpay-pl.1.1"} {
		if _, err := service.Publish(w.ctx(), subject, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		select {
		case s := <-got:
			if s != subject {
				t.Errorf("pushed %s, want %s", s, subject)
			}
		case <-w.ctx().Done():
			t.Fatalf("%s was not pushed", subject)
		}
	}
}

// docs/security.md says that Countermand's own credential moves money, and erases
// timers: if a newer server or file prevents that, the page can say less.
func TestTheConsumersOwnCredentialCanMoveMoneyAndErasesTimers(t *testing.T) {
	t.Parallel()
	w := start(t, layout(t), byKey(t))
	js := w.stream(consumer())
	for _, subject := range []string{"payment.refund.requested", "$KV.PAYMENT_CONTROL.opay-eg"} {
		if _, err := js.Publish(w.ctx(), subject, []byte("{}")); err != nil {
			t.Errorf("publish to %s: %v", subject, err)
		}
	}
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for i := range 3 {
		timer := &nats.Msg{
			Subject: fmt.Sprintf("payment.schedule.refund.opay-eg.%d.0", i), Data: []byte("{}"),
			Header: nats.Header{"Nats-Schedule": {"@at " + later}, "Nats-Schedule-Target": {"payment.due.refund"}},
		}
		if i == 2 {
			timer.Header = nats.Header{"Nats-Rollup": {"all"}}
		}
		if _, err := js.PublishMsg(w.ctx(), timer); err != nil {
			t.Fatal(err)
		}
	}
	s, err := js.Stream(w.ctx(), "PAYMENT_DUE")
	if err != nil {
		t.Fatal(err)
	}
	if n := s.CachedInfo().State.Msgs; n != 1 {
		t.Errorf("%d timers are left, want 1: a roll-up erases no timers any more", n)
	}
}

// What is left to a stolen provisioner's credential, and what is not.
// No permission narrows this: the server looks at the consumer's name and filter, never
// at its other settings.
func TestAProvisionersCredentialHasANamedConsumerDeletedAndMadeToDeliverCommands(t *testing.T) {
	t.Parallel()
	w := start(t, layout(t), byKey(t))
	nc := w.connect(provisioner())
	const create = "$JS.API.CONSUMER.CREATE.PAYMENT_EVENTS.ledger"
	put := func(settings map[string]any) (code int) {
		settings["name"], settings["durable_name"] = "ledger", "ledger"
		code, answered := w.request(nc, create, map[string]any{"stream_name": "PAYMENT_EVENTS", "config": settings})
		if !answered {
			t.Fatal("not answered")
		}
		return code
	}
	info := func() (config map[string]any) {
		m, err := nc.RequestWithContext(w.ctx(), "$JS.API.CONSUMER.INFO.PAYMENT_EVENTS.ledger", nil)
		if err != nil {
			t.Fatal(err)
		}
		var is struct {
			Config map[string]any `json:"config"`
		}
		if err := json.Unmarshal(m.Data, &is); err != nil {
			t.Fatal(err)
		}
		return is.Config
	}
	settings := info()
	settings["inactive_threshold"] = int64(100 * time.Millisecond)
	if code := put(settings); code != 0 {
		t.Fatalf("the threshold is refused: %d", code)
	}
	for info() != nil { // until the server has deleted it
	}
	const busy = 10012 // its files go a moment later
	code := busy
	for code == busy {
		code = put(map[string]any{"ack_policy": "none", "deliver_subject": "payment.refund.requested", "filter_subject": "payment.*.succeeded.>"})
	}
	if code != 0 {
		t.Errorf("the server refuses it now (%d): the page can say less", code)
	}
}

func TestAProvisionersCredentialTurnsNoConsumerThatIsThereIntoOneThatPublishes(t *testing.T) {
	t.Parallel()
	w := start(t, layout(t), byKey(t))
	w.events()
	before := w.held()
	nc := w.connect(provisioner())
	// A consumer that exists is not turned into one that publishes.
	for _, name := range []string{"orders-eg", "ledger", "payment-consumer"} {
		code, answered := w.request(nc, "$JS.API.CONSUMER.CREATE.PAYMENT_EVENTS."+name, map[string]any{
			"stream_name": "PAYMENT_EVENTS", "config": map[string]any{
				"name": name, "durable_name": name, "ack_policy": "explicit", "deliver_subject": "payment.refund.requested",
			},
		})
		if !answered || code == 0 {
			t.Errorf("consumer %s: answered %t, %d", name, answered, code)
		}
	}
	if diff := cmp.Diff(before, w.held()); diff != "" {
		t.Errorf("the streams have changed (-before +after):\n%s", diff)
	}
}
