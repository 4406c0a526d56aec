package contract_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/schemas"
)

// The streams as they are named by default.
const (
	commandsStream = "PAYMENT_COMMANDS"
	eventsStream   = "PAYMENT_EVENTS"
	refusalsStream = "PAYMENT_REFUSALS"
)

// asyncAPI says which type travels on which subject, and in which direction.
func asyncAPI() object {
	channels, messages, ops := obj(), obj(), obj()
	add := func(name, address, action string, params object) {
		channels = channels.with(obj(name, channel(name, address, params)))
		messages = messages.with(obj(name, message(name)))
		ops = ops.with(obj(action+"."+name, operation(action, name)))
	}
	for _, op := range payment.Ops() {
		name := commandType(op)
		add(name, name, "receive", nil)
		channels = channels.with(obj(name+".provider", channel(name, name+".{provider}", params("provider"))))
		ops = ops.with(obj("receive."+name+".provider", operation("receive", name+".provider")))
	}
	for _, r := range resultTypes() {
		switch r.name {
		case "payment.command.rejected":
			add(r.name, r.name+".{token}", "send", params("token"))
		case "payment.operator":
			add(r.name, r.name+".{action}.{ulid}", "send", params("action", "ulid"))
		default:
			add(r.name, r.name+".{provider}.{payment}.{version}", "send", params("provider", "payment", "version"))
		}
	}
	asked, answered, asking := statusChannels()
	channels, messages, ops = channels.with(asked), messages.with(answered), ops.with(asking)
	return obj(
		"asyncapi", "3.0.0",
		"id", "urn:countermand:consumer",
		"info", obj("title", "Countermand", "version", "1.0.0",
			"description", "Carries out cancels and refunds of payments commanded as CloudEvents over NATS JetStream. Addresses are NATS subjects; "+
				"docs/contract.md says in words what no document of this kind can. Operations are seen from the consumer: what it receives, others publish.",
			"license", obj("name", "Apache 2.0", "url", "https://www.apache.org/licenses/LICENSE-2.0")),
		"defaultContentType", "application/cloudevents+json",
		"servers", obj("local", obj("host", "127.0.0.1:4222", "protocol", "nats", "description", "A nats-server with JetStream, 2.15.2 or newer.")),
		"channels", channels,
		"operations", ops,
		"components", obj("messages", messages),
	)
}

func channel(message, address string, params object) object {
	c := obj("address", address, "title", message)
	if len(params) > 0 {
		c = c.with(obj("parameters", params))
	}
	return c.with(obj(
		"messages", obj("event", obj("$ref", "#/components/messages/"+message)),
		"x-jetstream-stream", streamOf(message),
	))
}

func streamOf(message string) string {
	if strings.HasSuffix(message, ".requested") {
		return commandsStream
	}
	if message == "payment.command.rejected" {
		return refusalsStream
	}
	return eventsStream
}

// message is an event in structured mode; in binary mode the same attributes
// are ce- headers and the payload is the data alone.
func message(name string) object {
	return obj(
		"name", name,
		"title", name,
		"contentType", "application/cloudevents+json",
		"headers", obj(
			"type", "object",
			"properties", obj("Content-Type", obj("type", "string", "const", "application/cloudevents+json")),
			"required", []string{"Content-Type"},
		),
		"correlationId", obj("location", "$message.payload#/correlationid", "description", "The command's, else the command's id."),
		"payload", obj(
			"schemaFormat", "application/schema+json;version=draft-2020-12",
			"schema", obj(
				"allOf", []object{obj("$ref", "v1/envelope.json")},
				"properties", obj("data", obj("$ref", "v1/"+name+".json")),
			),
		),
		"examples", []object{obj(
			"name", "structured",
			"headers", obj("Content-Type", "application/cloudevents+json"),
			"payload", exampleEvent(name),
		)},
	)
}

// operation is seen from the consumer. The queue of the NATS binding does not
// apply: what is received comes through a durable JetStream consumer.
func operation(action, channelName string) object {
	what := "Countermand carries out what is published here; the answer is an event of the payment, or payment.command.rejected."
	if action == "send" {
		what = "Countermand appends it to its journal; others only read it, through JetStream consumers."
	}
	return obj(
		"action", action,
		"channel", obj("$ref", "#/channels/"+channelName),
		"summary", what,
		"messages", []object{obj("$ref", "#/channels/"+channelName+"/messages/event")},
		"bindings", obj("nats", obj("bindingVersion", "0.1.0")),
	)
}

// params describes the parts of a subject.
func params(names ...string) object {
	says := map[string]string{
		"provider": "The configured provider instance; equal to data.provider.",
		"payment":  "The payment token: A-Z a-z 0-9 _ - as they are, every other byte =XX (vectors/tokens.json).",
		"version":  "Decimal from 1, the count of the payment's events.",
		"token":    "<origin sequence>-<first 12 hex digits of the SHA-256 of the data>.",
		"action":   "The operator's action.",
		"ulid":     "A ULID.",
	}
	shows := map[string]string{
		"provider": "opay-eg", "payment": "1001=2E000", "version": "2", "token": "4711-2d711642b726",
		"action": "resolved", "ulid": "01J8Z3N9Q8K6M2V4T7R5W1X0YA",
	}
	out := obj()
	for _, n := range names {
		out = out.with(obj(n, obj("description", says[n], "examples", []string{shows[n]})))
	}
	return out
}

// exampleEvent is a whole event around the first example of a type's data.
func exampleEvent(name string) object {
	raw := exampleData(name)
	var data struct {
		Provider, CommandID, CommandSource, Action string
		OccurredAt                                 string
		OriginSequence                             uint64
		SHA256                                     string
		Payment                                    json.RawMessage // an operator's event names it by its token
		State                                      struct{ Version uint64 }
	}
	if err := json.Unmarshal(raw, &data); err != nil {
		panic(err) // the examples are checked by tests of their own
	}
	if strings.HasSuffix(name, ".requested") {
		return obj("specversion", "1.0", "id", "evt-order-1001-return-1", "source", "/shops/cairo/orders", "type", name,
			"time", "2026-03-14T09:26:00.123Z", "datacontenttype", "application/json", "correlationid", "order-1001", "data", json.RawMessage(raw))
	}
	typ := name
	var id, subject string
	switch name {
	case "payment.operator":
		typ += "." + data.Action
		id = typ + ".01J8Z3N9Q8K6M2V4T7R5W1X0YA"
	case "payment.command.rejected":
		id = fmt.Sprintf("%s.%d-%s", name, data.OriginSequence, data.SHA256[:12])
	default:
		subject = data.Provider + "/" + events.Token(nativeOf(data.Provider, data.Payment))
		id = fmt.Sprintf("%s.%s.%d", name, strings.Replace(subject, "/", ".", 1), data.State.Version)
	}
	event := obj("specversion", "1.0", "id", id, "source", "/payments/consumer", "type", typ)
	if subject != "" {
		event = event.with(obj("subject", subject, "partitionkey", subject))
	}
	event = event.with(obj("time", data.OccurredAt, "datacontenttype", "application/json", "dataschema", schemas.BaseURI+name+".json"))
	if data.CommandID != "" {
		event = event.with(obj("causationid", data.CommandID, "correlationid", data.CommandID))
	}
	if key := terminalKey(name, subject, raw); key != "" {
		event = event.with(obj("idempotencykey", key))
	}
	return event.with(obj("data", json.RawMessage(raw)))
}

// exampleData picks the example that shows a type best.
func exampleData(name string) []byte {
	best := map[string]string{"payment.refund.requested": "design-example", "payment.command.rejected": "invalid-data", "payment.refund.succeeded": "opay"}
	files, err := fs.Glob(schemas.FS(), "examples/valid/"+name+"/*.json")
	if err != nil || len(files) == 0 {
		panic("no example of " + name)
	}
	pick := files[0]
	if b, ok := best[name]; ok {
		pick = "examples/valid/" + name + "/" + b + ".json"
	}
	raw, err := fs.ReadFile(schemas.FS(), pick)
	if err != nil {
		panic(err)
	}
	return raw
}

// nativeOf is the identifier a payment is named by at the kind of the examples.
func nativeOf(provider string, raw json.RawMessage) string {
	var p struct{ OrderID, TransactionID string }
	if err := json.Unmarshal(raw, &p); err != nil {
		panic(err)
	}
	if strings.HasPrefix(provider, "opay") || strings.HasPrefix(provider, "tranzzo") {
		return p.OrderID
	}
	return p.TransactionID
}

// terminalKey is the idempotencykey of a terminal result, or "".
func terminalKey(name, subject string, raw []byte) string {
	for _, r := range resultTypes() {
		if r.name == name && r.terminal() {
			var data struct{ IdempotencyKey string }
			if err := json.Unmarshal(raw, &data); err != nil {
				panic(err)
			}
			return subject + "/" + string(r.op) + "/" + data.IdempotencyKey
		}
	}
	return ""
}

func TestTheAsyncAPIDocumentIsValid(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/asyncapi/3.0.0.json")
	if err != nil {
		t.Fatal(err)
	}
	official, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("asyncapi.json", official); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("asyncapi.json")
	if err != nil {
		t.Fatal(err)
	}
	document := asyncAPIDocument(t)
	if err := schema.Validate(document); err != nil {
		t.Errorf("the document breaks AsyncAPI 3.0: %v", err)
	}
	// The check must be able to fail.
	for name, spoil := range map[string]func(map[string]any){
		"another version":           func(d map[string]any) { d["asyncapi"] = "2.6.0" },
		"an operation of no action": func(d map[string]any) { delete(firstOf(d, "operations"), "action") },
		"an unknown member":         func(d map[string]any) { firstOf(d, "channels")["addresses"] = "x" },
		"an unknown binding version": func(d map[string]any) {
			firstOf(d, "operations")["bindings"] = map[string]any{"nats": map[string]any{"bindingVersion": "9"}}
		},
	} {
		spoiled := asyncAPIDocument(t)
		spoil(spoiled)
		if schema.Validate(spoiled) == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// asyncAPIDocument reads the document anew.
func asyncAPIDocument(t *testing.T) map[string]any {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(embedded(t, "asyncapi.json")))
	if err != nil {
		t.Fatal(err)
	}
	return document.(map[string]any)
}

func firstOf(document map[string]any, section string) map[string]any {
	for _, v := range document[section].(map[string]any) {
		return v.(map[string]any)
	}
	return nil
}

func TestTheExamplesInTheAsyncAPIDocumentAreEventsOfTheContract(t *testing.T) {
	t.Parallel()
	document := asyncAPIDocument(t)
	schemas := compile(t)
	for name, m := range document["components"].(map[string]any)["messages"].(map[string]any) {
		list := m.(map[string]any)["examples"].([]any)
		if len(list) == 0 {
			t.Errorf("%s has no example", name)
		}
		for _, e := range list {
			payload := e.(map[string]any)["payload"].(map[string]any)
			raw, err := json.Marshal(payload)
			if err != nil {
				t.Fatal(err)
			}
			schema := schemas["envelope"]
			if asked := schemas[name]; name == statusRequest || name == statusResponse {
				schema = asked
			}
			if p := judge(t, schema, raw); !p.valid() {
				t.Errorf("the example of %s is refused at %v", name, p)
			}
			if schema != schemas["envelope"] {
				continue
			}
			if typ := payload["type"].(string); typ != name && !strings.HasPrefix(typ, name+".") {
				t.Errorf("the example of %s is of type %s", name, typ)
			}
		}
	}
}

// Every parameter of an address is described, and no other.
func TestTheAddressesInTheAsyncAPIDocumentDescribeTheirParameters(t *testing.T) {
	t.Parallel()
	for name, c := range asyncAPIDocument(t)["channels"].(map[string]any) {
		described, _ := c.(map[string]any)["parameters"].(map[string]any)
		address := c.(map[string]any)["address"].(string)
		for parameter := range described {
			if !strings.Contains(address, "{"+parameter+"}") {
				t.Errorf("%s describes %s, which its address has not", name, parameter)
			}
		}
		if strings.Count(address, "{") != len(described) {
			t.Errorf("%s has %d parameters, %d are described", name, strings.Count(address, "{"), len(described))
		}
	}
}
