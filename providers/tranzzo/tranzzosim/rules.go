package tranzzosim

import (
	"cmp"
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/simulator"
)

// request is the body of a void or refund.
type request struct {
	PosID         string          `json:"pos_id"`
	OrderID       string          `json:"order_id"`
	OrderCurrency string          `json:"order_currency"`
	Comment       string          `json:"comment"`
	RefundAmount  json.RawMessage `json:"refund_amount"`
	ServerURL     string          `json:"server_url"`  // see Notify
	RefundDate    string          `json:"refund_date"` // accepted and not used
}

// serveBody serves a call with a JSON body.
func (s *Simulator) serveBody(name string, rule func(request, simulator.Fault) simulator.Reply) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, ok := s.Read(r)
		var in request
		readable := ok && json.Unmarshal(body, &in) == nil
		call := simulator.Call{Operation: name, Payment: in.OrderID, Reference: in.Comment, Body: string(body)}
		refusal, admitted := s.admit(r, cmp.Or(in.PosID, s.options.PosID))
		media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		switch {
		case !admitted:
			s.Refuse(w, call, refusal)
		case err != nil || media != "application/json":
			s.Refuse(w, call, failure(http.StatusNotAcceptable, "Content-Type must be application/json", "S-406"))
		case !readable:
			s.Refuse(w, call, invalid("body", "is no JSON object"))
		default:
			s.Serve(w, r, call, func(f simulator.Fault) simulator.Reply { return rule(in, f) })
		}
	}
}

// missing names the first required field that is absent or too long.
func (in request) missing() string {
	switch {
	case in.PosID == "":
		return "pos_id"
	case in.OrderID == "":
		return "order_id"
	case in.OrderCurrency == "":
		return "order_currency"
	case len(in.Comment) > 2048:
		return "comment"
	default:
		return ""
	}
}

// refund carries out one refund request:
//
//	| Request or order              | Answer                                                    |
//	|-------------------------------|-----------------------------------------------------------|
//	| a required field missing      | 400                                                       |
//	| unknown order                 | 404                                                       |
//	| another currency              | 400                                                       |
//	| nothing paid, or nothing left | 400                                                       |
//	| an amount that is none        | 400                                                       |
//	| more than is left             | 400                                                       |
//	| a decline fault               | listed as failed, failure                                 |
//	| no amount                     | all that is left is refunded                              |
//	| an amount                     | refunded, also a second time: there is no identity to tell by |
func (s *Simulator) refund(in request, f simulator.Fault) simulator.Reply {
	if field := in.missing(); field != "" {
		return invalid(field, "is required")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.Orders[in.OrderID]
	switch {
	case o == nil:
		return notFound()
	case in.OrderCurrency != o.Currency:
		return invalid("order_currency", "is not the order's")
	case o.left() <= 0:
		return failure(http.StatusBadRequest, "Nothing to refund", "S-400")
	}
	amount := o.left()
	if len(in.RefundAmount) > 0 {
		var ok bool
		if amount, ok = minor(in.RefundAmount, o.Currency); !ok {
			return invalid("refund_amount", "must be a positive number with two decimals at most")
		}
	}
	if amount > o.left() {
		return invalid("refund_amount", "exceeds the amount of the payment")
	}
	return s.do(o, s.requested("refund", amount, in), f)
}

// void carries out one void request: the hold of an authorised payment is
// released. A second one repeats the answer.
func (s *Simulator) void(in request, f simulator.Fault) simulator.Reply {
	if field := in.missing(); field != "" {
		return invalid(field, "is required")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.Orders[in.OrderID]
	switch {
	case o == nil:
		return notFound()
	case in.OrderCurrency != o.Currency:
		return invalid("order_currency", "is not the order's")
	case o.last("void") != nil && !s.options.RefuseRepeats:
		return simulator.JSONReply(http.StatusOK, s.view(o, o.last("void"), true))
	case !o.authorised():
		return failure(http.StatusBadRequest, "Void is not possible", "S-400")
	}
	return s.do(o, s.requested("void", o.Amount, in), f)
}

// first is the status an operation is answered with.
func (s *Simulator) first() string {
	if s.options.Pending {
		return "pending"
	}
	return "success"
}

// requested is a new operation as the request names it.
func (s *Simulator) requested(method string, amount int64, in request) *operation {
	op := s.operation(method, amount, s.first(), in.Comment)
	op.ServerURL = in.ServerURL
	return op
}

// do adds the operation to the order and carries it out, or fails it.
func (s *Simulator) do(o *order, op *operation, f simulator.Fault) simulator.Reply {
	o.Operations = append(o.Operations, op)
	switch {
	case f.Mode == simulator.Decline:
		op.Status, op.Code = "failure", cmp.Or(f.Code, codeDeclined)
	case op.Status == "success":
		s.executed(o, op)
	default:
		o.Listed = 0
	}
	return simulator.JSONReply(http.StatusOK, s.view(o, op, true))
}

// minor reads a positive decimal, a string or a number, as minor units.
func minor(raw json.RawMessage, currency string) (int64, bool) {
	text := string(raw)
	var s string
	if json.Unmarshal(raw, &s) == nil {
		text = s
	}
	digits, _ := payment.Currency(currency).Exponent()
	whole, fraction, pointed := strings.Cut(text, ".")
	if len(fraction) > digits || (pointed && fraction == "") || strings.ContainsAny(text, "+-eE") {
		return 0, false
	}
	n, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", digits-len(fraction)), 10, 64)
	return n, err == nil && n > 0
}

// serveCancel serves the cancel of an unpaid payment; it has no body.
func (s *Simulator) serveCancel(w http.ResponseWriter, r *http.Request) {
	s.Read(r)
	id := r.PathValue("order")
	call := simulator.Call{Operation: "cancel", Payment: id}
	if reply, admitted := s.admit(r, r.PathValue("pos")); !admitted {
		s.Refuse(w, call, reply)
		return
	}
	s.Serve(w, r, call, func(f simulator.Fault) simulator.Reply { return s.cancel(id, f) })
}

// cancel closes an unpaid hosted payment. Its answer is an array, and the
// payment in it has failed. A second one repeats the answer.
func (s *Simulator) cancel(id string, f simulator.Fault) simulator.Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.Orders[id]
	if o == nil {
		return notFound()
	}
	first := o.Operations[0]
	switch {
	case first.Code == CodeCancelled && !s.options.RefuseRepeats:
	case first.Status != "init" || o.Mode != "hosted" || f.Mode == simulator.Decline:
		return failure(http.StatusBadRequest, "Payment can not be cancelled", cmp.Or(f.Code, "S-400"))
	default:
		first.Status, first.Code = "failure", CodeCancelled
		s.record("cancel", o, first, 0)
	}
	return simulator.JSONReply(http.StatusOK, []any{s.view(o, first, false)})
}

// serveOrders serves the listing of an order.
func (s *Simulator) serveOrders(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("order")
	call := simulator.Call{Operation: "query", Payment: id}
	if reply, admitted := s.admit(r, r.PathValue("pos")); !admitted {
		s.Refuse(w, call, reply)
		return
	}
	s.Serve(w, r, call, func(f simulator.Fault) simulator.Reply { return s.list(id, f) })
}

// list shows all operations. With a lag fault it shows what was before any
// refund, void or cancel.
func (s *Simulator) list(id string, f simulator.Fault) simulator.Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.Orders[id]
	if o == nil {
		return notFound()
	}
	if o.Listed++; s.options.SettleAfter > 0 && o.Listed > s.options.SettleAfter {
		s.settle(o)
	}
	var views []any
	for _, op := range o.Operations {
		before := *op
		switch {
		case f.Mode == simulator.Lag && (op.Method == "refund" || op.Method == "void"):
			continue
		case f.Mode == simulator.Lag && op.Code == CodeCancelled:
			before.Status, before.Code = "init", codePending
		}
		v := s.view(o, op, s.options.ShowComments)
		v["status"], v["status_code"] = before.Status, before.Code
		views = append(views, v)
	}
	return simulator.JSONReply(http.StatusOK, views)
}
