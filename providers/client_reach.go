package providers

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// steady is for how long no call may have failed before a host counts as answering
// again. Without it, one lost answer in a hundred would be two lines of log each.
const steady = 30 * time.Second

// reach tells the log when the cause changes why calls to a host get no answer, and
// when they are answered again: once per change, not per call.
type reach struct {
	log *slog.Logger
	now func() time.Time
	// troubled counts the hosts in hosts: nothing is looked up while all is well.
	troubled atomic.Int32

	mu    sync.Mutex
	hosts map[string]trouble // by scheme and host
}

// trouble is the last failure of calls to one host.
type trouble struct {
	cause Cause
	at    time.Time
}

// note takes in how a call to an address ended.
func (r *reach) note(ctx context.Context, address string, failed bool, cause Cause) {
	switch {
	case cause.ours(), !failed && r.troubled.Load() == 0:
		return
	}
	host, now := safeURL(address), r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	last, known := r.hosts[host]
	switch {
	case failed:
		if r.hosts == nil {
			r.hosts = map[string]trouble{}
		}
		r.hosts[host] = trouble{cause, now}
		if !known || last.cause != cause {
			r.log.LogAttrs(ctx, slog.LevelWarn, "calls to the provider get no answer",
				slog.String("cause", string(cause)), slog.String("error", cause.Words()))
		}
	case known && now.Sub(last.at) >= steady:
		delete(r.hosts, host)
		r.log.LogAttrs(ctx, slog.LevelInfo, "the provider answers again", slog.String("cause", string(last.cause)))
	}
	r.troubled.Store(int32(len(r.hosts)))
}
