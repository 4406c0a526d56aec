package contract_test

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/go-playground/validator/v10"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/schemas"
)

// countries lists the codes the decoder's own rule takes, so that schema and
// decoder agree on every one of the 676 pairs of letters.
func countries() []string {
	v := validator.New()
	var list []string
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			code := string([]rune{a, b})
			if v.Var(code, "iso3166_1_alpha2") == nil {
				list = append(list, code)
			}
		}
	}
	return list
}

// commandRejected answers a message, not an operation.
func commandRejected() object {
	return obj(
		"description", "Answers a message that is no valid command, reuses a key for other content, names an unknown provider or exceeds the payment's operations. Its bytes are kept in quarantine under the same token. Readers ignore fields they do not know.",
		"type", "object",
		"properties", obj(
			"code", def("code"),
			"faults", obj("type", "array", "items", def("fault")),
			"size", obj("type", "integer", "minimum", 0, "description", "Bytes of the message's data."),
			"sha256", def("sha256"),
			"originSequence", obj("type", "integer", "minimum", 1, "description", "The message's sequence in the stream of commands."),
			"originSubject", obj("type", "string", "minLength", 1),
			"commandId", described("The event's id, where it could be read.", text(1, 128)),
			"occurredAt", def("time"),
		),
		"required", []string{"code", "faults", "size", "sha256", "originSequence", "occurredAt"},
		"if", obj("properties", obj("code", obj("const", payment.CodeInvalidCommand)), "required", []string{"code"}),
		"then", obj("properties", obj("faults", obj("minItems", 1))),
	)
}

// operatorEvent is the audit of an operator's action, one schema for every
// action: what the action concerns depends on it.
func operatorEvent() object {
	return obj(
		"description", "A fact: audit of an operator's action, for every type payment.operator.<action>. Readers ignore fields they do not know.",
		"type", "object",
		"properties", obj(
			"action", obj("type", "string", "pattern", "^[a-z][a-z0-9_-]*$"),
			"operator", obj("type", "string", "minLength", 1),
			"identity", obj("type", "string", "description", "How the operator's name is known: nats (the server lets this user publish under it), asserted (it was only typed), token, proxy."),
			"login", obj("type", "string", "minLength", 1, "description", "The login that was authenticated: nats:<account>/<public key>, token:<name> or proxy:<name>."),
			"reason", obj("type", "string", "minLength", 1),
			"evidence", obj("type", "string"),
			"provider", def("provider"),
			"payment", obj("type", "string", "minLength", 1),
			"operation", def("operation"),
			"idempotencyKey", def("key"),
			"version", obj("type", "integer", "minimum", 1, "description", "The payment's version that was shown."),
			"token", obj("type", "string", "minLength", 1, "description", "Of a rejected message, as its subject ends."),
			"ruling", obj("type", "string", "minLength", 1, "description", "succeeded, failed or retry; of a proposal also replay."),
			"effect", described("Of a cancel ruled as succeeded.", def("effect")),
			"moved", def("money"),
			"providerReference", obj("type", "string", "minLength", 1),
			"atRisk", described("What would be paid twice, or what the command moves. Absent: not known.", def("money")),
			"fingerprint", obj("type", "string", "minLength", 1, "description", "Of the content that was ruled on or published again, so that another person says the same of the same."),
			"bulk", obj("type", "boolean", "description", "The ruling is one of a file's."),
			"journal", journalLoss(),
			"outcome", obj("type", "string", "minLength", 1, "description", "Absent for what was about to be done; refused or unknown for what came to nothing or may have."),
			"follows", obj("type", "string", "minLength", 1, "description", "The ULID of the event that an outcome speaks of. Without an outcome: of the proposal that the ruling confirms."),
			"occurredAt", def("time"),
		),
		"required", []string{"action", "operator", "reason", "occurredAt"},
	)
}

// journalLoss is what an action about the journal itself says of it.
func journalLoss() object {
	sequence := obj("type", "integer", "minimum", 1)
	return obj(
		"type", "object",
		"description", "Of an action about the journal itself: which loss is accepted, and which epoch begins or goes on.",
		"properties", obj(
			"epoch", described("The epoch that the action leads to.", sequence),
			"fingerprint", obj("type", "string", "minLength", 1, "description", "Names what was looked at, so that another operator says the same."),
			"known", described("The sequence that the journal was known to reach.", sequence),
			"found", described("The sequence that it ends at.", sequence),
			"givenUp", described("How many messages are given up.", sequence),
			"holes", obj(
				"type", "array", "description", "Ranges of sequences in the middle that hold nothing.",
				"items", obj("type", "object", "properties", obj("from", sequence, "to", sequence), "required", []string{"from", "to"}),
			),
			"commandsLost", described("How many commands are lost for good, since the journal was last trusted.", sequence),
			"knownAt", described("When the journal was known to reach so far.", def("time")),
			"first", obj(
				"type", "object",
				"description", "The message at sequence 1 of the journal as it was known before the loss; absent where nobody knew it.",
				"properties", obj(
					"subject", obj("type", "string", "minLength", 1),
					"sha256", obj("type", "string", "pattern", "^[0-9a-f]{64}$", "description", "Of its data."),
				),
				"required", []string{"subject", "sha256"},
			),
		),
		"required", []string{"epoch"},
	)
}

// envelopeSchema is a structured CloudEvent of any of our types: the context
// attributes, and the data by the type's own schema.
func envelopeSchema() object {
	nonEmpty := obj("type", "string", "minLength", 1)
	return schemaHead("envelope").with(obj(
		"description", "A structured CloudEvents 1.0 event of one of the types of this service. Data is JSON. A command may hold it as bytes, in data_base64. Batches are refused.",
		"type", "object",
		"properties", obj(
			"specversion", obj("const", "1.0"),
			"id", nonEmpty,
			"source", nonEmpty,
			"type", obj("type", "string", "pattern", `^payment\.`),
			"time", obj("type", "string", "format", "date-time"),
			"subject", nonEmpty,
			"datacontenttype", nonEmpty,
			"dataschema", nonEmpty,
			"data", true,
			"data_base64", obj("type", "string", "minLength", 1, "contentEncoding", "base64", "contentMediaType", "application/json",
				"description", "Of a command: the data as bytes, in place of data. Its content has the schema of the type's data."),
			"correlationid", nonEmpty,
			"causationid", nonEmpty,
			"partitionkey", nonEmpty,
			"idempotencykey", nonEmpty,
			"traceparent", obj("type", "string"),
			"tracestate", obj("type", "string"),
			"expirytime", obj("type", "string", "format", "date-time"),
		),
		"required", []string{"specversion", "id", "source", "type"},
		"anyOf", []object{requires("data"), requires("data_base64")},
		"dependentSchemas", obj("data_base64", obj("properties", obj("data", false))),
		"allOf", envelopeConditions(),
	))
}

// envelopeConditions bind the data to the type, and the attributes of results
// to what design and ledgers rely on: idempotencykey on terminal results only.
func envelopeConditions() []object {
	var all []object
	for _, op := range payment.Ops() {
		all = append(all, obj("if", fieldIs("type", commandType(op)), "then",
			obj("properties", obj(
				"id", line(128),
				"source", line(255),
				"correlationid", obj("maxLength", 255),
				"datacontenttype", mediaTypeOfJSON(),
				"data", fileRef(commandType(op)),
			))))
	}
	for _, r := range resultTypes() {
		all = append(all, obj("if", r.matches(), "then", r.envelope()))
	}
	return all
}

// mediaTypeOfJSON is application/json, text/json or a type that ends in +json, in any
// case, with parameters or without.
func mediaTypeOfJSON() object {
	anyCase := func(s string) string {
		var b strings.Builder
		for _, r := range s {
			if unicode.IsLetter(r) {
				fmt.Fprintf(&b, "[%c%c]", unicode.ToUpper(r), r)
			} else {
				b.WriteRune(r)
			}
		}
		return b.String()
	}
	types := anyCase("application/json") + "|" + anyCase("text/json") + `|[^;]*\+` + anyCase("json")
	return obj("pattern", `^\s*(`+types+`)\s*(;|$)`)
}

// line is a text of one line that is not blank.
func line(longest int) object {
	return text(1, longest).with(obj("pattern", `^[^\x00-\x1f\x7f-\x9f]*$`))
}

func fileRef(name string) object { return obj("$ref", name+".json") }

// matches is the condition that an envelope is of this type.
func (r resultType) matches() object {
	if r.name != "payment.operator" {
		return fieldIs("type", r.name)
	}
	return obj("properties", obj("type", obj("type", "string", "pattern", `^payment\.operator\.[a-z][a-z0-9_-]*$`)), "required", []string{"type"})
}

func (r resultType) envelope() object {
	required := []string{"data", "time", "datacontenttype", "dataschema"}
	props := obj(
		"id", obj("pattern", `^payment\.`, "description", "The NATS subject of the event."),
		"time", def("time"),
		"datacontenttype", obj("const", "application/json"),
		"data", fileRef(r.name),
		"data_base64", false,
	)
	switch {
	case r.op == "":
		props = props.with(obj("idempotencykey", false))
	case r.terminal():
		required = append(required, "subject", "partitionkey", "causationid", "correlationid", "idempotencykey")
	default:
		required = append(required, "subject", "partitionkey", "causationid", "correlationid")
		props = props.with(obj("idempotencykey", false))
	}
	return obj("properties", props, "required", required)
}

func (r resultType) terminal() bool {
	return len(r.statuses) == 1 && payment.Status(r.statuses[0]).Terminal()
}

// uri is the $id of a schema file.
func uri(name string) string { return schemas.BaseURI + name + ".json" }
