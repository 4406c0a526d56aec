package contract_test

import (
	"fmt"
	"slices"

	"github.com/countermand/countermand/payment"
)

// resultType is one type of result event and what its schema requires beyond
// the fields every event of its family has.
type resultType struct {
	name     string
	says     string
	op       payment.Op
	statuses []string
	required []string
	// review: the event may be waiting for a person.
	review bool
	// body is set for events that belong to no payment.
	body object
}

// The statuses an event can show beside its own name.
const reviewRequired = "reviewRequired"

// resultTypes is the table of all result events:
//
//	started        callUntil, attempt                    clientReference where the kind takes one
//	deferred       code, nextAttemptAt
//	pending        attempt                               status pending or reviewRequired
//	indeterminate  attempt                               status indeterminate or reviewRequired
//	succeeded      effect, basis                         code where effect is none
//	failed         code
//	rejected       code
//	returned       basis                                 a fact about a succeeded refund
//	executed_late  basis                                 a fact about an operation called failed
//
// review is there if and only if status is reviewRequired. resolvedBy is there
// where basis is operator; a retry that a person ordered shows it in started.
func resultTypes() []resultType {
	var list []resultType
	for _, op := range payment.Ops() {
		list = append(list, statusTypes(op)...)
		list = append(list, row(op, payment.EventExecutedLate,
			"A fact: something called failed went through after all. Never a second terminal result.", "basis"))
	}
	for _, op := range payment.Ops() {
		if op.GivesBack() {
			list = append(list, row(op, payment.EventReturned,
				fmt.Sprintf("A fact: a succeeded %s came back. Never a second terminal result.", op), "basis"))
		}
	}
	return append(list,
		resultType{name: "payment.command.rejected", body: commandRejected()},
		resultType{name: "payment.operator", body: operatorEvent()},
	)
}

func eventType(op payment.Op, e payment.EventType) string {
	return "payment." + string(op) + "." + string(e)
}

// row is a type whose events show its own last word as their status.
func row(op payment.Op, e payment.EventType, says string, required ...string) resultType {
	return resultType{name: eventType(op, e), op: op, says: says, statuses: []string{string(e)}, required: required}
}

func statusTypes(op payment.Op) []resultType {
	inReview := func(r resultType) resultType {
		r.statuses, r.review = append(r.statuses, reviewRequired), true
		return r
	}
	return []resultType{
		row(op, payment.EventStarted, "Not terminal: the attempt is recorded; the provider may be called until callUntil.", "attempt", "callUntil"),
		row(op, payment.EventDeferred, "Not terminal: nothing was executed, certainly. The code says why it waits, nextAttemptAt until when.", "code", "nextAttemptAt"),
		inReview(row(op, payment.EventPending, "Not terminal: the provider accepted it and will decide later.", "attempt")),
		inReview(row(op, payment.EventIndeterminate, "Not terminal: may have been executed; being found out, or waiting for a person (reviewRequired).", "attempt")),
		row(op, payment.EventSucceeded, "Terminal: done.", "effect", "basis"),
		row(op, payment.EventFailed, "Terminal: the provider definitively did not do it.", "code"),
		row(op, payment.EventRejected, "Terminal: this service refused it; the provider was never told to move money for it.", "code"),
	}
}

// schema renders the row: what every result has, by reference, and what this
// type requires.
func (r resultType) schema() object {
	if r.body != nil {
		return r.body
	}
	return obj(
		"description", r.says+" Readers ignore fields they do not know.",
		"$ref", "common.json#/$defs/result",
		"properties", obj(
			"operation", obj("const", r.op),
			"status", obj("enum", r.statuses),
		),
		"required", append([]string{"status"}, r.required...),
		"allOf", r.conditions(),
	)
}

// resultDef is what every event of a payment has and may have.
func resultDef() object {
	return obj(
		"type", "object",
		"description", "What every event of a payment says. The schema of each type adds what it requires.",
		"properties", obj(
			"operation", local("operation"),
			"idempotencyKey", local("key"),
			"provider", local("provider"),
			"payment", local("paymentSeen"),
			"amount", described("Refunds: what was asked; absent with full.", local("money")),
			"full", described("Refunds: the whole captured amount was asked.", obj("const", true)),
			"moved", described("What the provider says moved. Books are kept by effect and moved.", local("money")),
			"fee", local("money"),
			"refundable", described("With amount_exceeds_refundable and partially_refunded: what could still be refunded beside all other refunds, open ones included.", local("money")),
			"status", obj("type", "string"),
		).with(outcomeProperties()),
		"required", []string{
			"operation", "idempotencyKey", "provider", "payment", "commandId", "commandSource",
			"requestedAt", "occurredAt", "state",
		},
		"if", obj("properties", obj("basis", obj("const", payment.BasisOperator)), "required", []string{"basis"}),
		"then", requires("resolvedBy"),
		"allOf", []object{
			obj(
				"if", obj("properties", obj("operation", obj("const", payment.Refund)), "required", []string{"operation"}),
				"then", obj("oneOf", []object{requires("amount"), requires("full")}),
				"else", obj("properties", obj("amount", false, "full", false)),
			),
		},
	)
}

func outcomeProperties() object {
	return obj(
		"effect", local("effect"),
		"code", local("code"),
		"message", local("freeText"),
		"basis", local("basis"),
		"clientReference", described("The reference this service sent to the provider.", obj("type", "string", "minLength", 1)),
		"providerReference", obj("type", "string", "minLength", 1),
		"providerCode", local("freeText"),
		"providerMessage", local("freeText"),
		"providerTime", local("time"),
		"attempt", obj("type", "integer", "minimum", 1),
		"commandId", text(1, 128),
		"commandSource", obj("type", "string", "minLength", 1),
		"requestedAt", described("The stream's time of the original command.", local("time")),
		"occurredAt", local("time"),
		"callUntil", local("time"),
		"nextAttemptAt", local("time"),
		"review", local("review"),
		"resolvedBy", local("resolvedBy"),
		"state", local("state"),
	)
}

// conditions are what depends on more than one field.
func (r resultType) conditions() []object {
	var all []object
	if r.review {
		all = append(all, iff("status", reviewRequired, "review"))
	} else {
		all = append(all, obj("properties", obj("review", false)))
	}
	if slices.Contains(r.statuses, string(payment.StatusSucceeded)) {
		all = append(all, obj("if", fieldIs("effect", string(payment.EffectNone)), "then", requires("code")))
	}
	return all
}

// iff demands a field where another has a value, and forbids it elsewhere.
func iff(field, value, then string) object {
	return obj("if", fieldIs(field, value), "then", requires(then), "else", obj("properties", obj(then, false)))
}

func fieldIs(field, value string) object {
	return obj("properties", obj(field, obj("const", value)), "required", []string{field})
}

// resultDefs are the definitions only results use. They are open where
// commands are closed: a reader must not break when a list grows.
func resultDefs() object {
	return obj(
		"money", obj(
			"type", "object",
			"description", "Money in minor units of the currency.",
			"properties", obj(
				"value", obj("type", "integer", "minimum", -payment.MaxAmount, "maximum", payment.MaxAmount),
				"currency", obj("type", "string", "pattern", "^[A-Z]{3}$"),
			),
			"required", []string{"value", "currency"},
		),
		"paymentSeen", obj(
			"type", "object",
			"description", "The payment as the command named it, with defaults of the instance filled in.",
			"properties", obj(
				"orderId", local("identifier"),
				"transactionId", local("identifier"),
				"country", obj("type", "string", "pattern", "^[A-Z]{2}$"),
				"currency", obj("type", "string", "pattern", "^[A-Z]{3}$"),
				"capturedAmount", local("money"),
			),
			"anyOf", []object{requires("orderId"), requires("transactionId")},
		),
		"code", obj("type", "string", "pattern", "^[a-z_]+$",
			"description", "Why. Readers treat a code they do not know as other; the examples are the whole list. docs/errors.md says who does what next.",
			"examples", payment.Codes()),
		"effect", obj("enum", []payment.Effect{payment.EffectRefunded, payment.EffectVoided, payment.EffectClosed, payment.EffectNone},
			"description", "refunded; voided: a hold was released; closed: it was unpaid and can no longer be paid; none: no money will be taken anyway, the code says why."),
		"basis", obj("enum", []payment.Basis{payment.BasisAnswer, payment.BasisQuery, payment.BasisInferred, payment.BasisOperator, payment.BasisArchive},
			"description", "How the outcome came to be known: the provider's answer to the call, to a question, exactly one new movement of this amount, a named person, or an archive of the journal that holds what the journal had lost."),
		"freeText", obj("type", "string", "maxLength", 200, "description", "Cut to 200 characters; digit runs of 13 to 19 are masked."),
		"time", obj("type", "string", "pattern", `^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$`,
			"description", "RFC 3339, UTC, milliseconds."),
		"sha256", obj("type", "string", "pattern", "^[0-9a-f]{64}$"),
		"review", reviewDef(),
		"resolvedBy", obj(
			"type", "object",
			"description", "The person who decided, and why.",
			"properties", obj("operator", obj("type", "string", "minLength", 1), "reason", obj("type", "string", "minLength", 1), "evidence", obj("type", "string")),
			"required", []string{"operator", "reason"},
		),
		"state", obj(
			"type", "object",
			"description", "The payment's folded state. Opaque to everybody but this service.",
			"properties", obj("format", obj("type", "integer", "minimum", 1)),
			"required", []string{"format"},
		),
		"result", resultDef(),
		"fault", obj(
			"type", "object",
			"description", "One thing wrong: where (a JSON pointer into the data, or ce-<attribute> for the envelope) and which rule. Never the value, except numbers and members of closed lists.",
			"properties", obj("pointer", obj("type", "string"), "rule", obj("type", "string", "minLength", 1), "detail", obj("type", "string", "maxLength", 200)),
			"required", []string{"pointer", "rule"},
		),
	)
}

func reviewDef() object {
	return obj(
		"type", "object",
		"description", "What a person needs in order to decide what no machine can.",
		"properties", obj(
			"reason", obj("type", "string", "minLength", 1),
			"since", local("time"),
			"lastAsked", local("time"),
			"question", obj("type", "string", "minLength", 1),
			"safeActions", obj("type", "array", "items", obj("type", "string", "minLength", 1)),
		),
		"required", []string{"reason", "since", "question", "safeActions"},
	)
}
