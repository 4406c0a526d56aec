package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// adminGrace bounds the end of the admin address's last answers.
const adminGrace = 2 * time.Second

// serveAdmin answers /livez (the process runs), /readyz (commands are being
// carried out; the body says why not), /metrics (Prometheus) and /console/ (for people). An empty address serves nothing. The
// returned function stops it and waits.
func (a *App) serveAdmin() (stop func() error, err error) {
	if a.admin == "" {
		return func() error { return nil }, nil
	}
	l, err := net.Listen("tcp", a.admin)
	if err != nil {
		return nil, fmt.Errorf("listen on admin address: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if ok, reason := a.Ready(); !ok {
			http.Error(w, reason, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", a.seen.handler())
	mux.Handle("/console/", a.console)
	mux.Handle("GET /{$}", http.RedirectHandler("/console/", http.StatusFound))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	server.RegisterOnShutdown(a.feed.Close) // pages that listen would be waited for
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), adminGrace)
		defer cancel()
		_ = server.Shutdown(ctx) // what it cannot end in time, Close below cuts
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve admin address: %w", err)
		}
		return nil
	}, nil
}
