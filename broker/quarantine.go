package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
)

// Quarantine keeps the bytes of messages that are no valid commands, for the
// operator. It is safe for concurrent use.
type Quarantine struct {
	js     jetstream.JetStream
	stream string
}

// NewQuarantine returns the quarantine on the topology's stream Rejected. It
// does no I/O.
func NewQuarantine(js jetstream.JetStream, t Topology) *Quarantine {
	return &Quarantine{js: js, stream: t.Rejected}
}

// kept is a message in quarantine. Everything of the original is data here,
// never a header or a subject of ours: a header such as Nats-Rollup sent on
// would be obeyed.
type kept struct {
	Subject  string              `json:"subject"`
	Sequence uint64              `json:"sequence"`
	Headers  map[string][]string `json:"headers"`
	Data     []byte              `json:"data"`
	// RawHeaders is there only if a header is not valid UTF-8, which JSON cannot
	// hold: name and value of every header, as base64.
	RawHeaders [][2][]byte `json:"rawHeaders,omitempty"`
}

// Keep stores the original and returns nil once the server has confirmed it.
// Keeping the same one twice is harmless: the second finds the first. It tries
// once.
func (q *Quarantine) Keep(ctx context.Context, o handlers.Original) error {
	header := o.Message.Header
	body, err := json.Marshal(kept{
		Subject:    o.Message.Subject,
		Sequence:   o.Rejection.OriginSequence,
		Headers:    nonNil(header),
		Data:       o.Message.Data,
		RawHeaders: rawHeaders(header),
	})
	if err != nil {
		return fmt.Errorf("encode quarantined message: %w", err)
	}
	subject, err := quarantineSubject(o.Rejection.Token)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	_, err = q.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: body},
		jetstream.WithExpectStream(q.stream), jetstream.WithExpectLastSequencePerSubject(0))
	if alreadyThere(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("keep quarantined message: %w", err)
	}
	return nil
}

// Kept returns a message as it was published, with the sequence that it had; found is
// false where it is not kept, or no longer. It tries once.
func (q *Quarantine) Kept(ctx context.Context, token string) (m events.Message, sequence uint64, found bool, err error) {
	raw, _, err := q.last(ctx, token)
	if err != nil || raw == nil {
		return events.Message{}, 0, false, err
	}
	var k kept
	if err := json.Unmarshal(raw.Data, &k); err != nil {
		return events.Message{}, 0, false, errors.New("read quarantine: the message there cannot be read")
	}
	return events.Message{Subject: k.Subject, Header: k.Headers, Data: k.Data}, k.Sequence, true, nil
}

// Delete deletes a message, its bytes overwritten; found is false where there is none.
// It tries once.
func (q *Quarantine) Delete(ctx context.Context, token string) (found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	raw, stream, err := q.last(ctx, token)
	if err != nil || raw == nil {
		return false, err
	}
	err = stream.SecureDeleteMsg(ctx, raw.Sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("delete from quarantine: %w", err)
	}
	return true, nil
}

// last reads what is kept under a token; nil: nothing.
func (q *Quarantine) last(ctx context.Context, token string) (*jetstream.RawStreamMsg, jetstream.Stream, error) {
	subject, err := quarantineSubject(token)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	s, err := q.js.Stream(ctx, q.stream)
	if err != nil {
		return nil, nil, fmt.Errorf("read quarantine: %w", err)
	}
	m, err := s.GetLastMsgForSubject(ctx, subject)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil, s, nil
	case err != nil:
		return nil, nil, fmt.Errorf("read quarantine: %w", err)
	default:
		return m, s, nil
	}
}

// quarantineSubject checks that the token is one token of a subject.
func quarantineSubject(token string) (string, error) {
	if token == "" {
		return "", errors.New("keep quarantined message: no token")
	}
	for i := range len(token) {
		c := token[i]
		if c <= ' ' || c > '~' || c == '.' || c == '*' || c == '>' {
			return "", errors.New("keep quarantined message: token is not one subject token")
		}
	}
	return events.QuarantineSubject(token), nil
}

func alreadyThere(err error) bool {
	var answer *jetstream.APIError
	return errors.As(err, &answer) && answer.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence
}

func rawHeaders(header map[string][]string) [][2][]byte {
	valid := true
	var raw [][2][]byte
	for name, values := range header {
		for _, value := range values {
			valid = valid && utf8.ValidString(name) && utf8.ValidString(value)
			raw = append(raw, [2][]byte{[]byte(name), []byte(value)})
		}
	}
	if valid {
		return nil
	}
	return raw
}

func nonNil(header map[string][]string) map[string][]string {
	if header == nil {
		return map[string][]string{}
	}
	return header
}
