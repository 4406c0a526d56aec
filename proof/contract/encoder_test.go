package contract_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// moment is where the representative events happen.
func moment() time.Time { return time.Date(2026, 3, 14, 9, 26, 53, 589e6, time.UTC) }

// story is an event with everything every result has.
func story(op payment.Op, e payment.EventType) payment.Event {
	at := moment()
	ev := payment.Event{
		Type: e, Op: op, ID: payment.ID{Provider: "opay-eg", Native: "1001.000"}, Key: "order-1001-return-1",
		Payment: payment.Details{OrderID: "1001.000", Country: "EG", CapturedAmount: egp(40000)},
		Origin:  payment.Origin{CommandID: "c-1", CommandSource: "/orders"}, RequestedAt: at, OccurredAt: at.Add(time.Second),
		State: payment.State{Format: payment.StateFormat, Version: 2},
	}
	if op.TakesAmount() {
		ev.Amount = egp(400)
	}
	return ev
}

func egp(v int64) *payment.Money { return &payment.Money{Value: v, Currency: "EGP"} }

// representative is at least one event of each type, with the fields the core
// sets for it.
func representative() map[string]payment.Event {
	at := moment()
	out := map[string]payment.Event{}
	add := func(name string, op payment.Op, e payment.EventType, set func(*payment.Event)) {
		ev := story(op, e)
		set(&ev)
		out[string(op)+" "+name] = ev
	}
	review := &payment.Review{Reason: "repeat_unsafe", Since: at, LastAsked: at, Question: "Was it executed?", SafeActions: []string{"resolve as failed"}}
	for _, op := range payment.Ops() {
		add("started", op, payment.EventStarted, func(e *payment.Event) { e.Attempt, e.CallUntil, e.ClientReference = 1, at, "ab12" })
		add("deferred", op, payment.EventDeferred, func(e *payment.Event) { e.Code, e.NextAttemptAt = payment.CodePaused, at })
		add("pending", op, payment.EventPending, func(e *payment.Event) { e.Attempt, e.NextAttemptAt, e.ProviderReference = 1, at, "20001" })
		add("pending in review", op, payment.EventPending, func(e *payment.Event) { e.Attempt, e.Review = 1, review })
		add("indeterminate", op, payment.EventIndeterminate, func(e *payment.Event) { e.Attempt, e.NextAttemptAt = 2, at })
		add("in review", op, payment.EventIndeterminate, func(e *payment.Event) { e.Attempt, e.Review = 2, review })
		add("succeeded", op, payment.EventSucceeded, succeed)
		add("none", op, payment.EventSucceeded, func(e *payment.Event) {
			e.Effect, e.Basis, e.Code = payment.EffectNone, payment.BasisQuery, payment.CodeAlreadyCancelled
		})
		add("failed", op, payment.EventFailed, func(e *payment.Event) {
			e.Code, e.Basis, e.Attempt, e.ProviderCode, e.ProviderMessage = payment.CodeDeclined, payment.BasisAnswer, 1, "05", "card 4111 1111 1111 1111 "+strings.Repeat("x", 300)
		})
		add("resolved", op, payment.EventFailed, func(e *payment.Event) {
			e.Code, e.Basis, e.ResolvedBy = payment.CodeResolvedByOperator, payment.BasisOperator, &payment.ResolvedBy{Operator: "dana", Reason: "seen in the portal"}
		})
		add("rejected", op, payment.EventRejected, func(e *payment.Event) { e.Code = payment.CodeExpired })
		add("executed late", op, payment.EventExecutedLate, succeed)
	}
	add("full", payment.Refund, payment.EventSucceeded, func(e *payment.Event) { succeed(e); e.Amount, e.Full = nil, true })
	add("returned", payment.Refund, payment.EventReturned, func(e *payment.Event) { e.Basis, e.Moved = payment.BasisQuery, egp(400) })
	return out
}

func succeed(e *payment.Event) {
	e.Effect, e.Basis, e.Moved, e.Fee, e.Attempt = payment.EffectRefunded, payment.BasisAnswer, egp(400), egp(3), 1
	e.ProviderTime, e.ProviderReference = moment(), "20001"
}

func TestEveryResultTheEncoderWritesIsValidByItsSchema(t *testing.T) {
	t.Parallel()
	schemasOf, encoder := compile(t), events.NewEncoder(nil)
	seen := map[string]bool{}
	for name, ev := range representative() {
		m, err := encoder.EncodeEvent(ev)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		seen[checkEncoded(t, schemasOf, name, m)] = true
	}
	rejection, err := encoder.EncodeRejection(payment.Rejection{
		Token: events.RejectionToken(7, []byte("{")), Code: payment.CodeInvalidCommand,
		Faults: []payment.Fault{{Pointer: "", Rule: "json"}}, Size: 1, SHA256: strings.Repeat("0", 64),
		OriginSequence: 7, OriginSubject: "payment.refund.requested",
	}, moment())
	if err != nil {
		t.Fatal(err)
	}
	seen[checkEncoded(t, schemasOf, "rejection", rejection)] = true
	action, err := encoder.EncodeOperator(payment.OperatorAction{
		ULID: "01J8Z3N9Q8K6M2V4T7R5W1X0YA", Action: "resolve", Operator: "dana", Identity: "nats", Reason: "found in the portal", Evidence: "ticket 4711",
		ID: payment.ID{Provider: "openpay-eu", Native: "529.1"}, Op: payment.Refund, Key: "k", Version: 3, Ruling: "succeeded",
		Testimony: payment.Testimony{Effect: "refunded", Moved: egp(400), ProviderReference: "rf-1"}, At: moment(),
	})
	if err != nil {
		t.Fatal(err)
	}
	seen[checkEncoded(t, schemasOf, "operator's action", action)] = true
	for _, r := range resultTypes() {
		if !seen[r.name] {
			t.Errorf("no representative event of %s", r.name)
		}
	}
}

// checkEncoded validates envelope and data, and returns the event's type.
func checkEncoded(t *testing.T, b book, name string, m events.Message) string {
	t.Helper()
	var env struct {
		Type       string          `json:"type"`
		DataSchema string          `json:"dataschema"`
		Data       json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(m.Data, &env); err != nil {
		t.Errorf("%s: %v", name, err)
		return ""
	}
	if strings.HasPrefix(env.Type, "payment.operator.") {
		env.Type = "payment.operator" // one schema for all actions
	}
	if p := judge(t, b["envelope"], m.Data); !p.valid() {
		t.Errorf("%s: envelope: %v\n%s", name, p, m.Data)
	}
	if env.DataSchema != uri(env.Type) {
		t.Errorf("%s: dataschema is %q, the schema is %q", name, env.DataSchema, uri(env.Type))
	}
	s := b[env.Type]
	if s == nil {
		t.Errorf("%s: no schema for %s", name, env.Type)
		return env.Type
	}
	if p := judge(t, s, env.Data); !p.valid() {
		t.Errorf("%s: data: %v\n%s", name, p, env.Data)
	}
	return env.Type
}

func TestAnEncodedResultWithoutARequiredFieldIsNot(t *testing.T) {
	t.Parallel()
	schemasOf, encoder := compile(t), events.NewEncoder(nil)
	for name, ev := range representative() {
		m, err := encoder.EncodeEvent(ev)
		if err != nil {
			t.Fatal(err)
		}
		var env struct {
			Type string         `json:"type"`
			Data map[string]any `json:"data"`
		}
		if err := json.Unmarshal(m.Data, &env); err != nil {
			t.Fatal(err)
		}
		for _, field := range requiredOf(env.Type) {
			checkWithout(t, schemasOf[env.Type], name, env.Data, field)
		}
	}
}

func requiredOf(name string) []string {
	out := []string{"operation", "idempotencyKey", "provider", "payment", "status", "requestedAt", "occurredAt", "commandId", "state"}
	for _, r := range resultTypes() {
		if r.name == name {
			out = append(out, r.required...)
		}
	}
	return out
}

// checkWithout expects data to be refused, with the field named, once the field is gone.
func checkWithout(t *testing.T, s *jsonschema.Schema, name string, data map[string]any, field string) {
	t.Helper()
	less := maps.Clone(data)
	delete(less, field)
	raw, err := json.Marshal(less)
	if err != nil {
		t.Fatal(err)
	}
	if !judge(t, s, raw).name("/" + field) {
		t.Errorf("%s without %s is not refused for it", name, field)
	}
}
