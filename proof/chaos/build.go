//go:build unix

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
)

// serverPackage is nats-server itself, in the version of the module graph.
const serverPackage = "github.com/nats-io/nats-server/v2"

// binaries are the programs under test.
type binaries struct{ consumer, server string }

// build makes them in dir, as everybody builds them. One that is given is taken
// as it is.
func build(ctx context.Context, dir string, given binaries) (binaries, error) {
	for _, b := range []struct {
		path *string
		name string
		from string
	}{
		{&given.consumer, "consumer", "github.com/countermand/countermand/cmd/consumer"},
		{&given.server, "nats-server", serverPackage},
	} {
		if *b.path != "" {
			continue
		}
		*b.path = filepath.Join(dir, b.name)
		cmd := exec.CommandContext(ctx, "go", "build", "-o", *b.path, b.from) //nolint:gosec // constants
		if out, err := cmd.CombinedOutput(); err != nil {
			return given, fmt.Errorf("build %s: %w\n%s", b.name, err, out)
		}
	}
	return given, nil
}

// Ports are taken from below those that systems give to outgoing connections:
// a program that is away for a moment must get its own back.
const (
	firstPort = 20_000
	lastPort  = 32_000
)

// freePorts returns ports that were free a moment ago; programs that are told
// of each other must know them before any has started.
func freePorts(n int) ([]int, error) {
	var ports []int
	var held []net.Listener // together, so that they differ
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	for range lastPort - firstPort {
		if len(ports) == n {
			return ports, nil
		}
		port := firstPort + rand.IntN(lastPort-firstPort) //nolint:gosec // no secret
		l, err := net.Listen("tcp", local(port))
		if err != nil {
			continue // taken
		}
		held = append(held, l)
		ports = append(ports, port)
	}
	return nil, fmt.Errorf("find %d free ports: there are none from %d to %d", n, firstPort, lastPort)
}

// local is a port of this machine as an address.
func local(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
