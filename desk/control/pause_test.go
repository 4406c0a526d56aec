package control_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/control"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

var ana = desk.Operator{Name: "ana", Identity: desk.IdentityNATS}

// rival is a bucket where somebody else says something just before each Set.
type rival struct {
	*broker.Control

	first func(seen uint64) // nil: nobody does
}

func (r *rival) Set(ctx context.Context, provider string, p broker.Pause, seen uint64) (uint64, error) {
	if r.first != nil {
		r.first(seen)
	}
	return r.Control.Set(ctx, provider, p, seen)
}

// bundle is a desk over a real server.
type bundle struct {
	t       *testing.T
	desk    *control.Desk
	journal *stream.Journal
	bucket  *rival
	closed  error
	js      jetstream.JetStream
	options control.Options
}

type index struct{}

func (index) Open(context.Context) ([]payment.ID, bool, error) { return nil, true, nil }

func setup(t *testing.T) *bundle {
	t.Helper()
	js := natstest.Start(t, nil).JetStream(t)
	topology := broker.DefaultTopology()
	if _, err := broker.Provision(t.Context(), js, topology); err != nil {
		t.Fatal(err)
	}
	j, err := stream.New(js.Conn(), events.NewEncoder(nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	set, err := providers.NewSet()
	if err != nil {
		t.Fatal(err)
	}
	operators, err := desk.New(j, index{}, struct{ desk.Service }{}, set, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{t: t, journal: j, bucket: &rival{Control: broker.NewControl(js, topology)}, js: js}
	b.options = control.Options{
		Desk: operators, Bucket: b.bucket, Journal: j, Open: func() error { return b.closed },
		Providers: []string{"opay-eg"}, Now: time.Now, Losses: b.losses(),
		Work: control.Work{JetStream: js, Events: topology.Events, Due: topology.Due},
	}
	b.desk = control.New(b.options)
	return b
}

// say asks for a pause on what is there.
func (b *bundle) say(r control.Say) (control.Said, error) {
	b.t.Helper()
	all, err := b.desk.Standings(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	r.Revision = all[0].Revision
	return b.desk.Say(b.t.Context(), ana, r)
}

// outcomes are what the audit says of an action, in order.
func (b *bundle) outcomes(action string) string {
	b.t.Helper()
	all, err := b.journal.OperatorActions(b.t.Context(), action, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	var words []string
	for _, a := range all {
		words = append(words, a.Operator+" "+a.Outcome)
	}
	return strings.Join(words, ", ")
}

func TestWhoeverIsSecondIsToldWhatTheFirstSaidAndTheRecordSaysThatItCameToNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.bucket.first = func(seen uint64) {
		if _, err := b.bucket.Control.Set(t.Context(), "opay-eg", broker.Pause{Paused: true, By: "bo", Reason: "first"}, seen); err != nil {
			t.Error(err)
		}
	}
	_, err := b.say(control.Say{RequestID: desk.NewULID(), Provider: "opay-eg", Paused: true, Reason: "second"})
	var no *desk.Error
	if !errors.As(err, &no) || no.Fault != desk.FaultStale || !strings.Contains(no.Message, `by "bo": "first"`) {
		t.Errorf("told %v", err)
	}
	if got, want := b.outcomes(control.ActionPause), "ana , ana refused"; got != want {
		t.Errorf("the journal says %q, want %q", got, want)
	}
}

func TestOneRequestThatTwoReplicasAreGivenIsOnePause(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := control.Say{RequestID: desk.NewULID(), Provider: "opay-eg", Paused: true, Reason: "an incident"}
	b.bucket.first = func(seen uint64) { // the other replica, which is a moment faster
		b.bucket.first = nil
		if _, err := b.bucket.Set(t.Context(), r.Provider, broker.Pause{Paused: true, Reason: r.Reason, By: ana.Name, Since: time.Now()}, seen); err != nil {
			t.Error(err)
		}
	}
	said, err := b.say(r)
	if err != nil || !said.Standing.Paused || said.Standing.Revision == 0 {
		t.Errorf("said %+v, %v", said, err)
	}
	if got, want := b.outcomes(control.ActionPause), "ana "; got != want {
		t.Errorf("the journal says %q, want %q", got, want)
	}
}

func TestNobodyActsWithoutANameAReasonAndAnIdentifier(t *testing.T) {
	t.Parallel()
	b := setup(t)
	whole := control.Say{RequestID: desk.NewULID(), Provider: "opay-eg", Paused: true, Reason: "an incident"}
	for name, c := range map[string]struct {
		who   desk.Operator
		spoil func(*control.Say)
		fault desk.Fault
	}{
		"nobody":           {desk.Operator{Name: "ana"}, func(*control.Say) {}, desk.FaultForbidden},
		"no name":          {desk.Operator{Identity: desk.IdentityNATS}, func(*control.Say) {}, desk.FaultInvalid},
		"no reason":        {ana, func(r *control.Say) { r.Reason = " " }, desk.FaultInvalid},
		"no identifier":    {ana, func(r *control.Say) { r.RequestID = "" }, desk.FaultInvalid},
		"lower case":       {ana, func(r *control.Say) { r.RequestID = strings.ToLower(r.RequestID) }, desk.FaultInvalid},
		"a wildcard":       {ana, func(r *control.Say) { r.RequestID = strings.Repeat("*", 26) }, desk.FaultInvalid},
		"another provider": {ana, func(r *control.Say) { r.Provider = "_mark" }, desk.FaultInvalid},
	} {
		for _, closed := range []error{nil, errors.New("the journal is broken")} {
			b.closed = closed
			r := whole
			c.spoil(&r)
			_, err := b.desk.Say(t.Context(), c.who, r)
			var no *desk.Error
			if !errors.As(err, &no) || no.Fault != c.fault {
				t.Errorf("%s, journal %v: %v, want %s", name, closed, err, c.fault)
			}
		}
	}
	if got := b.outcomes(control.ActionPause); got != "" {
		t.Errorf("recorded: %s", got)
	}
}

func TestAProviderThatIsPausedAgainKeepsItsFirstPauseAndSaysSo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, err := b.say(control.Say{RequestID: desk.NewULID(), Provider: "opay-eg", Paused: true, Reason: "wrong account"})
	if err != nil || first.Already || first.Audit == "" {
		t.Fatalf("said %+v, %v", first, err)
	}
	b.bucket.first = func(uint64) { t.Error("something was stored") }
	for _, closed := range []error{nil, errors.New("the journal is broken")} {
		b.closed = closed
		again, err := b.say(control.Say{RequestID: desk.NewULID(), Provider: "opay-eg", Paused: true, Reason: "another"})
		if err != nil || !again.Already || again.Audit != "" || again.Standing != first.Standing {
			t.Errorf("journal %v: said %+v, %v; first %+v", closed, again, err, first)
		}
		if text := again.String(); !strings.Contains(text, `by "ana": "wrong account" (revision `) || !strings.HasSuffix(text, ": it was paused before, and its first time and reason stay") {
			t.Errorf("it says %s", text)
		}
	}
	b.closed, b.bucket.first = nil, nil
	if got, want := b.outcomes(control.ActionPause), "ana "; got != want {
		t.Errorf("the journal says %q, want %q", got, want)
	}
	for _, paused := range []bool{false, true} {
		said, err := b.say(control.Say{RequestID: desk.NewULID(), Provider: "opay-eg", Paused: paused, Reason: "other words"})
		if err != nil || said.Already || said.Standing.Paused != paused || said.Standing.Reason != "other words" {
			t.Errorf("paused %v: said %+v, %v", paused, said, err)
		}
	}
}
