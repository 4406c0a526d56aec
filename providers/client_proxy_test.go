package providers_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/providertest"
)

// through is what a client takes for an address of a proxy.
func through(t *testing.T, raw string) func(string) (*url.URL, error) {
	t.Helper()
	via, err := providers.ParseProxy(raw)
	if err != nil {
		t.Fatal(err)
	}
	return func(string) (*url.URL, error) { return via, nil }
}

func onLoopback(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} }

// behind starts a provider with TLS and says where its name leads.
func behind(t *testing.T, a *authority) map[string]string {
	t.Helper()
	return map[string]string{host + ":443": serve(t, &tls.Config{Certificates: []tls.Certificate{a.certificate(t, host, nil)}})}
}

func TestACallGoesThroughTheProxyAndOnlyTheConnectionIsAskedOfIt(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	to := behind(t, a)
	secured := &tls.Config{Certificates: []tls.Certificate{a.certificate(t, "proxy.test", onLoopback)}}
	for name, row := range map[string]struct {
		o      providertest.ProxyOptions
		scheme string
	}{
		"plain":               {providertest.ProxyOptions{To: to}, ""},
		"with scheme":         {providertest.ProxyOptions{To: to}, "http://"},
		"with a login":        {providertest.ProxyOptions{To: to, User: "us er", Password: "p/ss:?"}, "http://us%20er:p%2Fss:%3F@"},
		"with TLS of its own": {providertest.ProxyOptions{To: to, TLS: secured}, "https://"},
	} {
		proxy := providertest.NewProxy(t, row.o)
		client := providers.NewClient(&providers.ClientOptions{TLS: &tls.Config{RootCAs: a.roots}, Proxy: through(t, row.scheme+proxy.Address)})
		for range 2 { // the second over the kept connection
			answer := client.Do(t.Context(), post("https://"+host))
			if answer.Err != nil || string(answer.Body) != `{"a":1}` || answer.NeverSent {
				t.Errorf("%s: %v, body %q, never sent %v", name, answer.Err, answer.Body, answer.NeverSent)
			}
		}
		if got := proxy.Asked(); !slices.Equal(got, []string{host + ":443"}) {
			t.Errorf("%s: the proxy was asked for %v", name, got)
		}
	}
}

func TestWhatAProxyRefusesOrCutsBeforeTheHandshakeWasNeverSent(t *testing.T) {
	t.Parallel()
	const secret = "proxy-password"
	a := newAuthority(t)
	to := behind(t, a)
	listening := func(o providertest.ProxyOptions) string { return providertest.NewProxy(t, o).Address }
	foreign := &tls.Config{Certificates: []tls.Certificate{newAuthority(t).certificate(t, "proxy.test", onLoopback)}}
	silent := accept(t, func(c *net.TCPConn) { _, _ = c.Read(make([]byte, 4096)); c.Close() })
	eager := accept(t, func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n220 mail.example ESMTP")
	})
	intercepting := map[string]string{host + ":443": serve(t, &tls.Config{Certificates: []tls.Certificate{newAuthority(t).certificate(t, host, nil)}})}
	for name, row := range map[string]struct {
		proxy string
		want  providers.Cause
	}{
		"down":                  {"127.0.0.1:1", "proxy_connection_refused"},
		"407 for want of login": {listening(providertest.ProxyOptions{To: to, User: "u", Password: secret}), providers.CauseProxyAuthentication},
		"407 for a wrong login": {"http://u:" + secret + "@" + listening(providertest.ProxyOptions{To: to, User: "u", Password: "other"}), providers.CauseProxyAuthentication},
		"403":                   {listening(providertest.ProxyOptions{Answer: "403 " + secret}), providers.CauseProxyRefused},
		"302":                   {listening(providertest.ProxyOptions{Answer: "302 Sign in\r\nLocation: https://portal.example"}), providers.CauseProxyRefused},
		"502":                   {listening(providertest.ProxyOptions{To: map[string]string{host + ":443": "127.0.0.1:1"}}), providers.CauseProxyFailed},
		"no answer":             {silent, providers.CauseProxyNoAnswer},
		"no HTTP":               {newSSH(t), providers.CauseProxyNoAnswer},
		"speaks first":          {eager, providers.CauseProxyNoAnswer},
		"cut behind CONNECT":    {listening(providertest.ProxyOptions{To: to, Cut: true}), providers.CauseCut},
		"speaks no TLS":         {"https://" + listening(providertest.ProxyOptions{To: to}), "proxy_no_tls"},
		"untrusted itself":      {"https://" + listening(providertest.ProxyOptions{To: to, TLS: foreign}), "proxy_certificate_untrusted"},
		"intercepts":            {listening(providertest.ProxyOptions{To: intercepting}), providers.CauseCertificateUntrusted},
	} {
		client := providers.NewClient(&providers.ClientOptions{TLS: &tls.Config{RootCAs: a.roots}, Proxy: through(t, row.proxy)})
		answer := client.Do(t.Context(), post("https://"+host))
		if name == "cut behind CONNECT" && answer.Cause == providers.CauseReset {
			answer.Cause = row.want // the network decides how the cut shows
		}
		if answer.Cause != row.want || !answer.NeverSent {
			t.Errorf("%s: cause %q, want %q; never sent %v", name, answer.Cause, row.want, answer.NeverSent)
		}
		out, settled := providers.ClassifyTransport(answer)
		if !settled || out.Result != payment.NotExecuted || !strings.Contains(out.Message, row.want.Words()) {
			t.Errorf("%s: %v, %q", name, out.Result, out.Message)
		}
		for _, leak := range []string{secret, "127.0.0.1", "portal", "mail.example"} {
			if strings.Contains(out.Message+answer.Err.Error(), leak) {
				t.Errorf("%s: %q is in %q or %q", name, leak, out.Message, answer.Err)
			}
		}
	}
}

// newSSH is a server of another protocol.
func newSSH(t *testing.T) (address string) {
	t.Helper()
	return accept(t, func(c *net.TCPConn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9\r\n\r\n") })
}

func TestAProxyThatCutsACallInTheTunnelLeavesItInDoubt(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	var handshakes atomic.Int32
	provider := accept(t, func(c *net.TCPConn) {
		over := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{a.certificate(t, host, nil)}})
		if over.Handshake() == nil {
			handshakes.Add(1)
			_, _ = over.Read(make([]byte, 1))
		}
		c.Close()
	})
	proxy := providertest.NewProxy(t, providertest.ProxyOptions{To: map[string]string{host + ":443": provider}})
	client := providers.NewClient(&providers.ClientOptions{TLS: &tls.Config{RootCAs: a.roots}, Proxy: through(t, proxy.Address)})
	answer := client.Do(t.Context(), post("https://"+host))
	out, _ := providers.ClassifyTransport(answer)
	if answer.NeverSent || out.Result != payment.Indeterminate || handshakes.Load() != 1 || len(proxy.Asked()) != 1 {
		t.Errorf("never sent %v, %v %q, %d handshakes, asked %v", answer.NeverSent, out.Result, out.Message, handshakes.Load(), proxy.Asked())
	}
}

func TestTheTimeToSendHoldsBehindAProxy(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	var served atomic.Int32
	to := map[string]string{host + ":443": serveWith(t, &tls.Config{Certificates: []tls.Certificate{a.certificate(t, host, nil)}},
		func(http.ResponseWriter, *http.Request) { served.Add(1) })}
	proxy := providertest.NewProxy(t, providertest.ProxyOptions{To: to})
	c := &clock{}
	client := providers.NewClient(&providers.ClientOptions{
		Now: c.now, TLS: &tls.Config{RootCAs: a.roots},
		Proxy: func(address string) (*url.URL, error) {
			c.add(time.Second) // the time passes while the connection is made
			return through(t, proxy.Address)(address)
		},
	})
	call := post("https://" + host)
	call.SendBefore = c.in(time.Second)
	answer := client.Do(t.Context(), call)
	if !errors.Is(answer.Err, providers.ErrTooLate) || !answer.NeverSent || served.Load() != 0 || len(proxy.Asked()) != 1 {
		t.Errorf("error %v, never sent %v, %d served, asked %v", answer.Err, answer.NeverSent, served.Load(), proxy.Asked())
	}
}

func TestAProxyThatDoesNotAnswerIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := piped(providers.ClientOptions{Proxy: through(t, "proxy.test")}, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
		began := time.Now()
		answer := client.Do(context.Background(), post("https://"+host))
		if answer.Cause != providers.CauseProxyNoAnswer || !answer.NeverSent || time.Since(began) > providers.DefaultTimeout {
			t.Errorf("after %v: cause %q, never sent %v", time.Since(began), answer.Cause, answer.NeverSent)
		}
	})
}

func TestNoProxyIsAskedWhereThereIsNoneOrWithoutTLS(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	near := serve(t, &tls.Config{Certificates: []tls.Certificate{a.certificate(t, host, nil)}})
	none := providers.NewClient(&providers.ClientOptions{
		TLS: &tls.Config{RootCAs: a.roots}, Dial: to(near), Proxy: func(string) (*url.URL, error) { return nil, nil },
	})
	if answer := none.Do(t.Context(), post("https://"+host)); answer.Err != nil {
		t.Errorf("without a proxy: %v", answer.Err)
	}
	broken := providers.NewClient(&providers.ClientOptions{Proxy: func(string) (*url.URL, error) { return nil, errors.New("a password") }})
	if answer := broken.Do(t.Context(), post(newPeer(t, func(int32) string { return okAnswer }).url)); answer.Err != nil {
		t.Errorf("without TLS: %v", answer.Err)
	}
	answer := broken.Do(t.Context(), post("https://"+host))
	if answer.Cause != providers.CauseProxySetting || !answer.NeverSent || strings.Contains(answer.Err.Error(), "password") {
		t.Errorf("a proxy that cannot be read: cause %q, never sent %v, %v", answer.Cause, answer.NeverSent, answer.Err)
	}
}

func TestTheAddressOfAProxyIsStrictAndNeverRepeated(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"proxy.example:3128": "http://proxy.example:3128", "http://proxy.example/": "http://proxy.example",
		"https://u:p@proxy.example:1": "https://u:p@proxy.example:1", "http://[::1]:3128": "http://[::1]:3128",
	} {
		if got, err := providers.ParseProxy(raw); err != nil || got.String() != want {
			t.Errorf("%s: %v, %v", raw, got, err)
		}
	}
	for _, raw := range []string{
		"", "http://", "socks5://secret.example:1", "ftp://secret.example", "http://u:se/cret@proxy.example:1", "http://u:1?cret@proxy.example",
		"http://u:1#cret@proxy.example", "http://secret.example/path", "http://se cret.example", "http://u:secret\n@proxy.example", "http://:3128",
	} {
		got, err := providers.ParseProxy(raw)
		if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "cret") {
			t.Errorf("%q: %v, %v", raw, got, err)
		}
	}
}
