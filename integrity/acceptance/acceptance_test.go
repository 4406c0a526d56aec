package acceptance_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
	"github.com/countermand/countermand/integrity/keeper"
	"github.com/countermand/countermand/integrity/replicas"
	"github.com/countermand/countermand/integrity/streams"
	"github.com/countermand/countermand/integrity/witness"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/journal/journaltest"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

// bundle is a server whose journal was known to reach 20 and ends at 16.
type bundle struct {
	t       *testing.T
	js      jetstream.JetStream
	sources acceptance.Sources
	witness string // the path of its file
}

func topology() broker.Topology { return broker.DefaultTopology() }

func setup(t *testing.T) *bundle {
	t.Helper()
	b, _ := setupOn(t)
	return b
}

func setupOn(t *testing.T) (*bundle, *natstest.Server) {
	t.Helper()
	server := natstest.Start(t, nil)
	path := filepath.Join(t.TempDir(), "witness.json")
	b := &bundle{t: t, witness: path}
	b.connect(server, path)
	if _, err := broker.Provision(t.Context(), b.js, topology()); err != nil {
		t.Fatal(err)
	}
	b.append(1, 16)
	copied := server.Copy(t)
	b.connect(server, path)
	b.append(17, 20)
	v := b.look()
	mark := integrity.MarkOf(v.Reading, v.Reading.Newest, 0)
	if _, err := b.sources.Witness.Raise(t.Context(), integrity.Record{Mark: mark, Epoch: integrity.FirstEpoch()}); err != nil {
		t.Fatal(err)
	}
	server.Restore(t, copied)
	b.connect(server, path)
	return b, server
}

// connect opens the sources on a connection of its own.
func (b *bundle) connect(server *natstest.Server, witnessPath string) {
	b.t.Helper()
	b.js = server.JetStream(b.t)
	top := topology()
	journal, err := stream.New(b.js.Conn(), events.NewEncoder(nil), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.sources = acceptance.Sources{
		JetStream: b.js, Journal: journal, Stream: top.Events, Commands: top.Commands, ControlBucket: top.Control,
		Reader: streams.NewReader(b.js.Conn(), streams.Plan{
			Journal: top.Events, Others: []string{top.Commands, top.ControlStream()}, TokenHeader: stream.TokenHeader,
			Durables: []streams.Durable{{Stream: top.Commands, Name: top.Consumer}, {Stream: top.Events, Name: top.Consumer}},
			Answers:  append(events.PaymentFilters(""), events.RejectedFilter), Aging: map[string]time.Duration{top.Commands: top.CommandsConfig().MaxAge},
		}),
		Bucket: streams.NewBucket(b.js.Conn(), top.Control), Witness: witness.NewFile(witnessPath),
	}
}

// append adds events of fresh payments at sequences.
func (b *bundle) append(from, to int) {
	b.t.Helper()
	for n := from; n <= to; n++ {
		id := payment.ID{Provider: "opay-eg", Native: fmt.Sprint(n)}
		if sequence, err := b.sources.Journal.Append(b.t.Context(), 0, journaltest.Event(id, 1, "a")); err != nil || sequence != uint64(n) {
			b.t.Fatalf("sequence %d: %v", sequence, err)
		}
	}
}

func (b *bundle) look() acceptance.View {
	b.t.Helper()
	v, err := acceptance.Look(b.t.Context(), b.sources)
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

func (b *bundle) desk(second bool) *acceptance.Desk {
	var o acceptance.Options
	if second {
		o.Another = anotherName
	}
	return acceptance.NewDesk(b.sources, events.NewEncoder(nil), &o)
}

// anotherName takes another name for another person.
func anotherName(a acceptance.Asked, matter []payment.OperatorAction, same func(payment.OperatorAction) bool) (first payment.OperatorAction, waits bool, err error) {
	for _, p := range matter {
		if !same(p) {
			continue
		}
		if p.Operator != a.Operator {
			return p, false, nil
		}
		err = &acceptance.RefusedError{Reasons: []string{"another operator has to say the same"}}
	}
	return payment.OperatorAction{}, true, err
}

func asked(operator string) acceptance.Asked {
	return acceptance.Asked{Operator: operator, Identity: "asserted", Reason: "restored from a copy", Apply: true}
}

// refused fails the test unless the error refuses for a reason that holds a text.
func refused(t *testing.T, err error, text string) {
	t.Helper()
	refusal, ok := errors.AsType[*acceptance.RefusedError](err)
	if !ok || !strings.Contains(strings.Join(refusal.Reasons, "\n"), text) {
		t.Errorf("got %v, want a refusal with %q", err, text)
	}
}

func TestALossIsAcceptedOnceItIsTypedOutAndEveryGateIsShut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	desk := b.desk(false)
	before := b.look()
	if loss := acceptance.LossOf(before); loss.Known != 20 || loss.End != 16 || loss.Messages != 4 {
		t.Fatalf("%+v", loss)
	}
	gaps := acceptance.Missing(t.Context(), b.sources, before)
	if len(gaps) != 1 || gaps[0].From != 17 || gaps[0].To != 20 || gaps[0].After.IsZero() || gaps[0].Before.IsZero() {
		t.Errorf("%+v", gaps)
	}
	for lose, text := range map[uint64]string{0: "--lose 4", 3: "that is 4", 5: "that is 4"} {
		_, err := desk.Accept(t.Context(), asked("ann"), acceptance.Typed{Messages: lose})
		refused(t, err, text)
	}
	stop := b.register(integrity.Whole)
	_, err := desk.Accept(t.Context(), asked("ann"), acceptance.Typed{Messages: 4})
	refused(t, err, "the gate is open in host.1")
	stop()
	dry := asked("ann")
	dry.Apply = false
	if done, err := desk.Accept(t.Context(), dry, acceptance.Typed{Messages: 4}); err != nil || done.Applied || done.Epoch.Number != 1 {
		t.Errorf("dry run: %+v, %v", done, err)
	}
	if diff := cmp.Diff(before.Reading.Journal, b.look().Reading.Journal); diff != "" || !b.look().Bucket.Zero() {
		t.Errorf("refusals and dry runs have changed something:\n%s", diff)
	}
	stop = b.register(integrity.Broken)
	defer stop()
	done, err := desk.Accept(t.Context(), asked("ann"), acceptance.Typed{Messages: 4})
	if err != nil || !done.Applied || done.Epoch.Number != 1 || done.Epoch.Phase != integrity.Held || done.Epoch.AcceptedAt.IsZero() {
		t.Fatalf("%+v, %v", done, err)
	}
	v := b.look()
	if len(v.Findings) > 0 || v.Bucket.Mark.Epoch != 1 || v.Witness.Mark.Epoch != 1 || v.Record.Mark.Journal.Sequence != 17 {
		t.Errorf("findings %v, bucket %+v, witness %+v", v.Findings, v.Bucket, v.Witness)
	}
	if a := v.Actions[0]; a.Action != acceptance.ActionAccepted || a.Operator != "ann" || a.Known != 20 || a.Found != 16 || a.GivenUp != 4 || a.Epoch != 1 {
		t.Errorf("%+v", a)
	}
	// Archives of this journal are recognised by it, whatever comes after.
	if a := v.Actions[0]; a.First == nil || integrity.Identity(*a.First) != before.Record.Mark.Identity || a.First.SHA256 == "" || a.KnownAt.IsZero() {
		t.Errorf("the acceptance names %+v, known at %s; want %+v", a.First, a.KnownAt, before.Record.Mark.Identity)
	}
}

// knows is a keeper that never learns anything.
type knows keeper.Status

func (k knows) Status() keeper.Status    { return keeper.Status(k) }
func (k knows) Changed() <-chan struct{} { return nil }

// register keeps a process registered until stop is called.
func (b *bundle) register(standing integrity.Standing) (stop func()) {
	b.t.Helper()
	return b.registerAt(standing, integrity.Record{Epoch: integrity.FirstEpoch()})
}

// registerAt is register for a process that knows a record.
func (b *bundle) registerAt(standing integrity.Standing, known integrity.Record) (stop func()) {
	b.t.Helper()
	s := keeper.Status{Settled: true, Watch: integrity.Watch{Standing: standing}, Record: known}
	if standing == integrity.Broken {
		s.Watch.Findings = []integrity.Finding{{Text: "the journal ends at 16"}}
	}
	r := replicas.New(b.js, topology().Control, "host.1", nil)
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Run(ctx, knows(s))
	}()
	for len(b.look().Live()) == 0 {
		if b.t.Context().Err() != nil {
			b.t.Fatal("the process was not registered")
		}
	}
	return func() {
		cancel()
		<-ended
	}
}

// failing is a store that takes nothing.
type failing struct{ keeper.Store }

func (failing) Raise(context.Context, integrity.Record) (integrity.Record, error) {
	return integrity.Record{}, errors.New("killed here")
}

func TestAnAcceptanceThatIsInterruptedIsFinishedByTheSameCommand(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bucket, witness := b.sources.Bucket, b.sources.Witness
	b.sources.Bucket = failing{bucket}
	if _, err := b.desk(false).Accept(t.Context(), asked("ann"), acceptance.Typed{Messages: 4}); err == nil {
		t.Fatal("the store's failure went unnoticed")
	}
	b.sources.Bucket = bucket
	v := b.look()
	if v.Record.Epoch.Number != 0 || len(v.Findings) == 0 || len(v.Actions) != 1 {
		t.Fatalf("the epoch counts although no store knows it: %+v, %v", v.Record.Epoch, v.Findings)
	}
	b.sources.Witness = failing{witness}
	done, err := b.desk(false).Accept(t.Context(), asked("bob"), acceptance.Typed{Messages: 4})
	if err != nil || !done.Applied || done.Witness == "" || done.Epoch.Number != 1 || done.Audit != v.Actions[0].ULID {
		t.Fatalf("%+v, %v", done, err)
	}
	b.sources.Witness = witness
	v = b.look()
	if v.Record.Epoch.Number != 1 || len(v.Findings) > 0 || len(v.Actions) != 1 || !v.Record.Epoch.AcceptedAt.Equal(v.Actions[0].Time) {
		t.Errorf("%+v, %v, %d actions", v.Record.Epoch, v.Findings, len(v.Actions))
	}
}

// One that was killed after it took effect is no reason for another epoch.
func TestAnAcceptanceThatCountsIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	witness := b.sources.Witness
	b.sources.Witness = failing{witness}
	first, err := b.desk(false).Accept(t.Context(), asked("ann"), acceptance.Typed{Messages: 4})
	if err != nil || first.Already || first.Witness == "" {
		t.Fatalf("%+v, %v", first, err)
	}
	b.sources.Witness = witness
	desk := b.desk(false)
	dry := asked("ann")
	dry.Apply = false
	if done, err := desk.Accept(t.Context(), dry, acceptance.Typed{Messages: 4}); err != nil || !done.Already || done.Applied {
		t.Errorf("%+v, %v", done, err)
	}
	for _, typed := range []acceptance.Typed{{Messages: 4}, {}} {
		done, err := desk.Accept(t.Context(), asked("bob"), typed)
		if err != nil || !done.Already || done.Epoch != first.Epoch || done.Audit != first.Audit {
			t.Errorf("%+v, %v", done, err)
		}
	}
	if v := b.look(); len(v.Actions) != 1 || v.Witness.Epoch != first.Epoch {
		t.Errorf("%d actions, witness %+v", len(v.Actions), v.Witness.Epoch)
	}
	_, err = desk.Accept(t.Context(), asked("ann"), acceptance.Typed{Messages: 3})
	refused(t, err, "that is 0")
	other := asked("ann")
	other.Reason = "a failover while it was held"
	if done, err := desk.Accept(t.Context(), other, acceptance.Typed{}); err != nil || done.Already || done.Epoch.Number != 2 {
		t.Errorf("%+v, %v", done, err)
	}
}

func TestWhereTwoAreNeededAnotherOperatorHasToSayTheSame(t *testing.T) {
	t.Parallel()
	b := setup(t)
	desk := b.desk(true)
	done, err := desk.Accept(t.Context(), asked("ann"), acceptance.Typed{Messages: 4})
	if err != nil || done.Applied || !done.AwaitsSecond || done.Audit == "" {
		t.Fatalf("%+v, %v", done, err)
	}
	if v := b.look(); v.Record.Epoch.Number != 0 || acceptance.LossOf(v).Messages != 4 {
		t.Fatalf("a proposal has changed what is lost: %+v", acceptance.LossOf(v))
	}
	_, err = desk.Accept(t.Context(), asked("ann"), acceptance.Typed{Messages: 4})
	refused(t, err, "another operator")
	late := acceptance.NewDesk(b.sources, events.NewEncoder(nil), &acceptance.Options{
		Another: anotherName, Now: func() time.Time { return time.Now().Add(25 * time.Hour) },
	})
	dry := asked("bob")
	dry.Apply = false
	if done, err := late.Accept(t.Context(), dry, acceptance.Typed{Messages: 4}); err != nil || !done.AwaitsSecond {
		t.Errorf("a proposal of yesterday still counts: %+v, %v", done, err)
	}
	done, err = desk.Accept(t.Context(), asked("bob"), acceptance.Typed{Messages: 4})
	if err != nil || !done.Applied || done.First != "ann" {
		t.Fatalf("%+v, %v", done, err)
	}
	v := b.look()
	if a := v.Actions[len(v.Actions)-1]; a.Operator != "ann and bob" || len(v.Findings) > 0 {
		t.Errorf("%+v, %v", a, v.Findings)
	}
}

func TestWorkGoesOnAndTheJournalIsTrustedInTurn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	desk := b.desk(false)
	_, err := desk.Go(t.Context(), asked("ann"))
	refused(t, err, "accept comes first")
	_, err = desk.Trust(t.Context(), asked("ann"), acceptance.Left{Walked: true}, 0, false)
	refused(t, err, "not doubting")
	if _, err := desk.Accept(t.Context(), asked("ann"), acceptance.Typed{Messages: 4}); err != nil {
		t.Fatal(err)
	}
	if done, err := desk.Go(t.Context(), asked("ann")); err != nil || done.Epoch.Phase != integrity.Doubting || !done.Applied {
		t.Fatalf("%+v, %v", done, err)
	}
	for _, row := range []struct {
		left    acceptance.Left
		open    uint64
		without bool
		text    string
	}{
		{acceptance.Left{Presumed: 2, Walked: true}, 0, false, "--open 2"},
		{acceptance.Left{Presumed: 2, Walked: true}, 1, false, "those are 2"},
		{acceptance.Left{Unchanged: 1, Walked: true}, 0, false, "1 open and unchanged"},
		{acceptance.Left{Presumed: 1, Unchanged: 1, Unreadable: 1, Walked: true}, 2, false, "those are 3"},
		{acceptance.Left{Unwalked: "not finished"}, 0, false, "not finished, or type it out with --without-commands"},
	} {
		_, err := desk.Trust(t.Context(), asked("ann"), row.left, row.open, row.without)
		refused(t, err, row.text)
	}
	b.walked(false, "not finished in this epoch")
	if _, err := acceptance.Finished(t.Context(), b.sources, acceptance.Walk{Epoch: 0, To: 9}); err == nil || !strings.Contains(err.Error(), "epoch 1 has begun") {
		t.Errorf("a walk of the epoch before was stored: %v", err)
	}
	if _, err := acceptance.Finished(t.Context(), b.sources, acceptance.Walk{Epoch: 1, To: 9}); err != nil {
		t.Fatal(err)
	}
	b.walked(true, "")
	done, err := desk.Trust(t.Context(), asked("ann"), acceptance.Left{Presumed: 2}, 2, true)
	if err != nil || done.Epoch.Phase != integrity.Trusted {
		t.Fatalf("%+v, %v", done, err)
	}
	v := b.look()
	if v.Record.Epoch.Doubted() || v.Bucket.Epoch != v.Witness.Epoch || len(v.Findings) > 0 {
		t.Errorf("%+v, %v", v.Record.Epoch, v.Findings)
	}
	// A whole journal may be accepted, too: after a failover that nothing notices.
	if done, err := desk.Accept(t.Context(), asked("ann"), acceptance.Typed{}); err != nil || done.Epoch.Number != 2 || done.Loss.Messages != 0 {
		t.Errorf("%+v, %v", done, err)
	}
}

func TestWhatForbidsAnAcceptanceIsSaid(t *testing.T) {
	t.Parallel()
	whole := func() acceptance.View {
		v := acceptance.View{Journal: "J", End: 10, Now: time.Now()}
		v.Reading.Journal.StreamReading = integrity.StreamReading{First: 1, Last: 10, Messages: 10}
		return v
	}
	rows := []struct {
		name string
		set  func(*acceptance.View)
		lose uint64
		want string
	}{
		{"nothing", func(*acceptance.View) {}, 0, ""},
		{"more than nothing typed", func(*acceptance.View) {}, 1, "that is 0"},
		{"the stream is missing", func(v *acceptance.View) { v.Reading.Journal.Missing = true }, 0, "does not exist"},
		{"the bucket is missing", func(v *acceptance.View) { v.BucketMissing = true }, 0, "does not exist"},
		{"the witness cannot be read", func(v *acceptance.View) { v.WitnessError = errors.New("away") }, 0, "may know of more (away)"},
		{"a consumer is ahead", func(v *acceptance.View) {
			v.Findings = []integrity.Finding{{Kind: integrity.DurableAhead, Text: "consumer x was sent 12"}}
			v.Reading.Durables = []integrity.DurableReading{{Stream: "J", Name: "x", Delivered: 12}}
		}, 2, "delete it"},
		{"a copy holds more", func(v *acceptance.View) { v.Copies = []acceptance.Copy{{Server: "n2", Last: 13}} }, 0, "--lose 3"},
		{"a hole", func(v *acceptance.View) { v.Reading.Journal.Deleted = []integrity.Range{{From: 4, To: 5}} }, 0, "--lose 2"},
		{"a hole that was accepted", func(v *acceptance.View) {
			v.Reading.Journal.Deleted = []integrity.Range{{From: 4, To: 5}}
			v.Record.Mark.Holes = []integrity.Range{{From: 3, To: 5}}
		}, 0, ""},
		{"commands", func(v *acceptance.View) {
			v.Commands = "C"
			v.Record.Mark.Streams = map[string]uint64{"C": 56}
			v.Reading.Streams = map[string]integrity.StreamReading{"C": {First: 1, Last: 32}}
		}, 0, "24 commands are lost: C is known to reach 56, ends at 32: bring them back first, or type it out with --lose-commands 24"},
		{"commands whose stream is gone", func(v *acceptance.View) {
			v.Commands = "C"
			v.Record.Mark.Streams = map[string]uint64{"C": 56}
			v.Reading.Streams = map[string]integrity.StreamReading{"C": {Missing: true}}
		}, 0, "--lose-commands 56"},
		{"commands that only a process knew", func(v *acceptance.View) {
			v.Commands = "C"
			v.Reading.Streams = map[string]integrity.StreamReading{"C": {First: 1, Last: 32}}
			v.Replicas = []integrity.Registered{{Replica: integrity.Replica{
				ID: "a", Standing: integrity.Broken.String(), Shut: true, Known: 10,
				Found: []integrity.Finding{{Kind: integrity.StreamShorter, Object: "C", Known: 56, Found: 32}},
			}, Time: v.Now}}
		}, 0, "--lose-commands 1"},
		{"another journal", func(v *acceptance.View) {
			v.Findings = []integrity.Finding{{Kind: integrity.JournalReplaced}}
		}, 0, "--lose 1"},
		{"a process that says nothing readable", func(v *acceptance.View) {
			v.Replicas = []integrity.Registered{{Replica: integrity.Replica{ID: "a"}, Time: v.Now}}
		}, 0, "open in a"},
		{"processes that are gone", func(v *acceptance.View) {
			v.Replicas = []integrity.Registered{
				{Replica: integrity.Replica{ID: "a"}, Time: v.Now.Add(-10 * time.Second)}, {Replica: integrity.Replica{ID: "b", Left: true}, Time: v.Now},
			}
		}, 0, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			v := whole()
			row.set(&v)
			no := strings.Join(acceptance.Check(v, acceptance.Typed{Messages: row.lose}), "\n")
			if row.want == "" && no != "" || !strings.Contains(no, row.want) {
				t.Errorf("got %q, want %q", no, row.want)
			}
		})
	}
}

// Where bucket and witness were set back with the journal, only a process that runs
// knows how much was lost.
func TestWhatARunningProcessKnowsIsGivenUpToo(t *testing.T) {
	t.Parallel()
	now := time.Now()
	v := acceptance.View{Journal: "PAYMENT_EVENTS", Now: now, End: 16}
	v.Reading.Journal.StreamReading = integrity.StreamReading{First: 1, Last: 16, Messages: 16}
	v.Record.Mark.Journal.Sequence, v.Record.Epoch.Number = 16, 1
	for _, row := range []struct {
		name  string
		known uint64
		epoch uint64
		stand integrity.Standing
		want  uint64
	}{
		{"it knows more", 20, 1, integrity.Broken, 4},
		{"it knows another message at the end", 16, 1, integrity.Broken, 1},
		{"it is of the epoch before", 20, 0, integrity.Broken, 0},
		{"it is of a later epoch", 20, 2, integrity.Broken, 4},
		{"it is of a later epoch, and not sure yet", 20, 2, integrity.Suspect, 4},
		{"it is a moment ahead", 20, 1, integrity.Whole, 0},
	} {
		r := integrity.Registered{Time: now, Replica: integrity.Replica{ID: "host.1", Standing: row.stand.String(), Shut: true, Found: []integrity.Finding{{Kind: integrity.JournalShorter}}, Known: row.known}}
		r.Epoch.Number = row.epoch
		v.Replicas = []integrity.Registered{r}
		v.Findings = integrity.FoundByOthers(v.Record.Epoch.Number, v.Live())
		if got := acceptance.LossOf(v).Messages; got != row.want {
			t.Errorf("%s: %d messages would be given up, want %d", row.name, got, row.want)
		}
	}
}

func TestALossOfCommandsThatAProcessIsNotSureOfYetIsNoneOfTheJournal(t *testing.T) {
	t.Parallel()
	v := acceptance.View{Journal: "J", Commands: "C", End: 10, Now: time.Now()}
	v.Reading.Journal.StreamReading = integrity.StreamReading{First: 1, Last: 10, Messages: 10}
	v.Replicas = []integrity.Registered{{Replica: integrity.Replica{
		ID: "a", Standing: integrity.Suspect.String(), Shut: true, Known: 10, Found: []integrity.Finding{{Kind: integrity.StreamShorter, Object: "C"}},
	}, Time: v.Now}}
	v.Findings = integrity.FoundByOthers(0, v.Live())
	if n := acceptance.LossOf(v).Messages; n != 0 {
		t.Errorf("%d messages would be given up", n)
	}
	v.Replicas[0].Found[0].Kind = integrity.JournalHoles
	if n := acceptance.LossOf(v).Messages; n != 1 {
		t.Errorf("%d messages would be given up where it is the journal's, want one", n)
	}
}

func TestAWitnessThatIsLostIsSaidUntilItIsAccepted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	known := b.look().Record
	known.Witnessed = true
	if _, err := b.sources.Bucket.Raise(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(b.witness); err != nil {
		t.Fatal(err)
	}
	lost := func(v acceptance.View) bool {
		return slices.ContainsFunc(v.Findings, func(f integrity.Finding) bool { return f.Kind == integrity.WitnessLost })
	}
	v := b.look()
	if s := acceptance.StatusOf(v, nil, true); !lost(v) || s.Whole || s.Verdict() != "the journal is not whole" {
		t.Fatalf("%q, with %v", s.Verdict(), v.Findings)
	}
	done, err := b.desk(false).Accept(t.Context(), asked("ann"), acceptance.Typed{Messages: 4})
	if err != nil || !done.Applied || done.Witness != "" {
		t.Fatalf("%+v, %v", done, err)
	}
	if v = b.look(); lost(v) {
		t.Errorf("still said after the acceptance: %v", v.Findings)
	}
}

func TestAWitnessThatStaysBehindIsSaid(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.desk(false).Accept(t.Context(), asked("ann"), acceptance.Typed{Messages: 4}); err != nil {
		t.Fatal(err)
	}
	witness := b.sources.Witness
	b.append(18, 20) // behind the acceptance
	v := b.look()
	known := integrity.Record{Mark: integrity.MarkOf(v.Reading, v.Reading.Newest, 1), Epoch: v.Record.Epoch}
	if _, err := b.sources.Bucket.Raise(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	later := func() acceptance.View {
		v := b.look()
		v.Now = v.Now.Add(time.Minute)
		return v
	}
	if v := b.look(); len(v.Findings) > 0 || acceptance.Lagging(t.Context(), b.sources, v) != nil {
		t.Error("a witness that may be written within the next second is said to stay behind")
	}
	v = later()
	if v.Lag = acceptance.Lagging(t.Context(), b.sources, v); v.Lag == nil || v.Lag.Witness != 17 || v.Lag.Bucket != 20 {
		t.Fatalf("behind is %+v", v.Lag)
	}
	if s := acceptance.StatusOf(v, nil, true); !s.Whole || !strings.Contains(fmt.Sprint(s.Notes), "the witness reaches 17") {
		t.Errorf("while no process runs: %q, %v", s.Verdict(), s.Notes)
	}
	v.Replicas = []integrity.Registered{{Replica: integrity.Replica{ID: "pod-a", Standing: "whole", Epoch: v.Record.Epoch}, Time: v.Now}}
	if s := acceptance.StatusOf(v, nil, true); s.Whole || !strings.Contains(s.Verdict(), "the witness is not written: the witness reaches 17") {
		t.Errorf("while one runs: %q", s.Verdict())
	}
	v.Lag, v.Replicas[0].WitnessFault = nil, "no space left"
	if s := acceptance.StatusOf(v, nil, true); s.Whole || !strings.Contains(s.Verdict(), "process pod-a says since") {
		t.Errorf("while one says that it cannot: %q", s.Verdict())
	}
	v = later()
	b.sources.Witness = moving{witness}
	if lag := acceptance.Lagging(t.Context(), b.sources, v); lag != nil {
		t.Errorf("a witness that is being written stays behind by %+v", lag)
	}
}

// moving is a witness that has just been written.
type moving struct{ keeper.Store }

func (m moving) Load(ctx context.Context) (integrity.Record, error) {
	r, err := m.Store.Load(ctx)
	r.Mark.Journal.Sequence++
	return r, err
}
