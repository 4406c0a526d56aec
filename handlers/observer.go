package handlers

import (
	"context"
	"errors"
	"log/slog"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// Observer is told what a Handler does, for metrics and traces. Handling,
// Appending and Calling begin something. They return the context it continues
// with, and a function that the Handler calls exactly once at its end.
// Implementations are safe for concurrent use, do not block and do not panic.
// Nothing they return changes what becomes of a command.
type Observer interface {
	// Handling: a message is in hand. c is its command. If the message is not a
	// command, c has no Op and holds what could be read. trace is the identifier
	// (32 hexadecimal digits) for the log; empty if the observer traces nothing.
	Handling(ctx context.Context, d Delivery, c payment.Command) (inner context.Context, trace string, end func(Disposition))
	// Appending: one append to the journal, or of a rejection beside it, with all its tries.
	Appending(ctx context.Context, a Append) (inner context.Context, end func(AppendResult))
	// Calling: one question to a provider, or one call that may move money.
	Calling(ctx context.Context, c Call) (inner context.Context, end func(CallResult))
	// Panicked: handling a message panicked, and the panic was contained.
	Panicked()
	// Forged: a timer was not like the command that it names, and not carried out.
	Forged()
}

// Append is what is added: an event of a payment to the journal, or the rejection of a
// message to the refusals. The other field is nil.
type Append struct {
	Event     *payment.Event
	Rejection *payment.Rejection
}

// AppendResult is the result of an append.
type AppendResult string

// The results of an append.
const (
	AppendAccepted AppendResult = "accepted"
	AppendConflict AppendResult = "conflict" // a rival moved the payment
	AppendRefused  AppendResult = "refused"  // the store is full
	AppendUnknown  AppendResult = "unknown"  // not known whether the event is there, or why not
)

// CallKind is what an adapter was asked to do: the name of an operation, which
// may move money, or one of the questions.
type CallKind string

// The questions.
const (
	CallQuery CallKind = "query"
	CallRead  CallKind = "read"
)

// Call is one call of an adapter.
type Call struct {
	Instance string // its configured name
	Kind     CallKind
	Op       payment.Op
	Attempt  int // of the operation; 0 before the first
}

// CallResult is the result of a call of an adapter.
type CallResult struct {
	// Result is the name of a payment.Result. For a read it is ok or failed.
	Result string
	// Code is the cause, if the adapter named one.
	Code payment.Code
	// Unhealthy: the answer is about the instance, not about the payment.
	Unhealthy bool
}

// traceOf is the trace identifier of a traceparent that the decoder accepted.
func traceOf(traceparent string) string {
	const begin, end = len("00-"), len("00-") + 32
	if len(traceparent) < end {
		return ""
	}
	return traceparent[begin:end]
}

// observedJournal tells an observer of each append. If an append panics, its
// result is unknown.
type observedJournal struct {
	journal.Journal

	observer Observer
}

var _ journal.Journal = (*observedJournal)(nil)

// Append implements journal.Journal.
func (j *observedJournal) Append(ctx context.Context, expected uint64, e payment.Event) (uint64, error) {
	ctx, end := j.observer.Appending(ctx, Append{Event: &e})
	result := AppendUnknown
	defer func() { end(result) }()
	sequence, err := j.Journal.Append(ctx, expected, e)
	result = appendResult(err)
	return sequence, err
}

// AppendRejection implements journal.Journal.
func (j *observedJournal) AppendRejection(ctx context.Context, r payment.Rejection) error {
	ctx, end := j.observer.Appending(ctx, Append{Rejection: &r})
	result := AppendUnknown
	defer func() { end(result) }()
	err := j.Journal.AppendRejection(ctx, r)
	result = appendResult(err)
	return err
}

func appendResult(err error) AppendResult {
	if err == nil {
		return AppendAccepted
	}
	var conflict *journal.ConflictError
	switch {
	case errors.As(err, &conflict):
		return AppendConflict
	case errors.Is(err, journal.ErrStoreRefuses), errors.Is(err, journal.ErrRefusalNotTaken):
		return AppendRefused
	default:
		return AppendUnknown
	}
}

// observedProvider tells an observer of each call. If a call panics, its result
// is the zero outcome, as it is for the handler.
type observedProvider struct {
	providers.Provider

	name     string
	observer Observer
}

var _ providers.Provider = (*observedProvider)(nil)

// observed is the instance with its adapter observed.
func (h *Handler) observed(in providers.Instance) providers.Instance {
	if in.Provider != nil && h.observer != nil {
		in.Provider = &observedProvider{Provider: in.Provider, name: in.Name, observer: h.observer}
	}
	return in
}

// Call implements providers.Provider.
func (p *observedProvider) Call(ctx context.Context, r providers.Request) payment.Outcome {
	return p.ask(ctx, CallKind(r.Op), r, p.Provider.Call)
}

// QueryStatus implements providers.Provider.
func (p *observedProvider) QueryStatus(ctx context.Context, r providers.Request) payment.Outcome {
	return p.ask(ctx, CallQuery, r, p.Provider.QueryStatus)
}

func (p *observedProvider) ask(
	ctx context.Context, kind CallKind, r providers.Request, do func(context.Context, providers.Request) payment.Outcome,
) (out payment.Outcome) {
	ctx, end := p.observer.Calling(ctx, Call{Instance: p.name, Kind: kind, Op: r.Op, Attempt: r.Attempt})
	defer func() { end(CallResult{Result: out.Result.String(), Code: out.Code, Unhealthy: out.Unhealthy}) }()
	return do(ctx, r)
}

// Read implements providers.Provider.
func (p *observedProvider) Read(ctx context.Context, r providers.Request) (reading payment.Reading) {
	ctx, end := p.observer.Calling(ctx, Call{Instance: p.name, Kind: CallRead, Op: r.Op, Attempt: r.Attempt})
	defer func() {
		result := "failed"
		if reading.OK {
			result = "ok"
		}
		end(CallResult{Result: result, Code: reading.Code, Unhealthy: reading.Unhealthy})
	}()
	return p.Provider.Read(ctx, r)
}

// begin tells the observer that a message is in hand. If nothing is traced, the
// log names the command's own trace.
func (h *Handler) begin(
	ctx context.Context, d Delivery, c payment.Command, invalid *events.InvalidError,
) (inner context.Context, trace string, end func(Disposition)) {
	if invalid != nil {
		c = payment.Command{Origin: payment.Origin{CommandID: invalid.CommandID}, Trace: invalid.Trace}
	}
	end = func(Disposition) {}
	if h.observer != nil {
		ctx, trace, end = h.observer.Handling(ctx, d, c)
	}
	if trace == "" {
		trace = traceOf(c.TraceParent)
	}
	return ctx, trace, end
}

// traced adds the trace to what is logged about a message.
func (d Delivery) traced(log *slog.Logger) *slog.Logger {
	if d.Trace == "" {
		return log
	}
	return log.With("trace_id", d.Trace)
}
