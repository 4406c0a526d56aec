package app

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/internal/sleep"
)

const (
	// verifySoon is the pause while something is missing, verifyLater once
	// everything is there.
	verifySoon  = 2 * time.Second
	verifyLater = time.Minute
	// verifyFor bounds one verification.
	verifyFor = 10 * time.Second
)

// streams knows whether the streams and consumers exist. Without one of them the
// service cannot work. Settings that differ only raise an alert, because a service
// that works on is more useful than one that is taken out.
type streams struct {
	js       jetstream.JetStream
	topology broker.Topology
	log      *slog.Logger

	mu    sync.Mutex
	known bool   // verified at least once
	lack  string // what is missing; empty: nothing
}

// run verifies until ctx ends.
func (s *streams) run(ctx context.Context) {
	for sleep.For(ctx, s.verify(ctx)) {
	}
}

// verify verifies once and returns when to do it again. If it gets no answer it
// changes nothing: another part reports a lost connection, and an account that may
// not ask can still carry commands out.
func (s *streams) verify(ctx context.Context) (pause time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, verifyFor)
	defer cancel()
	findings, err := broker.Verify(ctx, s.js, s.topology)
	var missing []string
	for _, f := range findings {
		if f.Missing() && !f.Optional {
			missing = append(missing, f.Object)
		}
	}
	lack := strings.Join(missing, ", ")
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && lack == "" {
		s.known = s.known || s.js.Conn().IsConnected()
		return verifySoon
	}
	if lack != s.lack && lack != "" {
		s.log.Error("streams or consumers are missing: run consumer provision", "missing", lack)
	}
	s.known, s.lack = true, lack
	if lack != "" {
		return verifySoon
	}
	return verifyLater
}

// ready reports whether everything exists, and if not, what is missing.
func (s *streams) ready() (ok bool, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.known:
		return false, "streams and consumers were not looked at yet"
	case s.lack != "":
		return false, "missing: " + s.lack
	default:
		return true, ""
	}
}
