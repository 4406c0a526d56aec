package broker_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/internal/natstest"
)

// older is a server as the version before PAYMENT_REFUSALS has left it: rejections lie
// in the journal, and a reader waits for more.
type older struct {
	bundle

	// provisioner has no right to update a stream.
	provisioner jetstream.JetStream
}

func startOlder(t *testing.T) *older {
	t.Helper()
	admin, some := denying(t, "$JS.API.STREAM.UPDATE.>")
	o := &older{bundle: bundle{t: t, js: admin, topology: broker.DefaultTopology()}, provisioner: some}
	o.topology.Readers = readers()
	for _, cfg := range o.topology.Streams() {
		switch cfg.Name {
		case o.topology.Refusals:
			continue
		case o.topology.Events:
			cfg.Subjects = append(cfg.Subjects, "payment.command.rejected.*")
		default:
			cfg.MaxBytes = -1
		}
		natstest.CreateStream(t, o.js, cfg)
	}
	if _, err := o.js.CreateConsumer(t.Context(), o.topology.Events, o.topology.ReaderConfig(readers()[1])); err != nil {
		t.Fatal(err)
	}
	if _, err := o.js.Publish(t.Context(), "payment.command.rejected.1-0123456789ab", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	return o
}

// upgraded fails the test unless the layout is the new one with nothing lost.
func (o *older) upgraded() {
	o.t.Helper()
	if findings, err := broker.Verify(o.ctx(), o.js, o.topology); err != nil || len(findings) > 0 {
		o.t.Errorf("findings %v, %v", findings, err)
	}
	if changes, err := broker.Provision(o.ctx(), o.js, o.topology); err != nil || len(changes) > 0 {
		o.t.Errorf("once more: %v, %v", changes, err)
	}
	ack, err := o.js.Publish(o.ctx(), "payment.command.rejected.2-0123456789ab", []byte("{}"))
	if err != nil || ack.Stream != o.topology.Refusals {
		o.t.Errorf("a new rejection lies in %+v, %v", ack, err)
	}
	for stream, want := range map[string]string{o.topology.Events: "payment.command.rejected.1-0123456789ab", o.topology.Refusals: "payment.command.rejected.2-0123456789ab"} {
		c, err := o.js.Consumer(o.ctx(), stream, "orders")
		if err != nil {
			o.t.Fatal(err)
		}
		m, err := c.Next()
		if err != nil || m.Subject() != want {
			o.t.Errorf("the reader gets %v from %s, %v", m, stream, err)
		}
	}
}

func TestAnUpgradeMovesTheRefusalsOutOfTheJournal(t *testing.T) {
	t.Parallel()
	o := startOlder(t)
	if findings, err := broker.Verify(o.ctx(), o.js, o.topology); err != nil || !o.topology.Older(findings) {
		t.Errorf("before: %v, %v", findings, err)
	}
	if _, err := broker.Provision(o.ctx(), o.js, o.topology); err != nil {
		t.Fatal(err)
	}
	if findings, err := broker.Verify(o.ctx(), o.js, o.topology); err != nil || o.topology.Older(findings) {
		t.Errorf("after: %v, %v", findings, err)
	}
	o.upgraded()
}

// Provision can end behind each of its requests. Whatever was done by then, the next run
// does the rest.
func TestAnUpgradeThatWasInterruptedIsFinishedByTheNextRun(t *testing.T) {
	t.Parallel()
	steps := map[string]func(o *older){
		"before anything": func(*older) {},
		"behind the bound of the commands": func(o *older) {
			o.update(o.topology.CommandsConfig())
		},
		"behind the journal's subjects": func(o *older) {
			o.update(o.topology.EventsConfig())
		},
		"behind the new stream": func(o *older) {
			o.update(o.topology.EventsConfig())
			natstest.CreateStream(o.t, o.js, o.topology.RefusalsConfig())
		},
		"behind the quarantine's bound": func(o *older) {
			o.update(o.topology.EventsConfig())
			natstest.CreateStream(o.t, o.js, o.topology.RefusalsConfig())
			o.update(o.topology.RejectedConfig())
		},
		"before the reader's consumer": func(o *older) {
			narrowed := o.topology
			narrowed.Readers = nil
			if _, err := broker.Provision(o.ctx(), o.js, narrowed); err != nil {
				o.t.Fatal(err)
			}
		},
	}
	for name, done := range steps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := startOlder(t)
			done(o)
			if _, err := broker.Provision(o.ctx(), o.js, o.topology); err != nil {
				t.Fatal(err)
			}
			o.upgraded()
		})
	}
}

func (o *older) update(cfg jetstream.StreamConfig) {
	o.t.Helper()
	if _, err := o.js.UpdateStream(o.ctx(), cfg); err != nil {
		o.t.Fatal(err)
	}
}

func TestAnUpgradeWithoutTheRightSaysWhatIsMissingAndChangesNothingOfTheJournal(t *testing.T) {
	t.Parallel()
	o := startOlder(t)
	changes, err := broker.Provision(o.ctx(), o.provisioner, o.topology)
	var lacking *broker.NotPermittedError
	if !errors.As(err, &lacking) || !slices.Contains(lacking.Subjects, "$JS.API.STREAM.UPDATE.PAYMENT_EVENTS") {
		t.Fatalf("error %v, want the right to update the journal", err)
	}
	var said []string
	for _, c := range changes {
		if c.Kind == broker.Refused {
			said = append(said, c.String())
		}
	}
	text := strings.Join(said, "\n")
	for _, want := range []string{
		"cannot change stream PAYMENT_EVENTS: subjects is payment.cancel.*.*.*.* payment.command.rejected.* payment.operator.*.* payment.refund.*.*.*.*",
		"cannot change stream PAYMENT_REFUSALS: existence is missing, want there: another stream still takes in payment.command.rejected.*",
		"cannot change consumer orders on PAYMENT_REFUSALS",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("nothing says %q in\n%s", want, text)
		}
	}
	findings, err := broker.Verify(o.ctx(), o.js, o.topology)
	if err != nil || !slices.ContainsFunc(findings, func(f broker.Finding) bool { return f.Missing() && f.Object == "stream PAYMENT_REFUSALS" }) {
		t.Errorf("findings %v, %v", findings, err)
	}
	if _, err := broker.Provision(o.ctx(), o.js, o.topology); err != nil {
		t.Fatal(err)
	}
	o.upgraded()
}
