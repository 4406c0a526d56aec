package opay

import (
	"errors"
	"fmt"
	"strings"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// The values of Settings.RefundRepeat.
const (
	RepeatRefused = "refused" // OPay refuses a second refund under one reference
	RepeatUnsafe  = "unsafe"  // it does not: nothing is ever sent twice
)

// The value of Settings.RefundWay. OPay's other way, BankAccount, wants the
// customer's account number, which no command carries.
const RefundWayOriginal = "Original"

// escaped are the characters that JSON encoders escape differently.
const escaped = "<>&='"

// Settings are one OPay merchant account.
type Settings struct {
	// BaseURL is scheme and host with an optional prefix, for example
	// https://api.opaycheckout.com (Egypt and international; sandbox:
	// sandboxapi.opaycheckout.com) or https://liveapi.opaycheckout.com (Nigeria).
	BaseURL string `yaml:"baseURL" validate:"required,url"`
	// MerchantID is the merchant's number. It has 15 digits in every example of OPay.
	MerchantID string `yaml:"merchantID" validate:"required,numeric,max=32"`
	// SecretKey is the merchant's private key (OPAYPRV…). It signs every call.
	SecretKey providers.Secret `yaml:"secretKey" validate:"required"`
	// CallbackURL is sent with refunds, because OPay requires it. Nothing has to listen there:
	// Countermand gets results by asking. It replaces {payment} in the URL with the payment's
	// identifier, percent-encoded (docs/notifications.md).
	CallbackURL string `yaml:"callbackURL" validate:"required,url,excludesall=<>&='"`
	// Country is used if a command names none, ISO 3166-1 alpha-2.
	Country string `yaml:"country" validate:"omitempty,iso3166_1_alpha2"`
	// RefundWay is "Original" or absent. Nigeria requires it; Egypt does not have it.
	RefundWay string `yaml:"refundWay" validate:"omitempty,oneof=Original"`
	// RefundRepeat says what OPay does with a second refund under one reference: "refused"
	// (default) or "unsafe". Refusal is documented for payments and assumed for refunds.
	RefundRepeat string `yaml:"refundRepeat" validate:"omitempty,oneof=refused unsafe"`
	// DuplicateCodes say that a refund's reference already exists. Default 02004 (OPay's error
	// codes, for payments) and 20000 (seen by an integrator).
	DuplicateCodes []string `yaml:"duplicateCodes" validate:"omitempty,dive,required,max=16"`
	// NotFoundCodes say that nothing was found. They count only in answers to status queries.
	// Default 02006 (OPay's query pages), 00012 and 02812 (seen by an integrator).
	NotFoundCodes []string `yaml:"notFoundCodes" validate:"omitempty,dive,required,max=16"`
	Paths         Paths    `yaml:"paths"`
}

// Paths are appended to Settings.BaseURL; empty ones mean OPay's documented path.
type Paths struct {
	Close       string `yaml:"close" validate:"omitempty,startswith=/"`       // /api/v1/international/payment/close
	Refund      string `yaml:"refund" validate:"omitempty,startswith=/"`      // /api/v1/international/payment/refund/create
	RefundQuery string `yaml:"refundQuery" validate:"omitempty,startswith=/"` // /api/v1/international/payment/refund/query
	Status      string `yaml:"status" validate:"omitempty,startswith=/"`      // /api/v1/international/cashier/status
}

// WithDefaults returns the settings with every absent value filled in.
func (s Settings) WithDefaults() Settings {
	const prefix = "/api/v1/international"
	for path, standard := range map[*string]string{
		&s.Paths.Close:       prefix + "/payment/close",
		&s.Paths.Refund:      prefix + "/payment/refund/create",
		&s.Paths.RefundQuery: prefix + "/payment/refund/query",
		&s.Paths.Status:      prefix + "/cashier/status",
		&s.RefundRepeat:      RepeatRefused,
	} {
		if *path == "" {
			*path = standard
		}
	}
	if s.DuplicateCodes == nil {
		s.DuplicateCodes = []string{"02004", "20000"}
	}
	if s.NotFoundCodes == nil {
		s.NotFoundCodes = []string{"02006", "00012", "02812"}
	}
	s.BaseURL = strings.TrimSuffix(s.BaseURL, "/")
	return s
}

// Verify returns every fault of the settings (defaults filled in) at once; no message holds a value
// that could be a secret.
func (s Settings) Verify() error {
	var faults []error
	fault := func(bad bool, text string) {
		if bad {
			faults = append(faults, errors.New(text))
		}
	}
	fault(providers.VerifyURL("baseURL", s.BaseURL) != nil, "baseURL: must be https (http only to loopback) with a host and no query")
	fault(s.MerchantID == "", "merchantID: missing")
	fault(s.SecretKey.Reveal() == "", "secretKey: missing")
	callback := s.callbackURL("1")
	fault(providers.VerifyURL("callbackURL", callback) != nil || strings.ContainsAny(callback, escaped+"{}"),
		"callbackURL: must be https (http only to loopback) without a query or any of < > & = ', its only placeholder {payment}")
	fault(s.RefundWay != "" && s.RefundWay != RefundWayOriginal, "refundWay: must be Original or absent")
	fault(s.RefundRepeat != RepeatRefused && s.RefundRepeat != RepeatUnsafe, "refundRepeat: must be refused or unsafe")
	for _, code := range append(append([]string{}, s.DuplicateCodes...), s.NotFoundCodes...) {
		fault(code == codeSuccess || code == "", "duplicateCodes, notFoundCodes: must not hold the code of success")
	}
	return errors.Join(faults...)
}

// callbackURL is where OPay is to send the notifications of a payment's refunds.
func (s Settings) callbackURL(orderID string) string {
	return strings.ReplaceAll(s.CallbackURL, "{payment}", percentEncoded(orderID))
}

// percentEncoded writes every byte but letters, digits, _ and - as % and two
// hex digits: more than a path needs, so that nothing is left that encoders of
// JSON or proxies on the way write differently.
func percentEncoded(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// Account names the merchant account without revealing it: host and merchant
// id, whatever path or key is used.
func (s Settings) Account() string {
	return payment.AccountHash("opay", providers.AccountHost(s.BaseURL), s.MerchantID)
}
