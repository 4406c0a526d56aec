package app

import (
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/console"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// newConsole builds the web console and what it is fed by; no I/O. local is who
// visitors over loopback are where the configuration names nobody.
func newConsole(a *App, cfg *config.Config, set *providers.Set, local string) error {
	access := console.Access{
		Viewers: people(cfg.Console.Viewers), Operators: people(cfg.Console.Operators), Local: local,
		ProxyHeader: cfg.Console.TrustedProxyHeader, ProxyOperators: cfg.Console.ProxyOperators,
	}
	for _, s := range cfg.Console.TrustedProxies {
		if network, ok := config.Network(s); ok {
			access.ProxyFrom = append(access.ProxyFrom, network)
		}
	}
	a.feed = console.NewFeed(time.Now)
	var err error
	a.console, err = console.New(console.Options{
		Access: access, Desk: a.desk, Feed: a.feed, Ready: a.Ready, Logger: a.log,
		Standing: func() []console.Standing { return standing(a, set) },
	})
	return err
}

// newFollower feeds the console from the journal, and tells the survey what it
// sees; once a.seen is complete.
func newFollower(a *App, js jetstream.JetStream, stream string) *follower {
	return &follower{
		js: js, stream: stream, feed: a.feed, log: a.log,
		changed: func(id payment.ID, review bool) { a.seen.survey.Changed(id, review) },
	}
}

func people(list []config.Person) []console.Person {
	all := make([]console.Person, len(list))
	for i, p := range list {
		all[i] = console.Person{Name: p.Name, Token: p.Token}
	}
	return all
}

// standing lists how the provider instances stand now, by name.
func standing(a *App, set *providers.Set) []console.Standing {
	states := a.isolation.States()
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
