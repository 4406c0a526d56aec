package simulation

import (
	"context"
	"slices"
	"time"

	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/integrity"
)

// The streams beside the journal, as marks name them.
const (
	commandStream = "commands"
	bucketStream  = "bucket"
)

const (
	readEvery = 5 * time.Second // while nothing is found
	readAgain = time.Second     // while something is
)

// mode is what a schedule may choose.
type mode int

const (
	unwatched mode = iota // no marks are kept
	watched               // marks are kept, and nothing is ever lost
	lossy                 // streams may lose something at any step
)

// keeping is what is kept outside of the processes so that a loss is noticed, and
// what was lost so far.
type keeping struct {
	mode mode
	// bucket is what the control bucket has held, the newest last. It lies beside
	// the journal and may be rolled back as well.
	bucket []integrity.Record
	// witness lies elsewhere and is never lost. It may lag.
	witness integrity.Record

	losses int // that were chosen
	// commandsLost: the commands lost something, so that a message in hand is gone.
	commandsLost bool
	outstanding  int // losses that nobody has accepted yet
	// unnoticeable: every place that knew more than the journal has gone before
	// anybody looked.
	unnoticeable bool
	otherwise    map[operation]int // results told otherwise after a loss
	accepted     time.Time         // when the last loss was accepted
	walked       bool              // the commands were walked in this epoch
	archive      []*command        // everything ever published
	publishedAt  map[uint64]time.Time
	queries      int
	// contradictions counts the timers that were found to contradict the journal.
	contradictions int
	askedIn        map[operation]uint64 // the epoch in which each was last asked about
}

// stored is what the bucket holds now.
func (k *keeping) stored() integrity.Record {
	if len(k.bucket) == 0 {
		return integrity.Record{Epoch: integrity.FirstEpoch()}
	}
	return k.bucket[len(k.bucket)-1]
}

// newestEpoch is the newest epoch that anything outside of the processes knows.
func (k *keeping) newestEpoch() integrity.Epoch { return k.stored().Epoch.Later(k.witness.Epoch) }

// keeper is how one process keeps marks, as package integrity/keeper does with
// goroutines: what is known, what the bucket is known to hold, how it stands.
type keeper struct {
	watch    integrity.Watch
	record   integrity.Record
	stored   integrity.Record
	lastRead time.Time // by the process's clock; zero: a reading is wanted at once
	raise    bool      // something was appended since the bucket was raised
}

// load is the start of a process: it knows what bucket and witness know.
func (p *process) load() {
	w := p.engine.world
	p.keeper = keeper{}
	p.record = w.stored().Merge(w.witness)
	p.stored = w.stored()
	if w.mode != lossy {
		p.read()
	}
}

// open reports whether the process may append, call and pull.
func (p *process) open() bool {
	return p.engine.world.mode == unwatched || p.watch.MaySend() && p.record.Epoch.Phase != integrity.Held
}

// learn takes in what a store knows of the epoch. In a later one the journal is
// judged anew, by that epoch's mark.
func (p *process) learn(r integrity.Record) {
	later := r.Mark.Epoch > p.record.Mark.Epoch || r.Epoch.Number > p.record.Epoch.Number
	p.record.Epoch = p.record.Epoch.Later(r.Epoch)
	if later {
		p.record = p.record.Merge(r)
		p.watch, p.lastRead = integrity.Watch{}, time.Time{}
	}
}

// lost judges what the process knows and what the stores do, each by itself: a
// mark may be replaced by a higher one only where the journal fits it, since the
// higher one may be of a journal that was made anew.
func (p *process) lost() []integrity.Finding {
	w := p.engine.world
	for _, m := range []integrity.Mark{p.record.Mark, w.stored().Mark, w.witness.Mark} {
		if findings := p.judge(m); len(findings) > 0 {
			return findings
		}
	}
	return nil
}

// judge compares what the leaders say now with a mark; one of an epoch that has
// ended says nothing.
func (p *process) judge(m integrity.Mark) []integrity.Finding {
	if m.Epoch < p.record.Mark.Epoch {
		return nil
	}
	return integrity.Judge(m, p.engine.world.reading(m), integrity.Names{Journal: "journal"})
}

// read makes one reading and takes it in.
func (p *process) read() {
	w := p.engine.world
	p.learn(w.witness)
	p.learn(w.stored())
	findings := append(p.lost(), p.stillContradicted()...)
	for _, o := range w.engine.processes { // each says in the bucket how it stands
		if len(findings) == 0 && !o.stopped && o.record.Epoch.Number == p.record.Epoch.Number && o.watch.Standing == integrity.Broken {
			findings = o.watch.Findings
		}
	}
	p.lastRead = p.now()
	before := p.watch.Standing
	p.watch = p.watch.Read(p.lastRead, findings)
	if p.watch.Standing != before {
		w.note(nil, "consumer %d finds the journal %s: %v", p.number, p.watch.Standing, findings)
	}
	w.check(w.losses > 0 || len(findings) == 0, "nothing was lost, and consumer %d finds %v", p.number, findings)
	if len(findings) > 0 {
		return
	}
	r := w.reading(p.record.Mark)
	next := integrity.MarkOf(r, r.Newest, p.record.Mark.Epoch)
	next.Holes = p.record.Mark.Holes
	p.record = p.record.Merge(w.stored()).Merge(w.witness)
	p.record.Mark = p.record.Mark.Merge(next)
}

// raiseBucket stores what the process knows in the bucket, and in the witness what
// the bucket holds, both of which are only ever raised.
func (p *process) raiseBucket() {
	w := p.engine.world
	p.learn(w.stored())
	p.raise = false
	if findings := p.lost(); len(findings) > 0 {
		p.watch = p.watch.Report(p.now(), findings[0])
		p.lastRead = time.Time{}
		return
	}
	if !w.stored().Covers(p.record) {
		w.bucket = append(w.bucket, w.stored().Merge(p.record))
	}
	p.stored = w.stored()
}

// raiseWitness stores what the process knows in the witness.
func (p *process) raiseWitness() {
	w := p.engine.world
	if p.watch.MaySend() && len(p.lost()) == 0 {
		w.witness = w.witness.Merge(p.record).Merge(w.stored())
	}
}

// tookPlace takes in an append at a sequence; before is the mark before its first try.
func (p *process) tookPlace(before, sequence uint64) {
	at := integrity.Position{Sequence: sequence, Token: p.engine.world.journal.Token(sequence)}
	if sequence > p.record.Mark.Journal.Sequence {
		p.record.Mark.Journal, p.record.Mark.At = at, p.now()
	}
	p.raise = true
	if sequence <= before {
		p.watch = p.watch.Report(p.now(), integrity.Finding{Kind: integrity.AppendBehind, Object: "journal", Known: before, Found: sequence})
		p.lastRead = time.Time{}
	}
}

// reading is what the leaders say now, with the message at a mark.
func (w *world) reading(m integrity.Mark) integrity.Reading {
	x := w.journal.Extent()
	r := integrity.Reading{
		Began: w.clock, Leader: "n1", Newest: integrity.Position{Sequence: x.Last, Token: x.Newest},
		Journal: integrity.JournalReading{
			StreamReading: integrity.StreamReading{First: x.First, Last: x.Last, Messages: x.Messages},
			Head:          integrity.Identity{Subject: x.HeadSubject, SHA256: x.HeadSHA256},
		},
		Streams: map[string]integrity.StreamReading{
			commandStream: {First: 1, Last: w.sequence, Messages: w.sequence},
			bucketStream:  {First: 1, Last: uint64(len(w.bucket)), Messages: uint64(len(w.bucket))},
		},
	}
	if token := w.journal.Token(m.Journal.Sequence); token != "" {
		r.Journal.AtMark = integrity.Position{Sequence: m.Journal.Sequence, Token: token}
	}
	if x.Newest == "" {
		r.Newest = integrity.Position{}
	}
	for _, n := range w.journal.Holes() {
		if n > x.First {
			r.Journal.Deleted = append(r.Journal.Deleted, integrity.Range{From: n, To: n})
		}
	}
	return r
}

// keep has the processes read and raise what is due. In a schedule with losses
// each may be late.
func (w *world) keep() {
	if w.mode == unwatched {
		return
	}
	late := func() bool { return w.mode == lossy && w.choose.fault(4) }
	for _, p := range w.engine.processes {
		if p.stopped {
			continue
		}
		if p.raise && !late() {
			p.raiseBucket()
		}
		every := readEvery
		if !p.watch.MaySend() {
			every = readAgain
		}
		if (p.lastRead.IsZero() || !p.now().Before(p.lastRead.Add(every))) && !late() {
			p.read()
		}
		if !w.witness.Covers(w.stored()) && !late() {
			p.raiseWitness()
		}
	}
	w.seeWhetherItCanBeNoticed()
}

// seeWhetherItCanBeNoticed: a loss is noticed by what knew more than is left.
func (w *world) seeWhetherItCanBeNoticed() {
	if w.outstanding == 0 || w.unnoticeable {
		return
	}
	knows := func(r integrity.Record) bool {
		return len(integrity.Judge(r.Mark, w.reading(r.Mark), integrity.Names{})) > 0
	}
	if knows(w.witness) || knows(w.stored()) {
		return
	}
	if slices.ContainsFunc(w.engine.processes, func(p *process) bool { return p.watch.Standing == integrity.Broken || knows(p.record) }) {
		return
	}
	w.unnoticeable = true
	w.note(nil, "nobody is left who can notice the loss")
}

// sure is what a call waits for whose repeat is unsafe: the bucket covers its
// started, and one reading after it is whole.
func (t *task) sure() bool {
	p, w := t.process, t.process.engine.world
	if w.mode == unwatched {
		return true
	}
	p.raiseBucket()
	if w.mode == lossy && !t.pause("sure") {
		return false
	}
	p.read()
	sure := p.open() && p.stored.Mark.Epoch == p.record.Mark.Epoch && p.stored.Mark.Journal.Sequence >= t.sequence
	w.check(!sure || len(p.judge(w.stored().Mark)) == 0, "a call leaves whose repeat is unsafe, and the bucket knows of a loss")
	return sure
}

// Epoch implements handlers.Losses.
func (x tap) Epoch() uint64 { return x.p.record.Epoch.Number }

// Contradicted implements handlers.Losses.
func (x tap) Contradicted(c handlers.Contradiction) {
	p, w := x.p, x.p.engine.world
	w.note(nil, "consumer %d: a timer contradicts the journal: %+v", p.number, c)
	if c.Epoch != p.record.Epoch.Number {
		return // the loss was accepted meanwhile
	}
	w.contradictions++
	behind := c.Epoch < w.newestEpoch().Number // it may append nothing, and learns so soon
	w.check(w.outstanding > 0 || behind, "nothing is lost that was not accepted, and a timer of %s contradicts the journal", c.Operation)
	f := integrity.Finding{Kind: integrity.TimerUnknown, Object: c.Operation, Known: c.Known, Found: c.Found}
	if c.Ahead {
		f.Kind = integrity.TimerAhead
	}
	p.watch = p.watch.Report(p.now(), f)
	p.lastRead = time.Time{}
}

// stillContradicted asks the leader again about what timers knew.
func (p *process) stillContradicted() []integrity.Finding {
	var still []integrity.Finding
	for _, f := range p.watch.Findings {
		if f.Kind != integrity.TimerAhead && f.Kind != integrity.TimerUnknown {
			continue
		}
		holds, err := handlers.Contradicts(context.Background(), p.engine.world.journal, handlers.Contradiction{
			Operation: f.Object, Ahead: f.Kind == integrity.TimerAhead, Known: f.Known,
		})
		if err == nil && holds {
			still = append(still, f)
		}
	}
	return still
}

// Accepted implements handlers.Losses.
func (x tap) Accepted() (time.Time, bool) {
	e := x.p.record.Epoch
	return e.AcceptedAt, x.p.engine.world.mode != unwatched && e.Doubted()
}
