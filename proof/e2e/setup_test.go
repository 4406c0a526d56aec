package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/openpay/openpaysim"
	"github.com/countermand/countermand/providers/simulator"
)

// patience is how long a test waits for anything; many packages' tests share
// few cores.
const patience = 3 * time.Minute

// ackWait is how soon the server gives a message to another instance.
const ackWait = 4 * time.Second

// world is a provisioned server, the simulated providers and the configuration
// of a service between them.
type world struct {
	t       *testing.T
	server  *natstest.Server
	js      jetstream.JetStream
	opay    *opaysim.Simulator
	openpay *openpaysim.Simulator
	cfg     *config.Config
	// lookEvery is how often the services look at the server for metrics.
	lookEvery time.Duration
}

// setup is a world whose waits are short: timers come back after whole seconds.
func setup(t *testing.T) *world {
	t.Helper()
	return setupWith(t, opaysim.New(opaysim.Options{FirstStatus: "SUCCESS"}))
}

func setupWith(t *testing.T, opay *opaysim.Simulator) *world {
	t.Helper()
	server := natstest.Start(t, nil)
	w := &world{
		t: t, server: server, js: server.JetStream(t), opay: opay, lookEvery: time.Second,
		openpay: openpaysim.New(openpaysim.Options{PartialRefunds: true}),
	}
	opayWeb, openpayWeb := httptest.NewServer(w.opay), httptest.NewServer(w.openpay)
	t.Cleanup(opayWeb.Close)
	t.Cleanup(openpayWeb.Close)
	t.Cleanup(w.opay.Close) // before the web servers, which wait for calls that hang
	t.Cleanup(w.openpay.Close)
	w.load(fmt.Sprintf("nats: {url: %q, replicas: 1}\nconcurrency: 64\nproviders:\n", server.URL()) +
		instance(opaysim.Definition(), opayWeb.URL) + instance(openpaysim.Definition(), openpayWeb.URL))
	topology := app.Topology(w.cfg)
	topology.AckWait = ackWait
	if _, err := broker.Provision(t.Context(), w.js, topology); err != nil {
		t.Fatal(err)
	}
	return w
}

// instance configures a kind's simulated account, with short times.
func instance(k simulator.Kind, baseURL string) string {
	account := k.YAML(func(simulator.Setting) string { return "{env: " + strings.ToUpper(k.Name) + "}" })
	return fmt.Sprintf("  - {name: %s, kind: %s, baseURL: %q, %s, timeout: 2s, retry: {initial: 1s, max: 4s}, poll: {initial: 1s, max: 4s}, reviewAfter: 3s}\n",
		k.Instance, k.Name, baseURL, account)
}

// load reads the configuration as the program does.
func (w *world) load(yaml string) {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		w.t.Fatal(err)
	}
	var err error
	w.cfg, err = config.Load(file, func(name string) string {
		return map[string]string{"OPAY": opaysim.DefaultSecretKey, "OPENPAY": openpaysim.DefaultAPIKey}[name]
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.cfg.Admin.Listen = "" // several services run beside each other
}

// serve runs one instance of the service until the returned function is
// called, or the test ends. wrap may be nil.
func (w *world) serve(wrap func(broker.Handler) broker.Handler) (stop func()) {
	w.t.Helper()
	return w.run(w.cfg, &app.Options{Logger: slog.New(slog.DiscardHandler), Wrap: wrap})
}

// run runs one instance under a configuration and options of its own.
func (w *world) run(cfg *config.Config, o *app.Options) (stop func()) {
	w.t.Helper()
	nc, err := app.Connect(cfg.NATS, "e2e", o.Logger)
	if err != nil {
		w.t.Fatal(err)
	}
	instances, err := app.Instances(cfg, o.Logger)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range instances {
		instances[i].Policy.CallMargin = time.Second // no setting
	}
	o.AckWait, o.LookEvery = ackWait, w.lookEvery
	service, err := app.New(nc, cfg, instances, o)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("run service: %v", err)
		}
		nc.Close()
	})
	w.t.Cleanup(stop)
	return stop
}

// soon is a handler whose timers go off within a second. What has to wait, for a
// newer version or for a provider that is away, waits for half a minute otherwise.
type soon struct{ broker.Handler }

func (s soon) Handle(ctx context.Context, d handlers.Delivery) handlers.Disposition {
	disposition := s.Handler.Handle(ctx, d)
	if at := time.Now().Add(time.Second); disposition.Kind == handlers.Later && disposition.Timer.At.After(at) {
		disposition.Timer.At = at
	}
	return disposition
}

func comeBackSoon(h broker.Handler) broker.Handler { return soon{h} }

// event is a result event as these tests read it.
type event struct {
	Subject        string `json:"-"`
	ID             string `json:"id"`
	Type           string `json:"type"`
	CausationID    string `json:"causationid"`
	IdempotencyKey string `json:"idempotencykey"` // terminal results only
	TraceParent    string `json:"traceparent"`
	Data           data   `json:"data"`
}

// data is of results and of payment.command.rejected.
type data struct {
	Operation      string `json:"operation"`
	IdempotencyKey string `json:"idempotencyKey"`
	Provider       string `json:"provider"`
	Payment        struct {
		OrderID       string `json:"orderId"`
		TransactionID string `json:"transactionId"`
	} `json:"payment"`
	Moved           *money  `json:"moved"`
	Status          string  `json:"status"`
	Effect          string  `json:"effect"`
	Code            string  `json:"code"`
	ClientReference string  `json:"clientReference"`
	Attempt         int     `json:"attempt"`
	ResolvedBy      *ruler  `json:"resolvedBy"`
	Faults          []fault `json:"faults"`
	Size            int     `json:"size"`
	SHA256          string  `json:"sha256"`
	OriginSequence  uint64  `json:"originSequence"`
}

type ruler struct {
	Operator string `json:"operator"`
}

type money struct {
	Value    int64  `json:"value"`
	Currency string `json:"currency"`
}

type fault struct {
	Pointer string `json:"pointer"`
	Rule    string `json:"rule"`
}

func (e event) rejection() bool { return e.Type == "payment.command.rejected" }

// terminal reports whether the event ends its operation.
func (e event) terminal() bool {
	return !e.rejection() && (strings.HasSuffix(e.Type, ".succeeded") || strings.HasSuffix(e.Type, ".failed") || strings.HasSuffix(e.Type, ".rejected"))
}

// settled reports whether no machine will add anything soon.
func (e event) settled() bool { return e.terminal() || e.Data.Status == "reviewRequired" }

// native is the identifier that names the payment.
func (d data) native() string {
	if d.Provider == "openpay-eu" {
		return d.Payment.TransactionID
	}
	return d.Payment.OrderID
}

// operation names the event's operation.
func (d data) operation() string {
	return strings.Join([]string{d.Provider, d.native(), d.Operation, d.IdempotencyKey}, " ")
}

// ledger reads every result event, as a ledger would.
type ledger struct {
	t      *testing.T
	mu     sync.Mutex
	events []event
	news   chan struct{} // closed and replaced with each event
}

func (w *world) follow() *ledger {
	w.t.Helper()
	l := &ledger{t: w.t, news: make(chan struct{})}
	for _, stream := range []string{"PAYMENT_EVENTS", "PAYMENT_REFUSALS"} {
		c, err := w.js.OrderedConsumer(w.t.Context(), stream, jetstream.OrderedConsumerConfig{})
		if err != nil {
			w.t.Fatal(err)
		}
		consuming, err := c.Consume(l.take)
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(consuming.Stop)
	}
	return l
}

func (l *ledger) take(m jetstream.Msg) {
	if strings.HasPrefix(m.Subject(), "payment.operator.") {
		return // no result: what operators do
	}
	var e event
	if err := json.Unmarshal(m.Data(), &e); err != nil {
		l.t.Errorf("event on %s: %v", m.Subject(), err)
	}
	e.Subject = m.Subject()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
	close(l.news)
	l.news = make(chan struct{})
}

// all returns the events so far, and what is closed at the next one.
func (l *ledger) all() ([]event, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]event{}, l.events...), l.news
}

// await returns the events once they are enough; missing says what is not
// there. When it takes too long that is a failure, and what there is shows more.
func (l *ledger) await(missing func([]event) string) []event {
	l.t.Helper()
	deadline := time.After(patience)
	for {
		events, news := l.all()
		lack := missing(events)
		if lack == "" {
			return events
		}
		select {
		case <-news:
		case <-deadline:
			l.t.Errorf("after %s there is still missing: %s", patience, lack)
			return events
		}
	}
}

// quiet waits until no command is left in the stream or in hand.
func (w *world) quiet() {
	w.t.Helper()
	w.poll("commands are left in hand", func() bool {
		c, err := w.js.Consumer(w.t.Context(), w.cfg.Streams.Commands, w.cfg.Consumer)
		if err != nil {
			w.t.Fatal(err)
		}
		info := c.CachedInfo()
		return info.NumPending == 0 && info.NumAckPending == 0
	})
}

// poll asks until it is so, where the server raises no signal. When it takes
// too long that is a failure.
func (w *world) poll(otherwise string, so func() bool) {
	w.t.Helper()
	again, deadline := time.NewTicker(20*time.Millisecond), time.After(patience)
	defer again.Stop()
	for !so() {
		select {
		case <-again.C:
		case <-deadline:
			w.t.Errorf("after %s: %s", patience, otherwise)
			return
		}
	}
}

// command is a structured event.
func command(id, op string, data any) *nats.Msg {
	subject := "payment." + op + ".requested"
	body, err := json.Marshal(map[string]any{"specversion": "1.0", "id": id, "source": "/shop/orders", "type": subject, "data": data})
	if err != nil {
		panic(err) // a literal of a test
	}
	return &nats.Msg{Subject: subject, Header: nats.Header{"Content-Type": {"application/cloudevents+json"}}, Data: body}
}

// publish publishes one message and returns its sequence.
func (w *world) publish(m *nats.Msg) uint64 {
	w.t.Helper()
	ack, err := w.js.PublishMsg(w.t.Context(), m)
	if err != nil {
		w.t.Fatal(err)
	}
	return ack.Sequence
}

// kept is a message in quarantine.
type kept struct {
	Subject  string              `json:"subject"`
	Sequence uint64              `json:"sequence"`
	Headers  map[string][]string `json:"headers"`
	Data     []byte              `json:"data"`
}

// quarantined returns the message kept under a rejection's token.
func (w *world) quarantined(rejected event) kept {
	w.t.Helper()
	token := rejected.Subject[strings.LastIndexByte(rejected.Subject, '.')+1:]
	s, err := w.js.Stream(w.t.Context(), w.cfg.Streams.Rejected)
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := s.GetLastMsgForSubject(w.t.Context(), "payment.quarantine."+token)
	if err != nil {
		w.t.Fatalf("quarantine of %s: %v", token, err)
	}
	var k kept
	if err := json.Unmarshal(m.Data, &k); err != nil {
		w.t.Fatal(err)
	}
	return k
}
