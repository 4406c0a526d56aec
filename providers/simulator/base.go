package simulator

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxRequest = 1 << 20
	oversize   = 4 << 20
)

// Options are the optional parts of a Base; nil and zero mean the defaults.
type Options struct {
	Now func() time.Time // default time.Now
	// Secrets are masked in recorded bodies.
	Secrets []string
	// Modes are fault modes the simulated provider adds.
	Modes []Mode
}

// Base is what all simulated providers share; safe for concurrent use. A
// simulator embeds it, reads and authenticates each request itself, and
// answers through Serve or Refuse.
type Base struct {
	ledger   Ledger
	onChange hook
	now      func() time.Time
	secrets  []string
	modes    []Mode
	seed     func(payment []byte) error
	ownMu    *sync.Mutex // guards own
	own      any

	mu      sync.Mutex
	faults  []Fault
	calls   []Call
	held    map[int]func() // late executions by call number
	seen    signal         // a call arrived or ended
	release signal
	closed  chan struct{}
	closing sync.Once
}

// Call is one request as the simulator recorded it. Headers are not recorded.
type Call struct {
	Number    int       `json:"number"` // from 1, in order of arrival
	Time      time.Time `json:"time"`
	Operation string    `json:"operation"`
	Payment   string    `json:"payment,omitempty"`
	Reference string    `json:"reference,omitempty"`
	Body      string    `json:"body,omitempty"` // secrets masked
	Fault     Mode      `json:"fault,omitempty"`
	// Executed: the business rule ran to its end, whatever it decided.
	Executed bool `json:"executed"`
	// Status is the HTTP status answered; 0: none (yet).
	Status int `json:"status,omitempty"`
}

// Reply is a simulated provider's answer.
type Reply struct {
	Status      int
	ContentType string
	Body        []byte
}

// NewBase returns a base; o may be nil. Close it.
func NewBase(o *Options) *Base {
	if o == nil {
		o = &Options{}
	}
	now := o.Now
	if now == nil {
		now = time.Now
	}
	return &Base{
		now: now, secrets: o.Secrets, modes: append(commonModes(), o.Modes...),
		held: map[int]func(){}, closed: make(chan struct{}),
	}
}

// Ledger returns the ledger of money moved.
func (b *Base) Ledger() *Ledger { return &b.ledger }

// Now returns the simulator's time in UTC.
func (b *Base) Now() time.Time { return b.now().UTC() }

// Close cuts every call that hangs and drops what late faults still hold back.
func (b *Base) Close() {
	b.closing.Do(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.held = map[int]func(){}
		close(b.closed)
	})
}

// Read returns the request's whole body. It must be called before Serve: a
// connection cut with unread bytes is reset, which is not what a server that
// took the request looks like. False: the caller is gone or the body too large.
func (b *Base) Read(r *http.Request) ([]byte, bool) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	return body, err == nil && len(body) <= maxRequest
}

// Calls returns every call seen, in order of arrival.
func (b *Base) Calls() []Call {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Call{}, b.calls...)
}

// Release runs now, in order of arrival, what late faults hold back, and wakes
// the calls that delay and hang faults hold. It returns how many executions it
// ran itself.
func (b *Base) Release() int {
	b.mu.Lock()
	held := b.held
	b.held = map[int]func(){}
	total := len(b.calls)
	b.mu.Unlock()
	for number := 1; number <= total; number++ {
		if run, ok := held[number]; ok {
			run()
		}
	}
	b.release.raise()
	return len(held)
}

// WaitCalls returns once n calls have arrived in all, or with the context's error.
func (b *Base) WaitCalls(ctx context.Context, n int) error {
	return b.wait(ctx, &b.seen, func() bool { return len(b.Calls()) >= n })
}

// WaitExecuted returns once the business rule has run for n calls of the
// operation ("": any), or with the context's error.
func (b *Base) WaitExecuted(ctx context.Context, operation string, n int) error {
	return b.wait(ctx, &b.seen, func() bool {
		count := 0
		for _, c := range b.Calls() {
			if c.Executed && (operation == "" || c.Operation == operation) {
				count++
			}
		}
		return count >= n
	})
}

// WaitMovements returns once the ledger holds n movements, or with the
// context's error.
func (b *Base) WaitMovements(ctx context.Context, n int) error {
	return b.wait(ctx, &b.ledger.changed, func() bool { return len(b.ledger.Movements("")) >= n })
}

func (b *Base) wait(ctx context.Context, s *signal, done func() bool) error {
	for {
		next := s.next() // before the look, so that no change is missed
		if done() {
			return nil
		}
		select {
		case <-next:
		case <-b.closed:
			return fmt.Errorf("wait for simulator: closed")
		case <-ctx.Done():
			return fmt.Errorf("wait for simulator: %w", ctx.Err())
		}
	}
}

// record notes a call's arrival and returns its number. A late execution is
// held in the same step: who has seen the call can release it.
func (b *Base) record(c Call, late func(number int)) int {
	c.Body = b.masked(c.Body)
	b.mu.Lock()
	c.Time = b.Now()
	c.Number = len(b.calls) + 1
	b.calls = append(b.calls, c)
	if late != nil {
		b.held[c.Number] = func() { late(c.Number) }
	}
	b.mu.Unlock()
	b.seen.raise()
	return c.Number
}

// update changes what is recorded of a call.
func (b *Base) update(number int, change func(*Call)) {
	b.mu.Lock()
	change(&b.calls[number-1])
	b.mu.Unlock()
	b.seen.raise()
}

func (b *Base) masked(body string) string {
	for _, secret := range b.secrets {
		if secret != "" {
			body = strings.ReplaceAll(body, secret, "***")
		}
	}
	return body
}

// write answers the call.
func (b *Base) write(w http.ResponseWriter, number int, reply Reply, retryAfter int) {
	b.update(number, func(c *Call) { c.Status = reply.Status })
	if retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	if reply.ContentType != "" {
		w.Header().Set("Content-Type", reply.ContentType)
	}
	w.WriteHeader(reply.Status)
	_, _ = w.Write(reply.Body) // the caller may be gone; the record says what was answered
}

// cut closes the connection without an answer.
func cut(w http.ResponseWriter) {
	if hijacker, ok := w.(http.Hijacker); ok {
		if conn, _, err := hijacker.Hijack(); err == nil {
			_ = conn.Close()
			return
		}
	}
	panic(http.ErrAbortHandler)
}

func garbage() Reply {
	return Reply{Status: http.StatusOK, ContentType: "application/json", Body: []byte("{\"code\":\"000\x00<html>\xff\xfe")}
}

func oversized() Reply {
	return Reply{Status: http.StatusOK, ContentType: "application/json", Body: bytes.Repeat([]byte(" "), oversize)}
}
