package bento

import (
	"time"

	"github.com/go-json-experiment/json"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// The documented states of a transaction.
const (
	stateAuthorizing      = "Authorizing"
	stateAuthFailed       = "AuthFailed"
	stateAuthSucceeded    = "AuthSucceeded"
	stateAuthExpired      = "AuthExpired"
	stateAuthVoided       = "AuthVoided"
	stateCapturing        = "Capturing"
	stateCaptureFailed    = "CaptureFailed"
	stateCaptureSucceeded = "CaptureSucceeded"
	stateRefunding        = "Refunding"
	stateRefunded         = "Refunded"
	stateRefundFailed     = "RefundFailed"
)

// The documented words of history entries and statuses that are looked for.
const (
	actionVoid   = "Void"
	actionRefund = "Refund"

	resultSuccess = "Success"
	resultFailure = "Failure"

	outcomeSucceeded = "succeeded"
	outcomeRetryable = "failedRetryable"
	outcomeFinal     = "failedNonRetryable"
)

// maxMoves bounds the Void and Refund entries of one history. Each can be sent
// once; a history with more of them is none we understand.
const maxMoves = 16

// answer is any body of the API: {"data": transaction}, or an error with a
// message, which in the API's later generation carries a decline's status.
type answer struct {
	Data    *transaction   `json:"data"`
	Message providers.Text `json:"message"`
	Status  status         `json:"status"`
}

// transaction holds the documented members this adapter needs. Who paid and
// with which card is not read at all.
type transaction struct {
	OrderID       string           `json:"orderId"`
	TransactionID string           `json:"transactionId"`
	Captured      *int64           `json:"capturedAmount"` // minor units
	Refunded      *int64           `json:"refundedAmount"`
	Currency      payment.Currency `json:"currency"`
	State         string           `json:"state"`
	Status        status           `json:"status"`
	History       []entry          `json:"history"`
}

// entry is one action in a transaction's history.
type entry struct {
	// Amount is what is left of the transaction after the action, not what the
	// action moved.
	Amount  *int64 `json:"amount"`
	Result  string `json:"result"`
	Action  string `json:"action"`
	Status  status `json:"status"`
	Created string `json:"created"`
}

// status is the status of a transaction or of one action.
type status struct {
	Code        string `json:"code"`
	Description string `json:"description"`
	Outcome     string `json:"outcome"`
}

// UnmarshalJSON reads an object; anything else is no status. Gateways put
// their HTTP status as a number under the same name.
func (s *status) UnmarshalJSON(b []byte) error {
	type plain status
	if len(b) == 0 || b[0] != '{' {
		return nil
	}
	return json.Unmarshal(b, (*plain)(s))
}

// decode reads a body. It is a strict decoder: of a member named twice the
// wrong one could be read. false: not one whole JSON object of ours.
func decode(body []byte) (answer, bool) {
	var b answer
	if err := json.Unmarshal(body, &b); err != nil {
		return answer{}, false
	}
	return b, b.Data != nil || b.Message != "" || b.Status != (status{})
}

// read decodes a body that must hold the transaction asked about.
func read(r providers.Request, body []byte) (transaction, bool) {
	b, ok := decode(body)
	if !ok || b.Data == nil || !b.Data.readable(r) {
		return transaction{}, false
	}
	return *b.Data, true
}

// ours reports whether it is the request's transaction.
func (t *transaction) ours(r providers.Request) bool {
	return t.TransactionID == r.Payment.TransactionID && (t.OrderID == "" || t.OrderID == r.Payment.OrderID)
}

// readable reports whether it is the request's transaction, in a state we know,
// with amounts that can be.
func (t *transaction) readable(r providers.Request) bool {
	if !t.ours(r) {
		return false
	}
	_, isCurrency := t.Currency.Exponent()
	for _, amount := range []*int64{t.Captured, t.Refunded} {
		if amount != nil && (*amount < 0 || *amount > payment.MaxAmount || !isCurrency) {
			return false
		}
	}
	_, known := paymentStatus(*t)
	return known && len(t.moves()) <= maxMoves
}

// money is an amount in the transaction's currency; nil where none is given or
// it is zero.
func (t *transaction) money(amount *int64) *payment.Money {
	if amount == nil || *amount == 0 {
		return nil
	}
	return &payment.Money{Value: *amount, Currency: t.Currency}
}

// moves lists the history's Void and Refund entries.
func (t *transaction) moves() []entry {
	var out []entry
	for _, e := range t.History {
		if e.Action == actionVoid || e.Action == actionRefund {
			out = append(out, e)
		}
	}
	return out
}

// fresh lists the Void and Refund entries that were not there before the first
// attempt. Histories only grow.
func (t *transaction) fresh(r providers.Request) []entry {
	before := 0
	if r.Snapshot != nil {
		before = len(r.Snapshot.Movements)
	}
	moves := t.moves()
	return moves[min(before, len(moves)):]
}

// last is the history's last entry, whose status is the transaction's.
func (t *transaction) last() entry {
	if len(t.History) == 0 {
		return entry{}
	}
	return t.History[len(t.History)-1]
}

// created is an entry's time; zero where it cannot be read.
func (e entry) created() time.Time {
	at, err := time.Parse(time.RFC3339, e.Created)
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// movement is the entry as a reading keeps it. Entries have no identifiers.
func (t *transaction) movement(e entry) payment.Movement {
	result := "unknown"
	if e.Result == resultSuccess || e.Result == resultFailure {
		result = e.Result
	}
	return payment.Movement{
		Reference: e.Action + " " + result + " " + e.created().Format(time.RFC3339Nano), Amount: t.money(e.Amount),
	}
}

// outcome fills in what the transaction says of a void or refund. Where its
// last such entry is not new and its state speaks of none, its status is the
// authorisation's or the capture's and is left out.
func (t *transaction) outcome(r providers.Request, o payment.Outcome) payment.Outcome {
	o.ProviderReference = t.TransactionID
	said := status{}
	if fresh := t.fresh(r); len(fresh) > 0 {
		last := fresh[len(fresh)-1]
		said, o.ProviderTime = last.Status, last.created()
	} else {
		switch t.State {
		case stateAuthVoided, stateRefunding, stateRefunded, stateRefundFailed:
			said = t.Status
		}
	}
	o.ProviderCode, o.ProviderMessage = said.Code, said.Description
	return o
}
