package contract_test

import (
	"encoding/json"

	"github.com/countermand/countermand/payment"
)

// The requests and answers of payments.status: no events, and no part of a stream.
const (
	statusRequest  = "payments.status.request"
	statusResponse = "payments.status.response"
)

func statusRequestSchema() object {
	oneLine := `^[^\x00-\x1f\x7f-\x9f]*$`
	return obj(
		"description", "Asks payments.status where a payment's operations stand: by provider and payment, within it by idempotency key or by command, or by a command alone. "+
			"Unknown fields, duplicate names and null are refused; names are case-sensitive; at most 8192 bytes.",
		"type", "object",
		"properties", obj(
			"provider", described("On payments.status.<provider> the subject's, or absent.", def("provider")),
			"payment", described("The identifier that names the payment at the provider (orderId at opay and tranzzo, transactionId at bento and openpay), not its token.", def("identifier")),
			"operation", def("operation"),
			"idempotencyKey", def("key"),
			"commandId", text(1, 128).with(obj("pattern", oneLine, "description", "The id of the command that began the operation.")),
			"commandSource", text(1, 255).with(obj("pattern", oneLine, "description", "Its source.")),
		),
		"additionalProperties", false,
		"anyOf", []object{requires("provider", "payment"), requires("commandId", "commandSource")},
		"dependentRequired", obj(
			"payment", []string{"provider"},
			"operation", []string{"idempotencyKey", "payment"},
			"idempotencyKey", []string{"operation", "payment"},
			"commandId", []string{"commandSource"},
			"commandSource", []string{"commandId"},
		),
		"dependentSchemas", obj("commandId", obj("properties", obj("idempotencyKey", false))),
	)
}

func statusResponseSchema() object {
	return obj(
		"description", "What payments.status answers: an answer, or an error. Readers ignore fields they do not know.",
		"type", "object",
		"properties", obj(
			"provider", def("provider"),
			"payment", def("identifier"),
			"version", obj("type", "integer", "minimum", 1, "description", "The count of the payment's events."),
			"captured", described("The newest word on what was captured.", def("money")),
			"refundable", described("What a further refund could give back beside all others, open ones included; absent if nobody has said what was captured.", def("money")),
			"operations", obj("type", "array", "items", statusOperation(), "description", "All of the payment, in the order they began, or the one that was asked for."),
			"error", statusError(),
		),
		"oneOf", []object{requires("provider", "payment", "version", "operations"), requires("error")},
	)
}

func statusOperation() object {
	positive := obj("type", "integer", "minimum", 1)
	return obj(
		"type", "object",
		"properties", obj(
			"operation", def("operation"),
			"idempotencyKey", described("Of an open operation, or of the one that was asked for.", def("key")),
			"commandId", described("Of an open operation, or of the one that was asked for by it.", text(1, 128)),
			"commandSource", obj("type", "string", "minLength", 1),
			"status", obj("enum", []payment.Status{
				payment.StatusStarted, payment.StatusDeferred, payment.StatusPending, payment.StatusIndeterminate,
				payment.StatusSucceeded, payment.StatusFailed, payment.StatusRejected, reviewRequired,
			}, "description", "As in events. Only succeeded, failed and rejected are ends."),
			"version", described("The version of the operation's newest event, as its subject ends.", positive),
			"amount", described("Refunds: what was asked; absent with full.", def("money")),
			"full", obj("const", true),
			"moved", described("What the provider says moved.", def("money")),
			"effect", def("effect"),
			"code", def("code"),
			"basis", def("basis"),
			"attempt", positive,
			"providerReference", obj("type", "string", "minLength", 1),
			"contradicted", obj("const", true, "description", "A fact followed the end: returned, or executed_late. Version is its."),
			"requestedAt", def("time"),
			"callUntil", def("time"),
			"nextAttemptAt", def("time"),
			"review", obj(
				"type", "object",
				"properties", obj("reason", obj("type", "string", "minLength", 1), "since", def("time")),
				"required", []string{"reason", "since"},
			),
		),
		"required", []string{"operation", "status", "version"},
		"allOf", []object{iff("status", reviewRequired, "review")},
	)
}

func statusError() object {
	return obj(
		"type", "object",
		"properties", obj(
			"code", obj("type", "string", "pattern", "^[a-z_]+$", "examples", []string{"invalid_request", "wrong_provider", "not_found", "too_many_requests", "unavailable"},
				"description", "Readers treat a code they do not know as unavailable. The header Nats-Service-Error-Code has 400, 403, 404, 429 or 503."),
			"message", obj("type", "string", "minLength", 1, "description", "For people."),
			"faults", obj("type", "array", "minItems", 1, "items", def("fault"), "description", "All that is wrong with the request."),
			"searched", obj(
				"type", "object",
				"description", "Where a command alone was looked for: an operation whose first event the stream took from since to until would have been found.",
				"properties", obj("since", def("time"), "until", def("time"), "whole", obj("const", true, "description", "The whole journal up to until.")),
			),
		),
		"required", []string{"code", "message"},
		"if", fieldIs("code", "invalid_request"),
		"then", requires("faults"),
	)
}

// statusChannels are the two addresses of payments.status, and where its answers go.
func statusChannels() (channels, messages, operations object) {
	ref := func(to string) object { return obj("$ref", to) }
	answers := "payments.status.answers"
	channels = obj(answers, obj(
		"address", "{inbox}", "title", statusResponse,
		"parameters", obj("inbox", obj("description", "The reply subject of the request, an inbox: answers go nowhere else.", "examples", []string{"_INBOX.x7Gq2"})),
		"messages", obj("answer", ref("#/components/messages/"+statusResponse)),
	))
	for _, name := range []string{"payments.status", "payments.status.provider"} {
		c := obj("address", "payments.status", "title", statusRequest)
		if name != "payments.status" {
			c = obj("address", "payments.status.{provider}", "title", statusRequest, "parameters", params("provider"))
		}
		channels = append(channels, obj(name, c.with(obj("messages", obj("request", ref("#/components/messages/"+statusRequest)))))...)
		operations = append(operations, obj("receive."+name, obj(
			"action", "receive",
			"channel", ref("#/channels/"+name),
			"summary", "A NATS request, answered by one of the replicas. It reads the journal and changes nothing.",
			"messages", []object{ref("#/channels/" + name + "/messages/request")},
			"bindings", obj("nats", obj("queue", "q", "bindingVersion", "0.1.0")),
			"reply", obj(
				"channel", ref("#/channels/"+answers),
				"messages", []object{ref("#/channels/" + answers + "/messages/answer")},
			),
		))...)
	}
	for _, name := range []string{statusRequest, statusResponse} {
		messages = append(messages, member{name, statusMessage(name)})
	}
	return channels, messages, operations
}

func statusMessage(name string) object {
	return obj(
		"name", name,
		"title", name,
		"contentType", "application/json",
		"payload", obj("schemaFormat", "application/schema+json;version=draft-2020-12", "schema", obj("$ref", "v1/"+name+".json")),
		"examples", []object{obj("name", "plain", "payload", json.RawMessage(exampleData(name)))},
	)
}
