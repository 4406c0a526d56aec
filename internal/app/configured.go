package app

import (
	"maps"
	"slices"
	"time"

	"github.com/countermand/countermand/console"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/isolation"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// longestOpen bounds how long a breaker stays open before its next probe. It is
// how late the service notices that a provider has recovered.
const longestOpen = 30 * time.Second

// limits bounds every instance as configured. A breaker is open for as long as a
// first retry waits.
func limits(instances []providers.Instance) map[string]isolation.Limits {
	all := make(map[string]isolation.Limits, len(instances))
	for _, in := range instances {
		all[in.Name] = isolation.Limits{
			Concurrent: in.MaxConcurrent, Rate: in.RateLimit,
			OpenFor: in.Policy.RetryInitial, OpenMax: min(in.Policy.RetryMax, longestOpen),
		}
	}
	return all
}

// rates are the calls a second that instances allow, where they are bounded.
func rates(instances []providers.Instance) map[string]float64 {
	all := map[string]float64{}
	for _, in := range instances {
		if in.RateLimit > 0 {
			all[in.Name] = in.RateLimit
		}
	}
	return all
}

// Amounts are configured amounts as the desk reads them.
func Amounts(list []config.Amount) []payment.Money {
	all := make([]payment.Money, len(list))
	for i, a := range list {
		all[i] = payment.Money{Value: a.Value, Currency: a.Currency}
	}
	return all
}

// People says which logins are one person.
func People(list []config.Identified) (*desk.People, error) {
	all := make([]desk.Person, len(list))
	for i, p := range list {
		all[i] = desk.Person{Name: p.Name, Logins: p.Identities}
	}
	return desk.NewPeople(all)
}

// access says who may use the console. local is who visitors over loopback are if
// the configuration names nobody.
func access(cfg config.Console, local string) console.Access {
	a := console.Access{
		Viewers: people(cfg.Viewers), Operators: people(cfg.Operators), Local: local, Loopback: cfg.AllowLoopback,
		ProxyHeader: cfg.TrustedProxyHeader, ProxyOperators: cfg.ProxyOperators,
	}
	for _, s := range cfg.TrustedProxies {
		if network, ok := config.Network(s); ok {
			a.ProxyFrom = append(a.ProxyFrom, network)
		}
	}
	return a
}

func people(list []config.Person) []console.Person {
	all := make([]console.Person, len(list))
	for i, p := range list {
		all[i] = console.Person{Name: p.Name, Token: p.Token}
	}
	return all
}

// standings lists how the provider instances stand now, by name.
func standings(i *isolation.Isolation, set *providers.Set) []console.Standing {
	states := i.States()
	var all []console.Standing
	for _, name := range slices.Sorted(maps.Keys(states)) {
		in, _ := set.Get(name)
		s := states[name]
		all = append(all, console.Standing{
			Provider: name, Kind: in.Kind, Paused: s.Paused, Breaker: s.Breaker, Until: s.Until, UnderWay: s.UnderWay,
		})
	}
	return all
}
