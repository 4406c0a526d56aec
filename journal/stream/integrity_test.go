package stream_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/journal/journaltest"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

// watched keeps what a journal tells, and shuts it where it is told to.
type watched struct {
	mu         sync.Mutex
	shut       error
	mark       uint64
	accepted   [][2]uint64 // mark before the first try, sequence
	tokens     []string
	unreadable []string
}

func (w *watched) Open() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.shut
}

func (w *watched) Mark() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mark
}

func (w *watched) Accepted(before, sequence uint64, token string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.accepted, w.tokens = append(w.accepted, [2]uint64{before, sequence}), append(w.tokens, token)
	w.mark = max(w.mark, sequence)
}

func (w *watched) Unreadable(subject string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unreadable = append(w.unreadable, subject)
}

func TestEveryAcceptedAppendIsTold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := &watched{}
	j := open(t, b.Connect(t), &stream.Options{Integrity: w})
	if _, err := j.Append(withTimeout(t), 0, journaltest.Event(id, 1, "a")); err != nil {
		t.Fatal(err)
	}
	action := payment.OperatorAction{Action: "paused", ULID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", Operator: "olaf", Identity: "nats", Reason: "r"}
	if err := j.AppendOperator(withTimeout(t), action); err != nil {
		t.Fatal(err)
	}
	if err := j.AppendOperator(withTimeout(t), action); err != nil { // said before: no append of this one
		t.Fatal(err)
	}
	m, err := j.At(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(w.accepted) != 2 || w.accepted[0] != [2]uint64{0, 1} || w.accepted[1] != [2]uint64{1, 2} {
		t.Errorf("told of %v", w.accepted)
	}
	if token := m.Message.Header["Countermand-Append"]; len(token) != 1 || token[0] != w.tokens[0] {
		t.Errorf("told of token %s, stored is %v", w.tokens[0], token)
	}
}

// TestTheMarkIsTakenBeforeTheFirstTry: a later one may lie above an earlier try
// of the same append that was accepted and whose answer was lost.
func TestTheMarkIsTakenBeforeTheFirstTry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := &watched{}
	conn := b.Connect(t)
	lost := &losesFirst{conn: conn, then: func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.mark = 50
	}}
	if _, err := open(t, lost, &stream.Options{Integrity: w}).Append(withTimeout(t), 0, journaltest.Event(id, 1, "a")); err != nil {
		t.Fatal(err)
	}
	if len(w.accepted) != 1 || w.accepted[0] != [2]uint64{0, 1} {
		t.Errorf("told of %v", w.accepted)
	}
}

// losesFirst loses the answer to the first append.
type losesFirst struct {
	conn stream.Requester
	then func()
	lost bool
}

func (l *losesFirst) RequestMsgWithContext(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	reply, err := l.conn.RequestMsgWithContext(ctx, m)
	if !l.lost && !strings.HasPrefix(m.Subject, "$JS.") {
		l.lost = true
		l.then()
		return nil, nats.ErrNoResponders
	}
	return reply, err
}

func TestAShutJournalSendsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	why := errors.New("the journal ends at 563")
	s := &script{conn: b.Connect(t)}
	j := open(t, s, &stream.Options{Integrity: &watched{shut: why}})
	_, err := j.Append(withTimeout(t), 0, journaltest.Event(id, 1, "a"))
	for what, err := range map[string]error{
		"append":   err,
		"operator": j.AppendOperator(withTimeout(t), payment.OperatorAction{Action: "paused", ULID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", Operator: "olaf", Identity: "nats", Reason: "r"}),
	} {
		if !errors.Is(err, journal.ErrStoreRefuses) || !errors.Is(err, why) || errors.Is(err, journal.ErrUnknown) {
			t.Errorf("%s ended in %v", what, err)
		}
	}
	if err := j.AppendRejection(withTimeout(t), journaltest.Rejection(1)); !errors.Is(err, journal.ErrRefusalNotTaken) || !strings.Contains(err.Error(), why.Error()) {
		t.Errorf("rejection ended in %v", err)
	}
	if len(s.sent) > 0 {
		t.Errorf("%d messages were sent", len(s.sent))
	}
}

func TestAnAppendThatMayBeThereIsLookedForWhenTheJournalIsShut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := &watched{}
	lost := &losesFirst{conn: b.Connect(t), then: func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.shut = errors.New("suspect")
	}}
	sequence, err := open(t, lost, &stream.Options{Integrity: w}).Append(withTimeout(t), 0, journaltest.Event(id, 1, "a"))
	if err != nil || sequence != 1 || len(w.accepted) != 1 {
		t.Errorf("ended in sequence %d, %v; told of %v", sequence, err, w.accepted)
	}
}

func TestASubjectThatIsTakenAndShowsNothingIsUnreadable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := &watched{}
	taken := refusal(10077, "maximum messages per subject exceeded")
	j := open(t, always{b.Connect(t), taken}, &stream.Options{Integrity: w})
	_, err := j.Append(withTimeout(t), 0, journaltest.Event(id, 1, "a"))
	if !errors.Is(err, journal.ErrStoreRefuses) {
		t.Errorf("ended in %v", err)
	}
	if len(w.unreadable) != 1 || !strings.HasPrefix(w.unreadable[0], "payment.refund.started.") {
		t.Errorf("told of %v", w.unreadable)
	}
	// For a moment only, as an append in flight on three replicas does it.
	w = &watched{}
	s := &script{conn: b.Connect(t), turns: answers(taken, taken)}
	if _, err := open(t, s, &stream.Options{Integrity: w}).Append(withTimeout(t), 0, journaltest.Event(id, 1, "a")); err != nil || len(w.unreadable) > 0 {
		t.Errorf("ended in %v; told of %v", err, w.unreadable)
	}
}

func TestAPaymentWhoseVersionsWereWrittenTwiceGoesOnAboveBoth(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := &watched{}
	j := open(t, b.Connect(t), &stream.Options{Integrity: w})
	for n := range uint64(3) {
		if _, err := j.Append(withTimeout(t), n, journaltest.Event(id, n+1, "a")); err != nil {
			t.Fatal(err)
		}
	}
	// As a replica that did not have them would have let it be written.
	again := journaltest.Event(id, 2, "b")
	again.Type = payment.EventDeferred
	if _, err := j.Append(withTimeout(t), 3, again); err != nil {
		t.Fatal(err)
	}
	_, err := j.Append(withTimeout(t), 4, journaltest.Event(id, 3, "b"))
	conflict, ok := errors.AsType[*journal.ConflictError](err)
	if !ok || conflict.Last.Sequence != 4 || conflict.Last.State.Version != 3 || len(w.unreadable) > 0 {
		t.Fatalf("ended in %v; told of %v", err, w.unreadable)
	}
	if _, err := j.Append(withTimeout(t), 4, journaltest.Event(id, 4, "b")); err != nil {
		t.Errorf("above both: %v", err)
	}
}

// always gives one answer to every append; nil: none, until the context ends.
type always struct {
	stream.Requester
	answer *nats.Msg
}

func (a always) RequestMsgWithContext(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	switch {
	case strings.HasPrefix(m.Subject, "$JS."):
		return a.Requester.RequestMsgWithContext(ctx, m)
	case a.answer == nil:
		<-ctx.Done()
		return nil, ctx.Err()
	default:
		return a.answer, nil
	}
}

func TestAStoreThatAnswersNothingRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	began := time.Now()
	j := open(t, always{b.Connect(t), nil}, &stream.Options{TryTimeout: 40 * time.Millisecond, RefuseAfter: 100 * time.Millisecond})
	_, err := j.Append(withTimeout(t), 0, journaltest.Event(id, 1, "a"))
	if !errors.Is(err, journal.ErrStoreRefuses) || !errors.Is(err, journal.ErrUnknown) {
		t.Errorf("ended in %v", err)
	}
	if took := time.Since(began); took < 100*time.Millisecond || took > 10*time.Second {
		t.Errorf("ended after %s", took)
	}
}
