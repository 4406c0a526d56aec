package bentosim

import (
	"time"
)

// The documented states.
const (
	authorizing      = "Authorizing"
	authFailed       = "AuthFailed"
	authSucceeded    = "AuthSucceeded"
	authExpired      = "AuthExpired"
	authVoided       = "AuthVoided"
	capturing        = "Capturing"
	captureFailed    = "CaptureFailed"
	captureSucceeded = "CaptureSucceeded"
	refunding        = "Refunding"
	refunded         = "Refunded"
	refundFailed     = "RefundFailed"
)

func states() []string {
	return []string{
		authorizing, authFailed, authSucceeded, authExpired, authVoided, capturing, captureFailed,
		captureSucceeded, refunding, refunded, refundFailed,
	}
}

// transaction is one transaction; the simulator's mu guards it.
type transaction struct {
	Payment
	Captured int64     `json:"captured"`
	PaidBack int64     `json:"paidBack"`
	Status   status    `json:"status"`
	History  []entry   `json:"history"`
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
	Pending  *change   `json:"pending,omitempty"`
	// Before is the view from before the first void or refund, for lagging reads.
	Before *view `json:"before,omitempty"`
}

// change is an accepted void or refund that is not finished.
type change struct {
	State  string `json:"state"` // it will come to
	Amount int64  `json:"amount"`
	Code   string `json:"code,omitempty"`
	// Reads is how many reads show it unfinished; negative: until Settle.
	Reads   int  `json:"reads"`
	Counted bool `json:"counted"` // the amount is in refundedAmount already
}

type status struct {
	Code        string `json:"code"`
	Description string `json:"description"`
	Outcome     string `json:"outcome"`
}

// entry's amount is what is left of the transaction after the action.
type entry struct {
	Amount  int64  `json:"amount"`
	Result  string `json:"result"`
	Action  string `json:"action"`
	Status  status `json:"status"`
	Created string `json:"created"`
}

// view is a transaction as the API shows it.
type view struct {
	OrderID          string  `json:"orderId"`
	TransactionID    string  `json:"transactionId"`
	CustomerID       string  `json:"customerId"`
	PaymentMethodID  string  `json:"paymentMethodId"`
	TotalAmount      int64   `json:"totalAmount"`
	AuthorizedAmount int64   `json:"authorizedAmount"`
	CapturedAmount   int64   `json:"capturedAmount"`
	RefundedAmount   int64   `json:"refundedAmount"`
	Currency         string  `json:"currency"`
	Description      string  `json:"description"`
	State            string  `json:"state"`
	Status           status  `json:"status"`
	History          []entry `json:"history"`
	Created          string  `json:"created"`
	Updated          string  `json:"updated"`
}

func approved() status {
	return status{Code: "PG0000", Description: "Approved or completed successfully", Outcome: "succeeded"}
}

// failed is a no for good.
func failed(code string) status {
	return status{Code: code, Description: "Do not honour", Outcome: "failedNonRetryable"}
}

// seeded is a transaction with the history that leads to its state.
func seeded(p Payment, now time.Time) *transaction {
	t := &transaction{Payment: p, Created: now}
	t.State = authorizing
	t.Updated = now
	step := func(action, state string, s status) {
		t.State = state
		t.note(action, s, now)
	}
	no := failed("PG0005")
	switch p.State {
	case authorizing:
		return t
	case authFailed:
		step("Authorize", authFailed, no)
		return t
	}
	step("Authorize", authSucceeded, approved())
	switch p.State {
	case authSucceeded:
	case authExpired:
		t.State = authExpired
	case authVoided:
		step("Void", authVoided, approved())
	case capturing:
		t.State = capturing
	case captureFailed:
		step("Capture", captureFailed, no)
	default:
		t.capture(now)
		t.afterCapture(p, now)
	}
	return t
}

// afterCapture goes on to a state behind the capture.
func (t *transaction) afterCapture(p Payment, now time.Time) {
	switch p.State {
	case refunding:
		t.State = refunding
		t.Pending = &change{State: refunded, Amount: p.Amount, Reads: -1}
	case refunded:
		t.Pending = &change{State: refunded, Amount: p.Refunded}
		if p.Refunded == 0 {
			t.Pending.Amount = p.Amount
		}
		t.finish(now)
	case refundFailed:
		t.Pending = &change{State: refundFailed, Code: "PG0005"}
		t.finish(now)
	}
}

// capture captures an authorised transaction that is not being voided.
func (t *transaction) capture(now time.Time) bool {
	if t.State != authSucceeded || t.Pending != nil {
		return false
	}
	t.State, t.Captured = captureSucceeded, t.Amount
	t.note("Capture", approved(), now)
	return true
}

// finish brings an accepted void or refund to its end.
func (t *transaction) finish(now time.Time) {
	c := t.Pending
	if c == nil {
		return
	}
	t.Pending, t.State = nil, c.State
	switch c.State {
	case authVoided:
		t.note("Void", approved(), now)
	case refunded:
		if !c.Counted {
			t.PaidBack += c.Amount
		}
		t.note("Refund", approved(), now)
	case refundFailed:
		if c.Counted {
			t.PaidBack -= c.Amount
		}
		t.note("Refund", failed(c.Code), now)
	case authSucceeded: // a void that failed
		t.note("Void", failed(c.Code), now)
	}
}

// note adds a history entry, which is the transaction's status too.
func (t *transaction) note(action string, s status, now time.Time) {
	result := "Success"
	if s.Outcome != "succeeded" {
		result = "Failure"
	}
	t.Status, t.Updated = s, now
	t.History = append(t.History, entry{
		Amount: t.Amount - t.PaidBack, Result: result, Action: action, Status: s, Created: stamp(now),
	})
}

func (t *transaction) view() view {
	return view{
		OrderID: t.OrderID, TransactionID: t.TransactionID, CustomerID: "cu_" + t.OrderID, PaymentMethodID: "pm_" + t.OrderID,
		TotalAmount: t.Amount - t.PaidBack, AuthorizedAmount: t.Amount, CapturedAmount: t.Captured, RefundedAmount: t.PaidBack,
		Currency: t.Currency, Description: "A description of the transaction.", State: t.State, Status: t.Status,
		History: append([]entry{}, t.History...), Created: stamp(t.Created), Updated: stamp(t.Updated),
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
