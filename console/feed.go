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
	// kept is how many results and how many rejections the feed keeps.
	kept = 200
	// backlog is how many results a page may be behind before it misses some.
	backlog = 64
)

// Result is one event of a payment.
type Result struct {
	ID     payment.ID
	Op     payment.Op
	Type   payment.EventType
	Key    payment.Key
	Amount *payment.Money // what moved, or what was asked for; nil: the whole amount
	Code   payment.Code
	Review bool // a person has to decide
	At     time.Time
}

// Rejection is a message that is not a valid command.
type Rejection struct {
	Token     string
	Code      payment.Code
	Faults    []payment.Fault
	Size      int
	CommandID string
	Subject   string
	At        time.Time
}

// Feed keeps the latest results and sends new ones to the pages that are open. It
// is safe for concurrent use, and its memory is bounded.
type Feed struct {
	now func() time.Time

	mu         sync.Mutex
	counts     [minutes]count
	results    []Result    // newest last
	rejections []Rejection // newest last
	listeners  map[chan Result]bool
	closed     bool
	skipped    time.Time // when results were last skipped; zero: never
}

// count has the results of one minute.
type count struct {
	minute int64 // since the epoch
	by     map[payment.EventType]int
}

// NewFeed returns an empty feed. now is the clock.
func NewFeed(now func() time.Time) *Feed {
	return &Feed{now: now, listeners: map[chan Result]bool{}}
}

// Take adds a result and sends it to every open page. A page that is too slow
// misses it, so that it does not delay the others.
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

// Skip notes that results were skipped because they came too fast. The counts of
// the hour are too small then.
func (f *Feed) Skip() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.skipped = f.now()
}

// ForgetResults drops the results and their counts: the journal was made anew or has
// lost its end, and what it holds now comes again.
func (f *Feed) ForgetResults() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.results, f.counts = nil, [minutes]count{}
}

// ForgetRejections drops the rejections, as ForgetResults drops the results.
func (f *Feed) ForgetRejections() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rejections = nil
}

// partial reports whether results were skipped in the last hour.
func (f *Feed) partial() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.skipped.IsZero() && f.now().Sub(f.skipped) < minutes*time.Minute
}

// Close ends the stream of every page. Nothing is sent after it.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for l := range f.listeners {
		delete(f.listeners, l)
		close(l)
	}
}

// appendKept appends, and drops the oldest where there are too many.
func appendKept[T any](list []T, one T) []T {
	if len(list) >= 2*kept {
		list = slices.Clone(list[kept:])
	}
	return append(list, one)
}

// count adds the result to its minute. Callers hold mu.
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

// series counts the results of one type in the last hour, by minute, oldest first.
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

// listen returns a channel of the results from now on, until stop is called. The
// feed closes the channel when it is closed.
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
