package simulation

import (
	"fmt"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/bento"
	"github.com/countermand/countermand/providers/opay"
	"github.com/countermand/countermand/providers/openpay"
	"github.com/countermand/countermand/providers/tranzzo"
)

// kind is one provider kind of the world: the traits are its adapter's own.
type kind struct {
	name     string
	account  string
	currency payment.Currency
	traits   payment.Traits
	// blind: asking never finds a partial refund (Openpay, where the status does
	// not say how much was refunded).
	blind bool
	// compares: asking is comparing the payment with the snapshot; nothing there
	// carries our reference.
	compares bool
}

// adapter is what a kind's constructor returns.
type adapter interface {
	providers.Provider
	Account() string
}

// newKinds builds the real adapters for what they promise; nothing is sent.
func newKinds() ([]kind, error) {
	client := providers.NewClient(nil)
	secret := providers.NewSecret("0123456789abcdef0123456789abcdef")
	a, errA := opay.New(opay.Settings{
		BaseURL: "https://opay.example", MerchantID: "256612345678901", SecretKey: secret, CallbackURL: "https://shop.example/callback",
	}, client)
	b, errB := tranzzo.New(tranzzo.Settings{
		BaseURL: "https://tranzzo.example", PosID: "12345678-1234-1234-1234-123456789012",
		EndpointsKey: secret, APIKey: secret, APISecret: secret, Currency: "UAH",
	}, client)
	c, errC := bento.New(bento.Settings{BaseURL: "https://bento.example", Account: "shop-uk", Token: secret}, client)
	d, errD := openpay.New(openpay.Settings{
		BaseURL: "https://openpay.example", Account: "shop-eu", APIKey: secret, PartialRefunds: true,
	}, client)
	for _, err := range []error{errA, errB, errC, errD} {
		if err != nil {
			return nil, fmt.Errorf("build adapter: %w", err)
		}
	}
	made := func(name string, currency payment.Currency, from adapter) kind {
		return kind{name: name, account: from.Account(), currency: currency, traits: from.Traits()}
	}
	kinds := []kind{made("opay-eg", "EGP", a), made("tranzzo-ua", "UAH", b), made("bento-uk", "GBP", c), made("openpay-eu", "EUR", d)}
	kinds[1].compares, kinds[2].compares, kinds[3].compares = true, true, true
	kinds[3].blind = true
	return kinds, nil
}
