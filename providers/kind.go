package providers

import (
	"errors"
	"fmt"

	"github.com/countermand/countermand/payment"
)

// Adapter is a provider that knows its merchant account.
type Adapter interface {
	Provider
	// Account is the hash of the merchant account (payment.AccountHash).
	Account() string
}

// Settings is what a kind's settings struct S can do. Its fields carry yaml and
// validate tags: the configuration is read into it.
type Settings[S any] interface {
	// WithDefaults returns the settings with every absent value filled in.
	WithDefaults() S
	// Verify returns every fault at once. The defaults are filled in. No fault
	// holds a value that could be a secret.
	Verify() error
}

// Kind is one provider kind: what the configuration and the service need to
// know about it. Package kinds has the table of all.
type Kind struct {
	// Name is the kind's in configurations, traits and account hashes.
	Name string
	// References is what the provider's own references name. It holds for every account of
	// the kind, so that a statement can be read without credentials.
	References payment.ReferenceScope
	// NewSettings returns a pointer to settings without values.
	NewSettings func() any
	// Defaults returns settings that hold the defaults alone.
	Defaults func() any
	// Texts are the provider's messages that may be told.
	Texts Texts

	open func(settings any, client *Client) (Adapter, error)
}

// NewKind makes a kind of what its references name, the texts that its documentation
// lists, its settings type and its adapter's constructor.
func NewKind[S Settings[S], A Adapter](name string, references payment.ReferenceScope, texts Texts, build func(S, *Client) (A, error)) Kind {
	return Kind{
		Name:        name,
		References:  references,
		NewSettings: func() any { return new(S) },
		Defaults: func() any {
			var none S
			return none.WithDefaults()
		},
		Texts: texts,
		open: func(settings any, client *Client) (Adapter, error) {
			s, ok := settings.(*S)
			if !ok {
				return nil, fmt.Errorf("open %s: settings are %T", name, settings)
			}
			a, err := build(*s, client)
			if err != nil {
				return nil, err // and no adapter that is a nil pointer
			}
			return a, nil
		},
	}
}

// Open builds an adapter from what NewSettings returned, once it is filled in. It
// does no I/O. The error lists all faults of the settings. Of the provider's own words
// the adapter tells only the kind's Texts.
func (k Kind) Open(settings any, client *Client) (Adapter, error) {
	a, err := k.open(settings, client)
	if err != nil {
		return nil, err
	}
	return tell(a, k.Texts), nil
}

// Silent is the kind whose adapters tell none of the provider's messages.
func (k Kind) Silent() Kind {
	none := make(Texts, len(k.Texts))
	for code := range k.Texts {
		none[code] = nil
	}
	k.Texts = none
	return k
}

// Complete fills in a kind's defaults and verifies the result: the first step
// of each adapter's constructor. The error lists all faults of the settings.
func Complete[S Settings[S]](kind string, s S, client *Client) (S, error) {
	s = s.WithDefaults()
	if err := s.Verify(); err != nil {
		return s, fmt.Errorf("verify %s settings: %w", kind, err)
	}
	if client == nil {
		return s, fmt.Errorf("verify %s settings: %w", kind, errors.New("a client is required"))
	}
	return s, nil
}
