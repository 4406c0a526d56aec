// Package history shows operators the events of one payment as they are stored, and
// when its timers come back. It changes nothing.
package history

import (
	"context"
	"iter"
	"time"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

// Event is one event as it is stored.
type Event struct {
	Subject string              `json:"subject"`
	Header  map[string][]string `json:"header,omitempty"`
	Data    []byte              `json:"data"`
}

// Message is the event as it was read.
func (e Event) Message() events.Message {
	return events.Message{Subject: e.Subject, Header: e.Header, Data: e.Data}
}

// Page is a part of a payment's history, in order.
type Page struct {
	Events []Event `json:"events"`
	// Timers are when the payment's timers come back; with the last page only.
	Timers []time.Time `json:"timers,omitempty"`
	// Next is the version that the next page begins with; 0: this is the last one.
	Next uint64 `json:"next,omitempty"`
}

// Journal reads a payment's events as they are stored (*stream.Journal).
type Journal interface {
	MessagesFrom(ctx context.Context, id payment.ID, version uint64) iter.Seq2[stream.Stored, error]
}

// Timers tells when a payment's timers come back.
type Timers func(ctx context.Context, id payment.ID) ([]time.Time, error)

// Reader is safe for concurrent use.
type Reader struct {
	journal Journal
	timers  Timers
}

// NewReader returns a reader; no I/O.
func NewReader(j Journal, t Timers) *Reader { return &Reader{j, t} }

const (
	// pageEvents and pageBytes bound a page: an answer has its limit.
	pageEvents, pageBytes = 200, 400 << 10
)

// Page reads a page of a payment's events from a version on; 0: from the first.
// Errors are *desk.Error.
func (r *Reader) Page(ctx context.Context, id payment.ID, version uint64) (*Page, error) {
	if _, err := events.Filter(id); err != nil {
		return nil, &desk.Error{Fault: desk.FaultInvalid, Message: err.Error()}
	}
	p, size, next := &Page{Events: []Event{}}, 0, max(version, 1)
	for m, err := range r.journal.MessagesFrom(ctx, id, next) {
		if err != nil {
			return nil, unavailable("read the payment's events", err)
		}
		if len(p.Events) == pageEvents || size > pageBytes {
			p.Next = next
			return p, nil
		}
		p.Events = append(p.Events, Event{Subject: m.Message.Subject, Header: m.Message.Header, Data: m.Message.Data})
		size += len(m.Message.Data)
		if next, err = events.VersionOf(m.Message.Subject); err != nil {
			return nil, unavailable("read the payment's events", err)
		}
		next++
	}
	var err error
	if p.Timers, err = r.timers(ctx, id); err != nil {
		return nil, unavailable("read the payment's timers", err)
	}
	return p, nil
}

func unavailable(what string, err error) error {
	return &desk.Error{Fault: desk.FaultUnavailable, Message: "could not " + what + ": " + err.Error()}
}
