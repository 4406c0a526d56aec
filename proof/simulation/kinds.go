package simulation

import (
	"fmt"

	"github.com/countermand/countermand/internal/simulators"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/simulator"
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
	// dim: nor a full one. useless: a question has no usable answer.
	dim, useless bool
	// waits: no payment can be read there, so that nothing is carried out.
	waits bool
	// saysDone: the refusal of a second full refund says that the payment was
	// refunded. Nothing else of an operation is remembered.
	saysDone bool
	// compares: asking is comparing the payment with the snapshot; nothing there
	// carries our reference.
	compares bool
}

// newKinds builds the real adapters of accounts for what they promise; nothing is
// sent.
func newKinds(accounts []simulator.Kind) ([]kind, error) {
	client := providers.NewClient(nil)
	var all []kind
	for _, k := range accounts {
		a, err := simulators.Open(k, "https://"+k.Instance+".example", client)
		if err != nil {
			return nil, fmt.Errorf("build adapter: %w", err)
		}
		all = append(all, kind{
			name: k.Instance, account: a.Account(), currency: payment.Currency(k.Currency), traits: a.Traits(),
			blind: k.Blind, compares: k.Compares, dim: k.Dim, useless: k.Useless, waits: k.Waits, saysDone: k.SaysDone,
		})
	}
	return all, nil
}

// unseen reports whether asking never finds such an operation.
func (k kind) unseen(full bool) bool {
	return k.traits.Asks == payment.AsksNone || k.useless || k.dim && full || k.blind && !full
}
