package bento

import (
	"errors"
	"fmt"

	"github.com/countermand/countermand/providers"
)

// The ways a client's credentials reach the token endpoint (RFC 6749, section
// 2.3.1). The provider's page names none.
const (
	TokenAuthBody  = "body"  // client_id and client_secret in the form, the default
	TokenAuthBasic = "basic" // HTTP basic authentication
)

// The paths. The first is documented, the second follows from its family.
const (
	defaultCancelPath = "/payments/v1/orders/{orderId}/transactions/{transactionId}/_cancel"
	defaultReadPath   = "/payments/v1/orders/{orderId}/transactions/{transactionId}"
)

// Settings configure one instance. Absent optional values mean the documented
// default. Exactly one way to authenticate is given: Token, or TokenURL with
// ClientID and ClientSecret.
type Settings struct {
	// BaseURL is scheme, host and an optional prefix.
	BaseURL string `yaml:"baseURL" validate:"required,url"`
	// Account is a permanent label of the merchant account. It is part of the account's
	// identity and stays the same when credentials rotate.
	Account string `yaml:"account" validate:"required,max=64"`
	// Token is a bearer token that another program renews, usually in a file. Countermand
	// reads it again for every call.
	Token providers.Secret `yaml:"token" validate:"required_without=TokenURL,excluded_with=TokenURL"`
	// TokenURL is the token endpoint for the grant client_credentials.
	TokenURL string `yaml:"tokenURL" validate:"omitempty,url"`
	// ClientID and ClientSecret are the credentials for the token endpoint.
	ClientID     string           `yaml:"clientID" validate:"required_with=TokenURL,excluded_without=TokenURL"`
	ClientSecret providers.Secret `yaml:"clientSecret" validate:"required_with=TokenURL,excluded_without=TokenURL"`
	// TokenAuth says how the client's credentials are sent. Absent: body.
	TokenAuth string `yaml:"tokenAuth" validate:"omitempty,oneof=body basic"`
	// CancelPath and ReadPath are appended to BaseURL. Countermand replaces {orderId} and
	// {transactionId} in them.
	CancelPath string `yaml:"cancelPath" validate:"omitempty,startswith=/"`
	ReadPath   string `yaml:"readPath" validate:"omitempty,startswith=/"`
}

// WithDefaults returns the settings with every absent value filled in.
func (s Settings) WithDefaults() Settings {
	set := func(field *string, fallback string) {
		if *field == "" {
			*field = fallback
		}
	}
	set(&s.TokenAuth, TokenAuthBody)
	set(&s.CancelPath, defaultCancelPath)
	set(&s.ReadPath, defaultReadPath)
	return s
}

// Verify returns every fault of the settings (defaults filled in) at once.
func (s Settings) Verify() error {
	faults := []error{providers.VerifyURL("baseURL", s.BaseURL)}
	if s.Account == "" {
		faults = append(faults, errors.New("account: a permanent label is required"))
	}
	if s.TokenURL != "" {
		faults = append(faults, providers.VerifyURL("tokenURL", s.TokenURL))
		if s.ClientID == "" {
			faults = append(faults, errors.New("clientID: is required together with tokenURL"))
		}
	} else if s.ClientID != "" {
		faults = append(faults, errors.New("clientID: is of no use without tokenURL"))
	}
	if s.TokenAuth != TokenAuthBody && s.TokenAuth != TokenAuthBasic {
		faults = append(faults, fmt.Errorf("tokenAuth: %q is neither body nor basic", s.TokenAuth))
	}
	faults = append(faults, providers.VerifyPath("cancelPath", s.CancelPath, "{transactionId}"),
		providers.VerifyPath("readPath", s.ReadPath, "{transactionId}"))
	return errors.Join(faults...)
}
