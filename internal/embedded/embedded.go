//go:build !production

// Package embedded runs a nats-server inside the process, on disk, for the
// demo and for trying the service out. It is left out of production builds: a
// payment journal belongs on a replicated server of its own.
package embedded

import (
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// readyFor bounds the start of the server, recovery of its store included.
const readyFor = 30 * time.Second

// Server is a running embedded server.
type Server struct{ server *server.Server }

// Start opens the store under dir and listens on host and port of loopback;
// port −1 takes a free one. Acknowledged data survives a killed process; the
// store is synced to disk on every write, so it survives the machine as well.
func Start(dir string, port int) (*Server, error) {
	s, err := server.NewServer(&server.Options{
		ServerName: "countermand-embedded", Host: "127.0.0.1", Port: port,
		JetStream: true, StoreDir: dir, SyncAlways: true, NoSigs: true, NoLog: true, DontListen: false,
	})
	if err != nil {
		return nil, fmt.Errorf("configure embedded server: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(readyFor) {
		s.Shutdown()
		return nil, fmt.Errorf("start embedded server in %s: not ready within %s (is the port taken, or another process using the directory?)", dir, readyFor)
	}
	return &Server{server: s}, nil
}

// URL is where clients connect.
func (s *Server) URL() string { return s.server.ClientURL() }

// Close shuts the server down and waits for it.
func (s *Server) Close() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}
