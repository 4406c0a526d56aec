//go:build !production

// Package simulators puts every provider's simulator on one address, each
// under the path of its kind, with an account and payments to begin with. It
// leaves what a simulator does, and does not, to the simulator's own package.
package simulators

import (
	"fmt"
	"io"
	"net/http"

	"github.com/countermand/countermand/providers/bento/bentosim"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/openpay/openpaysim"
	"github.com/countermand/countermand/providers/tranzzo/tranzzosim"
)

// payments is how many payments of each kind there are to begin with.
const payments = 10

// kind is one simulated provider.
type kind struct {
	name    string
	handler http.Handler
	close   func()
	account string // how to reach it, for people
	seeded  string // which payments there are
}

// Set is every simulator; safe for concurrent use.
type Set struct{ kinds []kind }

// New returns all simulators with their accounts and first payments.
func New() (*Set, error) {
	s := &Set{}
	for _, add := range []func() (kind, error){newOPay, newOpenpay, newTranzzo, newBento} {
		k, err := add()
		if err != nil {
			s.Close()
			return nil, err
		}
		s.kinds = append(s.kinds, k)
	}
	return s, nil
}

// Handler serves every simulator under /<kind>.
func (s *Set) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, k := range s.kinds {
		mux.Handle("/"+k.name+"/", http.StripPrefix("/"+k.name, k.handler))
	}
	return mux
}

// Close cuts what hangs.
func (s *Set) Close() {
	for _, k := range s.kinds {
		k.close()
	}
}

// Describe tells people what there is, at the address it is served on.
func (s *Set) Describe(w io.Writer, address string) {
	for _, k := range s.kinds {
		fmt.Fprintf(w, "  http://%s/%s\n      account   %s\n      payments  %s\n", address, k.name, k.account, k.seeded)
	}
}

func newOPay() (kind, error) {
	sim := opaysim.New(opaysim.Options{})
	for n := range payments {
		status := "SUCCESS"
		if n >= payments-2 {
			status = "INITIAL"
		}
		p := opaysim.Payment{Reference: fmt.Sprintf("100100%d", n), Country: "EG", Amount: 40000, Currency: "EGP", Status: status}
		if err := sim.AddPayment(p); err != nil {
			return kind{}, fmt.Errorf("seed opay: %w", err)
		}
	}
	return kind{
		name: "opay", handler: sim, close: sim.Close,
		account: fmt.Sprintf("merchantID %s, secretKey %s", opaysim.DefaultMerchantID, opaysim.DefaultSecretKey),
		seeded:  "orderId 1001000 to 1001009, country EG, 40000 EGP minor each; the last two are unpaid",
	}, nil
}

func newOpenpay() (kind, error) {
	sim := openpaysim.New(openpaysim.Options{APIKey: openpaysim.DefaultAPIKey, PartialRefunds: true})
	for n := range payments {
		t := fmt.Sprintf("529-1438673740-%d", n)
		p := openpaysim.Payment{TransactionID: t, ReferenceNo: "order-" + t, Amount: 12340, Currency: "EUR"}
		if err := sim.AddPayment(p); err != nil {
			return kind{}, fmt.Errorf("seed openpay: %w", err)
		}
	}
	return kind{
		name: "openpay", handler: sim, close: sim.Close,
		account: "apiKey " + openpaysim.DefaultAPIKey + ", partial refunds on",
		seeded:  "transactionId 529-1438673740-0 to -9, orderId order-<transactionId>, 12340 EUR minor each",
	}, nil
}

func newTranzzo() (kind, error) {
	sim := tranzzosim.New(tranzzosim.Options{})
	for n := range payments {
		p := tranzzosim.Payment{OrderID: fmt.Sprintf("ua-100%d", n), Amount: 25000, Currency: "UAH"}
		if n >= payments-2 {
			p.Status = "init"
		}
		if err := sim.AddPayment(p); err != nil {
			return kind{}, fmt.Errorf("seed tranzzo: %w", err)
		}
	}
	return kind{
		name: "tranzzo", handler: sim, close: sim.Close,
		account: fmt.Sprintf("posID %s, endpointsKey %s, apiKey %s, apiSecret %s", tranzzosim.DefaultPosID,
			tranzzosim.DefaultEndpointsKey, tranzzosim.DefaultAPIKey, tranzzosim.DefaultAPISecret),
		seeded: "orderId ua-1000 to ua-1009, 25000 UAH minor each; the last two are unpaid",
	}, nil
}

func newBento() (kind, error) {
	sim := bentosim.New(bentosim.Options{})
	for n := range payments {
		t := fmt.Sprintf("tx-100%d", n)
		p := bentosim.Payment{OrderID: "order-" + t, TransactionID: t, Amount: 9900, Currency: "GBP"}
		if n >= payments-2 {
			p.State = "AuthSucceeded"
		}
		if err := sim.AddPayment(p); err != nil {
			return kind{}, fmt.Errorf("seed bento: %w", err)
		}
	}
	return kind{
		name: "bento", handler: sim, close: sim.Close,
		account: "token " + bentosim.DefaultToken,
		seeded:  "transactionId tx-1000 to tx-1009, orderId order-<transactionId>, 9900 GBP minor each; the last two are authorised only",
	}, nil
}
