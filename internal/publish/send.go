package publish

import (
	"context"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
)

// inFlight is how many commands are on their way at once; more gains nothing.
const inFlight = 1024

// Sent counts what became of the published commands.
type Sent struct {
	Published  int `json:"published"`
	Duplicates int `json:"duplicates"` // the stream had them already
}

// Sender publishes commands to the stream. It is used by one goroutine.
type Sender struct {
	js      jetstream.JetStream
	options SendOptions
	ring    chan jetstream.PubAckFuture
	done    sync.WaitGroup
	mu      sync.Mutex
	sent    Sent
	err     error
}

// SendOptions say how commands are written; nil and zero values mean the defaults.
type SendOptions struct {
	Binary bool // binary mode instead of structured
	// ByProvider publishes to the subject that ends in the provider's name, for
	// publishers whose permissions name their provider.
	ByProvider bool
	Progress   func(n int) // called with each acknowledgement's count; may be nil
}

// NewSender returns a sender; Close it to learn what became of the last ones.
func NewSender(js jetstream.JetStream, o *SendOptions) *Sender {
	if o == nil {
		o = &SendOptions{}
	}
	s := &Sender{js: js, options: *o, ring: make(chan jetstream.PubAckFuture, inFlight)}
	s.done.Go(s.collect)
	return s
}

// Send publishes one valid command. The message id is the event's source and
// id, so that publishing a file again within the stream's window adds nothing.
func (s *Sender) Send(ctx context.Context, i Item) error {
	if err := s.failed(); err != nil {
		return err
	}
	provider := ""
	if s.options.ByProvider {
		provider = i.Command.Provider
	}
	m := events.Message{Subject: events.CommandSubject(i.Command.Op, provider), Data: i.Raw}
	m.Header = map[string][]string{"Content-Type": {"application/cloudevents+json"}}
	if s.options.Binary {
		var err error
		if m, err = events.ToBinary(m); err != nil {
			return err
		}
	}
	msg := &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}
	future, err := s.js.PublishMsgAsync(msg, jetstream.WithMsgID(i.Command.CommandSource+"/"+i.Command.CommandID))
	if err != nil {
		return fmt.Errorf("publish command: %w", err)
	}
	select {
	case s.ring <- future:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("publish command: %w", ctx.Err())
	}
}

// Close waits for every acknowledgement and returns the count, and the first
// refusal or loss.
func (s *Sender) Close() (Sent, error) {
	close(s.ring)
	s.done.Wait()
	return s.sent, s.failed()
}

// collect takes acknowledgements in the order of sending.
func (s *Sender) collect() {
	for future := range s.ring {
		select {
		case ack := <-future.Ok():
			s.mu.Lock()
			s.sent.Published++
			if ack.Duplicate {
				s.sent.Published--
				s.sent.Duplicates++
			}
			s.mu.Unlock()
			if s.options.Progress != nil {
				s.options.Progress(1)
			}
		case err := <-future.Err():
			s.mu.Lock()
			if s.err == nil {
				s.err = fmt.Errorf("publish command: %w", err)
			}
			s.mu.Unlock()
		}
	}
}

func (s *Sender) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
