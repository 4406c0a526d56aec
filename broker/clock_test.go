package broker_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
)

// leaders answers questions about streams as their leaders would, each with a clock of
// its own. A cluster in one process has one clock.
type leaders struct {
	mu     sync.Mutex
	clocks map[string]leader // by stream
}

type leader struct {
	name   string
	behind time.Duration
	silent bool
}

func (l *leaders) elect(stream string, to leader) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clocks[stream] = to
}

// answer is the handler of the questions.
func (l *leaders) answer(m *nats.Msg) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := m.Subject[strings.LastIndex(m.Subject, ".")+1:]
	to, there := l.clocks[name]
	answer := map[string]any{"type": "io.nats.jetstream.api.v1.stream_info_response"}
	switch {
	case to.silent:
		return
	case !there:
		answer["error"] = map[string]any{"code": 404, "err_code": jetstream.JSErrCodeStreamNotFound, "description": "stream not found"}
	default:
		answer["config"] = map[string]any{"name": name}
		answer["cluster"] = map[string]any{"leader": to.name}
		answer["ts"] = time.Now().Add(-to.behind)
	}
	data, err := json.Marshal(answer)
	if err == nil {
		err = m.Respond(data)
	}
	if err != nil {
		panic(err)
	}
}

// serve answers questions about streams as the leaders do.
func (l *leaders) serve(b *bundle) jetstream.JetStream {
	b.t.Helper()
	sub, err := b.js.Conn().Subscribe("LEADERS.STREAM.INFO.*", l.answer)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = sub.Unsubscribe() })
	js, err := jetstream.NewWithAPIPrefix(b.js.Conn(), "LEADERS")
	if err != nil {
		b.t.Fatal(err)
	}
	return js
}

func TestTheClockIsComparedWithTheLeaderOfEachStreamAndWithEachNewOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	l := &leaders{clocks: map[string]leader{
		b.topology.Commands: {name: "n1"}, b.topology.Events: {name: "n2"}, b.topology.Due: {name: "n3", behind: 5 * time.Second},
	}}
	js := l.serve(b)
	worst := func() broker.Skew {
		t.Helper()
		all, err := broker.Skews(b.ctx(), js, time.Now, b.topology.Measured()...)
		if err != nil || len(all) != 3 {
			t.Fatalf("%v, %v", all, err)
		}
		s, _ := broker.Worst(all)
		return s
	}
	s := worst()
	if s.Stream != b.topology.Due || s.Leader != "n3" || (s.Ahead-5*time.Second).Abs() > time.Second {
		t.Errorf("worst is %v", s)
	}
	s.Ahead = 5 * time.Second
	if diff := cmp.Diff("by 5s from that of the server that leads "+b.topology.Due+" (n3)", s.String()); diff != "" {
		t.Error(diff)
	}
	l.elect(b.topology.Due, leader{name: "n1"})
	l.elect(b.topology.Events, leader{name: "n4", behind: -4 * time.Second})
	if s = worst(); s.Stream != b.topology.Events || s.Leader != "n4" || (s.Ahead+4*time.Second).Abs() > time.Second {
		t.Errorf("after the elections worst is %v", s)
	}
}

func TestAStreamWithoutALeaderDoesNotHideTheClocksOfTheOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	l := &leaders{clocks: map[string]leader{"ONE": {silent: true}, "TWO": {name: "n2", behind: 3 * time.Second}}}
	all, err := broker.Skews(b.ctx(), l.serve(b), time.Now, "ONE", "TWO", "THREE")
	if worst, ok := broker.Worst(all); !ok || len(all) != 1 || worst.Stream != "TWO" || worst.Ahead < 2*time.Second {
		t.Errorf("%v", all)
	}
	if err == nil || !strings.Contains(err.Error(), "measure clock skew at ONE: ") || strings.Contains(err.Error(), "THREE") {
		t.Errorf("error is %v", err)
	}
	if _, ok := broker.Worst(nil); ok {
		t.Error("there is a worst of none")
	}
}
