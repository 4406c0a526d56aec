package remote_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/control"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/payment"
)

// fake is a desk that answers as it is told.
type fake struct {
	mu      sync.Mutex
	who     []desk.Operator
	story   desk.Story
	ruled   []desk.Ruling
	entered chan struct{} // a ruling is in hand
	release chan struct{} // it may end
}

func (f *fake) Queue(context.Context, desk.Filter) (*desk.Queue, error) {
	return &desk.Queue{Total: 7}, nil
}

func (f *fake) Payment(_ context.Context, id payment.ID) (*desk.Story, error) {
	if id.Native == "panics" {
		panic("a desk that fails")
	}
	s := f.story
	return &s, nil
}

func (f *fake) Ask(_ context.Context, who desk.Operator, _ payment.ID, _ payment.Op, _ payment.Key) (*desk.Reply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.who = append(f.who, who)
	return &desk.Reply{Result: "ambiguous"}, nil
}

func (f *fake) Resolve(_ context.Context, _ desk.Operator, r desk.Ruling) (desk.Done, error) {
	f.mu.Lock()
	f.ruled = append(f.ruled, r)
	f.mu.Unlock()
	f.entered <- struct{}{}
	<-f.release
	return desk.Done{}, &desk.Error{Fault: desk.FaultStale, Message: "moved", Now: &desk.Story{Version: 9}}
}

func (f *fake) Who(o desk.Operator) (desk.Operator, error) { return o, nil }

func (f *fake) Requery(_ context.Context, who desk.Operator, l desk.Requery) (*desk.Requeried, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.who = append(f.who, who)
	return &desk.Requeried{Asked: true, Answer: string(l.Key)}, nil
}

func newFake() *fake { return &fake{entered: make(chan struct{}), release: make(chan struct{})} }

// connect connects to the server until the test ends.
func connect(t *testing.T, s *natstest.Server) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// serve answers until the returned function is called, or the test ends.
func serve(t *testing.T, s *natstest.Server, d remote.Desk) (stop func()) {
	t.Helper()
	return serveWith(t, s, d, &remote.Options{SelfAsserted: true})
}

// controlled answers requests about pauses and the journal, too, until the test ends.
func controlled(t *testing.T, s *natstest.Server, c *controls) {
	t.Helper()
	serveWith(t, s, newFake(), &remote.Options{SelfAsserted: true, Control: c})
}

func serveWith(t *testing.T, s *natstest.Server, d remote.Desk, o *remote.Options) (stop func()) {
	t.Helper()
	service, err := remote.Serve(connect(t, s), d, o)
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		if err := service.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

var id = payment.ID{Provider: "opay-eg", Native: "1"}

func TestTheSubjectAndNothingElseNamesTheOperator(t *testing.T) {
	t.Parallel()
	s, f := natstest.Start(t, nil), newFake()
	serve(t, s, f)
	if _, err := remote.NewClient(connect(t, s), "dana.d@shop").Ask(t.Context(), id, payment.Refund, "k"); err != nil {
		t.Fatal(err)
	}
	if len(f.who) != 1 || f.who[0] != (desk.Operator{Name: "dana.d@shop", Identity: desk.IdentityAsserted}) {
		t.Errorf("the desk was asked by %+v", f.who)
	}
}

func TestARequeryGoesToTheDeskAndItsAnswerComesBack(t *testing.T) {
	t.Parallel()
	s, f := natstest.Start(t, nil), newFake()
	serve(t, s, f)
	requeried, err := remote.NewClient(connect(t, s), "dana").Requery(t.Context(), desk.Requery{Key: "k"})
	if err != nil || !requeried.Asked || requeried.Answer != "k" || len(f.who) != 1 || f.who[0].Name != "dana" {
		t.Errorf("%+v, %v, by %+v", requeried, err, f.who)
	}
}

func TestAReplicaThatStopsEndsWhatIsInHandAndLeavesTheRestToTheOthers(t *testing.T) {
	t.Parallel()
	s, first := natstest.Start(t, nil), newFake()
	stop := serve(t, s, first)
	client := remote.NewClient(connect(t, s), "dana")
	ruled := make(chan error, 1)
	go func() {
		_, err := client.Resolve(context.Background(), desk.Ruling{})
		ruled <- err
	}()
	<-first.entered
	serve(t, s, newFake())
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	for range 50 {
		if q, err := client.Queue(t.Context(), desk.Filter{}); err != nil || q.Total != 7 {
			t.Fatalf("while one stops: %+v, %v", q, err)
		}
	}
	select {
	case <-stopped:
		t.Error("it stopped with a ruling in hand")
	default:
	}
	close(first.release)
	var no *desk.Error
	if err := <-ruled; !errors.As(err, &no) || no.Fault != desk.FaultStale || no.Now == nil || no.Now.Version != 9 {
		t.Errorf("what was in hand ended in %v", err)
	}
	<-stopped
}

func TestNoAnswerGoesWhereAnEventCouldLie(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, nil)
	serve(t, s, newFake())
	nc := connect(t, s)
	const forged = "payment.refund.succeeded.opay-eg.1.9"
	journal, err := nc.SubscribeSync(forged)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.PublishRequest(remote.Subject("queue", "dana"), forged, []byte(`{"protocol":1}`)); err != nil {
		t.Fatal(err)
	}
	// Behind it on the same endpoint: once this is answered, that one was looked at.
	if _, err := remote.NewClient(nc, "dana").Queue(t.Context(), desk.Filter{}); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if n, _, err := journal.Pending(); err != nil || n != 0 {
		t.Errorf("%d answers on %s, %v", n, forged, err)
	}
}

func TestAnAnswerTooLargeIsCutAndSaysSo(t *testing.T) {
	t.Parallel()
	s, f := natstest.Start(t, nil), newFake()
	f.story.Complete = true
	for range 2000 {
		f.story.Events = append(f.story.Events, desk.Event{Data: events.Result{Outcome: payment.Outcome{Message: strings.Repeat("m", 1000)}}})
	}
	f.story.Events[1999].Version = 2000
	serve(t, s, f)
	got, err := remote.NewClient(connect(t, s), "dana").Payment(t.Context(), id)
	if err != nil || got.Complete || len(got.Events) == 0 || got.Events[len(got.Events)-1].Version != 2000 {
		t.Errorf("got %d events, %v", len(got.Events), err)
	}
}

func TestAFailureOfTheDeskAndARequestItDoesNotKnowAreAnswered(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, nil)
	serve(t, s, newFake())
	nc := connect(t, s)
	client := remote.NewClient(nc, "dana")
	var no *desk.Error
	if _, err := client.Payment(t.Context(), payment.ID{Provider: "p", Native: "panics"}); !errors.As(err, &no) || no.Fault != desk.FaultUnknown {
		t.Errorf("a desk that panics: %v", err)
	}
	for body, want := range map[string]string{`{"protocol":5}`: "400", `{`: "400", `{"protocol":1}`: ""} {
		m, err := nc.RequestWithContext(t.Context(), remote.Subject("queue", "dana"), []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Header.Get(micro.ErrorCodeHeader); got != want {
			t.Errorf("%s is answered with code %q, want %q", body, got, want)
		}
		if !json.Valid(m.Data) {
			t.Errorf("%s is answered with %s", body, m.Data)
		}
	}
}

func TestARequestIsReadStrictly(t *testing.T) {
	t.Parallel()
	s, f := natstest.Start(t, nil), newFake()
	close(f.release)
	f.entered = make(chan struct{}, 100) // a request that gets through does not wait
	serve(t, s, f)
	nc := connect(t, s)
	for body, want := range map[string]string{
		`{"protocol":1,"ruling":{"moved":{"value":1,"value":4321,"currency":"EUR"}}}`: "the request has the member /ruling/moved/value twice",
		`{"protocol":1,"ruling":{"moved":{"value":1,"Value":4321,"currency":"EUR"}}}`: "the request has the member /ruling/moved/Value, which is not known here",
		`{"protocol":1,"ruling":{"DryRun":true}}`:                                     "the request has the member /ruling/DryRun, which is not known here",
		`{"protocol":1,"ruling":{},"ruling":{}}`:                                      "the request has the member /ruling twice",
		`{"protocol":1,"olena@example.org":1}`:                                        "which is not known here",
		`{"Protocol":1}`:                                                              "which is not known here",
		`{"protocol":9,"ruling":{"votes":2}}`:                                         "protocol 9 is not known here",
		`{"protocol":1,"ruling":{}} {}`:                                               "the request is no JSON of this protocol",
		`{"protocol":1,"ruling":{"moved":"x"}}`:                                       "the request is no JSON of this protocol",
	} {
		for _, subject := range []string{remote.Subject("resolve", "dana"), remote.Subject("queue", "dana")} {
			m, err := nc.RequestWithContext(t.Context(), subject, []byte(body))
			if err != nil || !strings.Contains(string(m.Data), want) || m.Header.Get(micro.ErrorCodeHeader) != "400" {
				t.Errorf("%s to %s is answered with %s, %v, want %q", body, subject, m.Data, err, want)
			}
		}
	}
	if len(f.ruled) != 0 {
		t.Errorf("the desk was given %+v", f.ruled)
	}
}

// Each member is written as a program of any earlier version writes it.
func TestEveryMemberOfARequestIsTakenAsProgramsWriteIt(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, nil)
	serve(t, s, newFake())
	const moved = `{"value":400,"currency":"EUR"}`
	body := `{"protocol":3,"filter":{"provider":"p","olderThan":3600000000000,"minAmount":1,"currency":"EUR","limit":5},
		"provider":"p","payment":"1","operation":"refund","idempotencyKey":"k","token":"7-0","reason":"r","from":3,
		"ruling":{"provider":"p","payment":"1","operation":"refund","idempotencyKey":"k","version":3,"seen":"2026-03-04T05:06:07.5Z","as":"succeeded",
			"reason":"r","evidence":"e","effect":"refunded","moved":` + moved + `,"providerReference":"rf-1","confirmAmount":` + moved + `,"bulk":true,
			"before":[` + moved + `],"dryRun":true},
		"replay":{"token":"7-0","reason":"r","subject":"s","header":{"Content-Type":["a"]},"data":"e30=","corrected":true,"dryRun":true},
		"look":{"provider":"p","payment":"1","operation":"refund","idempotencyKey":"k","reason":"r"},
		"rejections":{"since":"2026-03-04T05:06:07Z","code":"invalid","provider":"p","from":1},
		"delete":{"token":"7-0","reason":"r","dryRun":true},
		"say":{"requestId":"r","provider":"p","paused":true,"reason":"r","revision":1},
		"rearm":{"requestId":"r","reason":"r","from":1,"dryRun":true},
		"servers":{"copies":[{"server":"n","leads":true,"first":1,"last":2,"messages":2}],"unasked":[{"address":"a","reason":"r","typed":true}]},
		"decision":{"requestId":"r","reason":"r","apply":true,"seen":"s","lose":1,"loseCommands":1,"open":1,"withoutCommands":true,"copies":[],"unasked":null}}`
	m, err := connect(t, s).RequestWithContext(t.Context(), remote.Subject("queue", "dana"), []byte(body))
	if err != nil || m.Header.Get(micro.ErrorCodeHeader) != "" {
		t.Errorf("answered with %s, %v", m.Data, err)
	}
}

// A program of before the service carried replays out asks for a record of what it will
// do itself. That was a way to write records of nothing into the journal.
func TestAnOlderProgramsWishForARecordIsAnsweredByNobody(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, nil)
	serve(t, s, newFake())
	_, err := connect(t, s).RequestWithContext(t.Context(), remote.Subject("audit", "dana"), []byte(`{"protocol":1,"action":"replay","token":"7-0","reason":"why"}`))
	if !errors.Is(err, nats.ErrNoResponders) { // it says: no running service answers: is there one, of this version, on this server?
		t.Errorf("the request ends in %v", err)
	}
}

// A service that does not know files would not add their rulings up.
func TestARulingFromAFileIsOfAProtocolThatAnOlderServiceRefuses(t *testing.T) {
	t.Parallel()
	s, f := natstest.Start(t, nil), newFake()
	serve(t, s, f)
	close(f.release)
	nc := connect(t, s)
	sent, err := nc.SubscribeSync(remote.Subject("resolve", "dana"))
	if err != nil {
		t.Fatal(err)
	}
	go func() { <-f.entered }()
	if _, err := remote.NewClient(nc, "dana").Resolve(t.Context(), desk.Ruling{Bulk: true}); err == nil {
		t.Error("the desk, which refuses everything, did not")
	}
	m, err := sent.NextMsgWithContext(t.Context())
	if err != nil || !strings.Contains(string(m.Data), `"protocol":3`) || !f.ruled[0].Bulk {
		t.Errorf("asked for by %s, %v", m.Data, err)
	}
}

// A service that does not know of copies of other streams would give up what they hold.
func TestADecisionThatNamesCopiesOfOtherStreamsIsOfAProtocolThatAnOlderServiceRefuses(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, nil)
	controlled(t, s, &controls{})
	nc := connect(t, s)
	sent, err := nc.SubscribeSync(remote.ControlSubject("journal-accept", "dana"))
	if err != nil {
		t.Fatal(err)
	}
	for want, servers := range map[string]control.Servers{
		`"protocol":1,`: {Copies: []acceptance.Copy{{Server: "n3"}}},
		`"protocol":4,`: {Others: []acceptance.Copy{{Stream: "PAYMENT_COMMANDS", Server: "n3"}}},
	} {
		if _, err := remote.NewClient(nc, "dana").Decide(t.Context(), control.Accept, control.Decision{RequestID: "r", Servers: servers}); err != nil {
			t.Errorf("%s: %v", want, err)
		}
		if m, err := sent.NextMsgWithContext(t.Context()); err != nil || !strings.Contains(string(m.Data), want) {
			t.Errorf("asked by %s, %v", m.Data, err)
		}
	}
}

// A service that does not know effects would rule a cancel as closed.
func TestARulingWithAnEffectIsOfAProtocolThatAnOlderServiceRefuses(t *testing.T) {
	t.Parallel()
	s, f := natstest.Start(t, nil), newFake()
	serve(t, s, f)
	close(f.release)
	nc := connect(t, s)
	sent, err := nc.SubscribeSync(remote.Subject("resolve", "dana"))
	if err != nil {
		t.Fatal(err)
	}
	for effect, want := range map[payment.Effect]int{"": remote.Protocol, payment.EffectVoided: remote.Protocol + 1} {
		go func() { <-f.entered }()
		var no *desk.Error
		if _, err := remote.NewClient(nc, "dana").Resolve(t.Context(), desk.Ruling{Testimony: payment.Testimony{Effect: effect}}); !errors.As(err, &no) || no.Fault != desk.FaultStale {
			t.Errorf("effect %q ended in %v", effect, err)
		}
		m, err := sent.NextMsgWithContext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var body struct{ Protocol int }
		if err := json.Unmarshal(m.Data, &body); err != nil || body.Protocol != want {
			t.Errorf("effect %q is asked for by protocol %d, want %d", effect, body.Protocol, want)
		}
		if got := f.ruled[len(f.ruled)-1].Effect; got != effect {
			t.Errorf("effect %q arrives as %q", effect, got)
		}
	}
}

func TestWithoutAServiceTheClientSaysSo(t *testing.T) {
	t.Parallel()
	_, err := remote.NewClient(connect(t, natstest.Start(t, nil)), "dana").Queue(t.Context(), desk.Filter{})
	if !errors.Is(err, remote.ErrNobody) || !strings.Contains(err.Error(), "does this login's account import payments.desk.*.* (permissions/people.conf)?") {
		t.Errorf("told %v", err)
	}
}

func TestAnAnswerThatDoesNotComeIsTheServersSilenceOrTheServices(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, nil)
	silent, err := nats.Connect(natstest.Mute(t, s.URL()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(silent.Close)
	hears := connect(t, s)
	if _, err := hears.Subscribe("payments.desk.*.*", func(*nats.Msg) {}); err != nil { // and may not answer
		t.Fatal(err)
	}
	if err := hears.Flush(); err != nil {
		t.Fatal(err)
	}
	for want, nc := range map[string]*nats.Conn{
		"ask the desk: no answer from " + silent.ConnectedUrlRedacted() + ": the connection stands, and the server says nothing on it": silent,
		s.URL() + " has passed the request on, and the service that heard it may hang, or may not answer":                              connect(t, s),
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err := remote.NewClient(nc, "dana").Queue(ctx, desk.Filter{})
		cancel()
		if !errors.Is(err, remote.ErrUnanswered) || !strings.Contains(err.Error(), want) {
			t.Errorf("told %v, want %q", err, want)
		}
	}
}

// controls notes what is asked of the service itself.
type controls struct{ said []control.Say }

func (*controls) Standings(context.Context) ([]control.Standing, error) { return nil, nil }

func (c *controls) Say(_ context.Context, who desk.Operator, r control.Say) (control.Said, error) {
	if who.Name != "dana" {
		return control.Said{}, &desk.Error{Fault: desk.FaultForbidden, Message: "somebody else"}
	}
	c.said = append(c.said, r)
	return control.Said{Standing: control.Standing{Provider: r.Provider, Paused: r.Paused, Revision: 9}}, nil
}

func (*controls) Rearm(_ context.Context, _ desk.Operator, r control.Rearm) (control.Rearmed, error) {
	return control.Rearmed{Lost: 20000, Restored: make([]control.Restored, 20000)}, nil
}

func (*controls) Journal(_ context.Context, s control.Servers) (*acceptance.Status, error) {
	out := &acceptance.Status{Copies: s.Copies, Missing: make([]acceptance.Gap, 200000)}
	return out, nil
}

func (*controls) Decide(_ context.Context, who desk.Operator, kind control.Kind, r control.Decision) (control.Decided, error) {
	loss := &acceptance.Loss{Messages: 200000, Holes: make([]integrity.Range, 200000)}
	return control.Decided{Done: acceptance.Done{By: who.Name, Audit: r.RequestID, Loss: loss}, Refused: []string{string(kind)}}, nil
}

func TestTimersThatAnAnswerCannotHoldAreStillCounted(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, nil)
	controlled(t, s, &controls{})
	got, err := remote.NewClient(connect(t, s), "dana").Rearm(t.Context(), control.Rearm{})
	if err != nil || got.Lost != 20000 || len(got.Restored) == 0 || len(got.Restored) >= 20000 {
		t.Errorf("%d of %d are told, %v", len(got.Restored), got.Lost, err)
	}
}

// A person may be granted one of the two subjects and not the other.
func TestAPauseIsNotAResumeWhateverItsBodySays(t *testing.T) {
	t.Parallel()
	s, c := natstest.Start(t, nil), &controls{}
	controlled(t, s, c)
	nc := connect(t, s)
	client := remote.NewClient(nc, "dana")
	for _, paused := range []bool{true, false} {
		if said, err := client.Say(t.Context(), control.Say{Provider: "p", Paused: paused}); err != nil || said.Standing.Paused != paused || said.Standing.Revision != 9 {
			t.Errorf("paused %t: %+v, %v", paused, said, err)
		}
	}
	for action, body := range map[string]string{
		"pause": `{"protocol":1,"say":{"provider":"p","paused":false}}`, "resume": `{"protocol":1,"say":{"provider":"p","paused":true}}`,
	} {
		m, err := nc.RequestWithContext(t.Context(), remote.ControlSubject(action, "dana"), []byte(body))
		if err != nil || m.Header.Get(micro.ErrorCodeHeader) != "400" {
			t.Errorf("%s with %s: %v, %v", action, body, m, err)
		}
	}
	if len(c.said) != 2 {
		t.Errorf("said %+v", c.said)
	}
}

func TestTheJournalIsShownAndDecidedAboutByRequest(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, nil)
	controlled(t, s, &controls{})
	nc := connect(t, s)
	client := remote.NewClient(nc, "dana")
	status, err := client.Journal(t.Context(), control.Servers{Copies: []acceptance.Copy{{Server: "n2"}}})
	if err != nil || len(status.Copies) != 1 || len(status.Missing) == 0 || len(status.Missing) == 200000 || len(status.Notes) != 1 {
		t.Errorf("%v", err)
	}
	for _, kind := range []control.Kind{control.Accept, control.Go, control.Trust} {
		d, err := client.Decide(t.Context(), kind, control.Decision{RequestID: "r"})
		if err != nil || d.Done.By != "dana" || d.Done.Audit != "r" || d.Refused[0] != string(kind) || d.Done.Loss.Messages != 200000 || len(d.Done.Loss.Holes) == 200000 {
			t.Errorf("%s: %v", kind, err)
		}
	}
	m, err := nc.RequestWithContext(t.Context(), remote.ControlSubject("journal-accept", "dana"), []byte(`{"protocol":9,"decision":{"requestId":"r"}}`))
	if err != nil || !strings.Contains(string(m.Data), "protocol 9 is not known here") {
		t.Errorf("a request of a later version: %s, %v", m.Data, err)
	}
}

// A service of an earlier version has no such subjects, and answers others.
func TestAServiceOfAnEarlierVersionIsToldFromNone(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, nil)
	client := remote.NewClient(connect(t, s), "dana")
	if _, err := client.Decide(t.Context(), control.Accept, control.Decision{}); !errors.Is(err, remote.ErrNobody) {
		t.Errorf("without a service: %v", err)
	}
	older := connect(t, s)
	if _, err := older.Subscribe("payments.control.pauses.*", func(m *nats.Msg) { _ = m.Respond([]byte(`{"protocol":1}`)) }); err != nil {
		t.Fatal(err)
	}
	if err := older.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Decide(t.Context(), control.Accept, control.Decision{}); !errors.Is(err, remote.ErrOlder) {
		t.Errorf("with an older one: %v", err)
	}
	if _, err := client.Journal(t.Context(), control.Servers{}); !errors.Is(err, remote.ErrOlder) {
		t.Errorf("the status, with an older one: %v", err)
	}
}
