package providers

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// The client's defaults and fixed limits.
const (
	DefaultTimeout = 10 * time.Second
	DefaultMaxBody = 1 << 20

	dialTimeout = 5 * time.Second
	// idleTimeout is far below what servers and load balancers use (60 s and
	// more). A server that closes an idle connection just as a call goes out
	// leaves that call in doubt; closing first makes this rare.
	idleTimeout = 15 * time.Second
	// defaultIdle is how many connections are kept for the calls to come.
	defaultIdle   = 64
	maxHeader     = 64 << 10
	maxRoom       = 64 << 10
	maxRetryAfter = 24 * time.Hour

	userAgent = "countermand"
)

// ErrTooLate is in Answer.Err when Call.SendBefore had passed before the first
// byte left. Nothing was sent.
var ErrTooLate = errors.New("the time to send has passed")

// ErrBodyTooLarge is in Answer.Err when the answer's body exceeded the limit.
var ErrBodyTooLarge = errors.New("the answer's body is too large")

// errInvalidCall marks a Call that cannot be sent, an adapter's mistake.
var errInvalidCall = errors.New("invalid call")

// errRepeat stops a transport that would send one call over a second connection.
var errRepeat = errors.New("a call is sent over one connection only")

// ClientOptions are the optional parts of a Client; nil and zero values mean
// the defaults.
type ClientOptions struct {
	Timeout time.Duration    // of one call, answer included; default DefaultTimeout
	MaxBody int64            // of an answer in bytes; default DefaultMaxBody
	Now     func() time.Time // default time.Now
	Logger  *slog.Logger     // one debug line a call, no header, query or body; default none
	TLS     *tls.Config      // default: the system's roots
	// Concurrent is how many calls are under way at once at the most. As many
	// connections are kept open: with fewer, calls close each other's
	// connections and open new ones all the time. Default 64.
	Concurrent int
	// Dial opens connections; default a net.Dialer. There is no option for a
	// whole transport: only on connections of its own can the client know
	// whether anything left.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Proxy returns the proxy (see ParseProxy) that a host with its port is reached
	// through; nil: none. It is asked for each new connection with TLS, and must be
	// safe for concurrent use. Default: no proxy, also none that the environment names.
	Proxy func(address string) (*url.URL, error)
}

// Client is the one HTTP client of all adapters; safe for concurrent use. It
// sends a call at most once: no redirect is followed, nothing is retried, no
// connection is tried after another one was written to. A proxy only connects it
// with the provider and sees no call, because it might repeat what it forwards.
// The client speaks HTTP/1.1 only, because with one call on a connection at a time
// a broken connection puts one call in doubt and not all of them.
//
// It logs a warning when calls to a host begin to get no answer or do so for another
// cause, and a line when they are answered again.
type Client struct {
	transport *http.Transport
	reach     *reach
	timeout   time.Duration
	maxBody   int64
	now       func() time.Time
	log       *slog.Logger
}

// Call is one request.
type Call struct {
	Method string
	URL    string
	Header http.Header
	Body   []byte
	// MovesMoney marks a call that can change something at the provider.
	MovesMoney bool
	// SendBefore refuses a call whose first byte would leave at or after it.
	// Zero: no limit.
	SendBefore time.Time
	// Secrets are masked in the Answer's body and error.
	Secrets []Secret
}

// Answer is what became of a Call. The zero Status means that no answer came.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	// NeverSent is true only if not one byte of the request was handed to a
	// connection, and none will be later.
	NeverSent bool
	// Err is set when there is no complete answer. Its text holds no query,
	// body or secret; errors.Is finds ErrTooLate, ErrBodyTooLarge and the
	// context's errors.
	Err error
	// Cause is the kind of Err's cause; CauseUnknown where that is none of the list.
	Cause Cause
	// RetryAfter is the answer's Retry-After, between 0 and 24 hours.
	RetryAfter time.Duration
}

// NewClient returns a client; o may be nil.
func NewClient(o *ClientOptions) *Client {
	if o == nil {
		o = &ClientOptions{}
	}
	dial := o.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	c := &Client{
		timeout: cmp.Or(o.Timeout, DefaultTimeout),
		maxBody: cmp.Or(o.MaxBody, DefaultMaxBody),
		now:     o.Now,
		log:     o.Logger,
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	idle := cmp.Or(o.Concurrent, defaultIdle)
	l := &lines{dial: dial, tls: o.TLS, proxy: o.Proxy}
	c.reach = &reach{log: c.log, now: c.now}
	c.transport = &http.Transport{
		DialContext:            l.plain,
		DialTLSContext:         l.secured,
		Protocols:              protocols,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConns:           idle,
		MaxIdleConnsPerHost:    idle,
		MaxResponseHeaderBytes: maxHeader,
		// An unpacked body would be another size than the one limited.
		DisableCompression: true,
	}
	return c
}

// Now returns the client's clock's time in UTC.
func (c *Client) Now() time.Time { return c.now().UTC() }

// CloseIdle closes the connections that carry no call.
func (c *Client) CloseIdle() { c.transport.CloseIdleConnections() }

// Do sends the call once and returns what became of it. It always returns,
// at the latest after the client's timeout; a cancelled context ends it early
// and leaves Answer.Err set.
func (c *Client) Do(ctx context.Context, call Call) Answer {
	began := c.now()
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > c.timeout {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}

	g := &gate{now: c.now, before: call.SendBefore}
	answer, err := c.exchange(ctx, call, g)
	// Sealed first: a request that still waits inside the transport can no
	// longer leave, so the word "never" stays true after this call returned.
	var late bool
	answer.NeverSent, late = g.seal()
	if err != nil {
		if late {
			err = ErrTooLate
		}
		answer.Cause = causeOf(err, answer.NeverSent, g.way.ended())
		answer.Err = redactError(call, err, answer.Cause)
	}
	c.reach.note(ctx, call.URL, err != nil, answer.Cause)
	answer.Body = redactBytes(answer.Body, call.Secrets)
	if c.log.Enabled(ctx, slog.LevelDebug) { // what it says costs more than asking
		c.log.LogAttrs(ctx, slog.LevelDebug, "provider call",
			slog.String("method", call.Method), slog.String("url", safeURL(call.URL)),
			slog.Bool("moves_money", call.MovesMoney), slog.Int("status", answer.Status),
			slog.Bool("never_sent", answer.NeverSent), slog.Duration("took", c.now().Sub(began)),
			slog.Any("error", answer.Err))
	}
	return answer
}

// exchange sends the request through the gate and reads the answer.
func (c *Client) exchange(ctx context.Context, call Call, g *gate) (Answer, error) {
	request, err := newRequest(g.in(ctx), call)
	if err != nil {
		return Answer{}, err
	}
	if err := g.tooLate(); err != nil {
		return Answer{}, err // not worth a connection
	}
	// The transport itself, not an http.Client around it: that one follows
	// redirects, keeps cookies and puts the URL into its errors.
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		return Answer{}, fmt.Errorf("send request: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // the outcome is decided by what was read
	answer := Answer{Status: response.StatusCode, Header: response.Header, RetryAfter: c.retryAfter(response.Header)}
	answer.Body, err = readLimited(response, c.maxBody)
	return answer, err
}

// newRequest builds a request that Go's transport will not replay: it has no
// GetBody and none of the headers that declare a POST repeatable.
func newRequest(ctx context.Context, call Call) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, call.Method, call.URL, bytes.NewReader(call.Body))
	if err != nil {
		// Its own error repeats the URL.
		return nil, fmt.Errorf("%w: its method or URL is not valid", errInvalidCall)
	}
	if request.URL.Host == "" || request.URL.User != nil {
		return nil, fmt.Errorf("%w: its URL is not one of scheme, host and path", errInvalidCall)
	}
	request.GetBody = nil
	for name, values := range call.Header {
		request.Header[http.CanonicalHeaderKey(name)] = values
	}
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if request.Header.Get(name) != "" {
			return nil, fmt.Errorf("%w: header %s lets the transport replay a request", errInvalidCall, name)
		}
	}
	if request.Header.Get("User-Agent") == "" {
		request.Header.Set("User-Agent", userAgent)
	}
	return request, nil
}

// readLimited reads a body whole. What the other side says of its length is
// believed only as far as room is made for it.
func readLimited(response *http.Response, limit int64) ([]byte, error) {
	var room bytes.Buffer
	room.Grow(int(min(max(response.ContentLength, 0), maxRoom)) + bytes.MinRead)
	_, err := room.ReadFrom(io.LimitReader(response.Body, limit+1))
	body := room.Bytes()
	if int64(len(body)) > limit {
		return nil, ErrBodyTooLarge
	}
	if err != nil {
		return body, fmt.Errorf("read answer: %w", err)
	}
	return body, nil
}

// retryAfter reads seconds or an HTTP date; what it cannot read is 0.
func (c *Client) retryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if value == "" {
		return 0 // the usual case, and trying it as a date would be dear
	}
	var wait time.Duration
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(c.now())
	}
	return min(max(wait, 0), maxRetryAfter)
}
