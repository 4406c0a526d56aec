package crash_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/bento"
	"github.com/countermand/countermand/providers/bento/bentosim"
	"github.com/countermand/countermand/providers/opay"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/openpay"
	"github.com/countermand/countermand/providers/openpay/openpaysim"
	"github.com/countermand/countermand/providers/simulator"
	"github.com/countermand/countermand/providers/tranzzo"
	"github.com/countermand/countermand/providers/tranzzo/tranzzosim"
)

// bench is one path's provider: the adapter in front of its simulator over real
// HTTP, and the time both live in. The cells of a path run on it one by one.
type bench struct {
	row      row
	clock    *clock
	base     *simulator.Base
	provider providers.Provider
	// unreachable is the same adapter at an address where nobody listens.
	unreachable providers.Provider
	instance    providers.Instance
	seed        func(native string) error
}

// adapter is what a kind's constructor returns.
type adapter interface {
	providers.Provider
	Account() string
}

func newBench(t *testing.T, r row, p path) *bench {
	t.Helper()
	b := &bench{row: r, clock: newClock()}
	client := providers.NewClient(&providers.ClientOptions{Now: b.clock.Now})
	var handler http.Handler
	var build func(url string) (adapter, error)
	switch r.provider {
	case opayEG:
		handler, build = b.opay(p, client)
	case tranzzoUA:
		handler, build = b.tranzzo(p, client)
	case bentoUK:
		handler, build = b.bento(p, client)
	default:
		handler, build = b.openpay(p, client)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		b.base.Close()
		server.Close()
	})
	reached, err := build(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if b.unreachable, err = build(nobody); err != nil {
		t.Fatal(err)
	}
	b.provider = reached
	policy := payment.DefaultPolicy()
	policy.GiveUpAfter = giveUpAfter
	if p.deaf {
		policy.GiveUpAfter, policy.ReviewAfter = askedSoon, askedSoon
	}
	b.instance = providers.Instance{
		Name: r.provider, Kind: reached.Traits().Kind, Account: reached.Account(), Policy: policy, MaxConcurrent: 8,
	}
	return b
}

// giveUpAfter is shorter than the documented 72 hours, so that what waits for an
// operation before a person comes to its own end in fewer steps.
const giveUpAfter = time.Hour

// askedSoon is when a person is asked on paths that are about what they say.
const askedSoon = 4 * time.Second

// nobody is an address where nothing listens and nothing will: a port that was
// free a moment ago may be another bench's simulator by now.
const nobody = "http://127.0.0.1:1"

func (b *bench) opay(p path, client *providers.Client) (http.Handler, func(string) (adapter, error)) {
	o := opaysim.Options{Now: b.clock.Now, FirstStatus: "SUCCESS"}
	if p.pending {
		o.FirstStatus, o.SettleAfter = "PENDING", 1
	}
	sim := opaysim.New(o)
	b.base = sim.Base
	status := "SUCCESS"
	if b.row.op == payment.Cancel {
		status = "INITIAL"
	}
	b.seed = func(native string) error {
		return sim.AddPayment(opaysim.Payment{Reference: native, Country: "EG", Amount: captured, Currency: "EGP", Status: status})
	}
	return sim, func(url string) (adapter, error) {
		return opay.New(opay.Settings{
			BaseURL: url, MerchantID: opaysim.DefaultMerchantID,
			SecretKey: providers.NewSecret(opaysim.DefaultSecretKey), CallbackURL: "https://shop.example/callback",
		}, client)
	}
}

func (b *bench) tranzzo(p path, client *providers.Client) (http.Handler, func(string) (adapter, error)) {
	o := tranzzosim.Options{Now: b.clock.Now, Pending: p.pending}
	if p.pending {
		o.SettleAfter = 2
	}
	sim := tranzzosim.New(o)
	b.base = sim.Base
	b.seed = func(native string) error {
		order := tranzzosim.Payment{OrderID: native, Amount: captured, Currency: "UAH"}
		switch b.row.name {
		case void:
			order.Method = "auth"
		case cancel:
			order.Status = "init"
		}
		return sim.AddPayment(order)
	}
	return sim, func(url string) (adapter, error) {
		return tranzzo.New(tranzzo.Settings{
			BaseURL: url, PosID: tranzzosim.DefaultPosID,
			EndpointsKey: providers.NewSecret(tranzzosim.DefaultEndpointsKey),
			APIKey:       providers.NewSecret(tranzzosim.DefaultAPIKey), APISecret: providers.NewSecret(tranzzosim.DefaultAPISecret),
		}, client)
	}
}

func (b *bench) bento(p path, client *providers.Client) (http.Handler, func(string) (adapter, error)) {
	o := bentosim.Options{Now: b.clock.Now, Answer: bentosim.AnswerFinal}
	if p.pending {
		o.Answer, o.SettleAfter = bentosim.AnswerStale, 1
	}
	sim := bentosim.New(o)
	b.base = sim.Base
	state := "CaptureSucceeded"
	if b.row.op == payment.Cancel {
		state = "AuthSucceeded"
	}
	b.seed = func(native string) error {
		return sim.AddPayment(bentosim.Payment{
			OrderID: "o-" + native, TransactionID: native, Amount: captured, Currency: "GBP", State: state,
		})
	}
	return sim, func(url string) (adapter, error) {
		return bento.New(bento.Settings{
			BaseURL: url, Account: "shop-uk", Token: providers.NewSecret(bentosim.DefaultToken),
		}, client)
	}
}

func (b *bench) openpay(p path, client *providers.Client) (http.Handler, func(string) (adapter, error)) {
	sim := openpaysim.New(openpaysim.Options{Now: b.clock.Now, PartialRefunds: true, HideRefunds: p.hidden})
	b.base = sim.Base
	b.seed = func(native string) error {
		return sim.AddPayment(openpaysim.Payment{TransactionID: native, ReferenceNo: "r-" + native, Amount: captured, Currency: "EUR"})
	}
	return sim, func(url string) (adapter, error) {
		return openpay.New(openpay.Settings{
			BaseURL: url, Account: "shop-eu", APIKey: providers.NewSecret(openpaysim.DefaultAPIKey), PartialRefunds: true,
		}, client)
	}
}
