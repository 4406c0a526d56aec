package opay_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/opay"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/providertest"
)

// contract is one configuration of adapter and simulator for the suite.
type contract struct {
	repeat string
	sim    opaysim.Options
}

func (c contract) Simulator(testing.TB) providertest.Simulator {
	sim := opaysim.New(c.sim)
	return providertest.Simulator{
		Handler: sim,
		Base:    sim.Base,
		Seed: func(t testing.TB, k providertest.Case, n int) providers.Request {
			return contractPayment(t, sim, k, n)
		},
		Moves: func(r *http.Request) bool {
			return strings.HasSuffix(r.URL.Path, "/payment/close") || strings.HasSuffix(r.URL.Path, "/refund/create")
		},
		Refusal: contractRefusal,
		Settle: func() {
			for _, m := range sim.Ledger().Movements("") {
				if m.Operation == string(payment.Refund) {
					_ = sim.Settle(m.Reference) // what moved is known, so this cannot fail
				}
			}
		},
	}
}

// contractPayment seeds a payment: a cancel wants one that is not paid yet.
func contractPayment(t testing.TB, sim *opaysim.Simulator, k providertest.Case, n int) providers.Request {
	t.Helper()
	p := opaysim.Payment{
		Reference: fmt.Sprintf("1001%03d", n), Country: "EG", Amount: contractFull, Currency: "EGP", Status: "SUCCESS",
	}
	if k.Op == payment.Cancel {
		p.Status = "INITIAL"
	}
	if err := sim.AddPayment(p); err != nil {
		t.Fatal(err)
	}
	r := providers.Request{
		Op: k.Op, Full: k.Full, Payment: payment.Details{OrderID: p.Reference, Country: "EG"},
		Reference: fmt.Sprintf("%032x", n),
	}
	if k.Op == payment.Refund && !k.Full {
		r.Amount = &k.Amount
	}
	return r
}

// contractRefusal is a documented error answer with a message of the caller's choice.
func contractRefusal(_ providers.Request, message string) []byte {
	quoted, err := json.Marshal(message)
	if err != nil {
		panic(err)
	}
	return fmt.Appendf(nil, `{"code":"02001","message":%s}`, quoted)
}

func (c contract) Provider(t testing.TB, baseURL string, client *providers.Client) providers.Provider {
	t.Helper()
	p, err := opay.New(opay.Settings{
		BaseURL: baseURL, MerchantID: opaysim.DefaultMerchantID, SecretKey: providers.NewSecret(opaysim.DefaultSecretKey),
		CallbackURL: "https://merchant.example/cb", Country: "EG", RefundRepeat: c.repeat,
	}, client)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	contractFull    = 40000
	contractPartial = 400
)

func (contract) Cases() []providertest.Case {
	egp := func(value int64) payment.Money { return payment.Money{Value: value, Currency: "EGP"} }
	return []providertest.Case{
		{Name: "cancel", Op: payment.Cancel, Amount: egp(0), QueryTells: true},
		{Name: "full refund", Op: payment.Refund, Full: true, Amount: egp(contractFull), QueryTells: true},
		{Name: "partial refund", Op: payment.Refund, Amount: egp(contractPartial), QueryTells: true},
	}
}

func (contract) Secrets() []string { return []string{opaysim.DefaultSecretKey} }

func TestOPayKeepsTheProviderContract(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]contract{
		"as documented": {},
		"decided at once, another duplicate code": {sim: opaysim.Options{FirstStatus: "SUCCESS", DuplicateCode: "20000"}},
		"decided slowly, repeats declared unsafe": {
			repeat: opay.RepeatUnsafe,
			sim:    opaysim.Options{FirstStatus: "INITIAL", SettleAfter: 3, RepeatsExecute: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, c)
		})
	}
}
