package app

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/kinds"
)

// Instances builds every configured provider; providers.NewSet checks them together. A
// configuration that was loaded without the providers' secrets is refused.
func Instances(cfg *config.Config, log *slog.Logger) ([]providers.Instance, error) {
	if len(cfg.NotGiven) > 0 {
		return nil, fmt.Errorf("without the secret of %s no provider is called", strings.Join(cfg.NotGiven, ", "))
	}
	var all []providers.Instance
	for _, p := range cfg.Providers {
		log, route := log.With("provider", p.Name), cfg.Route(p)
		client := providers.NewClient(&providers.ClientOptions{
			Timeout: p.Timeout, Concurrent: p.MaxConcurrent, Logger: log, Proxy: route.To,
		})
		kind, known := kinds.Find(p.Kind)
		if !known {
			return nil, fmt.Errorf("provider %q: kind %q is not known", p.Name, p.Kind)
		}
		a, err := kind.Open(p.Settings, client)
		if err != nil {
			return nil, fmt.Errorf("provider %q: %w", p.Name, err)
		}
		if via := route.Via(p.BaseURL); via != "" {
			log.Info("provider is called through a proxy", "proxy", via, "from", route.From)
		}
		all = append(all, providers.Instance{
			Name: p.Name, Kind: p.Kind, Account: a.Account(), Provider: a, Currencies: p.Currencies,
			Country: p.Country, Currency: p.Currency, Policy: p.Policy(), MaxConcurrent: p.MaxConcurrent, RateLimit: p.RateLimit,
		})
	}
	return all, nil
}
