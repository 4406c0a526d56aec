package providers

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/countermand/countermand/payment"
)

// Instance is one configured provider: the adapter and what the configuration
// says around it. One brand with many merchant accounts is many instances.
type Instance struct {
	// Name is what commands call it by; permanent once used.
	Name string
	// Kind is the adapter's kind, equal to its traits.
	Kind string
	// Account is the hash of the merchant account (payment.AccountHash).
	Account  string
	Provider Provider
	// Currencies lists the currencies commands may name; empty: any.
	Currencies []payment.Currency
	// Country and Currency stand in where a command names none; empty: no default.
	Country  string
	Currency payment.Currency
	Policy   payment.Policy
	// MaxConcurrent bounds the calls under way at once; RateLimit those begun in
	// a second, zero: unlimited. Both are one process's.
	MaxConcurrent int
	RateLimit     float64
}

// Complete fills in what the instance knows of a command, and returns what its kind lacks.
func (in Instance) Complete(c payment.Command) (payment.Command, []payment.Fault) {
	return in.Provider.Traits().Complete(c, payment.Defaults{Country: in.Country, Currency: in.Currency})
}

// Foresee says why the service would refuse a command for this instance: what its kind
// lacks, or what the service's guards say of it in a state of its payment. The zero State
// is that of a payment without operations.
func (in Instance) Foresee(c payment.Command, s payment.State, now time.Time) []payment.Fault {
	c, faults := in.Complete(c)
	if len(faults) > 0 {
		return faults
	}
	traits := in.Provider.Traits()
	return payment.Foresee(payment.Input{
		Command: c, ID: traits.ID(c.Provider, c.Payment), State: s, Traits: traits, Now: now,
		Instance: payment.Instance{Configured: true, Account: in.Account, Currencies: in.Currencies, Policy: in.Policy},
	})
}

// Set is the configured instances by name. It does not change after NewSet and
// is safe for concurrent use. Nothing registers itself: whoever builds the
// program lists the instances.
type Set struct {
	instances map[string]Instance
	names     []string
}

// namePattern is the contract's form of a provider name: it becomes a subject
// token, so it must never hold a dot, a space or a wildcard.
const namePattern = `^[a-z0-9][a-z0-9-]{0,31}$`

// NewSet checks the instances and returns all faults at once: a name that is
// malformed or taken, an instance without a provider or account, a kind that
// is not its provider's, and two instances of one merchant account. The last
// would let one refund be sent under two names, each with its own memory.
func NewSet(instances ...Instance) (*Set, error) {
	name := regexp.MustCompile(namePattern)
	s := &Set{instances: make(map[string]Instance, len(instances))}
	holder := map[string]string{} // account to the name that holds it
	var faults []error
	for _, in := range instances {
		if !name.MatchString(in.Name) {
			faults = append(faults, fmt.Errorf("provider %q: name must match %s", in.Name, namePattern))
		}
		if _, taken := s.instances[in.Name]; taken {
			faults = append(faults, fmt.Errorf("provider %q: name is used twice", in.Name))
		}
		if other, taken := holder[in.Account]; taken {
			faults = append(faults, fmt.Errorf("provider %q: same account as %q", in.Name, other))
		}
		faults = append(faults, in.verify()...)
		s.instances[in.Name] = in
		if in.Account != "" {
			holder[in.Account] = in.Name
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	for n := range s.instances {
		s.names = append(s.names, n)
	}
	slices.Sort(s.names)
	return s, nil
}

// verify returns what is wrong with one instance on its own.
func (in Instance) verify() []error {
	var faults []error
	if in.Provider == nil {
		faults = append(faults, fmt.Errorf("provider %q: has no adapter", in.Name))
	} else if kind := in.Provider.Traits().Kind; kind != in.Kind {
		faults = append(faults, fmt.Errorf("provider %q: kind %q, but its adapter is %q", in.Name, in.Kind, kind))
	}
	if in.Account == "" {
		faults = append(faults, fmt.Errorf("provider %q: has no account", in.Name))
	}
	if in.MaxConcurrent < 0 {
		faults = append(faults, fmt.Errorf("provider %q: maxConcurrent is negative", in.Name))
	}
	return faults
}

// Get returns the instance of that name; false if none is configured.
func (s *Set) Get(name string) (Instance, bool) {
	in, ok := s.instances[name]
	return in, ok
}

// Names returns the configured names in alphabetical order.
func (s *Set) Names() []string { return slices.Clone(s.names) }
