//go:build !production

package demo

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/providers/kinds"
)

// Operator is who decides at the console of a service with simulated providers.
const Operator = "demo"

// localPayment is the payment of the first command that is printed.
const localPayment = "1001000"

// Addresses are where a local service listens: ports of loopback, and the
// address of health. All are given, so that what is printed can be typed.
type Addresses struct {
	NATS       int
	Simulators int // the next port is taken too, by the provider that is down at first
	Admin      string
}

// Local is a service to try out by hand: an embedded server and simulated
// providers in a directory that stays.
type Local struct {
	world *world
	admin string
}

// OpenLocal starts server and simulators in dir. A directory keeps the ports
// it was made with, as they are part of the providers' accounts; others are an
// error.
func OpenLocal(dir string, at Addresses) (*Local, error) {
	w, err := openWorldAt(filepath.Clean(dir), ports{Nats: at.NATS, Main: at.Simulators, Outage: at.Simulators + 1})
	if err != nil {
		return nil, err
	}
	return &Local{world: w, admin: at.Admin}, nil
}

// Config is the service's configuration, with the documented default times.
func (l *Local) Config() *config.Config {
	cfg := l.world.config()
	cfg.Admin.Listen = l.admin
	cfg.Readers = []config.Reader{ // those of examples/
		{Name: "orders-eg", Filters: events.OrderServiceFilters("opay-eg")},
		{Name: "ledger", Filters: events.LedgerFilters()},
	}
	for i := range cfg.Providers {
		standard := config.DefaultProvider()
		p := &cfg.Providers[i]
		p.Timeout, p.Retry, p.Poll, p.ReviewAfter = standard.Timeout, standard.Retry, standard.Poll, standard.ReviewAfter
	}
	return cfg
}

// Connect connects to the embedded server and provisions it.
func (l *Local) Connect(ctx context.Context, log *slog.Logger) (*nats.Conn, error) {
	cfg := l.Config()
	js, err := provisioned(ctx, cfg.NATS, app.Topology(cfg), log)
	if err != nil {
		return nil, err
	}
	return js.Conn(), nil
}

// HowTo says how to publish a first command by hand, with nothing but a shell.
func (l *Local) HowTo() string {
	const body = `{"specversion":"1.0","id":"first-1","source":"/shop/orders","type":"payment.refund.requested","data":{"idempotencyKey":"order-1001-return-1","provider":"opay-eg","payment":{"orderId":"` + localPayment + `","country":"EG","capturedAmount":{"value":40000,"currency":"EGP"}},"amount":{"value":400,"currency":"EGP"},"reason":"item returned"}}`
	return fmt.Sprintf(`Countermand runs with an embedded server and simulated providers, for trying out.

  NATS         %[1]s
  simulators   http://127.0.0.1:%[2]d/%[7]s: GET …/ledger counts, POST …/faults breaks
  console      http://%[6]s/console/
  health       http://%[6]s/readyz
  data         %[3]s (delete it to start afresh)

Publish a first command from another terminal, with bash alone:

  body='%[4]s'
  exec 3<>/dev/tcp/127.0.0.1/%[5]d
  printf 'CONNECT {"verbose":false}\r\nPUB payment.refund.requested %%d\r\n%%s\r\nPING\r\n' "${#body}" "$body" >&3
  head -n 2 <&3

or with the nats command:

  nats pub payment.refund.requested "$body"
  nats stream view PAYMENT_EVENTS

Then see what the provider did:

  curl -s http://127.0.0.1:%[2]d/opay/ledger

Ctrl-C ends it.

`, l.world.server.URL(), l.world.Main, l.world.dir, body, l.world.Nats, l.admin, strings.ReplaceAll(kinds.Names(), ", ", ", /"))
}

// Close stops server and simulators.
func (l *Local) Close() { l.world.close() }
