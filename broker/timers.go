package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
)

// The headers a timer carries along: where the command lay and how often it has
// been delivered, and nothing of its progress, which is the journal's alone.
const (
	headerOriginSequence = "Countermand-Origin-Sequence"
	headerOriginTime     = "Countermand-Origin-Time"
	headerOriginSHA256   = "Countermand-Origin-SHA256"
	headerOriginSize     = "Countermand-Origin-Size"
	headerDeliveries     = "Countermand-Deliveries"
	headerPanics         = "Countermand-Panics"
	headerDue            = "Countermand-Due"
	// What the journal held when the timer was written, and in which epoch. A timer
	// that knows more than the journal shows is a finding.
	headerVersion          = "Countermand-Version"
	headerOperationVersion = "Countermand-Operation-Version"
	headerEpoch            = "Countermand-Epoch"
	// headerPaused: the command waits for the end of its provider's pause (see Waker).
	headerPaused = "Countermand-Paused"
)

// publishTimeout bounds one publish with its acknowledgement.
const publishTimeout = 5 * time.Second

// Timers schedules commands to come back later. It is safe for concurrent use.
//
// What the server does with a schedule (nats-server 2.15.2, each line a test in
// this package): a schedule survives a restart; a newer one on the same subject
// takes the older one's place; one in the past is delivered at once; and the
// copy is never delivered before the whole second it was scheduled for.
type Timers struct {
	js     jetstream.JetStream
	stream string
}

// NewTimers returns timers on the topology's stream Due. It does no I/O.
func NewTimers(js jetstream.JetStream, t Topology) *Timers {
	return &Timers{js: js, stream: t.Due}
}

// Schedule stores the timer and returns nil only after the server has
// confirmed it. It tries once; after an error the timer may or may not be
// there, and scheduling the same one again is harmless, because it takes the
// first one's place.
func (t *Timers) Schedule(ctx context.Context, timer handlers.Timer) error {
	return t.schedule(ctx, timer)
}

// replace stores the timer in the place of the one at that sequence, as Schedule does. It
// reports false, and stores nothing, if another one has taken its place or it was delivered.
func (t *Timers) replace(ctx context.Context, timer handlers.Timer, sequence uint64) (bool, error) {
	err := t.schedule(ctx, timer, jetstream.WithExpectLastSequencePerSubject(sequence))
	if alreadyThere(err) {
		return false, nil
	}
	return err == nil, err
}

func (t *Timers) schedule(ctx context.Context, timer handlers.Timer, more ...jetstream.PublishOpt) error {
	if err := checkTimer(timer); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	// No message id: on three replicas a second publish with the same id is
	// answered as a success although nothing was stored.
	ack, err := t.js.PublishMsg(ctx, scheduleMsg(timer), append(more, jetstream.WithExpectStream(t.stream),
		jetstream.WithScheduleAt(roundUp(timer.At)), jetstream.WithScheduleTarget(timer.Target))...)
	if err != nil {
		return fmt.Errorf("schedule timer: %w", err)
	}
	if ack.Duplicate {
		return errors.New("schedule timer: the server took it for a duplicate")
	}
	return nil
}

func checkTimer(timer handlers.Timer) error {
	switch {
	case !events.IsSchedule(timer.Subject):
		return errors.New("schedule timer: subject is not under payment.schedule")
	case !events.IsDue(timer.Target):
		return errors.New("schedule timer: target is not under payment.due")
	case timer.At.IsZero():
		return errors.New("schedule timer: no time given")
	default:
		return nil
	}
}

// scheduleMsg is the timer's message without the headers of its schedule.
func scheduleMsg(timer handlers.Timer) *nats.Msg {
	header := nats.Header{}
	for name, values := range withoutReserved(timer.Message.Header) {
		header[name] = values
	}
	header.Set(headerOriginSequence, strconv.FormatUint(timer.OriginSequence, 10))
	header.Set(headerOriginTime, timer.OriginTime.UTC().Format(time.RFC3339Nano))
	if timer.Original.SHA256 != "" {
		header.Set(headerOriginSHA256, timer.Original.SHA256)
		header.Set(headerOriginSize, strconv.Itoa(timer.Original.Size))
	}
	header.Set(headerDeliveries, strconv.Itoa(max(timer.Deliveries, 0)))
	header.Set(headerPanics, strconv.Itoa(max(timer.Panics, 0)))
	header.Set(headerDue, timer.At.UTC().Format(time.RFC3339Nano))
	setRecorded(header, timer.Recorded)
	if timer.Paused {
		header.Set(headerPaused, "true")
	}
	return &nats.Msg{Subject: timer.Subject, Header: header, Data: timer.Message.Data}
}

// setRecorded writes what the timer says of the journal, if it says anything.
func setRecorded(header nats.Header, r payment.Recorded) {
	set := func(name string, n uint64) {
		if n > 0 {
			header.Set(name, strconv.FormatUint(n, 10))
		}
	}
	set(headerVersion, r.Version)
	set(headerOperationVersion, r.Operation)
	set(headerEpoch, r.Epoch)
}

// roundUp returns the first whole second not before at: the server is told whole
// seconds, and cutting the rest off would fire up to a second early.
func roundUp(at time.Time) time.Time {
	at = at.UTC()
	whole := at.Truncate(time.Second)
	if whole.Before(at) {
		whole = whole.Add(time.Second)
	}
	return whole
}

// withoutReserved returns the headers without those that speak to the server
// (Nats-…) or for this service (Countermand-…): a publisher's must neither reach
// another stream nor be taken for ours. The original is returned if it has none.
func withoutReserved(header map[string][]string) map[string][]string {
	found := false
	for name := range header {
		if reserved(name) {
			found = true
			break
		}
	}
	if !found {
		return header
	}
	clean := make(map[string][]string, len(header))
	for name, values := range header {
		if !reserved(name) {
			clean[name] = values
		}
	}
	return clean
}

func reserved(name string) bool {
	return hasPrefixFold(name, "Nats-") || hasPrefixFold(name, "Countermand-")
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
