package providertest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// Saying is one answer as it goes over the wire, sound or not.
type Saying struct {
	Status int
	Body   []byte
	// Cut breaks the connection before the last byte of the body, or in the
	// middle of the head where there is no body.
	Cut bool
}

// Line is a network with one provider at its other end, without a socket: it
// answers the n-th request with the n-th saying, and every further one with the
// last. Safe for concurrent use.
type Line struct {
	sayings []Saying
	asked   atomic.Int64
	ends    sync.WaitGroup
}

// NewLine returns a line that says at least one thing.
func NewLine(first Saying, more ...Saying) *Line {
	return &Line{sayings: append([]Saying{first}, more...)}
}

// Dial is a providers.ClientOptions.Dial.
func (l *Line) Dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	l.ends.Go(func() {
		defer far.Close()
		l.serve(far)
	})
	return near, nil
}

// Asked is how many requests have arrived.
func (l *Line) Asked() int { return int(l.asked.Load()) }

// Wait returns once every connection has ended; the client must be done.
func (l *Line) Wait() { l.ends.Wait() }

// serve answers one request and hangs up.
func (l *Line) serve(conn net.Conn) {
	request, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	if _, err := io.Copy(io.Discard, request.Body); err != nil {
		return
	}
	n := int(l.asked.Add(1))
	say := l.sayings[min(n, len(l.sayings))-1]
	head := fmt.Sprintf("HTTP/1.1 %03d Text\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", say.Status, len(say.Body))
	body := say.Body
	switch {
	case say.Cut && len(body) > 0:
		body = body[:len(body)-1]
	case say.Cut:
		head = head[:len(head)/2]
	}
	_, _ = io.WriteString(conn, head) // the caller may have had enough
	_, _ = conn.Write(body)
}
