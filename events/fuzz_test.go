package events_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// FuzzDecodeCommand: nothing panics, a refusal has faults, the message stays as
// it came, and what is accepted travels as a timer without changing.
func FuzzDecodeCommand(f *testing.F) {
	d := newDecoder(f)
	e := events.NewEncoder(nil)
	f.Add("payment.refund.requested", "", "", envelopeJSON("payment.refund.requested", `"time":"2026-09-01T12:00:00.25+02:00",`, refundJSON))
	f.Add("payment.cancel.requested", "1.0", "ev%201", []byte(cancelJSON))
	f.Add("payment.due.refund", "1.0", `"q"`, []byte(refundJSON))
	f.Add("payment.refund.requested", "", "", []byte(`{"specversion":"1.0","id":"a","source":"/s","type":"payment.refund.requested","data_base64":"`+base64JSON(refundJSON)+`"}`))
	f.Add("payment.refund.requested", "", "", []byte("\ufeff"+refundJSON))
	f.Add("payment.refund.requested.opay-eg", "", "", []byte(`{"specversion":1,"data":{"amount":{"value":1e3}},"data":[]}`))
	f.Fuzz(func(t *testing.T, subject, specVersion, id string, data []byte) {
		m := events.Message{Subject: subject, Data: data}
		if specVersion != "" {
			typ := events.CommandSubject(payment.Refund, "")
			if bytes.Contains([]byte(subject), []byte("cancel")) {
				typ = events.CommandSubject(payment.Cancel, "")
			}
			m.Header = map[string][]string{"ce-specversion": {specVersion}, "ce-id": {id}, "ce-source": {"/s"}, "ce-type": {typ}}
		}
		before := bytes.Clone(data)
		c, invalid := d.DecodeCommand(m)
		if !bytes.Equal(before, data) {
			t.Fatal("the message was changed")
		}
		if invalid != nil {
			if len(invalid.Faults) == 0 || len(invalid.Faults) > 100 {
				t.Fatalf("%d faults", len(invalid.Faults))
			}
			return
		}
		again, err := e.EncodeCommand(c)
		if err != nil {
			t.Fatal(err)
		}
		back, invalid := d.DecodeCommand(again)
		if invalid != nil {
			t.Fatalf("what was accepted is refused as a timer: %v", invalid)
		}
		if diff := cmp.Diff(c, back); diff != "" {
			t.Fatalf("changed on the way (-want +got):\n%s", diff)
		}
	})
}

// FuzzDecodeEvent: reading the journal never panics.
func FuzzDecodeEvent(f *testing.F) {
	for _, ev := range sampleEvents() {
		m, err := events.NewEncoder(nil).EncodeEvent(ev)
		if err != nil {
			f.Fatal(err)
		}
		f.Add("", m.Data)
		f.Add("payment.refund.succeeded", m.Data)
	}
	f.Fuzz(func(_ *testing.T, typ string, data []byte) {
		m := events.Message{Data: data}
		if typ != "" {
			m.Header = map[string][]string{"CE-Specversion": {"1.0"}, "Ce-Type": {typ}}
		}
		_, _ = events.DecodeEvent(m)
	})
}
