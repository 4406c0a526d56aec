package telemetry

import (
	"context"

	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
)

// Observers joins observers. It calls them in order, and ends what they begin in
// reverse. The trace for the log is the first one that any of them returns.
func Observers(all ...handlers.Observer) handlers.Observer {
	if len(all) == 1 {
		return all[0]
	}
	return observers(all)
}

type observers []handlers.Observer

// Handling implements handlers.Observer.
func (o observers) Handling(
	ctx context.Context, d handlers.Delivery, c payment.Command,
) (inner context.Context, trace string, end func(handlers.Disposition)) {
	var ends ends[handlers.Disposition]
	for _, each := range o {
		next, t, done := each.Handling(ctx, d, c)
		ctx = next //nolint:fatcontext // as deep as there are observers
		if trace == "" {
			trace = t
		}
		ends = append(ends, done)
	}
	return ctx, trace, ends.all
}

// Appending implements handlers.Observer.
func (o observers) Appending(ctx context.Context, a handlers.Append) (inner context.Context, end func(handlers.AppendResult)) {
	return begin[handlers.AppendResult](ctx, o, func(ctx context.Context, each handlers.Observer) (context.Context, func(handlers.AppendResult)) {
		return each.Appending(ctx, a)
	})
}

// Calling implements handlers.Observer.
func (o observers) Calling(ctx context.Context, c handlers.Call) (inner context.Context, end func(handlers.CallResult)) {
	return begin[handlers.CallResult](ctx, o, func(ctx context.Context, each handlers.Observer) (context.Context, func(handlers.CallResult)) {
		return each.Calling(ctx, c)
	})
}

// Panicked implements handlers.Observer.
func (o observers) Panicked() {
	for _, each := range o {
		each.Panicked()
	}
}

// Forged implements handlers.Observer.
func (o observers) Forged() {
	for _, each := range o {
		each.Forged()
	}
}

func begin[T any](
	ctx context.Context, o observers, one func(context.Context, handlers.Observer) (context.Context, func(T)),
) (context.Context, func(T)) {
	var ends ends[T]
	for _, each := range o {
		next, done := one(ctx, each)
		ctx = next //nolint:fatcontext // as deep as there are observers
		ends = append(ends, done)
	}
	return ctx, ends.all
}

// ends are the functions that end what the observers have begun.
type ends[T any] []func(T)

func (e ends[T]) all(how T) {
	for i := len(e) - 1; i >= 0; i-- {
		e[i](how)
	}
}
