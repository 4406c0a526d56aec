package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
)

// originalTimeout bounds the reading of one command.
const originalTimeout = 3 * time.Second

// Originals reads commands as they were published. It is safe for concurrent use.
type Originals struct {
	js     jetstream.JetStream
	stream string
}

var _ handlers.Originals = (*Originals)(nil)

// NewOriginals returns a reader of the topology's stream Commands. It does no I/O.
func NewOriginals(js jetstream.JetStream, t Topology) *Originals {
	return &Originals{js: js, stream: t.Commands}
}

// Original returns the message at a sequence with all its headers; found is false
// where the server says that there is none. It tries once.
func (o *Originals) Original(ctx context.Context, sequence uint64) (p handlers.Published, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, originalTimeout)
	defer cancel()
	s, err := o.js.Stream(ctx, o.stream)
	if err == nil {
		var raw *jetstream.RawStreamMsg
		if raw, err = s.GetMsg(ctx, sequence); err == nil {
			m := events.Message{Subject: raw.Subject, Header: raw.Header, Data: raw.Data}
			return handlers.Published{Message: m, At: raw.Time}, true, nil
		}
	}
	if errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return handlers.Published{}, false, nil
	}
	return handlers.Published{}, false, fmt.Errorf("read command %d: %w", sequence, err)
}
