package status

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// Log is the journal by positions. Implementations are safe for concurrent use.
type Log interface {
	// Newest returns the newest message, the zero one if there is none.
	Newest(ctx context.Context) (Message, error)
	// At returns the message at a position, the zero one if there is none.
	At(ctx context.Context, sequence uint64) (Message, error)
}

// Message is one message of the journal, whichever it is.
type Message struct {
	// Sequence is its position, and Time when the stream took it.
	Sequence uint64
	Time     time.Time
	events.Message
}

const (
	// searchFor bounds the search for one request.
	searchFor = time.Second
	// searchers bounds the requests that search or wait for another's search.
	searchers = 8
	// batch is how many messages are read at a time, readers how many at once.
	batch, readers = 64, 8
)

// name is where an operation that was found stands.
type name struct {
	id  payment.ID
	op  payment.Op
	key payment.Key
}

// mark is a command that was read, at the position of an event of its operation.
type mark struct {
	command  [16]byte
	sequence uint64
	at       int64 // nanoseconds since 1970
}

// recent remembers the commands of the newest events, read from the journal
// when somebody asks and never otherwise. It knows all operations that began
// from low to high; as it goes both ways, repeated asking widens it.
type recent struct {
	log  Log
	max  int
	pace *rate.Limiter
	room chan struct{} // one for each that searches or waits
	turn chan struct{} // who holds it may change what follows

	mu          sync.Mutex // held for each change and for each look of others
	low, high   uint64     // high 0: nothing was read
	since, till time.Time
	where       map[[16]byte]uint64
	// newer are marks by rising position, from gone on; older by falling, and all
	// before those.
	newer, older []mark
	gone         int
}

func newRecent(log Log, limit int, pace *rate.Limiter) *recent {
	return &recent{
		log: log, max: limit, pace: pace, room: make(chan struct{}, searchers), turn: make(chan struct{}, 1),
		where: map[[16]byte]uint64{},
	}
}

// find looks for a command's operation. The zero name is none in what was searched.
func (r *recent) find(ctx context.Context, o payment.Origin) (name, Searched, error) {
	command := hash(o)
	sequence, searched := r.look(command)
	if sequence == 0 && r.max > 0 {
		if err := r.search(ctx, command); err != nil {
			return name{}, Searched{}, err
		}
		sequence, searched = r.look(command)
	}
	if sequence == 0 {
		return name{}, searched, nil
	}
	n, err := r.read(ctx, sequence, o)
	if err != nil {
		return name{}, Searched{}, unavailable(err)
	}
	return n, searched, nil
}

// look returns what is known: where the command is, or 0, and of which part of
// the journal.
func (r *recent) look(command [16]byte) (uint64, Searched) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.where[command], r.searched()
}

// search waits for its turn and searches, for a while.
func (r *recent) search(ctx context.Context, command [16]byte) error {
	select {
	case r.room <- struct{}{}:
		defer func() { <-r.room }()
	default:
		return tooMany()
	}
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return tooMany()
	}
	ctx, cancel := context.WithTimeout(ctx, searchFor)
	defer cancel()
	if err := r.widen(ctx, command); err != nil && !errors.Is(err, errSpent) && !errors.Is(err, context.DeadlineExceeded) {
		return unavailable(err)
	}
	return nil
}

// hash names a command in little room. Half of a SHA-256 has no collisions that
// anybody could find, and what is found is compared in full.
func hash(o payment.Origin) [16]byte {
	sum := sha256.Sum256([]byte(o.CommandSource + "\x00" + o.CommandID))
	return [16]byte(sum[:16])
}

// read reads the name of the operation at a position.
func (r *recent) read(ctx context.Context, sequence uint64, o payment.Origin) (name, error) {
	m, err := r.log.At(ctx, sequence)
	if err != nil {
		return name{}, err
	}
	e, err := events.DecodeEvent(m.Message)
	if err != nil {
		return name{}, err
	}
	if e.ID != m.Subject || e.Data.Origin != o {
		return name{}, errors.New("an event is not what it was")
	}
	id, err := events.PaymentOf(m.Subject)
	if err != nil {
		return name{}, err
	}
	return name{id, e.Op, e.Data.IdempotencyKey}, nil
}

// errSpent ends a search whose pace is used up: what it read it keeps.
var errSpent = errors.New("search ended")

// widen reads what is new and then what is older, until the command is found,
// there is no more room, or the time or the pace ends.
func (r *recent) widen(ctx context.Context, command [16]byte) error {
	newest, err := r.log.Newest(ctx)
	if err != nil || newest.Sequence == 0 {
		return err
	}
	if r.high == 0 || newest.Sequence-r.high > readsAtOnce {
		r.restart(newest)
	}
	for r.high < newest.Sequence && r.where[command] == 0 {
		if err := r.forward(ctx, min(r.high+batch, newest.Sequence)); err != nil {
			return err
		}
	}
	for r.low > 1 && len(r.where) < r.max && r.where[command] == 0 {
		if err := r.backward(ctx, max(r.low, batch+1)-batch); err != nil {
			return err
		}
	}
	return nil
}

// forward reads up to a position and with it.
func (r *recent) forward(ctx context.Context, last uint64) error {
	all, err := r.messages(ctx, r.high+1, last)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range all {
		r.add(m, &r.newer)
		r.till = m.at
	}
	r.high = last
	return nil
}

// backward reads down to a position and with it, while there is room.
func (r *recent) backward(ctx context.Context, first uint64) error {
	all, err := r.messages(ctx, first, r.low-1)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(all) - 1; i >= 0; i-- {
		if len(r.where) >= r.max {
			return nil
		}
		r.add(all[i], &r.older)
		r.low, r.since = all[i].sequence, all[i].at
	}
	r.low = first // whatever is missing at the end of it
	return nil
}

// restart forgets everything and begins at the end of the journal.
func (r *recent) restart(newest Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.low, r.high = newest.Sequence+1, newest.Sequence
	r.since, r.till = newest.Time, newest.Time
	r.newer, r.older, r.gone = nil, nil, 0
	clear(r.where)
}

// seen is a message that was read: whose command, and when.
type seen struct {
	sequence uint64
	at       time.Time
	origin   payment.Origin
}

// messages reads from first to last, side by side. One that cannot be read as
// an event of a command is none.
func (r *recent) messages(ctx context.Context, first, last uint64) ([]seen, error) {
	n := int(last - first + 1)
	if err := r.pace.WaitN(ctx, n); err != nil {
		return nil, errSpent
	}
	found, errs := make([]seen, n), make([]error, readers)
	var all sync.WaitGroup
	for worker := range readers {
		all.Go(func() {
			for i := worker; i < n && errs[worker] == nil; i += readers {
				m, err := r.log.At(ctx, first+uint64(i))
				if err != nil {
					errs[worker] = err
					return
				}
				o, err := events.DecodeOrigin(m.Message)
				if err != nil {
					o = payment.Origin{}
				}
				found[i] = seen{m.Sequence, m.Time, o}
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	there := found[:0]
	for _, m := range found {
		if m.sequence != 0 {
			there = append(there, m)
		}
	}
	return there, nil
}

// add remembers a message's command, unless it is known: then the operation
// began no earlier than what is remembered. Room is made at the old end.
func (r *recent) add(m seen, to *[]mark) {
	if m.origin.CommandID == "" || m.origin.CommandSource == "" {
		return
	}
	command := hash(m.origin)
	if r.where[command] != 0 {
		return
	}
	if len(r.where) >= r.max {
		r.forget()
	}
	r.where[command] = m.sequence
	*to = append(*to, mark{command, m.sequence, m.at.UnixNano()})
}

// forget drops the oldest mark; what is known begins behind it.
func (r *recent) forget() {
	var oldest mark
	if n := len(r.older); n > 0 {
		oldest, r.older = r.older[n-1], r.older[:n-1]
	} else {
		oldest = r.newer[r.gone]
		r.gone++
		if r.gone > len(r.newer)/2 {
			r.newer = append(r.newer[:0], r.newer[r.gone:]...)
			r.gone = 0
		}
	}
	delete(r.where, oldest.command)
	r.low, r.since = oldest.sequence+1, time.Unix(0, oldest.at+1)
}

// searched tells what is known, rounded inwards to the milliseconds of a Stamp.
func (r *recent) searched() Searched {
	if r.high == 0 || r.low > r.high {
		return Searched{}
	}
	since := r.since.Add(time.Millisecond - 1).Truncate(time.Millisecond)
	return Searched{Since: events.Stamp{Time: since}, Until: events.Stamp{Time: r.till}, Whole: r.low <= 1}
}
