package recovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/archive"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
)

// What became of an archived message that the journal lacks; Refused as well.
const (
	// Recovered: it was appended, or would be.
	Recovered = "recovered"
	// Folded: its payment has gone another way since, and it is an operation's end, or
	// a fact about one: that was appended as a known outcome, or would be.
	Folded = "folded"
	// MovedOn: its payment has gone another way since; it was left.
	MovedOn = "moved_on"
	// Passed: a newer event of its payment lies in the journal, or its operation has
	// ended there in the same way. It was left, and nothing is lost by that.
	Passed = "passed"
	// Disagrees: other content lies on its subject, or the journal tells of another
	// end of its operation; both were left.
	Disagrees = "disagrees"
	// Ambiguous: the archives hold different messages of that version; all were left.
	Ambiguous = "ambiguous"
	// JournalAction: an operator's action about the journal itself. It tells of the
	// journal that was, and is never brought back.
	JournalAction = "journal_action"
)

// Row tells what became of one archived message that the journal lacks.
type Row struct {
	Outcome string `json:"outcome"`
	Subject string `json:"subject"`
	// Sequence and Time are those in the archive.
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
	// At is its new sequence in the journal; 0: it was not appended.
	At uint64 `json:"at,omitempty"`
	// Ends: it ends an operation, or tells a fact about one that has ended. If it was
	// left, what it tells is known and is not in the journal.
	Ends bool `json:"ends,omitempty"`
	// Version is the payment's newest version in the journal.
	Version uint64 `json:"version,omitempty"`
	// Why says why it was refused.
	Why string `json:"why,omitempty"`
}

// Apply appends what the journal lacks, or only says what it would do. Each row
// is told to tell, one at a time. It returns the first error; what was appended
// before stays, and running it again goes on.
func (p *Plan) Apply(ctx context.Context, j Journal, apply bool, tell func(Row) error, o *Options) error {
	workers, progress := o.parts()
	r := &run{plan: p, journal: o.within(j), apply: apply, tell: tell, encoder: o.encoder(), now: time.Now}
	if err := r.never(); err != nil {
		return err
	}
	for _, at := range p.differ {
		if err := r.left(Disagrees, at, 0); err != nil {
			return err
		}
	}
	var jobs []func(context.Context) error
	for _, subject := range sortedKeys(p.alone) {
		jobs = append(jobs, func(ctx context.Context) error { return r.alone(ctx, p.alone[subject]) })
	}
	chains := make([]*chain, 0, len(p.chains))
	for _, ch := range p.chains {
		chains = append(chains, ch)
	}
	slices.SortFunc(chains, func(a, b *chain) int { return cmp.Compare(a.first(), b.first()) })
	for _, ch := range chains {
		jobs = append(jobs, func(ctx context.Context) error { return r.chain(ctx, ch) })
	}
	return side(ctx, workers, jobs, progress)
}

// side runs jobs side by side until one fails, and returns the first error.
func side(ctx context.Context, workers int, jobs []func(context.Context) error, progress func(done, total uint64)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan func(context.Context) error)
	var running sync.WaitGroup
	for range min(workers, len(jobs)) {
		running.Go(func() {
			for job := range work {
				if err := job(ctx); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i, job := range jobs {
		if ctx.Err() != nil {
			break
		}
		select {
		case work <- job:
			progress(uint64(i+1), uint64(len(jobs)))
		case <-ctx.Done():
		}
	}
	close(work)
	running.Wait()
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("bring back: %w", err)
	}
	return nil
}

// run is one run of Apply.
type run struct {
	plan    *Plan
	journal Journal
	apply   bool
	encoder *events.Encoder
	now     func() time.Time

	mu   sync.Mutex // one row at a time
	tell func(Row) error
}

// never tells of the lines that are not brought back whatever the journal holds.
func (r *run) never() error {
	for _, line := range r.plan.refused {
		e, err := r.plan.entry(line.place)
		if err != nil {
			return err
		}
		row := rowOf(Refused, e)
		row.Why, row.Ends = line.why, false
		if err := r.say(row); err != nil {
			return err
		}
	}
	return r.leaveAll(JournalAction, r.plan.actions, 0)
}

// alone brings a message of no payment back.
func (r *run) alone(ctx context.Context, at place) error {
	e, err := r.plan.entry(at)
	if err != nil {
		return err
	}
	row := rowOf(Recovered, e)
	if r.apply {
		if row.At, err = r.journal.Put(ctx, 0, broughtBack(e)); err != nil {
			return err
		}
	}
	return r.say(row)
}

// chain brings back what is missing of one payment. Only archives whose history
// of the payment is the journal's count: they hold its newest event, too. Others
// are of a time when the payment has gone another way.
func (r *run) chain(ctx context.Context, ch *chain) error {
	filter, err := events.Filter(ch.id)
	if err != nil {
		return err
	}
	newest, err := r.journal.On(ctx, filter)
	if err != nil {
		return err
	}
	l := link{run: r, id: ch.id, ours: make([]bool, len(r.plan.files))}
	l.sequence, l.version = position(newest)
	for file := range l.ours {
		l.ours[file] = l.version == 0 || r.plan.present[file][ch.id] == l.version
	}
	for missing := ch.missing; len(missing) > 0; {
		n := 1
		for n < len(missing) && missing[n].version == missing[0].version {
			n++
		}
		if err := l.take(ctx, missing[:n]); err != nil {
			return err
		}
		missing = missing[n:]
	}
	for _, at := range ch.differ {
		l.elsewhere = append(l.elsewhere, lost{at, Disagrees})
	}
	return l.fold(ctx)
}

// link is the end of one payment's events in the journal while it is followed.
type link struct {
	*run

	id                payment.ID
	sequence, version uint64
	// ours are the archives whose history is the journal's.
	ours []bool
	// elsewhere is what archives hold of another history of the payment.
	elsewhere []lost
	// would is the payment's newest record if what a dry run has said were done.
	would *journal.Record
}

// lost is an archived message of another history, and what becomes of it unless it
// can be folded.
type lost struct {
	place

	outcome string
}

// take brings back one version of a payment, which lies at these places.
func (l *link) take(ctx context.Context, these []place) error {
	var ours []place
	for _, at := range these {
		if l.ours[at.file] {
			ours = append(ours, at)
		} else {
			l.elsewhere = append(l.elsewhere, lost{at, MovedOn})
		}
	}
	switch {
	case len(ours) == 0:
		return nil
	case ours[0].version <= l.version:
		return l.leaveAll(Passed, ours, l.version)
	}
	e, one, err := l.only(ours)
	switch {
	case err != nil:
		return err
	case !one: // and what comes behind rests on one of them
		clear(l.ours)
		return l.leaveAll(Ambiguous, ours, l.version)
	}
	row := rowOf(Recovered, e)
	if l.apply {
		row.At, err = l.journal.Put(ctx, l.sequence, broughtBack(e))
		if conflict, ok := errors.AsType[*journal.ConflictError](err); ok {
			clear(l.ours)
			l.version = conflict.Last.State.Version
			for _, at := range ours {
				l.elsewhere = append(l.elsewhere, lost{at, MovedOn})
			}
			return nil
		}
		if err != nil {
			return err
		}
		l.sequence = row.At
	}
	l.version = ours[0].version
	clear(l.ours)
	for _, at := range ours {
		l.ours[at.file] = true
	}
	return l.say(row)
}

// only returns the one message that several places hold; one is false where they
// hold different ones.
func (r *run) only(all []place) (e archive.Entry, one bool, err error) {
	for i, at := range all {
		next, err := r.plan.entry(at)
		switch {
		case err != nil:
			return e, false, err
		case i == 0:
			e = next
		case !same(e.Message, next.Message):
			return e, false, nil
		}
	}
	return e, true, nil
}

// leaveAll tells that messages were left.
func (r *run) leaveAll(outcome string, all []place, version uint64) error {
	for _, at := range all {
		if err := r.left(outcome, at, version); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) left(outcome string, at place, version uint64) error {
	e, err := r.plan.entry(at)
	if err != nil {
		return err
	}
	row := rowOf(outcome, e)
	row.Version = version
	return r.say(row)
}

func (r *run) say(row Row) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tell(row)
}

func rowOf(outcome string, e archive.Entry) Row {
	return Row{
		Outcome: outcome, Subject: e.Message.Subject, Sequence: e.Sequence, Time: e.Time.UTC(), Ends: ends(e.Message),
	}
}

func sortedKeys(m map[string]place) []string {
	all := make([]string, 0, len(m))
	for key := range m {
		all = append(all, key)
	}
	slices.Sort(all)
	return all
}
