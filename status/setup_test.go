package status_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/status"
)

// book is a journal that a test writes.
type book struct {
	t testing.TB

	mu       sync.Mutex
	messages []status.Message // the zero one is a hole
	states   map[payment.ID]payment.State
	captured *payment.Money // of every payment
	reads    int
	fail     error
	hold     chan struct{} // At waits for it, if it is there
}

func newBook(t testing.TB) *book { return &book{t: t, states: map[payment.ID]payment.State{}} }

func start() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

// now is when the next message is taken: every message has a time of its own.
func (b *book) now() time.Time {
	return start().Add(time.Duration(len(b.messages)) * 700 * time.Microsecond)
}

// put appends any message.
func (b *book) put(m events.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages = append(b.messages, status.Message{Sequence: uint64(len(b.messages) + 1), Time: b.now(), Message: m})
}

// hole is a position without a message.
func (b *book) hole() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages = append(b.messages, status.Message{})
}

// command names the command that began the operation with a key.
func command(key payment.Key) payment.Origin {
	return payment.Origin{CommandID: "evt-" + string(key), CommandSource: "/shop"}
}

// event appends an event of an operation of a payment, as it stands after it.
func (b *book) event(id payment.ID, key payment.Key, s payment.Status, change func(*payment.Operation)) {
	b.t.Helper()
	state := b.states[id]
	state.Format = payment.StateFormat
	state.Captured = b.captured
	state.Version++
	state.Operations = append([]payment.Operation{}, state.Operations...)
	origin := command(key)
	i := state.Find(payment.Refund, key)
	if i < 0 {
		i = len(state.Operations)
		state.Operations = append(state.Operations, payment.Operation{
			Op: payment.Refund, KeyHash: key.Hash(), Fingerprint: strings.Repeat("f", 64), First: state.Version,
			Amount: &payment.Money{Value: 400, Currency: "EGP"},
			Open:   &payment.Open{Key: key, Origin: origin, RequestedAt: start(), Due: start().Add(time.Hour), CallUntil: start().Add(time.Minute)},
		})
	}
	o := &state.Operations[i]
	o.Status, o.Last, o.Attempt = s, state.Version, 1
	if s.Terminal() {
		o.Open = nil
	}
	if change != nil {
		change(o)
	}
	b.states[id] = state
	m, err := events.NewEncoder(&events.EncoderOptions{Binary: state.Version%2 == 0}).EncodeEvent(payment.Event{
		Type: payment.EventType(s), Op: payment.Refund, ID: id, Key: key, Payment: payment.Details{OrderID: id.Native},
		Amount: o.Amount, Attempt: 1, Origin: origin, RequestedAt: start(), OccurredAt: start(), State: state,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.put(m)
}

// look finds the newest message with a prefix and a suffix.
func (b *book) look(prefix, suffix string) (status.Message, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads++
	for i := len(b.messages) - 1; i >= 0; i-- {
		m := b.messages[i]
		words := strings.Split(m.Subject, ".")
		if len(words) == 6 && strings.Join(words[3:5], ".") == prefix && (suffix == "" || words[5] == suffix) {
			return m, b.fail
		}
	}
	return status.Message{}, b.fail
}

func (b *book) Last(_ context.Context, id payment.ID) (journal.Record, error) {
	m, err := b.look(id.Provider+"."+events.Token(id.Native), "")
	if err != nil || m.Sequence == 0 {
		return journal.Record{}, err
	}
	e, err := events.DecodeEvent(m.Message)
	return journal.Record{Sequence: m.Sequence, Type: e.Type, Op: e.Op, State: e.State}, err
}

func (b *book) EventAt(_ context.Context, id payment.ID, version uint64) (events.Entry, error) {
	m, err := b.look(id.Provider+"."+events.Token(id.Native), fmt.Sprint(version))
	if err != nil || m.Sequence == 0 {
		return events.Entry{}, err
	}
	return events.DecodeEvent(m.Message)
}

func (b *book) Newest(ctx context.Context) (status.Message, error) {
	b.mu.Lock()
	n := uint64(len(b.messages))
	b.mu.Unlock()
	return b.At(ctx, n)
}

func (b *book) At(ctx context.Context, sequence uint64) (status.Message, error) {
	b.mu.Lock()
	hold := b.hold
	b.mu.Unlock()
	if hold != nil {
		<-hold
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads++
	if sequence == 0 || sequence > uint64(len(b.messages)) {
		return status.Message{}, b.fail
	}
	return b.messages[sequence-1], errors.Join(b.fail, ctx.Err())
}

// reader reads the book, and remembers so many commands.
func (b *book) reader(recent int) *status.Reader {
	b.t.Helper()
	r, err := status.NewReader(b, b, &status.Options{Recent: recent})
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// costs tells how many reads something took.
func (b *book) costs(do func()) int {
	b.mu.Lock()
	before := b.reads
	b.mu.Unlock()
	do()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reads - before
}

// codeOf is the code of an error, or "".
func codeOf(err error) status.Code {
	var no *status.Error
	if errors.As(err, &no) {
		return no.Code
	}
	return ""
}

// byCommand asks by the command of the operation with a key alone.
func byCommand(key payment.Key) status.Query {
	o := command(key)
	return status.Query{CommandID: o.CommandID, CommandSource: o.CommandSource}
}
