//go:build unix

package main

import (
	"fmt"

	"github.com/countermand/countermand/providers/bento/bentosim"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/openpay/openpaysim"
	"github.com/countermand/countermand/providers/simulator"
	"github.com/countermand/countermand/providers/tranzzo/tranzzosim"
)

// kind is one provider kind as these runs use it.
type kind struct {
	name, provider, currency string
	// captured is what each of its payments is worth.
	captured int64
	// share is its part of all payments, in percent.
	share int
	// amount reads a request's.
	amount func(body string) (int64, bool)
	// settings are its own lines of the configuration.
	settings string
	// modes are the faults that only its simulator has and that end by themselves.
	modes []simulator.Mode
	// draw draws the commands for one payment and what the payment is like.
	draw func(*drawer, kind, string) any
}

// kinds are all four, opay with the largest part.
func kinds() []kind {
	return []kind{
		{
			name: "opay", provider: "opay-eg", currency: "EGP", captured: 40000, share: 40, amount: opayAmount, draw: drawOPay,
			settings: fmt.Sprintf(`merchantID: %q, secretKey: {env: CHAOS_OPAY}, callbackURL: "https://shop.example/opay", country: EG`, opaysim.DefaultMerchantID),
			modes:    []simulator.Mode{opaysim.DeclineLater},
		},
		{
			name: "tranzzo", provider: "tranzzo-ua", currency: "UAH", captured: 25000, share: 20, amount: tranzzoAmount, draw: drawTranzzo,
			settings: fmt.Sprintf("posID: %s, endpointsKey: {env: CHAOS_TRANZZO_ENDPOINTS}, apiKey: {env: CHAOS_TRANZZO_KEY}, apiSecret: {env: CHAOS_TRANZZO_SECRET}, currency: UAH", tranzzosim.DefaultPosID),
		},
		{
			name: "bento", provider: "bento-uk", currency: "GBP", captured: 9900, share: 20, amount: bentoAmount, draw: drawBento,
			settings: "account: shop-uk, token: {env: CHAOS_BENTO}",
			modes:    []simulator.Mode{bentosim.CaptureFirst, bentosim.DeclineRetryable},
		},
		{
			name: "openpay", provider: "openpay-eu", currency: "EUR", captured: 12340, share: 20, amount: openpayAmount, draw: drawOpenpay,
			settings: "account: shop-eu, apiKey: {env: CHAOS_OPENPAY}, partialRefunds: true",
		},
	}
}

// credentials are the simulated accounts', as the environment gives them.
func credentials() []string {
	return []string{
		"CHAOS_OPAY=" + opaysim.DefaultSecretKey, "CHAOS_OPENPAY=" + openpaysim.DefaultAPIKey, "CHAOS_BENTO=" + bentosim.DefaultToken,
		"CHAOS_TRANZZO_ENDPOINTS=" + tranzzosim.DefaultEndpointsKey, "CHAOS_TRANZZO_KEY=" + tranzzosim.DefaultAPIKey,
		"CHAOS_TRANZZO_SECRET=" + tranzzosim.DefaultAPISecret,
	}
}

func drawOPay(d *drawer, k kind, native string) any {
	p := opaysim.Payment{Reference: native, Country: "EG", Amount: k.captured, Currency: k.currency}
	switch d.random.IntN(10) {
	case 0, 1, 2, 3:
		d.parts(1+d.random.IntN(4), "refused")
	case 4, 5:
		d.full()
	case 6:
		p.Status = "INITIAL"
		d.cancel("harmless")
	case 7:
		d.cancel("harmless") // it was paid: OPay leaves it as it is
	case 8:
		d.parts(1, "refused")
		d.tooMuch("refused")
		d.expired("refused")
	default:
		d.parts(1, "refused")
		d.full()
	}
	return p
}

func drawTranzzo(d *drawer, k kind, native string) any {
	p := tranzzosim.Payment{OrderID: native, Amount: k.captured, Currency: k.currency}
	switch d.random.IntN(10) {
	case 0, 1, 2:
		d.parts(1+d.random.IntN(2), "unsafe")
	case 3, 4, 5:
		d.full()
	case 6, 7:
		p.Status = "init"
		d.cancel("harmless")
	case 8:
		p.Method = "auth"
		d.cancel("harmless")
	default:
		d.parts(1, "unsafe")
		d.full()
	}
	return p
}

func drawBento(d *drawer, k kind, native string) any {
	p := bentosim.Payment{OrderID: "order-" + native, TransactionID: native, Amount: k.captured, Currency: k.currency}
	switch d.random.IntN(10) {
	case 0, 1, 2:
		d.full()
	case 3, 4, 5:
		d.parts(1, "refused")
	case 6, 7:
		p.State = "AuthSucceeded"
		d.cancel("refused")
	case 8:
		d.parts(2, "refused") // Bento takes one; the other must find that out
	default:
		d.cancel("refused") // it was paid
	}
	return p
}

func drawOpenpay(d *drawer, k kind, native string) any {
	switch d.random.IntN(10) {
	case 0, 1, 2, 3:
		d.full()
	case 4, 5, 6:
		d.parts(1+d.random.IntN(2), "unsafe")
	case 7:
		d.tooMuch("unsafe")
		d.parts(1, "unsafe")
	case 8:
		d.ask(wish{op: "cancel", repeat: "unsafe", refused: true}) // Openpay has none
	default:
		d.parts(1, "unsafe")
		d.full()
	}
	return openpaysim.Payment{TransactionID: native, ReferenceNo: "order-" + native, Amount: k.captured, Currency: k.currency}
}
