package recovery

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/passage"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// Known is what the walk over the commands asks the journal. Implementations are
// safe for concurrent use.
type Known interface {
	// Last returns the payment's newest record, or the zero Record.
	Last(ctx context.Context, id payment.ID) (journal.Record, error)
	// Rejection returns a rejection by its token, or the zero one.
	Rejection(ctx context.Context, token string) (payment.Rejection, error)
}

// What the journal knows of a command.
const (
	// Unknown: neither an operation nor a rejection.
	Unknown = "unknown"
	// OtherContent: an earlier command has the same key and other content. Only the
	// earlier one is carried out.
	OtherContent = "other_content"
)

// Found is one valid command that the journal does not know.
type Found struct {
	State     string      `json:"state"`
	Sequence  uint64      `json:"sequence"`
	Time      time.Time   `json:"time"`
	CommandID string      `json:"commandId"`
	Provider  string      `json:"provider"`
	Payment   string      `json:"payment"`
	Operation payment.Op  `json:"operation"`
	Key       payment.Key `json:"idempotencyKey"`
	// ID is the payment's, and Reference what its provider was told; both empty where
	// the provider is not configured.
	ID        payment.ID `json:"-"`
	Reference string     `json:"-"`
	// Amount is what was asked for, nil with Full and where none can be.
	Amount *payment.Money `json:"-"`
	Full   bool           `json:"-"`
	// Presumed: its operation lies in the journal now as one that may have been
	// carried out, and has a timer.
	Presumed bool `json:"presumed,omitempty"`
	// Timer: only a timer that waits names it. Its command is gone.
	Timer bool `json:"timer,omitempty"`
	// HandedOver: it could not be presumed here, and the service gets it as a timer
	// that is due.
	HandedOver bool `json:"handedOver,omitempty"`
}

// Walk compares the commands with the journal.
type Walk struct {
	JetStream jetstream.JetStream
	// Stream holds the commands.
	Stream    string
	Known     Known
	Providers *providers.Set
	// Refused (may be nil) reports whether the bytes of a rejected message are kept
	// under a rejection's token.
	Refused func(ctx context.Context, token string) (bool, error)
	// Only (may be nil) leaves out commands for whose reference at the provider it is
	// false, and those of which no reference is known.
	Only func(reference string) bool
	// Before is when the loss was accepted: it leaves out commands that the stream
	// took at that time or later.
	Before time.Time
	// Epoch is the epoch that the acceptance has begun.
	Epoch uint64
	// Journal and Timers take what is presumed; nil: it is only told.
	Journal Appender
	Timers  handlers.Scheduler
	Encoder *events.Encoder
	// Waiting (may be nil) hands each timer that waits to do. One may be the last thing that
	// knows an operation, where its command is gone too.
	Waiting func(ctx context.Context, do func(handlers.Timer) error) error
	// Tell is told each command that the journal does not know, one at a time;
	// those of one payment in the stream's order.
	Tell func(Found) error
	// Progress may be nil.
	Progress func(done, total uint64)
}

// Appender adds events to the journal (journal.Journal).
type Appender interface {
	// Append adds the payment's next event behind the sequence that is expected.
	Append(ctx context.Context, expected uint64, e payment.Event) (uint64, error)
}

// Walked counts what a walk has seen.
type Walked struct {
	// Commands is how many messages were read, Invalid how many of them are no valid
	// commands, and Newer how many were left out for their time.
	Commands, Invalid, Newer uint64
	// Last is the newest sequence that was compared.
	Last uint64
	// Unknown and OtherContent count what was found, Presumed how many of the unknown
	// ones are presumed now, and HandedOver how many the service has to look at.
	Unknown, OtherContent, Presumed, HandedOver uint64
}

const (
	walkers = 32
	// walkPull and walkPullBytes bound what is under way.
	walkPull      = 1000
	walkPullBytes = 8 << 20
)

// command is one message of the stream of commands.
type command struct {
	message  events.Message
	sequence uint64
	at       time.Time
	original handlers.Digest // of the bytes that were published
	timer    bool            // it is what a timer brings back
	payment.Command

	id payment.ID // Native is empty where its provider is not configured here
}

// Run walks once, from the first command to the one that is the newest when it
// begins. With a Journal it presumes what the journal does not know: first the
// event, then the timer. A run that was killed is run again: it finds the event,
// and stores the timer.
func (w Walk) Run(ctx context.Context) (Walked, error) {
	decoder, err := events.NewDecoder()
	if err != nil {
		return Walked{}, fmt.Errorf("build decoder: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &walking{walk: w}
	seed := maphash.MakeSeed()
	shards := make([]chan command, walkers)
	var running sync.WaitGroup
	for i := range shards {
		shards[i] = make(chan command)
		running.Go(func() { r.shard(ctx, shards[i], cancel) })
	}
	hand := func(c command) error {
		select {
		case shards[maphash.String(seed, c.Provider+"/"+c.id.Native)%walkers] <- c:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	_, err = passage.Passage{
		Stream: w.Stream, Subjects: events.CommandSubjects(), Pull: walkPull, PullBytes: walkPullBytes, Progress: w.Progress,
	}.Read(ctx, w.JetStream, func(m jetstream.Msg, sequence uint64) error {
		c, ok, err := r.decode(decoder, m, sequence)
		if err != nil || !ok {
			return err
		}
		return hand(c)
	})
	if err == nil && w.Waiting != nil { // after the commands, of which most timers are
		err = w.Waiting(ctx, func(t handlers.Timer) error {
			if c, ok := r.brought(decoder, t); ok {
				return hand(c)
			}
			return nil
		})
	}
	for _, shard := range shards {
		close(shard)
	}
	running.Wait()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err != nil {
		return r.count, fmt.Errorf("walk over the commands: %w", err)
	}
	return r.count, nil
}

// walking is one run.
type walking struct {
	walk  Walk
	mu    sync.Mutex // guards count, and tells one at a time
	count Walked
}

// decode reads one message; ok is false where there is nothing to compare.
func (r *walking) decode(d *events.Decoder, m jetstream.Msg, sequence uint64) (c command, ok bool, err error) {
	meta, err := m.Metadata()
	if err != nil {
		return c, false, fmt.Errorf("read position: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count.Commands++
	if !meta.Timestamp.Before(r.walk.Before) {
		r.count.Newer++
		return c, false, nil
	}
	r.count.Last = sequence
	c = command{
		message:  events.Message{Subject: m.Subject(), Header: m.Headers(), Data: m.Data()},
		sequence: sequence, at: meta.Timestamp.UTC(), original: handlers.DigestOf(m.Data()),
	}
	if !r.complete(d, &c) {
		r.count.Invalid++
		return c, false, nil
	}
	return c, true, nil
}

// brought is the command that a timer brings back; ok is false where it is newer than the
// acceptance and was not recorded before, or cannot be read.
func (r *walking) brought(d *events.Decoder, t handlers.Timer) (c command, ok bool) {
	if t.OriginTime.IsZero() || !t.OriginTime.Before(r.walk.Before) && t.Recorded.Operation == 0 {
		return c, false
	}
	c = command{
		message: t.Message, sequence: t.OriginSequence, at: t.OriginTime, original: t.Original, timer: true,
	}
	c.message.Subject = t.Target
	ok = r.complete(d, &c)
	return c, ok
}

// complete decodes the command in a message, and completes it as the service does. It is
// false where that is no valid command.
func (r *walking) complete(d *events.Decoder, c *command) bool {
	decoded, invalid := d.DecodeTaken(c.message)
	if invalid != nil {
		return false
	}
	decoded.RequestedAt = c.at
	if in, configured := r.walk.Providers.Get(decoded.Provider); configured {
		traits := in.Provider.Traits()
		var faults []payment.Fault
		decoded, faults = traits.Complete(decoded, payment.Defaults{Country: in.Country, Currency: in.Currency})
		if len(faults) > 0 {
			return false
		}
		c.id = traits.ID(decoded.Provider, decoded.Payment)
	}
	c.Command = decoded
	return true
}

// shard compares the commands of its payments in order.
func (r *walking) shard(ctx context.Context, work <-chan command, fail context.CancelCauseFunc) {
	first := map[string]string{} // the first content of each unknown operation
	for c := range work {
		if err := r.compare(ctx, c, first); err != nil {
			fail(err)
		}
	}
}

// compare looks one command up.
func (r *walking) compare(ctx context.Context, c command, first map[string]string) error {
	if r.walk.Only != nil && !r.walk.Only(r.walk.reference(c)) {
		return nil
	}
	state, err := r.lookUp(ctx, c)
	if err != nil || state == "" {
		return err
	}
	name := c.id.Native + " " + string(c.Op) + " " + string(c.Key) + " " + c.Provider
	content, again := first[name]
	switch {
	case again && content == c.Fingerprint():
		return nil // a repeat: the first one stands for it
	case again:
		state = OtherContent
	case state == Unknown:
		first[name] = c.Fingerprint()
	}
	found := Found{
		State: state, Sequence: c.sequence, Time: c.at, CommandID: c.CommandID, Provider: c.Provider,
		Payment: events.Token(c.id.Native), Operation: c.Op, Key: c.Key, ID: c.id, Reference: r.walk.reference(c), Amount: c.Amount, Full: c.Full,
		Timer: c.timer,
	}
	if state == Unknown && r.walk.Journal != nil {
		if found.Presumed, err = r.presume(ctx, c); err != nil {
			return err
		}
		found.HandedOver = !found.Presumed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count.add(found)
	return r.walk.Tell(found)
}

// reference is what the provider was told of a command, if it was called.
func (w Walk) reference(c command) string {
	in, configured := w.Providers.Get(c.Provider)
	if !configured {
		return ""
	}
	return payment.ProviderReference(in.Provider.Traits().Kind, in.Account, c.id.Native, c.Op, c.Key)
}

func (w *Walked) add(f Found) {
	switch {
	case f.State != Unknown:
		w.OtherContent++
		return
	case f.Presumed:
		w.Presumed++
	case f.HandedOver:
		w.HandedOver++
	}
	w.Unknown++
}

// lookUp says what the journal does not know of a command; "" where it knows it.
func (r *walking) lookUp(ctx context.Context, c command) (state string, err error) {
	state = Unknown
	if c.id.Native != "" {
		last, err := r.walk.Known.Last(ctx, c.id)
		if err != nil {
			return "", err
		}
		if i := last.State.Find(c.Op, c.Key); i >= 0 {
			if last.State.Operations[i].Fingerprint == c.Fingerprint() {
				return "", r.timed(ctx, c, last.State, last.State.Operations[i])
			}
			state = OtherContent
		}
	}
	if c.original.SHA256 == "" { // a timer that does not name its command's bytes
		return state, nil
	}
	token := events.RejectionTokenOf(c.sequence, c.original.SHA256)
	rejection, err := r.walk.Known.Rejection(ctx, token)
	if err != nil || rejection.Token != "" {
		return "", err
	}
	if r.walk.Refused != nil {
		if kept, err := r.walk.Refused(ctx, token); err != nil || kept {
			return "", err
		}
	}
	return state, nil
}
