//go:build !production

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/internal/simulators"
	"github.com/countermand/countermand/providers"
)

// simulateCommand is "consumer simulate".
type simulateCommand struct {
	Listen string `help:"Address to serve on; loopback only." default:"127.0.0.1:4280" placeholder:"ADDR"`
}

// Help is the long help text.
func (simulateCommand) Help() string {
	return `Each simulated provider is under the path of its kind.

The providers check credentials as the real providers do. They keep a ledger of moved money (GET <kind>/ledger), accept
payments (POST <kind>/payments) and misbehave on request (POST <kind>/faults). They forget everything when they end.

Example: consumer simulate --listen 127.0.0.1:4280`
}

// stopFor bounds the end of what is being served.
const stopFor = 2 * time.Second

// Run serves until told to stop.
func (c *simulateCommand) Run(w *cli.World) error {
	set, err := simulators.New()
	if err != nil {
		return err
	}
	defer set.Close()
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil || !providers.Loopback(host) {
		return cli.Usage(fmt.Errorf("listen on %q: give an address of loopback such as 127.0.0.1:4280", c.Listen))
	}
	l, err := (&net.ListenConfig{}).Listen(w.Context, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listen for simulators: %w", err)
	}
	fmt.Fprintln(w.Stdout, "Simulated providers; Ctrl-C ends them.")
	set.Describe(w.Stdout, l.Addr().String())
	server := &http.Server{Handler: set.Handler(), ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(w.Context, func() {
		set.Close()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(w.Context), stopFor)
		defer cancel()
		_ = server.Shutdown(ctx)
		_ = server.Close()
	})
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve simulators: %w", err)
	}
	return nil
}
