package natstest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Ports of tests lie below those that systems take for outgoing connections and
// below those that the demo and the chaos runs choose (from 20,000 on), so that nobody
// takes one between the moment it was found free and the moment it is used, or while a
// server is away.
const (
	firstPort = 12_000
	portCount = 8_000
)

// FreePorts returns the first of n consecutive free TCP ports of the loopback
// address. They are the test's own until it ends: no other test is given them,
// in another process neither.
func FreePorts(t testing.TB, n int) int {
	t.Helper()
	for range 1000 {
		first := firstPort + rand.IntN(portCount)
		if reserve(t, first, n) {
			return first
		}
	}
	t.Fatal("there are no free ports")
	return 0
}

// FreeAddress returns a free loopback address, the test's own until it ends.
func FreeAddress(t testing.TB) string {
	t.Helper()
	return loopback(FreePorts(t, 1))
}

// reserve takes the ports' numbers for UDP, which nobody here uses: that leaves
// them free for TCP and keeps other tests, in other processes too, away.
func reserve(t testing.TB, first, n int) bool {
	t.Helper()
	var claims []net.PacketConn
	release := func() {
		for _, c := range claims {
			_ = c.Close() // it was never used
		}
	}
	for port := first; port < first+n; port++ {
		claim, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", loopback(port))
		if err != nil {
			release()
			return false
		}
		claims = append(claims, claim)
		l, err := net.Listen("tcp", loopback(port))
		if err != nil {
			release()
			return false
		}
		_ = l.Close() // it was never used
	}
	t.Cleanup(release)
	return true
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
