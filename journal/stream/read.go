package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
)

// Stored is one message of the journal as the stream's leader returns it.
type Stored struct {
	// Sequence is its position, and Time when the stream took it. The zero Stored
	// is none.
	Sequence uint64
	Time     time.Time
	Message  events.Message
}

// EventAt returns the event of a payment that has a version, read from the
// stream's leader; the zero Entry if there is none.
func (j *Journal) EventAt(ctx context.Context, id payment.ID, version uint64) (events.Entry, error) {
	filter, err := events.Filter(id)
	if err != nil {
		return events.Entry{}, fmt.Errorf("name payment: %w", err)
	}
	stored, err := j.version(ctx, filter, version)
	if err != nil || stored.Sequence == 0 {
		return events.Entry{}, err
	}
	return stored.entry()
}

// version reads the event of a payment's filter that has a version. The last
// token of an event's subject is its version, so that the server has nothing to search.
func (j *Journal) version(ctx context.Context, filter string, version uint64) (Stored, error) {
	return j.read(ctx, strings.TrimSuffix(filter, "*")+strconv.FormatUint(version, 10))
}

// Newest returns the newest message of the whole journal, the zero Stored if it
// is empty. It costs the server no search, however many payments there are. It
// asks once.
func (j *Journal) Newest(ctx context.Context) (Stored, error) {
	return j.readOnce(ctx, `{"last_by_subj":">"}`)
}

// At returns the message at a position, the zero Stored if there is none. It
// asks once.
func (j *Journal) At(ctx context.Context, sequence uint64) (Stored, error) {
	return j.readOnce(ctx, `{"seq":`+strconv.FormatUint(sequence, 10)+`}`)
}

// read returns the newest message under a subject or filter, by the stream's
// leader: a direct get may be answered by a replica that lags behind, and a
// stale answer here would show a payment that has not moved. It asks until
// somebody answers or ctx ends.
func (j *Journal) read(ctx context.Context, subject string) (Stored, error) {
	// Subjects built by package events hold nothing that JSON would escape.
	return j.get(ctx, subject, `{"last_by_subj":"`+subject+`"}`)
}

// missingFor is how long a server may say that there is no such stream. One that
// leads the cluster since a moment ago may not have read yet which streams there are.
const missingFor = time.Second

// get asks the leader for a message of a subject until it answers or ctx ends. That
// the stream does not exist is an answer.
func (j *Journal) get(ctx context.Context, subject, question string) (Stored, error) {
	var wait backoff
	var missing time.Time // since when each answer says so
	for {
		stored, err := j.readOnce(ctx, question)
		switch {
		case !streamMissing(err):
			missing = time.Time{}
		case missing.IsZero():
			missing = time.Now()
		}
		switch {
		case !missing.IsZero() && time.Since(missing) >= missingFor:
			return Stored{}, fmt.Errorf("read %s: %w", subject, err)
		case err == nil && stored.Sequence != 0 && !covers(subject, stored.Message.Subject):
			return Stored{}, fmt.Errorf("read %s: was answered with %s", subject, stored.Message.Subject)
		case err == nil:
			return stored, nil
		case ctx.Err() != nil:
			return Stored{}, fmt.Errorf("read %s: %w (last try: %w)", subject, ctx.Err(), err)
		case errors.Is(err, nats.ErrConnectionClosed):
			return Stored{}, fmt.Errorf("read %s: %w", subject, err)
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			wait.pause(ctx)
		}
	}
}

// readOnce asks the leader once. "No message found" is the zero message; it is
// also what the server says when it could not look, and then the guard of the next
// append is what stands between us and a second first event.
func (j *Journal) readOnce(ctx context.Context, question string) (Stored, error) {
	reply, err := j.request(ctx, &nats.Msg{Subject: j.getLast, Data: []byte(question)})
	if err != nil {
		return Stored{}, fmt.Errorf("ask the leader of %s: %w", j.opts.Stream, err)
	}
	var got struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Subject  string    `json:"subject"`
			Sequence uint64    `json:"seq"`
			Headers  []byte    `json:"hdrs"`
			Data     []byte    `json:"data"`
			Time     time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(reply.Data, &got); err != nil {
		return Stored{}, fmt.Errorf("decode the answer of the leader of %s: %w", j.opts.Stream, err)
	}
	m := got.Message
	switch {
	case got.Error != nil && got.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return Stored{}, nil
	case streamMissing(got.Error):
		return Stored{}, fmt.Errorf("the stream %s does not exist: %w", j.opts.Stream, got.Error)
	case got.Error != nil:
		return Stored{}, got.Error
	case m.Sequence == 0:
		return Stored{}, fmt.Errorf("the answer of the leader of %s holds neither message nor error", j.opts.Stream)
	}
	out := Stored{Sequence: m.Sequence, Time: m.Time, Message: events.Message{Subject: m.Subject, Data: m.Data}}
	if len(m.Headers) > 0 {
		header, err := nats.DecodeHeadersMsg(m.Headers)
		if err != nil {
			return Stored{}, fmt.Errorf("decode headers of %s: %w", m.Subject, err)
		}
		out.Message.Header = header
	}
	return out, nil
}

// streamMissing reports whether a server says that there is no such stream.
func streamMissing(err error) bool {
	failed, ok := errors.AsType[*jetstream.APIError](err)
	return ok && failed != nil && failed.ErrorCode == jetstream.JSErrCodeStreamNotFound
}

// Token is the token of the append that stored the message, or "".
func (s Stored) Token() string { return nats.Header(s.Message.Header).Get(TokenHeader) }

// record decodes the message as a payment's newest event.
func (s Stored) record() (journal.Record, error) {
	if s.Sequence == 0 {
		return journal.Record{}, nil
	}
	entry, err := s.entry()
	if err != nil {
		return journal.Record{}, err
	}
	return journal.Record{Sequence: s.Sequence, Type: entry.Type, Op: entry.Op, State: entry.State}, nil
}

// entry decodes the message as an event of a payment.
func (s Stored) entry() (events.Entry, error) {
	entry, err := events.DecodeEvent(s.Message)
	if err != nil {
		return events.Entry{}, fmt.Errorf("decode %s: %w", s.Message.Subject, err)
	}
	if !s.carries(entry) {
		return events.Entry{}, fmt.Errorf("decode %s: the event in it belongs on another subject", s.Message.Subject)
	}
	return entry, nil
}

// carries reports whether the event is the one its subject names. Only we write
// there; what somebody put there by hand, or restored to the wrong place, would
// be another payment's state or one of another time, and money would be decided on it.
func (s Stored) carries(e events.Entry) bool {
	subject := s.Message.Subject
	return e.ID == subject && strings.HasPrefix(subject, events.TypeOf(e.Op, e.Type)+".") &&
		strings.HasSuffix(subject, "."+strconv.FormatUint(e.State.Version, 10))
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
