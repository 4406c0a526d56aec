package events_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

func TestARejectionIsReadBackInBothModes(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	want := payment.Rejection{
		Token: "17-0123456789ab", Code: payment.CodeInvalidCommand, Faults: []payment.Fault{{Pointer: "/amount", Rule: "required"}},
		Size: 12, SHA256: "0123456789ab", OriginSequence: 17, OriginSubject: "payment.refund.requested", CommandID: "e", Trace: payment.Trace{CorrelationID: "c"},
	}
	for _, binary := range []bool{false, true} {
		m, err := events.NewEncoder(&events.EncoderOptions{Source: "/s", Binary: binary}).EncodeRejection(want, at)
		if err != nil {
			t.Fatal(err)
		}
		got, when, err := events.DecodeRejection(m)
		if diff := cmp.Diff(want, got); err != nil || diff != "" || !when.Equal(at) {
			t.Errorf("binary %t: %v at %s (-want +got):\n%s", binary, err, when, diff)
		}
	}
	for _, text := range []string{`{`, `{}`, `{"id":"payment.refund.rejected.a.b.1","data":{}}`} {
		if _, _, err := events.DecodeRejection(events.Message{Data: []byte(text)}); err == nil {
			t.Errorf("%s is read as a rejection", text)
		}
	}
}

func TestARejectionsTokenIsKnownByItsForm(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]bool{
		events.RejectionToken(17, []byte("x")): true, events.RejectionToken(1<<64-1, nil): true,
		"": false, "17": false, "17-": false, "-0123456789ab": false, "17-0123456789AB": false, "17-0123456789ab.>": false,
		"x-0123456789ab": false, "17-0123456789abc": false, "opay-eg.1.1": false, strings.Repeat("1", 21) + "-0123456789ab": false,
	} {
		if got := events.ValidRejectionToken(token); got != want {
			t.Errorf("%q: %t, want %t", token, got, want)
		}
	}
}

func TestAReplayDecodesBackToTheCommandAndNamesItsCause(t *testing.T) {
	t.Parallel()
	want := payment.Command{
		Op: payment.Refund, Key: "k", Provider: "opay-eg", Payment: payment.Details{OrderID: "1"}, Full: true,
		Origin: payment.Origin{CommandID: "new", CommandSource: "/shop"}, Trace: payment.Trace{CorrelationID: "c"},
	}
	m, err := events.NewEncoder(&events.EncoderOptions{Source: "/s", Binary: true}).EncodeReplay(want, `odd"cause`)
	if err != nil {
		t.Fatal(err)
	}
	d, err := events.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	got, invalid := d.DecodeCommand(m)
	if invalid != nil {
		t.Fatalf("%v\n%s", invalid, m.Data)
	}
	if diff := cmp.Diff(want, got); diff != "" || !strings.Contains(string(m.Data), `"causationid":"odd\"cause"`) {
		t.Errorf("%s (-want +got):\n%s", m.Data, diff)
	}
}
