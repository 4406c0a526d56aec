package openpay_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/openpay"
	"github.com/countermand/countermand/providers/openpay/openpaysim"
	"github.com/countermand/countermand/providers/providertest"
)

// statusPath is the sister brand's, which this one does not document.
const statusPath = "/pw/v3/payment/status"

const testKey = "4d41d21a935f5bba9dee7c7be4a7ca04"

// harness is one configuration of adapter and simulator.
type harness struct {
	encoding openpay.Encoding
	sim      openpaysim.Options
	// asked: the instance has a status path.
	asked bool
}

func (h harness) Simulator(testing.TB) providertest.Simulator {
	options := h.sim
	options.APIKey = testKey
	sim := openpaysim.New(options)
	return providertest.Simulator{
		Handler: sim,
		Base:    sim.Base,
		Seed: func(t testing.TB, c providertest.Case, n int) providers.Request {
			return seed(t, sim, c, n)
		},
		Moves:   func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/payment/refund") },
		Refusal: refusal,
	}
}

func seed(t testing.TB, sim *openpaysim.Simulator, c providertest.Case, n int) providers.Request {
	t.Helper()
	p := openpaysim.Payment{
		TransactionID: fmt.Sprintf("529-1438673740-%d", n), ReferenceNo: fmt.Sprintf("1-1386413490-0089-%d", n),
		Amount: fullAmount, Currency: "EUR",
	}
	if err := sim.AddPayment(p); err != nil {
		t.Fatal(err)
	}
	r := providers.Request{
		Op: c.Op, Full: c.Full,
		Payment: payment.Details{TransactionID: p.TransactionID, OrderID: p.ReferenceNo},
	}
	if !c.Full {
		r.Amount = &c.Amount
	}
	return r
}

// refusal is a documented decline with a message of the caller's choice.
func refusal(r providers.Request, message string) []byte {
	quoted, err := json.Marshal(message)
	if err != nil {
		panic(err)
	}
	return fmt.Appendf(nil, `{"code":5,"status":"DECLINED","message":%s,"transactionId":%q,"referenceNo":%q}`,
		quoted, r.Payment.TransactionID, r.Payment.OrderID)
}

func (h harness) Provider(t testing.TB, baseURL string, client *providers.Client) providers.Provider {
	t.Helper()
	p, err := openpay.New(openpay.Settings{
		BaseURL: baseURL, Account: "shop-eu", APIKey: providers.NewSecret(testKey),
		Encoding: h.encoding, PartialRefunds: h.sim.PartialRefunds, StatusPath: map[bool]string{true: statusPath}[h.asked],
	}, client)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	fullAmount    = 1234
	partialAmount = 400
)

func (h harness) Cases() []providertest.Case {
	cases := []providertest.Case{{
		Name: "full refund", Op: payment.Refund, Full: true,
		Amount: payment.Money{Value: fullAmount, Currency: "EUR"}, QueryTells: h.asked && h.sim.Status >= openpaysim.StatusFull,
	}}
	if h.sim.PartialRefunds {
		cases = append(cases, providertest.Case{
			Name: "partial refund", Op: payment.Refund,
			Amount: payment.Money{Value: partialAmount, Currency: "EUR"}, QueryTells: h.asked && h.sim.Status == openpaysim.StatusParts,
		})
	}
	return cases
}

func (h harness) Secrets() []string { return []string{testKey} }

func TestOpenpayKeepsTheProviderContract(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]harness{
		"as documented":                  {sim: openpaysim.Options{PartialRefunds: true}},
		"no partial refunds":             {},
		"a status that is not asked":     {sim: openpaysim.Options{Status: openpaysim.StatusParts}},
		"a status that is missing":       {asked: true, sim: openpaysim.Options{PartialRefunds: true}},
		"a status that knows nothing":    {asked: true, sim: openpaysim.Options{PartialRefunds: true, Status: openpaysim.StatusBlank}},
		"a status that is wrong":         {asked: true, sim: openpaysim.Options{PartialRefunds: true, Status: openpaysim.StatusWrong}},
		"a status that shows no refund":  {asked: true, sim: openpaysim.Options{PartialRefunds: true, Status: openpaysim.StatusPaid}},
		"full refunds shown":             {asked: true, sim: openpaysim.Options{PartialRefunds: true, Status: openpaysim.StatusFull}},
		"partial refunds shown, as JSON": {asked: true, encoding: openpay.EncodingJSON, sim: openpaysim.Options{PartialRefunds: true, Status: openpaysim.StatusParts}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, h)
		})
	}
}
