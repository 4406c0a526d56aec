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
func (s *Simulator) find(reference, orderNo, country string) *held {
	if reference != "" {
		if p := s.Payments[reference]; p != nil && p.Country == country {
			return p
		}
		return nil
	}
	for _, p := range s.Payments {
		if p.OrderNo == orderNo && p.Country == country {
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
			Time: s.Now(), Operation: opCancel, Payment: p.Reference, ProviderReference: p.OrderNo, Currency: p.Currency,
		})
	}
	return success(map[string]any{
		"reference": p.Reference, "orderNo": p.OrderNo, "country": p.Country,
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
	if _, exists := s.Refunds[q.Reference]; exists && !s.options.RepeatsExecute {
		return refusal(s.options.DuplicateCode)
	}
	p := s.find(q.OriginalReference, "", q.Country)
	if p == nil {
		return refusal("02006")
	}
	if p.Status != "SUCCESS" || p.Voided || q.Amount.Currency != p.Currency || q.Amount.Total > p.Amount-p.Refunded {
		return refusal("02001")
	}
	r := s.accept(q, f)
	if r.End == "SUCCESS" {
		p.Refunded += r.Amount
		s.Ledger().Record(simulator.Movement{
			Time: s.Now(), Operation: opRefund, Payment: p.Reference, Reference: r.Reference,
			ProviderReference: r.OrderNo, Amount: r.Amount, Currency: r.Currency,
		})
	}
	data := s.describe(r, p)
	data["refundAmount"] = money(r.Amount, r.Currency)
	return success(data)
}

// accept stores a refund with the end it will come to.
func (s *Simulator) accept(q request, f simulator.Fault) *refund {
	r := &refund{
		Reference: q.Reference, Original: q.OriginalReference, OrderNo: s.number(),
		Amount: q.Amount.Total, Currency: q.Amount.Currency,
		Status: s.options.FirstStatus, End: "SUCCESS", Queries: s.options.SettleAfter, Callback: q.CallbackURL,
	}
	switch f.Mode {
	case simulator.Decline:
		r.Status, r.End, r.ErrorCode = "FAIL", "FAIL", "05"
	case DeclineLater:
		r.Status, r.End, r.ErrorCode = "PENDING", "FAIL", cmp.Or(f.Code, "05")
	case StayPending:
		r.Status, r.Queries = "PENDING", -1
	}
	s.Refunds[r.Reference] = r
	return r
}

// queryRefund shows a refund by the merchant's reference.
func (s *Simulator) queryRefund(q request, f simulator.Fault) simulator.Reply {
	r := s.Refunds[q.Reference]
	switch {
	case f.Mode == simulator.Decline:
		return refusal(cmp.Or(f.Code, "50003"))
	case f.Mode == simulator.Lag, r == nil:
		return refusal("02006")
	}
	p := s.find(r.Original, "", q.Country)
	if p == nil {
		return refusal("02006")
	}
	switch {
	case r.Queries == 0:
		r.Status = r.End
	case r.Queries > 0:
		r.Queries--
	}
	data := s.describe(r, p)
	data["amount"] = money(r.Amount, r.Currency)
	if r.Status == "FAIL" {
		data["errorCode"], data["errorMsg"] = r.ErrorCode, message(r.ErrorCode)
	}
	return success(data)
}

func (s *Simulator) describe(r *refund, p *held) map[string]any {
	return map[string]any{
		"reference": r.Reference, "originalReference": r.Original, "orderNo": r.OrderNo,
		"originalOrderNo": p.OrderNo, "country": p.Country, "orderStatus": r.Status,
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
		"reference": p.Reference, "orderNo": p.OrderNo, "status": p.Status, "isVoided": p.Voided,
		"amount": money(p.Amount, p.Currency), "vat": money(0, p.Currency), "createTime": p.Created.UnixMilli(),
	}
	if p.Status == "FAIL" {
		data["failureCode"], data["failureReason"] = "05", message("05")
	}
	return success(data)
}
