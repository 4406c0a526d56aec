//go:build unix

package program

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// NATSServer is one nats-server with a store of its own.
type NATSServer struct {
	Program

	client, monitor int // ports
	store           string
}

// NATSServers writes the configurations of one nats-server, or of several that
// replicate to each other, in dir; none is started. With syncAlways what is
// acknowledged is on disk. The servers of a cluster do not tell clients of each other, or
// these would find a way around proxies.
func NATSServers(dir, binary string, n int, syncAlways bool, ports *Ports) ([]*NATSServer, error) {
	direct := func(_, _ int, port int) (string, error) { return Local(port), nil }
	return natsServers(dir, binary, n, syncAlways, wiring{ports, direct})
}

// Way returns the address by which one server of a cluster reaches another, whose
// port for routes is given. Servers are numbered from 0.
type Way func(from, to, port int) (address string, err error)

// NATSCluster writes the configurations of three servers that reach each other by
// the ways given only, such as proxies, and put on disk what they acknowledge.
func NATSCluster(dir, binary string, ports *Ports, way Way) ([]*NATSServer, error) {
	return natsServers(dir, binary, 3, true, wiring{ports, way})
}

// wiring is what ports servers have and how they reach each other.
type wiring struct {
	ports *Ports
	way   Way
}

func natsServers(dir, binary string, n int, syncAlways bool, w wiring) ([]*NATSServer, error) {
	given, err := w.ports.Free(3 * n)
	if err != nil {
		return nil, err
	}
	interval := "" // the server's default: every two minutes
	if syncAlways {
		interval = ", sync_interval: always"
	}
	var all []*NATSServer
	for i := range n {
		s := &NATSServer{client: given[3*i], monitor: given[3*i+1]}
		routes, err := routesOf(i, given, w.way)
		if err != nil {
			return nil, err
		}
		s.Name, s.Path, s.Dir = fmt.Sprintf("nats-%d", i+1), binary, dir
		own := filepath.Join(dir, s.Name)
		s.store = filepath.Join(own, "jetstream")
		if err := os.MkdirAll(own, 0o700); err != nil {
			return nil, fmt.Errorf("make directory of %s: %w", s.Name, err)
		}
		text := fmt.Sprintf("server_name: %s\nlisten: %q\nhttp: %q\njetstream { store_dir: %q%s }\n", s.Name, s.Client(), Local(s.monitor), own, interval)
		if n > 1 {
			text += fmt.Sprintf("cluster { name: several, listen: %q, no_advertise: true, routes: [%s] }\n", Local(given[3*i+2]), strings.Join(routes, ", "))
		}
		file := filepath.Join(own, "nats.conf")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("write configuration of %s: %w", s.Name, err)
		}
		s.Args = []string{"--config", file}
		all = append(all, s)
	}
	return all, nil
}

// routesOf are the addresses of the other servers; given are the ports of all, three
// each.
func routesOf(server int, given []int, way Way) (routes []string, err error) {
	for to := range len(given) / 3 {
		if to == server {
			continue
		}
		address, err := way(server, to, given[3*to+2])
		if err != nil {
			return nil, fmt.Errorf("find a way to server %d: %w", to, err)
		}
		routes = append(routes, "nats-route://"+address)
	}
	return routes, nil
}

// Client is the address for clients, without a scheme.
func (s *NATSServer) Client() string { return Local(s.client) }

// Store is the directory that holds everything JetStream has stored.
func (s *NATSServer) Store() string { return s.store }

// Monitor is the monitoring address, as a URL.
func (s *NATSServer) Monitor() string { return "http://" + Local(s.monitor) }

// Port is where clients connect.
func (s *NATSServer) Port() int { return s.client }

// Health is the URL that answers 200 once JetStream has recovered and, in a
// cluster, caught up.
func (s *NATSServer) Health() string { return s.Monitor() + "/healthz" }

// NATSURL is how clients reach all of the servers.
func NATSURL(all []*NATSServer) string {
	var urls []string
	for _, s := range all {
		urls = append(urls, "nats://"+s.Client())
	}
	return strings.Join(urls, ",")
}
