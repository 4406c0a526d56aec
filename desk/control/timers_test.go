package control_test

import (
	"cmp"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/desk/control"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/payment"
)

// timer schedules the timer of a refund, whose command was stored at a time.
func (b *bundle) timer(order, key string, stored time.Time, in time.Duration, held payment.Recorded) {
	b.t.Helper()
	id := payment.ID{Provider: "opay-eg", Native: order}
	c := payment.Command{
		Op: payment.Refund, Key: payment.Key(key), Provider: id.Provider, Amount: &payment.Money{Value: 5, Currency: "EGP"},
		Payment: payment.Details{OrderID: cmp.Or(order, "8"), Country: "EG", Currency: "EGP"},
		Origin:  payment.Origin{CommandID: "c-" + key, CommandSource: "/orders"}, Expiry: stored.Add(time.Hour).UTC(),
	}
	m, err := events.NewEncoder(nil).EncodeCommand(c)
	if err != nil {
		b.t.Fatal(err)
	}
	err = broker.NewTimers(b.js, broker.DefaultTopology()).Schedule(b.t.Context(), handlers.Timer{
		Subject: events.ScheduleSubject(c, id), Target: events.DueSubject(c.Op), Message: m, At: time.Now().Add(in),
		OriginSequence: 1, OriginTime: stored, Deliveries: 1, Recorded: held,
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// A timer may be the last thing that knows an operation: its command is gone, and the
// journal has lost it. Its repeat would be carried out as new once the journal is trusted.
func TestTheJournalIsNotTrustedWhileATimerKnowsAnOperationThatItDoesNot(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.shut()
	before := time.Now().Add(-time.Minute)
	if got, err := b.desk.Decide(t.Context(), ana, control.Accept, decision(true, 3)); err != nil || !got.Done.Applied {
		t.Fatalf("%+v, %v", got, err)
	}
	if got, err := b.desk.Decide(t.Context(), ana, control.Go, decision(true, 0)); err != nil || !got.Done.Applied {
		t.Fatalf("%+v, %v", got, err)
	}
	after := time.Now().Add(time.Minute)
	b.timer("2", "waits", before, time.Hour, payment.Recorded{Version: 1, Operation: 1})
	b.timer("3", "was never recorded", before, time.Hour, payment.Recorded{})
	b.timer("4", "is new", after, time.Hour, payment.Recorded{})
	b.timer("5", "is new, and was recorded", after, time.Hour, payment.Recorded{Version: 1, Operation: 1, Epoch: 1})
	b.timer("6", "has come due", before, -time.Hour, payment.Recorded{Version: 1, Operation: 1})
	b.timer("", "names no payment", before, time.Hour, payment.Recorded{})
	b.timer("1", "order-1001-return-1", before, time.Hour, payment.Recorded{Version: 1, Operation: 1}) // what the journal holds
	trust := decision(true, 0)
	trust.WithoutCommands, trust.Open = true, 1 // the one that the journal shows
	got, err := b.desk.Decide(t.Context(), ana, control.Trust, trust)
	if want := "those are 6"; err != nil || len(got.Refused) != 1 || !strings.Contains(got.Refused[0], want) {
		t.Errorf("%+v, %v, want %q", got, err, want)
	}
	trust = decision(true, 0)
	trust.WithoutCommands = true
	got, err = b.desk.Decide(t.Context(), ana, control.Trust, trust)
	if want := "5 known to a waiting timer alone (consumer recover --commands presumes them)"; err != nil || len(got.Refused) != 1 || !strings.Contains(got.Refused[0], want) {
		t.Errorf("%+v, %v, want %q", got, err, want)
	}
	trust = decision(true, 0)
	trust.WithoutCommands, trust.Open = true, 6
	if got, err = b.desk.Decide(t.Context(), ana, control.Trust, trust); err != nil || got.Done.Epoch.Phase != integrity.Trusted {
		t.Errorf("typed out: %+v, %v", got, err)
	}
}
