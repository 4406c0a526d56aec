package recovery

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/archive"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

// Journal is the journal that lacks something. Implementations are safe for
// concurrent use.
type Journal interface {
	// On returns what lies on a subject, or the newest message under a filter.
	On(ctx context.Context, subject string) (stream.Stored, error)
	// At returns what lies at a sequence, the zero Stored if nothing does.
	At(ctx context.Context, sequence uint64) (stream.Stored, error)
	// Put appends a message behind the sequence that is expected.
	Put(ctx context.Context, expected uint64, m events.Message) (uint64, error)
	// Last returns the payment's newest record, or the zero Record.
	Last(ctx context.Context, id payment.ID) (journal.Record, error)
	// Messages yields the events of one payment in order.
	Messages(ctx context.Context, id payment.ID) iter.Seq2[stream.Stored, error]
}

// place is where an archived message lies.
type place struct {
	file     int
	offset   int64
	sequence uint64
	version  uint64
	subject  string
}

func byVersion(a, b place) int {
	return cmp.Or(cmp.Compare(a.version, b.version), cmp.Compare(a.subject, b.subject), cmp.Compare(a.sequence, b.sequence), cmp.Compare(a.file, b.file))
}

func byPlace(a, b place) int {
	return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.offset, b.offset))
}

// chain is what the archives hold of one payment and the journal does not.
type chain struct {
	id      payment.ID
	missing []place // by version
	differ  []place // other content lies on the subject
}

// first is the earliest archived sequence of a chain.
func (c *chain) first() uint64 {
	all := append(slices.Clone(c.missing), c.differ...)
	return slices.MinFunc(all, func(a, b place) int { return cmp.Compare(a.sequence, b.sequence) }).sequence
}

// Plan is what the journal lacks. It keeps the places of what is missing, and the
// newest version that is there for each payment of the archives.
type Plan struct {
	// Read is how many archived messages were compared, Present how many of them
	// lie in the journal.
	Read, Present uint64

	files   []*os.File
	traces  []trace // by file
	chains  map[payment.ID]*chain
	present []map[payment.ID]uint64 // by file, the newest version that is there and is the same
	alone   map[string]place        // missing messages of no payment
	differ  []place                 // other content lies on the subject, which is of no payment
	refused []refusal               // lines that are none of the journal's
	actions []place                 // missing actions about the journal itself
}

// refusal is a line that is none of the journal's, and why.
type refusal struct {
	place

	why string
}

// Options are the optional parts of Compare and Apply; nil and zero mean the defaults.
type Options struct {
	// Workers is how many messages or payments are in hand at a time; default 32.
	Workers int
	// Progress is told how far it is, in bytes of the archives or in payments.
	Progress func(done, total uint64)
	// Encoder encodes the events of ends that are folded; default: as the service
	// without settings has it.
	Encoder *events.Encoder
	// Patience bounds each question to the journal and each append; default a minute.
	Patience time.Duration
}

// within bounds what is asked of a journal.
func (o *Options) within(j Journal) Journal {
	b := bounded{j, time.Minute}
	if o != nil {
		b.patience = cmp.Or(o.Patience, b.patience)
	}
	return b
}

func (o *Options) encoder() *events.Encoder {
	if o == nil || o.Encoder == nil {
		return events.NewEncoder(nil)
	}
	return o.Encoder
}

func (o *Options) parts() (workers int, progress func(done, total uint64)) {
	workers, progress = 32, func(uint64, uint64) {}
	if o != nil {
		workers = cmp.Or(o.Workers, workers)
		if o.Progress != nil {
			progress = o.Progress
		}
	}
	return workers, progress
}

// Compare asks the journal for each message of the archives. It changes nothing.
// Close the plan when it is not needed any more, also after an error.
func Compare(ctx context.Context, j Journal, paths []string, o *Options) (*Plan, error) {
	workers, progress := o.parts()
	p := &Plan{chains: map[payment.ID]*chain{}, alone: map[string]place{}}
	var total uint64
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return p, fmt.Errorf("open archive: %w", err)
		}
		p.files = append(p.files, f)
		p.traces = append(p.traces, trace{})
		p.present = append(p.present, map[payment.ID]uint64{})
		info, err := f.Stat()
		if err != nil {
			return p, fmt.Errorf("open archive: %w", err)
		}
		total += uint64(info.Size())
	}
	c := &comparison{plan: p, journal: o.within(j), work: make(chan question)}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	for range workers {
		running.Go(func() { c.run(ctx, cancel) })
	}
	err := c.read(ctx, func(done uint64) { progress(done, total) })
	close(c.work)
	running.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return p, fmt.Errorf("compare archive: %w", cause)
	}
	if err != nil {
		return p, err
	}
	for _, ch := range p.chains {
		slices.SortFunc(ch.missing, byVersion)
		slices.SortFunc(ch.differ, byVersion)
	}
	slices.SortFunc(p.refused, func(a, b refusal) int { return byPlace(a.place, b.place) })
	slices.SortFunc(p.actions, byPlace)
	return p, nil
}

// Close closes the archives.
func (p *Plan) Close() {
	for _, f := range p.files {
		_ = f.Close() // only read
	}
}

// question is one archived message to compare.
type question struct {
	at    place
	entry archive.Entry
}

// comparison is one run of Compare.
type comparison struct {
	plan    *Plan
	journal Journal
	work    chan question
	mu      sync.Mutex // guards the plan
}

// read hands every message of the archives out.
func (c *comparison) read(ctx context.Context, progress func(done uint64)) error {
	var before int64
	for n, f := range c.plan.files {
		whole, err := archive.Read(f, func(e archive.Entry, offset int64) error {
			c.plan.traces[n].read(e)
			at := place{file: n, offset: offset, sequence: e.Sequence, subject: e.Message.Subject}
			select {
			case c.work <- question{at, e}:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			progress(uint64(before + offset))
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name(), err)
		}
		before += whole
	}
	return nil
}

// run compares until there is no more, or until one cannot be asked for.
func (c *comparison) run(ctx context.Context, fail context.CancelCauseFunc) {
	for q := range c.work {
		if !literal(q.at.subject) { // it is no question that a server answers
			c.refuse(q, belongs(q.entry.Message))
			continue
		}
		there, err := c.journal.On(ctx, q.at.subject)
		if err != nil {
			fail(err)
			continue // drain
		}
		if err := c.hold(ctx, q, there); err != nil {
			fail(err)
			continue
		}
		if there.Sequence == 0 || !same(there.Message, q.entry.Message) {
			if why := belongs(q.entry.Message); why != "" {
				c.refuse(q, why)
				continue
			}
		}
		c.take(q, there)
	}
}

// hold holds a line against what lies at its sequence in the journal.
func (c *comparison) hold(ctx context.Context, q question, on stream.Stored) error {
	there := on
	// A rejection may lie in a stream of its own, whose sequences say nothing here.
	if _, rejection := events.RejectedToken(q.at.subject); rejection || there.Sequence != q.entry.Sequence {
		var err error
		if there, err = c.journal.At(ctx, q.entry.Sequence); err != nil || there.Sequence == 0 {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plan.traces[q.at.file].hold(same(there.Message, q.entry.Message), there)
	return nil
}

// refuse notes a line that is none of the journal's.
func (c *comparison) refuse(q question, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plan.Read++
	c.plan.refused = append(c.plan.refused, refusal{q.at, why})
}

// take notes what the journal holds of one archived message.
func (c *comparison) take(q question, there stream.Stored) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.plan
	p.Read++
	id, err := events.PaymentOf(q.at.subject)
	q.at.version = versionOf(q.at.subject)
	switch {
	case there.Sequence != 0 && same(there.Message, q.entry.Message):
		p.Present++
		if err == nil {
			known := p.present[q.at.file]
			known[id] = max(known[id], q.at.version)
		}
	case aboutJournal(q.at.subject):
		p.actions = append(p.actions, q.at)
	case there.Sequence != 0 && err != nil:
		p.differ = append(p.differ, q.at)
	case err != nil:
		if _, again := p.alone[q.at.subject]; !again {
			p.alone[q.at.subject] = q.at
		}
	default:
		ch := p.chains[id]
		if ch == nil {
			ch = &chain{id: id}
			p.chains[id] = ch
		}
		if there.Sequence != 0 {
			ch.differ = append(ch.differ, q.at)
			return
		}
		ch.missing = append(ch.missing, q.at)
	}
}

// entry reads an archived message again.
func (p *Plan) entry(at place) (archive.Entry, error) { return archive.At(p.files[at.file], at.offset) }
