package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countermand/countermand/internal/config"
)

// loadConsole loads a configuration with a console's settings.
func loadConsole(t *testing.T, console string) (*config.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	text := "providers:\n  - {name: shop, kind: bento, baseURL: 'https://bento.example', account: a, token: {env: BENTO}}\nconsole: " + console + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(file, func(name string) string {
		return map[string]string{"BENTO": "b", "LONG": "0123456789abcdef", "SHORT": "0123456789abcde"}[name]
	})
}

func TestWhoMayUseTheConsoleIsReadFromTheConfiguration(t *testing.T) {
	t.Parallel()
	cfg, err := loadConsole(t, `{viewers: [{name: vera, token: {env: LONG}}], operators: [{name: olaf, token: {env: LONG}}],
  trustedProxyHeader: X-Forwarded-User, trustedProxies: [10.0.0.0/8, "::1"], proxyOperators: [ben@shop]}`)
	if err != nil {
		t.Fatal(err)
	}
	c := cfg.Console
	if c.Viewers[0].Name != "vera" || c.Operators[0].Token.Reveal() != "0123456789abcdef" || len(c.TrustedProxies) != 2 || c.ProxyOperators[0] != "ben@shop" {
		t.Errorf("read %+v", c)
	}
}

func TestAConsoleThatWouldLetTheWrongPeopleInIsRefused(t *testing.T) {
	t.Parallel()
	for console, want := range map[string]string{
		`{operators: [{name: olaf, token: {env: SHORT}}]}`:                                       "console.operators[0].token",
		`{operators: [{name: olaf}]}`:                                                            "console.operators[0].token",
		`{operators: [{name: olaf, token: 0123456789abcdef}]}`:                                   "console.operators[0].token",
		`{operators: [{name: "o laf", token: {env: LONG}}]}`:                                     "console.operators[0].name",
		`{viewers: [{name: a, token: {env: LONG}}], operators: [{name: a, token: {env: LONG}}]}`: "console.operators[0].name",
		`{trustedProxyHeader: X-User}`:                                                           "console.trustedProxies",
		`{trustedProxies: [10.0.0.0/8]}`:                                                         "console.trustedProxies",
		`{trustedProxyHeader: X-User, trustedProxies: [proxy.example]}`:                          "console.trustedProxies[0]",
		`{proxyOperators: [ben]}`:                                                                "console.proxyOperators",
		`{viewer: []}`:                                                                           "console.viewer",
	} {
		_, err := loadConsole(t, console)
		var faults *config.FaultsError
		if !errors.As(err, &faults) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "0123456789") {
			t.Errorf("%s: %v, want a fault at %s", console, err, want)
		}
	}
}
