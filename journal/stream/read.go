package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/journal"
)

// storedMessage is a message as the stream's leader returns it. The zero value
// is none.
type storedMessage struct {
	Subject  string `json:"subject"`
	Sequence uint64 `json:"seq"`
	Headers  []byte `json:"hdrs"`
	Data     []byte `json:"data"`

	header nats.Header
}

// read returns the newest message under a subject or filter, by the stream's
// leader: a direct get may be answered by a replica that lags behind, and a
// stale answer here would show a payment that has not moved. It asks until
// somebody answers or ctx ends.
func (j *Journal) read(ctx context.Context, subject string) (storedMessage, error) {
	// Subjects built by package events hold nothing that JSON would escape.
	return j.get(ctx, subject, `{"last_by_subj":"`+subject+`"}`)
}

// get asks the leader for a message of a subject until it answers or ctx ends.
func (j *Journal) get(ctx context.Context, subject, question string) (storedMessage, error) {
	ask := &nats.Msg{Subject: j.getLast, Data: []byte(question)}
	var wait backoff
	for {
		stored, err := j.readOnce(ctx, ask)
		switch {
		case err == nil && stored.Sequence != 0 && !covers(subject, stored.Subject):
			return storedMessage{}, fmt.Errorf("read %s: was answered with %s", subject, stored.Subject)
		case err == nil:
			return stored, nil
		case ctx.Err() != nil:
			return storedMessage{}, fmt.Errorf("read %s: %w (last try: %w)", subject, ctx.Err(), err)
		case errors.Is(err, nats.ErrConnectionClosed):
			return storedMessage{}, fmt.Errorf("read %s: %w", subject, err)
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			wait.pause(ctx)
		}
	}
}

// readOnce asks once. "No message found" is the zero message; it is also what
// the server says when it could not look, and then the guard of the next append
// is what stands between us and a second first event.
func (j *Journal) readOnce(ctx context.Context, ask *nats.Msg) (storedMessage, error) {
	reply, err := j.request(ctx, ask)
	if err != nil {
		return storedMessage{}, err
	}
	var got struct {
		Error   *jetstream.APIError `json:"error"`
		Message storedMessage       `json:"message"`
	}
	if err := json.Unmarshal(reply.Data, &got); err != nil {
		return storedMessage{}, fmt.Errorf("decode answer: %w", err)
	}
	switch {
	case got.Error != nil && got.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return storedMessage{}, nil
	case got.Error != nil:
		return storedMessage{}, got.Error
	case got.Message.Sequence == 0:
		return storedMessage{}, errors.New("answer holds neither message nor error")
	}
	if len(got.Message.Headers) > 0 {
		if got.Message.header, err = nats.DecodeHeadersMsg(got.Message.Headers); err != nil {
			return storedMessage{}, fmt.Errorf("decode headers: %w", err)
		}
	}
	return got.Message, nil
}

// token is the token of the append that stored the message, or "".
func (m storedMessage) token() string { return m.header.Get(AppendHeader) }

// record decodes the message as a payment's event.
func (m storedMessage) record() (journal.Record, error) {
	if m.Sequence == 0 {
		return journal.Record{}, nil
	}
	entry, err := events.DecodeEvent(events.Message{Subject: m.Subject, Header: m.header, Data: m.Data})
	if err != nil {
		return journal.Record{}, fmt.Errorf("decode %s: %w", m.Subject, err)
	}
	if !m.carries(entry) {
		return journal.Record{}, fmt.Errorf("decode %s: the event in it belongs on another subject", m.Subject)
	}
	return journal.Record{Sequence: m.Sequence, Type: entry.Type, Op: entry.Op, State: entry.State}, nil
}

// carries reports whether the event is the one its subject names. Only we write
// there; what somebody put there by hand, or restored to the wrong place, would
// be another payment's state or one of another time, and money would be decided on it.
func (m storedMessage) carries(e events.Entry) bool {
	return e.ID == m.Subject && strings.HasPrefix(m.Subject, events.TypeOf(e.Op, e.Type)+".") &&
		strings.HasSuffix(m.Subject, "."+strconv.FormatUint(e.State.Version, 10))
}

// covers reports whether a subject matches a filter of literal tokens and
// single-token wildcards.
func covers(filter, subject string) bool {
	for {
		f, restFilter, moreFilter := strings.Cut(filter, ".")
		s, restSubject, moreSubject := strings.Cut(subject, ".")
		if s == "" || (f != "*" && f != s) || moreFilter != moreSubject {
			return false
		}
		if !moreFilter {
			return true
		}
		filter, subject = restFilter, restSubject
	}
}
