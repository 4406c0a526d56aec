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
