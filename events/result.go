package events

import (
	"github.com/countermand/countermand/payment"
)

// StatusReviewRequired is the status of a pending or indeterminate result that
// only a person can clear up.
const StatusReviewRequired = "reviewRequired"

// Result is the data of a payment's event: what happened to one operation.
// Fields that do not apply are absent on the wire, never null. Amounts are
// integer minor units; times are Stamps.
type Result struct {
	Operation      payment.Op      `json:"operation"`
	IdempotencyKey payment.Key     `json:"idempotencyKey"`
	Provider       string          `json:"provider"`
	Payment        payment.Details `json:"payment"`
	// Amount is what was asked for; absent with Full.
	Amount *payment.Money `json:"amount,omitzero"`
	Full   bool           `json:"full,omitzero"`
	// Status of the outcome is the event type's word, or StatusReviewRequired.
	payment.Outcome
	// ProviderTime is the outcome's.
	ProviderTime Stamp `json:"providerTime,omitzero"`
	Attempt      int   `json:"attempt,omitzero"`
	payment.Origin
	RequestedAt   Stamp               `json:"requestedAt,omitzero"`
	OccurredAt    Stamp               `json:"occurredAt,omitzero"`
	CallUntil     Stamp               `json:"callUntil,omitzero"`
	NextAttemptAt Stamp               `json:"nextAttemptAt,omitzero"`
	Review        *Review             `json:"review,omitzero"`
	ResolvedBy    *payment.ResolvedBy `json:"resolvedBy,omitzero"`
}

// Review is payment.Review as results carry it.
type Review struct {
	Reason      string   `json:"reason"`
	Since       Stamp    `json:"since,omitzero"`
	LastAsked   Stamp    `json:"lastAsked,omitzero"`
	Question    string   `json:"question"`
	SafeActions []string `json:"safeActions"`
}

// resultData is the whole data of a payment's event on the wire.
type resultData struct {
	Result
	State payment.State `json:"state"`
}

// rejectionData is the data of payment.command.rejected. It repeats nothing of
// the message but what names it.
type rejectionData struct {
	Code           payment.Code    `json:"code"`
	Faults         []payment.Fault `json:"faults"`
	Size           int             `json:"size"`
	SHA256         string          `json:"sha256"`
	OriginSequence uint64          `json:"originSequence"`
	OriginSubject  string          `json:"originSubject,omitzero"`
	CommandID      string          `json:"commandId,omitzero"`
	OccurredAt     Stamp           `json:"occurredAt,omitzero"`
}

// resultOf lays an event out as data.
func resultOf(e payment.Event) resultData {
	d := resultData{
		Result: Result{
			Operation: e.Op, IdempotencyKey: e.Key, Provider: e.ID.Provider, Payment: e.Payment,
			Amount: e.Amount, Full: e.Full, Outcome: published(e.Outcome), ProviderTime: Stamp{e.ProviderTime},
			Attempt: e.Attempt, Origin: e.Origin, RequestedAt: Stamp{e.RequestedAt}, OccurredAt: Stamp{e.OccurredAt},
			CallUntil: Stamp{e.CallUntil}, NextAttemptAt: Stamp{e.NextAttemptAt},
			Review: reviewOf(e.Review), ResolvedBy: resolvedBy(e.ResolvedBy),
		},
		State: publishable(e.State),
	}
	d.Status = statusWord(e)
	if e.Full {
		// What a full refund resolved to is in the state; "amount" is only ever
		// what the command asked for.
		d.Amount = nil
	}
	return d
}

// published masks the free texts of an outcome.
func published(o payment.Outcome) payment.Outcome {
	o.Message, o.ProviderCode, o.ProviderMessage = Mask(o.Message), Mask(o.ProviderCode), Mask(o.ProviderMessage)
	return o
}

func statusWord(e payment.Event) string {
	if e.Review != nil && (e.Type == payment.EventIndeterminate || e.Type == payment.EventPending) {
		return StatusReviewRequired
	}
	return string(e.Type)
}

func reviewOf(r *payment.Review) *Review {
	if r == nil {
		return nil
	}
	return &Review{
		Reason: Mask(r.Reason), Since: Stamp{r.Since}, LastAsked: Stamp{r.LastAsked},
		Question: Mask(r.Question), SafeActions: r.SafeActions,
	}
}

// resolvedBy masks what a person typed: a support desk's evidence is the
// likeliest place of all for a pasted card number.
func resolvedBy(r *payment.ResolvedBy) *payment.ResolvedBy {
	if r == nil {
		return nil
	}
	return &payment.ResolvedBy{Operator: Mask(r.Operator), Reason: Text(r.Reason), Evidence: Text(r.Evidence)}
}
