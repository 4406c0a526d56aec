package check_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/check"
	"github.com/countermand/countermand/internal/openwork"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// instance is the first configured one.
func (b *bundle) instance() providers.Instance {
	b.t.Helper()
	all, err := app.Instances(b.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		b.t.Fatal(err)
	}
	return all[0]
}

// started is a refund the core has begun so long ago.
func (b *bundle) started(order string, ago time.Duration) payment.Event {
	b.t.Helper()
	in := b.instance()
	d := payment.Decide(payment.Input{
		Command: payment.Command{
			Op: payment.Refund, Key: "return-1", Provider: in.Name, Amount: &payment.Money{Value: 400, Currency: "EGP"},
			Payment: payment.Details{OrderID: order, Country: "EG", Currency: "EGP"},
			Origin:  payment.Origin{CommandID: "event-1", CommandSource: "/orders"}, RequestedAt: time.Now().Add(-ago).UTC(),
		},
		ID: payment.ID{Provider: in.Name, Native: order}, Traits: in.Provider.Traits(), Now: time.Now().Add(-ago).UTC(),
		Instance: payment.Instance{Configured: true, Account: in.Account, Policy: in.Policy},
	})
	if d.Event == nil {
		b.t.Fatal("the core does not start")
	}
	return *d.Event
}

// journal stores an event; change (may be nil) changes its bytes before.
func (b *bundle) journal(e payment.Event, change func([]byte) []byte) {
	b.t.Helper()
	m, err := events.NewEncoder(nil).EncodeEvent(e)
	if err != nil {
		b.t.Fatal(err)
	}
	if change != nil {
		m.Data = change(m.Data)
	}
	if _, err := b.js.PublishMsg(b.ctx(), &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}); err != nil {
		b.t.Fatal(err)
	}
}

// schedule gives an open operation a timer at a time.
func (b *bundle) schedule(order string, at time.Time) {
	b.t.Helper()
	x, err := openwork.Scan(b.ctx(), b.js, b.cfg.Streams.Events, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, o := range x.Operations {
		if o.ID.Native != order {
			continue
		}
		timer, err := o.Timer(events.NewEncoder(nil), time.Time{})
		if err != nil {
			b.t.Fatal(err)
		}
		timer.At = at
		if err := broker.NewTimers(b.js, app.Topology(b.cfg)).Schedule(b.ctx(), timer); err != nil {
			b.t.Fatal(err)
		}
	}
}

// deliver takes the next due timer without acknowledging it.
func (b *bundle) deliver() {
	b.t.Helper()
	c, err := b.js.Consumer(b.ctx(), b.cfg.Streams.Due, b.cfg.Consumer)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := c.Next(jetstream.FetchMaxWait(20 * time.Second)); err != nil {
		b.t.Fatal(err)
	}
}

func TestOpenOperationsThatNothingBringsBackAreNamed(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	b.journal(b.started("lost", time.Hour), nil)
	b.journal(b.started("in-hand", time.Second), nil)
	b.journal(b.started("paused", time.Hour), nil)
	b.schedule("paused", time.Now().Add(time.Minute))
	b.journal(b.started("untaken", time.Hour), nil)
	b.schedule("untaken", time.Now().Add(-time.Hour))
	b.deliver()
	want(t, b.findings(nil))
	all := b.findings(&check.Options{Deep: true})
	want(
		t, all,
		line{check.Error, check.OpenWork, "refund of payment lost at opay-eg"},
		line{check.Error, check.OpenWork, "refund of payment untaken at opay-eg"},
	)
	if !strings.Contains(all[0].Do, "consumer rearm") || !strings.Contains(all[1].Is, "delivered and not taken") {
		t.Errorf("findings are %v", all)
	}
	b.schedule("lost", time.Now().Add(time.Hour))
	want(t, b.findings(&check.Options{Deep: true}), line{check.Error, check.OpenWork, "refund of payment untaken at opay-eg"})
}

// What lies where the timer should be is no schedule: it is never delivered.
func TestATimerThatIsNeverDeliveredIsNamed(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	e := b.started("stuck", time.Hour)
	b.journal(e, nil)
	subject := events.ScheduleSubject(payment.Command{
		Op: e.Op, Key: e.Key, Provider: e.ID.Provider, Payment: e.Payment, Amount: e.Amount,
	}, e.ID)
	if _, err := b.js.Publish(b.ctx(), subject, nil); err != nil {
		t.Fatal(err)
	}
	all := b.findings(&check.Options{Deep: true})
	want(t, all, line{check.Error, check.OpenWork, "refund of payment stuck at opay-eg"})
	if !strings.Contains(all[0].Is, subject+" late") {
		t.Errorf("finding is %s", all[0])
	}
}

func TestManyFindingsOfOneSortAreCounted(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	for i := range 25 {
		b.journal(b.started(fmt.Sprint(i), time.Hour), nil)
	}
	all := b.findings(&check.Options{Deep: true})
	if last := all[len(all)-1]; len(all) != 21 || last.What != "further open operations" || last.Is != "5" {
		t.Errorf("%d findings, the last is %v", len(all), last)
	}
}

func TestWhatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	damaged := b.started("damaged", time.Hour)
	damaged.State.Operations[0].Fingerprint = strings.Repeat("0", 64)
	b.journal(damaged, nil)
	b.journal(b.started("newer", time.Hour), func(data []byte) []byte {
		return bytes.Replace(data, []byte(`"format":1`), []byte(`"format":99`), 1)
	})
	hash := payment.Key("return-1").Hash()[:8]
	want(
		t, b.findings(&check.Options{Deep: true}),
		line{check.Error, check.OpenWork, "payment.refund.started.opay-eg.damaged.1 (sequence 1) refund " + hash},
		line{check.Warning, check.OpenWork, "payment.refund.started.opay-eg.newer.1 (sequence 2) "},
	)
}

// An instance that was taken out of the configuration while operations were open.
func TestAProviderThatWasRemovedWithOpenOperationsIsNamed(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	b.journal(b.started("1001", time.Second), nil)
	b.journal(b.started("1002", time.Second), nil)
	b.schedule("1001", time.Now().Add(time.Hour))
	want(t, b.findings(nil))
	b.cfg.Providers[0].Name = "opay-renamed"
	for deep, open := range map[bool]string{false: "with 1 open", true: "with 2 open"} { // timers; the journal
		all := b.findings(&check.Options{Deep: deep})
		want(t, all, line{check.Error, check.ProviderRemoved, "provider opay-eg"})
		if !strings.Contains(all[0].Is, open) {
			t.Errorf("deep %t: finding is %s", deep, all[0])
		}
	}
}

func TestAnInstanceThatHasBecomeAnotherAccountIsNamed(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	e := b.started("1001", time.Second)
	e.State.Operations[0].Open.Account = payment.AccountHash("opay", "another")
	b.journal(e, nil)
	want(t, b.findings(&check.Options{Deep: true}), line{check.Error, check.ProviderAccount, "provider opay-eg"})
}
