package broker_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/internal/natstest"
)

func TestAConnectionOutlivesItsServerAndBuffersNothing(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, nil)
	url := server.URL()
	server.Shutdown(t)

	log := &syncBuffer{}
	options := append(broker.ConnectOptions("a-name", slog.New(slog.NewTextHandler(log, nil))),
		nats.UserInfo("user", "hunter2"), nats.ReconnectWait(10*time.Millisecond))
	conn, err := nats.Connect(url, options...)
	if err != nil {
		t.Fatalf("connect while the server is away: %v", err)
	}
	t.Cleanup(conn.Close)
	if err := conn.Publish("subject", nil); err == nil {
		t.Error("a publish was buffered while disconnected")
	}
	server.Restart(t)
	eventually(t, "the first connection", conn.IsConnected)
	server.Shutdown(t)
	eventually(t, "the disconnect", func() bool { return !conn.IsConnected() })
	if err := conn.Publish("subject", nil); err == nil {
		t.Error("a publish was buffered while disconnected")
	}
	server.Restart(t)
	eventually(t, "the reconnect", conn.IsConnected)
	eventually(t, "the log", func() bool {
		got := log.String()
		return strings.Contains(got, "nats connected") && strings.Contains(got, "nats disconnected") && strings.Contains(got, "nats reconnected")
	})
	if conn.Opts.Name != "a-name" || strings.Contains(log.String(), "hunter2") {
		t.Errorf("name %q, log %s", conn.Opts.Name, log)
	}
}
