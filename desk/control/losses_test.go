package control_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/control"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
	"github.com/countermand/countermand/integrity/streams"
	"github.com/countermand/countermand/journal/journaltest"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

var bo = desk.Operator{Name: "bo", Identity: desk.IdentityNATS}

// losses decide about the bundle's journal.
func (b *bundle) losses() control.Losses {
	t := broker.DefaultTopology()
	return control.Losses{
		Sources: func() (acceptance.Sources, error) {
			return acceptance.Sources{
				JetStream: b.js, Journal: b.journal, Stream: t.Events, Commands: t.Commands, ControlBucket: t.Control,
				Reader: streams.NewReader(b.js.Conn(), streams.Plan{Journal: t.Events, TokenHeader: stream.TokenHeader, Others: []string{t.Commands, t.ControlStream()}}),
				Bucket: streams.NewBucket(b.js.Conn(), t.Control),
			}, nil
		},
		Encoder: events.NewEncoder(nil), Stored: func() {}, Logger: slog.New(slog.DiscardHandler),
	}
}

// shut has the journal known to reach further than it does, by four events of which one
// is there, and the gate shut.
func (b *bundle) shut() {
	b.t.Helper()
	id := payment.ID{Provider: "opay-eg", Native: "1"}
	if _, err := b.journal.Append(b.t.Context(), 0, journaltest.Event(id, 1, "a")); err != nil {
		b.t.Fatal(err)
	}
	sources, err := b.losses().Sources()
	if err != nil {
		b.t.Fatal(err)
	}
	r, _, err := sources.Reader.Read(b.t.Context(), integrity.Mark{}, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	mark := integrity.MarkOf(r, r.Newest, 0)
	mark.Journal.Sequence = 4
	if _, err := sources.Bucket.Raise(b.t.Context(), integrity.Record{Mark: mark, Epoch: integrity.FirstEpoch()}); err != nil {
		b.t.Fatal(err)
	}
	b.closed = errors.New("the journal is broken")
}

func decision(apply bool, lose uint64) control.Decision {
	return control.Decision{RequestID: desk.NewULID(), Reason: "a test", Apply: apply, Lose: lose}
}

func TestADecisionAboutTheJournalIsMadeWhileTheGateIsShutAndOnlyThen(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.shut()
	status, err := b.desk.Journal(t.Context(), control.Servers{Copies: []acceptance.Copy{{Server: "n2", Last: 6}}})
	if err != nil || status.Whole || status.Loss.Messages != 5 || len(status.Copies) != 1 {
		t.Errorf("a server of which a person tells: %+v, %v", status, err)
	}
	both := control.ServersOf([]acceptance.Copy{{Server: "n2", Last: 6}, {Stream: "PAYMENT_COMMANDS", Server: "n2", Last: 3}}, nil)
	status, err = b.desk.Journal(t.Context(), both)
	if err != nil || len(both.Others) != 1 || len(status.Copies) != 1 || len(status.Others) != 1 || status.Others[0].Stream != "PAYMENT_COMMANDS" {
		t.Errorf("what it holds of other streams: %+v, %v", status, err)
	}
	got, err := b.desk.Decide(t.Context(), ana, control.Accept, decision(true, 0))
	if err != nil || len(got.Refused) != 1 || !strings.Contains(got.Refused[0], "--lose 3") {
		t.Errorf("nothing typed: %+v, %v", got, err)
	}
	closed := b.closed
	b.closed = nil
	got, err = b.desk.Decide(t.Context(), ana, control.Accept, decision(true, 3))
	if err != nil || len(got.Refused) != 1 || !strings.Contains(got.Refused[0], "the gate is open in the process that answers") {
		t.Errorf("the gate is open: %+v, %v", got, err)
	}
	b.closed = closed
	whole := decision(true, 3)
	got, err = b.desk.Decide(t.Context(), ana, control.Accept, whole)
	if err != nil || !got.Done.Applied || got.Done.Audit != whole.RequestID || got.Done.By != "ana" {
		t.Fatalf("accepted: %+v, %v", got, err)
	}
	got, err = b.desk.Decide(t.Context(), ana, control.Accept, whole)
	if err != nil || len(got.Refused) != 1 || !strings.Contains(got.Refused[0], "this request was made before: journal_accepted by ana") {
		t.Errorf("the same request: %+v, %v", got, err)
	}
}

func TestTheSecondPersonIsJudgedAsForRulings(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		second desk.Operator
		fault  desk.Fault // empty: it is another person
	}{
		"another name":                         {bo, ""},
		"the same name":                        {ana, desk.FaultForbidden},
		"the same name in capitals":            {desk.Operator{Name: " ANA", Identity: desk.IdentityNATS}, desk.FaultForbidden},
		"another name, known in another way":   {desk.Operator{Name: "bo", Identity: desk.IdentityAsserted}, desk.FaultForbidden},
		"another name, with a login this time": {desk.Operator{Name: "bo", Identity: desk.IdentityNATS, Login: "nats:P/U"}, desk.FaultForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.shut()
			b.options.Losses.SecondPerson = true
			d := control.New(b.options)
			got, err := d.Decide(t.Context(), ana, control.Accept, decision(true, 3))
			if err != nil || got.Done.Applied || !got.Done.AwaitsSecond || got.Done.By != "ana" {
				t.Fatalf("the first: %+v, %v", got, err)
			}
			got, err = d.Decide(t.Context(), row.second, control.Accept, decision(true, 3))
			no, _ := errors.AsType[*desk.Error](err)
			if row.fault == "" && (err != nil || !got.Done.Applied || got.Done.By != "ana and bo") || row.fault != "" && (no == nil || no.Fault != row.fault || got.Done.Applied) {
				t.Errorf("the second: %+v, %v", got, err)
			}
		})
	}
}

// Who has found out that commands were lost as well does not stand by the first figures.
func TestOtherFiguresOfTheSamePersonReplaceTheFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.shut()
	b.options.Losses.SecondPerson = true
	d := control.New(b.options)
	say := func(who desk.Operator, commands uint64) bool {
		t.Helper()
		r := decision(true, 3)
		r.LoseCommands = commands
		got, err := d.Decide(t.Context(), who, control.Accept, r)
		if err != nil || len(got.Refused) > 0 {
			t.Fatalf("%+v, %v", got, err)
		}
		return got.Done.Applied
	}
	if say(ana, 0) || say(ana, 1) {
		t.Fatal("one person alone has accepted")
	}
	if say(bo, 0) {
		t.Fatal("figures that their first person has changed count")
	}
	if !say(bo, 1) {
		t.Error("the newest figures of both are the same, and do not count")
	}
}

func TestTheJournalIsTrustedByTwoPersonsWhereALossIsAcceptedByTwo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.shut()
	for _, kind := range []control.Kind{control.Accept, control.Go} {
		if got, err := b.desk.Decide(t.Context(), ana, kind, decision(true, 3)); err != nil || !got.Done.Applied {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	b.options.Losses.SecondPerson = true
	d := control.New(b.options)
	trust := func(open uint64) control.Decision {
		r := decision(true, 0)
		r.Open, r.WithoutCommands = open, true
		return r
	}
	got, err := d.Decide(t.Context(), ana, control.Trust, trust(1))
	if err != nil || got.Done.Applied || !got.Done.AwaitsSecond || got.Done.By != "ana" {
		t.Fatalf("the first: %+v, %v", got, err)
	}
	got, err = d.Decide(t.Context(), ana, control.Trust, trust(1))
	if no, _ := errors.AsType[*desk.Error](err); no == nil || no.Fault != desk.FaultForbidden || got.Done.Applied {
		t.Errorf("the same person: %+v, %v", got, err)
	}
	got, err = d.Decide(t.Context(), bo, control.Trust, trust(1))
	if err != nil || !got.Done.Applied || got.Done.By != "ana and bo" || got.Done.Epoch.Phase != integrity.Trusted {
		t.Errorf("the second: %+v, %v", got, err)
	}
}

func TestADecisionNeedsANameAReasonAnIdentifierAndFewServers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.shut()
	for name, c := range map[string]struct {
		who   desk.Operator
		kind  control.Kind
		spoil func(*control.Decision)
		fault desk.Fault
	}{
		"nobody":         {desk.Operator{Name: "ana"}, control.Accept, func(*control.Decision) {}, desk.FaultForbidden},
		"no reason":      {ana, control.Accept, func(d *control.Decision) { d.Reason = " " }, desk.FaultInvalid},
		"two lines":      {ana, control.Go, func(d *control.Decision) { d.Reason = "a\nb" }, desk.FaultInvalid},
		"no identifier":  {ana, control.Trust, func(d *control.Decision) { d.RequestID = "" }, desk.FaultInvalid},
		"lower case":     {ana, control.Accept, func(d *control.Decision) { d.RequestID = strings.ToLower(d.RequestID) }, desk.FaultInvalid},
		"another action": {ana, "purge", func(*control.Decision) {}, desk.FaultInvalid},
		"many servers":   {ana, control.Accept, func(d *control.Decision) { d.Copies = make([]acceptance.Copy, 65) }, desk.FaultInvalid},
		"many streams":   {ana, control.Accept, func(d *control.Decision) { d.Others = make([]acceptance.Copy, 513) }, desk.FaultInvalid},
		"a long text":    {ana, control.Accept, func(d *control.Decision) { d.Unasked = []acceptance.Unasked{{Reason: strings.Repeat("x", 501)}} }, desk.FaultInvalid},
	} {
		d := decision(true, 3)
		c.spoil(&d)
		got, err := b.desk.Decide(t.Context(), c.who, c.kind, d)
		no, _ := errors.AsType[*desk.Error](err)
		if no == nil || no.Fault != c.fault || got.Done.Applied {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// Reading the whole journal takes longer than a request may: the same request goes on.
func TestTheJournalIsReadByRequestsThatFollowEachOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.shut()
	if got, err := b.desk.Decide(t.Context(), ana, control.Accept, decision(true, 3)); err != nil || !got.Done.Applied {
		t.Fatalf("%+v, %v", got, err)
	}
	if got, err := b.desk.Decide(t.Context(), ana, control.Go, decision(true, 0)); err != nil || !got.Done.Applied {
		t.Fatalf("%+v, %v", got, err)
	}
	for n := range 4 {
		id := payment.ID{Provider: "opay-eg", Native: fmt.Sprint("later-", n)}
		if _, err := b.journal.Append(t.Context(), 0, journaltest.Event(id, 1, "a")); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	b.options.Work.Part = 2
	b.options.Now = func() time.Time { now = now.Add(30 * time.Second); return now } // each part takes long
	d := control.New(b.options)
	r := decision(true, 0)
	r.WithoutCommands, r.Open = true, 5
	var reached []uint64
	for range 8 {
		got, err := d.Decide(t.Context(), ana, control.Trust, r)
		if err != nil || len(got.Refused) > 0 {
			t.Fatalf("%+v, %v", got, err)
		}
		if got.Reading == nil {
			if !got.Done.Applied || got.Done.Epoch.Phase != integrity.Trusted {
				t.Errorf("%+v", got)
			}
			break
		}
		if got.Done.Audit != "" || got.Reading.Last != 7 {
			t.Errorf("%+v", got)
		}
		reached = append(reached, got.Reading.To)
		if _, err := d.Decide(t.Context(), bo, control.Trust, r); err == nil || !strings.Contains(err.Error(), "this request is another person's") {
			t.Errorf("another person goes on with it: %v", err)
		}
	}
	if fmt.Sprint(reached) != "[2 4 6]" {
		t.Errorf("read up to %v", reached)
	}
}

// What one request fails at stands in nobody's way.
func TestARequestThatCannotReadTheJournalIsForgottenAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.shut()
	for _, kind := range []control.Kind{control.Accept, control.Go} {
		r := decision(true, 3)
		if got, err := b.desk.Decide(t.Context(), ana, kind, r); err != nil || !got.Done.Applied {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	b.options.Work.Events = "NONE"
	d := control.New(b.options)
	for range 10 {
		if got, err := d.Decide(t.Context(), ana, control.Trust, decision(true, 0)); err == nil || !strings.Contains(err.Error(), "read what is open") {
			t.Fatalf("%+v, %v", got, err)
		}
	}
}

func TestTheJournalIsNotReadWhereNothingIsToBeTrusted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.shut()
	b.options.Work.Events = "NONE"
	d := control.New(b.options)
	got, err := d.Decide(t.Context(), ana, control.Trust, decision(true, 0))
	if err != nil || len(got.Refused) != 1 || !strings.Contains(got.Refused[0], "epoch 0 is trusted, not doubting") {
		t.Errorf("%+v, %v", got, err)
	}
	whole := decision(true, 3)
	if got, err := d.Decide(t.Context(), ana, control.Accept, whole); err != nil || !got.Done.Applied {
		t.Fatalf("%+v, %v", got, err)
	}
	got, err = d.Decide(t.Context(), ana, control.Trust, whole)
	if err != nil || len(got.Refused) != 1 || !strings.Contains(got.Refused[0], "this request was made before: journal_accepted by ana") {
		t.Errorf("a request of before: %+v, %v", got, err)
	}
}

func TestADecisionIsAnsweredOnceTheProcessesThatRunHaveTakenItIn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.shut()
	say := func(epoch uint64) {
		data, err := json.Marshal(integrity.Replica{ID: "pod-b", Shut: true, Epoch: integrity.Epoch{Number: epoch}})
		if err == nil {
			_, err = b.js.Publish(t.Context(), "$KV."+broker.DefaultTopology().Control+"._replica.1", data)
		}
		if err != nil {
			t.Error(err)
		}
	}
	say(0)
	var learned atomic.Bool
	b.options.Losses.Stored = func() {
		go func() {
			if _, err := b.js.AccountInfo(t.Context()); err != nil { // it takes a while
				t.Error(err)
			}
			learned.Store(true)
			say(1)
		}()
	}
	got, err := control.New(b.options).Decide(t.Context(), ana, control.Accept, decision(true, 3))
	if err != nil || !got.Done.Applied || !learned.Load() {
		t.Errorf("%+v, %v; taken in: %t", got, err, learned.Load())
	}
}
