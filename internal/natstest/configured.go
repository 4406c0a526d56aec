package natstest

import (
	"os"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

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
