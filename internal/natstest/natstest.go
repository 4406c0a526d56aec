// Package natstest runs a real NATS server inside a test: JetStream on disk in
// the test's own temporary directory, on a port of its own, stopped when the
// test ends. What it starts is what production runs, only smaller; nothing of
// NATS is imitated here.
//
// It is for tests and benchmarks alone: everything fails the test it was given
// instead of returning an error.
package natstest

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ready is how long a server may take to accept connections. Generous, since
// many test packages share few cores; a healthy start takes milliseconds.
const ready = 30 * time.Second

// once is how long the server may take to answer before it is asked again.
const once = 250 * time.Millisecond

// Options are the choices a test has; nil and the zero value mean the defaults.
type Options struct {
	// SyncAlways flushes every message to disk before it is acknowledged, as
	// production does. The default leaves flushing to the operating system,
	// which is faster and loses nothing as long as the machine stays up.
	SyncAlways bool
}

// Server is one embedded server. Its address stays the same over Restart.
// Its methods belong to the test's goroutine.
type Server struct {
	opts    *server.Options
	running *server.Server

	mu    sync.Mutex
	conns []*nats.Conn // the test's own
}

// Start starts a server with JetStream and stops it when the test ends.
func Start(t testing.TB, o *Options) *Server {
	t.Helper()
	s := newServer(t, o)
	t.Cleanup(s.stop)
	s.start(t)
	return s
}

// StartConfigured writes a configuration into a file and starts a server as it
// says, which the test's end stops. Only its log is left out; unlike with Start the
// text names address and directory. Files it includes lie beside it.
func StartConfigured(t testing.TB, file, text string) *server.Server {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatalf("write the server's configuration: %v", err)
	}
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatalf("the server's configuration is not valid: %v\n%s", err, text)
	}
	o.NoLog, o.NoSigs = true, true
	s := &Server{opts: o}
	t.Cleanup(s.stop)
	s.start(t)
	return s.running
}

func newServer(t testing.TB, o *Options) *Server {
	t.Helper()
	if o == nil {
		o = &Options{}
	}
	return &Server{opts: &server.Options{
		ServerName: "natstest",
		Host:       "127.0.0.1",
		Port:       FreePorts(t, 1),
		JetStream:  true,
		StoreDir:   t.TempDir(),
		SyncAlways: o.SyncAlways,
		NoSigs:     true,
		NoLog:      true,
	}}
}

// start starts the server and waits until it answers on each of the test's own
// connections. One that has not noticed the restart would take a request, send it
// nowhere and wait for the answer as long as it may.
func (s *Server) start(t testing.TB) {
	t.Helper()
	s.begin(t)
	s.await(t)
	s.mu.Lock()
	conns := slices.Clone(s.conns)
	s.mu.Unlock()
	deadline := time.Now().Add(ready)
	for _, conn := range conns {
		for !conn.IsClosed() && conn.FlushTimeout(once) != nil {
			if time.Now().After(deadline) {
				t.Fatalf("a connection to the restarted nats server did not come back within %s", ready)
			}
		}
	}
}

// begin starts the server without waiting for it.
func (s *Server) begin(t testing.TB) {
	t.Helper()
	running, err := server.NewServer(s.opts.Clone())
	if err != nil {
		t.Fatalf("create nats server: %v", err)
	}
	s.running = running
	running.Start()
}

// await waits until the server accepts connections.
func (s *Server) await(t testing.TB) {
	t.Helper()
	if !s.running.ReadyForConnections(ready) {
		t.Fatalf("nats server did not accept connections within %s", ready)
	}
}

func (s *Server) stop() {
	if s.running == nil {
		return
	}
	s.running.Shutdown()
	s.running.WaitForShutdown()
	s.running = nil
}

// URL is the address clients connect to.
func (s *Server) URL() string {
	return "nats://" + loopback(s.opts.Port)
}

// Shutdown stops the server and waits until its files are closed. Restart
// brings it back with what it had stored.
func (s *Server) Shutdown(t testing.TB) {
	t.Helper()
	s.stop()
}

// Restart stops the server if it runs and starts it again on the same address
// and the same files. Like Copy and Restore it waits for the connections that
// Connect and JetStream made.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.stop()
	s.start(t)
}

// Copy stops the server, copies its files and starts it again. Restore puts such
// a copy in the place of its files, as a restored volume would be.
func (s *Server) Copy(t testing.TB) (copied string) {
	t.Helper()
	s.stop()
	copied = t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(s.opts.StoreDir)); err != nil {
		t.Fatalf("copy the server's files: %v", err)
	}
	s.start(t)
	return copied
}

// Restore stops the server, puts a copy in the place of its files and starts it.
func (s *Server) Restore(t testing.TB, copied string) {
	t.Helper()
	s.stop()
	err := os.RemoveAll(s.opts.StoreDir)
	if err == nil {
		err = os.CopyFS(s.opts.StoreDir, os.DirFS(copied))
	}
	if err != nil {
		t.Fatalf("restore the server's files: %v", err)
	}
	s.start(t)
}

// RestoreStream is Restore for one stream alone, as if it were restored from an
// older copy of its own.
func (s *Server) RestoreStream(t testing.TB, copied, stream string) {
	t.Helper()
	s.stop()
	found, err := filepath.Glob(filepath.Join(copied, "jetstream", "*", "streams", stream))
	if err != nil || len(found) != 1 {
		t.Fatalf("the copy holds %d streams %s: %v", len(found), stream, err)
	}
	inside, err := filepath.Rel(copied, found[0])
	if err == nil {
		err = os.RemoveAll(filepath.Join(s.opts.StoreDir, inside))
	}
	if err == nil {
		err = os.CopyFS(filepath.Join(s.opts.StoreDir, inside), os.DirFS(found[0]))
	}
	if err != nil {
		t.Fatalf("restore stream %s: %v", stream, err)
	}
	s.start(t)
}

// DeleteStream is the function DeleteStream at this server.
func (s *Server) DeleteStream(t testing.TB, js jetstream.JetStream, name string) {
	t.Helper()
	DeleteStream(t, s.running, js, name)
}

// DeleteStream deletes a stream and waits until its files are gone. The server removes
// them in the background from a folder beside the stream's (2.15.2). While that folder is
// there, a second deletion under the same name fails silently, and the next stream of that
// name begins with the messages of the one that was deleted. Making the stream anew may
// also fail meanwhile.
func DeleteStream(t testing.TB, running *server.Server, js jetstream.JetStream, name string) {
	t.Helper()
	if err := js.DeleteStream(t.Context(), name); err != nil {
		t.Fatalf("delete stream %s: %v", name, err)
	}
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for deadline := time.After(ready); ; {
		left, err := filepath.Glob(filepath.Join(running.JetStreamConfig().StoreDir, "*", "streams", "."+name))
		if err == nil && len(left) == 0 {
			return
		}
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("the files of stream %s are still there: %v, %v", name, left, err)
		}
	}
}

// Connect opens a connection as the program does: it reconnects for ever and
// buffers nothing while disconnected. It is closed when the test ends.
func (s *Server) Connect(t testing.TB) *nats.Conn {
	t.Helper()
	conn := connect(t, s.URL())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = append(s.conns, conn)
	return conn
}

// JetStream returns a JetStream client on a connection of its own.
func (s *Server) JetStream(t testing.TB) jetstream.JetStream {
	t.Helper()
	return jetStream(t, s.Connect(t))
}

func connect(t testing.TB, url string) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect(
		url,
		nats.ReconnectBufSize(-1),
		nats.MaxReconnects(-1),
		// Short, so that a test waits for a restarted server, not for the client.
		nats.ReconnectWait(10*time.Millisecond),
		nats.ReconnectJitter(0, 0),
		nats.Timeout(ready),
	)
	if err != nil {
		t.Fatalf("connect to %s: %v", url, err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func jetStream(t testing.TB, conn *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatalf("open jetstream: %v", err)
	}
	return js
}
