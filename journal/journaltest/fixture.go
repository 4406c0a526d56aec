package journaltest

import (
	"fmt"
	"strings"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// Event returns a valid started event of a small payment with one operation,
// as its version-th event. The writer is named in it, so that a test can tell
// whose event it reads back (see Writer).
func Event(id payment.ID, version uint64, writer string) payment.Event {
	at := time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC)
	amount := payment.Money{Value: 400, Currency: "EGP"}
	details := payment.Details{OrderID: id.Native, Country: "EG", Currency: "EGP"}
	key := payment.Key("order-1001-return-1")
	origin := payment.Origin{CommandID: writer, CommandSource: "/orders"}
	trace := payment.Trace{CorrelationID: writer}
	return payment.Event{
		Type: payment.EventStarted, Op: payment.Refund, ID: id, Key: key,
		Payment: details, Amount: &amount,
		Outcome: payment.Outcome{ClientReference: "0123456789abcdef0123456789abcdef"}, Attempt: 1,
		Origin: origin, Trace: trace,
		RequestedAt: at, OccurredAt: at.Add(time.Second), CallUntil: at.Add(time.Minute),
		State: payment.State{
			Format: payment.StateFormat, Version: version,
			Operations: []payment.Operation{{
				Op: payment.Refund, KeyHash: key.Hash(), Fingerprint: strings.Repeat("f", 64),
				Status: payment.StatusStarted, First: 1, Last: version, Amount: &amount, Attempt: 1,
				Open: &payment.Open{
					Key: key, Payment: details, Origin: origin, Trace: trace,
					RequestedAt: at, Account: strings.Repeat("a", 32), Reference: "0123456789abcdef0123456789abcdef",
					CallUntil: at.Add(time.Minute), Changed: at.Add(time.Second),
				},
			}},
		},
	}
}

// Writer returns the writer named in a state built by Event, or "".
func Writer(s payment.State) string {
	if len(s.Operations) == 0 || s.Operations[0].Open == nil {
		return ""
	}
	return s.Operations[0].Open.CommandID
}

// FullEvent returns an event that carries every field a state can have.
func FullEvent(id payment.ID) payment.Event {
	e := Event(id, 7, "full")
	at := e.RequestedAt
	money := func(v int64) *payment.Money { return &payment.Money{Value: v, Currency: "EGP"} }
	e.State.Captured = money(40000)
	open := e.State.Operations[0].Open
	open.Reason = "item returned, 100% “as new” <&>"
	open.Payment.TransactionID = "tx-1"
	open.Payment.CapturedAmount = money(40000)
	open.TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	open.TraceState = "vendor=1"
	open.Expiry = at.Add(24 * time.Hour)
	open.Snapshot = &payment.Reading{
		OK: true, Status: payment.PaymentPaid, Captured: money(40000), Refunded: money(100), At: at,
		Movements: []payment.Movement{{Reference: "m-1", Amount: money(100)}, {Reference: "m-2"}},
	}
	open.Doubt = []int{1, 2}
	open.DoubtSince, open.NotFoundSince = at.Add(time.Second), at.Add(2*time.Second)
	open.WaitingSince, open.Due = at.Add(3*time.Second), at.Add(4*time.Second)
	open.Refused = true
	open.Review = &payment.Review{
		Reason: "two candidates", Since: at, LastAsked: at.Add(time.Hour),
		Question: "which of the two is ours?", SafeActions: []string{"query", "decide"},
	}
	e.State.Operations = append(e.State.Operations, payment.Operation{
		Op: payment.Cancel, KeyHash: strings.Repeat("c", 32), Fingerprint: strings.Repeat("d", 64),
		Status: payment.StatusSucceeded, First: 2, Last: 3, Full: true, Moved: money(5), Effect: payment.EffectNone,
		Code: payment.CodeAlreadyCancelled, Basis: payment.BasisInferred, Attempt: 2, ProviderReference: "p-1", Contradicted: true,
	})
	return e
}

// BigEvent returns an event whose state is about 600 KB of JSON: a payment near
// the limits of operations and rejections, most of them open and long-winded.
func BigEvent(id payment.ID) payment.Event {
	e := FullEvent(id)
	e.State.Version = 1
	first := e.State.Operations[0]
	e.State.Operations = nil
	for i := range 335 {
		op, open := first, *first.Open
		open.Key = payment.Key(fmt.Sprintf("key-%03d-%s", i, strings.Repeat("k", 200)))
		open.Reason = strings.Repeat("r", 200)
		op.KeyHash, op.Open = open.Key.Hash(), &open
		e.State.Operations = append(e.State.Operations, op)
	}
	return e
}

// Rejection returns a valid rejection with the given origin sequence.
func Rejection(origin uint64) payment.Rejection {
	return payment.Rejection{
		Token: fmt.Sprintf("%d-0123456789ab", origin), Code: payment.CodeInvalidCommand,
		Faults: []payment.Fault{{Pointer: "/amount", Rule: "required"}},
		Size:   12, SHA256: "0123456789ab" + strings.Repeat("0", 52),
		OriginSequence: origin, OriginSubject: events.CommandSubject(payment.Refund, ""),
	}
}
