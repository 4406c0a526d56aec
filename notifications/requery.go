package notifications

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/countermand/countermand/payment"
)

// requery has the payment requeried and returns the result. It returns Accepted
// if that takes longer than an answer should. The requery goes on without the
// request, because it may be waiting for the provider. If it comes to nothing,
// the notification is forgotten, so that it can act when it comes again.
func (r *Receiver) requery(ctx context.Context, id payment.ID, reference string, k key) Result {
	select {
	case r.requeries <- struct{}{}:
	default:
		r.seen.forget(k)
		return Limited
	}
	ended := make(chan Result, 1)
	go func() {
		defer func() { <-r.requeries }()
		result := r.requeried(context.WithoutCancel(ctx), id, reference)
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

func (r *Receiver) requeried(ctx context.Context, id payment.ID, reference string) (result Result) {
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
	found, err := r.requerier.Requery(ctx, id, reference)
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

// Drain waits for the requeries under way and lets no other begin. When ctx ends,
// they are told to end. Call it once, after the server was stopped.
func (r *Receiver) Drain(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { close(r.ending) })
	defer stop()
	for range cap(r.requeries) {
		r.requeries <- struct{}{}
	}
}
