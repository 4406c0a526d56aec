package providers

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/url"
)

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// lines opens a client's connections, each with a gate, and names the cause where
// that fails. What leaves before a call has the connection is of no call: TLS
// handshakes, and to a proxy the name of the host to connect to.
type lines struct {
	dial  dialFunc
	tls   *tls.Config
	proxy func(address string) (*url.URL, error) // nil: none
}

// plain opens a connection without TLS. That exists to this machine only, and no
// proxy leads there.
func (l *lines) plain(ctx context.Context, network, address string) (net.Conn, error) {
	wayOf(ctx).begin(false)
	conn, err := l.dial(ctx, network, address)
	if err != nil {
		return nil, &unconnectedError{dialCause(err), err}
	}
	return &gatedConn{Conn: conn}, nil
}

// secured opens a connection with TLS, through a proxy if there is one for the
// address. The gate lies beneath the TLS that ends at the provider.
func (l *lines) secured(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := l.reach(ctx, network, address)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	wayOf(ctx).passed(CauseTLSTimeout)
	over, err := handshake(ctx, &gatedConn{Conn: conn}, l.tls, host)
	if err != nil {
		return nil, &unconnectedError{handshakeCause(err), err}
	}
	return over, nil
}

// reach opens the connection that TLS is spoken on.
func (l *lines) reach(ctx context.Context, network, address string) (net.Conn, error) {
	if l.proxy != nil {
		switch via, err := l.proxy(address); {
		case err != nil:
			return nil, &unconnectedError{CauseProxySetting, err}
		case via != nil:
			return l.tunnel(ctx, network, via, address)
		}
	}
	wayOf(ctx).begin(false)
	conn, err := l.dial(ctx, network, address)
	if err != nil {
		return nil, &unconnectedError{dialCause(err), err}
	}
	return conn, nil
}

// handshake agrees on TLS with a host over a connection, which it closes if that
// fails.
func handshake(ctx context.Context, conn net.Conn, base *tls.Config, host string) (*tls.Conn, error) {
	own := &tls.Config{}
	if base != nil {
		own = base.Clone()
	}
	own.ServerName = cmp.Or(own.ServerName, host)
	own.NextProtos = []string{"http/1.1"}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	over := tls.Client(conn, own)
	if err := over.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err //nolint:wrapcheck // its kind is what is looked at, and its text is shown to nobody
	}
	return over, nil
}
