//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/sleep"
	"github.com/countermand/countermand/proof/chaos/compare"
)

// told is what the journal says, as a ledger service would read it.
type told struct {
	// ruled: operators rule on what a person must decide, so that only what has
	// ended is settled.
	ruled bool

	mu       sync.Mutex
	events   []compare.Event
	audits   []compare.Audit
	answers  map[string]bool
	subjects map[string]bool
	begun    map[string]bool   // operations with an attempt
	settled  map[string]bool   // operations that ended, or on which only a person can act
	read     map[string]uint64 // up to where each stream was read
	progress time.Time         // of the last event that settled an operation
}

func newTold(ruled bool) *told {
	return &told{ruled: ruled, answers: map[string]bool{}, subjects: map[string]bool{}, begun: map[string]bool{}, settled: map[string]bool{}, read: map[string]uint64{}}
}

// wireEvent is as much of an event as is looked at here.
type wireEvent struct {
	Type string `json:"type"`
	Data struct {
		Operation      string `json:"operation"`
		IdempotencyKey string `json:"idempotencyKey"`
		Provider       string `json:"provider"`
		Payment        struct {
			OrderID       string `json:"orderId"`
			TransactionID string `json:"transactionId"`
		} `json:"payment"`
		Moved *struct {
			Value int64 `json:"value"`
		} `json:"moved"`
		Status  string `json:"status"`
		Effect  string `json:"effect"`
		Code    string `json:"code"`
		Attempt int    `json:"attempt"`
		// ResolvedBy is there where an operator's word made it.
		ResolvedBy *struct{} `json:"resolvedBy"`
		Review     struct {
			Reason string `json:"reason"`
		} `json:"review"`
	} `json:"data"`
}

// take adds one message of the journal or the refusals.
func (t *told) take(m jetstream.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	return t.add(meta.Stream, &jetstream.RawStreamMsg{Subject: m.Subject(), Data: m.Data(), Sequence: meta.Sequence.Stream, Time: meta.Timestamp})
}

// add adds one message as the stream holds it.
func (t *told) add(stream string, m *jetstream.RawStreamMsg) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m.Sequence <= t.read[stream] {
		return nil // read before the reader began anew
	}
	t.read[stream] = m.Sequence
	t.subjects[m.Subject] = true
	if token, ok := events.RejectedToken(m.Subject); ok {
		t.answers[token] = true
		return nil
	}
	if events.IsAudit(m.Subject) {
		a, ruling, err := decodeAudit(m)
		if a.Sequence = m.Sequence; ruling {
			t.audits = append(t.audits, a)
		}
		return err
	}
	e, err := decode(m)
	if err != nil {
		return err
	}
	e.Sequence = m.Sequence
	t.note(e, m.Time)
	return nil
}

// note adds one event of an operation.
func (t *told) note(e compare.Event, at time.Time) {
	t.events = append(t.events, e)
	if e.Type == "started" {
		t.begun[e.Operation] = true
	}
	switch settled := e.Terminal() || !t.ruled && (e.InReview() || e.BehindReview()); {
	case settled && !t.settled[e.Operation]:
		t.settled[e.Operation] = true
		t.progress = at
	case !settled:
		delete(t.settled, e.Operation)
	}
}

func decode(m *jetstream.RawStreamMsg) (compare.Event, error) {
	var w wireEvent
	if err := json.Unmarshal(m.Data, &w); err != nil {
		return compare.Event{}, &unreadableError{m.Subject, err}
	}
	d := w.Data
	native := d.Payment.TransactionID
	if native == "" {
		native = d.Payment.OrderID
	}
	e := compare.Event{
		Subject: m.Subject, Operation: operationName(d.Provider, native, d.Operation, d.IdempotencyKey),
		Type: w.Type[strings.LastIndexByte(w.Type, '.')+1:], Status: d.Status, Effect: d.Effect, Code: d.Code, Attempt: d.Attempt,
		Review: d.Review.Reason,
	}
	if d.Moved != nil {
		e.Moved = d.Moved.Value
	}
	e.Ruled = d.ResolvedBy != nil
	version := m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
	var err error
	if e.Version, err = strconv.ParseUint(version, 10, 64); err != nil {
		return compare.Event{}, &unreadableError{m.Subject, err}
	}
	return e, nil
}

// decodeAudit reads an audit event; ruling is false where it is not the record
// of a ruling about to be carried out.
func decodeAudit(m *jetstream.RawStreamMsg) (a compare.Audit, ruling bool, err error) {
	var w struct {
		Data struct {
			Action         string `json:"action"`
			Provider       string `json:"provider"`
			Payment        string `json:"payment"`
			Operation      string `json:"operation"`
			IdempotencyKey string `json:"idempotencyKey"`
			Version        uint64 `json:"version"`
			Ruling         string `json:"ruling"`
			Outcome        string `json:"outcome"`
		} `json:"data"`
	}
	if err := json.Unmarshal(m.Data, &w); err != nil {
		return a, false, &unreadableError{m.Subject, err}
	}
	d := w.Data
	// A payment's token is its name here: letters, digits and dashes.
	a = compare.Audit{Operation: operationName(d.Provider, d.Payment, d.Operation, d.IdempotencyKey), Version: d.Version, Ruling: d.Ruling}
	return a, d.Action == "resolve" && d.Outcome == "", nil
}

// counts returns how many operations are settled and messages answered.
func (t *told) counts() (settled, answers int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.settled), len(t.answers)
}

// inFlow returns how many operations have an attempt and are not settled.
func (t *told) inFlow() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for operation := range t.begun {
		if !t.settled[operation] {
			n++
		}
	}
	return n
}

// follow reads the journal and the refusals as they grow until the context ends, whatever
// happens to the servers meanwhile; then it sends what went wrong, or nil.
func (w *world) follow(ctx context.Context, t *told) <-chan error {
	each := make(chan error, 2)
	for _, stream := range toldBy() {
		go func() { each <- w.followOne(ctx, t, stream) }()
	}
	ended := make(chan error, 1)
	go func() { ended <- errors.Join(<-each, <-each) }()
	return ended
}

func (w *world) followOne(ctx context.Context, t *told, stream string) error {
	for ctx.Err() == nil {
		err := w.readStream(ctx, t, stream, false)
		if unreadable := (*unreadableError)(nil); errors.As(err, &unreadable) {
			return err
		}
		sleep.For(ctx, 200*time.Millisecond)
	}
	return nil
}

// toldBy are the streams that say what became of messages.
func toldBy() []string { return []string{topology().Events, topology().Refusals} }

// unreadableError is an event that reading again would not help.
type unreadableError struct {
	subject string
	err     error
}

// Error implements error.
func (e *unreadableError) Error() string { return fmt.Sprintf("read event %s: %v", e.subject, e.err) }

// readAll reads the journal and the refusals from the first event to the end.
func (w *world) readAll(ctx context.Context) (*told, error) {
	t := newTold(false)
	return t, w.readOn(ctx, t)
}

// readOn reads from where t stands until there is nothing more.
func (w *world) readOn(ctx context.Context, t *told) error {
	for _, stream := range toldBy() {
		if err := w.readStream(ctx, t, stream, true); err != nil {
			return err
		}
	}
	return nil
}

// readStream reads one stream from where t stands; toEnd: until there is nothing more.
func (w *world) readStream(ctx context.Context, t *told, stream string, toEnd bool) error {
	t.mu.Lock()
	from := t.read[stream] + 1
	t.mu.Unlock()
	if toEnd && len(w.servers) > 1 {
		return w.readLeader(ctx, t, stream, from)
	}
	c, err := w.js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from,
	})
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	if info, err := c.Info(ctx); toEnd && (err != nil || info.NumPending == 0) {
		return err
	}
	messages, err := c.Messages()
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("read journal: %w", err)
		}
		if err := t.take(m); err != nil {
			return err
		}
		if meta, err := m.Metadata(); toEnd && err == nil && meta.NumPending == 0 {
			return nil
		}
	}
}

// readLeader reads from a sequence to the end, each message from the leader: a
// consumer reads what its own server holds, which may be behind for long after all
// servers went away together.
func (w *world) readLeader(ctx context.Context, t *told, stream string, from uint64) error {
	s, err := w.js.Stream(ctx, stream)
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	for ; from <= s.CachedInfo().State.LastSeq; from++ {
		m, err := s.GetMsg(ctx, from)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			continue
		case err != nil:
			return fmt.Errorf("read journal: %w", err)
		}
		if err := t.add(stream, m); err != nil {
			return err
		}
	}
	return nil
}

// vanished lists what was read during the run and is no longer there.
func vanished(during, after *told) []string {
	var gone []string
	during.mu.Lock()
	defer during.mu.Unlock()
	for subject := range during.subjects {
		if !after.subjects[subject] {
			gone = append(gone, subject)
		}
	}
	return gone
}
