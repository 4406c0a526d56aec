package handlers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/journal/memory"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/simulator"
)

// seenKey marks a context that came from the observer.
type seenKey struct{}

// watcher writes down what it is told, and what is inside what.
type watcher struct {
	mu    sync.Mutex
	lines []string
	trace string
}

func (w *watcher) say(ctx context.Context, format string, args ...any) context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	depth, _ := ctx.Value(seenKey{}).(int)
	w.lines = append(w.lines, strings.Repeat("  ", depth)+fmt.Sprintf(format, args...))
	return context.WithValue(ctx, seenKey{}, depth+1)
}

// Handling implements handlers.Observer.
func (w *watcher) Handling(ctx context.Context, _ handlers.Delivery, c payment.Command) (context.Context, string, func(handlers.Disposition)) {
	inner := w.say(ctx, "handle %s %s", c.Op, c.CommandID)
	return inner, w.trace, func(d handlers.Disposition) { w.say(ctx, "= %s", d.Kind) }
}

// Appending implements handlers.Observer.
func (w *watcher) Appending(ctx context.Context, a handlers.Append) (context.Context, func(handlers.AppendResult)) {
	what := "rejection"
	if a.Event != nil {
		what = string(a.Event.Type)
	}
	return w.say(ctx, "append %s", what), func(r handlers.AppendResult) { w.say(ctx, "= %s", r) }
}

// Calling implements handlers.Observer.
func (w *watcher) Calling(ctx context.Context, c handlers.Call) (context.Context, func(handlers.CallResult)) {
	return w.say(ctx, "%s at %s, attempt %d", c.Kind, c.Instance, c.Attempt), func(r handlers.CallResult) { w.say(ctx, "= %s %s", r.Result, r.Code) }
}

// Panicked implements handlers.Observer.
func (w *watcher) Panicked() { w.say(context.Background(), "panic") }

// Forged implements handlers.Observer.
func (w *watcher) Forged() { w.say(context.Background(), "forged") }

// observed makes the bundle's handler one that o is told of.
func (s *setup) observed(o handlers.Observer, j journal.Journal, instances []providers.Instance) *bytes.Buffer {
	s.t.Helper()
	set, err := providers.NewSet(instances...)
	if err != nil {
		s.t.Fatal(err)
	}
	var log bytes.Buffer
	s.handler, err = handlers.New(j, set, s.quarantine, events.NewEncoder(nil), &handlers.Options{
		Now: s.clock.Now, Logger: slog.New(slog.NewJSONHandler(&log, nil)), Observer: o,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return &log
}

// told compares what the watcher was told.
func (w *watcher) told(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, w.lines); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestAnObserverIsToldOfEachStepInsideItsHandling(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	w := &watcher{}
	b.observed(w, b.journal, b.instances)
	b.deliver(b.command(s.op, s.data))
	w.told(
		t, "handle refund e-1",
		"  append started", "  = accepted",
		"  refund at opay-eg, attempt 1", "  = succeeded ",
		"  append succeeded", "  = accepted",
		"= ack",
	)
}

func TestAnObserverIsToldOfReadsQueriesAndLostAnswers(t *testing.T) {
	t.Parallel()
	b := newSetup(t)
	s := named("openpay (status full) refund full")
	if err := b.seed(s).Fault(simulator.Fault{Operation: "refund", Mode: simulator.CutAfter, Times: 1}); err != nil {
		t.Fatal(err)
	}
	w := &watcher{}
	b.observed(w, b.journal, b.instances)
	b.deliver(b.command(s.op, s.data))
	b.drive(func() bool { return b.operation(s.id, s.op, key).Status.Terminal() })
	for _, want := range []string{
		"  read at openpay-status-full, attempt 0", "  = ok ", "  = indeterminate provider_unavailable", "  append indeterminate", "= later", "  query at openpay-status-full, attempt 1",
	} {
		if !slices.Contains(w.lines, want) {
			t.Errorf("not told %q:\n%s", want, strings.Join(w.lines, "\n"))
		}
	}
}

func TestAnObserverIsToldHowAppendsEnd(t *testing.T) {
	t.Parallel()
	for fault, want := range map[memory.Fault]string{
		memory.Refuse: "  = refused", memory.GiveUpAbsent: "  = unknown",
	} {
		b, s := partial(t)
		w := &watcher{}
		b.observed(w, b.journal.Writer(&memory.Options{Fault: func(memory.Try) memory.Fault { return fault }}), b.instances)
		b.deliver(b.command(s.op, s.data))
		w.told(t, "handle refund e-1", "  append started", want, "= redeliver")
	}
	// A first command that is none: the payment has moved.
	b, s := partial(t)
	b.deliver(b.command(s.op, s.data))
	w := &watcher{}
	b.observed(w, b.journal, b.instances)
	b.deliver(b.command(s.op, strings.Replace(s.data, key, "another", 1)))
	if len(w.lines) < 3 || w.lines[2] != "  = conflict" {
		t.Errorf("told:\n%s", strings.Join(w.lines, "\n"))
	}
}

func TestAnObserverIsToldOfAMessageThatIsNoCommand(t *testing.T) {
	t.Parallel()
	b := newSetup(t)
	w := &watcher{}
	b.observed(w, b.journal, b.instances)
	b.deliver(b.command(payment.Refund, `{}`))
	w.told(t, "handle  e-1", "  append rejection", "  = accepted", "= terminate")
}

func TestACallThatPanicsEndsForTheObserverAsForTheHandler(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	instances := slices.Clone(b.instances)
	i := slices.IndexFunc(instances, func(i providers.Instance) bool { return i.Name == "opay-eg" })
	instances[i].Provider = &panicky{Provider: instances[i].Provider}
	w := &watcher{}
	b.observed(w, b.journal, instances)
	b.deliver(b.command(s.op, s.data))
	if got := strings.Join(w.lines, "\n"); !strings.Contains(got, "refund at opay-eg, attempt 1\n  = indeterminate") {
		t.Errorf("told:\n%s", got)
	}
}

func TestAHandlingThatPanicsEndsOnceAndIsTold(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	w := &watcher{}
	b.observed(w, &poisoned{Journal: b.journal, left: 1}, b.instances)
	d := b.command(s.op, s.data)
	b.deliver(d)
	w.told(t, "handle refund e-1", "  append started", "  = unknown", "panic", "= later")
}

// lines reads a log's lines of a level.
func lines(t *testing.T, log *bytes.Buffer, level string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range bytes.Lines(log.Bytes()) {
		var one map[string]any
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatalf("a line is not JSON: %s", line)
		}
		if one["level"] == level {
			all = append(all, one)
		}
	}
	return all
}

func TestAnOutcomeIsOneLineWithTheFixedKeysAndItsTrace(t *testing.T) {
	t.Parallel()
	const own = "4bf92f3577b34da6a3ce929d0e0e4736"
	for name, row := range map[string]struct{ observer, want string }{
		"the command's":               {"", own},
		"the one it is handled under": {"0af7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319c"},
	} {
		b, s := partial(t)
		log := b.observed(&watcher{trace: row.observer}, b.journal, b.instances)
		d := b.command(s.op, s.data)
		d.Message.Data = bytes.Replace(d.Message.Data, []byte(`"data":`), []byte(`"traceparent":"00-`+own+`-00f067aa0ba902b7-01","data":`), 1)
		b.deliver(d)
		info := lines(t, log, "INFO")
		if len(info) != 1 {
			t.Fatalf("%s: %d lines for one outcome: %s", name, len(info), log)
		}
		want := map[string]any{
			"event_id": "e-1", "event_type": "payment.refund.requested", "payment_id": s.id.Native, "operation": "refund",
			"provider": "opay-eg", "attempt": 1.0, "state": "succeeded", "trace_id": row.want,
		}
		for key, value := range want {
			if info[0][key] != value {
				t.Errorf("%s: %s is %v, want %v", name, key, info[0][key], value)
			}
		}
	}
}

func TestAFailureNamesItsErrorUnderTheFixedKey(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	log := b.observed(&watcher{}, b.journal.Writer(&memory.Options{Fault: func(memory.Try) memory.Fault { return memory.Refuse }}), b.instances)
	b.deliver(b.command(s.op, s.data))
	if failed := lines(t, log, "ERROR"); len(failed) != 1 || failed[0]["error"] == nil || failed[0]["event_id"] != "e-1" || failed[0]["trace_id"] != nil {
		t.Errorf("log: %s", log)
	}
}
