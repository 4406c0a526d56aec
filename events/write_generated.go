// Code generated from the types' JSON tags by write_generator_test.go. DO NOT EDIT.

package events

import "github.com/countermand/countermand/payment"

func (w *writer) structuredEvent(name string, v *structured[resultData]) {
	w.open(name, '{')
	w.text("specversion", v.attributes.SpecVersion)
	w.text("id", v.attributes.ID)
	w.text("source", v.attributes.Source)
	w.text("type", v.attributes.Type)
	w.maybeText("subject", v.attributes.Subject)
	w.maybeText("time", v.attributes.Time)
	w.text("datacontenttype", v.attributes.DataContentType)
	w.maybeText("dataschema", v.attributes.DataSchema)
	w.maybeText("partitionkey", v.attributes.PartitionKey)
	w.maybeText("causationid", v.attributes.CausationID)
	w.maybeText("correlationid", v.attributes.CorrelationID)
	w.maybeText("idempotencykey", v.attributes.IdempotencyKey)
	w.maybeText("traceparent", v.attributes.TraceParent)
	w.maybeText("tracestate", v.attributes.TraceState)
	w.maybeText("expirytime", v.attributes.ExpiryTime)
	w.resultData("data", v.Data)
	w.close('}')
}

func (w *writer) resultData(name string, v *resultData) {
	w.open(name, '{')
	w.text("operation", string(v.Result.Operation))
	w.text("idempotencyKey", string(v.Result.IdempotencyKey))
	w.text("provider", v.Result.Provider)
	w.paymentDetails("payment", &v.Result.Payment)
	if v.Result.Amount != nil {
		w.paymentMoney("amount", v.Result.Amount)
	}
	w.maybeTrue("full", v.Result.Full)
	if v.Result.Outcome.Moved != nil {
		w.paymentMoney("moved", v.Result.Outcome.Moved)
	}
	if v.Result.Outcome.Fee != nil {
		w.paymentMoney("fee", v.Result.Outcome.Fee)
	}
	if v.Result.Outcome.Refundable != nil {
		w.paymentMoney("refundable", v.Result.Outcome.Refundable)
	}
	w.text("status", v.Result.Outcome.Status)
	w.maybeText("effect", string(v.Result.Outcome.Effect))
	w.maybeText("code", string(v.Result.Outcome.Code))
	w.maybeText("message", v.Result.Outcome.Message)
	w.maybeText("basis", string(v.Result.Outcome.Basis))
	w.maybeText("clientReference", v.Result.Outcome.ClientReference)
	w.maybeText("providerReference", v.Result.Outcome.ProviderReference)
	w.maybeText("providerCode", v.Result.Outcome.ProviderCode)
	w.maybeText("providerMessage", v.Result.Outcome.ProviderMessage)
	w.maybeStamp("providerTime", v.Result.ProviderTime)
	w.maybeNumber("attempt", int64(v.Result.Attempt))
	w.text("commandId", v.Result.Origin.CommandID)
	w.text("commandSource", v.Result.Origin.CommandSource)
	w.maybeStamp("requestedAt", v.Result.RequestedAt)
	w.maybeStamp("occurredAt", v.Result.OccurredAt)
	w.maybeStamp("callUntil", v.Result.CallUntil)
	w.maybeStamp("nextAttemptAt", v.Result.NextAttemptAt)
	if v.Result.Review != nil {
		w.review("review", v.Result.Review)
	}
	if v.Result.ResolvedBy != nil {
		w.paymentResolvedBy("resolvedBy", v.Result.ResolvedBy)
	}
	w.paymentState("state", &v.State)
	w.close('}')
}

func (w *writer) paymentDetails(name string, v *payment.Details) {
	w.open(name, '{')
	w.maybeText("orderId", v.OrderID)
	w.maybeText("transactionId", v.TransactionID)
	w.maybeText("country", v.Country)
	w.maybeText("currency", string(v.Currency))
	if v.CapturedAmount != nil {
		w.paymentMoney("capturedAmount", v.CapturedAmount)
	}
	w.close('}')
}

func (w *writer) paymentMoney(name string, v *payment.Money) {
	w.open(name, '{')
	w.number("value", v.Value)
	w.text("currency", string(v.Currency))
	w.close('}')
}

func (w *writer) review(name string, v *Review) {
	w.open(name, '{')
	w.text("reason", v.Reason)
	w.maybeStamp("since", v.Since)
	w.maybeStamp("lastAsked", v.LastAsked)
	w.text("question", v.Question)
	w.texts("safeActions", v.SafeActions)
	w.close('}')
}

func (w *writer) paymentResolvedBy(name string, v *payment.ResolvedBy) {
	w.open(name, '{')
	w.text("operator", v.Operator)
	w.text("reason", v.Reason)
	w.maybeText("evidence", v.Evidence)
	w.close('}')
}

func (w *writer) paymentState(name string, v *payment.State) {
	w.open(name, '{')
	w.number("format", int64(v.Format))
	w.count("version", v.Version)
	if v.Captured != nil {
		w.paymentMoney("captured", v.Captured)
	}
	if len(v.Operations) > 0 {
		w.open("operations", '[')
		for i := range v.Operations {
			w.paymentOperation("", &v.Operations[i])
		}
		w.close(']')
	}
	w.close('}')
}

func (w *writer) paymentOperation(name string, v *payment.Operation) {
	w.open(name, '{')
	w.text("op", string(v.Op))
	w.text("key", v.KeyHash)
	w.text("fp", v.Fingerprint)
	w.text("status", string(v.Status))
	w.count("first", v.First)
	w.count("last", v.Last)
	if v.Amount != nil {
		w.paymentMoney("amount", v.Amount)
	}
	w.maybeTrue("full", v.Full)
	if v.Moved != nil {
		w.paymentMoney("moved", v.Moved)
	}
	w.maybeText("effect", string(v.Effect))
	w.maybeText("code", string(v.Code))
	w.maybeText("basis", string(v.Basis))
	w.maybeNumber("attempt", int64(v.Attempt))
	w.maybeText("pref", v.ProviderReference)
	w.maybeTrue("contradicted", v.Contradicted)
	if v.Open != nil {
		w.paymentOpen("open", v.Open)
	}
	w.close('}')
}

func (w *writer) paymentOpen(name string, v *payment.Open) {
	w.open(name, '{')
	w.text("key", string(v.Key))
	w.paymentDetails("payment", &v.Payment)
	w.maybeText("reason", v.Reason)
	w.text("commandId", v.Origin.CommandID)
	w.text("commandSource", v.Origin.CommandSource)
	w.maybeText("correlationId", v.Trace.CorrelationID)
	w.maybeText("traceparent", v.Trace.TraceParent)
	w.maybeText("tracestate", v.Trace.TraceState)
	w.maybeTime("expiry", v.Expiry)
	w.time("requestedAt", v.RequestedAt)
	w.maybeText("account", v.Account)
	w.maybeText("ref", v.Reference)
	if v.Snapshot != nil {
		w.paymentReading("snapshot", v.Snapshot)
	}
	w.maybeTime("callUntil", v.CallUntil)
	w.maybeNumbers("doubt", v.Doubt)
	w.maybeTime("doubtSince", v.DoubtSince)
	w.maybeTrue("presumed", v.Presumed)
	w.maybeTrue("refused", v.Refused)
	w.maybeTime("notFoundSince", v.NotFoundSince)
	w.maybeTime("waitingSince", v.WaitingSince)
	w.time("changed", v.Changed)
	w.maybeTime("due", v.Due)
	if v.Review != nil {
		w.paymentReview("review", v.Review)
	}
	w.close('}')
}

func (w *writer) paymentReading(name string, v *payment.Reading) {
	w.open(name, '{')
	w.maybeTrue("ok", v.OK)
	w.maybeText("status", string(v.Status))
	if v.Captured != nil {
		w.paymentMoney("captured", v.Captured)
	}
	if v.Refunded != nil {
		w.paymentMoney("refunded", v.Refunded)
	}
	if len(v.Movements) > 0 {
		w.open("movements", '[')
		for i := range v.Movements {
			w.paymentMovement("", &v.Movements[i])
		}
		w.close(']')
	}
	w.maybeTime("at", v.At)
	w.close('}')
}

func (w *writer) paymentMovement(name string, v *payment.Movement) {
	w.open(name, '{')
	w.text("ref", v.Reference)
	if v.Amount != nil {
		w.paymentMoney("amount", v.Amount)
	}
	w.close('}')
}

func (w *writer) paymentReview(name string, v *payment.Review) {
	w.open(name, '{')
	w.text("reason", v.Reason)
	w.time("since", v.Since)
	w.maybeTime("lastAsked", v.LastAsked)
	w.text("question", v.Question)
	w.texts("safeActions", v.SafeActions)
	w.close('}')
}
