package openwork

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// atMost is how many delivered timers are looked at one by one.
const atMost = 10_000

// TimerSet is what the stream of timers holds at one moment. It does not change.
type TimerSet struct {
	// Scheduled counts the timers that wait for their time.
	Scheduled int
	// Delivered counts those that have become due and are not acknowledged yet.
	Delivered uint64
	// Complete is false where more were delivered than are looked at one by one;
	// then a timer that Has does not know may be among them.
	Complete bool

	subjects map[string]bool // schedule subjects; true: delivered, not acknowledged
}

// Has reports whether the timer of a schedule subject waits or is delivered.
func (s *TimerSet) Has(subject string) bool {
	_, there := s.subjects[subject]
	return there
}

// HasDelivered reports whether it is delivered and not acknowledged.
func (s *TimerSet) HasDelivered(subject string) bool { return s.subjects[subject] }

// Providers counts the timers by the provider their subjects name.
func (s *TimerSet) Providers() map[string]int {
	count := map[string]int{}
	for subject := range s.subjects {
		if provider := events.ProviderOf(subject); provider != "" {
			count[provider]++
		}
	}
	return count
}

// Timers lists the timers there are. It reads subjects only, not messages,
// except of delivered ones, whose header says what timer they were. The list is
// not of one instant: a timer that was handled meanwhile may be missing, so one
// that matters is asked for once more with At.
func Timers(ctx context.Context, js jetstream.JetStream, stream string) (*TimerSet, error) {
	set := &TimerSet{subjects: map[string]bool{}, Complete: true}
	s, err := open(ctx, js, stream)
	if err != nil {
		return nil, fmt.Errorf("list timers: %w", err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(events.ScheduleFilter))
	if err != nil {
		return nil, fmt.Errorf("list timers: %w", err)
	}
	set.Scheduled = len(info.State.Subjects)
	for subject := range info.State.Subjects {
		set.subjects[subject] = false
	}
	// Scheduled ones first: what becomes due in between is met again here. What
	// was handled and scheduled anew in between is missed; see At.
	if err := set.addDelivered(ctx, s); err != nil {
		return nil, fmt.Errorf("list delivered timers: %w", err)
	}
	return set, nil
}

func (s *TimerSet) addDelivered(ctx context.Context, due jetstream.Stream) error {
	info, err := due.Info(ctx, jetstream.WithSubjectFilter(events.DueFilter))
	if err != nil {
		return err
	}
	for _, n := range info.State.Subjects {
		s.Delivered += n
	}
	sequence := info.State.FirstSeq
	for range min(s.Delivered, atMost) {
		m, err := due.GetMsg(ctx, sequence, jetstream.WithGetMsgSubject(events.DueFilter))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil // acknowledged meanwhile
		}
		if err != nil {
			return err
		}
		if subject := m.Header.Get(jetstream.SchedulerHeader); subject != "" {
			s.subjects[subject] = true
		}
		sequence = m.Sequence + 1
	}
	s.Complete = s.Delivered <= atMost
	return nil
}

// TimesOf reads when the timers of one payment come back, the next one first.
func TimesOf(ctx context.Context, js jetstream.JetStream, stream string, id payment.ID) ([]time.Time, error) {
	filter, err := events.TimersOf(id)
	if err != nil {
		return nil, fmt.Errorf("name timers: %w", err)
	}
	s, err := open(ctx, js, stream)
	if err != nil {
		return nil, fmt.Errorf("read timers: %w", err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, fmt.Errorf("read timers: %w", err)
	}
	var all []time.Time
	for subject := range info.State.Subjects {
		at, there, err := At(ctx, js, stream, subject)
		if err != nil {
			return nil, err
		}
		if there && !at.IsZero() { // else it was delivered just now, or is no timer of ours
			all = append(all, at.UTC())
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return all, nil
}

// At reads when a scheduled timer comes; the zero time if what lies there names
// none. False where nothing is scheduled on the subject any more.
func At(ctx context.Context, js jetstream.JetStream, stream, subject string) (time.Time, bool, error) {
	s, err := open(ctx, js, stream)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("read timer: %w", err)
	}
	m, err := s.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, fmt.Errorf("read timer: %w", err)
	}
	at, err := time.Parse(time.RFC3339, strings.TrimPrefix(m.Header.Get(jetstream.ScheduleHeader), "@at "))
	if err != nil {
		return time.Time{}, true, nil //nolint:nilerr // no timer of ours: it is there and names no time
	}
	return at, true, nil
}
