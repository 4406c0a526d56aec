package inbound_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// A probe with a timeout of one second, half of what deploy/k8s gives it, while 200
// others do one thing as fast as they can, each over a connection at a time, and connect
// again once they are cut off. Reported are the probes of a hundred that fail.
func BenchmarkProbeUnderAttack(b *testing.B) {
	for name, attack := range map[string]func(net.Conn){
		"connect and drop":          func(net.Conn) {},
		"connect and stay":          stay,
		"begin a header and stay":   func(c net.Conn) { fmt.Fprint(c, "GET / HTTP/1.1\r\nHo"); stay(c) },
		"have one request and stay": func(c net.Conn) { _ = wrap(c).get(); stay(c) },
	} {
		b.Run(name, func(b *testing.B) {
			address, _, _ := serveAtMost(b, 64, 100*time.Millisecond)
			ctx, cancel := context.WithCancel(b.Context())
			var attackers sync.WaitGroup
			for range 200 {
				attackers.Go(func() { repeat(ctx, address, attack) })
			}
			failed := 0
			for b.Loop() {
				if err := probe(address); err != nil {
					fmt.Println(err)
					failed++
				}
			}
			cancel()
			attackers.Wait()
			b.ReportMetric(100*float64(failed)/float64(b.N), "failed/100")
		})
	}
}

// stay waits until the other side ends the connection.
func stay(c net.Conn) { _, _ = c.Read(make([]byte, 1)) }

func repeat(ctx context.Context, address string, attack func(net.Conn)) {
	for ctx.Err() == nil {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			continue
		}
		stop := context.AfterFunc(ctx, func() { c.Close() })
		attack(c)
		stop()
		c.Close()
	}
}

func probe(address string) error {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	return wrap(c).get()
}
