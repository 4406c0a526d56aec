package main

import (
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/providertest"
)

// overTLS moves the bundle's provider to https://example.com, which is known to a proxy
// alone. It returns where the provider really is, and the file of those to trust.
func (b *rearmBundle) overTLS() (address, authorities string) {
	b.t.Helper()
	provider := httptest.NewTLSServer(b.sim) // its certificate is for example.com
	b.t.Cleanup(provider.Close)
	text, err := os.ReadFile(b.file)
	if err != nil {
		b.t.Fatal(err)
	}
	plain := fmt.Sprintf("baseURL: %q", b.cfg.Providers[0].BaseURL)
	if err := os.WriteFile(b.file, []byte(strings.Replace(string(text), plain, `baseURL: "https://example.com"`, 1)), 0o600); err != nil {
		b.t.Fatal(err)
	}
	authorities = filepath.Join(b.t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: provider.Certificate().Raw})
	if err := os.WriteFile(authorities, block, 0o600); err != nil {
		b.t.Fatal(err)
	}
	return provider.Listener.Addr().String(), authorities
}

func TestCheckReachesAProviderThroughTheProxyOfTheEnvironment(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	address, authorities := b.overTLS()
	proxy := providertest.NewProxy(t, providertest.ProxyOptions{
		User: "clerk", Password: "proxy-password", To: map[string]string{"example.com:443": address},
	})
	check := func(env ...string) string {
		t.Helper()
		p := startAmid(t, t.TempDir(), append(env, "KEY="+opaysim.DefaultSecretKey, "SSL_CERT_FILE="+authorities), "check", "--config", b.file)
		if code := p.exit(); code != cli.ExitOK {
			t.Fatalf("exit code %d\n%s%s", code, p.stdout, p.stderr)
		}
		if out := p.stdout.String() + p.stderr.String(); strings.Contains(out, "clerk") || strings.Contains(out, "password") {
			t.Errorf("it shows a login:\n%s", out)
		}
		return p.stdout.String()
	}
	note := "note: provider-proxy: provider opay-eg is called through the proxy " + proxy.Address + " (HTTPS_PROXY)"
	out := check("HTTPS_PROXY=http://clerk:proxy-password@" + proxy.Address)
	if !strings.Contains(out, note) || strings.Contains(out, "provider-reachable") || strings.Contains(out, "provider-credentials") {
		t.Errorf("through the proxy:\n%s", out)
	}
	if asked := proxy.Asked(); len(asked) == 0 || asked[0] != "example.com:443" {
		t.Errorf("the proxy was asked for %v", asked)
	}
	out = check("HTTPS_PROXY=http://clerk:password-of-old@" + proxy.Address)
	if !strings.Contains(out, note) || !strings.Contains(out, "(not sent: no connection to the provider (the proxy wants other credentials)), through the proxy "+proxy.Address) {
		t.Errorf("with a wrong password:\n%s", out)
	}
	out = check("HTTPS_PROXY=http://127.0.0.1:1")
	if !strings.Contains(out, "(at the proxy: the port is closed)") {
		t.Errorf("with the proxy down:\n%s", out)
	}
	before := len(proxy.Asked())
	if out = check("HTTPS_PROXY="+proxy.Address, "NO_PROXY=example.com"); strings.Contains(out, "proxy") || len(proxy.Asked()) != before {
		t.Errorf("with the host excepted:\n%s", out)
	}
}

func TestTheAdviceOnAProxyFitsWhereItComesFrom(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	b.overTLS()
	plain := readFile(t, b.file)
	own := strings.Replace(plain, "country: EG}", `country: EG, proxy: "127.0.0.1:1"}`, 1)
	const change = "otherwise change the provider's setting proxy; without the setting, the "
	for name, c := range map[string]struct {
		config string
		env    []string
		want   string
	}{
		"the environment's":            {plain, []string{"HTTPS_PROXY=127.0.0.1:1"}, "otherwise add the provider's host to NO_PROXY, or"},
		"in small letters":             {plain, []string{"HTTPS_PROXY=127.0.0.1:1", "no_proxy=shop.example"}, "otherwise add the provider's host to no_proxy, or"},
		"its own":                      {own, nil, change + "provider is called directly"},
		"its own, and all excepted":    {own, []string{"HTTPS_PROXY=127.0.0.1:2", "NO_PROXY=*"}, change + "provider is called directly"},
		"its own, and the environment": {own, []string{"HTTPS_PROXY=127.0.0.1:2"}, change + "proxy is 127.0.0.1:2 (HTTPS_PROXY)"},
	} {
		if err := os.WriteFile(b.file, []byte(c.config), 0o600); err != nil {
			t.Fatal(err)
		}
		p := startAmid(t, t.TempDir(), append(c.env, "KEY="+opaysim.DefaultSecretKey), "check", "--config", b.file)
		p.exit()
		for line := range strings.Lines(p.stdout.String()) {
			if strings.HasPrefix(line, "note: provider-proxy: ") && (!strings.Contains(line, c.want) || strings.Contains(c.want, "setting") && strings.Contains(line, "NO_PROXY")) {
				t.Errorf("%s: want %q\n%s", name, c.want, line)
			}
		}
		if !strings.Contains(p.stdout.String(), "note: provider-proxy: ") {
			t.Errorf("%s:\n%s%s", name, p.stdout, p.stderr)
		}
	}
}
