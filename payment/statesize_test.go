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
	// frozenReading is room for the snapshot of the one operation at a time
	// that a comparing kind has under way.
	frozenReading = 100_000
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
		Amount: inEGP(1_000_000_000_000), Reason: text(200), Origin: payment.Origin{CommandID: text(128), CommandSource: text(255)}, Trace: payment.Trace{CorrelationID: text(255), TraceParent: strings.Repeat("0", 55), TraceState: graphic(512)},
		Expiry: morning().Add(100*24*time.Hour - 1), RequestedAt: morning().Add(123456789),
	}
}

// atBothLimits is a payment with 200 rejected operations and as many open ones
// as are taken, each of these in doubt and in review with a provider's
// reference. It returns how many of the open ones were taken.
func atBothLimits(t *testing.T, a alphabet) (state payment.State, open int) {
	s := tell(t, opay()).pass(123456789)
	for n := range 200 {
		refused := widest(500+n, a)
		refused.Expiry = morning()
		s.command(refused)
	}
	for n := range 200 {
		if s.command(widest(n, a)); s.last.Action == payment.RejectCommand {
			if s.last.Code != payment.CodeTooManyOperations {
				t.Fatalf("refused with %s", s.last.Code)
			}
			break
		}
		open++
		s.answered(1, payment.Outcome{Result: payment.Duplicate}).told(payment.Outcome{Result: payment.NotFound})
		s.told(payment.Outcome{Result: payment.Ambiguous})
		s.in.State.Operations[200+n].ProviderReference = strings.Repeat(a.graphic, 64)
	}
	return s.in.State, open
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
	cases := []struct {
		name string
		a    alphabet
		open int // at least so many open operations are taken
	}{
		{"plain letters", alphabet{"x", "x"}, 200},
		{"characters of four bytes", alphabet{"x", "\U0001F4B8"}, 120},
		{"quotes", alphabet{`"`, `"`}, 130},
		{"quotes and the widest text", alphabet{`"`, "\U0001F4B8"}, 100},
		{"line separators", alphabet{`\`, "\u2028"}, 80},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			state, open := atBothLimits(t, c.a)
			size := written(t, state)
			t.Logf("%d bytes with %d ended and %d open operations; one ended %d, one open %d",
				size, len(state.Operations)-open, open, written(t, state.Operations[0]), written(t, state.Operations[200]))
			if size+ownData+frozenReading > maxEvent {
				t.Errorf("%d bytes, %d for the event itself and %d for a reading are over %d", size, ownData, frozenReading, maxEvent)
			}
			if open < c.open {
				t.Errorf("only %d open operations were taken, want %d", open, c.open)
			}
		})
	}
}
