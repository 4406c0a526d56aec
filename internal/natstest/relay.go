package natstest

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Pass passes one direction of a connection on, until it ends.
type Pass func(to io.Writer, from io.Reader)

// Relay stands between clients and a server until the test ends: up passes on
// what clients say, down what the server says. It returns the address for clients.
func Relay(t testing.TB, server string, up, down Pass) string {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatalf("relay to %s: %v", server, err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", loopback(0))
	if err != nil {
		t.Fatalf("listen for the relay's clients: %v", err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			upstream, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", target.Host)
			if err != nil {
				client.Close()
				continue
			}
			all.Go(func() { up(upstream, client); upstream.Close() })
			all.Go(func() { down(client, upstream); client.Close() })
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return "nats://" + l.Addr().String()
}

// Mute stands between clients and a server that accepts their connections and then says
// nothing: what a client sends after the first greeting is lost. It returns the address
// for clients.
func Mute(t testing.TB, server string) string {
	t.Helper()
	return Relay(t, server, func(to io.Writer, from io.Reader) {
		said := make([]byte, 4096)
		for greeted := false; !greeted; {
			n, err := from.Read(said)
			if err != nil {
				return
			}
			if _, err := to.Write(said[:n]); err != nil {
				return
			}
			greeted = bytes.Contains(said[:n], []byte("PING"))
		}
		_, _ = io.Copy(io.Discard, from)
	}, func(to io.Writer, from io.Reader) { _, _ = io.Copy(to, from) })
}
