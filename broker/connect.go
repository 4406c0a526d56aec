package broker

import (
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
)

// ConnectOptions are the options every connection of the service needs: it
// reconnects for ever, also when the server is away at the start or refuses the
// credentials for a while, and it never buffers a publish while disconnected. A
// buffered append would be sent when nobody waits for its answer any more.
// Credentials and TLS are the caller's to add. The log names no secret.
func ConnectOptions(name string, log *slog.Logger) []nats.Option {
	return []nats.Option{
		nats.Name(name),
		nats.ReconnectBufSize(-1),
		nats.MaxReconnects(-1),
		nats.RetryOnFailedConnect(true),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(time.Second),
		nats.PingInterval(20 * time.Second),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			log.Warn("nats disconnected", "error", err)
		}),
		nats.ConnectHandler(func(nc *nats.Conn) {
			log.Info("nats connected", "server", nc.ConnectedServerName())
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("nats reconnected", "server", nc.ConnectedServerName())
		}),
		nats.LameDuckModeHandler(func(nc *nats.Conn) {
			log.Info("nats server is going away", "server", nc.ConnectedServerName())
		}),
		nats.ClosedHandler(func(*nats.Conn) {
			log.Info("nats connection closed")
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Error("nats error", "error", err)
		}),
	}
}
