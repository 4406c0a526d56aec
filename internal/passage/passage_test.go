package passage_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/internal/passage"
)

// body is as long as a message has to be to be damaged.
var body = []byte(strings.Repeat("x", 40))

// setup makes a stream S with n messages on a.0, a.1 and so on, and one on b.
func setup(t *testing.T, n int) (jetstream.JetStream, jetstream.Stream) {
	t.Helper()
	js := natstest.Start(t, nil).JetStream(t)
	s, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"a.*", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	publish(t, js, "b")
	for i := range n {
		publish(t, js, fmt.Sprintf("a.%d", i))
	}
	return js, s
}

func publish(t *testing.T, js jetstream.JetStream, subject string) {
	t.Helper()
	if _, err := js.Publish(t.Context(), subject, body); err != nil {
		t.Error(err)
	}
}

func TestAPassageEndsAtWhatWasNewestWhenItBegan(t *testing.T) {
	t.Parallel()
	const n = 600
	js, _ := setup(t, n)
	var told, sequences []uint64
	p := passage.Passage{Stream: "S", Subjects: []string{"a.*"}, Pull: 50, PullBytes: 1 << 20, Progress: func(done, total uint64) {
		if total != n {
			t.Errorf("of %d, want %d", total, n)
		}
		told = append(told, done)
	}}
	done, err := p.Read(t.Context(), js, func(_ jetstream.Msg, sequence uint64) error {
		if len(sequences) < 10 {
			publish(t, js, "a.late")
		}
		sequences = append(sequences, sequence)
		return nil
	})
	if err != nil || done != n {
		t.Errorf("read %d, %v", done, err)
	}
	if len(sequences) != n || !slices.IsSorted(sequences) || sequences[0] != 2 || sequences[n-1] != n+1 {
		t.Errorf("took %d messages, not those from 2 to %d", len(sequences), n+1)
	}
	if diff := cmp.Diff([]uint64{0, 256, 512, n}, told); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
}

func TestAPassageOverNothingIsDoneAndOneOverNoStreamFails(t *testing.T) {
	t.Parallel()
	js, _ := setup(t, 0)
	var told []uint64
	p := passage.Passage{Stream: "S", Subjects: []string{"a.*"}, Pull: 50, PullBytes: 1 << 20, Progress: func(done, total uint64) {
		told = append(told, done, total)
	}}
	none := func(jetstream.Msg, uint64) error { return errors.New("nothing was to be taken") }
	if done, err := p.Read(t.Context(), js, none); done != 0 || err != nil || !slices.Equal(told, []uint64{0, 0, 0, 0}) {
		t.Errorf("read %d, %v, told %v", done, err, told)
	}
	p.Stream = "NOWHERE"
	if _, err := p.Read(t.Context(), js, none); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("without a stream: %v", err)
	}
}

func TestAPassageEndsWithTheErrorOfItsTaker(t *testing.T) {
	t.Parallel()
	js, _ := setup(t, 5)
	full := errors.New("the disk is full")
	p := passage.Passage{Stream: "S", Subjects: []string{"a.*"}, Pull: 50, PullBytes: 1 << 20}
	done, err := p.Read(t.Context(), js, func(m jetstream.Msg, _ uint64) error {
		if m.Subject() == "a.2" {
			return full
		}
		return nil
	})
	if done != 2 || !errors.Is(err, full) {
		t.Errorf("read %d, %v", done, err)
	}
}

func TestWhatIsDeletedMeanwhileIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	js, stream := setup(t, 50)
	p := passage.Passage{Stream: "S", Subjects: []string{"a.*"}, Pull: 2, PullBytes: 1 << 20, Silence: time.Minute}
	deleted := false
	done, err := p.Read(t.Context(), js, func(jetstream.Msg, uint64) error {
		if deleted {
			return nil
		}
		deleted = true
		for n := range uint64(10) { // the newest, at 42 to 51
			if err := stream.DeleteMsg(t.Context(), 42+n); err != nil {
				return err
			}
		}
		return nil
	})
	if done != 40 || err != nil {
		t.Errorf("read %d, %v", done, err)
	}
}

// A server may stop sending without an error: its messages vanish while they are read.
func TestAServerThatFallsSilentEndsThePassage(t *testing.T) {
	t.Parallel()
	js, stream := setup(t, 50)
	p := passage.Passage{Stream: "S", Subjects: []string{"a.*"}, Pull: 2, PullBytes: 1 << 20, Silence: 100 * time.Millisecond}
	began := time.Now()
	done, err := p.Read(t.Context(), js, func(jetstream.Msg, uint64) error {
		return stream.Purge(t.Context())
	})
	if done == 0 || done == 50 || err == nil || !strings.Contains(err.Error(), "nothing for 100ms") || time.Since(began) > 20*time.Second {
		t.Errorf("read %d, %v", done, err)
	}
	p.Silence = 0
	publish(t, js, "a.50")
	publish(t, js, "a.51")
	ctx, cancel := context.WithCancel(t.Context())
	done, err = p.Read(ctx, js, func(jetstream.Msg, uint64) error {
		cancel()
		return nil
	})
	if done != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: read %d, %v", done, err)
	}
}

func TestWhatTheServerCountsAndCannotShowIsNotWaitedForLong(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, nil)
	js := server.JetStream(t)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"a.*", "b"}}); err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		publish(t, js, fmt.Sprintf("a.%d", i))
		publish(t, js, "b")
	}
	server.Damage(t, "S", "a.2", "a.5")
	js = server.JetStream(t)
	p := passage.Passage{Stream: "S", Subjects: []string{"a.*"}, Pull: 50, PullBytes: 1 << 20}
	began := time.Now()
	done, err := p.Read(t.Context(), js, func(jetstream.Msg, uint64) error { return nil })
	hidden, ok := errors.AsType[*passage.UnreadableError](err)
	if done != 4 || !ok || hidden.Missing != 2 || time.Since(began) > 15*time.Second {
		t.Errorf("read %d, %v, in %s", done, err, time.Since(began))
	}
}
