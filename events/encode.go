package events

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"github.com/countermand/countermand/payment"
)

const (
	structuredType      = "application/cloudevents+json"
	jsonType            = "application/json"
	defaultSchemaPrefix = "https://countermand.dev/schemas/v1/"
	defaultSource       = "/payments/consumer"
)

// EncoderOptions are the settings of what goes out; nil and zero values mean the
// defaults.
type EncoderOptions struct {
	// Source is the CloudEvents source of results; "" means /payments/consumer.
	Source string
	// Epoch is how often a loss of the journal was accepted; default: never. From the
	// first one on, the source carries it as a fragment: versions, and with them ids,
	// are given out again after a loss.
	Epoch func() uint64
	// SchemaPrefix stands before "<type>.json" in dataschema; "" means
	// https://countermand.dev/schemas/v1/.
	SchemaPrefix string
	// Binary sends results in binary mode (ce- headers) instead of structured.
	Binary bool
}

// Encoder writes results, rejections and timers as CloudEvents. It has no state
// and is safe for concurrent use.
type Encoder struct {
	base   string // the source without its epoch
	epoch  func() uint64
	schema string
	binary bool
}

// NewEncoder returns an encoder.
func NewEncoder(o *EncoderOptions) *Encoder {
	if o == nil {
		o = &EncoderOptions{}
	}
	epoch := o.Epoch
	if epoch == nil {
		epoch = func() uint64 { return 0 }
	}
	return &Encoder{
		base: cmp.Or(o.Source, defaultSource), epoch: epoch, schema: cmp.Or(o.SchemaPrefix, defaultSchemaPrefix), binary: o.Binary,
	}
}

// source is the CloudEvents source at this moment.
func (e *Encoder) source() string {
	if n := e.epoch(); n > 0 {
		return e.base + "#" + strconv.FormatUint(n, 10)
	}
	return e.base
}

// attributes is the envelope of what goes out; "" is left out.
type attributes struct {
	SpecVersion     string `json:"specversion"`
	ID              string `json:"id"`
	Source          string `json:"source"`
	Type            string `json:"type"`
	Subject         string `json:"subject,omitzero"`
	Time            string `json:"time,omitzero"`
	DataContentType string `json:"datacontenttype"`
	DataSchema      string `json:"dataschema,omitzero"`
	PartitionKey    string `json:"partitionkey,omitzero"`
	CausationID     string `json:"causationid,omitzero"`
	CorrelationID   string `json:"correlationid,omitzero"`
	IdempotencyKey  string `json:"idempotencykey,omitzero"`
	TraceParent     string `json:"traceparent,omitzero"`
	TraceState      string `json:"tracestate,omitzero"`
	ExpiryTime      string `json:"expirytime,omitzero"`
}

// structured is an event in structured mode: written by one marshal.
type structured[T any] struct {
	attributes
	Data *T `json:"data"`
}

// EncodeEvent encodes one event of a payment. Its subject, which is also its
// id, is that of EventSubject, whose errors it returns; the data is masked and
// complete. The state's version must be set.
func (e *Encoder) EncodeEvent(ev payment.Event) (Message, error) {
	subject, err := EventSubject(ev.Op, ev.Type, ev.ID, ev.Version())
	if err != nil {
		return Message{}, fmt.Errorf("encode event: %w", err)
	}
	key := partitionKey(ev.ID)
	typ := typeOf(subject)
	a := attributes{
		SpecVersion: "1.0", ID: subject, Source: e.source(), Type: typ,
		Subject: key, PartitionKey: key, Time: stamp(ev.OccurredAt),
		DataContentType: jsonType, DataSchema: e.schema + typ + ".json",
	}
	a.answers(ev.CommandID, ev.Trace)
	if ev.Type.Terminal() {
		a.IdempotencyKey = key + "/" + string(ev.Op) + "/" + string(ev.Key)
	}
	data := resultOf(ev)
	body, err := writeEvent(&a, &data, e.binary)
	if err != nil {
		return Message{}, err
	}
	return e.message(&a, body), nil
}

// EncodeRejection encodes the answer to a message that is no valid command. It
// belongs to no payment, so it has neither subject nor partition key.
func (e *Encoder) EncodeRejection(r payment.Rejection, at time.Time) (Message, error) {
	if r.Token == "" || strings.ContainsAny(r.Token, ". \t\r\n*>") {
		return Message{}, errors.New("encode rejection: token is no subject token")
	}
	a := attributes{
		SpecVersion: "1.0", ID: RejectedSubject(r.Token), Source: e.source(), Type: rejectedType,
		Time: stamp(at), DataContentType: jsonType, DataSchema: e.schema + rejectedType + ".json",
	}
	a.answers(r.CommandID, r.Trace)
	return encode(e, a, &rejectionData{
		Code: r.Code, Faults: r.Faults, Size: r.Size, SHA256: r.SHA256,
		OriginSequence: r.OriginSequence, OriginSubject: Mask(r.OriginSubject),
		CommandID: r.CommandID, OccurredAt: Stamp{at},
	})
}

// EncodeCommand encodes a command as a structured CloudEvent that decodes back
// to the equal command, RequestedAt aside: that travels beside a timer, in a
// header of the broker's. Country and currency go out as they were resolved.
func (e *Encoder) EncodeCommand(c payment.Command) (Message, error) {
	if !c.Op.Known() {
		return Message{}, fmt.Errorf("encode command: unknown operation %q", c.Op)
	}
	a := attributes{
		SpecVersion: "1.0", ID: c.CommandID, Source: c.CommandSource, Type: commandType(c.Op),
		Time: exact(c.Time), DataContentType: jsonType, CorrelationID: c.CorrelationID,
		TraceParent: c.TraceParent, TraceState: c.TraceState, ExpiryTime: exact(c.Expiry),
	}
	plain := &Encoder{base: e.base, epoch: e.epoch, schema: e.schema}
	data := dataOf(c)
	m, err := encode(plain, a, &data)
	m.Subject = a.Type
	return m, err
}

// encode writes an event in the encoder's mode; its subject is the event's id.
func encode[T any](e *Encoder, a attributes, data *T) (Message, error) {
	if e.binary {
		body, err := json.Marshal(data, wireOptions())
		if err != nil {
			return Message{}, fmt.Errorf("encode %s: %w", a.Type, err)
		}
		return e.message(&a, body), nil
	}
	body, err := json.Marshal(&structured[T]{attributes: a, Data: data}, wireOptions())
	if err != nil {
		return Message{}, fmt.Errorf("encode %s: %w", a.Type, err)
	}
	return e.message(&a, body), nil
}

// message puts what was written into a message of the encoder's mode.
func (e *Encoder) message(a *attributes, body []byte) Message {
	if e.binary {
		return Message{Subject: a.ID, Header: a.headers(), Data: body}
	}
	return Message{Subject: a.ID, Header: map[string][]string{"Content-Type": {structuredType}}, Data: body}
}

// wireOptions are how all JSON is written. The tags of package payment's types
// say omitempty in the sense of the standard library, which leaves out zero
// numbers and false as well. Invalid UTF-8 is replaced and not an error: an
// event that cannot be written would be a known outcome lost.
func wireOptions() json.Options {
	return json.JoinOptions(jsonv1.OmitEmptyWithLegacySemantics(true), jsontext.AllowInvalidUTF8(true))
}

// answers names the command that an event answers, and repeats its trace. The
// correlation id is the command's own id where the command named none.
func (a *attributes) answers(commandID string, t payment.Trace) {
	a.CausationID, a.CorrelationID = commandID, cmp.Or(t.CorrelationID, commandID)
	a.TraceParent, a.TraceState = t.TraceParent, t.TraceState
}

// headers is the binary-mode form of the envelope.
func (a *attributes) headers() map[string][]string {
	h := make(map[string][]string, 16)
	h["Content-Type"] = []string{a.DataContentType}
	for _, attr := range [...]struct{ name, value string }{
		{"ce-specversion", a.SpecVersion},
		{"ce-id", a.ID},
		{"ce-source", a.Source},
		{"ce-type", a.Type},
		{"ce-subject", a.Subject},
		{"ce-time", a.Time},
		{"ce-datacontenttype", a.DataContentType},
		{"ce-dataschema", a.DataSchema},
		{"ce-partitionkey", a.PartitionKey},
		{"ce-causationid", a.CausationID},
		{"ce-correlationid", a.CorrelationID},
		{"ce-idempotencykey", a.IdempotencyKey},
		{"ce-traceparent", a.TraceParent},
		{"ce-tracestate", a.TraceState},
		{"ce-expirytime", a.ExpiryTime},
	} {
		if attr.value != "" {
			h[attr.name] = []string{encodeHeader(attr.value)}
		}
	}
	return h
}

// partitionKey names a payment in envelopes: <provider>/<payment token>.
func partitionKey(id payment.ID) string { return id.Provider + "/" + Token(id.Native) }

// typeOf returns the first three tokens of an event's subject, which are its type.
func typeOf(subject string) string {
	dots := 0
	for i := range len(subject) {
		if subject[i] != '.' {
			continue
		}
		if dots++; dots == 3 {
			return subject[:i]
		}
	}
	return subject
}

// exact formats a time of a command without losing any of it.
func exact(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
