package tranzzo_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/providertest"
	"github.com/countermand/countermand/providers/tranzzo"
	"github.com/countermand/countermand/providers/tranzzo/tranzzosim"
)

const (
	testPos       = "dc728de1-51ef-4ef1-80f7-3b44b07b5667"
	testEndpoints = "AIza-test-endpoints-key"
	testKey       = "a53bec42-test-api-key"
	testSecret    = "SXNHcFhM+test/api=secret"
)

const (
	fullAmount    = 40000
	partialAmount = 450 // 4.5 as a number, 4.50 as text
)

// harness is one configuration of adapter and simulator.
type harness struct {
	amounts tranzzo.AmountForm
	sim     tranzzosim.Options
}

func account(o tranzzosim.Options) tranzzosim.Options {
	o.PosID, o.EndpointsKey, o.APIKey, o.APISecret = testPos, testEndpoints, testKey, testSecret
	return o
}

func settings(baseURL string) tranzzo.Settings {
	return tranzzo.Settings{
		BaseURL: baseURL, PosID: testPos, EndpointsKey: providers.NewSecret(testEndpoints),
		APIKey: providers.NewSecret(testKey), APISecret: providers.NewSecret(testSecret), Currency: "UAH",
	}
}

func (h harness) Simulator(testing.TB) providertest.Simulator {
	sim := tranzzosim.New(account(h.sim))
	return providertest.Simulator{
		Handler: sim,
		Base:    sim.Base,
		Seed: func(t testing.TB, c providertest.Case, n int) providers.Request {
			return seed(t, sim, c, n)
		},
		Moves:   func(r *http.Request) bool { return r.Method == http.MethodPost },
		Refusal: refusal,
		Settle:  sim.Settle,
	}
}

// void names the case of a cancel that is a void.
const void = "cancel of an authorised payment"

// seed adds an order: a cancel wants one that is unpaid, or authorised.
func seed(t testing.TB, sim *tranzzosim.Simulator, c providertest.Case, n int) providers.Request {
	t.Helper()
	p := tranzzosim.Payment{OrderID: fmt.Sprintf("order/%d", n), Amount: fullAmount, Currency: "UAH"}
	switch {
	case c.Name == void:
		p.Method = "auth"
	case c.Op == payment.Cancel:
		p.Status = "init"
	}
	if err := sim.AddPayment(p); err != nil {
		t.Fatal(err)
	}
	r := providers.Request{
		Op: c.Op, Full: c.Full, Payment: payment.Details{OrderID: p.OrderID, Currency: "UAH"},
		Key: payment.Key(fmt.Sprintf("return-%d", n)),
	}
	if c.Op == payment.Refund && !c.Full {
		r.Amount = &c.Amount
	}
	return r
}

// refusal is the API's error form with a message of the caller's choice.
func refusal(_ providers.Request, message string) []byte {
	quoted, err := json.Marshal(message)
	if err != nil {
		panic(err)
	}
	return fmt.Appendf(nil, `{"message":%s,"args":{"code":"S-400"}}`, quoted)
}

func (h harness) Provider(t testing.TB, baseURL string, client *providers.Client) providers.Provider {
	t.Helper()
	s := settings(baseURL)
	s.AmountForm = h.amounts
	p, err := tranzzo.New(s, client)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (harness) Cases() []providertest.Case {
	uah := func(value int64) payment.Money { return payment.Money{Value: value, Currency: "UAH"} }
	return []providertest.Case{
		{Name: "cancel of an unpaid payment", Op: payment.Cancel, Amount: uah(0), QueryTells: true},
		{Name: void, Op: payment.Cancel, Amount: uah(0), QueryTells: true},
		{Name: "full refund", Op: payment.Refund, Full: true, Amount: uah(fullAmount), QueryTells: true},
		{Name: "partial refund", Op: payment.Refund, Amount: uah(partialAmount), QueryTells: true},
	}
}

func (harness) Secrets() []string { return []string{testEndpoints, testKey, testSecret} }

func TestTranzzoKeepsTheProviderContract(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]harness{
		"as documented":                       {},
		"comments listed, amounts as numbers": {amounts: tranzzo.AmountNumber, sim: tranzzosim.Options{ShowComments: true}},
		"decided slowly, amounts as text":     {sim: tranzzosim.Options{Pending: true, SettleAfter: 3, AmountsAsText: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, h)
		})
	}
}
