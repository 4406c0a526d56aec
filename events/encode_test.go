package events_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

func at(second int) time.Time {
	return time.Date(2026, 9, 1, 10, 0, second, 123_456_789, time.UTC)
}

func egp(v int64) *payment.Money { return &payment.Money{Value: v, Currency: "EGP"} }

// sampleEvents holds one event of each shape by name.
func sampleEvents() map[string]payment.Event {
	base := payment.Event{
		Op: payment.Refund, ID: payment.ID{Provider: "opay-eg", Native: "1001.000"}, Key: "order/1001%",
		Payment: payment.Details{OrderID: "1001.000", Country: "EG", Currency: "EGP", CapturedAmount: egp(40000)}, Amount: egp(400),
		Origin: payment.Origin{CommandID: "ev-1", CommandSource: "/shop"}, RequestedAt: at(0), OccurredAt: at(1), Attempt: 1,
		State: payment.State{Format: 1, Version: 2, Captured: egp(40000), Operations: []payment.Operation{{
			Op: payment.Refund, KeyHash: payment.Key("order/1001%").Hash(), Fingerprint: strings.Repeat("f", 64),
			Status: payment.StatusSucceeded, First: 1, Last: 2, Amount: egp(400), Attempt: 1,
		}}},
	}
	succeeded := base
	succeeded.Type, succeeded.Effect, succeeded.Basis = payment.EventSucceeded, payment.EffectRefunded, payment.BasisAnswer
	succeeded.Moved, succeeded.Fee, succeeded.ClientReference, succeeded.ProviderReference = egp(400), egp(3), "ref", "220000000000000001"
	succeeded.ProviderCode, succeeded.ProviderMessage, succeeded.ProviderTime = "00000", "done for 4111 1111 1111 1111 \u0007", at(1)
	succeeded.CorrelationID, succeeded.TraceParent, succeeded.TraceState = `Zoë 100% "q"`, traceParent, "a=b"

	full := base
	full.Type, full.Full, full.Amount, full.Op = payment.EventFailed, true, egp(40000), payment.Refund
	full.Code, full.Message = payment.CodeResolvedByOperator, "resolved"
	full.ResolvedBy = &payment.ResolvedBy{Operator: "ada", Reason: "statement of 5500005555555559", Evidence: "ticket 7"}

	review := base
	review.Type = payment.EventIndeterminate
	review.Review = &payment.Review{Reason: "no trace", Since: at(2), LastAsked: at(3), Question: "did it happen?", SafeActions: []string{"wait"}}
	review.State.Operations = []payment.Operation{{
		Op: payment.Refund, KeyHash: "k", Fingerprint: "f", Status: payment.StatusIndeterminate, First: 1, Last: 2,
		Open: &payment.Open{
			Key: "order/1001%", Payment: base.Payment, Origin: payment.Origin{CommandID: "ev-1", CommandSource: "/shop"}, RequestedAt: at(0),
			Snapshot: &payment.Reading{OK: true, Status: payment.PaymentPaid, Captured: egp(40000), At: at(0)},
			Doubt:    []int{1}, Changed: at(1), Review: review.Review,
		},
	}}

	started := base
	started.Type, started.Op, started.Amount, started.CallUntil = payment.EventStarted, payment.Cancel, nil, at(30)
	return map[string]payment.Event{"succeeded": succeeded, "failed-full": full, "review": review, "started-cancel": started}
}

// A loss gives versions out again, and with them ids.
func TestTheSourceNamesTheEpoch(t *testing.T) {
	t.Parallel()
	epoch := uint64(0)
	encoder := events.NewEncoder(&events.EncoderOptions{Source: "/p", Epoch: func() uint64 { return epoch }, Binary: true})
	for _, ev := range sampleEvents() {
		for n, want := range map[uint64]string{0: "/p", 1: "/p#1", 12: "/p#12"} {
			epoch = n
			m, err := encoder.EncodeEvent(ev)
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Header["ce-source"]; len(got) != 1 || got[0] != want {
				t.Errorf("the source in epoch %d is %v", n, got)
			}
		}
	}
}

func TestEncodedEventsAreFrozen(t *testing.T) {
	t.Parallel()
	type message struct {
		Subject string
		Header  map[string][]string
		Data    json.RawMessage
	}
	for name, ev := range sampleEvents() {
		for mode, binary := range map[string]bool{"structured": false, "binary": true} {
			m, err := events.NewEncoder(&events.EncoderOptions{Binary: binary}).EncodeEvent(ev)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "event-"+name+"-"+mode+".json", message{m.Subject, m.Header, m.Data})
		}
	}
	m, err := events.NewEncoder(nil).EncodeRejection(sampleRejection(), at(5))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "rejection-structured.json", message{m.Subject, m.Header, m.Data})
}

func sampleRejection() payment.Rejection {
	data := []byte("{")
	return payment.Rejection{
		Token: events.RejectionToken(7, data), Code: payment.CodeInvalidCommand,
		Faults: []payment.Fault{{Pointer: "/amount/value", Rule: "min", Detail: "at least 1"}},
		Size:   1, SHA256: strings.Repeat("a", 64), OriginSequence: 7,
		OriginSubject: "payment.refund.requested.4111111111111111", CommandID: "ev-1",
	}
}

func TestAnEventReadsBackFromEitherMode(t *testing.T) {
	t.Parallel()
	for name, ev := range sampleEvents() {
		for _, binary := range []bool{false, true} {
			m, err := events.NewEncoder(&events.EncoderOptions{Binary: binary}).EncodeEvent(ev)
			if err != nil {
				t.Fatal(err)
			}
			got, err := events.DecodeEvent(m)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got.ID != m.Subject || got.Type != ev.Type || got.Op != ev.Op {
				t.Errorf("%s: %+v", name, got)
			}
			if diff := cmp.Diff(ev.State, got.State); diff != "" {
				t.Errorf("%s: the state is not the one decided on (-want +got):\n%s", name, diff)
			}
			if got.Data.IdempotencyKey != ev.Key || !got.Data.OccurredAt.Equal(ev.OccurredAt.Truncate(time.Millisecond)) {
				t.Errorf("%s: data %+v", name, got.Data)
			}
		}
	}
}

func TestResultsSayWhatTheContractAsks(t *testing.T) {
	t.Parallel()
	samples, e := sampleEvents(), events.NewEncoder(&events.EncoderOptions{Source: "/x", SchemaPrefix: "https://s/"})
	read := func(name string) map[string]any {
		m, err := e.EncodeEvent(samples[name])
		if err != nil {
			t.Fatal(err)
		}
		var v map[string]any
		if err := json.Unmarshal(m.Data, &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	succeeded := read("succeeded")
	for k, want := range map[string]any{
		"id": "payment.refund.succeeded.opay-eg.1001=2E000.2", "source": "/x", "subject": "opay-eg/1001=2E000",
		"partitionkey": "opay-eg/1001=2E000", "dataschema": "https://s/payment.refund.succeeded.json", "time": "2026-09-01T10:00:01.123Z",
		"idempotencykey": "opay-eg/1001=2E000/refund/order/1001%", "causationid": "ev-1", "correlationid": `Zoë 100% "q"`,
	} {
		if succeeded[k] != want {
			t.Errorf("%s is %v, want %v", k, succeeded[k], want)
		}
	}
	started := read("started-cancel")
	if _, there := started["idempotencykey"]; there {
		t.Error("a result that is not terminal has an idempotencykey")
	}
	if started["correlationid"] != "ev-1" {
		t.Errorf("correlationid %v, want the command's id", started["correlationid"])
	}
	full := read("failed-full")["data"].(map[string]any)
	if _, there := full["amount"]; there || full["full"] != true {
		t.Errorf("a full refund says amount %v, full %v", full["amount"], full["full"])
	}
	if status := read("review")["data"].(map[string]any)["status"]; status != events.StatusReviewRequired {
		t.Errorf("status %v", status)
	}
}

func TestNothingIsNullAndNoCardNumberLeaves(t *testing.T) {
	t.Parallel()
	all := sampleEvents()
	dirty := all["review"]
	open := *dirty.State.Operations[0].Open
	open.Reason, open.Changed = "card 4111111111111111", open.Changed.In(time.FixedZone("x", 3600))
	dirty.State.Operations = []payment.Operation{{Op: payment.Refund, Open: &open}}
	dirty.Message, dirty.ProviderReference = "card 4111111111111111", "bad \xff"
	all["dirty"] = dirty
	for name, ev := range all {
		m, err := events.NewEncoder(nil).EncodeEvent(ev)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text := string(m.Data)
		for _, banned := range []string{"null", "4111", "55000055", "+01:00", "0001-01-01"} {
			if strings.Contains(text, banned) {
				t.Errorf("%s contains %s: %s", name, banned, text)
			}
		}
	}
	if open.Reason != "card 4111111111111111" {
		t.Error("encoding changed the caller's state")
	}
}

func TestAnEventThatNamesNoPaymentIsNotEncoded(t *testing.T) {
	t.Parallel()
	ev := sampleEvents()["succeeded"]
	ev.ID.Native = ""
	if _, err := events.NewEncoder(nil).EncodeEvent(ev); !errors.Is(err, events.ErrInvalidID) {
		t.Error(err)
	}
	if _, err := events.NewEncoder(nil).EncodeRejection(payment.Rejection{Token: "a.b"}, at(0)); err == nil {
		t.Error("a rejection token with a dot was taken")
	}
	if _, err := events.NewEncoder(nil).EncodeCommand(payment.Command{Op: "capture"}); err == nil {
		t.Error("a command of no known operation was encoded")
	}
}

func TestANewerStateIsNeverGuessedAt(t *testing.T) {
	t.Parallel()
	for _, binary := range []bool{false, true} {
		m, err := events.NewEncoder(&events.EncoderOptions{Binary: binary}).EncodeEvent(sampleEvents()["succeeded"])
		if err != nil {
			t.Fatal(err)
		}
		newer := m
		newer.Data = []byte(strings.Replace(string(m.Data), `"format":1`, `"format":3`, 1))
		if _, err := events.DecodeEvent(newer); !errors.Is(err, events.ErrNewerFormat) {
			t.Errorf("newer: %v", err)
		}
		other := m
		other.Data = []byte(strings.NewReplacer(`"operation":"refund"`, `"operation":{"n":1}`, `"format":1`, `"format":3`).Replace(string(m.Data)))
		if _, err := events.DecodeEvent(other); !errors.Is(err, events.ErrNewerFormat) {
			t.Errorf("newer with other types: %v", err)
		}
		none := m
		none.Data = []byte(strings.Replace(string(m.Data), `"state":`, `"estate":`, 1))
		if _, err := events.DecodeEvent(none); err == nil || errors.Is(err, events.ErrNewerFormat) {
			t.Errorf("without a state: %v", err)
		}
		more := m
		more.Data = []byte(strings.Replace(string(m.Data), `"operation":`, `"later":[1],"operation":`, 1))
		if _, err := events.DecodeEvent(more); err != nil {
			t.Errorf("with an unknown member: %v", err)
		}
	}
	rejection, err := events.NewEncoder(nil).EncodeRejection(sampleRejection(), at(0))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []events.Message{rejection, {}, {Data: []byte("x")}} {
		if _, err := events.DecodeEvent(m); err == nil || errors.Is(err, events.ErrNewerFormat) {
			t.Errorf("no event of a payment: %v", err)
		}
	}
}

func TestACommandTravelsUnchanged(t *testing.T) {
	t.Parallel()
	d, e := newDecoder(t), events.NewEncoder(&events.EncoderOptions{Binary: true})
	refund := wantRefund()
	refund.Time, refund.Expiry = at(0), at(1)
	refund.CorrelationID, refund.TraceParent, refund.TraceState = `Zoë 100% "q"`, traceParent, "a=b"
	full, cancel := wantRefund(), wantRefund()
	full.Amount, full.Full, full.Reason = nil, true, ""
	cancel.Op, cancel.Amount, cancel.Payment.TransactionID = payment.Cancel, nil, "t.*>"
	for _, want := range []payment.Command{refund, full, cancel} {
		m, err := e.EncodeCommand(want)
		if err != nil {
			t.Fatal(err)
		}
		for _, subject := range []string{m.Subject, events.DueSubject(want.Op), events.CommandSubject(want.Op, "opay-eg")} {
			m.Subject = subject
			got, invalid := d.DecodeCommand(m)
			if invalid != nil {
				t.Fatal(invalid)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", subject, diff)
			}
		}
	}
}
