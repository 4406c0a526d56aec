package app_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/providertest"
)

func TestTheProxyOfTheEnvironmentIsUsedAndExceptedHostsAreNot(t *testing.T) {
	t.Parallel()
	proxy := providertest.NewProxy(t, providertest.ProxyOptions{User: "clerk", Password: "hush", Answer: "403 Forbidden"})
	file := filepath.Join(t.TempDir(), "c.yaml")
	content := `providers:
  - {name: through, kind: openpay, baseURL: "https://through.invalid", account: a, apiKey: {env: KEY}}
  - {name: directly, kind: openpay, baseURL: "https://directly.invalid", account: b, apiKey: {env: KEY}}
`
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"KEY": "api-key", "HTTPS_PROXY": "http://clerk:hush@" + proxy.Address, "NO_PROXY": "directly.invalid"}
	cfg, err := config.Load(file, func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	instances, err := app.Instances(cfg, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"the proxy refused the connection", "the host name"} {
		out := instances[i].Provider.Call(t.Context(), providers.Request{
			Op: payment.Refund, Full: true, Key: "k", Payment: payment.Details{OrderID: "o", TransactionID: "t"},
		})
		if out.Result != payment.NotExecuted || !strings.Contains(out.Message, want) {
			t.Errorf("%s: %v, %q, want %q", instances[i].Name, out.Result, out.Message, want)
		}
	}
	if got := proxy.Asked(); !slices.Equal(got, []string{"through.invalid:443"}) {
		t.Errorf("the proxy was asked for %v", got)
	}
	if text := log.String(); strings.Count(text, "is called through a proxy") != 1 || !strings.Contains(text, "proxy="+proxy.Address+" from=HTTPS_PROXY") ||
		strings.Contains(text, "hush") || strings.Contains(text, "clerk") {
		t.Errorf("log: %s", text)
	}
}

func TestTheServiceTellsOfAProvidersMessagesWhatItsSettingSays(t *testing.T) {
	t.Parallel()
	said := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"code":"02001","message":%q}`, said)
	}))
	t.Cleanup(server.Close)
	for _, row := range []struct{ setting, said, told string }{
		{"", "request params not valid.", "request params not valid."},
		{"", "params of Zoë Okafor not valid", ""},
		{", providerMessages: documented", "request params not valid.", "request params not valid."},
		{", providerMessages: none", "request params not valid.", ""},
	} {
		file := filepath.Join(t.TempDir(), "config.yaml")
		text := fmt.Sprintf(`providers:
  - {name: opay-eg, kind: opay, baseURL: %q, merchantID: "256612345678901", secretKey: {env: KEY}, callbackURL: "https://shop.example/opay", country: EG%s}
`, server.URL, row.setting)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load(file, func(string) string { return "a-secret-key" })
		if err != nil {
			t.Fatal(err)
		}
		all, err := app.Instances(cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		said = row.said
		out := all[0].Provider.Call(t.Context(), providers.Request{
			Op: payment.Refund, Amount: &payment.Money{Value: 400, Currency: "EGP"}, Reference: "r-1",
			Payment: payment.Details{OrderID: "1001000", Country: "EG", Currency: "EGP"},
		})
		if out.ProviderCode != "02001" || out.ProviderMessage != row.told {
			t.Errorf("%q with %q: told %q %q", row.said, row.setting, out.ProviderCode, out.ProviderMessage)
		}
	}
}
