package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/providers/openpay"
)

func revealed(t *testing.T, cfg *config.Config) string {
	t.Helper()
	s, ok := cfg.Providers[0].Settings.(*openpay.Settings)
	if !ok {
		t.Fatal("not an openpay instance")
	}
	return s.APIKey.Reveal()
}

// variables is an environment of the given variables and a key.
func variables(list ...string) func(string) string {
	return func(name string) string {
		for _, entry := range append(list, "KEY=key") {
			if value, ok := strings.CutPrefix(entry, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

func TestAProviderIsReachedThroughItsOwnProxyOrElseTheEnvironments(t *testing.T) {
	t.Parallel()
	login := write(t, "proxy", "http://clerk:"+hush+"@own.example:1\n")
	for name, row := range map[string]struct {
		own  string
		env  []string
		via  string
		from string
	}{
		"no proxy":                      {"", nil, "", ""},
		"the environment's":             {"", []string{"HTTPS_PROXY=http://clerk:" + hush + "@proxy.example:3128"}, "proxy.example:3128", "HTTPS_PROXY"},
		"in small letters":              {"", []string{"https_proxy=proxy.example:3128"}, "proxy.example:3128", "HTTPS_PROXY"},
		"not for plain http":            {"", []string{"HTTP_PROXY=proxy.example:3128"}, "", ""},
		"except the host":               {"", []string{"HTTPS_PROXY=proxy.example", "NO_PROXY=a.example,openpay.example"}, "", "HTTPS_PROXY"},
		"except the domain":             {"", []string{"HTTPS_PROXY=proxy.example", "no_proxy=.example"}, "", "HTTPS_PROXY"},
		"except another host":           {"", []string{"HTTPS_PROXY=proxy.example", "NO_PROXY=pay.example"}, "proxy.example", "HTTPS_PROXY"},
		"except another port":           {"", []string{"HTTPS_PROXY=proxy.example", "NO_PROXY=openpay.example:444"}, "proxy.example", "HTTPS_PROXY"},
		"its own":                       {"http://own.example:1", []string{"HTTPS_PROXY=proxy.example", "NO_PROXY=*"}, "own.example:1", "providers[].proxy"},
		"its own from a file":           {"{file: " + login + "}", nil, "own.example:1", "providers[].proxy"},
		"its own from a variable":       {"{env: OWN}", []string{"OWN=https://u:" + hush + "@own.example"}, "own.example", "providers[].proxy"},
		"its own beside one in tatters": {"own.example", []string{"HTTPS_PROXY=socks5://x"}, "own.example", "providers[].proxy"},
	} {
		content := openpayWith("{env: KEY}")
		if row.own != "" {
			content += "    proxy: " + row.own + "\n"
		}
		cfg, err := config.Load(write(t, "c.yaml", content), variables(row.env...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		route := cfg.Route(cfg.Providers[0])
		if via := route.Via(cfg.Providers[0].BaseURL); via != row.via || route.From != row.from {
			t.Errorf("%s: through %q from %q, want %q from %q", name, via, route.From, row.via, row.from)
		}
		if strings.Contains(fmt.Sprintf("%+v %#v", cfg, cfg), "HUSH") {
			t.Errorf("%s: the configuration shows the password", name)
		}
	}
}

func TestAProxyThatCannotBeUsedIsRefusedWithoutItsAddress(t *testing.T) {
	t.Parallel()
	local := strings.Replace(openpayWith("{env: KEY}"), "https://api.openpay.example", "http://127.0.0.1:4280", 1)
	for content, want := range map[string]string{
		openpayWith("{env: KEY}") + "    proxy: http://clerk:" + hush + "@p.example\n": ":7: providers[0].proxy: has a user or password: give it as {file: PATH} or {env: NAME}",
		openpayWith("{env: KEY}") + "    proxy: socks5://" + hush + ".example\n":       ":7: providers[0].proxy: must be an http or https proxy",
		openpayWith("{env: KEY}") + "    proxy: {env: ODD}\n":                          ":7: providers[0].proxy: must be an http or https proxy",
		openpayWith("{env: KEY}") + "    proxy: {env: NONE}\n":                         ":7: providers[0].proxy: names an environment variable that is not set",
		openpayWith("{env: KEY}") + "    proxy: 3128\n":                                ":7: providers[0].proxy: is a secret: give it as {file: PATH} or {env: NAME}, never itself",
		local + "    proxy: p.example\n":                                               ":7: providers[0].proxy: is of use only with a baseURL with https",
	} {
		_, err := config.Load(write(t, "c.yaml", content), variables("ODD=ftp://"+hush))
		if err == nil || !strings.HasSuffix(err.Error(), want) || strings.Contains(err.Error(), "HUSH") {
			t.Errorf("%v, want %s", err, want)
		}
	}
	file := write(t, "c.yaml", openpayWith("{env: KEY}"))
	odd := variables("HTTPS_PROXY=socks5://" + hush)
	if _, err := config.Load(file, odd); err == nil || !strings.HasSuffix(err.Error(), "HTTPS_PROXY: in the environment, must be an http or https proxy") {
		t.Errorf("a proxy of the environment that cannot be used: %v", err)
	}
	if _, err := config.LoadNotCalling(file, odd); err != nil {
		t.Errorf("a command that calls nobody: %v", err)
	}
}
