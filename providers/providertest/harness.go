package providertest

import (
	"net/http"
	"testing"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/simulator"
)

// Harness makes one provider kind testable. Its methods are called from
// parallel tests.
type Harness interface {
	// Simulator returns a fresh simulated provider without payments or faults.
	Simulator(t testing.TB) Simulator
	// Provider returns a provider that has the simulator's credentials and calls
	// baseURL through the client.
	Provider(t testing.TB, baseURL string, client *providers.Client) providers.Provider
	// Cases lists every operation the provider supports.
	Cases() []Case
	// Secrets lists every credential the provider was given.
	Secrets() []string
}

// Case is one operation the suite walks through.
type Case struct {
	// Name is the subtest's.
	Name string
	Op   payment.Op
	Full bool
	// Amount is what one execution adds to the simulator's ledger; its Value is
	// 0 for operations that move no money.
	Amount payment.Money
	// QueryTells: once the operation was carried out, a status query says so.
	// Where it is false the query must find nothing rather than guess.
	QueryTells bool
}

// Simulator is one simulated provider and what the suite needs to know of it.
type Simulator struct {
	Handler http.Handler
	Base    *simulator.Base
	// Seed adds a fresh payment on which the case can be carried out and returns
	// the request for it, without snapshot and SendBefore. n makes it unique.
	Seed func(t testing.TB, c Case, n int) providers.Request
	// Moves tells the HTTP request that moves money from tokens, reads and queries.
	Moves func(r *http.Request) bool
	// Refusal is a body in the provider's form that definitively refuses the
	// request and carries the message.
	Refusal func(r providers.Request, message string) []byte
	// Settle completes what was accepted; nil where the provider decides at once.
	Settle func()
}
