package opaysim

import (
	"cmp"
	"net/http"

	"github.com/countermand/countermand/providers/simulator"
)

// message is OPay's text for a code.
func message(code string) string {
	switch code {
	case "00000":
		return "SUCCESSFUL"
	case "02000":
		return "authentication failed."
	case "02001":
		return "request params not valid."
	case "02004", "20000":
		return "reference already exists."
	case "02006":
		return "payment not found."
	case "50003":
		return "service not available, please try again."
	default:
		return "error " + code
	}
}

type envelope struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

// refusal is an error answer: OPay sends HTTP 200 with a code and no data.
func refusal(code string) simulator.Reply {
	return simulator.JSONReply(http.StatusOK, envelope{Code: code, Message: message(code)})
}

func success(data map[string]any) simulator.Reply {
	return simulator.JSONReply(http.StatusOK, envelope{Code: "00000", Message: message("00000"), Data: data})
}

func money(total int64, currency string) map[string]any {
	return map[string]any{"total": total, "currency": currency}
}

// find returns the payment a request names, nil where there is none in that
// country. Callers hold mu.
func (s *Simulator) find(reference, orderNo, country string) *Payment {
	if reference != "" {
		if p := s.payments[reference]; p != nil && p.Country == country {
			return p
		}
		return nil
	}
	for _, p := range s.payments {
		if p.orderNo == orderNo && p.Country == country {
			return p
		}
	}
	return nil
}

// close closes an INITIAL payment; any other stays and is shown as it is.
func (s *Simulator) close(q request, f simulator.Fault) simulator.Reply {
	if f.Mode == simulator.Decline {
		return refusal(cmp.Or(f.Code, "02001"))
	}
	p := s.find(q.Reference, q.OrderNo, q.Country)
	if p == nil {
		return refusal("02006")
	}
	if p.Status == "INITIAL" {
		p.Status = "CLOSE"
		s.Ledger().Record(simulator.Movement{
			Time: s.Now(), Operation: opCancel, Payment: p.Reference, ProviderReference: p.orderNo, Currency: p.Currency,
		})
	}
	return success(map[string]any{
		"reference": p.Reference, "orderNo": p.orderNo, "country": p.Country,
		"orderStatus": p.Status, "amount": money(p.Amount, p.Currency),
	})
}

// createRefund accepts a refund, or refuses it without a trace. A decline
// without a code is OPay's answer 00000 with status FAIL, which is a refund
// that exists and failed.
func (s *Simulator) createRefund(q request, f simulator.Fault) simulator.Reply {
	if f.Mode == simulator.Decline && f.Code != "" {
		return refusal(f.Code)
	}
	if q.Reference == "" || q.OriginalReference == "" || q.CallbackURL == "" || q.Amount == nil || q.Amount.Total <= 0 {
		return refusal("02001")
	}
	if _, exists := s.refunds[q.Reference]; exists && !s.options.RepeatsExecute {
		return refusal(s.options.DuplicateCode)
	}
	p := s.find(q.OriginalReference, "", q.Country)
	if p == nil {
		return refusal("02006")
	}
	if p.Status != "SUCCESS" || p.Voided || q.Amount.Currency != p.Currency || q.Amount.Total > p.Amount-p.refunded {
		return refusal("02001")
	}
	r := s.accept(q, f)
	if r.end == "SUCCESS" {
		p.refunded += r.amount
		s.Ledger().Record(simulator.Movement{
			Time: s.Now(), Operation: opRefund, Payment: p.Reference, Reference: r.reference,
			ProviderReference: r.orderNo, Amount: r.amount, Currency: r.currency,
		})
	}
	data := s.describe(r, p)
	data["refundAmount"] = money(r.amount, r.currency)
	return success(data)
}

// accept stores a refund with the end it will come to.
func (s *Simulator) accept(q request, f simulator.Fault) *refund {
	r := &refund{
		reference: q.Reference, original: q.OriginalReference, orderNo: s.number(),
		amount: q.Amount.Total, currency: q.Amount.Currency,
		status: s.options.FirstStatus, end: "SUCCESS", queries: s.options.SettleAfter, callback: q.CallbackURL,
	}
	switch f.Mode {
	case simulator.Decline:
		r.status, r.end, r.errorCode = "FAIL", "FAIL", "05"
	case DeclineLater:
		r.status, r.end, r.errorCode = "PENDING", "FAIL", cmp.Or(f.Code, "05")
	case StayPending:
		r.status, r.queries = "PENDING", -1
	}
	s.refunds[r.reference] = r
	return r
}

// queryRefund shows a refund by the merchant's reference.
func (s *Simulator) queryRefund(q request, f simulator.Fault) simulator.Reply {
	r := s.refunds[q.Reference]
	switch {
	case f.Mode == simulator.Decline:
		return refusal(cmp.Or(f.Code, "50003"))
	case f.Mode == simulator.Lag, r == nil:
		return refusal("02006")
	}
	p := s.find(r.original, "", q.Country)
	if p == nil {
		return refusal("02006")
	}
	switch {
	case r.queries == 0:
		r.status = r.end
	case r.queries > 0:
		r.queries--
	}
	data := s.describe(r, p)
	data["amount"] = money(r.amount, r.currency)
	if r.status == "FAIL" {
		data["errorCode"], data["errorMsg"] = r.errorCode, message(r.errorCode)
	}
	return success(data)
}

func (s *Simulator) describe(r *refund, p *Payment) map[string]any {
	return map[string]any{
		"reference": r.reference, "originalReference": r.original, "orderNo": r.orderNo,
		"originalOrderNo": p.orderNo, "country": p.Country, "orderStatus": r.status,
	}
}

// readPayment shows a payment's status.
func (s *Simulator) readPayment(q request, f simulator.Fault) simulator.Reply {
	p := s.find(q.Reference, q.OrderNo, q.Country)
	switch {
	case f.Mode == simulator.Decline:
		return refusal(cmp.Or(f.Code, "50003"))
	case f.Mode == simulator.Lag, p == nil:
		return refusal("02006")
	}
	data := map[string]any{
		"reference": p.Reference, "orderNo": p.orderNo, "status": p.Status, "isVoided": p.Voided,
		"amount": money(p.Amount, p.Currency), "vat": money(0, p.Currency), "createTime": p.created.UnixMilli(),
	}
	if p.Status == "FAIL" {
		data["failureCode"], data["failureReason"] = "05", message("05")
	}
	return success(data)
}
