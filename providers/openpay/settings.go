package openpay

import (
	"errors"
	"fmt"

	"github.com/countermand/countermand/providers"
)

// Encoding is how request bodies are written.
type Encoding string

// The two encodings. The provider's page names none; clients of sister brands
// have been seen to succeed with either.
const (
	EncodingForm Encoding = "form" // application/x-www-form-urlencoded, the default
	EncodingJSON Encoding = "json"
)

// Settings configure one instance. Absent optional values mean the documented
// default.
type Settings struct {
	// BaseURL is scheme, host and an optional prefix, for example
	// https://api.openpaydpsp.com or https://testapi.openpaydpsp.com.
	BaseURL string `yaml:"baseURL" validate:"required,url"`
	// Account is a permanent label of the merchant account. It is part of the account's
	// identity and stays the same when keys rotate.
	Account string `yaml:"account" validate:"required,max=64"`
	// APIKey is sent inside every body. The caller's addresses must be registered with the
	// provider as well.
	APIKey providers.Secret `yaml:"apiKey" validate:"required"`
	// Encoding is the encoding of request bodies. Absent: form.
	Encoding Encoding `yaml:"encoding" validate:"omitempty,oneof=form json"`
	// PartialRefunds says that the provider has switched on partial refunds for this account.
	// The provider's documented default is off, and so is this one.
	PartialRefunds bool `yaml:"partialRefunds"`
	// RefundPath is appended to BaseURL.
	RefundPath string `yaml:"refundPath" validate:"omitempty,startswith=/"`
	// StatusPath turns on a status call that the provider's page does not document. It is
	// appended to BaseURL; sister brands have /pw/v3/payment/status. Its answers can help
	// and never refuse or delay a refund. Absent: there is no such call, and nobody asks.
	StatusPath string `yaml:"statusPath" validate:"omitempty,startswith=/"`
	// Codes lists the response codes by meaning.
	Codes Codes `yaml:"codes"`
}

// Codes lists response codes by what they mean, compared as text whether the
// provider sent a string or a number. An absent list means the documented
// default; the lists without one are empty until the provider's own code page
// is at hand. A code must not be in two lists.
type Codes struct {
	// Approved: the request was executed. Default 00 and 0, because the sample shows the
	// string "00" and the table an integer.
	Approved []string `yaml:"approved"`
	// AlreadyRefunded: the payment was refunded before. Default 32.
	AlreadyRefunded []string `yaml:"alreadyRefunded"`
	// InvalidRequest: a required field is missing. Default 188.
	InvalidRequest []string `yaml:"invalidRequest"`
	// Waiting: accepted, and decided later. Default 283.
	Waiting []string `yaml:"waiting"`
	// Authentication: the provider does not accept the key or the caller's address. No
	// default.
	Authentication []string `yaml:"authentication"`
	// InsufficientBalance: the merchant account cannot fund the refund. No default.
	InsufficientBalance []string `yaml:"insufficientBalance"`
	// NotFound: there is no such payment. No default.
	NotFound []string `yaml:"notFound"`
}

// defaultRefundPath is the one documented call.
const defaultRefundPath = "/pw/v3/payment/refund"

// WithDefaults returns the settings with every absent value filled in.
func (s Settings) WithDefaults() Settings {
	if s.Encoding == "" {
		s.Encoding = EncodingForm
	}
	if s.RefundPath == "" {
		s.RefundPath = defaultRefundPath
	}
	s.Codes = s.Codes.withDefaults()
	return s
}

func (c Codes) withDefaults() Codes {
	set := func(list *[]string, documented ...string) {
		if *list == nil {
			*list = documented
		}
	}
	set(&c.Approved, "00", "0")
	set(&c.AlreadyRefunded, "32")
	set(&c.InvalidRequest, "188")
	set(&c.Waiting, "283")
	return c
}

// Verify returns every fault of the settings (defaults filled in) at once.
func (s Settings) Verify() error {
	faults := []error{providers.VerifyURL("baseURL", s.BaseURL)}
	if s.Account == "" {
		faults = append(faults, errors.New("account: a permanent label is required"))
	}
	if s.Encoding != EncodingForm && s.Encoding != EncodingJSON {
		faults = append(faults, fmt.Errorf("encoding: %q is neither form nor json", s.Encoding))
	}
	faults = append(faults, providers.VerifyPath("refundPath", s.RefundPath))
	if s.StatusPath != "" {
		faults = append(faults, providers.VerifyPath("statusPath", s.StatusPath))
	}
	return errors.Join(append(faults, s.Codes.verify()...)...)
}

// verify refuses an approval list left empty and a code with two meanings.
func (c Codes) verify() []error {
	var faults []error
	meaning := map[string]string{}
	for _, list := range c.lists() {
		for _, code := range list.codes {
			if other, taken := meaning[code]; taken {
				faults = append(faults, fmt.Errorf("codes: %q is in both %s and %s", code, other, list.name))
				continue
			}
			meaning[code] = list.name
		}
	}
	if len(c.Approved) == 0 {
		faults = append(faults, errors.New("codes: approved must not be empty"))
	}
	return faults
}

type codeList struct {
	name  string
	codes []string
}

func (c Codes) lists() []codeList {
	return []codeList{
		{"approved", c.Approved},
		{"alreadyRefunded", c.AlreadyRefunded},
		{"invalidRequest", c.InvalidRequest},
		{"waiting", c.Waiting},
		{"authentication", c.Authentication},
		{"insufficientBalance", c.InsufficientBalance},
		{"notFound", c.NotFound},
	}
}
