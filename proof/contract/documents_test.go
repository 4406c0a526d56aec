package contract_test

import (
	"slices"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/schemas"
)

const dialect = "https://json-schema.org/draft/2020-12/schema"

// document is one generated file, by its path below this directory.
type document struct {
	name  string
	value object
}

type documentList []document

func (l documentList) has(name string) bool {
	return slices.ContainsFunc(l, func(d document) bool { return d.name == name })
}

// documents is every generated document: the schemas and the AsyncAPI
// document. The tables below and in results_test.go are their one source.
func documents() documentList {
	list := documentList{
		{"v1/common.json", commonSchema()},
		{"v1/envelope.json", envelopeSchema()},
		{"asyncapi.json", asyncAPI()},
	}
	for _, op := range payment.Ops() {
		list = append(list, schemaFile(commandType(op), commandSchema(op)))
	}
	for _, r := range resultTypes() {
		list = append(list, schemaFile(r.name, r.schema()))
	}
	return append(list, schemaFile(statusRequest, statusRequestSchema()), schemaFile(statusResponse, statusResponseSchema()))
}

func commandType(op payment.Op) string { return "payment." + string(op) + ".requested" }

// schemaFile puts the schema's name and dialect in front of it.
func schemaFile(eventType string, body object) document {
	return document{"v1/" + eventType + ".json", schemaHead(eventType).with(body)}
}

func schemaHead(name string) object {
	return obj("$schema", dialect, "$id", schemas.BaseURI+name+".json", "title", name)
}

// def refers to one of common.json's definitions, from any schema file.
func def(name string) object { return obj("$ref", "common.json#/$defs/"+name) }

// local refers to a definition inside common.json.
func local(name string) object { return obj("$ref", "#/$defs/"+name) }

func described(what string, schema object) object {
	return schema.with(obj("description", what))
}

func commonSchema() object {
	defs := identifierDefs().with(moneyDefs()).with(resultDefs())
	return schemaHead("common").with(obj(
		"description", "Definitions shared by the event types.",
		"$defs", defs,
	))
}

func text(minLength, maxLength int) object {
	return obj("type", "string", "minLength", minLength, "maxLength", maxLength)
}

// identifierDefs are the names in a command: bytes that survive subjects,
// paths and headers, so nothing but printable ASCII without space.
func identifierDefs() object {
	return obj(
		"provider", obj("type", "string", "pattern", "^[a-z0-9][a-z0-9-]{0,31}$",
			"description", "A configured provider instance, not a brand. Permanent once used."),
		"key", text(1, 255).with(obj("pattern", "^[!-~]+$",
			"description", "Idempotency key: printable ASCII without space. Its scope is one payment and one operation.")),
		"identifier", text(1, 64).with(obj("pattern", "^[!-~]+$",
			"description", "An order or transaction identifier: printable ASCII without space. A provider kind may take fewer characters (Openpay: 32).")),
		"country", obj("type", "string", "enum", countries(), "description", "ISO 3166-1 alpha-2, and XK, which is user-assigned there and in general use."),
		"operation", obj("type", "string", "enum", payment.Ops()),
	)
}

func moneyDefs() object {
	return obj(
		"currency", obj("type", "string", "enum", currencyCodes(), "description", "ISO 4217 alphabetic code with minor units; also one withdrawn since 2008, because a refund may come years after its payment."),
		"amount", obj(
			"type", "object",
			"description", "Money asked for or captured, in minor units of the currency. Written as a plain integer: the decoder refuses 400.0 and 4e2, which are integers to JSON Schema.",
			"properties", obj(
				"value", obj("type", "integer", "minimum", 1, "maximum", payment.MaxAmount),
				"currency", local("currency"),
			),
			"required", []string{"value", "currency"},
			"additionalProperties", false,
		),
		"payment", obj(
			"type", "object",
			"description", "The payment as the order service names it. Which fields are required depends on the provider's kind; at least one identifier always is.",
			"properties", obj(
				"orderId", local("identifier"),
				"transactionId", local("identifier"),
				"country", local("country"),
				"currency", local("currency"),
				"capturedAmount", described("What was captured. Refunds, open ones included, can never add up to more.", local("amount")),
			),
			"additionalProperties", false,
			"anyOf", []object{requires("orderId"), requires("transactionId")},
		),
	)
}

func requires(names ...string) object { return obj("required", names) }

func currencyCodes() []payment.Currency {
	list := slices.Clone(payment.Currencies())
	slices.Sort(list)
	return list
}

func commandSchema(op payment.Op) object {
	props := obj(
		"idempotencyKey", def("key"),
		"provider", def("provider"),
		"payment", def("payment"),
	)
	says := "Asks to cancel one payment. It has neither amount nor full. Unknown fields, duplicate names and null are refused; names are case-sensitive."
	if op.TakesAmount() {
		says = "Asks to refund one payment, wholly or in part. Exactly one of amount and full: a forgotten amount must not refund everything. Unknown fields, duplicate names and null are refused; names are case-sensitive."
		props = props.with(obj(
			"amount", def("amount"),
			"full", obj("const", true, "description", "The whole captured amount; refused once another refund of the payment is open or done."),
		))
	}
	props = props.with(obj("reason", obj("type", "string", "maxLength", 200,
		"description", "Any text; no personal data. It is kept on one line, without characters that are not seen, and with digit runs of 13 to 19 and e-mail addresses masked.")))
	body := obj(
		"description", says,
		"type", "object",
		"properties", props,
		"required", []string{"idempotencyKey", "provider", "payment"},
		"additionalProperties", false,
	)
	if op.TakesAmount() {
		body = body.with(obj("oneOf", []object{requires("amount"), requires("full")}))
	}
	return body
}
