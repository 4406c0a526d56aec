package providers

import (
	"context"
	"sync"
)

// way follows how far a call has come on its way to a connection. The transport opens
// connections beside the call, and when the call's time ends first, its error says nothing
// of what was waited for. It is safe for concurrent use.
type way struct {
	mu      sync.Mutex
	waits   Cause // what it is called if the wait ends now
	toProxy bool
}

// wayKey is the key of a call's way in its context. The transport opens a connection with
// the values of the call that needs it.
type wayKey struct{}

// wayOf returns the way of the call that a connection is opened for.
func wayOf(ctx context.Context) *way {
	if w, ok := ctx.Value(wayKey{}).(*way); ok {
		return w
	}
	return new(way) // nobody asks
}

// begin is called before each connection is opened.
func (w *way) begin(toProxy bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waits, w.toProxy = CauseConnectTimeout, toProxy
}

// reached says what is waited for from now on.
func (w *way) reached(waits Cause) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waits = waits
}

// connecting is called once a name has been looked up. The attempt at a second address may
// begin after the first is connected: it changes nothing then.
func (w *way) connecting() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waits == CauseNameLookup {
		w.waits = CauseConnectTimeout
	}
}

// passed is reached for what lies behind the proxy, where there is one.
func (w *way) passed(waits Cause) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waits, w.toProxy = waits, false
}

// ended names the wait that ended before there was a connection.
func (w *way) ended() Cause {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.waits == CauseUnknown:
		return CauseConnectTimeout
	case w.toProxy:
		return w.waits.atProxy()
	default:
		return w.waits
	}
}
