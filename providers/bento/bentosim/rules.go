package bentosim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"

	"github.com/countermand/countermand/providers/simulator"
)

// problemBody is the API's error form; status is its later generation's.
type problemBody struct {
	Message string  `json:"message"`
	Causes  []cause `json:"causes"`
	Status  *status `json:"status,omitempty"`
}

type cause struct {
	Message string `json:"message"`
}

func problem(code int, message string) simulator.Reply {
	return simulator.JSONReply(code, problemBody{Message: message, Causes: []cause{}})
}

func data(code int, v view) simulator.Reply {
	return simulator.JSONReply(code, struct {
		Data view `json:"data"`
	}{v})
}

// refundAmount reads a body: nil where it asks for everything. false: it is no
// JSON object, has members nobody documented, or no positive integer.
func refundAmount(body []byte) (*int64, bool) {
	if trimmed := bytes.TrimSpace(body); len(trimmed) == 0 || trimmed[0] != '{' {
		return nil, false
	}
	var in struct {
		RefundAmount *int64 `json:"refundAmount"`
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&in) != nil || decoder.More() {
		return nil, false
	}
	return in.RefundAmount, in.RefundAmount == nil || *in.RefundAmount > 0
}

// cancel carries out the one call that voids or refunds. Callers hold mu.
//
//	transaction                     answer
//	not known, or another order's   404
//	a decline fault strikes         declined: recorded, nothing moves
//	a void or refund is under way   422
//	AuthSucceeded                   202, all of it is voided, whatever the amount
//	CaptureSucceeded, amount over the captured  422
//	CaptureSucceeded                202, the amount or all of it is refunded
//	any other state                 422
func (s *Simulator) cancel(t *transaction, amount *int64, f simulator.Fault) simulator.Reply {
	if t == nil {
		return problem(http.StatusNotFound, "Resource Not Found")
	}
	if f.Mode == CaptureFirst {
		t.capture(s.Now())
	}
	refuse := problem(http.StatusUnprocessableEntity, "Action Cannot Be Performed")
	switch {
	case t.Pending != nil || t.State != authSucceeded && t.State != captureSucceeded:
		return refuse
	case f.Mode == simulator.Decline || f.Mode == DeclineRetryable:
		return s.decline(t, f)
	case t.State == authSucceeded:
		return s.accept(t, f, change{State: authVoided})
	case amount == nil:
		return s.accept(t, f, change{State: refunded, Amount: t.Captured})
	case *amount > t.Captured:
		return refuse
	default:
		return s.accept(t, f, change{State: refunded, Amount: *amount})
	}
}

// accept takes a void or refund on, moves the money, and answers 202.
func (s *Simulator) accept(t *transaction, f simulator.Fault, c change) simulator.Reply {
	stale := t.view()
	if t.Before == nil {
		t.Before = &stale
	}
	operation := opCancel
	if c.State == refunded {
		operation, t.State, c.Reads = opRefund, refunding, s.options.SettleAfter
		if s.options.AmountAtOnce {
			t.PaidBack += c.Amount
			c.Counted = true
		}
	}
	switch f.Mode {
	case StayPending:
		c.Reads = -1
	case DeclineLater:
		c.Code = cmp.Or(f.Code, "PG0005")
		if c.State = refundFailed; operation == opCancel {
			c.State = authSucceeded
		}
	}
	if c.State == refunded || c.State == authVoided {
		s.Ledger().Record(simulator.Movement{
			Time: s.Now(), Operation: operation, Payment: t.TransactionID, Reference: t.OrderID,
			Amount: c.Amount, Currency: t.Currency,
		})
	}
	t.Pending = &c
	switch {
	case s.options.Answer == AnswerFinal && c.Reads >= 0:
		t.finish(s.Now())
		return data(http.StatusAccepted, t.view())
	case s.options.Answer == AnswerAccepted:
		return data(http.StatusAccepted, t.view())
	default:
		return data(http.StatusAccepted, stale)
	}
}

// decline records an explicit no. A declined refund is final unless the
// decline says that it may be tried again; a declined void leaves the hold.
func (s *Simulator) decline(t *transaction, f simulator.Fault) simulator.Reply {
	said := failed(cmp.Or(f.Code, "PG0005"))
	if f.Mode == DeclineRetryable {
		said.Outcome = "failedRetryable"
	}
	action := "Void"
	if t.State == captureSucceeded {
		action = "Refund"
		if f.Mode == simulator.Decline {
			t.State = refundFailed
		}
	}
	t.note(action, said, s.Now())
	if s.options.DeclineIn4xx {
		return simulator.JSONReply(http.StatusUnprocessableEntity, problemBody{Message: "Transaction was declined", Causes: []cause{}, Status: &said})
	}
	return data(http.StatusAccepted, t.view())
}

// show answers a read. With a lag fault it is what it was before any void or
// refund. Callers hold mu.
func (s *Simulator) show(t *transaction, f simulator.Fault) simulator.Reply {
	switch {
	case t == nil:
		return problem(http.StatusNotFound, "Resource Not Found")
	case f.Mode == simulator.Lag && t.Before != nil:
		return data(http.StatusOK, *t.Before)
	case t.Pending != nil && t.Pending.Reads == 0:
		t.finish(s.Now())
	case t.Pending != nil && t.Pending.Reads > 0:
		t.Pending.Reads--
	}
	return data(http.StatusOK, t.view())
}
