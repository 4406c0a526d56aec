package app

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/internal/monitor"
	"github.com/countermand/countermand/internal/sleep"
	"github.com/countermand/countermand/telemetry"
)

const (
	// defaultLook is how often the server is asked what streams and consumers hold.
	// Their settings are compared, and open operations counted, every looksApart times.
	defaultLook = 15 * time.Second
	looksApart  = 4
	// monitorFor bounds a question to the monitoring address.
	monitorFor = 5 * time.Second
)

// serverWatch asks the server what streams and consumers hold, for the metrics.
type serverWatch struct {
	js       jetstream.JetStream
	topology broker.Topology
	metrics  *telemetry.Metrics
	skew     func() (broker.Skew, bool) // the largest that was measured
	every    time.Duration
	monitor  string // the server's monitoring address; empty: not asked
}

// run asks again and again until ctx ends. A metric that cannot be read keeps its
// last value; other metrics show that the server is away.
func (w serverWatch) run(ctx context.Context) {
	round, unsynced := 0, false
	for alive := true; alive; alive = sleep.For(ctx, w.every) {
		if w.js.Conn().IsConnected() {
			w.measure(ctx)
			if round%looksApart == 0 {
				unsynced = w.verify(ctx, unsynced)
			}
		}
		round++
	}
}

// measure reads sizes and backlogs, and shows the clock's difference. Each question has the client's own
// five seconds, so that a missing answer does not prevent the others.
func (w serverWatch) measure(ctx context.Context) {
	t := w.topology
	for _, name := range []string{t.Commands, t.Events, t.Due, t.Refusals, t.Rejected} {
		if s, err := w.js.Stream(ctx, name); err == nil {
			w.metrics.SetStream(name, s.CachedInfo().State.Bytes, s.CachedInfo().State.Msgs)
		}
	}
	for which, stream := range map[telemetry.Consumer]string{telemetry.ConsumerDue: t.Due, telemetry.ConsumerCommands: t.Commands} {
		if c, err := w.js.Consumer(ctx, stream, t.Consumer); err == nil {
			info := c.CachedInfo()
			w.metrics.SetConsumer(which, info.NumPending, uint64(max(info.NumAckPending, 0)))
		}
	}
	if skew, measured := w.skew(); measured {
		w.metrics.SetClockSkew(skew.Ahead)
	}
}

// verify compares settings with what the service needs. unsynced is whether the
// server acknowledges before it has written to disk, as far as is known; verify
// returns what it learned about that.
func (w serverWatch) verify(ctx context.Context, unsynced bool) bool {
	findings, err := broker.Verify(ctx, w.js, w.topology)
	if err != nil {
		return unsynced
	}
	if w.monitor != "" {
		if always, err := syncsAlways(ctx, w.monitor); err == nil {
			unsynced = !always
		}
	}
	w.metrics.SetTopologyFault(len(findings) > 0 || unsynced)
	return unsynced
}

// syncsAlways asks a server's monitoring address whether the server writes to disk
// before it acknowledges. It asks this one server only; "consumer check" names the
// others.
func syncsAlways(ctx context.Context, address string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, monitorFor)
	defer cancel()
	page, err := monitor.Ask(ctx, address)
	if err != nil {
		return false, err
	}
	if page.JetStream.Config == nil {
		return false, errors.New("ask monitor: the server has no JetStream")
	}
	return page.JetStream.Config.SyncAlways, nil
}
