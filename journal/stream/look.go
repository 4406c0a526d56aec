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
	"github.com/countermand/countermand/payment"
)

// Stored is one message of the journal, whichever it is.
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
	stored, err := j.read(ctx, strings.TrimSuffix(filter, "*")+strconv.FormatUint(version, 10))
	if err != nil || stored.Sequence == 0 {
		return events.Entry{}, err
	}
	entry, err := events.DecodeEvent(events.Message{Subject: stored.Subject, Header: stored.header, Data: stored.Data})
	if err != nil {
		return events.Entry{}, fmt.Errorf("decode %s: %w", stored.Subject, err)
	}
	if !stored.carries(entry) {
		return events.Entry{}, fmt.Errorf("decode %s: the event in it belongs on another subject", stored.Subject)
	}
	return entry, nil
}

// Newest returns the newest message of the whole journal, the zero Stored if it
// is empty. It costs the server no search, however many payments there are.
func (j *Journal) Newest(ctx context.Context) (Stored, error) {
	return j.look(ctx, `{"last_by_subj":">"}`)
}

// At returns the message at a position, the zero Stored if there is none.
func (j *Journal) At(ctx context.Context, sequence uint64) (Stored, error) {
	return j.look(ctx, `{"seq":`+strconv.FormatUint(sequence, 10)+`}`)
}

// look asks the stream's leader once: whoever only looks can look again.
func (j *Journal) look(ctx context.Context, question string) (Stored, error) {
	reply, err := j.request(ctx, &nats.Msg{Subject: j.getLast, Data: []byte(question)})
	if err != nil {
		return Stored{}, fmt.Errorf("look into journal: %w", err)
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
		return Stored{}, fmt.Errorf("look into journal: decode answer: %w", err)
	}
	m := got.Message
	switch {
	case got.Error != nil && got.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return Stored{}, nil
	case got.Error != nil:
		return Stored{}, fmt.Errorf("look into journal: %w", got.Error)
	case m.Sequence == 0:
		return Stored{}, errors.New("look into journal: answer holds neither message nor error")
	}
	out := Stored{Sequence: m.Sequence, Time: m.Time, Message: events.Message{Subject: m.Subject, Data: m.Data}}
	if len(m.Headers) > 0 {
		header, err := nats.DecodeHeadersMsg(m.Headers)
		if err != nil {
			return Stored{}, fmt.Errorf("look into journal: decode headers: %w", err)
		}
		out.Message.Header = header
	}
	return out, nil
}
