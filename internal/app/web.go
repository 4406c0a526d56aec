package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/countermand/countermand/console"
	"github.com/countermand/countermand/internal/inbound"
	"github.com/countermand/countermand/notifications"
)

const (
	// adminGrace is how long the admin address may take for its last answers.
	adminGrace = 2 * time.Second
	// notifiedGrace is how long the queries that notifications began may take to
	// finish: as long as the messages that the consumer has in hand.
	notifiedGrace = 20 * time.Second
	// The most connections that strangers may hold. Together they leave three
	// quarters of 512 descriptors to providers, NATS and files.
	adminConnections    = 64
	notifiedConnections = 64
	// A new connection keeps its place so long. 200 others that connect and stay delay a
	// probe by 200/64 of it; deploy/k8s gives a probe two seconds.
	freshFor = 100 * time.Millisecond
)

// The times of the admin address: of a request's header, of the whole request, of its
// answer (a ruling on the console may take a call to a provider), and between two. A
// stream of events has a time of its own for each write.
const (
	adminHeaderFor = 5 * time.Second
	adminReadFor   = 10 * time.Second
	adminWriteFor  = 2 * time.Minute
	adminIdleFor   = time.Minute
)

// adminPages is what the admin address serves.
type adminPages struct {
	log     *slog.Logger
	ready   readiness
	metrics *prometheus.Registry
	// pushedOut is told each connection that was closed to make room.
	pushedOut func()
	console   *console.Console
	feed      *console.Feed
}

// server answers /livez (the process runs), /readyz (commands are being carried
// out; the body says why not), /metrics (Prometheus) and /console/ (for people).
func (p adminPages) server() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if ok, reason := p.ready.report(); !ok {
			http.Error(w, reason, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.metrics, promhttp.HandlerOpts{Registry: p.metrics, EnableOpenMetrics: true}))
	mux.Handle("/console/", p.console)
	mux.Handle("GET /{$}", http.RedirectHandler("/console/", http.StatusFound))
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: adminHeaderFor, ReadTimeout: adminReadFor, WriteTimeout: adminWriteFor, IdleTimeout: adminIdleFor,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	inbound.Bound(server, adminConnections, freshFor, p.pushedOut)
	server.RegisterOnShutdown(p.feed.Close) // otherwise the shutdown waits for the pages that listen
	return server
}

// adminService serves the admin address; nothing where it is empty.
func adminService(address string, p adminPages) service {
	return when(address != "", service{"admin address", func(ctx context.Context) error {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("listen on admin address: %w", err)
		}
		var lost error
		stop := serve(p.server(), l, func(err error) { lost = fmt.Errorf("serve admin address: %w", err) })
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), adminGrace)
		defer cancel()
		stop(grace)
		return lost
	}})
}

// receiving takes notifications in. From the end of its context it takes
// no more of them, and finishes the queries that they began.
func receiving(address string, r *notifications.Receiver, pushedOut func(), log *slog.Logger) service {
	return service{"notifications", func(ctx context.Context) error {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("listen for notifications: %w", err)
		}
		server := notifications.NewServer(r)
		inbound.Bound(server, notifiedConnections, freshFor, pushedOut)
		stop := serve(server, l, func(err error) {
			log.Error("notifications are not taken in any more; results are found by asking", "error", err.Error())
		})
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), notifiedGrace)
		defer cancel()
		stop(grace)
		r.Drain(grace)
		return nil
	}}
}

// serve answers requests on l until it is stopped, which waits for those in hand
// as long as its context allows. It calls lost once if it ends before that.
func serve(server *http.Server, l net.Listener, lost func(error)) (stop func(grace context.Context)) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			lost(err)
		}
	}()
	return func(grace context.Context) {
		_ = server.Shutdown(grace) // Close cuts what does not end in time
		_ = server.Close()
		<-ended
	}
}
