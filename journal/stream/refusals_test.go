package stream_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/journal/journaltest"
	"github.com/countermand/countermand/journal/stream"
)

// A sequence of another stream that was taken for one of the journal's would raise the
// marks above its end: a loss that is none, or one that nobody notices.
func TestARejectionSaysNothingOfHowFarTheJournalHasCome(t *testing.T) {
	t.Parallel()
	b := setup(t)
	seen := &watched{}
	j := open(t, b.Connect(t), &stream.Options{Integrity: seen})
	for origin := uint64(1); origin <= 5; origin++ {
		if err := j.AppendRejection(withTimeout(t), journaltest.Rejection(origin)); err != nil {
			t.Fatal(err)
		}
	}
	lost := open(t, &losesFirst{conn: b.Connect(t), then: func() {}}, &stream.Options{Integrity: seen})
	if err := lost.AppendRejection(withTimeout(t), journaltest.Rejection(6)); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Put(withTimeout(t), 0, encoded(t, 7)); err != nil {
		t.Fatal(err)
	}
	if len(seen.accepted) > 0 || len(seen.unreadable) > 0 {
		t.Errorf("the marks were told of %v and of unreadable %v", seen.accepted, seen.unreadable)
	}
	if n := natstest.Messages(t, b.js, natstest.EventsStream); n > 0 {
		t.Errorf("the journal holds %d messages", n)
	}
	if n := natstest.Messages(t, b.js, natstest.RefusalsStream); n != 7 {
		t.Errorf("the refusals hold %d messages, want 7", n)
	}
}

// encoded is a rejection as an archive brings it back.
func encoded(t *testing.T, origin uint64) events.Message {
	t.Helper()
	m, err := events.NewEncoder(nil).EncodeRejection(journaltest.Rejection(origin), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestARejectionThatCannotBeStoredLeavesTheJournalAlone(t *testing.T) {
	t.Parallel()
	wide := natstest.EventsConfig(1)
	wide.Subjects = append(wide.Subjects, events.RejectedFilter)
	full := natstest.RefusalsConfig(1)
	full.Discard, full.MaxBytes = jetstream.DiscardNew, 1
	narrow := natstest.EventsConfig(1)
	for name, streams := range map[string][]jetstream.StreamConfig{
		"full": {narrow, full}, "the journal still takes it in": {wide},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natstest.Start(t, nil)
			js := s.JetStream(t)
			for _, cfg := range streams {
				natstest.CreateStream(t, js, cfg)
			}
			seen := &watched{}
			j := open(t, s.Connect(t), &stream.Options{Integrity: seen})
			err := j.AppendRejection(withTimeout(t), journaltest.Rejection(1))
			if !errors.Is(err, journal.ErrRefusalNotTaken) || errors.Is(err, journal.ErrStoreRefuses) {
				t.Errorf("it ended in %v", err)
			}
			if n := natstest.Messages(t, js, natstest.EventsStream); n > 0 {
				t.Errorf("the journal holds %d messages", n)
			}
			if _, err := j.Append(withTimeout(t), 0, journaltest.Event(id, 1, "a")); err != nil {
				t.Errorf("and the journal takes no event: %v", err)
			}
			if len(seen.accepted) != 1 {
				t.Errorf("the marks were told of %v", seen.accepted)
			}
		})
	}
}

func TestRejectionsAreReadWhereTheyAreAndWhereOlderVersionsHadThem(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := open(t, b.Connect(t), nil)
	for origin := uint64(1); origin <= 3; origin++ {
		m := encoded(t, origin)
		natstest.OldRejection(t, b.js, &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
	}
	for origin := uint64(4); origin <= 5; origin++ {
		if err := j.AppendRejection(withTimeout(t), journaltest.Rejection(origin)); err != nil {
			t.Fatal(err)
		}
	}
	var want, got []string
	for origin := uint64(1); origin <= 5; origin++ {
		r := journaltest.Rejection(origin)
		want = append(want, events.RejectedSubject(r.Token))
		read, err := j.Rejection(withTimeout(t), r.Token)
		if err != nil || read.Token != r.Token {
			t.Errorf("rejection %d is %+v, %v", origin, read, err)
		}
		if m, err := j.On(withTimeout(t), events.RejectedSubject(r.Token)); err != nil || m.Sequence == 0 {
			t.Errorf("on the subject of rejection %d: %+v, %v", origin, m, err)
		}
	}
	for next := uint64(0); ; {
		m, behind, err := j.NextRejection(withTimeout(t), next)
		if err != nil {
			t.Fatal(err)
		}
		if m.Sequence == 0 {
			break
		}
		if got = append(got, m.Message.Subject); behind <= next || len(got) > len(want) {
			t.Fatalf("the position behind %d is %d, after %v", next, behind, got)
		}
		next = behind
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("in order (-want +got):\n%s", diff)
	}
	if r, err := j.Rejection(withTimeout(t), "9-0123456789ab"); err != nil || r.Token != "" {
		t.Errorf("one that nobody has said is %+v, %v", r, err)
	}
}

func TestWithoutTheStreamOfRefusalsAReadingSaysSo(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, nil)
	natstest.CreateStream(t, s.JetStream(t), natstest.EventsConfig(1))
	j := open(t, s.Connect(t), nil)
	_, err := j.Rejection(withTimeout(t), "9-0123456789ab")
	_, _, next := j.NextRejection(withTimeout(t), 0)
	for what, err := range map[string]error{"one": err, "the next": next} {
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("stream %s does not exist", natstest.RefusalsStream)) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
