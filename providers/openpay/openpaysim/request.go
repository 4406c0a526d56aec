package openpaysim

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	"github.com/countermand/countermand/providers/simulator"
)

// request is one API call's body.
type request struct {
	readable      bool
	apiKey        string
	transactionID string
	referenceNo   string
	amount        string
	currency      string
}

// read reads a form or JSON body and names the call for the record. The body
// is recorded whole; the base masks the key.
func (s *Simulator) read(r *http.Request, operation string) (request, simulator.Call) {
	body, ok := s.Read(r)
	in := parse(r.Header.Get("Content-Type"), body)
	in.readable = in.readable && ok
	return in, simulator.Call{
		Operation: operation, Payment: s.paymentOf(in), Reference: in.referenceNo, Body: string(body),
	}
}

// paymentOf is the transaction a call is about; a status names only the reference.
func (s *Simulator) paymentOf(in request) string {
	if in.transactionID != "" {
		return in.transactionID
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, p := range s.Payments {
		if p.ReferenceNo == in.referenceNo {
			return id
		}
	}
	return ""
}

func parse(contentType string, body []byte) request {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return request{}
	}
	switch media {
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		return request{
			readable: err == nil, apiKey: form.Get("apiKey"), transactionID: form.Get("transactionId"),
			referenceNo: form.Get("referenceNo"), amount: form.Get("amount"), currency: form.Get("currency"),
		}
	case "application/json":
		return parseJSON(body)
	default:
		return request{}
	}
}

func parseJSON(body []byte) request {
	var in struct {
		APIKey        string       `json:"apiKey"`
		TransactionID string       `json:"transactionId"`
		ReferenceNo   string       `json:"referenceNo"`
		Amount        *json.Number `json:"amount"`
		Currency      string       `json:"currency"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return request{}
	}
	out := request{
		readable: true, apiKey: in.APIKey, transactionID: in.TransactionID,
		referenceNo: in.ReferenceNo, currency: in.Currency,
	}
	if in.Amount != nil {
		out.amount = in.Amount.String()
	}
	return out
}

// answer is the API's envelope. Its oddities are the documented samples': a
// code that is a string or a number, an amount that is a string.
type answer struct {
	Code           any    `json:"code,omitempty"`
	Status         string `json:"status"`
	Message        string `json:"message"`
	TransactionID  string `json:"transactionId,omitempty"`
	ReferenceNo    string `json:"referenceNo,omitempty"`
	Amount         string `json:"amount,omitempty"`
	RefundedAmount string `json:"refundedAmount,omitempty"`
	Currency       string `json:"currency,omitempty"`
	Date           int64  `json:"date,omitempty"`
	IsLive         *bool  `json:"isLive,omitempty"`
}

func reply(status int, a answer) simulator.Reply { return simulator.JSONReply(status, a) }

// invalid is the validation error: status, message and code only.
func invalid(field string) simulator.Reply {
	return reply(http.StatusOK, answer{Code: codeInvalid, Status: "DECLINED", Message: fmt.Sprintf("The %s field is required.", field)})
}

// of is an envelope that names the payment.
func (s *Simulator) of(p *held, status, message string, code any) answer {
	return answer{
		Code: code, Status: status, Message: message, TransactionID: p.TransactionID, ReferenceNo: p.ReferenceNo,
		Amount: strconv.FormatInt(p.Amount, 10), Currency: p.Currency, Date: s.Now().Unix(),
	}
}
