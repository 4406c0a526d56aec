package notifications

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/countermand/countermand/payment"
)

// look has the payment looked at and returns what that said; Accepted where it
// takes longer than an answer should. The look goes on without the request: it
// may be in the middle of a question to the provider. One that came to nothing
// is forgotten, so that the same notification can act when it comes again.
func (r *Receiver) look(ctx context.Context, id payment.ID, reference string, k key) Result {
	select {
	case r.looking <- struct{}{}:
	default:
		r.seen.forget(k)
		return Limited
	}
	ended := make(chan Result, 1)
	go func() {
		defer func() { <-r.looking }()
		result := r.looked(context.WithoutCancel(ctx), id, reference)
		if result != Accepted {
			r.seen.forget(k)
		}
		ended <- result
	}()
	timer := time.NewTimer(r.patience)
	defer timer.Stop()
	select {
	case result := <-ended:
		return result
	case <-timer.C:
		return Accepted
	}
}

func (r *Receiver) looked(ctx context.Context, id payment.ID, reference string) (result Result) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-r.ending:
			cancel()
		case <-ctx.Done():
		}
	}()
	defer func() {
		if recover() != nil {
			r.log.Error("a notification made the receiver panic", "provider", id.Provider, "error", string(debug.Stack()))
			result = Unavailable
		}
	}()
	found, err := r.looker.Look(ctx, id, reference)
	switch {
	case err != nil:
		r.log.Warn("notification could not be looked up", "provider", id.Provider, "error", err.Error())
		return Unavailable
	case !found:
		return Unknown
	default:
		return Accepted
	}
}

// Drain waits for the looks under way, which are told to end when ctx does, and
// lets no other begin. Call it once, after the server was stopped.
func (r *Receiver) Drain(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { close(r.ending) })
	defer stop()
	for range cap(r.looking) {
		r.looking <- struct{}{}
	}
}
