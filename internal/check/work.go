package check

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/openwork"
)

const (
	// listFor bounds the list of timers.
	listFor = time.Minute
	// late is for how long an operation may be overdue before that is a finding.
	late = 10 * time.Minute
	// inHand is how long after its last event, or the end of its call, an
	// operation without a timer may still be in hand: the timer comes last, and a
	// message of a process that was killed comes back after half a minute.
	inHand = 2 * time.Minute
	// lines bounds the findings of one sort; the rest is counted.
	lines = 20
	// confirmed bounds the operations that are looked at a second time.
	confirmed = 1000
)

// removed finds timers of providers that are not configured.
func (c *checker) removed(ctx context.Context) {
	due := c.cfg.Streams.Due
	if c.lacks(OpenWork, "timers", streamInfo(due), "$JS.API.STREAM.MSG.GET."+due) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, listFor)
	defer cancel()
	timers, err := openwork.Timers(ctx, c.js, due)
	if err != nil {
		if !missing(err) {
			c.notAnswered(OpenWork, "timers", err)
		}
		return
	}
	c.timers = timers
	if c.opts.Deep {
		return // the journal knows better
	}
	c.notConfigured(timers.Providers())
}

// notConfigured reports the providers that have open operations and are not in
// the configuration.
func (c *checker) notConfigured(open map[string]int) {
	for _, p := range c.cfg.Providers {
		delete(open, p.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(open)) {
		c.report(Error, ProviderRemoved, "provider "+name, Finding{
			Is: fmt.Sprintf("not configured, with %d open operations", open[name]), Want: "configured until its last operation has ended",
			Do: "they come back and wait, and are never finished: put the instance back into the configuration",
		})
	}
}

// deep reads the whole journal and compares it with the timers.
func (c *checker) deep(ctx context.Context) {
	stream := c.cfg.Streams.Events
	if c.timers == nil || c.lacks(OpenWork, "open operations", scanCreate(stream), scanNext(stream)) {
		return
	}
	index, err := openwork.Scan(ctx, c.js, stream, c.opts.Progress)
	if err != nil {
		if !missing(err) {
			c.notAnswered(OpenWork, "open operations", err)
		}
		return
	}
	c.damaged(index.Damaged)
	open := map[string]int{}
	for _, o := range index.Operations {
		open[o.ID.Provider]++
	}
	c.moved(index.Operations)
	c.notConfigured(open)
	c.waiting(ctx, index.Operations)
}

// damaged reports what cannot be read.
func (c *checker) damaged(all []openwork.Damage) {
	// What the leader cannot show is what the walk over the sequences reports.
	all = slices.DeleteFunc(all, func(d openwork.Damage) bool { return d.Subject == "" })
	for i, d := range all {
		if i == lines {
			c.more("events and operations that cannot be read", len(all)-lines, "read them with consumer show")
			return
		}
		f := Finding{Is: d.Reason, Want: "readable", Do: "nothing brings it back by itself: look at the payment with consumer show and settle it by hand"}
		severity := Error
		if d.Newer {
			severity, f.Do = Warning, "finish the rollout: only the newer version can go on with it"
		}
		c.report(severity, OpenWork, fmt.Sprintf("%s (sequence %d) %s", d.Subject, d.Sequence, d.Operation), f)
	}
}

// moved reports instances that have become another account under the same name.
func (c *checker) moved(open []openwork.Operation) {
	count := map[string]int{}
	for _, in := range c.built {
		for _, o := range open {
			account := o.Operation.Open.Account
			if o.ID.Provider == in.Name && account != "" && account != in.Account {
				count[in.Name]++
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(count)) {
		c.report(Error, ProviderAccount, "provider "+name, Finding{
			Is: fmt.Sprintf("another account than that of %d open operations", count[name]), Want: "the account they were begun at",
			Do: "they are neither called nor asked about elsewhere: give the new account a name of its own and put the old one back",
		})
	}
}

// waiting reports the operations that nothing brings back, or nobody takes.
func (c *checker) waiting(ctx context.Context, open []openwork.Operation) {
	now := c.opts.Now()
	looked := 0
	sorts := map[string][]Finding{}
	for _, o := range open {
		f, suspect := c.suspicion(o, now)
		if !suspect {
			continue
		}
		if looked++; looked <= confirmed && !c.confirm(ctx, o, now) {
			continue
		}
		f.What = fmt.Sprintf("%s of payment %s at %s", o.Command.Op, events.Token(o.ID.Native), o.ID.Provider)
		sorts[f.Do] = append(sorts[f.Do], f)
	}
	for _, do := range slices.Sorted(maps.Keys(sorts)) {
		for i, f := range sorts[do] {
			if i == lines {
				c.more("further open operations", len(sorts[do])-lines, do)
				break
			}
			c.report(Error, OpenWork, f.What, f)
		}
	}
}

func (c *checker) more(what string, n int, do string) {
	c.report(Error, OpenWork, what, Finding{Is: fmt.Sprint(n), Want: "0", Do: do})
}

// suspicion says what seems wrong with an open operation. One that is overdue
// but has a timer is none by itself: while its provider is paused or another
// operation is in the way it comes back without an event, and confirm looks at
// the timer's time.
func (c *checker) suspicion(o openwork.Operation, now time.Time) (Finding, bool) {
	overdue := o.Overdue(now)
	is := fmt.Sprintf("%s, due %s", o.Operation.Status, o.Due().UTC().Format(time.RFC3339))
	switch {
	case c.timers.HasDelivered(o.Subject) && overdue > late:
		return Finding{
			Is: is + ", its timer delivered and not taken", Want: "taken in hand",
			Do: "start the service, or more of it: timers are due faster than they are handled",
		}, true
	case c.timers.Has(o.Subject):
		return Finding{
			Is: is + ", its timer on " + o.Subject + " late", Want: "delivered when it is due",
			Do: "the server has not delivered a schedule: look at its log; if it stays, delete that message and run consumer rearm",
		}, overdue > late
	case !c.timers.Complete && overdue <= late, now.Sub(o.Settled()) < inHand:
		return Finding{}, false
	default:
		return Finding{
			Is: is + ", without a timer", Want: "a timer",
			Do: "run consumer rearm (after the service has run for a minute: a message it has in hand comes back by itself)",
		}, true
	}
}

// confirm looks a second time: whether the payment has not moved meanwhile, and
// no timer of the operation is still to come. What cannot be read is confirmed.
func (c *checker) confirm(ctx context.Context, o openwork.Operation, now time.Time) bool {
	ctx, cancel := c.within(ctx)
	defer cancel()
	filter, err := events.Filter(o.ID)
	if err != nil {
		return true
	}
	s, err := c.js.Stream(ctx, c.cfg.Streams.Events)
	if err != nil {
		return true
	}
	last, err := s.GetLastMsgForSubject(ctx, filter)
	if err == nil && last.Sequence != o.Sequence {
		return false
	}
	if c.timers.HasDelivered(o.Subject) {
		return true
	}
	at, there, err := openwork.At(ctx, c.js, c.cfg.Streams.Due, o.Subject)
	return err != nil || !there && !c.timers.Has(o.Subject) || there && now.Sub(at) > late
}
