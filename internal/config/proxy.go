package config

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"golang.org/x/net/http/httpproxy"

	"github.com/countermand/countermand/providers"
)

// Proxy is the address of a proxy, given as text or, with a user and a password, as a
// secret.
type Proxy struct{ Address providers.Secret }

// Given reports whether there is one.
func (p Proxy) Given() bool { return p.Address.Reveal() != "" }

// environment is what the process's environment says about proxies.
type environment struct {
	// Secrets, because one may hold a password and neither is for any log.
	httpsProxy, noProxy providers.Secret
	// excepts is the name of the variable that excepts hosts.
	excepts string
}

// environmentOf reads the variables by the names that Go's own client knows.
func environmentOf(getenv func(string) string) environment {
	_, through := oneOf(getenv, "HTTPS_PROXY", "https_proxy")
	excepts, hosts := oneOf(getenv, "NO_PROXY", "no_proxy")
	return environment{providers.NewSecret(through), providers.NewSecret(hosts), excepts}
}

// oneOf returns the first variable that is set; the first name if none is.
func oneOf(getenv func(string) string, names ...string) (name, value string) {
	for _, name := range names {
		if value := getenv(name); value != "" {
			return name, value
		}
	}
	return names[0], ""
}

// Route says through which proxy the calls of one provider instance go. It is safe for
// concurrent use.
type Route struct {
	// From is the setting or the variable that names the proxy; empty: there is none.
	From string
	// Excepts is the variable that excepts hosts from this proxy; empty: none does.
	Excepts string

	to func(address string) (*url.URL, error)
}

// Route is the provider's own proxy or else the environment's. NO_PROXY excepts hosts from
// the environment's alone, and loopback addresses are always excepted from that.
func (c *Config) Route(p Provider) Route {
	if own := p.Proxy.Address; p.Proxy.Given() {
		return Route{From: "providers[].proxy", to: func(string) (*url.URL, error) {
			now := own.Reveal() // its file may have changed
			return providers.ParseProxy(now)
		}}
	}
	raw := c.environment.httpsProxy.Reveal()
	if raw == "" {
		return Route{to: func(string) (*url.URL, error) { return nil, nil }}
	}
	via, err := providers.ParseProxy(raw)
	if err != nil { // Load has refused it
		return Route{From: "HTTPS_PROXY", to: func(string) (*url.URL, error) { return nil, err }}
	}
	find := (&httpproxy.Config{HTTPSProxy: via.String(), NoProxy: c.environment.noProxy.Reveal()}).ProxyFunc()
	return Route{From: "HTTPS_PROXY", Excepts: c.environment.excepts, to: func(address string) (*url.URL, error) {
		return find(&url.URL{Scheme: "https", Host: address})
	}}
}

// To returns the proxy for a host with its port; nil: none. An error means that the
// proxy's address cannot be read.
func (r Route) To(address string) (*url.URL, error) { return r.to(address) }

// Via is the proxy's host for calls to an address such as baseURL, with the port if one is
// given, and nothing else of it; empty: none.
func (r Route) Via(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" {
		return "" // plain http is for this machine alone
	}
	host := u.Host
	if u.Port() == "" {
		host += ":443"
	}
	via, err := r.To(host)
	if err != nil || via == nil {
		return ""
	}
	return via.Host
}

// proxy decodes an address without user and password, or the secret that has them.
func (d *decoder) proxy(node ast.Node, path string, target *Proxy) {
	raw, plain := stringOf(node)
	if !plain {
		d.secret(node, path, &target.Address)
		if raw = target.Address.Reveal(); raw == "" {
			return // a fault, or excused
		}
	}
	switch via, err := providers.ParseProxy(raw); {
	case err != nil:
		d.add(line(node), path, "%v", err)
	case plain && via.User != nil:
		d.add(line(node), path, "has a user or password: give it as {file: PATH} or {env: NAME}")
	case plain:
		target.Address = providers.NewSecret(raw)
	}
}

// proxies refuses a proxy for plain http, and one of the environment that would be used and
// cannot be read.
func (d *decoder) proxies(cfg *Config) {
	used := false
	for i, p := range cfg.Providers {
		if path := fmt.Sprintf("providers[%d].proxy", i); p.Proxy.Given() && strings.HasPrefix(p.BaseURL, "http://") {
			d.add(d.lineOf(path), path, "is of use only with a baseURL with https")
		}
		used = used || !p.Proxy.Given()
	}
	if raw := cfg.environment.httpsProxy.Reveal(); raw != "" && used && !d.notCalling {
		if _, err := providers.ParseProxy(raw); err != nil {
			d.add(0, "HTTPS_PROXY", "in the environment, %v", err)
		}
	}
}
