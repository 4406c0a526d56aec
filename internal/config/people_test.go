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
		return map[string]string{"BENTO": "b", "LONG": "0123456789abcdef", "OTHER": "0123456789abcdeg", "SHORT": "0123456789abcde"}[name]
	})
}

func TestWhoMayUseTheConsoleIsReadFromTheConfiguration(t *testing.T) {
	t.Parallel()
	cfg, err := loadConsole(t, `{viewers: [{name: vera, token: {env: LONG}}], operators: [{name: olaf, token: {env: OTHER}}],
  trustedProxyHeader: X-Forwarded-User, trustedProxies: [10.0.0.0/8, "::1"], proxyOperators: [ben@shop]}`)
	if err != nil {
		t.Fatal(err)
	}
	c := cfg.Console
	if c.Viewers[0].Name != "vera" || c.Operators[0].Token.Reveal() != "0123456789abcdeg" || len(c.TrustedProxies) != 2 || c.ProxyOperators[0] != "ben@shop" {
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
		`{operators: [{name: a, token: {env: LONG}}, {name: b, token: {env: LONG}}]}`:            "console.operators[1].token: is the token of console.operators[0] too",
		`{viewers: [{name: a, token: {env: LONG}}], operators: [{name: b, token: {env: LONG}}]}`: "console.operators[0].token: is the token of console.viewers[0] too",
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

// loadPeople loads a configuration with people.
func loadPeople(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	text = "providers:\n  - {name: shop, kind: bento, baseURL: 'https://bento.example', account: a, token: {env: BENTO}}\n" + text
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(file, func(string) string { return "b" })
}

// key is a public key of a user.
const key = "UCWZOECGA5E7KOWKDYPAQZJ6KXYDSFZWHXUAOBO6DMAIVL3GODFDZ4TO"

func TestWhichLoginsAreOnePersonIsReadFromTheConfiguration(t *testing.T) {
	t.Parallel()
	cfg, err := loadPeople(t, "people: [{name: olaf, identities: ['nats:PEOPLE/"+key+"', 'token:olaf', 'proxy:olaf@shop.example', 'proxy:Olaf@shop.example']}, {name: dana@shop, identities: ['token:dana']}]\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.People) != 2 || cfg.People[0].Name != "olaf" || len(cfg.People[0].Identities) != 4 || cfg.People[1].Name != "dana@shop" {
		t.Errorf("read %+v", cfg.People)
	}
}

func TestPeopleWhoCouldNotBeToldApartAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"people: [{name: a, identities: ['token:a']}, {name: A, identities: ['token:b']}]":                                 "people[1].name",
		"people: [{name: a, identities: ['token:a']}, {name: b, identities: ['token:a']}]":                                 "people[1].identities[0]",
		"people: [{name: a, identities: ['token:olaf']}, {name: b, identities: ['token:Olaf']}]":                           "people[1].identities[0]",
		"people: [{name: a, identities: ['proxy:Olaf@shop.example']}, {name: b, identities: ['proxy:olaf@shop.example']}]": "people[1].identities[0]",
		"people: [{name: a, identities: ['token:a', 'token:a']}]":                                                          "people[0].identities[1]",
		"people: [{name: a, identities: ['nats:PEOPLE/" + key + "']}, {name: b, identities: ['nats:OTHERS/" + key + "']}]": "people[1].identities[0]",
		"people: [{name: a, identities: []}]":                                                                              "people[0].identities",
		"people: [{name: a}]":                                                                                              "people[0].identities",
		"people: [{identities: ['token:a']}]":                                                                              "people[0].name",
		"people: [{name: 'a b', identities: ['token:a']}]":                                                                 "people[0].name",
		"people: [{name: a, identities: ['token:']}]":                                                                      "people[0].identities[0]",
		"people: [{name: a, identities: ['asserted:a']}]":                                                                  "people[0].identities[0]",
		"people: [{name: a, identities: ['olaf']}]":                                                                        "people[0].identities[0]",
		"people: [{name: a, identities: ['nats:olaf']}]":                                                                   "people[0].identities[0]",
		"people: [{name: a, identities: ['nats:/" + key + "']}]":                                                           "people[0].identities[0]",
		"people: [{name: a, identities: ['nats:PEOPLE/" + key[:55] + "A']}]":                                               "people[0].identities[0]",
		"people: [{name: a, identities: ['proxy:a b']}]":                                                                   "people[0].identities[0]",
		"people: [{name: a, identities: ['token:a']}]\ndesk: {selfAsserted: true}":                                         "people",
		"people: [{name: a, identities: ['token:a'], login: x}]":                                                           "people[0].login",
		"people: [{name: " + strings.Repeat("a", 65) + ", identities: ['token:a']}]":                                       "people[0].name",
	} {
		_, err := loadPeople(t, text+"\n")
		var faults *config.FaultsError
		if !errors.As(err, &faults) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a fault at %s", text, err, want)
		}
	}
}
