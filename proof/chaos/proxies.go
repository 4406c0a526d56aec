//go:build unix

package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/countermand/countermand/internal/program"
	"github.com/countermand/countermand/internal/sleep"
)

// reopenFor bounds how long a path may take to come back.
const reopenFor = 30 * time.Second

// path is a way from one program to another that can be cut and slowed down.
// Its address stays the same.
type path struct {
	name     string
	from, to string // addresses
	proxies  *toxiproxy.ApiServer

	// busy is held while something is being done to it.
	busy  sync.Mutex
	proxy *toxiproxy.Proxy
}

// newPath opens one to a port of this machine, on a port of its own.
func newPath(proxies *toxiproxy.ApiServer, name string, port int, free *program.Ports) (*path, error) {
	ports, err := free.Free(1)
	if err != nil {
		return nil, err
	}
	p := &path{name: name, from: program.Local(ports[0]), to: program.Local(port), proxies: proxies}
	if err := p.open(""); err != nil {
		return nil, err
	}
	return p, nil
}

// newProxies is what all paths share; it listens nowhere itself.
func newProxies() *toxiproxy.ApiServer {
	return toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
}

// open lets connections through, with what is to befall them (empty: nothing).
// Each time it is a proxy of its own: changing what befalls connections that
// are there can block the library for good, and then the path stays silent.
func (p *path) open(toxic string) error {
	p.proxy = toxiproxy.NewProxy(p.proxies, p.name, p.from, p.to)
	if toxic != "" {
		if _, err := p.proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			return fmt.Errorf("open path %s: %w", p.name, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), reopenFor)
	defer cancel()
	if err := program.Await(ctx, func() bool { return p.proxy.Start() == nil }); err != nil {
		return fmt.Errorf("open path %s on %s: %w", p.name, p.from, err)
	}
	return nil
}

// cut ends every connection, and refuses new ones for a while.
func (p *path) cut(ctx context.Context, while time.Duration) error {
	p.proxy.Stop()
	sleep.For(ctx, while)
	return p.open("")
}

// slow delays every answer for a while; a delay of zero swallows them. It
// begins and ends with a cut.
func (p *path) slow(ctx context.Context, delay, while time.Duration) error {
	toxic := fmt.Sprintf(`{"type":"latency","attributes":{"latency":%d,"jitter":%d}}`, delay.Milliseconds(), delay.Milliseconds()/2)
	if delay == 0 {
		toxic = `{"type":"timeout","attributes":{"timeout":0}}`
	}
	p.proxy.Stop()
	err := p.open(toxic)
	if err == nil {
		sleep.For(ctx, while)
		p.proxy.Stop()
		err = p.open("")
	}
	return err
}

// close ends the path for good.
func (p *path) close() { p.proxy.Stop() }
