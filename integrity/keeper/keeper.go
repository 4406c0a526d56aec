package keeper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/countermand/countermand/integrity"
)

// Source reads the streams. Implementations are safe for concurrent use.
type Source interface {
	// Read asks the leaders once. The message at the mark is asked for by the
	// mark's sequence; open lists findings that no extent of a stream shows, which
	// it looks at again and returns where they still hold. An error means that
	// there is no reading, and says nothing about a loss.
	Read(ctx context.Context, m integrity.Mark, open []integrity.Finding) (integrity.Reading, []integrity.Finding, error)
	// Glance asks for the journal's extent and the message at the mark only. The
	// identity of the reading is the mark's, and it has neither a newest message nor
	// other streams.
	Glance(ctx context.Context, m integrity.Mark) (integrity.Reading, error)
}

// Store keeps a record outside of the process. Implementations are safe for
// concurrent use by many processes and never lower what is stored.
type Store interface {
	// Load returns what is stored, the zero Record where nothing is.
	Load(ctx context.Context) (integrity.Record, error)
	// Raise merges the record into what is stored and returns what is stored then.
	Raise(ctx context.Context, r integrity.Record) (integrity.Record, error)
}

// Restorer is a store that notices that it was set back (ErrSetBack), and can be raised
// all the same by one who knows that what is stored is less than the truth.
type Restorer interface {
	// Restore merges the record into what is stored now and returns what is stored then.
	// A store that holds the record of another place is left: ErrSetBack.
	Restore(ctx context.Context, r integrity.Record) (integrity.Record, error)
}

// Options are the optional parts of a Keeper; nil and zero mean the defaults.
type Options struct {
	// Names are the streams of the findings; default: PAYMENT_EVENTS and
	// KV_PAYMENT_CONTROL.
	Journal, BucketStream string
	// Witness survives the loss of this NATS; default: none.
	Witness Store
	// Others returns the other processes that run; ever is true if any other one has
	// ever registered, also where its registration was taken over since. Default: none.
	Others func(ctx context.Context) (live []integrity.Registered, ever bool, err error)
	// StartShut keeps the gate shut until an epoch begins that is later than those that
	// the stores knew at the start. Default: what is read decides alone.
	StartShut bool
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Logger; default none.
	Logger *slog.Logger
	// Changed is told each new standing or epoch, from one goroutine at a time. It
	// returns soon and must not call the keeper.
	Changed func(Status)
}

// Status is what the keeper knows at one moment.
type Status struct {
	Watch  integrity.Watch
	Record integrity.Record
	// Bucket and Witness are why the store cannot be used at the moment; nil: it
	// can, or there is none.
	Bucket, Witness error
	// WitnessSince is since when the witness cannot be raised; zero: it can, or there
	// is none. WitnessSetBack is when it was last found set back and raised again.
	WitnessSince, WitnessSetBack time.Time
	// Reading is why there is no reading at the moment; nil: there is one.
	Reading error
	// Settled: what other processes know has had its time to be heard.
	Settled bool
	// Recovered is since when each reading of a broken journal has shown all that this
	// process remembers, all of which the bucket holds as well; zero: it is not so. It
	// opens nothing. A process that begins now finds no less than this one knows.
	Recovered time.Time
	// Kept: the gate was to be shut from the start, and no loss was accepted since.
	Kept bool
}

// Ready reports whether commands may be carried out, and if not, why.
func (s Status) Ready() (ok bool, reason string) {
	switch {
	case s.Watch.Standing == integrity.Unread && s.Reading != nil:
		return false, unreadBecause(s.Reading).Error()
	case s.Watch.Standing == integrity.Unread:
		return false, errUnread.Error()
	case s.Watch.Standing == integrity.Broken:
		return false, "journal broken: " + texts(s.Watch.Findings) + s.asRead()
	case !s.Watch.MaySend():
		return false, "journal " + s.Watch.Standing.String() + ": " + texts(s.Watch.Findings)
	case s.Kept && s.Record.Epoch.Doubted():
		return false, fmt.Sprintf("a loss was accepted before this process began (epoch %d is %s), and the setting journal.startShut keeps its gate shut: "+
			"remove journal.startShut and restart; only if a copy was put in place since: consumer journal accept", s.Record.Epoch.Number, s.Record.Epoch.Phase)
	case s.Kept:
		return false, "the setting journal.startShut keeps the gate shut until a loss is accepted: consumer journal accept"
	case !s.Settled:
		return false, "waiting a few seconds for what other processes know of the journal"
	case s.Record.Epoch.Phase == integrity.Held:
		return false, "the loss of the journal was accepted and nothing is carried out yet: consumer journal go"
	default:
		return true, ""
	}
}

// asRead says when the findings of a broken journal were read, and what has become of
// them: they stay as they were when it broke.
func (s Status) asRead() string {
	at := " (as read at " + s.Watch.Since.UTC().Format(time.RFC3339)
	if s.Recovered.IsZero() {
		return at + ")"
	}
	return at + "; since " + s.Recovered.UTC().Format(time.RFC3339) + " all that this process remembers is there: consumer journal status says what to do)"
}

// errUnread: there was no reading yet.
var errUnread = errors.New("the journal was not read yet")

func unreadBecause(err error) error { return fmt.Errorf("%w: %w", errUnread, err) }

// maxTexts bounds how many findings stand in one line.
const maxTexts = 3

// texts are the first findings in one line, what the journal's end says first.
func texts(all []integrity.Finding) string {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b integrity.Finding) int { return rank(a) - rank(b) })
	var words []string
	for _, f := range sorted[:min(len(sorted), maxTexts)] {
		words = append(words, f.Text)
	}
	return strings.Join(words, "; also, ")
}

func rank(f integrity.Finding) int {
	if f.Kind == integrity.JournalShorter || f.Kind == integrity.JournalMissing {
		return 0
	}
	return 1
}

const (
	readEvery    = 5 * time.Second        // while nothing is found
	readAgain    = time.Second            // while something is
	raiseEvery   = 100 * time.Millisecond // the bucket, while appends are made
	learnEvery   = time.Second
	witnessEvery = time.Second
	ioTimeout    = 2 * time.Second
	// youngFor is how long a process reads each second after its first whole reading,
	// and lets an unsafe call wait for a whole reading: others that remember more than
	// is left may only be about to say so.
	youngFor = 10 * time.Second
	// settleFor is how long a process carries nothing out after its first whole
	// reading, where there ever was another one: where all of NATS was set back, those
	// that remember more have to connect, read and register first.
	settleFor = 3 * time.Second
)

// Keeper keeps the marks of one process. It is safe for concurrent use.
type Keeper struct {
	source  Source
	bucket  Store
	witness Store // nil: none
	names   integrity.Names
	// bucketStream is the stream under the bucket. Its own position in the mark
	// changes with each raise and is by itself no reason for another one.
	bucketStream string
	others       func(ctx context.Context) ([]integrity.Registered, bool, error)
	now          func() time.Time
	log          *slog.Logger
	changed      func(Status)

	readNow   chan struct{} // a whole reading is wanted at once
	glanceNow chan struct{} // so is a glance, or more
	raiseSoon chan struct{} // something was appended
	raiseNow  chan struct{} // a call waits for the bucket

	raising sync.Mutex // held over a raise of the bucket; taken before mu

	mu     sync.Mutex
	status Status
	// loaded: what the stores knew has been taken in.
	loaded bool
	// heard is a higher position that another place knows in this epoch. It becomes
	// the mark only after a whole reading by the mark of our own: a journal that has
	// lost something and grown again is higher too.
	heard   integrity.Position
	heardAt time.Time
	// rivals is set once another place knows another message at our own mark.
	rivals *integrity.Finding
	// bucketLost: when it was last asked, the bucket had been set back or made anew.
	// Once the journal is broken by that, only a new epoch ends it.
	bucketLost bool
	// bucketBehind is what the bucket's newest answer says of that.
	bucketBehind bool
	// appendedBehind: an append of this process was accepted where something else was
	// known to lie. It went into a journal that was set back, and goes with that one.
	appendedBehind bool
	// whole counts the readings in a row that have shown all that is remembered.
	whole int
	// stored is what the bucket is known to hold, witnessed what the witness is.
	stored, witnessed integrity.Record
	// asked: a raise was asked for and has not begun. One request each 100 ms wakes
	// the raiser, not one each append.
	asked bool
	// alone: at the first whole reading there never was another process.
	alone bool
	// firstAt is when the first whole reading was taken in.
	firstAt time.Time
	// begun numbers the readings; sure is the newest one that was whole and named
	// the leader of the one before.
	begun, sure uint64
	leader      string
	// news is closed and replaced whenever Sure has reason to check again, turned
	// whenever Open may have another answer.
	news, turned chan struct{}
}

// New returns a keeper. It does no I/O until it runs; until its first reading
// nothing may be sent.
func New(source Source, bucket Store, o *Options) *Keeper {
	if o == nil {
		o = &Options{}
	}
	k := &Keeper{
		source: source, bucket: bucket, witness: o.Witness, others: o.Others, now: o.Now, log: o.Logger, changed: o.Changed,
		names:        integrity.Names{Journal: cmp.Or(o.Journal, "PAYMENT_EVENTS")},
		bucketStream: cmp.Or(o.BucketStream, "KV_PAYMENT_CONTROL"),
		readNow:      make(chan struct{}, 1), glanceNow: make(chan struct{}, 1), raiseSoon: make(chan struct{}, 1), raiseNow: make(chan struct{}, 1),
		news: make(chan struct{}), turned: make(chan struct{}),
	}
	k.status.Kept = o.StartShut
	if k.others == nil {
		k.others = func(context.Context) ([]integrity.Registered, bool, error) { return nil, false, nil }
	}
	if k.now == nil {
		k.now = time.Now
	}
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	if k.changed == nil {
		k.changed = func(Status) {}
	}
	return k
}

// Status returns what is known now.
func (k *Keeper) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.status
}

// Refresh asks for a reading at once: after a reconnect, or when a leader has
// changed.
func (k *Keeper) Refresh() { signal(k.readNow) }

// Mark returns the sequence that the journal is known to reach. An append takes
// it before its first try and hands it to Accepted.
func (k *Keeper) Mark() uint64 {
	if unmarked {
		return 0
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.status.Record.Mark.Journal.Sequence
}

// Accepted takes in an append that was accepted at a sequence, with the token it
// carried. before is what Mark said before its first try: the stream gives each
// sequence once, so an accepted append that does not lie above it was given one
// that had been taken.
func (k *Keeper) Accepted(before, sequence uint64, token string) {
	if unmarked {
		return
	}
	k.mu.Lock()
	m := &k.status.Record.Mark
	if sequence > m.Journal.Sequence {
		m.Journal, m.At = integrity.Position{Sequence: sequence, Token: token}, k.now()
	}
	asked := k.asked
	k.asked = true
	k.appendedBehind = k.appendedBehind || sequence <= before
	k.mu.Unlock()
	if sequence <= before {
		k.Report(integrity.Finding{
			Kind: integrity.AppendBehind, Object: k.names.Journal, Known: before, Found: sequence,
			Text: fmt.Sprintf("an event was accepted at %d; the journal was known to reach %d", sequence, before),
		})
	}
	if !asked {
		signal(k.raiseSoon)
	}
}

// ErrShut: the journal is not known to be whole, so nothing that may move money
// is sent and nothing is appended.
var ErrShut = errors.New("journal is not known to be whole")

// Open returns nil while anything may be appended or sent, else an error that
// wraps ErrShut and says why.
func (k *Keeper) Open() error {
	if unmarked {
		return nil
	}
	if ok, reason := k.Status().Ready(); !ok {
		return shut(reason)
	}
	return nil
}

// Changed is closed when Open may have another answer. Take it before Open.
func (k *Keeper) Changed() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.turned
}

// Reaches is the last sequence that a stream beside the journal is known to have
// reached; 0: nothing is known of it.
func (k *Keeper) Reaches(stream string) uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	if stream == k.bucketStream && k.bucketLost && k.status.Watch.Standing == integrity.Broken {
		return math.MaxUint64 // whatever it holds is less
	}
	return k.status.Record.Mark.Streams[stream]
}

// Sure waits until the append at a sequence is known to survive the loss of the
// journal, and the journal is known to be whole after it: the bucket's mark
// covers it, and one reading or glance that began after this call is whole and
// names the same leader as the one before. Calls that wait share them. It returns nil
// then, ctx's error when that ends first, or an error that wraps ErrShut.
func (k *Keeper) Sure(ctx context.Context, sequence uint64) error {
	if unmarked {
		return nil
	}
	k.mu.Lock()
	after := k.begun
	k.mu.Unlock()
	for {
		k.mu.Lock()
		covered := k.stored.Mark.Epoch == k.status.Record.Mark.Epoch && k.stored.Mark.Journal.Sequence >= sequence
		sure, news, status, young := k.sure > after, k.news, k.status, k.young()
		k.mu.Unlock()
		if ok, reason := status.Ready(); !ok {
			return shut(reason)
		}
		if covered && sure {
			return nil
		}
		if !covered {
			signal(k.raiseNow)
		}
		switch {
		case !sure && young:
			signal(k.readNow)
		case !sure:
			signal(k.glanceNow)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-news:
		}
	}
}

// young reports whether the process has begun only lately. The lock is held.
func (k *Keeper) young() bool { return k.firstAt.IsZero() || k.now().Sub(k.firstAt) < youngFor }

func shut(reason string) error { return &shutError{reason} }

// shutError says why nothing may be sent.
type shutError struct{ reason string }

func (e *shutError) Error() string { return ErrShut.Error() + ": " + e.reason }
func (e *shutError) Unwrap() error { return ErrShut }

// set takes in a new watch. The lock is held.
func (k *Keeper) set(w integrity.Watch) {
	before := k.status.Watch.Standing
	k.status.Watch = w
	if w.Standing == before {
		return
	}
	switch w.Standing {
	case integrity.Suspect:
		k.log.Warn("the journal may have lost something; nothing is sent until that is clear", "finding", texts(w.Findings))
	case integrity.Broken:
		k.log.Error("the journal has lost something; nothing is sent until a person has decided: consumer journal status", "finding", texts(w.Findings))
	case integrity.Whole:
		k.log.Info("the journal is whole", "ends_at", k.status.Record.Mark.Journal.Sequence, "before", before.String())
	case integrity.Unread:
	}
	k.tell()
}

// wake has everybody in Sure check again. The lock is held.
func (k *Keeper) wake() {
	close(k.news)
	k.news = make(chan struct{})
}

// tell wakes everybody who waits and reports the status. The lock is held.
func (k *Keeper) tell() {
	k.wake()
	close(k.turned)
	k.turned = make(chan struct{})
	k.changed(k.status)
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
