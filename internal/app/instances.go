package app

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"

	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/kinds"
)

// Rules builds every configured provider for one who asks what it takes, and calls none.
// The configuration may have been loaded without the providers' secrets; it is for
// nothing else afterwards.
func Rules(cfg *config.Config) (*providers.Set, error) {
	for i := range cfg.Providers {
		standIn(reflect.ValueOf(cfg.Providers[i].Settings))
	}
	cfg.NotGiven = nil
	instances, err := Instances(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return providers.NewSet(instances...)
}

// standIn puts something in place of each secret that is configured and not there.
func standIn(settings reflect.Value) {
	settings = reflect.Indirect(settings)
	for i := range settings.NumField() {
		secret, ok := settings.Field(i).Addr().Interface().(*providers.Secret)
		if ok && !settings.Field(i).IsZero() && secret.Reveal() == "" {
			*secret = providers.NewSecret("not given")
		}
	}
}

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
		if p.ProviderMessages == config.MessagesNone {
			kind = kind.Silent()
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

// References is what the references of a configured provider name; false: it is not
// configured. No secret is needed.
func References(cfg *config.Config, provider string) (references payment.ReferenceScope, configured bool) {
	for _, p := range cfg.Providers {
		if p.Name != provider {
			continue
		}
		kind, known := kinds.Find(p.Kind)
		return kind.References, known
	}
	return payment.ReferenceOfPayment, false
}
