//go:build unix

package program

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// Ports are taken from below those that systems give to outgoing connections: a
// program that is away for a moment must get its own back. (Temporal's database has
// no room for higher ones either.)
const (
	firstPort = 20_000
	lastPort  = 32_000
)

// Ports hands out free ports of this machine, each once: programs that are told of
// each other must know them before any has started. The zero value is ready. Safe for
// concurrent use.
type Ports struct {
	mu    sync.Mutex
	given map[int]bool
}

// Free returns n ports that nobody listened on a moment ago.
func (p *Ports) Free(n int) ([]int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.given == nil {
		p.given = map[int]bool{}
	}
	var free []int
	for range lastPort - firstPort {
		if len(free) == n {
			return free, nil
		}
		port := firstPort + rand.IntN(lastPort-firstPort) //nolint:gosec // no secret
		if p.given[port] {
			continue
		}
		l, err := net.Listen("tcp", Local(port))
		if err != nil {
			continue // taken
		}
		l.Close()
		p.given[port] = true
		free = append(free, port)
	}
	return nil, fmt.Errorf("find %d free ports: there are none from %d to %d", n, firstPort, lastPort)
}

// Local is a port of this machine as an address.
func Local(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
