package app

import (
	"log/slog"
	"sync"

	"github.com/nats-io/nats.go"
)

// Link knows why the service's connection cannot be made, and says so once for each
// reason: the library tells it to the attempt alone. It is safe for concurrent use.
type Link struct {
	url string
	log *slog.Logger

	mu     sync.Mutex
	reason error
	of     uint64 // the connections there have been when it was told
}

// NewLink returns the link to the server of that setting.
func NewLink(url string, log *slog.Logger) *Link { return &Link{url: url, log: log} }

// Option tells the link of each attempt that fails.
func (l *Link) Option() nats.Option { return nats.ReconnectErrHandler(l.failed) }

// failed keeps why an attempt failed.
func (l *Link) failed(nc *nats.Conn, err error) {
	l.mu.Lock()
	news := l.reason == nil || l.of != nc.Stats().Reconnects || l.reason.Error() != err.Error()
	l.reason, l.of = err, nc.Stats().Reconnects
	l.mu.Unlock()
	if news {
		l.log.Warn("nats cannot be reached; it is tried again each second", "error", (&UnreachableError{URL: l.url, Err: err}).Error())
	}
}

// ready reports whether there is a connection, and if not, to which server and why.
func (l *Link) ready(nc *nats.Conn) (ok bool, reason string) {
	if nc.IsConnected() {
		return true, ""
	}
	l.mu.Lock()
	err := l.reason
	l.mu.Unlock()
	if refused := nc.LastError(); refused != nil { // by a server that was reached
		err = refused
	}
	if err == nil {
		err = errNotTried
	}
	return false, (&UnreachableError{URL: l.url, Err: err}).Error()
}
