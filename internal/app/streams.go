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
	// lookAgain is the time between two looks while something is missing, and
	// lookLater once all is there.
	lookAgain = 2 * time.Second
	lookLater = time.Minute
	// lookFor bounds one look.
	lookFor = 10 * time.Second
)

// streams knows whether the streams and consumers are there. Settings that
// differ are an alert's business: a service that works on is of more use than
// one that is taken out. Without one of the streams it cannot work at all.
type streams struct {
	js       jetstream.JetStream
	topology broker.Topology
	log      *slog.Logger

	mu     sync.Mutex
	looked bool
	lack   string // what is missing; empty: nothing
}

// run looks until ctx ends.
func (s *streams) run(ctx context.Context) {
	for sleep.For(ctx, s.look(ctx)) {
	}
}

// look looks once and returns when to look again. What cannot be found out
// changes nothing: being disconnected is told by itself, and an account that may
// not ask can still carry commands out.
func (s *streams) look(ctx context.Context) (again time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, lookFor)
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
		s.looked = s.looked || s.js.Conn().IsConnected()
		return lookAgain
	}
	if lack != s.lack && lack != "" {
		s.log.Error("streams or consumers are missing: run consumer provision", "missing", lack)
	}
	s.looked, s.lack = true, lack
	if lack != "" {
		return lookAgain
	}
	return lookLater
}

// ready reports whether all is there, and if not, what is missing.
func (s *streams) ready() (ok bool, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.looked:
		return false, "streams and consumers were not looked at yet"
	case s.lack != "":
		return false, "missing: " + s.lack
	default:
		return true, ""
	}
}
