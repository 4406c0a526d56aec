package tranzzo

import (
	"errors"
	"slices"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// AmountForm is how refund_amount is written.
type AmountForm string

// The two forms. The pages on split and recurring refunds say Number, Tranzzo's
// own plugins send a string.
const (
	AmountString AmountForm = "string" // "4.00", the default
	AmountNumber AmountForm = "number" // 4.00
)

// wireIdentifier is the longest identifier a command can carry.
const wireIdentifier = 64

// Settings configure one instance: one point of sale. Absent optional values
// mean the documented default.
type Settings struct {
	// BaseURL is scheme, host and an optional prefix: https://cpay.tranzzo.com.
	BaseURL string `yaml:"baseURL" validate:"required,url"`
	// PosID is the merchant's identifier (POS_ID). Together with the host it is
	// the account's identity.
	PosID string `yaml:"posID" validate:"required,max=64"`
	// EndpointsKey is sent as X-API-Key.
	EndpointsKey providers.Secret `yaml:"endpointsKey" validate:"required"`
	// APIKey and APISecret are sent as X-API-Auth: CPAY <key>:<secret>.
	APIKey    providers.Secret `yaml:"apiKey" validate:"required"`
	APISecret providers.Secret `yaml:"apiSecret" validate:"required"`
	// CallbackURL is sent as server_url with refunds and voids. Tranzzo sends their
	// notifications there. Absent: Countermand does not send it. Nothing has to listen there:
	// Countermand gets results by asking.
	CallbackURL string `yaml:"callbackURL" validate:"omitempty,url"`
	// Currency is used if a command names none. It has two decimals at most.
	Currency payment.Currency `yaml:"currency" validate:"omitempty,currency"`
	// AmountForm is the form of refund_amount. Absent: string.
	AmountForm AmountForm `yaml:"amountForm" validate:"omitempty,oneof=string number"`
	// MaxOrderID is the longest order_id accepted. Default 64, the longest that a command can
	// carry. Tranzzo's page on cancelling says 256; its pages on void and refund say 32.
	MaxOrderID int `yaml:"maxOrderID" validate:"omitempty,min=1,max=64"`
	// CancelledCodes are the status codes that mark a failed payment as cancelled. Default
	// 6007.
	CancelledCodes []string `yaml:"cancelledCodes" validate:"omitempty,dive,required,max=16"`
	// BalanceCodes are the status codes of a refund that failed because the merchant's balance
	// is too low. Tranzzo pays refunds from it. No document names these codes, so there is no
	// default.
	BalanceCodes []string `yaml:"balanceCodes" validate:"omitempty,dive,required,max=16"`
	// FailureStatuses are the statuses of an operation that finally failed. Default failure.
	// Older plugins also know rejected, unsuccessful and antifraud.
	FailureStatuses []string `yaml:"failureStatuses" validate:"omitempty,dive,required,max=32"`
	Paths           Paths    `yaml:"paths"`
}

// Paths are appended to Settings.BaseURL; {posId} and {orderId} in them are
// replaced. Empty ones mean the documented path.
type Paths struct {
	Cancel string `yaml:"cancel" validate:"omitempty,startswith=/"` // /api/v1/pos/{posId}/order/{orderId}/cancel
	Orders string `yaml:"orders" validate:"omitempty,startswith=/"` // /api/v1/pos/{posId}/orders/{orderId}
	Void   string `yaml:"void" validate:"omitempty,startswith=/"`   // /api/v1/void
	Refund string `yaml:"refund" validate:"omitempty,startswith=/"` // /api/v1/refund
}

// WithDefaults returns the settings with every absent value filled in.
func (s Settings) WithDefaults() Settings {
	set := func(field *string, standard string) {
		if *field == "" {
			*field = standard
		}
	}
	set(&s.Paths.Cancel, "/api/v1/pos/{posId}/order/{orderId}/cancel")
	set(&s.Paths.Orders, "/api/v1/pos/{posId}/orders/{orderId}")
	set(&s.Paths.Void, "/api/v1/void")
	set(&s.Paths.Refund, "/api/v1/refund")
	if s.AmountForm == "" {
		s.AmountForm = AmountString
	}
	if s.MaxOrderID == 0 {
		s.MaxOrderID = wireIdentifier
	}
	if s.CancelledCodes == nil {
		s.CancelledCodes = []string{"6007"}
	}
	if s.FailureStatuses == nil {
		s.FailureStatuses = []string{"failure"}
	}
	return s
}

// Verify returns every fault of the settings (defaults filled in) at once; no
// message holds a value that could be a secret.
func (s Settings) Verify() error {
	faults := []error{providers.VerifyURL("baseURL", s.BaseURL)}
	fault := func(bad bool, text string) {
		if bad {
			faults = append(faults, errors.New(text))
		}
	}
	if s.CallbackURL != "" {
		faults = append(faults, providers.VerifyURL("callbackURL", s.CallbackURL))
	}
	fault(s.PosID == "" || s.PosID == "." || s.PosID == "..", "posID: is required, and no dots alone")
	fault(s.Currency != "" && !supported(s.Currency), "currency: must be one of ISO 4217 with two decimals at most")
	fault(s.AmountForm != AmountString && s.AmountForm != AmountNumber, "amountForm: must be string or number")
	fault(s.MaxOrderID < 1 || s.MaxOrderID > wireIdentifier, "maxOrderID: must be 1 to 64")
	fault(len(s.CancelledCodes) == 0, "cancelledCodes: must not be empty")
	for _, code := range s.BalanceCodes {
		fault(slices.Contains(s.CancelledCodes, code), "balanceCodes: a code must not be in cancelledCodes too")
	}
	fault(len(s.FailureStatuses) == 0, "failureStatuses: must not be empty")
	for _, status := range s.FailureStatuses {
		fault(status == statusInit || status == statusPending || status == statusSuccess,
			"failureStatuses: must not hold init, pending or success")
	}
	faults = append(faults,
		providers.VerifyPath("paths.cancel", s.Paths.Cancel, "{orderId}"), providers.VerifyPath("paths.orders", s.Paths.Orders, "{orderId}"),
		providers.VerifyPath("paths.void", s.Paths.Void), providers.VerifyPath("paths.refund", s.Paths.Refund))
	return errors.Join(faults...)
}
