package app_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// patience is how long anything may take that is waited for.
const patience = 20 * time.Second

// The tests of this file compare all goroutines of the process. Therefore none of
// them runs beside another one.

func TestTheServiceStartsAndStopsAndLeavesNothingBehind(t *testing.T) { //nolint:paralleltest // see above
	w := setup(t)
	stop := w.run()
	w.poll("is not ready", func() bool { return w.get("/readyz") == http.StatusOK })
	if got := w.get("/metrics"); got != http.StatusOK {
		t.Errorf("/metrics: status %d", got)
	}
	w.poll("the desk does not answer", func() bool {
		_, err := remote.NewClient(w.nc, "olaf").Queue(t.Context(), desk.Filter{})
		return err == nil
	})
	if c, err := net.Dial("tcp", w.cfg.Notifications.Listen); err != nil {
		t.Errorf("notifications are not taken in: %v", err)
	} else {
		c.Close()
	}
	if err := stop(); err != nil {
		t.Errorf("run: %v", err)
	}
	w.stoppedInOrder(
		[]string{"consumer", "late queries", "notifications", "payments.status", "desk"},
		[]string{"pauses", "streams", "server watch", "survey", "follower"},
		[]string{"admin address"}, []string{"traces"},
	)
	w.nothingIsLeft()
}

func TestAServiceThatFailsStopsTheOthersInOrder(t *testing.T) { //nolint:paralleltest // see above
	for name, tc := range map[string]struct { //nolint:paralleltest // see above
		address func(*config.Config) string
		err     string
	}{
		"admin address":             {func(c *config.Config) string { return c.Admin.Listen }, "listen on admin address"},
		"address for notifications": {func(c *config.Config) string { return c.Notifications.Listen }, "listen for notifications"},
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t)
			l, err := net.Listen("tcp", tc.address(w.cfg))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			w.before = goroutines()
			if err := w.build().Run(t.Context()); err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("run: %v, want %q", err, tc.err)
			}
			w.stoppedInOrder([]string{"consumer", "desk"}, []string{"pauses", "survey"}, []string{"traces"})
			w.nothingIsLeft()
		})
	}
}

func TestAServiceThatIsStoppedBeforeItsServerCameEndsWithoutAnError(t *testing.T) { //nolint:paralleltest // see above
	w := setup(t)
	w.server.Shutdown(t)
	w.before = goroutines()
	stop := w.run()
	w.poll("is not alive", func() bool { return w.get("/livez") == http.StatusOK })
	if got := w.get("/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("/readyz: status %d without a server", got)
	}
	if err := stop(); err != nil {
		t.Errorf("run: %v", err)
	}
	w.nothingIsLeft()
}

// world is an embedded server with what the service needs, and its log.
type world struct {
	t      *testing.T
	server *natstest.Server
	cfg    *config.Config
	nc     *nats.Conn
	log    *stops
	client *http.Client
	before map[string]string // the goroutines before the service was built
}

func setup(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, server: natstest.Start(t, nil), cfg: config.Defaults(), log: &stops{}}
	w.cfg.NATS.URL, w.cfg.NATS.Replicas = w.server.URL(), 1
	w.cfg.Admin.Listen, w.cfg.Notifications.Listen = natstest.FreeAddress(t), natstest.FreeAddress(t)
	w.cfg.Desk.SelfAsserted = true
	w.cfg.Tracing.Endpoint = "http://" + natstest.FreeAddress(t)
	js := w.server.JetStream(t)
	if _, err := broker.Provision(t.Context(), js, app.Topology(w.cfg)); err != nil {
		t.Fatal(err)
	}
	js.Conn().Close()
	w.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	w.before = goroutines()
	return w
}

// build builds the service on a connection of its own.
func (w *world) build() *app.App {
	w.t.Helper()
	var err error
	if w.nc, err = app.Connect(w.cfg.NATS, "app", slog.New(slog.DiscardHandler), nats.RetryOnFailedConnect(true)); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.nc.Close)
	service, err := app.New(w.nc, w.cfg, []providers.Instance{
		{Name: "opay-eg", Kind: "opay", Account: "a", Provider: silent{}, Policy: payment.DefaultPolicy()},
	}, &app.Options{Logger: slog.New(w.log)})
	if err != nil {
		w.t.Fatal(err)
	}
	return service
}

// run runs the service until it is stopped.
func (w *world) run() (stop func() error) {
	w.t.Helper()
	service := w.build()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	w.t.Cleanup(func() { _ = stop() }) // the test has looked at the error
	return stop
}

// get is the status of a page at the admin address; 0 while nobody answers.
func (w *world) get(path string) int {
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+w.cfg.Admin.Listen+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	answer, err := w.client.Do(r)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

func (w *world) poll(otherwise string, so func() bool) {
	w.t.Helper()
	again, deadline := time.NewTicker(10*time.Millisecond), time.After(patience)
	defer again.Stop()
	for !so() {
		select {
		case <-again.C:
		case <-deadline:
			w.t.Fatalf("after %s: %s", patience, otherwise)
		}
	}
}

// stoppedInOrder checks that the services of each stage stopped before those of
// the next one.
func (w *world) stoppedInOrder(stages ...[]string) {
	w.t.Helper()
	names := w.log.names()
	at := 0
	for _, stage := range stages {
		last := at
		for _, name := range stage {
			i := slices.Index(names, name)
			if i < at {
				w.t.Errorf("%s stopped too early or never: %v", name, names)
			}
			last = max(last, i+1)
		}
		at = last
	}
}

// nothingIsLeft closes the connection and fails if a goroutine that began after
// the setup does not end.
func (w *world) nothingIsLeft() {
	w.t.Helper()
	w.nc.Close()
	var left []string
	again, deadline := time.NewTicker(10*time.Millisecond), time.After(patience)
	defer again.Stop()
	for {
		left = left[:0]
		for id, stack := range goroutines() {
			if _, known := w.before[id]; !known {
				left = append(left, stack)
			}
		}
		if len(left) == 0 {
			return
		}
		select {
		case <-again.C:
		case <-deadline:
			w.t.Fatalf("%d goroutines are left:\n\n%s", len(left), strings.Join(left, "\n\n"))
		}
	}
}

// goroutines are the stacks of the process, by id, without the embedded server's.
func goroutines() map[string]string {
	buffer := make([]byte, 8<<20)
	all := map[string]string{}
	id := regexp.MustCompile(`^goroutine (\d+) `)
	for stack := range strings.SplitSeq(string(buffer[:runtime.Stack(buffer, true)]), "\n\n") {
		if m := id.FindStringSubmatch(stack); m != nil && !strings.Contains(stack, "nats-server/v2/server.") {
			all[m[1]] = stack
		}
	}
	return all
}

// stops is a log handler that keeps the names of the services that have stopped.
type stops struct {
	mu  sync.Mutex
	all []string
}

func (*stops) Enabled(context.Context, slog.Level) bool { return true }

func (s *stops) Handle(_ context.Context, r slog.Record) error {
	if r.Message != "service has stopped" {
		return nil
	}
	r.Attrs(func(a slog.Attr) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all = append(s.all, a.Value.String())
		return true
	})
	return nil
}

func (s *stops) WithAttrs([]slog.Attr) slog.Handler { return s }
func (s *stops) WithGroup(string) slog.Handler      { return s }

func (s *stops) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// silent is a provider that nobody calls.
type silent struct{ providers.Provider }

func (silent) Traits() payment.Traits { return payment.Traits{Kind: "opay"} }
