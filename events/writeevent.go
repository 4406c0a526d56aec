package events

import (
	"fmt"

	"github.com/countermand/countermand/payment"
)

// About how long an event is, so that its buffer seldom grows.
const (
	eventRoom     = 1_620
	operationRoom = 420
)

// writeEvent writes an event's data, and in structured mode the envelope
// around it.
func writeEvent(a *attributes, data *resultData, binary bool) ([]byte, error) {
	w := writer{b: make([]byte, 0, eventRoom+operationRoom*len(data.State.Operations))}
	if binary {
		w.result(data)
	} else {
		w.open('{')
		w.attributes(a)
		w.name("data")
		w.result(data)
		w.close('}')
	}
	if w.err != nil {
		return nil, fmt.Errorf("encode %s: %w", a.Type, w.err)
	}
	return w.b, nil
}

func (w *writer) attributes(a *attributes) {
	w.text("specversion", a.SpecVersion)
	w.text("id", a.ID)
	w.text("source", a.Source)
	w.text("type", a.Type)
	w.maybeText("subject", a.Subject)
	w.maybeText("time", a.Time)
	w.text("datacontenttype", a.DataContentType)
	w.maybeText("dataschema", a.DataSchema)
	w.maybeText("partitionkey", a.PartitionKey)
	w.maybeText("causationid", a.CausationID)
	w.maybeText("correlationid", a.CorrelationID)
	w.maybeText("idempotencykey", a.IdempotencyKey)
	w.maybeText("traceparent", a.TraceParent)
	w.maybeText("tracestate", a.TraceState)
	w.maybeText("expirytime", a.ExpiryTime)
}

func (w *writer) result(d *resultData) {
	w.open('{')
	w.text("operation", string(d.Operation))
	w.text("idempotencyKey", string(d.IdempotencyKey))
	w.text("provider", d.Provider)
	w.details(&d.Payment)
	w.maybeMoney("amount", d.Amount)
	w.maybeTrue("full", d.Full)
	w.maybeMoney("moved", d.Moved)
	w.maybeMoney("fee", d.Fee)
	w.text("status", d.Status)
	w.maybeText("effect", string(d.Effect))
	w.maybeText("code", string(d.Code))
	w.maybeText("message", d.Message)
	w.maybeText("basis", string(d.Basis))
	w.maybeText("clientReference", d.ClientReference)
	w.maybeText("providerReference", d.ProviderReference)
	w.maybeText("providerCode", d.ProviderCode)
	w.maybeText("providerMessage", d.ProviderMessage)
	w.maybeStamp("providerTime", d.ProviderTime)
	w.maybeInt("attempt", d.Attempt)
	w.text("commandId", d.CommandID)
	w.text("commandSource", d.CommandSource)
	w.maybeStamp("requestedAt", d.RequestedAt)
	w.maybeStamp("occurredAt", d.OccurredAt)
	w.maybeStamp("callUntil", d.CallUntil)
	w.maybeStamp("nextAttemptAt", d.NextAttemptAt)
	w.review(d.Review)
	w.resolvedBy(d.ResolvedBy)
	w.state(&d.State)
	w.close('}')
}

func (w *writer) details(p *payment.Details) {
	w.name("payment")
	w.open('{')
	w.maybeText("orderId", p.OrderID)
	w.maybeText("transactionId", p.TransactionID)
	w.maybeText("country", p.Country)
	w.maybeText("currency", string(p.Currency))
	w.maybeMoney("capturedAmount", p.CapturedAmount)
	w.close('}')
}

func (w *writer) review(r *Review) {
	if r == nil {
		return
	}
	w.name("review")
	w.open('{')
	w.text("reason", r.Reason)
	w.maybeStamp("since", r.Since)
	w.maybeStamp("lastAsked", r.LastAsked)
	w.text("question", r.Question)
	w.texts("safeActions", r.SafeActions)
	w.close('}')
}

func (w *writer) resolvedBy(r *payment.ResolvedBy) {
	if r == nil {
		return
	}
	w.name("resolvedBy")
	w.open('{')
	w.text("operator", r.Operator)
	w.text("reason", r.Reason)
	w.maybeText("evidence", r.Evidence)
	w.close('}')
}

func (w *writer) state(s *payment.State) {
	w.name("state")
	w.open('{')
	w.int("format", int64(s.Format))
	w.uint("version", s.Version)
	w.maybeMoney("captured", s.Captured)
	if len(s.Operations) > 0 {
		w.name("operations")
		w.open('[')
		for i := range s.Operations {
			w.comma()
			w.operation(&s.Operations[i])
		}
		w.close(']')
	}
	w.close('}')
}

func (w *writer) operation(o *payment.Operation) {
	w.open('{')
	w.text("op", string(o.Op))
	w.text("key", o.KeyHash)
	w.text("fp", o.Fingerprint)
	w.text("status", string(o.Status))
	w.uint("first", o.First)
	w.uint("last", o.Last)
	w.maybeMoney("amount", o.Amount)
	w.maybeTrue("full", o.Full)
	w.maybeMoney("moved", o.Moved)
	w.maybeText("effect", string(o.Effect))
	w.maybeText("code", string(o.Code))
	w.maybeText("basis", string(o.Basis))
	w.maybeInt("attempt", o.Attempt)
	w.maybeText("pref", o.ProviderReference)
	w.maybeTrue("contradicted", o.Contradicted)
	w.unfinished(o.Open)
	w.close('}')
}

func (w *writer) unfinished(o *payment.Open) {
	if o == nil {
		return
	}
	w.name("open")
	w.open('{')
	w.text("key", string(o.Key))
	w.details(&o.Payment)
	w.maybeText("reason", o.Reason)
	w.text("commandId", o.CommandID)
	w.text("commandSource", o.CommandSource)
	w.maybeText("correlationId", o.CorrelationID)
	w.maybeText("traceparent", o.TraceParent)
	w.maybeText("tracestate", o.TraceState)
	w.maybeTime("expiry", o.Expiry)
	w.time("requestedAt", o.RequestedAt)
	w.maybeText("account", o.Account)
	w.maybeText("ref", o.Reference)
	w.snapshot(o.Snapshot)
	w.maybeTime("callUntil", o.CallUntil)
	w.doubt(o.Doubt)
	w.maybeTime("doubtSince", o.DoubtSince)
	w.maybeTrue("refused", o.Refused)
	w.maybeTime("notFoundSince", o.NotFoundSince)
	w.maybeTime("waitingSince", o.WaitingSince)
	w.time("changed", o.Changed)
	w.maybeTime("due", o.Due)
	w.openReview(o.Review)
	w.close('}')
}

func (w *writer) snapshot(r *payment.Reading) {
	if r == nil {
		return
	}
	w.name("snapshot")
	w.open('{')
	w.maybeTrue("ok", r.OK)
	w.maybeText("status", string(r.Status))
	w.maybeMoney("captured", r.Captured)
	w.maybeMoney("refunded", r.Refunded)
	if len(r.Movements) > 0 {
		w.name("movements")
		w.open('[')
		for _, m := range r.Movements {
			w.comma()
			w.open('{')
			w.text("ref", m.Reference)
			w.maybeMoney("amount", m.Amount)
			w.close('}')
		}
		w.close(']')
	}
	w.maybeTime("at", r.At)
	w.close('}')
}

func (w *writer) doubt(attempts []int) {
	if len(attempts) == 0 {
		return
	}
	w.name("doubt")
	w.open('[')
	for _, n := range attempts {
		w.comma()
		w.number(int64(n))
	}
	w.close(']')
}

// openReview is a review as the state keeps it: its times in full precision.
func (w *writer) openReview(r *payment.Review) {
	if r == nil {
		return
	}
	w.name("review")
	w.open('{')
	w.text("reason", r.Reason)
	w.time("since", r.Since)
	w.maybeTime("lastAsked", r.LastAsked)
	w.text("question", r.Question)
	w.texts("safeActions", r.SafeActions)
	w.close('}')
}
