package tranzzo

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// Tranzzo's statuses of an operation. The last two final ones are success and
// those in Settings.FailureStatuses.
const (
	statusInit    = "init"    // created; of a hosted payment: its page not opened or not used
	statusPending = "pending" // the bank or 3-D Secure has it
	statusSuccess = "success"
)

// Tranzzo's methods. The first two make a payment, the others follow one.
const (
	methodPurchase = "purchase"
	methodAuth     = "auth"
	methodCapture  = "capture"
	methodVoid     = "void"
	methodRefund   = "refund"
)

// modeHosted is a payment on Tranzzo's page; only such a one can be cancelled.
const modeHosted = "hosted"

// operation is one operation as all answers show it, as far as it is used.
// Members that name or describe the payer are not read at all. comment in a
// listing is known from a third-party client only.
type operation struct {
	OperationID       providers.Text `json:"operation_id"`
	PaymentID         providers.Text `json:"payment_id"`
	OrderID           providers.Text `json:"order_id"`
	PosID             providers.Text `json:"pos_id"`
	TransactionID     providers.Text `json:"transaction_id"`
	Mode              providers.Text `json:"mode"`
	Method            providers.Text `json:"method"`
	Amount            providers.Text `json:"amount"`
	Currency          providers.Text `json:"currency"`
	Status            providers.Text `json:"status"`
	StatusCode        providers.Text `json:"status_code"`
	StatusDescription providers.Text `json:"status_description"`
	ProcessedAt       providers.Text `json:"processed_at"`
	ProcessingTime    providers.Text `json:"processing_time"`
	Comment           providers.Text `json:"comment"`
	Fee               jsontext.Value `json:"fee"`
}

// decodeOne reads one operation, whether it comes as an object (void, refund)
// or as an array of one (cancel). False for anything else, also for an object
// that names a member twice: of two statuses the wrong one could be read.
func decodeOne(body []byte) (operation, bool) {
	if bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("[")) {
		list, ok := decodeList(body)
		if !ok || len(list) != 1 {
			return operation{}, false
		}
		return list[0], list[0].named()
	}
	var op operation
	if err := json.Unmarshal(body, &op); err != nil {
		return operation{}, false
	}
	return op, op.named()
}

// named reports whether it is an operation at all: errors have a status, too.
func (op operation) named() bool { return op.Status != "" && op.Method != "" }

// decodeList reads the listing of an order.
func decodeList(body []byte) ([]operation, bool) {
	var list []operation
	if err := json.Unmarshal(body, &list); err != nil || list == nil {
		return nil, false
	}
	return list, true
}

// refusal is the API's error form: message, and args with a code or with the
// fields that were not accepted. A gateway's own errors lack args. What has an
// operation's status is none, whatever else is missing from it.
type refusal struct {
	Status  providers.Text `json:"status"`
	Message providers.Text `json:"message"`
	Args    jsontext.Value `json:"args"`
}

func decodeRefusal(body []byte) (refusal, bool) {
	var e refusal
	err := json.Unmarshal(body, &e)
	return e, err == nil && e.Message != "" && len(e.Args) > 0 && string(e.Args) != "null"
}

// code is the error's own code, for example S-404; empty for a validation error.
func (e refusal) code() string {
	var args struct {
		Code providers.Text `json:"code"`
	}
	if err := json.Unmarshal(e.Args, &args); err != nil {
		return ""
	}
	return string(args.Code)
}

// state is a status as far as it matters here; the zero value is one nobody
// documented.
type state int

const (
	stateUnknown state = iota
	stateInit
	statePending
	stateSuccess
	stateFailure
)

func (s Settings) state(op operation) state {
	switch status := string(op.Status); {
	case status == statusInit:
		return stateInit
	case status == statusPending:
		return statePending
	case status == statusSuccess:
		return stateSuccess
	case slices.Contains(s.FailureStatuses, status):
		return stateFailure
	default:
		return stateUnknown
	}
}

// cancelled reports whether a failed payment is a cancelled one.
func (s Settings) cancelled(op operation) bool {
	return slices.Contains(s.CancelledCodes, string(op.StatusCode))
}

// ours reports whether the operation is of the request's order, and of our point
// of sale where it names one: order numbers of two merchants may be the same.
// The provider's own sample writes a dollar sign before the identifier.
func (op operation) ours(s Settings, r providers.Request) bool {
	pos := strings.TrimPrefix(string(op.PosID), "$")
	return string(op.OrderID) == r.Payment.OrderID && (pos == "" || strings.EqualFold(pos, strings.TrimPrefix(s.PosID, "$")))
}

// primary reports whether the operation is the payment itself.
func (op operation) primary() bool { return op.Method == methodPurchase || op.Method == methodAuth }

// reference is the provider's own name of the operation. Payments have only
// their payment_id.
func (op operation) reference() string {
	for _, id := range []providers.Text{op.OperationID, op.TransactionID} {
		if reference := id.Reference(); reference != "" {
			return reference
		}
	}
	if op.primary() {
		return op.PaymentID.Reference()
	}
	return ""
}

// time is when the operation was last updated. Tranzzo's samples show times
// without a zone; those are left out rather than guessed at.
func (op operation) time() time.Time {
	for _, text := range []providers.Text{op.ProcessedAt, op.ProcessingTime} {
		if at, err := time.Parse(time.RFC3339Nano, string(text)); err == nil {
			return at.UTC()
		}
	}
	return time.Time{}
}

// fee is what the provider says it charged. The pages say "amount and
// currency", a client reads a number; only the former can be understood.
func (op operation) fee() *payment.Money {
	var fee struct {
		Amount   providers.Text `json:"amount"`
		Currency providers.Text `json:"currency"`
	}
	if len(op.Fee) == 0 || json.Unmarshal(op.Fee, &fee) != nil {
		return nil
	}
	m, ok := money(fee.Amount, fee.Currency)
	if !ok {
		return nil
	}
	return m
}

// outcome fills in what every outcome about an operation carries.
func (op operation) outcome(o payment.Outcome) payment.Outcome {
	o.ProviderReference = op.reference()
	o.ProviderCode = string(op.StatusCode)
	o.ProviderMessage = string(op.StatusDescription)
	o.ProviderTime = op.time()
	if o.Result == payment.Succeeded {
		o.Fee = op.fee()
	}
	return o
}
