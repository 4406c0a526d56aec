package providers_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// host is the name under which the tests' provider is reached.
const host = "provider.test"

// authority issues certificates that the test's client trusts.
type authority struct {
	key   *ecdsa.PrivateKey
	cert  *x509.Certificate
	roots *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{roots: x509.NewCertPool()}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.roots.AddCert(a.cert)
	return a
}

// certificate is one for a name, changed as the test wants it.
func (a *authority) certificate(t *testing.T, name string, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}
}

// serve starts a provider with a TLS configuration and returns its address.
func serve(t *testing.T, c *tls.Config) (address string) {
	t.Helper()
	return serveWith(t, c, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
}

func serveWith(t *testing.T, c *tls.Config, h http.HandlerFunc) (address string) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.TLS = c
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// accept has each connection to an address handled by talk, which may close it.
func accept(t *testing.T, talk func(*net.TCPConn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if c, ok := conn.(*net.TCPConn); ok {
				go talk(c)
			}
		}
	}()
	return l.Addr().String()
}

// to dials that address whatever the name.
func to(address string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
}

func failing(err error) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) { return nil, err }
}

func opError(err error) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
}

// causeRow is one way to get no answer.
type causeRow struct {
	name string
	dial func(context.Context, string, string) (net.Conn, error)
	want providers.Cause
	sent bool // it may have been executed
	// either: whether something is sent depends on who is faster.
	either bool
}

func causeRows(t *testing.T, a *authority) []causeRow {
	t.Helper()
	with := func(name string, change func(*x509.Certificate)) func(context.Context, string, string) (net.Conn, error) {
		return to(serve(t, &tls.Config{Certificates: []tls.Certificate{a.certificate(t, name, change)}}))
	}
	valid := a.certificate(t, host, nil)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	return []causeRow{
		{"unknown name", failing(&net.DNSError{IsNotFound: true, Name: host}), providers.CauseUnknownName, false, false},
		{"name server away", failing(&net.DNSError{IsTimeout: true, Name: host}), providers.CauseNameLookup, false, false},
		{"closed port", to("127.0.0.1:1"), providers.CauseConnectionRefused, false, false},
		{"no route", failing(opError(syscall.EHOSTUNREACH)), providers.CauseUnreachable, false, false},
		{"network away", failing(opError(syscall.ENETUNREACH)), providers.CauseUnreachable, false, false},
		{"forbidden", failing(opError(syscall.EPERM)), providers.CauseNotPermitted, false, false},
		{"no more files", failing(opError(syscall.EMFILE)), providers.CauseNoResources, false, false},
		{"no more ports", failing(opError(syscall.EADDRNOTAVAIL)), providers.CauseNoResources, false, false},
		{"no connection in time", failing(opError(syscall.ETIMEDOUT)), providers.CauseConnectTimeout, false, false},
		{"something else", failing(errors.New("secret words of a library")), providers.CauseUnknown, false, false},
		{"untrusted", to(serve(t, &tls.Config{Certificates: []tls.Certificate{newAuthority(t).certificate(t, host, nil)}})), providers.CauseCertificateUntrusted, false, false},
		{"other name", with("other.test", nil), providers.CauseCertificateName, false, false},
		{"expired", with(host, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), providers.CauseCertificateExpired, false, false},
		{"not valid yet", with(host, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), providers.CauseCertificateExpired, false, false},
		{"other use", with(host, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }), providers.CauseCertificateInvalid, false, false},
		{"no TLS", to(plain.Listener.Addr().String()), providers.CauseNoTLS, false, false},
		{"handshake refused", to(serve(t, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return nil, errors.New("no")
		}})), providers.CauseTLSRefused, false, false},
		{"older TLS", to(serve(t, &tls.Config{Certificates: []tls.Certificate{valid}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})), providers.CauseTLSRefused, false, false},
		{"broken TLS", to(accept(t, func(c *net.TCPConn) { _, _ = c.Write([]byte("\x16\x03\x03\x00\x04\xff\x00\x00\x00")) })), providers.CauseTLSFailed, false, false},
		{"cut in the handshake", to(accept(t, func(c *net.TCPConn) { _, _ = c.Read(make([]byte, 4096)); c.Close() })), providers.CauseCut, false, false},
		{"reset in the handshake", to(accept(t, func(c *net.TCPConn) { _, _ = c.Read(make([]byte, 1)); _ = c.SetLinger(0); c.Close() })), providers.CauseReset, false, false},
		{"certificate wanted of us, TLS 1.2", to(serve(t, &tls.Config{
			Certificates: []tls.Certificate{valid}, ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12,
		})), providers.CauseTLSRefused, false, false},
		// With TLS 1.3 the handshake is done on our side before the other side refuses.
		{"certificate wanted of us", to(serve(t, &tls.Config{Certificates: []tls.Certificate{valid}, ClientAuth: tls.RequireAnyClientCert})), providers.CauseTLSRefused, true, true},
	}
}

func TestACallWithoutAnAnswerNamesTheKindOfItsCauseAndNothingOfTheOtherSide(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	for _, row := range causeRows(t, a) {
		client := providers.NewClient(&providers.ClientOptions{Dial: row.dial, TLS: &tls.Config{RootCAs: a.roots}})
		answer := client.Do(t.Context(), post("https://"+host))
		out, settled := providers.ClassifyTransport(answer)
		if row.either {
			row.sent = !answer.NeverSent
		}
		if answer.Cause != row.want || answer.NeverSent == row.sent || answer.Err == nil || !settled {
			t.Errorf("%s: cause %q, want %q; never sent %v; error %v", row.name, answer.Cause, row.want, answer.NeverSent, answer.Err)
		}
		if (out.Result == payment.NotExecuted) == row.sent {
			t.Errorf("%s: outcome %v", row.name, out.Result)
		}
		if row.want != providers.CauseUnknown && !strings.Contains(out.Message, row.want.Words()) {
			t.Errorf("%s: message %q does not say %q", row.name, out.Message, row.want.Words())
		}
		for _, leak := range []string{host, "127.0.0.1", "other.test", "secret words"} {
			if strings.Contains(out.Message, leak) || strings.Contains(strings.ReplaceAll(answer.Err.Error(), "https://"+host, ""), leak) {
				t.Errorf("%s: %q is in %q or %q", row.name, leak, out.Message, answer.Err)
			}
		}
	}
}

func TestALostAnswerNamesTheKindOfItsCause(t *testing.T) {
	t.Parallel()
	reset := accept(t, func(c *net.TCPConn) { _, _ = c.Read(make([]byte, 1)); _ = c.SetLinger(0); c.Close() })
	for name, row := range map[string]struct {
		url  string
		want providers.Cause
	}{
		"cut":       {newPeer(t, func(int32) string { return "" }).url, providers.CauseCut},
		"no HTTP":   {newPeer(t, func(int32) string { return "SSH-2.0-OpenSSH\r\n" }).url, providers.CauseNoHTTP},
		"too large": {newPeer(t, func(int32) string { return "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + strings.Repeat("x", 100) }).url, providers.CauseTooLarge},
		"reset":     {"http://" + reset, providers.CauseReset},
	} {
		client := providers.NewClient(&providers.ClientOptions{MaxBody: 50, Timeout: 2 * time.Second})
		answer := client.Do(t.Context(), post(row.url))
		if answer.Cause != row.want || answer.NeverSent {
			t.Errorf("%s: cause %q, want %q; never sent %v", name, answer.Cause, row.want, answer.NeverSent)
		}
		out, _ := providers.ClassifyTransport(answer)
		if out.Result != payment.Indeterminate || !strings.HasPrefix(out.Message, "the call may have been executed, its answer was lost (") {
			t.Errorf("%s: %v %q", name, out.Result, out.Message)
		}
	}
}

// swallow takes what comes and answers nothing.
func swallow(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

func TestEveryWaitThatEndsIsNamedByWhatWasWaitedForAtAnyTimeout(t *testing.T) {
	t.Parallel()
	const viaPlain, viaTLS = "http://proxy.test:3128", "https://proxy.test:3128"
	for name, row := range map[string]struct {
		url, proxy string
		talk       func(net.Conn) // nil: no connection is made
		want       providers.Cause
		sent       bool
	}{
		"a connection":               {"https://" + host, "", nil, providers.CauseConnectTimeout, false},
		"a connection without TLS":   {"http://" + host, "", nil, providers.CauseConnectTimeout, false},
		"a handshake":                {"https://" + host, "", swallow, providers.CauseTLSTimeout, false},
		"a connection to the proxy":  {"https://" + host, viaPlain, nil, "proxy_connect_timeout", false},
		"a handshake with the proxy": {"https://" + host, viaTLS, swallow, "proxy_tls_timeout", false},
		"the proxy's answer":         {"https://" + host, viaPlain, swallow, providers.CauseProxyNoAnswer, false},
		"a handshake behind the proxy": {"https://" + host, viaPlain, func(c net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			}
			swallow(c)
		}, providers.CauseTLSTimeout, false},
		"an answer": {"http://" + host, "", swallow, providers.CauseTimeout, true},
	} {
		for _, timeout := range []time.Duration{0, time.Second, 3 * time.Second, 5 * time.Second, 8 * time.Second} {
			synctest.Test(t, func(t *testing.T) {
				var ends []net.Conn
				o := providers.ClientOptions{Timeout: timeout}
				if row.proxy != "" {
					o.Proxy = through(t, row.proxy)
				}
				o.Dial = func(context.Context, string, string) (net.Conn, error) {
					if row.talk == nil {
						time.Sleep(2 * providers.DefaultTimeout) // the transport lets it end by itself
						return nil, context.DeadlineExceeded
					}
					near, far := net.Pipe()
					ends = append(ends, far)
					go row.talk(far)
					return near, nil
				}
				answer := providers.NewClient(&o).Do(context.Background(), post(row.url))
				if answer.Cause != row.want || answer.NeverSent == row.sent {
					t.Errorf("%s, %v: cause %q, want %q; never sent %v", name, timeout, answer.Cause, row.want, answer.NeverSent)
				}
				for _, end := range ends {
					end.Close()
				}
				time.Sleep(3 * providers.DefaultTimeout)
			})
		}
	}
}

func TestANameThatIsNotLookedUpInTimeIsNoHostThatTakesNoConnection(t *testing.T) {
	t.Parallel()
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	names := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", silent.LocalAddr().String())
	}}
	for proxy, want := range map[string]providers.Cause{"": providers.CauseNameLookup, "http://proxy.test:1": "proxy_name_lookup_failed"} {
		o := providers.ClientOptions{Timeout: 100 * time.Millisecond, Dial: (&net.Dialer{Resolver: names}).DialContext}
		if proxy != "" {
			o.Proxy = through(t, proxy)
		}
		answer := providers.NewClient(&o).Do(t.Context(), post("https://"+host))
		if answer.Cause != want || !answer.NeverSent {
			t.Errorf("cause %q, want %q; never sent %v", answer.Cause, want, answer.NeverSent)
		}
	}
}

func TestACallThatIsGivenUpOrInvalidIsNamedSo(t *testing.T) {
	t.Parallel()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if answer := providers.NewClient(nil).Do(cancelled, post("https://"+host)); answer.Cause != providers.CauseGivenUp || !answer.NeverSent {
		t.Errorf("given up: cause %q, never sent %v", answer.Cause, answer.NeverSent)
	}
	if answer := providers.NewClient(nil).Do(t.Context(), post("::")); answer.Cause != providers.CauseInvalidCall || !answer.NeverSent {
		t.Errorf("invalid: cause %q, never sent %v", answer.Cause, answer.NeverSent)
	}
}

func TestTheLogNamesACauseOncePerChangeAndNotPerCall(t *testing.T) {
	t.Parallel()
	c := &clock{}
	var log bytes.Buffer
	dial := failing(opError(syscall.ECONNREFUSED))
	good := newPeer(t, func(int32) string { return okAnswer })
	client := providers.NewClient(&providers.ClientOptions{
		Now: c.now, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			},
		})),
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			return dial(ctx, network, address)
		},
	})
	call := func(times int) {
		for range times {
			client.Do(t.Context(), post("http://"+host))
		}
		client.CloseIdle()
	}
	call(3)
	dial = failing(opError(syscall.EHOSTUNREACH))
	call(3)
	dial = to(strings.TrimPrefix(good.url, "http://"))
	call(2) // too soon to be called steady
	c.add(time.Minute)
	call(2)
	dial = failing(opError(syscall.EHOSTUNREACH))
	call(2)
	warn := "level=WARN msg=\"calls to the provider get no answer\" cause=%s error=%q\n"
	want := fmt.Sprintf(warn, "connection_refused", "the port is closed") + fmt.Sprintf(warn, "network_unreachable", "no route leads to the host") +
		"level=INFO msg=\"the provider answers again\" cause=network_unreachable\n" + fmt.Sprintf(warn, "network_unreachable", "no route leads to the host")
	if log.String() != want {
		t.Errorf("log:\n%s\nwant:\n%s", log.String(), want)
	}
}

func TestEveryCauseHasWords(t *testing.T) {
	t.Parallel()
	seen := map[string]providers.Cause{}
	for _, c := range providers.Causes() {
		words := c.Words()
		if other, twice := seen[words]; twice || words == providers.CauseUnknown.Words() {
			t.Errorf("%q has the words of %q: %s", c, other, words)
		}
		seen[words] = c
	}
}
