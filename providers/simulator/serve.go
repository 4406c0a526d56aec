package simulator

import (
	"cmp"
	"net/http"
	"time"
)

// Rule carries out a call by the simulated provider's rules and returns its
// answer. f is the fault that strikes the call, for the modes the provider
// carries out itself (Lag, Decline, its own); all others are done around it.
// It runs at most once for a call, possibly long after the caller has gone, so
// it must look at the state when it runs.
type Rule func(f Fault) Reply

// Refuse answers a call before any rule runs: authentication, a path or body
// that makes no sense.
func (b *Base) Refuse(w http.ResponseWriter, c Call, reply Reply) {
	b.write(w, b.record(c, nil), reply, 0)
}

// Serve records the call, carries it out by the rule and answers, with the
// misbehaviour asked for. The request's body must have been read.
func (b *Base) Serve(w http.ResponseWriter, r *http.Request, c Call, rule Rule) {
	// Before the call can be seen, so that no Release after that is missed.
	released := b.release.next()
	f := b.take(c)
	c.Fault = f.Mode
	s := service{base: b, w: w, r: r, fault: f, rule: rule, released: released}
	if f.Mode == Late {
		s.number = b.record(c, func(number int) { b.execute(number, rule, Fault{}) })
	} else {
		s.number = b.record(c, nil)
	}
	if f.Mode != "" {
		b.onChange.run() // the fault has struck, also where nothing is executed
	}
	if !s.before() {
		s.after()
	}
}

// execute runs the rule for a call and notes it.
func (b *Base) execute(number int, rule Rule, f Fault) Reply {
	reply := rule(f)
	b.update(number, func(c *Call) { c.Executed = true })
	b.onChange.run()
	return reply
}

// service is one call being served.
type service struct {
	base     *Base
	w        http.ResponseWriter
	r        *http.Request
	fault    Fault
	rule     Rule
	number   int
	released <-chan struct{}
}

// before carries out the modes that answer without executing; false: it was
// none of them.
func (s service) before() bool {
	switch s.fault.Mode {
	case CutBefore:
		cut(s.w)
	case Late:
		s.base.runAfter(s.number, time.Duration(s.fault.Delay))
		cut(s.w)
	case StatusBefore:
		s.write(status(s.fault))
	case GarbageBefore:
		s.write(garbage())
	case RedirectBefore:
		// 307 keeps method and body: a client that followed would execute.
		s.w.Header().Set("Location", "?redirected=1")
		s.write(Reply{Status: http.StatusTemporaryRedirect})
	case RateLimit:
		s.write(Reply{Status: http.StatusTooManyRequests})
	default:
		return false
	}
	return true
}

// after carries out the modes that execute.
func (s service) after() {
	if s.fault.Mode == Delay && !s.pause() {
		cut(s.w)
		return
	}
	reply := s.base.execute(s.number, s.rule, s.fault)
	switch s.fault.Mode {
	case CutAfter:
		cut(s.w)
	case HangAfter:
		s.hang()
		cut(s.w)
	case StatusAfter:
		s.write(status(s.fault))
	case GarbageAfter:
		s.write(garbage())
	case OversizedAfter:
		s.write(oversized())
	default:
		s.write(reply)
	}
}

func (s service) write(reply Reply) { s.base.write(s.w, s.number, reply, s.fault.RetryAfter) }

// pause waits for the fault's delay (0: for ever) or Release; false: closed.
// The caller's going away does not end it: a provider executes all the same.
func (s service) pause() bool {
	var elapsed <-chan time.Time
	if s.fault.Delay > 0 {
		elapsed = time.After(time.Duration(s.fault.Delay))
	}
	select {
	case <-elapsed:
	case <-s.released:
	case <-s.base.closed:
		return false
	}
	return true
}

// hang waits until the caller gives up, Release or Close.
func (s service) hang() {
	select {
	case <-s.r.Context().Done():
	case <-s.released:
	case <-s.base.closed:
	}
}

// runAfter lets a timer run what is held for the call, unless Release does first.
func (b *Base) runAfter(number int, after time.Duration) {
	if after == 0 {
		return
	}
	time.AfterFunc(after, func() {
		b.mu.Lock()
		run, ok := b.held[number] // gone: released before, or closed
		delete(b.held, number)
		b.mu.Unlock()
		if ok {
			run()
		}
	})
}

func status(f Fault) Reply {
	code := cmp.Or(f.Status, http.StatusInternalServerError)
	return Reply{Status: code, ContentType: "text/plain", Body: []byte(http.StatusText(code))}
}
