package events

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/countermand/countermand/payment"
)

// ErrNewerFormat is wrapped by DecodeEvent's error when the state in an event
// was written by a newer version of the program. It is never guessed at.
var ErrNewerFormat = errors.New("state has a newer format than this version reads")

// Entry is one event of a payment as it is read back from the journal.
type Entry struct {
	// ID is the event's id: the subject it was appended on.
	ID   string
	Type payment.EventType
	Op   payment.Op
	// State is the payment's whole state after the event.
	State payment.State
	// Data is what the event says, the state left out.
	Data Result
	// Trace is what the envelope says of the command behind it.
	Trace payment.Trace
}

// Event is the entry as an event of a payment, as it was encoded: texts are masked
// already, and times are in whole milliseconds.
func (e Entry) Event(id payment.ID) payment.Event {
	d := e.Data
	out := payment.Event{
		Type: e.Type, Op: e.Op, ID: id, Key: d.IdempotencyKey, Payment: d.Payment, Amount: d.Amount, Full: d.Full,
		Outcome: d.Outcome, Attempt: d.Attempt, Origin: d.Origin, Trace: e.Trace, RequestedAt: d.RequestedAt.Time,
		OccurredAt: d.OccurredAt.Time, CallUntil: d.CallUntil.Time, NextAttemptAt: d.NextAttemptAt.Time,
		ResolvedBy: d.ResolvedBy, State: e.State,
	}
	out.ProviderTime = d.ProviderTime.Time
	if r := d.Review; r != nil {
		out.Review = &payment.Review{
			Reason: r.Reason, Since: r.Since.Time, LastAsked: r.LastAsked.Time, Question: r.Question, SafeActions: r.SafeActions,
		}
	}
	return out
}

// DecodeEvent reads a payment's event in either mode. It is lenient where the
// journal may be newer than the reader (unknown members and attributes are
// passed over), except for the state: a newer state.format is an error that
// wraps ErrNewerFormat. A message that is no event of a payment is an error.
func DecodeEvent(m Message) (Entry, error) {
	var id, typ string
	var data resultData
	var trace payment.Trace
	var err error
	if isStructured(m) {
		var e structured[resultData]
		e.Data = &data
		err = json.Unmarshal(m.Data, &e, jsontext.AllowDuplicateNames(true))
		id, typ = e.ID, e.Type
		trace = payment.Trace{CorrelationID: e.CorrelationID, TraceParent: e.TraceParent, TraceState: e.TraceState}
	} else {
		id, typ = header(m, "ce-id"), header(m, "ce-type")
		trace = payment.Trace{
			CorrelationID: header(m, "ce-correlationid"), TraceParent: header(m, "ce-traceparent"), TraceState: header(m, "ce-tracestate"),
		}
		err = json.Unmarshal(m.Data, &data, jsontext.AllowDuplicateNames(true))
	}
	// The format first: a newer one may be the very reason of err.
	if format := max(data.State.Format, formatOf(m, err)); format > payment.StateFormat {
		return Entry{}, fmt.Errorf("decode event: state format %d, known up to %d: %w", format, payment.StateFormat, ErrNewerFormat)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("decode event: %w", err)
	}
	op, event, err := parseEventType(typ)
	if err != nil {
		return Entry{}, fmt.Errorf("decode event: %w", err)
	}
	if data.State.Format < 1 || data.State.Version == 0 {
		return Entry{}, errors.New("decode event: the event carries no state")
	}
	return Entry{ID: id, Type: event, Op: op, State: data.State, Data: data.Result, Trace: trace}, nil
}

// formatOf finds the state's format in an event that could not be read.
func formatOf(m Message, err error) int {
	if err == nil {
		return 0
	}
	type stateOnly struct {
		State struct {
			Format int `json:"format"`
		} `json:"state"`
	}
	var probe struct {
		stateOnly
		Data stateOnly `json:"data"`
	}
	if json.Unmarshal(m.Data, &probe, jsontext.AllowDuplicateNames(true)) != nil {
		return 0
	}
	return max(probe.State.Format, probe.Data.State.Format)
}

// parseEventType is the inverse of eventType.
func parseEventType(typ string) (payment.Op, payment.EventType, error) {
	rest, ok := strings.CutPrefix(typ, "payment.")
	opWord, eventWord, found := strings.Cut(rest, ".")
	op, event := payment.Op(opWord), payment.EventType(eventWord)
	if !ok || !found || !op.Known() || !knownEventType(event) {
		return "", "", errors.New("type is no type of a payment's event")
	}
	return op, event, nil
}
