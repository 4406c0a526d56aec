package simulation

import (
	"fmt"

	"github.com/countermand/countermand/internal/simulators"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// kind is one provider kind of the world: the traits are its adapter's own.
type kind struct {
	name     string
	account  string
	currency payment.Currency
	traits   payment.Traits
	// blind: asking never finds a partial refund, because the status does not say
	// how much was refunded.
	blind bool
	// compares: asking is comparing the payment with the snapshot; nothing there
	// carries our reference.
	compares bool
}

// newKinds builds the real adapter of every kind for what it promises; nothing
// is sent.
func newKinds() ([]kind, error) {
	client := providers.NewClient(nil)
	var all []kind
	for _, k := range simulators.Kinds() {
		a, err := simulators.Open(k, "https://"+k.Name+".example", client)
		if err != nil {
			return nil, fmt.Errorf("build adapter: %w", err)
		}
		all = append(all, kind{
			name: k.Instance, account: a.Account(), currency: payment.Currency(k.Currency), traits: a.Traits(),
			blind: k.Blind, compares: k.Compares,
		})
	}
	return all, nil
}
