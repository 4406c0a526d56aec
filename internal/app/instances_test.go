package app_test

import (
	"bytes"
	"log/slog"
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
