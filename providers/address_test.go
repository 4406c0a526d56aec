package providers_test

import (
	"strings"
	"testing"

	"github.com/countermand/countermand/providers"
)

func TestCredentialsGoToHTTPSOrLoopbackOnly(t *testing.T) {
	t.Parallel()
	for raw, fault := range map[string]string{
		"https://api.example":             "",
		"https://api.example:8443/prefix": "",
		"http://127.0.0.1:4280/opay":      "",
		"http://[::1]:80":                 "",
		"http://localhost":                "",
		"http://api.example":              "https",
		"http://localhost.example":        "https",
		"http://127.0.0.1.example":        "https",
		"ftp://api.example":               "https",
		"https://hush@api.example":        "no user",
		"https://api.example?key=hush":    "no user, query",
		"https://api.example#hush":        "fragment",
		"api.example":                     "scheme, host",
		"https://":                        "scheme, host",
		"":                                "scheme, host",
		"https://hush\x7f":                "scheme, host",
	} {
		err := providers.VerifyURL("baseURL", raw)
		switch {
		case fault == "" && err != nil:
			t.Errorf("%q: %v", raw, err)
		case fault != "" && (err == nil || !strings.HasPrefix(err.Error(), "baseURL: ") || !strings.Contains(err.Error(), fault)):
			t.Errorf("%q: %v, want a fault about %s", raw, err, fault)
		case err != nil && strings.Contains(err.Error(), "hush"):
			t.Errorf("%q: the fault repeats the value: %v", raw, err)
		}
	}
}

func TestAnAccountsHostDoesNotDependOnHowItIsSpelled(t *testing.T) {
	t.Parallel()
	for raw, host := range map[string]string{
		"https://API.example":          "api.example",
		"https://api.example:443/v1":   "api.example",
		"https://api.example:8443":     "api.example:8443",
		"http://127.0.0.1:443/prefix/": "127.0.0.1:443",
	} {
		if got := providers.AccountHost(raw); got != host {
			t.Errorf("%q: %q, want %q", raw, got, host)
		}
	}
}
