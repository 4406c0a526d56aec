package openpaysim

import (
	"net/http"
	"strconv"

	"github.com/countermand/countermand/providers/simulator"
)

// refund carries out one refund request:
//
//	request or payment                       answer
//	a required field missing                 DECLINED 188, nothing named
//	amount without currency, or the reverse  DECLINED 188
//	unknown, or not this referenceNo         404, DECLINED
//	a method other than CREDITCARD, VISA     ERROR
//	fully refunded                           DECLINED 32
//	never paid                               DECLINED
//	no amount                                all that is left is refunded, APPROVED 00
//	amount, partial refunds off              DECLINED
//	amount over what is left                 DECLINED
//	amount                                   refunded, also a second time: there is no identity to tell by
func (s *Simulator) refund(in request, f simulator.Fault) simulator.Reply {
	if field := in.missing(); field != "" {
		return invalid(field)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.Payments[in.transactionID]
	if p == nil || p.ReferenceNo != in.referenceNo {
		return notFound()
	}
	if f.Mode == simulator.Decline {
		return s.declined(p, declineCode(f), "Do not honor")
	}
	if p.Method != "CREDITCARD" && p.Method != "VISA" {
		return reply(http.StatusOK, s.of(p, "ERROR", "Payment method is not refundable", CodeNotRefundable))
	}
	switch {
	case p.Refunded >= p.Amount:
		return s.declined(p, codeAlreadyRefunded, "Already refunded")
	case p.Status != "APPROVED":
		return s.declined(p, CodeNotRefundable, "Transaction is not refundable")
	case in.amount == "":
		return s.execute(p, p.Amount-p.Refunded)
	case !s.options.PartialRefunds:
		return s.declined(p, CodeNoPartialRefunds, "Partial refund is not allowed")
	}
	return s.refundPart(p, in)
}

func (s *Simulator) refundPart(p *held, in request) simulator.Reply {
	amount, err := strconv.ParseInt(in.amount, 10, 64)
	switch {
	case err != nil || amount <= 0:
		return invalid("amount")
	case in.currency != p.Currency || amount > p.Amount-p.Refunded:
		return s.declined(p, CodeTooMuch, "Invalid amount")
	default:
		return s.execute(p, amount)
	}
}

// execute moves the money and says so.
func (s *Simulator) execute(p *held, amount int64) simulator.Reply {
	p.Refunded += amount
	s.Ledger().Record(simulator.Movement{
		Time: s.Now(), Operation: "refund", Payment: p.TransactionID, Reference: p.ReferenceNo,
		Amount: amount, Currency: p.Currency,
	})
	live := false
	a := s.of(p, "APPROVED", "Approved", codeApproved)
	a.Amount = strconv.FormatInt(amount, 10)
	a.IsLive = &live
	return reply(http.StatusOK, a)
}

// declined has no isLive, as in the sample; its code is a number.
func (s *Simulator) declined(p *held, code any, message string) simulator.Reply {
	return reply(http.StatusOK, s.of(p, "DECLINED", message, code))
}

// declineCode is a decline fault's code, a number where it can be one.
func declineCode(f simulator.Fault) any {
	if f.Code == "" {
		return CodeDeclined
	}
	if n, err := strconv.Atoi(f.Code); err == nil {
		return n
	}
	return f.Code
}

// status answers what the payment is in. With a lag fault it is what it was
// before any refund.
func (s *Simulator) status(in request, f simulator.Fault) simulator.Reply {
	if in.apiKey == "" || in.referenceNo == "" {
		return invalid("referenceNo")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.Payments {
		if p.ReferenceNo == in.referenceNo && s.options.Status > StatusBlank {
			return reply(http.StatusOK, s.describe(p, f.Mode == simulator.Lag))
		}
	}
	return notFound()
}

func (s *Simulator) describe(p *held, lagging bool) answer {
	live := false
	a := s.of(p, p.Status, p.Status, codeApproved)
	a.IsLive = &live
	switch {
	case s.options.Status == StatusWrong:
		a.Status, a.Message = "FAILED", "Failed"
	case lagging:
	case p.Refunded >= p.Amount && s.options.Status >= StatusFull:
		a.Status, a.Message = "REFUNDED", "Refunded"
	case p.Refunded > 0 && s.options.Status == StatusParts:
		a.Status, a.Message = "PARTIALLY_REFUNDED", "Partially refunded"
		a.RefundedAmount = strconv.FormatInt(p.Refunded, 10)
	}
	return a
}

func notFound() simulator.Reply {
	return reply(http.StatusNotFound, answer{Code: CodeNotFound, Status: "DECLINED", Message: "Transaction not found"})
}

// missing names the first required field that is absent. Amount and currency
// go together or not at all.
func (in request) missing() string {
	fields := []struct{ name, value string }{
		{"apiKey", in.apiKey}, {"transactionId", in.transactionID}, {"referenceNo", in.referenceNo},
	}
	if in.amount != "" || in.currency != "" {
		fields = append(fields, []struct{ name, value string }{{"amount", in.amount}, {"currency", in.currency}}...)
	}
	for _, f := range fields {
		if f.value == "" {
			return f.name
		}
	}
	return ""
}
