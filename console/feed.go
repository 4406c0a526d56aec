package console

import (
	"slices"
	"sync"
	"time"

	"github.com/countermand/countermand/payment"
)

const (
	// minutes is how far back the charts look.
	minutes = 60
	// kept is how many results and rejections are kept to be shown at once.
	kept = 200
	// backlog is how much one page may be behind before it misses results.
	backlog = 64
)

// Result is one event of a payment, as it goes by.
type Result struct {
	ID     payment.ID
	Op     payment.Op
	Type   payment.EventType
	Key    payment.Key
	Amount *payment.Money // what moved, else what was asked for; nil: the whole amount
	Code   payment.Code
	Review bool // a person has to decide
	At     time.Time
}

// Rejection is a message that was no command.
type Rejection struct {
	Token     string
	Code      payment.Code
	Faults    []payment.Fault
	Size      int
	CommandID string
	Subject   string
	At        time.Time
}

// Feed keeps what went by lately and tells pages of what goes by now. Safe for
// concurrent use; its memory is bounded.
type Feed struct {
	now func() time.Time

	mu         sync.Mutex
	counts     [minutes]count
	results    []Result    // newest last
	rejections []Rejection // newest last
	listeners  map[chan Result]bool
	closed     bool
	skipped    time.Time // when results were last passed over; zero: never
}

// count is one minute's.
type count struct {
	minute int64 // since the epoch
	by     map[payment.EventType]int
}

// NewFeed returns an empty feed. now is the clock.
func NewFeed(now func() time.Time) *Feed {
	return &Feed{now: now, listeners: map[chan Result]bool{}}
}

// Take adds a result and tells every page that is open. A page that does not
// keep up misses it rather than holding up others.
func (f *Feed) Take(r Result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count(r)
	f.results = appendKept(f.results, r)
	for l := range f.listeners {
		select {
		case l <- r:
		default:
		}
	}
}

// TakeRejection adds a rejection.
func (f *Feed) TakeRejection(r Rejection) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rejections = appendKept(f.rejections, r)
}

// Skip says that results went by too fast to be taken: the counts of the hour
// are too small.
func (f *Feed) Skip() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.skipped = f.now()
}

// partial reports whether results of the last hour were passed over.
func (f *Feed) partial() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.skipped.IsZero() && f.now().Sub(f.skipped) < minutes*time.Minute
}

// Close ends every page's stream; nothing is told from then on.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for l := range f.listeners {
		delete(f.listeners, l)
		close(l)
	}
}

// appendKept appends and forgets the oldest.
func appendKept[T any](list []T, one T) []T {
	if len(list) >= 2*kept {
		list = slices.Clone(list[kept:])
	}
	return append(list, one)
}

// count adds to the minute in which it happened, under mu.
func (f *Feed) count(r Result) {
	minute := r.At.Unix() / 60
	now := f.now().Unix() / 60
	if minute > now || minute <= now-minutes {
		return
	}
	c := &f.counts[minute%minutes]
	if c.minute != minute {
		*c = count{minute: minute, by: map[payment.EventType]int{}}
	}
	c.by[r.Type]++
}

// newest returns up to n results, newest first.
func (f *Feed) newest(n int) []Result {
	f.mu.Lock()
	defer f.mu.Unlock()
	return backwards(f.results, n)
}

// rejected returns the rejections that are kept, newest first.
func (f *Feed) rejected() []Rejection {
	f.mu.Lock()
	defer f.mu.Unlock()
	return backwards(f.rejections, kept)
}

func backwards[T any](list []T, n int) []T {
	list = slices.Clone(list[max(0, len(list)-n):])
	slices.Reverse(list)
	return list
}

// series counts the last hour by minute, the oldest first, for one kind of result.
func (f *Feed) series(t payment.EventType) (each [minutes]int, total int) {
	now := f.now().Unix() / 60
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range each {
		minute := now - minutes + 1 + int64(i)
		if c := f.counts[minute%minutes]; c.minute == minute {
			each[i] = c.by[t]
			total += c.by[t]
		}
	}
	return each, total
}

// listen returns what goes by from now on. The channel is closed when the feed
// is; stop ends it before.
func (f *Feed) listen() (news <-chan Result, stop func()) {
	l := make(chan Result, backlog)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		close(l)
		return l, func() {}
	}
	f.listeners[l] = true
	return l, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.listeners, l)
	}
}
