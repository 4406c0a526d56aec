package opay

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// codeSuccess says only that the call was understood; the status in the data
// decides. OPay's text says "00", every sample "00000".
const codeSuccess = "00000"

// OPay's statuses of payments and refunds.
const (
	statusInitial = "INITIAL"
	statusPending = "PENDING"
	statusSuccess = "SUCCESS"
	statusFail    = "FAIL"
	statusClose   = "CLOSE" // payments only
)

// envelope is every answer of OPay's; errors carry no data.
type envelope struct {
	Code    providers.Text `json:"code"`
	Message string         `json:"message"`
	Data    jsontext.Value `json:"data"`
}

// amount is in minor units.
type amount struct {
	Total    providers.Text   `json:"total"`
	Currency payment.Currency `json:"currency"`
}

// money returns the amount, nil where the answer has none; false where it has
// one that cannot be read.
func (a *amount) money() (*payment.Money, bool) {
	if a == nil || (a.Total == "" && a.Currency == "") {
		return nil, true
	}
	value, ok := a.Total.Int()
	_, known := a.Currency.Exponent()
	if !ok || value < 0 || value > payment.MaxAmount || !known {
		return nil, false
	}
	return &payment.Money{Value: value, Currency: a.Currency}, true
}

// closeData is the data of payment/close.
type closeData struct {
	Reference   providers.Text `json:"reference"`
	OrderNo     providers.Text `json:"orderNo"`
	OrderStatus string         `json:"orderStatus"`
}

// refundData is the data of refund/create (refundAmount) and refund/query (amount).
type refundData struct {
	Reference         providers.Text `json:"reference"`
	OriginalReference providers.Text `json:"originalReference"`
	OrderNo           providers.Text `json:"orderNo"`
	OrderStatus       string         `json:"orderStatus"`
	RefundAmount      *amount        `json:"refundAmount"`
	Amount            *amount        `json:"amount"`
	ErrorCode         providers.Text `json:"errorCode"`
	ErrorMsg          string         `json:"errorMsg"`
}

// money is the refunded amount, under whichever of its two names. False where
// it cannot be read, or the two say different things.
func (d refundData) money() (*payment.Money, bool) {
	created, readable1 := d.RefundAmount.money()
	queried, readable2 := d.Amount.money()
	switch {
	case created == nil:
		return queried, readable1 && readable2
	case queried == nil:
		return created, readable1 && readable2
	default:
		return created, *created == *queried
	}
}

// statusData is the data of cashier/status; its status is not named orderStatus.
type statusData struct {
	Reference     providers.Text `json:"reference"`
	OrderNo       providers.Text `json:"orderNo"`
	Status        string         `json:"status"`
	Amount        *amount        `json:"amount"`
	IsVoided      bool           `json:"isVoided"`
	FailureCode   providers.Text `json:"failureCode"`
	FailureReason string         `json:"failureReason"`
}
