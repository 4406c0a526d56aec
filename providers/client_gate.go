package providers

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// gate stands between one call and the wire. The transport reports the
// connection it chose (httptrace.GotConn), the gate is set on it, and the
// connection asks the gate before every write. So the clock is checked last
// thing before the first byte, after any wait for a connection, and what is
// known of "nothing left" is known from the writes themselves.
//
// A check in the request's body would be too late: the transport writes the
// header of a request with a body of unknown kind before it reads the body.
type gate struct {
	now    func() time.Time
	before time.Time
	way    way

	mu     sync.Mutex
	began  *gatedConn // the connection the first byte went to
	opaque bool       // a connection that is not ours was used: nothing is known
	sealed bool       // the call has returned: nothing may begin to leave
	late   bool       // refused by the clock
}

// in returns the context of a call with this gate, and with the call's way to a
// connection, of which a net.Dialer tells its two steps.
func (g *gate) in(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(context.WithValue(ctx, wayKey{}, &g.way), &httptrace.ClientTrace{
		GotConn:      func(info httptrace.GotConnInfo) { g.set(info.Conn) },
		DNSStart:     func(httptrace.DNSStartInfo) { g.way.reached(CauseNameLookup) },
		ConnectStart: func(string, string) { g.way.connecting() },
	})
}

// set sets the gate on the connection the transport chose.
func (g *gate) set(conn net.Conn) {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	if own, ok := conn.(*gatedConn); ok {
		own.gate.Store(g)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opaque = true
}

// tooLate returns ErrTooLate once the clock has reached the limit.
func (g *gate) tooLate() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.check()
}

func (g *gate) check() error {
	if !g.before.IsZero() && !g.now().Before(g.before) {
		g.late = true
		return ErrTooLate
	}
	return nil
}

// pass lets the call's bytes onto one connection, in time, and only while the
// call is waited for. What has begun may end: half a request helps nobody.
func (g *gate) pass(conn *gatedConn) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.began != nil {
		if g.began != conn {
			return errRepeat
		}
		return nil
	}
	if g.sealed {
		return context.Canceled
	}
	if err := g.check(); err != nil {
		return err
	}
	g.began = conn
	return nil
}

// seal ends the gate and reports whether nothing has left and nothing will,
// and whether it was the clock that refused.
func (g *gate) seal() (neverSent, late bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sealed = true
	neverSent = g.began == nil && !g.opaque
	return neverSent, neverSent && g.late
}

// gatedConn is a connection whose writes pass the gate of the call that has it.
// Handshakes come before any call has it and pass freely.
type gatedConn struct {
	net.Conn
	gate atomic.Pointer[gate]
}

// Write writes b unless the call's gate refuses.
func (c *gatedConn) Write(b []byte) (int, error) {
	if g := c.gate.Load(); g != nil {
		if err := g.pass(c); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(b)
}
