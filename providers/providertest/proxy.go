package providertest

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
)

// ProxyOptions say how a Proxy behaves; the zero value connects whoever asks.
type ProxyOptions struct {
	// User and Password are wanted of whoever asks; empty: nobody need sign in.
	User, Password string
	// To is where a host with its port really lies; others lie where they say.
	To map[string]string
	// Answer is the status and head of every answer instead of a connection.
	Answer string
	// Cut ends the connection behind the answer that it is made.
	Cut bool
	// TLS is spoken to the proxy itself; nil: it is not.
	TLS *tls.Config
}

// Proxy is an HTTP proxy on loopback that makes connections (CONNECT) and does
// nothing else. It is safe for concurrent use.
type Proxy struct {
	// Address is where it listens.
	Address string

	o     ProxyOptions
	mu    sync.Mutex
	asked []string
}

// NewProxy starts a proxy that stops at the end of the test.
func NewProxy(t *testing.T, o ProxyOptions) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Address: listener.Addr().String(), o: o}
	if o.TLS != nil {
		listener = tls.NewListener(listener, o.TLS)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(conn)
		}
	}()
	return p
}

// Asked returns the hosts with their ports that were asked for, in order.
func (p *Proxy) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// serve answers one request and joins the two sides.
func (p *Proxy) serve(near net.Conn) {
	defer near.Close()
	reader := bufio.NewReader(near)
	request, err := http.ReadRequest(reader)
	if err != nil {
		_, _ = io.WriteString(near, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
		return
	}
	p.mu.Lock()
	p.asked = append(p.asked, request.Host)
	p.mu.Unlock()
	if answer := p.refusal(request); answer != "" {
		_, _ = io.WriteString(near, "HTTP/1.1 "+answer+"\r\n\r\n")
		return
	}
	far, err := new(net.Dialer).DialContext(request.Context(), "tcp", cmp.Or(p.o.To[request.Host], request.Host))
	if err != nil {
		_, _ = io.WriteString(near, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
		return
	}
	defer far.Close()
	if _, err := io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil || p.o.Cut {
		return
	}
	var done sync.WaitGroup
	done.Go(func() { _, _ = io.Copy(far, reader); far.Close() })
	_, _ = io.Copy(near, far)
	near.Close()
	done.Wait()
}

// refusal is the answer to whoever is not connected.
func (p *Proxy) refusal(r *http.Request) string {
	signedIn := http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}
	user, password, _ := signedIn.BasicAuth()
	switch {
	case r.Method != http.MethodConnect:
		return fmt.Sprint(http.StatusMethodNotAllowed) + " Only CONNECT"
	case user != p.o.User || password != p.o.Password:
		return fmt.Sprint(http.StatusProxyAuthRequired) + " Sign in\r\nProxy-Authenticate: Basic realm=\"proxy\"\r\nContent-Length: 0"
	}
	return p.o.Answer
}
