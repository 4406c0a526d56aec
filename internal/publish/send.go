package publish

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// inFlight is how many commands are on their way at once; more gains nothing.
const inFlight = 1024

// Sent counts what became of the published commands.
type Sent struct {
	Published  int `json:"published"`
	Duplicates int `json:"duplicates"` // the stream had them already, with the same content
	// Different were dropped: under their source and id the stream has other content.
	Different int `json:"different"`
	// NotCompared were dropped too, and what the stream has could not be read.
	NotCompared int `json:"notCompared"`
}

// Sender publishes commands to the stream. It is used by one goroutine.
type Sender struct {
	js      jetstream.JetStream
	options SendOptions
	ring    chan sending
	done    sync.WaitGroup
	mu      sync.Mutex
	sent    Sent
	err     error
	blind   error // why what the stream has cannot be read; collect's own
}

// sending is a command on its way.
type sending struct {
	future  jetstream.PubAckFuture
	command payment.Command
	at      Place
}

// SendOptions say how commands are written; nil and zero values mean the defaults.
type SendOptions struct {
	Binary bool // binary mode instead of structured
	// ByProvider publishes to the subject that ends in the provider's name, for
	// publishers whose permissions name their provider.
	ByProvider bool
	Progress   func(n int) // called with each acknowledgement's count; may be nil
	// Stored reads a command from the stream, and Decoder reads what it says. Without
	// them nothing that the stream has already is compared.
	Stored  func(ctx context.Context, sequence uint64) (m events.Message, found bool, err error)
	Decoder *events.Decoder
	// Fault is told of each command that the stream has with other content; may be nil.
	Fault func(Fault)
}

// NewSender returns a sender; Close it to learn what became of the last ones.
func NewSender(js jetstream.JetStream, o *SendOptions) *Sender {
	if o == nil {
		o = &SendOptions{}
	}
	s := &Sender{js: js, options: *o, ring: make(chan sending, inFlight)}
	s.done.Go(s.collect)
	return s
}

var errNotRead = errors.New("nobody reads the stream")

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
	future, err := s.js.PublishMsgAsync(msg, jetstream.WithMsgID(MessageID(i.Command)))
	if err != nil {
		return fmt.Errorf("publish command: %w", err)
	}
	select {
	case s.ring <- sending{future, i.Command, Place{i.File, i.Line}}:
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
	for one := range s.ring {
		select {
		case ack := <-one.future.Ok():
			if ack.Duplicate {
				s.compare(one, ack)
			} else {
				s.sent.Published++
			}
			if s.options.Progress != nil {
				s.options.Progress(1)
			}
		case err := <-one.future.Err():
			s.mu.Lock()
			if s.err == nil {
				s.err = fmt.Errorf("publish command: %w", err)
			}
			s.mu.Unlock()
		}
	}
}

// compare looks at what the stream has in place of a command that it dropped.
func (s *Sender) compare(one sending, ack *jetstream.PubAck) {
	same, err := false, s.blind
	if err == nil {
		same, err = s.same(one, ack.Sequence)
	}
	switch {
	case err != nil:
		s.blind = err // another try would fail the same way, after its own time
		s.sent.NotCompared++
	case same:
		s.sent.Duplicates++
	default:
		s.sent.Different++
		if s.options.Fault != nil {
			s.options.Fault(Fault{
				File: one.at.File, Line: one.at.Line, Pointer: "ce-id", Rule: "duplicate",
				Detail: fmt.Sprintf("%s has other content under this source and id, at sequence %d", ack.Stream, ack.Sequence),
			})
		}
	}
}

// same reports whether the command at a sequence says the same.
func (s *Sender) same(one sending, sequence uint64) (bool, error) {
	if s.options.Stored == nil || s.options.Decoder == nil {
		return false, errNotRead
	}
	m, found, err := s.options.Stored(context.Background(), sequence)
	if err != nil {
		return false, err
	}
	if !found {
		return false, fmt.Errorf("there is no message %d any more", sequence)
	}
	c, invalid := s.options.Decoder.DecodeCommand(m)
	if invalid != nil {
		return false, nil //nolint:nilerr // what is no command says something else
	}
	want, err := content(one.command)
	if err != nil {
		return false, err
	}
	says, err := content(c)
	return says == want, err
}

// NotCompared says why dropped commands were not compared. It is for after Close.
func (s *Sender) NotCompared() error { return s.blind }

func (s *Sender) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
