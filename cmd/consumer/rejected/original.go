package rejected

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/events"
)

// quarantined is a message as the quarantine keeps it.
type quarantined struct {
	Subject  string              `json:"subject"`
	Sequence uint64              `json:"sequence"`
	Headers  map[string][]string `json:"headers"`
	Data     []byte              `json:"data"`
}

// opened is one rejection with the connection it was read by.
type opened struct {
	*cli.Connection

	rejection rejection
}

// open connects and reads one rejection.
func open(ctx context.Context, w *cli.World, server cli.Server, token string) (*opened, error) {
	token = strings.TrimPrefix(token, events.RejectedSubject(""))
	if !events.ValidRejectionToken(token) {
		return nil, cli.Usage(errors.New("a rejection is named by the last part of payment.command.rejected.<token>, such as 17-0123456789ab; what a guard has rejected (payment.<operation>.rejected) has ended: see consumer show"))
	}
	c, err := server.Open(w)
	if err != nil {
		return nil, err
	}
	s := &opened{Connection: c}
	m, err := lastOf(ctx, c.JetStream, c.Config.Streams.Events, events.RejectedSubject(token))
	if err == nil {
		s.rejection, err = decode(events.Message{Subject: m.Subject, Header: m.Header, Data: m.Data})
	}
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		err = cli.NotFound(errors.New("there is no payment.command.rejected of this token"))
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return s, nil
}

// original reads the message from the quarantine.
func (s *opened) original(ctx context.Context) (*quarantined, error) {
	m, err := lastOf(ctx, s.JetStream, s.Config.Streams.Rejected, events.QuarantineSubject(s.rejection.Token))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, cli.NotFound(errors.New("its bytes are not in the quarantine any more"))
	}
	if err != nil {
		return nil, err
	}
	var q quarantined
	if err := json.Unmarshal(m.Data, &q); err != nil {
		return nil, errors.New("read quarantine: the message there cannot be read")
	}
	return &q, nil
}

func lastOf(ctx context.Context, js jetstream.JetStream, stream, subject string) (*jetstream.RawStreamMsg, error) {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", stream, err)
	}
	m, err := s.GetLastMsgForSubject(ctx, subject)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", stream, err)
	}
	return m, nil
}
