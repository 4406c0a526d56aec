package check_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/check"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/internal/natstest"
)

// of returns the findings of one check.
func of(all []check.Finding, name string) []check.Finding {
	var out []check.Finding
	for _, f := range all {
		if f.Check == name {
			out = append(out, f)
		}
	}
	return out
}

// listening is what the service subscribes to.
const listening = `, subscribe: ["_INBOX.>", "payments.desk.*.*", "payments.status", "payments.status.*", "$SRV.>"]`

func TestALoginThatMayDoEverythingIsAWarningAndOneLineTooManyAnError(t *testing.T) {
	t.Parallel()
	with := func(more ...string) string {
		return "publish: " + quoted(append(append(needed(), looking()...), more...)) + listening
	}
	b := provisioned(t, users(
		user("service", with()), user("updating", with("$JS.API.STREAM.UPDATE.*")), user("creating", with("$JS.API.STREAM.CREATE.>")),
	), nats.UserInfo("admin", "p"))
	b.js.Conn().Close()
	want(t, of(b.as("service").all(nil), check.Login))
	want(t, of(b.as("admin").all(nil), check.Login), line{check.Warning, check.Login, "a client without credentials"})
	var lines []line
	for _, s := range []string{"PAYMENT_COMMANDS", "PAYMENT_EVENTS", "PAYMENT_DUE", "PAYMENT_REFUSALS", "PAYMENT_REJECTED", "KV_PAYMENT_CONTROL"} {
		lines = append(lines, line{check.Error, check.Login, "publish to $JS.API.STREAM.UPDATE." + s})
	}
	want(t, of(b.as("updating").all(nil), check.Login), lines...)
	want(t, of(b.as("creating").all(nil), check.Login), line{check.Error, check.Login, "publish to $JS.API.STREAM.CREATE.countermand-check"})
}

func TestAnotherLoginInTheAccountIsNamedOnce(t *testing.T) {
	t.Parallel()
	text := users(user("service", "publish: "+quoted(needed())+listening), user("shop", `publish: "x"`))
	b := provisioned(t, text, nats.UserInfo("admin", "p"))
	b.js.Conn().Close()
	for range 2 {
		nc, err := nats.Connect(b.server.ClientURL(), nats.UserInfo("shop", "p"), nats.Name("a shop"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
	}
	found := of(b.as("service").all(nil), check.Login)
	if len(found) != 1 || found[0].Severity != check.Warning || !strings.HasPrefix(found[0].What, `shop (client "a shop" from 127.0.0.1)`) || found[0].Is != "connected in the account P" {
		t.Errorf("found %v", found)
	}
}

// raw makes a request of the API as no library would.
func (b *bundle) raw(subject string, body map[string]any) {
	b.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		b.t.Fatal(err)
	}
	m, err := b.js.Conn().RequestWithContext(b.ctx(), "$JS.API."+subject, data)
	if err != nil {
		b.t.Fatal(err)
	}
	if strings.Contains(string(m.Data), `"error"`) {
		b.t.Fatalf("%s: %s", subject, m.Data)
	}
}

func TestEveryWayAroundThePermissionsOfAServerIsNamed(t *testing.T) {
	t.Parallel()
	is := func(what string) line { return line{check.Error, check.Account, what} }
	topology := func(what string) line { return line{check.Error, check.Topology, what} }
	deliver := func(stream, subject string) func(*bundle) {
		return func(b *bundle) {
			b.raw("STREAM.CREATE.OUTBOX", map[string]any{"name": "OUTBOX", "subjects": []string{"outbox.>"}, "storage": "file", "retention": "limits", "discard": "old"})
			if _, err := b.js.CreatePushConsumer(b.ctx(), stream, jetstream.ConsumerConfig{
				Durable: "p", DeliverSubject: subject, AckPolicy: jetstream.AckExplicitPolicy,
			}); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	reader := func(change func(*jetstream.ConsumerConfig)) func(*bundle) {
		return func(b *bundle) {
			b.cfg.Readers = []config.Reader{{Name: "ledger", Filters: []string{"payment.*.succeeded.>", "payment.*.returned.>"}}}
			t := app.Topology(b.cfg)
			if _, err := broker.Provision(b.ctx(), b.js, t); err != nil {
				b.t.Fatal(err)
			}
			cfg := t.ReaderConfig(t.Readers[0])
			change(&cfg)
			if _, err := b.js.UpdateConsumer(b.ctx(), t.Events, cfg); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		do   func(*bundle)
		want []line
	}{
		"a stream that publishes commands": {func(b *bundle) {
			b.raw("STREAM.CREATE.EVIL", map[string]any{
				"name": "EVIL", "subjects": []string{"x.*"}, "storage": "file", "retention": "limits", "discard": "old",
				"republish": map[string]string{"src": "x.*", "dest": "payment.refund.requested.{{wildcard(1)}}"},
			})
		}, []line{is("stream EVIL, republish")}},
		"one that publishes elsewhere": {func(b *bundle) {
			b.raw("STREAM.CREATE.FINE", map[string]any{
				"name": "FINE", "subjects": []string{"x.>"}, "storage": "file", "retention": "limits", "discard": "old",
				"republish": map[string]string{"src": "x.>", "dest": "y.>"},
			})
		}, nil},
		"one that answers in the service's place": {func(b *bundle) {
			b.raw("STREAM.CREATE.DESK", map[string]any{"name": "DESK", "subjects": []string{"payments.desk.*.*"}, "storage": "file", "retention": "limits", "discard": "old"})
		}, []line{is("stream DESK, subjects")}},
		"a journal that is published once more": {func(b *bundle) {
			cfg := app.Topology(b.cfg).EventsConfig()
			cfg.RePublish = &jetstream.RePublish{Source: ">", Destination: "copy.>"}
			if _, err := b.js.UpdateStream(b.ctx(), cfg); err != nil {
				b.t.Fatal(err)
			}
		}, []line{topology("stream PAYMENT_EVENTS, republish")}},
		"commands that come from another stream": {func(b *bundle) {
			b.raw("STREAM.CREATE.EVIL", map[string]any{"name": "EVIL", "subjects": []string{"x"}, "storage": "file", "retention": "limits", "discard": "old"})
			cfg := app.Topology(b.cfg).CommandsConfig()
			cfg.Sources = []*jetstream.StreamSource{{Name: "EVIL"}}
			if _, err := b.js.UpdateStream(b.ctx(), cfg); err != nil {
				b.t.Fatal(err)
			}
		}, []line{topology("stream PAYMENT_COMMANDS, sources")}},
		"a quarantine that copies another stream": {func(b *bundle) {
			b.raw("STREAM.CREATE.EVIL", map[string]any{"name": "EVIL", "subjects": []string{"x"}, "storage": "file", "retention": "limits", "discard": "old"})
			natstest.DeleteStream(b.t, b.server, b.js, "PAYMENT_REJECTED")
			b.raw("STREAM.CREATE.PAYMENT_REJECTED", map[string]any{
				"name": "PAYMENT_REJECTED", "mirror": map[string]string{"name": "EVIL"}, "storage": "file", "retention": "limits", "discard": "old",
			})
		}, []line{
			topology("stream PAYMENT_REJECTED, mirror"), topology("stream PAYMENT_REJECTED, subjects"),
			topology("stream PAYMENT_REJECTED, max age"), topology("stream PAYMENT_REJECTED, max bytes"),
		}},
		"results that are delivered as commands": {func(b *bundle) {
			b.raw("CONSUMER.CREATE.PAYMENT_EVENTS.spy", map[string]any{"stream_name": "PAYMENT_EVENTS", "config": map[string]any{
				"name": "spy", "ack_policy": "none", "deliver_subject": "payment.refund.requested",
			}})
		}, []line{is("consumer spy on PAYMENT_EVENTS, deliver subject")}},
		"a stranger's stream that is delivered as commands":        {deliver("OUTBOX", "payment.refund.requested.opay-eg"), []line{is("consumer p on OUTBOX, deliver subject")}},
		"one that is delivered as a timer that is due":             {deliver("OUTBOX", "payment.due.refund"), []line{is("consumer p on OUTBOX, deliver subject")}},
		"one that is delivered to the service in a person's place": {deliver("OUTBOX", "payments.control.resume.operator"), []line{is("consumer p on OUTBOX, deliver subject")}},
		"one that is delivered as an audit event":                  {deliver("OUTBOX", "payment.operator.resolve.X"), []line{is("consumer p on OUTBOX, deliver subject")}},
		"one that is delivered as a reader's results":              {deliver("OUTBOX", "payments.results.ledger"), []line{is("consumer p on OUTBOX, deliver subject")}},
		"one that is delivered to the bucket":                      {deliver("OUTBOX", "$KV.PAYMENT_CONTROL._epoch"), []line{is("consumer p on OUTBOX, deliver subject")}},
		"one that is delivered elsewhere":                          {deliver("OUTBOX", "elsewhere.x"), nil},
		"refusals delivered under the service's own name": {func(b *bundle) {
			if _, err := b.js.CreatePushConsumer(b.ctx(), "PAYMENT_REFUSALS", jetstream.ConsumerConfig{
				Durable: "payment-consumer", DeliverSubject: "payment.refund.requested.opay-eg", AckPolicy: jetstream.AckExplicitPolicy,
			}); err != nil {
				b.t.Fatal(err)
			}
		}, []line{is("consumer payment-consumer on PAYMENT_REFUSALS, deliver subject")}},
		"one that takes timers away": {func(b *bundle) {
			if _, err := b.js.CreateConsumer(b.ctx(), "PAYMENT_DUE", jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy, Name: "thief", FilterSubject: "payment.schedule.>"}); err != nil {
				b.t.Fatal(err)
			}
		}, []line{is("consumer thief on PAYMENT_DUE")}},
		"a reader whose results are given up": {reader(func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 1 }), []line{is("consumer ledger on PAYMENT_EVENTS, max deliver")}},
		"a reader that gets no data":          {reader(func(c *jetstream.ConsumerConfig) { c.HeadersOnly = true }), []line{is("consumer ledger on PAYMENT_EVENTS, headers only")}},
		"a reader with a narrower filter":     {reader(func(c *jetstream.ConsumerConfig) { c.FilterSubjects = c.FilterSubjects[:1] }), []line{is("consumer ledger on PAYMENT_EVENTS, filter")}},
		"a reader with a wider filter":        {reader(func(c *jetstream.ConsumerConfig) { c.FilterSubjects = []string{"payment.>"} }), []line{is("consumer ledger on PAYMENT_EVENTS, filter")}},
		"a reader that may pull too little":   {reader(func(c *jetstream.ConsumerConfig) { c.MaxRequestMaxBytes = 100 }), []line{is("consumer ledger on PAYMENT_EVENTS, max request bytes")}},
		"a reader at its own pace":            {reader(func(c *jetstream.ConsumerConfig) { c.AckWait, c.MaxAckPending = time.Minute, 10 }), nil},
		"a reader that is paused": {func(b *bundle) {
			reader(func(*jetstream.ConsumerConfig) {})(b)
			if _, err := b.js.PauseConsumer(b.ctx(), "PAYMENT_EVENTS", "ledger", time.Now().Add(time.Hour)); err != nil {
				b.t.Fatal(err)
			}
		}, []line{is("consumer ledger on PAYMENT_EVENTS, pause")}},
		"a reader without bounds": {func(b *bundle) {
			if _, err := b.js.CreateConsumer(b.ctx(), "PAYMENT_EVENTS", jetstream.ConsumerConfig{Durable: "ledger", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
				b.t.Fatal(err)
			}
		}, []line{
			is("consumer ledger on PAYMENT_EVENTS, max waiting"), is("consumer ledger on PAYMENT_EVENTS, max request batch"),
			is("consumer ledger on PAYMENT_EVENTS, max request expires"),
		}},
		"a reader that was not made": {func(b *bundle) {
			b.cfg.Readers = []config.Reader{{Name: "ledger", Filters: []string{"payment.*.succeeded.>"}}}
		}, []line{is("consumer ledger on PAYMENT_EVENTS")}},
		"readers that provision has made": {func(b *bundle) {
			b.cfg.Readers = []config.Reader{{Name: "ledger", Filters: []string{"payment.*.succeeded.>"}, Pulls: 2}, {Name: "orders", Filters: []string{"payment.>"}, Push: true}}
			if _, err := broker.Provision(b.ctx(), b.js, app.Topology(b.cfg)); err != nil {
				b.t.Fatal(err)
			}
		}, nil},
		"a reader of refusals that provision has made": {func(b *bundle) {
			b.cfg.Readers = []config.Reader{{Name: "orders", Filters: []string{"payment.command.rejected.*", "payment.*.*.opay-eg.*.*"}}}
			if _, err := broker.Provision(b.ctx(), b.js, app.Topology(b.cfg)); err != nil {
				b.t.Fatal(err)
			}
		}, nil},
		"one that waits on the journal for new refusals": {func(b *bundle) {
			t := app.Topology(b.cfg)
			cfg := t.ReaderConfig(broker.Reader{Name: "orders", Filters: []string{"payment.command.rejected.*", "payment.*.*.opay-eg.*.*"}})
			if _, err := b.js.CreateConsumer(b.ctx(), "PAYMENT_EVENTS", cfg); err != nil {
				b.t.Fatal(err)
			}
		}, []line{is("consumer orders on PAYMENT_EVENTS, filter")}},
		"one without its refusals": {func(b *bundle) {
			b.cfg.Readers = []config.Reader{{Name: "orders", Filters: []string{"payment.>"}}}
			if _, err := broker.Provision(b.ctx(), b.js, app.Topology(b.cfg)); err != nil {
				b.t.Fatal(err)
			}
			if err := b.js.DeleteConsumer(b.ctx(), "PAYMENT_REFUSALS", "orders"); err != nil {
				b.t.Fatal(err)
			}
		}, []line{is("consumer orders on PAYMENT_REFUSALS")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := provisioned(t, durable)
			c.do(b)
			all := b.findings(nil)
			want(t, append(of(all, check.Topology), of(all, check.Account)...), c.want...)
		})
	}
}

// The first are those that an attacker tried while the check named only what it knew to
// be dangerous.
func TestAnExportThatNoShippedFileOffersIsNamed(t *testing.T) {
	t.Parallel()
	exported := func(exports string) []check.Finding {
		b := provisioned(t, durable+"\naccounts {P: {jetstream: enabled, exports: ["+exports+"], users: [{user: admin, password: p}]}, PEOPLE: {}, READER: {}}", nats.UserInfo("admin", "p"))
		return of(b.as("admin").findings(nil), check.Account)
	}
	subject := regexp.MustCompile(`"(.*?)"`)
	for _, export := range []string{
		`{service: "payment.refund.requested"}`,
		`{service: "payments.>"}`,
		`{service: "$JS.API.CONSUMER.PAUSE.PAYMENT_COMMANDS.*"}`,
		`{service: "$JS.ACK.PAYMENT_COMMANDS.*.>"}`,
		`{service: "$JS.ACK.>"}`,
		`{service: "$JS.API.STREAM.SNAPSHOT.PAYMENT_EVENTS"}`,
		`{service: "$JS.API.CONSUMER.RESET.PAYMENT_COMMANDS.*"}`,
		`{service: "$JS.API.STREAM.LEADER.STEPDOWN.PAYMENT_EVENTS"}`,
		`{service: "$JS.API.STREAM.MSG.GET.PAYMENT_REJECTED"}`,
		`{stream: "_INBOX.>"}`,
		`{service: "_INBOX_operator.>"}`,
		`{stream: "payment.refund.requested.*"}`,
		`{service: "payments.results.*"}`,
		`{service: "$JS.API.STREAM.UPDATE.PAYMENT_EVENTS"}`,
		`{service: ">"}`,
		`{service: "*.refund.requested.*"}`,
		`{service: "$SRV.>"}`,
		`{service: "$KV.PAYMENT_CONTROL._epoch"}`,
		`{service: "payment.refund.requested.>"}`,
		`{service: "payments.desk.*.*"}`,
		`{service: "payments.control.pause.anna"}`,
		`{service: "$JS.API.STREAM.MSG.GET.PAYMENT_EVENTS"}`,
	} {
		all := exported(export)
		if what := "export " + subject.FindStringSubmatch(export)[1] + " of P"; len(all) != 1 || all[0].Severity != check.Error || !strings.HasPrefix(all[0].What, what) {
			t.Errorf("%s: found %v", export, all)
		}
	}
	for _, export := range []string{
		`{service: "payments.desk.*.*", accounts: [PEOPLE]}`,
		`{service: "payment.refund.requested.opay-eg"}`,
		`{service: "$JS.API.CONSUMER.MSG.NEXT.PAYMENT_EVENTS.ledger"}`,
		`{service: "payments.status.*"}`,
		`{service: "$JS.API.CONSUMER.INFO.PAYMENT_EVENTS.payment-consumer"}`,
		`{service: "shop.orders.*"}, {stream: "shop.>"}`,
	} {
		if all := exported(export); len(all) > 0 {
			t.Errorf("%s: found %v", export, all)
		}
	}
	shipped := regexp.MustCompile(`(?s)exports:\s*\[(.*)\]`).FindStringSubmatch(shipped(t, "exports"))
	if shipped == nil {
		t.Fatal("the shipped file has no exports")
	}
	if all := exported(shipped[1]); len(all) > 0 {
		t.Errorf("the shipped exports: found %v", all)
	}
}
