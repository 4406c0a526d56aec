package payment_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/payment"
)

const (
	// maxEvent is what an event may take on the wire: the server's default
	// max_payload is 1 MiB, headers included.
	maxEvent = 1_000_000
	// ownData is room for what an event says beside the state.
	ownData = 10_000
)

// alphabet is what fields are filled with. Graphic fields take printable ASCII
// only; text fields take any character that is no control character, and their
// limits count characters.
type alphabet struct{ graphic, text string }

// widest is a command whose every field has its greatest length.
func widest(n int, a alphabet) payment.Command {
	graphic := func(size int) string { return strings.Repeat(a.graphic, size) }
	text := func(size int) string { return strings.Repeat(a.text, size) }
	return payment.Command{
		Op: payment.Refund, Key: payment.Key(graphic(252) + fmt.Sprintf("%03d", n)), Provider: "shop",
		Payment: payment.Details{
			OrderID: graphic(64), TransactionID: graphic(64), Country: "EG", Currency: "EGP",
			CapturedAmount: inEGP(payment.MaxAmount),
		},
		Amount: inEGP(1_000_000_000_000), Reason: text(200), EventID: text(128), Source: text(255), CorrelationID: text(255),
		TraceParent: strings.Repeat("0", 55), TraceState: graphic(512),
		Expiry: morning().Add(100*24*time.Hour - 1), RequestedAt: morning().Add(123456789),
	}
}

// atBothLimits is a payment with 200 rejected operations and 200 open ones,
// each of these in doubt and in review with a provider's reference.
func atBothLimits(t *testing.T, a alphabet) payment.State {
	s := tell(t, opay()).pass(123456789)
	for n := range 200 {
		refused := widest(500+n, a)
		refused.Expiry = morning()
		s.command(refused)
	}
	for n := range 200 {
		s.command(widest(n, a)).answered(1, payment.Outcome{Result: payment.Duplicate}).told(payment.Outcome{Result: payment.NotFound})
		s.told(payment.Outcome{Result: payment.Ambiguous})
		s.in.State.Operations[200+n].ProviderReference = strings.Repeat(a.graphic, 64)
	}
	return s.in.State
}

// written is the state as it goes out: without escapes that JSON does not ask for.
func written(t *testing.T, v any) int {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Len()
}

func TestAKnownOutcomeFitsAtBothLimits(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]alphabet{
		"plain letters":              {"x", "x"},
		"characters of four bytes":   {"x", "\U0001F4B8"},
		"quotes":                     {`"`, `"`},
		"quotes and the widest text": {`"`, "\U0001F4B8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := atBothLimits(t, a)
			if got := len(state.Operations); got != 400 {
				t.Fatalf("%d operations, want 400", got)
			}
			size := written(t, state)
			t.Logf("state at both limits: %d bytes; an ended operation %d, an open one %d", size, written(t, state.Operations[0]), written(t, state.Operations[399]))
			if size+ownData > maxEvent {
				t.Errorf("%d bytes and %d for the event itself are over %d", size, ownData, maxEvent)
			}
		})
	}
}
