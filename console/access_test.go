package console_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/console"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/providers"
)

// A proxy on the same machine comes over loopback and names a loopback host.
func TestWithoutAnybodyNamedNobodyReads(t *testing.T) {
	t.Parallel()
	b := setup(t, console.Access{})
	for _, path := range []string{"", "queue", "numbers", "events", "payments/opay-eg/1"} {
		b.want(b.send("/console/"+path, nil), http.StatusForbidden)
	}
	b.want(b.send(resolvePath, ruling()), http.StatusForbidden)
}

func TestWhereLoopbackMayReadOnlyLoopbackReadsAndNobodyDecides(t *testing.T) {
	t.Parallel()
	b := setup(t, console.Access{Loopback: true})
	b.want(b.send("/console/", nil), http.StatusOK)
	b.want(b.send("/console/", nil, host("[::1]:9090"), from("[::1]:1")), http.StatusOK)
	b.want(b.send("/console/", nil, from("10.0.0.7:1")), http.StatusForbidden)
	// A page whose own name resolves to this machine reads nothing.
	b.want(b.send("/console/", nil, host("evil.example:9090")), http.StatusForbidden)
	b.want(b.send("/console/numbers", nil, host("evil.example:9090")), http.StatusForbidden)
	b.want(b.send(resolvePath, ruling()), http.StatusForbidden)
	b.want(b.send(paymentPage+"/ask", ruling()), http.StatusForbidden)
	if len(b.desk.by) != 0 {
		t.Errorf("the desk was asked by %v", b.desk.by)
	}
}

func TestALocalOperatorDecidesOverLoopbackOnly(t *testing.T) {
	t.Parallel()
	b := setup(t, console.Access{Local: "demo"})
	b.want(b.send(resolvePath, ruling(), from("10.0.0.7:1")), http.StatusForbidden)
	b.want(b.send(resolvePath, ruling(), host("evil.example")), http.StatusForbidden)
	b.want(b.send(resolvePath, ruling()), http.StatusSeeOther)
	if diff := cmp.Diff([]desk.Operator{{Name: "demo", Identity: desk.IdentityAsserted}}, b.desk.by); diff != "" {
		t.Errorf("decided by (-want +got):\n%s", diff)
	}
}

func TestWhoeverHasNoTokenIsLedToTheLogin(t *testing.T) {
	t.Parallel()
	b := setup(t, people())
	for _, path := range []string{"", "queue", "rejected", "live", "payments/opay-eg/1", "nowhere"} {
		r := b.send("/console/"+path, nil)
		b.want(r, http.StatusSeeOther)
		if to := r.Header.Get("Location"); to != "/console/login" {
			t.Errorf("%s leads to %q", path, to)
		}
	}
	for _, path := range []string{"numbers", "queue/rows", "events"} {
		b.want(b.send("/console/"+path, nil, header("HX-Request", "true")), http.StatusUnauthorized)
	}
	b.want(b.send("/console/login", url.Values{"token": {"olaf"}}), http.StatusUnauthorized)
	b.want(b.send("/console/login", url.Values{"token": {""}}), http.StatusUnauthorized)
	b.want(b.send("/console/", nil, with(&http.Cookie{Name: "countermand_session", Value: "guessed"})), http.StatusSeeOther)
	b.want(b.send("/console/", nil, header("X-Forwarded-User", "olaf")), http.StatusSeeOther)
}

func TestAViewersSessionReadsAndAnOperatorsDecides(t *testing.T) {
	t.Parallel()
	b := setup(t, people())
	vera, olaf := b.signIn(viewerToken), b.signIn(operatorToken)
	b.want(b.send(paymentPage, nil, with(vera)), http.StatusOK)
	b.want(b.send(resolvePath, ruling(), with(vera)), http.StatusForbidden)
	b.want(b.send(resolvePath, ruling(), with(olaf)), http.StatusSeeOther)
	if diff := cmp.Diff([]desk.Operator{{Name: "olaf", Identity: desk.IdentityToken}}, b.desk.by); diff != "" {
		t.Errorf("decided by (-want +got):\n%s", diff)
	}
}

func TestTheCookieIsOutOfReachOfScriptsAndOtherSitesAndOfPlainNetworks(t *testing.T) {
	t.Parallel()
	b := setup(t, people())
	c := b.signIn(operatorToken)
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/console/" || c.Secure || len(c.Value) < 22 {
		t.Errorf("cookie over loopback: %+v", c)
	}
	r := b.send("/console/login", url.Values{"token": {operatorToken}}, host("console.shop.example"))
	if c := r.Cookies()[0]; !c.Secure {
		t.Errorf("cookie over a network: %+v", c)
	}
	if c.Value == r.Cookies()[0].Value {
		t.Error("two sessions have the same value")
	}
}

func TestASessionEndsWhenItIsIdleOldSignedOutOrItsTokenChanges(t *testing.T) {
	t.Parallel()
	const rotated = "olaf-fedcba9876543210"
	ends := map[string]func(*bundle, *http.Cookie, *string){
		"idle": func(b *bundle, c *http.Cookie, _ *string) {
			b.pass(29 * time.Minute)
			// What the page asks for by itself is no sign of its reader.
			b.want(b.send("/console/numbers", nil, with(c), header("HX-Request", "true")), http.StatusOK)
			b.pass(time.Minute)
		},
		"old": func(b *bundle, c *http.Cookie, _ *string) {
			for range 8*60/20 - 1 {
				b.pass(20 * time.Minute)
				b.want(b.send("/console/", nil, with(c)), http.StatusOK)
			}
			b.pass(20 * time.Minute)
		},
		"signed out": func(b *bundle, c *http.Cookie, _ *string) {
			r := b.send("/console/logout", url.Values{}, with(c))
			b.want(r, http.StatusSeeOther)
			if r.Cookies()[0].MaxAge >= 0 {
				b.t.Error("the cookie stays")
			}
		},
		"rotated":  func(_ *bundle, _ *http.Cookie, token *string) { *token = rotated },
		"rotating": func(_ *bundle, _ *http.Cookie, token *string) { *token = "" },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token := operatorToken
			b := setup(t, console.Access{Operators: []console.Person{
				{Name: "olaf", Token: providers.NewSecretFunc(func() string { return token })},
			}})
			c := b.signIn(operatorToken)
			b.want(b.send("/console/", nil, with(c)), http.StatusOK)
			end(b, c, &token)
			b.want(b.send("/console/", nil, with(c)), http.StatusSeeOther)
			b.want(b.send(resolvePath, ruling(), with(c)), http.StatusSeeOther)
			if len(b.desk.ruled) != 0 {
				t.Error("a ruling went through")
			}
			if name == "rotating" {
				b.want(b.send("/console/login", url.Values{"token": {""}}), http.StatusUnauthorized)
			}
		})
	}
}

func TestTokensCannotBeTriedQuickly(t *testing.T) {
	t.Parallel()
	b := setup(t, people())
	for range 10 {
		b.want(b.send("/console/login", url.Values{"token": {"wrong"}}), http.StatusUnauthorized)
	}
	b.want(b.send("/console/login", url.Values{"token": {"wrong"}}), http.StatusTooManyRequests)
	b.want(b.send("/console/login", url.Values{"token": {operatorToken}}), http.StatusSeeOther) // the right one is not locked out
	b.pass(2 * time.Second)
	b.want(b.send("/console/login", url.Values{"token": {"wrong"}}), http.StatusUnauthorized)
}

func TestNoFolderOfFilesIsListed(t *testing.T) {
	t.Parallel()
	b := setup(t, people())
	for _, path := range []string{"static/", "static/vendor/", "static/vendor/../"} {
		if r := b.send("/console/"+path, nil); r.StatusCode == http.StatusOK {
			t.Errorf("%s is listed", path)
		}
	}
	b.want(b.send("/console/static/console.css", nil), http.StatusOK)
}

func TestAProxysWordIsTakenFromTheProxyOnly(t *testing.T) {
	t.Parallel()
	b := setup(t, console.Access{
		ProxyHeader: "X-Forwarded-User", ProxyFrom: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, ProxyOperators: []string{"olaf@shop"},
	})
	proxy, olaf, vera := from("10.1.2.3:1"), header("X-Forwarded-User", "olaf@shop"), header("X-Forwarded-User", "vera@shop")
	b.want(b.send("/console/", nil, proxy, vera), http.StatusOK)
	b.want(b.send(resolvePath, ruling(), proxy, vera), http.StatusForbidden)
	b.want(b.send("/console/", nil, from("10.2.2.3:1"), olaf), http.StatusUnauthorized)
	b.want(b.send("/console/", nil, olaf), http.StatusUnauthorized) // loopback is no proxy either
	b.want(b.send("/console/", nil, proxy), http.StatusUnauthorized)
	b.want(b.send("/console/", nil, proxy, vera, olaf), http.StatusUnauthorized)
	b.want(b.send("/console/", nil, proxy, header("X-Forwarded-User", "olaf\nshop")), http.StatusUnauthorized)
	b.want(b.send(resolvePath, ruling(), proxy, olaf), http.StatusSeeOther)
	if diff := cmp.Diff([]desk.Operator{{Name: "olaf@shop", Identity: desk.IdentityProxy}}, b.desk.by); diff != "" {
		t.Errorf("decided by (-want +got):\n%s", diff)
	}
}

func TestAnotherSiteCannotDecideThroughAVisitorsBrowser(t *testing.T) {
	t.Parallel()
	b := setup(t, people())
	olaf := with(b.signIn(operatorToken))
	for name, changes := range map[string][]change{
		"cross-site":        {header("Sec-Fetch-Site", "cross-site"), header("Origin", "https://evil.example")},
		"same-site":         {header("Sec-Fetch-Site", "same-site"), header("Origin", "http://127.0.0.1:1")},
		"an older browser":  {header("Origin", "https://evil.example")},
		"an opaque origin":  {header("Origin", "null")},
		"another port here": {header("Origin", "http://127.0.0.1:8080")},
	} {
		for _, path := range []string{resolvePath, paymentPage + "/ask", "/console/logout", "/console/login"} {
			if r := b.send(path, ruling(), append(changes, olaf)...); r.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %s answers %d", name, path, r.StatusCode)
			}
		}
	}
	if len(b.desk.by) != 0 {
		t.Errorf("the desk was asked %d times", len(b.desk.by))
	}
	b.want(b.send(resolvePath, ruling(), olaf, header("Sec-Fetch-Site", "same-origin"), header("Origin", "http://127.0.0.1:9090")), http.StatusSeeOther)
}

func TestATokenThatCouldBeGuessedAndANameThatStandsTwiceAreRefused(t *testing.T) {
	t.Parallel()
	short := console.Person{Name: "vera", Token: providers.NewSecret("short-secret")}
	long := console.Person{Name: "vera", Token: providers.NewSecret(viewerToken)}
	for name, a := range map[string]console.Access{
		"short":         {Viewers: []console.Person{short}},
		"twice":         {Viewers: []console.Person{long}, Operators: []console.Person{long}},
		"anybody's":     {ProxyHeader: "X-User"},
		"without token": {Operators: []console.Person{{Name: "olaf"}}},
	} {
		_, err := console.New(&fakeDesk{}, console.NewFeed(time.Now), console.Service{
			Standing: func() []console.Standing { return nil }, Ready: func() (bool, string) { return true, "" },
		}, &console.Options{Access: a})
		if err == nil || strings.Contains(err.Error(), "short-secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
