//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/internal/sleep"
	"github.com/countermand/countermand/proof/chaos/compare"
)

const (
	// ruleEvery is how long operators wait between two looks at the queue.
	ruleEvery = time.Second
	// answerFor is how long they wait for an answer; a retry is a call with what
	// has to be appended around it.
	answerFor = 15 * time.Second
	// atOnce is how many of the queue's operations are looked at side by side,
	// inARound how many between two looks at it.
	atOnce, inARound = 4, 60
)

// operators are two people at the desk of the service, asked over NATS while
// everything is struck. They look into the providers' ledgers, say the truth,
// and are clumsy: they rule on views that are old, twice, and against each other.
// What they say in error must be refused. Safe for concurrent use.
type operators struct {
	world    *world
	commands map[string]compare.Command
	sent     *published
	nc       *nats.Conn
	people   [2]person

	mu     sync.Mutex
	random *rand.Rand
	quiet  time.Time // since when nothing is struck; zero: it still is
	tally  tally
}

// person is one operator.
type person struct {
	name   string
	client *remote.Client
}

// tally is what operators did and heard.
type tally struct {
	acts    map[string]int
	refused map[string]int
	// wrong is what the desk must not have done.
	wrong []string
}

// newOperators opens their connection, which no proxy cuts.
func newOperators(w *world, p *plan, sent *published, random *rand.Rand) (*operators, error) {
	nc, err := w.servers.connect()
	if err != nil {
		return nil, err
	}
	o := &operators{
		world: w, sent: sent, nc: nc, random: random, commands: map[string]compare.Command{},
		tally: tally{acts: map[string]int{}, refused: map[string]int{}},
	}
	for i, name := range []string{"ann", "ben"} {
		o.people[i] = person{name, remote.NewClient(nc, name)}
	}
	for _, c := range p.commands {
		o.commands[c.Name] = c
	}
	return o, nil
}

// work rules and replays until the context ends.
func (o *operators) work(ctx context.Context) {
	var group sync.WaitGroup
	group.Go(func() {
		for ; ctx.Err() == nil; sleep.For(ctx, ruleEvery) {
			o.round(ctx)
		}
	})
	group.Go(func() { o.replayAll(ctx) })
	group.Wait()
}

// calm tells the operators that nothing is struck any more.
func (o *operators) calm() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.quiet = time.Now()
}

// report adds what they did to a report.
func (o *operators) report(r *report) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r.Operators, r.Refusals = o.tally.acts, o.tally.refused
	for _, wrong := range o.tally.wrong {
		r.note("the desk: %s", wrong)
	}
}

// below draws a number from 0 to n-1.
func (o *operators) below(n int) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.random.IntN(n)
}

// someone is either of them.
func (o *operators) someone() person { return o.people[o.below(len(o.people))] }

func (o *operators) did(what string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tally.acts[what]++
}

func (o *operators) wrong(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tally.wrong = append(o.tally.wrong, fmt.Sprintf(format, args...))
}

// unheard reports whether an error leaves open what was done: no answer came, or
// the desk says that it does not know.
func unheard(err error) bool {
	var no *desk.Error
	return err != nil && (!errors.As(err, &no) || no.Fault == desk.FaultUnknown)
}

// heard counts a no by its reason.
func (o *operators) heard(err error) {
	if err == nil {
		return
	}
	reason := "no answer"
	var no *desk.Error
	if errors.As(err, &no) {
		reason = string(no.Fault)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tally.refused[reason]++
}

// round looks at the queue once and rules on what can be ruled on.
func (o *operators) round(ctx context.Context) {
	q, err := asked(ctx, func(ctx context.Context) (*desk.Queue, error) { return o.someone().client.Queue(ctx, desk.Filter{}) })
	o.did("listed the queue")
	if o.heard(err); err != nil || len(q.Items) == 0 {
		return
	}
	books, err := o.read(ctx)
	if err != nil {
		return // interrupted
	}
	o.mu.Lock()
	o.random.Shuffle(len(q.Items), func(i, j int) { q.Items[i], q.Items[j] = q.Items[j], q.Items[i] })
	o.mu.Unlock()
	items := make(chan desk.Item)
	var group sync.WaitGroup
	for range atOnce {
		group.Go(func() {
			for item := range items {
				o.attend(ctx, item, books)
			}
		})
	}
	for _, item := range q.Items[:min(len(q.Items), inARound)] {
		items <- item
	}
	close(items)
	group.Wait()
}

// asked bounds a question to the desk.
func asked[T any](ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, answerFor)
	defer cancel()
	return ask(ctx)
}
