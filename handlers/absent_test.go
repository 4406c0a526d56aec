package handlers_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/countermand/countermand/internal/simulators"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/simulator"
)

// denial is a way in which a provider says that there is no such payment, in its own
// words, once the answer to the first call is lost.
type denial struct {
	name string
	// executed: the lost call was carried out. late: it is only once the provider
	// answers truthfully again.
	executed, late bool
	// questions: it also says so when it is asked. Otherwise only calls are denied.
	questions bool
}

func denials() []denial {
	return []denial{
		{name: "a cached answer to calls", executed: true},
		{name: "a cached answer to all", executed: true, questions: true},
		{name: "a key of a test account", executed: true, questions: true},
		{name: "a key of a test account, the call ran late", late: true, questions: true},
		{name: "an order that is there later", late: true, questions: true},
		{name: "a payment that there is not", questions: true},
	}
}

// TestADeniedPaymentIsNoFailureAndIsNotCalledAgainAndAgain loses the answer to the first
// call of each operation and then has the provider deny the payment, in its own
// words over HTTP: those of a second simulated account that has none.
func TestADeniedPaymentIsNoFailureAndIsNotCalledAgainAndAgain(t *testing.T) {
	t.Parallel()
	for _, s := range subjects() {
		if s.waits {
			continue // it makes no first call
		}
		for _, how := range denials() {
			t.Run(s.name+"/"+how.name, func(t *testing.T) {
				t.Parallel()
				b := newSetup(t)
				d := b.deny(s, how)
				b.deliver(b.command(s.op, s.data))
				b.drive(func() bool { return b.rests(s) })
				b.judgeDenied(s, how, d)
				d.truthful(how.late)
				for range 20 {
					next, ok := b.next()
					if !ok || b.operation(s.id, s.op, key).Status.Terminal() {
						break
					}
					b.deliver(next)
				}
				b.judgeTruth(s, how, d)
			})
		}
	}
}

// rests reports whether the operation has ended or waits for a person.
func (s *setup) rests(of subject) bool {
	op := s.operation(of.id, of.op, key)
	return op.Status.Terminal() || op.Open != nil && op.Open.Review != nil
}

// judgeDenied judges while the provider still denies the payment.
func (s *setup) judgeDenied(of subject, how denial, d *denier) {
	s.t.Helper()
	op := s.operation(of.id, of.op, key)
	if calls := d.count(); calls > 2 {
		s.t.Errorf("%d calls: a repeat that was answered is not repeated again", calls)
	}
	if op.Status == payment.StatusFailed || op.Status == payment.StatusRejected {
		s.t.Errorf("ended %s (%s): the lost call may have been carried out, or may run yet", op.Status, op.Code)
	}
	if how.questions && (op.Open == nil || op.Open.Review == nil) {
		s.t.Errorf("is %s, want it before a person", op.Status)
	}
	if s.clock.Now().After(time.Date(2026, 11, 21, 13, 0, 0, 0, time.UTC)) {
		s.t.Errorf("a person is asked at %s only", s.clock.Now())
	}
	all, err := s.journal.Events()
	if err != nil || len(all) > 8 {
		s.t.Errorf("%d events, %v", len(all), err)
	}
}

// judgeTruth judges after the provider has told the truth again.
func (s *setup) judgeTruth(of subject, how denial, d *denier) {
	s.t.Helper()
	op := s.operation(of.id, of.op, key)
	moved := d.real.Ledger().Count("", of.id.Native)
	if moved > 1 || d.count() > 2 {
		s.t.Errorf("moved %d times with %d calls", moved, d.count())
	}
	if how.executed || how.late {
		if blind := of.cannotTell || of.dim; op.Status != payment.StatusSucceeded && !blind {
			s.t.Errorf("ended %s (%s), and the call was carried out", op.Status, op.Code)
		}
		return
	}
	if op.Status.Terminal() || op.Open.Review == nil {
		s.t.Errorf("is %s, and nobody knows what became of the lost call", op.Status)
	}
}

// denier is an account and another one that has no payments, behind one address. The
// latter is asked first, and its answer counts once the first call is lost.
type denier struct {
	how         denial
	real, empty simulator.Simulated
	questions   []string // what the simulator calls them

	mu     sync.Mutex
	calls  int
	denies bool
	lost   *http.Request // the first call
	body   []byte        // its body
}

// deny puts a denier in the place of the subject's provider.
func (s *setup) deny(of subject, how denial) *denier {
	s.t.Helper()
	all := simulators.Accounts()
	k := all[slices.IndexFunc(all, func(k simulator.Kind) bool { return k.Instance == of.id.Provider })]
	manner := simulator.Manner{Now: s.clock.Now, Pace: simulator.AtOnce}
	d := &denier{how: how, real: k.New(manner), empty: k.New(manner), questions: []string{k.Read, k.Query}}
	state := of.in
	if state == "" && of.op == payment.Cancel {
		state = k.Cancels[0]
	}
	if err := d.real.Seed(k.Seed(of.id.Native, 40000, state)); err != nil {
		s.t.Fatal(err)
	}
	server := httptest.NewServer(d)
	s.t.Cleanup(func() {
		d.real.Close()
		d.empty.Close()
		server.Close()
	})
	a, err := simulators.Open(k, server.URL, providers.NewClient(&providers.ClientOptions{Now: s.clock.Now}))
	if err != nil {
		s.t.Fatal(err)
	}
	i := slices.IndexFunc(s.instances, func(in providers.Instance) bool { return in.Name == k.Instance })
	s.instances[i].Provider, s.instances[i].Account = a, a.Account()
	s.handler = s.newHandler(s.journal, s.instances)
	return d
}

// ServeHTTP answers as the denial says.
func (d *denier) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	denied := httptest.NewRecorder()
	d.mu.Lock()
	before := len(d.empty.Calls())
	d.empty.ServeHTTP(denied, again(r, body))
	known := d.empty.Calls()
	// An account that knows no such question notes none down.
	call := len(known) > before && !slices.Contains(d.questions, known[len(known)-1].Operation)
	first, denies := call && d.calls == 0, d.denies
	if call {
		d.calls++
	}
	if first {
		d.denies, d.lost, d.body = true, r.Clone(r.Context()), body
	}
	d.mu.Unlock()
	switch {
	case first && d.how.executed:
		d.real.ServeHTTP(httptest.NewRecorder(), again(r, body))
		panic(http.ErrAbortHandler)
	case first:
		panic(http.ErrAbortHandler)
	case denies && (call || d.how.questions):
		w.Header().Set("Content-Type", denied.Header().Get("Content-Type"))
		w.WriteHeader(denied.Code)
		_, _ = w.Write(denied.Body.Bytes())
	default:
		d.real.ServeHTTP(w, again(r, body))
	}
}

// again is a request with its body.
func again(r *http.Request, body []byte) *http.Request {
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	return r
}

// truthful ends the denial. late: the first call is carried out now.
func (d *denier) truthful(late bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.denies = false
	if late {
		d.real.ServeHTTP(httptest.NewRecorder(), again(d.lost, d.body))
	}
}

func (d *denier) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}

// An answer that is none of the documented ones says no more of the first call than a
// refusal does, and a provider that gives it once will give it again.
func TestARepeatWhoseAnswerNobodyUnderstandsIsNotRepeated(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]middleman{
		"openpay refund full": replacing("/payment/refund", `"APPROVED"`, `"REFUND_OK"`),
		"opay cancel":         replacing("/payment/close", `"CLOSE"`, `"CLOSED_OK"`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := named(name)
			b := newSetupBehind(t, change)
			base := b.seed(s)
			hidden := []simulator.Fault{{Operation: string(s.op), Mode: simulator.CutBefore, Times: 1}}
			for _, asks := range []string{"query", "read"} {
				hidden = append(hidden, simulator.Fault{Operation: asks, Mode: simulator.Lag})
			}
			if err := base.Fault(hidden...); err != nil {
				t.Fatal(err)
			}
			b.deliver(b.command(s.op, s.data))
			b.drive(func() bool { return b.rests(s) })
			calls := 0
			for _, c := range base.Calls() {
				if c.Operation == string(s.op) {
					calls++
				}
			}
			if moved := base.Ledger().Count("", s.id.Native); calls > 2 || moved > 1 {
				t.Errorf("%d calls, %d movements", calls, moved)
			}
		})
	}
}
