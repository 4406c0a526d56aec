package providers_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/providertest"
)

// peer is a bare TCP server: it tells every request it read whole to answer,
// which returns the bytes to send, or "" to close the connection.
type peer struct {
	url      string
	requests atomic.Int32
	received atomic.Int64 // bytes
	accepted chan struct{}
}

func newPeer(t *testing.T, answer func(n int32) string) *peer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{url: "http://" + listener.Addr().String(), accepted: make(chan struct{}, 16)}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.accepted <- struct{}{}
			serving.Go(func() { p.serve(conn, answer) })
		}
	})
	t.Cleanup(func() { _ = listener.Close() })
	return p
}

func (p *peer) serve(conn net.Conn, answer func(n int32) string) {
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReader(io.TeeReader(conn, counter{&p.received}))
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return
		}
		text := answer(p.requests.Add(1))
		if text == "" {
			return
		}
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
	}
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

func post(url string) providers.Call {
	return providers.Call{Method: http.MethodPost, URL: url, Body: []byte(`{"a":1}`), MovesMoney: true}
}

func TestARedirectIsAnAnswerAndIsNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		p := newPeer(t, func(int32) string {
			return fmt.Sprintf("HTTP/1.1 %d Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", status)
		})
		answer := providers.NewClient(nil).Do(t.Context(), post(p.url))
		if answer.Status != status || answer.Err != nil || p.requests.Load() != 1 {
			t.Errorf("%d: status %d, error %v, %d requests", status, answer.Status, answer.Err, p.requests.Load())
		}
	}
}

func TestABodyOverTheLimitIsAnErrorAndOneAtTheLimitIsNot(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]error{64: nil, 65: providers.ErrBodyTooLarge} {
		p := newPeer(t, func(int32) string {
			return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size))
		})
		answer := providers.NewClient(&providers.ClientOptions{MaxBody: 64}).Do(t.Context(), post(p.url))
		if !errors.Is(answer.Err, want) || answer.NeverSent {
			t.Errorf("%d bytes: error %v, never sent %v", size, answer.Err, answer.NeverSent)
		}
	}
}

func TestACutConnectionLeavesTheCallInDoubtAndIsNotRetried(t *testing.T) {
	t.Parallel()
	cuts := map[string]string{
		"without an answer":    "",
		"in the answer's head": "HTTP/1.1 200 O",
		"in the answer's body": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{",
	}
	for name, sent := range cuts {
		p := newPeer(t, func(int32) string { return sent })
		client := providers.NewClient(&providers.ClientOptions{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if sent != "" && err == nil { // the peer would wait for a further request
				conn = &cutting{Conn: conn, after: len(sent)}
			}
			return conn, err
		}})
		answer := client.Do(t.Context(), post(p.url))
		if answer.Err == nil || answer.NeverSent || p.requests.Load() != 1 {
			t.Errorf("cut %s: error %v, never sent %v, %d requests", name, answer.Err, answer.NeverSent, p.requests.Load())
		}
	}
}

// cutting is a connection that ends after so many bytes were read.
type cutting struct {
	net.Conn
	after int
}

func (c *cutting) Read(b []byte) (int, error) {
	if c.after == 0 {
		return 0, io.EOF
	}
	n, err := c.Conn.Read(b[:min(len(b), c.after)])
	c.after -= n
	return n, err
}

func TestACallIsNeverReplayedOnAnotherConnectionWhenAKeptOneBreaks(t *testing.T) {
	t.Parallel()
	calls := map[string]providers.Call{
		"POST":              {Method: http.MethodPost, Body: []byte(`{}`)},
		"POST without body": {Method: http.MethodPost},
		"PUT without body":  {Method: http.MethodPut},
		"GET":               {Method: http.MethodGet}, // Go's transport would replay this one
	}
	for name, call := range calls {
		// The first request is answered; the second is read, and the kept
		// connection is closed without an answer.
		p := newPeer(t, func(n int32) string {
			if n == 2 {
				return ""
			}
			return okAnswer
		})
		client := providers.NewClient(nil)
		call.URL = p.url
		if first := client.Do(t.Context(), call); first.Err != nil {
			t.Fatalf("%s: first call: %v", name, first.Err)
		}
		second := client.Do(t.Context(), call)
		if second.Err == nil || second.NeverSent || p.requests.Load() != 2 {
			t.Errorf("%s: error %v, never sent %v, %d requests seen", name, second.Err, second.NeverSent, p.requests.Load())
		}
	}
}

func TestAHeaderThatDeclaresAPostRepeatableIsRefusedUnsent(t *testing.T) {
	t.Parallel()
	p := newPeer(t, func(int32) string { return okAnswer })
	for _, name := range []string{"Idempotency-Key", "x-idempotency-key"} {
		call := post(p.url)
		call.Header = http.Header{name: {"k"}}
		answer := providers.NewClient(nil).Do(t.Context(), call)
		if answer.Err == nil || !answer.NeverSent || p.requests.Load() != 0 {
			t.Errorf("%s: error %v, never sent %v", name, answer.Err, answer.NeverSent)
		}
	}
}

func TestACallThatFindsNoConnectionWasNeverSent(t *testing.T) {
	t.Parallel()
	const address = "127.0.0.1:1" // one that was free a moment ago may be another test's by now
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(untrusted.Close)
	untrusted.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	urls := map[string]string{
		"refused": "http://" + address, "unknown name": "http://provider.invalid",
		"untrusted certificate": untrusted.URL, "no URL": "::", "user in the URL": "http://u:p@" + address,
	}
	for name, url := range urls {
		answer := providers.NewClient(nil).Do(t.Context(), post(url))
		if answer.Err == nil || !answer.NeverSent || answer.Status != 0 {
			t.Errorf("%s: error %v, never sent %v", name, answer.Err, answer.NeverSent)
		}
	}
}

// clock is a time that tests move.
type clock struct{ nanos atomic.Int64 }

func (c *clock) now() time.Time               { return time.Unix(1_700_000_000, c.nanos.Load()) }
func (c *clock) add(d time.Duration)          { c.nanos.Add(int64(d)) }
func (c *clock) in(d time.Duration) time.Time { return c.now().Add(d) }

func TestNothingIsSentOnceTheTimeToSendHasPassed(t *testing.T) {
	t.Parallel()
	for _, body := range [][]byte{nil, []byte(`{"amount":1}`)} {
		p := newPeer(t, func(int32) string { return okAnswer })
		c := &clock{}
		client := providers.NewClient(&providers.ClientOptions{
			Now: c.now,
			// The time passes while the connection is made.
			Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				c.add(time.Second)
				return new(net.Dialer).DialContext(ctx, network, address)
			},
		})
		call := post(p.url)
		call.Body, call.SendBefore = body, c.in(time.Second)
		answer := client.Do(t.Context(), call)
		<-p.accepted // there was a connection
		if !errors.Is(answer.Err, providers.ErrTooLate) || !answer.NeverSent || p.received.Load() != 0 {
			t.Errorf("error %v, never sent %v, %d bytes reached the peer", answer.Err, answer.NeverSent, p.received.Load())
		}
		call.SendBefore = c.now()
		if answer = client.Do(t.Context(), call); !errors.Is(answer.Err, providers.ErrTooLate) || len(p.accepted) != 0 {
			t.Errorf("at the limit: error %v, further connections %d", answer.Err, len(p.accepted))
		}
	}
}

func TestTheTimeToSendHoldsOnTLSAndOnKeptConnections(t *testing.T) {
	t.Parallel()
	var served atomic.Int32
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		_, _ = io.Copy(w, r.Body)
	}))
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	c := &clock{}
	var step time.Duration
	client := providers.NewClient(&providers.ClientOptions{
		TLS: &tls.Config{RootCAs: roots},
		// Every look at the clock takes a step, so that the early look passes
		// and the one at the connection decides.
		Now: func() time.Time { c.add(step); return c.now() },
	})
	call := post(server.URL)
	call.SendBefore = c.in(time.Hour)
	if answer := client.Do(t.Context(), call); answer.Err != nil || answer.NeverSent || string(answer.Body) != `{"a":1}` {
		t.Fatalf("in time: %v, never sent %v, body %q", answer.Err, answer.NeverSent, answer.Body)
	}
	step, call.SendBefore = time.Second, c.in(3*time.Second) // began: 1 s, early look: 2 s, connection: 3 s
	answer := client.Do(t.Context(), call)
	if !errors.Is(answer.Err, providers.ErrTooLate) || !answer.NeverSent || served.Load() != 1 {
		t.Errorf("too late: %v, never sent %v, %d served", answer.Err, answer.NeverSent, served.Load())
	}
}

func TestACallGivenUpBeforeItsConnectionCameCanNoLongerLeave(t *testing.T) {
	t.Parallel()
	p := newPeer(t, func(int32) string { return okAnswer })
	ctx, cancel := context.WithCancel(t.Context())
	dialed, closed := make(chan struct{}), make(chan struct{})
	client := providers.NewClient(&providers.ClientOptions{
		Dial: func(_ context.Context, network, address string) (net.Conn, error) {
			cancel()
			<-dialed
			conn, err := new(net.Dialer).Dial(network, address)
			return &closeSignal{Conn: conn, closed: closed}, err
		},
	})
	answer := client.Do(ctx, post(p.url))
	if !answer.NeverSent || !errors.Is(answer.Err, context.Canceled) {
		t.Fatalf("never sent %v, error %v", answer.NeverSent, answer.Err)
	}
	close(dialed)
	<-p.accepted
	// The connection is kept for another call; closing it shows it was unused.
	for open := true; open; {
		client.CloseIdle()
		select {
		case <-closed:
			open = false
		default:
		}
	}
	if p.received.Load() != 0 {
		t.Errorf("%d bytes left after the call had returned", p.received.Load())
	}
}

type closeSignal struct {
	net.Conn
	closed chan struct{}
	once   sync.Once
}

func (c *closeSignal) Close() error {
	defer c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// piped returns a client whose connections end at serve, for tests on fake time.
func piped(o providers.ClientOptions, serve func(net.Conn)) *providers.Client {
	o.Dial = func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go serve(far)
		return near, nil
	}
	return providers.NewClient(&o)
}

func TestACallEndsAtItsTimeoutAndMayHaveBeenExecuted(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{0, 3 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			client := piped(providers.ClientOptions{Timeout: timeout}, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
			began := time.Now()
			answer := client.Do(context.Background(), post("http://provider.example"))
			want := timeout
			if want == 0 {
				want = providers.DefaultTimeout
			}
			if !errors.Is(answer.Err, context.DeadlineExceeded) || answer.NeverSent || time.Since(began) != want {
				t.Errorf("after %v: %v, never sent %v", time.Since(began), answer.Err, answer.NeverSent)
			}
		})
	}
}

func TestAnIdleConnectionIsClosedLongBeforeServersCloseIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Time, 1)
		client := piped(providers.ClientOptions{}, func(c net.Conn) {
			r := bufio.NewReader(c)
			request, err := http.ReadRequest(r)
			if err == nil {
				_, _ = io.Copy(io.Discard, request.Body)
				_, _ = io.WriteString(c, okAnswer)
			}
			_, _ = r.ReadByte()
			ended <- time.Now()
		})
		began := time.Now()
		if answer := client.Do(context.Background(), post("http://provider.example")); answer.Err != nil {
			t.Fatal(answer.Err)
		}
		if idle := (<-ended).Sub(began); idle != 15*time.Second {
			t.Errorf("closed after %v", idle)
		}
	})
}

func TestAsManyConnectionsAreKeptAsCallsAreUnderWay(t *testing.T) {
	t.Parallel()
	const atOnce = 100 // more than are kept by default
	var opened atomic.Int32
	var waiting sync.WaitGroup
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		waiting.Done() // no answer before all are there
		waiting.Wait()
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	client := providers.NewClient(&providers.ClientOptions{Concurrent: atOnce})
	for range 3 {
		var calls sync.WaitGroup
		waiting.Add(atOnce)
		for range atOnce {
			calls.Go(func() {
				if a := client.Do(context.Background(), post(server.URL)); a.Err != nil {
					t.Error(a.Err)
				}
			})
		}
		calls.Wait()
	}
	if n := opened.Load(); n > atOnce+atOnce/4 { // a call may find its connection not yet given back
		t.Errorf("%d connections were opened for three times %d calls", n, atOnce)
	}
}

func TestNoSecretQueryPathOrForeignTextComesOutOfACall(t *testing.T) {
	t.Parallel()
	const secret = "s3cret/key+value"
	p := newPeer(t, func(n int32) string {
		if n == 1 {
			return "HTTP/1.1 personal" + secret + " \r\n\r\n" // net/http quotes such a status
		}
		body := `{"echo":"` + secret + `","form":"s3cret%2Fkey%2Bvalue"}`
		return fmt.Sprintf("HTTP/1.1 400 Bad\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	})
	var log bytes.Buffer
	client := providers.NewClient(&providers.ClientOptions{
		Logger: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	call := post(p.url + "/orders/order-77?apiKey=" + secret)
	call.Body, call.Secrets = []byte("apiKey="+secret), []providers.Secret{providers.NewSecret(secret), {}, providers.NewSecret("4")}
	broken, echoed := client.Do(t.Context(), call), client.Do(t.Context(), call)
	if broken.Err == nil || echoed.Status != 400 {
		t.Fatalf("broken: %v, echoed: %d %v", broken.Err, echoed.Status, echoed.Err)
	}
	if string(echoed.Body) != `{"echo":"***","form":"***"}` {
		t.Errorf("body: %s", echoed.Body)
	}
	out := fmt.Sprintf("%v %+v %#v %s", broken.Err, broken.Err, broken.Err, log.String())
	for _, leak := range []string{secret, "s3cret", "order-77", "apiKey", "personal"} {
		if strings.Contains(out, leak) {
			t.Errorf("%q leaked: %s", leak, out)
		}
	}
	if strings.Count(log.String(), `"msg":"provider call"`) != 2 {
		t.Errorf("log: %s", log.String())
	}
}

// Some encoders escape each slash, and all of them may escape any letter.
func TestASecretIsMaskedBehindTheEscapesOfJSON(t *testing.T) {
	t.Parallel()
	const secret = "s3cret/key\"+value"
	for body, want := range map[string]string{
		`{"message":"key s3cret\/key\"+value unknown","x":1}`:              `{"message":"***","x":1}`,
		`{"a":"\u0073\u0033cret/key\u0022+value","b":"\/"}`:                `{"a":"***","b":"\/"}`,
		`{"s3cret\/key\"+value":"a","b":["s3cret\/key\"+value","\u00e9"]}`: `{"***":"a","b":["***","\u00e9"]}`,
		`{"a":"other\/key","b":"\""}`:                                      `{"a":"other\/key","b":"\""}`,
		`not JSON \ "s3cret\/key\"+value" and "an open \" quote`:           `not JSON \ "***" and "an open \" quote`,
	} {
		line := providertest.NewLine(providertest.Saying{Status: 200, Body: []byte(body)})
		client := providers.NewClient(&providers.ClientOptions{Dial: line.Dial})
		call := post("http://127.0.0.1:1/x")
		call.Secrets = []providers.Secret{providers.NewSecret(secret), {}}
		if got := client.Do(t.Context(), call); string(got.Body) != want || got.Err != nil {
			t.Errorf("%s becomes %s, %v; want %s", body, got.Body, got.Err, want)
		}
		client.CloseIdle()
		line.Wait()
	}
}

func TestRetryAfterIsReadAsSecondsOrDateWithinADay(t *testing.T) {
	t.Parallel()
	c := &clock{}
	for value, want := range map[string]time.Duration{
		"7": 7 * time.Second, "0": 0, "-3": 0, "soon": 0, "": 0, "999999": 24 * time.Hour,
		c.in(90 * time.Second).UTC().Format(http.TimeFormat):  90 * time.Second,
		c.in(-90 * time.Second).UTC().Format(http.TimeFormat): 0,
	} {
		p := newPeer(t, func(int32) string {
			return "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\nRetry-After: " + value + "\r\n\r\n"
		})
		answer := providers.NewClient(&providers.ClientOptions{Now: c.now}).Do(t.Context(), post(p.url))
		if answer.RetryAfter != want || answer.Status != 429 {
			t.Errorf("%q: %v, status %d, %v", value, answer.RetryAfter, answer.Status, answer.Err)
		}
	}
}
