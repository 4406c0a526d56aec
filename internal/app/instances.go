package app

import (
	"fmt"
	"log/slog"

	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/bento"
	"github.com/countermand/countermand/providers/opay"
	"github.com/countermand/countermand/providers/openpay"
	"github.com/countermand/countermand/providers/tranzzo"
)

// adapter is what a kind's constructor returns.
type adapter interface {
	providers.Provider
	Account() string
}

// Instances builds every configured provider; providers.NewSet checks them together. This is the one list of kinds
// the program knows; a new kind is one more case.
func Instances(cfg *config.Config, log *slog.Logger) ([]providers.Instance, error) {
	var all []providers.Instance
	for _, p := range cfg.Providers {
		client := providers.NewClient(&providers.ClientOptions{
			Timeout: p.Timeout, Concurrent: p.MaxConcurrent, Logger: log.With("provider", p.Name),
		})
		a, err := newAdapter(p, client)
		if err != nil {
			return nil, fmt.Errorf("provider %q: %w", p.Name, err)
		}
		all = append(all, providers.Instance{
			Name: p.Name, Kind: p.Kind, Account: a.Account(), Provider: a, Currencies: p.Currencies,
			Country: p.Country, Currency: p.Currency, Policy: p.Policy(), MaxConcurrent: p.MaxConcurrent, RateLimit: p.RateLimit,
		})
	}
	return all, nil
}

func newAdapter(p config.Provider, client *providers.Client) (adapter, error) {
	switch s := p.Settings.(type) {
	case *opay.Settings:
		return opay.New(*s, client)
	case *openpay.Settings:
		return openpay.New(*s, client)
	case *tranzzo.Settings:
		return tranzzo.New(*s, client)
	case *bento.Settings:
		return bento.New(*s, client)
	default:
		return nil, fmt.Errorf("kind %q is not known", p.Kind)
	}
}
