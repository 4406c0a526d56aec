package tranzzosim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/simulator"
)

// The status codes made up here.
const (
	codeSuccess  = "1000"
	codePending  = "1001"
	codeDeclined = "2002"
)

// order is one order: the payment first, then what was done to it.
type order struct {
	Payment
	Operations []*operation `json:"operations"`
	Listed     int          `json:"listed"` // times, since something is pending
}

// operation is one entry of the order's listing.
type operation struct {
	ID      string    `json:"id"`
	Method  string    `json:"method"`
	Amount  int64     `json:"amount"`
	Status  string    `json:"status"`
	Code    string    `json:"code"`
	Comment string    `json:"comment"`
	Created time.Time `json:"created"`
	// ServerURL is where its notification goes.
	ServerURL string `json:"serverUrl,omitempty"`
}

func (s *Simulator) operation(method string, amount int64, status, comment string) *operation {
	s.Serial++
	code := codeSuccess
	if status == "init" || status == "pending" {
		code = codePending
	}
	return &operation{
		ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", s.Serial), Method: method, Amount: amount,
		Status: status, Code: code, Comment: comment, Created: s.Now(),
	}
}

// total adds up the operations of a method in one of the statuses.
func (o *order) total(method string, statuses ...string) (sum int64, found bool) {
	for _, op := range o.Operations {
		for _, status := range statuses {
			if op.Method == method && op.Status == status {
				sum, found = sum+op.Amount, true
			}
		}
	}
	return sum, found
}

// left is what can still be refunded; refunds under way count.
func (o *order) left() int64 {
	purchased, _ := o.total("purchase", "success")
	captured, _ := o.total("capture", "success")
	refunded, _ := o.total("refund", "success", "pending")
	return purchased + captured - refunded
}

// authorised reports whether the payment holds money that nobody took or freed.
func (o *order) authorised() bool {
	_, held := o.total("auth", "success")
	_, taken := o.total("capture", "success")
	_, freed := o.total("void", "success", "pending")
	return held && !taken && !freed
}

// last returns the last operation of a method that has not failed, or nil.
func (o *order) last(method string) *operation {
	var found *operation
	for _, op := range o.Operations {
		if op.Method == method && op.Status != "failure" {
			found = op
		}
	}
	return found
}

// settle decides what is pending; the caller holds mu.
func (s *Simulator) settle(o *order) {
	for _, op := range o.Operations[1:] {
		if op.Status == "pending" {
			op.Status, op.Code = "success", codeSuccess
			s.executed(o, op)
		}
	}
	o.Listed = 0
}

// executed notes an operation in the ledger; a void moves no money.
func (s *Simulator) executed(o *order, op *operation) {
	if op.Method == "void" {
		s.record("cancel", o, op, 0)
		return
	}
	s.record("refund", o, op, op.Amount)
}

func (s *Simulator) record(name string, o *order, op *operation, amount int64) {
	s.Ledger().Record(simulator.Movement{
		Time: s.Now(), Operation: name, Payment: o.OrderID, Reference: op.Comment, ProviderReference: op.ID,
		Amount: amount, Currency: o.Currency,
	})
}

// view is an operation as the API shows it. The payment has no operation_id.
func (s *Simulator) view(o *order, op *operation, comment bool) map[string]any {
	v := map[string]any{
		"payment_id": "10000000-0000-4000-8000" + o.Operations[0].ID[len("00000000-0000-4000-8000"):],
		"order_id":   o.OrderID, "pos_id": s.options.PosID, "method": op.Method, "mode": "direct",
		"amount": s.amount(o, op.Amount), "currency": o.Currency, "status": op.Status,
		"status_code": op.Code, "status_description": "simulated", "created_at": stamp(op.Created),
	}
	if op == o.Operations[0] {
		v["mode"], v["processed_at"] = o.Mode, stamp(op.Created)
		v["customer_ip"], v["cc_mask"] = "194.183.171.239", nil
		return v
	}
	v["operation_id"], v["transaction_id"], v["processing_time"] = op.ID, "tx-"+op.ID, stamp(op.Created)
	if comment {
		v["comment"] = op.Comment
	}
	return v
}

// stamp has milliseconds and no zone, as in the samples.
func stamp(t time.Time) string { return t.Format("2006-01-02T15:04:05.000") }

// amount writes minor units as a decimal: a number without needless zeros, as
// in the samples (1, 50.5), or a string.
func (s *Simulator) amount(o *order, minor int64) any {
	digits, _ := payment.Currency(o.Currency).Exponent()
	text := strconv.FormatInt(minor, 10)
	if digits > 0 {
		text = strings.Repeat("0", max(0, digits+1-len(text))) + text
		text = text[:len(text)-digits] + "." + text[len(text)-digits:]
	}
	if s.options.AmountsAsText {
		return text
	}
	if digits > 0 {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return json.Number(text)
}

// failure is the API's error form.
func failure(status int, message, code string) simulator.Reply {
	return simulator.JSONReply(status, map[string]any{"message": message, "args": map[string]string{"code": code}})
}

// invalid is the error form of a field that is not accepted.
func invalid(field, violation string) simulator.Reply {
	return simulator.JSONReply(http.StatusBadRequest, map[string]any{
		"message": "Invalid " + field + " provided",
		"args":    []map[string]string{{"field_name": field, "violation": violation}},
	})
}

func notFound() simulator.Reply { return failure(http.StatusNotFound, "Order not found", "S-404") }
