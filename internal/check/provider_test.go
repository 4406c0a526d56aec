package check_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/internal/check"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/opay"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/openpay"
	"github.com/countermand/countermand/providers/openpay/openpaysim"
	"github.com/countermand/countermand/providers/providertest"
)

// openpay adds an instance of that kind, with a status call of that sort.
func (b *bundle) openpay(name, key string, status openpaysim.StatusCall, path string) {
	b.t.Helper()
	sim := openpaysim.New(openpaysim.Options{Status: status})
	b.t.Cleanup(sim.Close)
	web := httptest.NewServer(sim)
	b.t.Cleanup(web.Close)
	p := config.DefaultProvider()
	p.Name, p.Kind, p.BaseURL = name, "openpay", web.URL
	p.Settings = &openpay.Settings{BaseURL: web.URL, Account: name, APIKey: providers.NewSecret(key), StatusPath: path}
	b.cfg.Providers = append(b.cfg.Providers, p)
}

func TestCredentialsOfProvidersAreTriedWithoutMovingMoney(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	b.provider("opay-wrong-key", opaysim.DefaultMerchantID, "OPAYPRV-not-the-key")
	b.provider("opay-wrong-merchant", "256600000000000", opaysim.DefaultSecretKey)
	all := b.findings(nil)
	want(
		t, all,
		line{check.Error, check.ProviderLogin, "provider opay-wrong-key"},
		line{check.Error, check.ProviderLogin, "provider opay-wrong-merchant"},
	)
	for _, f := range all {
		if strings.Contains(f.String(), "OPAYPRV") || strings.Contains(f.String(), "not-the-key") {
			t.Errorf("a finding shows a key: %s", f)
		}
	}
}

func TestAnAccountThatCannotBeAskedSaysWhatThatMeans(t *testing.T) {
	t.Parallel()
	const path = "/pw/v3/payment/status"
	for name, c := range map[string]struct {
		key, path string
		status    openpaysim.StatusCall
		says      string
	}{
		"openpay-none":      {openpaysim.DefaultAPIKey, "", openpaysim.StatusParts, "nobody can try the credentials"},
		"openpay-missing":   {openpaysim.DefaultAPIKey, path, openpaysim.StatusAbsent, "refunds do not depend on it"},
		"openpay-finds":     {openpaysim.DefaultAPIKey, path, openpaysim.StatusParts, "take statusPath out"},
		"openpay-wrong-key": {"not-the-key", path, openpaysim.StatusParts, "provider_authentication"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := provisioned(t, durable)
			b.openpay(name, c.key, c.status, c.path)
			all := b.findings(nil)
			want(t, all, line{check.NotVerifiable, check.ProviderLogin, "provider " + name})
			for _, f := range all {
				if !strings.Contains(f.String(), c.says) || !strings.Contains(f.String(), "a partial one goes before a person") || strings.Contains(f.String(), "not-the-key") {
					t.Errorf("finding is %s", f)
				}
			}
		})
	}
}

func TestAProviderThatIsAwayIsAWarning(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	s, ok := b.cfg.Providers[0].Settings.(*opay.Settings)
	if !ok {
		t.Fatal("not an opay instance")
	}
	s.BaseURL = "http://127.0.0.1:1" // a port that was closed may be given to another test
	want(t, b.findings(nil), line{check.Warning, check.ProviderReach, "provider opay-eg"})
}

func TestTwoInstancesOfOneAccountAndSettingsThatAreRefusedAreNamed(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	first := b.cfg.Providers[0]
	second := first
	second.Name = "opay-again"
	b.cfg.Providers = append(b.cfg.Providers, second)
	all := b.findings(nil)
	want(t, all, line{check.Error, check.ProviderAccount, "providers"})
	if !strings.Contains(all[0].Is, `"opay-again": same account as "opay-eg"`) {
		t.Errorf("finding is %s", all[0])
	}
	broken := second
	broken.Settings = &opay.Settings{BaseURL: "http://shop.example"}
	b.cfg.Providers[1] = broken
	want(t, b.findings(nil), line{check.Error, check.ProviderSettings, "providers"})
}

func TestAProviderThatNeverAnswersDoesNotHoldTheCheck(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	release := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(web.Close)
	t.Cleanup(func() { close(release) })
	s, ok := b.cfg.Providers[0].Settings.(*opay.Settings)
	if !ok {
		t.Fatal("not an opay instance")
	}
	s.BaseURL = web.URL
	b.cfg.Providers[0].Timeout = 100 * time.Millisecond
	want(t, b.findings(nil), line{check.Warning, check.ProviderReach, "provider opay-eg"})
}

// away points the first instance at an address where no provider is.
func (b *bundle) away(url string) *config.Provider {
	b.t.Helper()
	s, ok := b.cfg.Providers[0].Settings.(*opay.Settings)
	if !ok {
		b.t.Fatal("not an opay instance")
	}
	s.BaseURL, b.cfg.Providers[0].BaseURL = url, url
	return &b.cfg.Providers[0]
}

func TestTheCheckNamesWhyAProviderIsNotReached(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	for url, want := range map[string]string{
		"http://127.0.0.1:1": "not reachable: provider_unavailable (not sent: no connection to the provider (the port is closed))",
		untrusted.URL:        "not reachable: provider_unavailable (not sent: no connection to the provider (the certificate is of no trusted authority))",
	} {
		b.away(url)
		all := b.findings(nil)
		if len(all) != 1 || all[0].Is != want || all[0].Check != check.ProviderReach {
			t.Errorf("%s: %v, want %s", url, all, want)
		}
	}
}

func TestTheCheckNamesTheProxysHostAndNothingElseOfIt(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	proxy := providertest.NewProxy(t, providertest.ProxyOptions{User: "clerk", Password: "other"})
	p := b.away("https://provider.test")
	p.Proxy = config.Proxy{Address: providers.NewSecret("http://clerk:proxy-password@" + proxy.Address)}
	all := b.findings(nil)
	want(t, all,
		line{check.Note, check.ProviderProxy, "provider opay-eg"},
		line{check.Warning, check.ProviderReach, "provider opay-eg"})
	if text := all[0].String(); !strings.HasPrefix(text, "note: provider-proxy: provider opay-eg is called through the proxy "+proxy.Address+" (providers[].proxy), want ") {
		t.Errorf("finding is %s", text)
	}
	if !strings.Contains(all[1].Is, "the proxy wants other credentials") || !strings.Contains(all[1].Is, "through the proxy "+proxy.Address) {
		t.Errorf("finding is %s", all[1])
	}
	for _, f := range all {
		if strings.Contains(f.String(), "clerk") || strings.Contains(f.String(), "password") {
			t.Errorf("a finding shows a login: %s", f)
		}
	}
	if got := proxy.Asked(); len(got) == 0 || got[0] != "provider.test:443" {
		t.Errorf("the proxy was asked for %v", got)
	}
}
