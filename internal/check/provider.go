package check

import (
	"cmp"
	"context"
	"log/slog"
	"sync"

	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// atOnce is how many providers are asked at a time.
const atOnce = 8

// instances builds the configured providers as the service does, and checks
// them together.
func (c *checker) instances() {
	if !c.opts.As.Calls() {
		c.hidden(ProviderSettings, "providers")
		return
	}
	built, err := app.Instances(c.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		c.report(Error, ProviderSettings, "providers", Finding{
			Is: "refused (" + err.Error() + ")", Want: "accepted", Do: "the service does not start: correct the configuration",
		})
		return
	}
	c.built = built
	c.proxies()
	if _, err := providers.NewSet(built...); err != nil {
		for _, fault := range faults(err) {
			c.report(Error, ProviderAccount, "providers", Finding{
				Is: "refused (" + fault.Error() + ")", Want: "one instance for each merchant account",
				Do: "the service does not start, since one refund could be sent under two names: keep one of them",
			})
		}
	}
}

// proxies names the proxy that each provider is called through, if there is one.
func (c *checker) proxies() {
	for _, p := range c.cfg.Providers {
		route := c.cfg.Route(p)
		via := route.Via(p.BaseURL)
		if via == "" {
			continue
		}
		if c.via == nil {
			c.via = map[string]string{}
		}
		c.via[p.Name] = via
		c.report(Note, ProviderProxy, "provider "+p.Name, Finding{
			Is: "called through the proxy " + via + " (" + route.From + ")", Want: "the proxy that you mean",
			Do: "nothing if it is; otherwise " + c.otherwise(p, route),
		})
	}
}

// otherwise says how a provider gets another proxy or none. That depends on where this
// one comes from: no variable excepts a host from the proxy of the provider's own setting.
func (c *checker) otherwise(p config.Provider, route config.Route) string {
	if route.Excepts != "" {
		return "add the provider's host to " + route.Excepts + ", or set the provider's own proxy"
	}
	p.Proxy = config.Proxy{}
	without := c.cfg.Route(p)
	if via := without.Via(p.BaseURL); via != "" {
		return "change the provider's setting proxy; without the setting, the proxy is " + via + " (" + without.From + ")"
	}
	return "change the provider's setting proxy; without the setting, the provider is called directly"
}

// faults takes joined errors apart.
func faults(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// logins asks every provider for a payment that does not exist. Reading moves
// no money, and the answer shows whether the credentials are taken.
func (c *checker) logins(ctx context.Context) {
	if c.opts.As == Recovery {
		c.hidden(ProviderLogin, "providers") // it asks none
		return
	}
	readings := make([]payment.Reading, len(c.built))
	slots := make(chan struct{}, atOnce)
	var asking sync.WaitGroup
	for i, in := range c.built {
		asking.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, cmp.Or(in.Policy.CallTimeout, answerFor))
			defer cancel()
			readings[i] = in.Provider.Read(ctx, absent(in))
		})
	}
	asking.Wait()
	for i, in := range c.built {
		c.judgeLogin(in.Name, in.Provider.Traits().Asks, readings[i])
	}
}

// absent asks for a payment that no shop has.
func absent(in providers.Instance) providers.Request {
	t := in.Provider.Traits()
	op := payment.Refund
	if !t.FullRefund.Supported && t.Cancel.Supported {
		op = payment.Cancel
	}
	currency := in.Currency
	if currency == "" && len(in.Currencies) > 0 {
		currency = in.Currencies[0]
	}
	return providers.Request{
		Op: op, Full: op.TakesAmount(), Key: nobody, Reference: nobody,
		Payment: payment.Details{OrderID: nobody, TransactionID: nobody, Country: in.Country, Currency: currency},
	}
}

// suffices says what the service does where an account cannot be asked.
const suffices = "a full refund whose answer is lost is sent once more, which the provider refuses if the first was carried out," +
	" and a partial one goes before a person after reviewAfter"

// judgeLogin says what one provider's answer means.
func (c *checker) judgeLogin(name string, asks payment.Asks, r payment.Reading) {
	what := "provider " + name
	answer := string(r.Code)
	if r.Message != "" {
		answer += " (" + r.Message + ")"
	}
	do := "its operations wait: check baseURL, the network, and the provider's state"
	if via := c.via[name]; via != "" {
		answer += ", through the proxy " + via
		do = "its operations wait: check the proxy, baseURL, the network, and the provider's state"
	}
	switch {
	case asks == payment.AsksNone:
		c.report(NotVerifiable, ProviderLogin, what, Finding{
			Is: "without a call to ask by, so that nobody can try the credentials", Want: "an answer that shows that the credentials are accepted",
			Do: "nothing: " + suffices,
		})
	case r.OK, r.Code == payment.CodePaymentNotFound:
	case asks == payment.AsksHelpful:
		c.report(NotVerifiable, ProviderLogin, what, Finding{
			Is: "answering its undocumented status call with " + answer, Want: "an answer about a payment that does not exist",
			Do: "refunds do not depend on it, and " + suffices + "; if real payments are not found either, take statusPath out",
		})
	case r.Unhealthy, r.Code == payment.CodeProviderAuthentication:
		c.report(Error, ProviderLogin, what, Finding{
			Is: "answering " + answer, Want: "accepting the credentials",
			Do: "its operations wait until then: correct the credentials or the merchant's settings there",
		})
	case r.Code == payment.CodeProviderUnavailable:
		c.report(Warning, ProviderReach, what, Finding{
			Is: "not reachable: " + answer, Want: "reachable", Do: do,
		})
	default:
		c.report(NotVerifiable, ProviderLogin, what, Finding{
			Is: "answering " + cmp.Or(answer, "nothing known"), Want: "an answer that shows that the credentials are accepted",
			Do: "nothing, unless operations there wait with a code of their own",
		})
	}
}
