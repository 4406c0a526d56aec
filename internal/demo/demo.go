//go:build !production

package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/opay/opaysim"
)

// Options are the demo's switches.
type Options struct {
	// Dir keeps the demo's data, to go on after it was killed; empty: a
	// temporary directory, removed at the end.
	Dir string
	// JSON prints events, the steps and the results, one a line, and a summary.
	JSON bool
	// Hold keeps everything running at the end, until ctx ends.
	Hold bool
	// Colour is true on a terminal.
	Colour bool
	Logger *slog.Logger
}

// allFor bounds the whole demo.
const allFor = 2 * time.Minute

// ackWait is how soon a killed demo's messages come back to the next: long
// enough for every call, short enough to be watched.
const ackWait = 4 * time.Second

// ErrNotShown is returned when a story did not end as it must.
var ErrNotShown = errors.New("the demo did not end as it must")

// ErrStopped is returned when the context ended before the last story did.
var ErrStopped = errors.New("stopped")

// Run plays the script and prints it. It returns ErrNotShown, wrapped with
// what is wrong, if an operation has neither its terminal result nor
// reviewRequired, or money moved twice; ErrStopped, and nothing else, if it was
// stopped before it could tell.
func Run(ctx context.Context, out io.Writer, o Options) error {
	err := run(ctx, out, o)
	if err != nil && ctx.Err() != nil && !errors.Is(err, ErrNotShown) {
		return ErrStopped // whatever was in hand then failed for it
	}
	return err
}

func run(ctx context.Context, out io.Writer, o Options) (err error) {
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "countermand-demo-"); err != nil {
			return fmt.Errorf("create data directory: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	}
	w, err := openWorld(o.Dir)
	if err != nil {
		return err
	}
	defer w.close()
	cfg := w.config()
	if o.Hold {
		cfg.Admin.Listen = consoleAddress()
	}
	topology := app.Topology(cfg)
	topology.AckWait = ackWait
	js, err := provisioned(ctx, cfg.NATS, topology, o.Logger)
	if err != nil {
		return err
	}
	nc := js.Conn()
	defer nc.Close()
	p := &play{world: w, cfg: cfg, js: js, follower: newFollower(), out: newPrinter(out, o), stories: script()}
	return p.perform(ctx, nc, o)
}

// provisioned connects to the world's server and gives it its streams and consumers.
// The caller closes the connection.
func provisioned(ctx context.Context, server config.NATS, topology broker.Topology, log *slog.Logger) (jetstream.JetStream, error) {
	nc, err := app.Connect(server, "countermand consumer", log)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err == nil {
		_, err = broker.Provision(ctx, js, topology)
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("provision embedded server: %w", err)
	}
	return js, nil
}

// consoleAddress is where a demo that is held shows itself: the documented
// address, or any other where that is taken.
func consoleAddress() string {
	const documented = "127.0.0.1:9090"
	l, err := net.Listen("tcp", documented)
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return documented // the service says why it cannot listen
	}
	defer l.Close()
	return l.Addr().String()
}

// play is one performance.
type play struct {
	world    *world
	cfg      *config.Config
	js       jetstream.JetStream
	follower *follower
	out      *printer
	stories  []story
	// sequences of each story's messages in the stream of commands.
	sequences []map[uint64]bool
	messages  int
}

// perform runs the service beside the script and waits for both.
func (p *play) perform(ctx context.Context, nc *nats.Conn, o Options) (err error) {
	instances, err := app.Instances(p.cfg, o.Logger)
	if err != nil {
		return err
	}
	service, err := app.New(nc, p.cfg, quicken(instances), &app.Options{
		Logger: o.Logger, Wrap: p.losingAcks(), AckWait: ackWait, LocalOperator: Operator,
	})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var owned sync.WaitGroup
	failures := make(chan error, 3)
	owned.Go(func() { failures <- service.Run(running) })
	for _, stream := range []string{p.cfg.Streams.Events, p.cfg.Streams.Refusals} {
		owned.Go(func() { failures <- p.follower.run(running, p.js, stream, p.out.event) })
	}
	defer func() {
		stop()
		owned.Wait()
		close(failures)
		for f := range failures {
			err = errors.Join(err, f)
		}
	}()
	limited, cancel := context.WithTimeout(ctx, allFor)
	defer cancel()
	if err := p.tell(limited); err != nil {
		return err
	}
	if o.Hold {
		p.out.hold(p.cfg.NATS.URL, p.cfg.Admin.Listen, p.world)
		<-ctx.Done()
	}
	return nil
}

// tell publishes every command, tells each story as it ends, and counts.
func (p *play) tell(ctx context.Context) error {
	p.out.watch(p.cfg.Admin.Listen)
	p.out.opening(p.world, len(p.stories))
	if err := p.publish(ctx); err != nil {
		return err
	}
	var wrong []error
	for i, s := range p.stories {
		err := p.await(ctx, i)
		if stopped(ctx) {
			return ErrStopped
		}
		if err != nil {
			wrong = append(wrong, err)
		}
		p.out.story(i+1, s, p)
	}
	if err := p.quiet(ctx); err != nil {
		wrong = append(wrong, err)
	}
	if stopped(ctx) {
		return ErrStopped
	}
	sum := p.sum()
	for i, s := range p.stories {
		if err := p.check(i, s); err != nil {
			wrong = append(wrong, err)
		}
	}
	if sum.DoubleRefunds > 0 {
		wrong = append(wrong, fmt.Errorf("money moved twice for %d operations", sum.DoubleRefunds))
	}
	p.out.closing(sum, len(wrong) == 0)
	if len(wrong) > 0 {
		return fmt.Errorf("%w: %w", ErrNotShown, errors.Join(wrong...))
	}
	return nil
}

// stopped reports whether somebody ended the demo; its own time limit does not count.
func stopped(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

// publish sends the script. An event's message id is its source and id, so
// that a demo that goes on does not send anything twice.
func (p *play) publish(ctx context.Context) error {
	for i, s := range p.stories {
		p.sequences = append(p.sequences, map[uint64]bool{})
		for _, m := range s.messages {
			msg := nats.NewMsg(m.subject)
			msg.Data = m.body
			msg.Header.Set("Content-Type", "application/cloudevents+json")
			id := source + "/" + m.id
			if m.id == "" {
				id = fmt.Sprintf("%s/story-%d", source, i)
			}
			ack, err := p.js.PublishMsg(ctx, msg, jetstream.WithMsgID(id))
			if err != nil {
				return fmt.Errorf("publish command: %w", err)
			}
			p.sequences[i][ack.Sequence] = true
			p.messages++
		}
	}
	return nil
}

// await waits until a story has come to its end.
func (p *play) await(ctx context.Context, i int) error {
	for {
		changed := p.follower.changed()
		if p.ended(i) {
			return nil
		}
		p.settle(i)
		select {
		case <-ctx.Done():
			return fmt.Errorf("story %d (%s) did not end", i+1, p.stories[i].title)
		case err := <-p.world.failed:
			return err
		case <-changed:
		}
	}
}

// settle lets the simulated provider decide what it has accepted.
func (p *play) settle(i int) {
	history := p.follower.history(p.stories[i].operation)
	if len(history) == 0 {
		return
	}
	d := history[len(history)-1].Data
	if opay, ok := p.world.member(d.Provider).sim.Handler.(*opaysim.Simulator); ok && d.Status == "pending" {
		_ = opay.Settle(d.ClientReference) // decided already: nothing to do
	}
}

func (p *play) ended(i int) bool {
	s := p.stories[i]
	if s.rejected != "" {
		if _, ok := p.follower.answered(s, p.sequences[i]); !ok {
			return false
		}
	}
	if s.ends == "" {
		return true
	}
	history := p.follower.history(s.operation)
	if len(history) == 0 {
		return false
	}
	last := history[len(history)-1]
	return last.Type.Terminal() || last.Data.Status == events.StatusReviewRequired
}

// check compares a story's end, and the provider's ledger, with what must be.
func (p *play) check(i int, s story) error {
	if s.ends == "" {
		return nil
	}
	history := p.follower.history(s.operation)
	if len(history) == 0 {
		return fmt.Errorf("story %d: no result", i+1)
	}
	d := history[len(history)-1].Data
	moved, _ := p.world.count(s.operation)
	want := s.moved
	if p.world.resumed && d.Effect == payment.EffectVoided {
		want = 0 // killed just before the capture it was to race
	}
	switch {
	case p.interrupted(s) && moved <= 1:
		return nil
	case d.Status != s.ends:
		return fmt.Errorf("story %d ended %s, not %s", i+1, d.Status, s.ends)
	case s.code != "" && d.Code != s.code && !p.world.resumed: // a kill may be what lost the call, before it was carried out
		return fmt.Errorf("story %d ended with code %s, not %s", i+1, d.Code, s.code)
	case moved != want:
		return fmt.Errorf("story %d: money moved %d times, not %d", i+1, moved, want)
	default:
		return nil
	}
}

// interrupted reports whether an earlier demo was killed during the story's
// very call, at a provider that can neither say what it did nor be told twice:
// then a person is asked, whether the money has moved or not.
func (p *play) interrupted(s story) bool {
	history := p.follower.history(s.operation)
	return p.world.resumed && s.unsafe && len(history) > 0 &&
		history[len(history)-1].Data.Status == events.StatusReviewRequired
}

// quiet waits until no command is left in the stream or in hand: a repeat that
// changes nothing has no event to wait for.
func (p *play) quiet(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := p.js.Consumer(ctx, p.cfg.Streams.Commands, p.cfg.Consumer)
		if err != nil {
			return fmt.Errorf("look at commands: %w", err)
		}
		if info := c.CachedInfo(); info.NumPending == 0 && info.NumAckPending == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("commands are left in hand")
		case <-tick.C:
		}
	}
}

// losingAcks loses the first acknowledgement of the messages that ask for it.
func (p *play) losingAcks() func(broker.Handler) broker.Handler {
	lose := map[string]bool{}
	for _, s := range p.stories {
		for _, m := range s.messages {
			if m.loseAck {
				lose[string(m.body)] = true
			}
		}
	}
	return func(h broker.Handler) broker.Handler { return &ackLoser{Handler: h, lose: lose} }
}

// ackLoser stands for an acknowledgement lost on its way to the server.
type ackLoser struct {
	broker.Handler
	mu   sync.Mutex
	lose map[string]bool
}

// Handle handles the message and forgets that it did.
func (l *ackLoser) Handle(ctx context.Context, d handlers.Delivery) handlers.Disposition {
	out := l.Handler.Handle(ctx, d)
	l.mu.Lock()
	defer l.mu.Unlock()
	if out.Kind == handlers.Ack && !d.Timer && l.lose[string(d.Message.Data)] {
		delete(l.lose, string(d.Message.Data))
		return handlers.Disposition{Kind: handlers.Redeliver}
	}
	return out
}
