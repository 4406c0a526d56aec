package providers

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// ParseProxy reads the address of a proxy: a host, before it http:// (the default)
// or https:// and, if need be, user:password@, behind it a port. The error holds
// nothing of the address, which may hold a password.
func ParseProxy(raw string) (*url.URL, error) {
	if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "" || strings.ContainsAny(u.Host, " \t"):
		return nil, errors.New("must be the address of a proxy, such as http://proxy.example:3128")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("must be an http or https proxy")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		// It may be the rest of a password that is not encoded.
		return nil, errors.New("must end with the host and port; in a user or password the characters / ? # are written %2F %3F %23")
	}
	return &url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host}, nil
}

// tunnel has a proxy connect to an address. The proxy sees its name and nothing of
// a call; TLS to the provider goes through it. So whatever the proxy says or does
// before that handshake is done, no call was sent, and it can repeat none.
func (l *lines) tunnel(ctx context.Context, network string, via *url.URL, address string) (net.Conn, error) {
	way := wayOf(ctx)
	way.begin(true)
	conn, err := l.dial(ctx, network, proxyAddress(via))
	if err != nil {
		return nil, &unconnectedError{dialCause(err).atProxy(), err}
	}
	if via.Scheme == "https" {
		way.reached(CauseTLSTimeout)
		if conn, err = handshake(ctx, conn, l.tls, via.Hostname()); err != nil {
			return nil, &unconnectedError{handshakeCause(err).atProxy(), err}
		}
	}
	way.passed(CauseProxyNoAnswer)
	if err := connect(ctx, conn, via.User, address); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// proxyAddress is where a proxy listens.
func proxyAddress(via *url.URL) string {
	port := via.Port()
	switch {
	case port != "":
	case via.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(via.Hostname(), port)
}

// connect sends CONNECT (RFC 9110, section 9.3.6) and reads the answer's head. Its
// text is shown to nobody: it is the proxy's.
//
//	| Answer                              | Cause                |
//	|-------------------------------------|----------------------|
//	| 2xx, and nothing behind it          | none: it is a tunnel |
//	| 407                                 | proxy_authentication |
//	| 5xx                                 | proxy_failed         |
//	| any other                           | proxy_refused        |
//	| none, or none that is HTTP          | proxy_no_answer      |
func connect(ctx context.Context, conn net.Conn, user *url.Userinfo, address string) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	status, err := askProxy(conn, user, address)
	if !stop() { // from now on its deadline may be set
		err = errors.Join(ctx.Err(), err)
	}
	switch {
	case errors.Is(err, context.Canceled):
		return &unconnectedError{CauseGivenUp, err}
	case err != nil:
		return &unconnectedError{CauseProxyNoAnswer, err}
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusProxyAuthRequired:
		return &unconnectedError{CauseProxyAuthentication, nil}
	case status >= 500:
		return &unconnectedError{CauseProxyFailed, nil}
	default:
		return &unconnectedError{CauseProxyRefused, nil}
	}
}

// askProxy sends the request and returns the answer's status.
func askProxy(conn net.Conn, user *url.Userinfo, address string) (int, error) {
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	request.Header.Set("User-Agent", userAgent)
	if user != nil {
		password, _ := user.Password()
		basic := http.Request{Header: http.Header{}}
		basic.SetBasicAuth(user.Username(), password)
		request.Header["Proxy-Authorization"] = basic.Header["Authorization"]
	}
	if err := request.Write(conn); err != nil {
		return 0, err //nolint:wrapcheck // its text is shown to nobody
	}
	reader := bufio.NewReader(io.LimitReader(conn, maxHeader))
	response, err := http.ReadResponse(reader, request)
	if err != nil {
		return 0, err //nolint:wrapcheck // its text is shown to nobody
	}
	_ = response.Body.Close() // of a refusal's body nothing is read
	if response.StatusCode < 300 && reader.Buffered() > 0 {
		return 0, errors.New("the proxy speaks where TLS must begin")
	}
	return response.StatusCode, nil
}
