package crash_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/countermand/countermand/internal/simulators"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/simulator"
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

func newBench(t *testing.T, r row, p path) *bench {
	t.Helper()
	b := &bench{row: r, clock: newClock()}
	client := providers.NewClient(&providers.ClientOptions{Now: b.clock.Now})
	manner := simulator.Manner{Now: b.clock.Now, Pace: simulator.AtOnce, HideRefunds: p.hidden}
	if p.pending {
		manner.Pace = simulator.Later
	}
	sim := r.kind.New(manner)
	b.base = sim.Base
	b.seed = func(native string) error {
		return sim.Seed(r.kind.Seed(native, captured, simulator.StateFor(r.name)))
	}
	server := httptest.NewServer(sim)
	t.Cleanup(func() {
		b.base.Close()
		server.Close()
	})
	reached, err := simulators.Open(r.kind, server.URL, client)
	if err != nil {
		t.Fatal(err)
	}
	if b.unreachable, err = simulators.Open(r.kind, nobody, client); err != nil {
		t.Fatal(err)
	}
	b.provider = reached
	policy := payment.DefaultPolicy()
	policy.GiveUpAfter = giveUpAfter
	if p.deaf {
		policy.GiveUpAfter, policy.ReviewAfter = askedSoon, askedSoon
	}
	b.instance = providers.Instance{
		Name: r.kind.Instance, Kind: reached.Traits().Kind, Account: reached.Account(), Policy: policy, MaxConcurrent: 8,
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
