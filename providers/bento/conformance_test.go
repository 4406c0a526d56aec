package bento_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/bento"
	"github.com/countermand/countermand/providers/bento/bentosim"
	"github.com/countermand/countermand/providers/providertest"
)

const (
	testToken  = "eyJ0ZXN0IjoxfQ.c2lnbmF0dXJl-test"
	testSecret = "client/secret+of=the test" // needs escaping in a form
)

// harness is one configuration of adapter and simulator.
type harness struct {
	settings bento.Settings // TokenURL: the path, put behind the simulator's address
	sim      bentosim.Options
}

func (h harness) Simulator(testing.TB) providertest.Simulator {
	options := h.sim
	options.Token, options.ClientSecret = testToken, testSecret
	sim := bentosim.New(options)
	return providertest.Simulator{
		Handler: sim,
		Base:    sim.Base,
		Seed: func(t testing.TB, c providertest.Case, n int) providers.Request {
			return seed(t, sim, c, n)
		},
		Moves:   func(r *http.Request) bool { return r.Method == http.MethodPut },
		Refusal: refusal,
		Settle:  sim.Settle,
	}
}

// seed adds a transaction: a cancel wants one that is not captured.
func seed(t testing.TB, sim *bentosim.Simulator, c providertest.Case, n int) providers.Request {
	t.Helper()
	p := bentosim.Payment{
		OrderID: fmt.Sprintf("or_%d", n), TransactionID: fmt.Sprintf("tx_%d", n), Amount: fullAmount, Currency: "GBP",
	}
	if c.Op == payment.Cancel {
		p.State = "AuthSucceeded"
	}
	if err := sim.AddPayment(p); err != nil {
		t.Fatal(err)
	}
	r := providers.Request{
		Op: c.Op, Full: c.Full, Payment: payment.Details{TransactionID: p.TransactionID, OrderID: p.OrderID},
	}
	if c.Op == payment.Refund && !c.Full {
		r.Amount = &c.Amount
	}
	return r
}

// refusal is an explicit decline with a message of the caller's choice, as the
// later generation of the API has it.
func refusal(_ providers.Request, message string) []byte {
	quoted, err := json.Marshal(message)
	if err != nil {
		panic(err)
	}
	return fmt.Appendf(nil, `{"message":%s,"causes":[],"status":{"code":"PG0005","description":%s,"outcome":"failedNonRetryable"}}`, quoted, quoted)
}

func (h harness) Provider(t testing.TB, baseURL string, client *providers.Client) providers.Provider {
	t.Helper()
	s := h.settings
	s.BaseURL, s.Account = baseURL, "shop-uk"
	if s.TokenURL == "" {
		s.Token = providers.NewSecret(testToken)
	} else {
		s.TokenURL = baseURL + s.TokenURL
		s.ClientID, s.ClientSecret = bentosim.DefaultClientID, providers.NewSecret(testSecret)
	}
	p, err := bento.New(s, client)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	fullAmount    = 20000
	partialAmount = 400
)

func (h harness) Cases() []providertest.Case {
	return []providertest.Case{
		{Name: "cancel", Op: payment.Cancel, Amount: payment.Money{Currency: "GBP"}, QueryTells: true},
		{Name: "full refund", Op: payment.Refund, Full: true, Amount: payment.Money{Value: fullAmount, Currency: "GBP"}, QueryTells: true},
		{Name: "partial refund", Op: payment.Refund, Amount: payment.Money{Value: partialAmount, Currency: "GBP"}, QueryTells: true},
	}
}

func (h harness) Secrets() []string {
	return []string{testToken, testSecret, bentosim.TokenOf(1), bentosim.TokenOf(2)}
}

func TestBentoKeepsTheProviderContract(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]harness{
		"as documented": {},
		"a client's credentials, slow refunds, declines in 4xx": {
			settings: bento.Settings{TokenURL: bentosim.TokenPath},
			sim:      bentosim.Options{Answer: bentosim.AnswerAccepted, SettleAfter: 1, AmountAtOnce: true, DeclineIn4xx: true},
		},
		"basic authentication for tokens of unknown life, everything at once": {
			settings: bento.Settings{TokenURL: bentosim.TokenPath, TokenAuth: bento.TokenAuthBasic},
			sim:      bentosim.Options{Answer: bentosim.AnswerFinal, HideTokenLife: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, h)
		})
	}
}
