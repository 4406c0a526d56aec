package roles_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/internal/natstest"
)

// patience bounds every wait; many packages' tests share few cores.
const patience = 60 * time.Second

// permissions is where the files are that deployments use.
const permissions = "../../deploy/k8s/components/nats/permissions"

// party is somebody who logs in: a role under a name.
type party struct {
	name string // of the user, and of the account where it has its own
	file string // of the role
}

func consumer() party { return party{"consumer", "consumer.conf"} }
func operator() party { return party{"operator", "operator.conf"} }
func ordersEG() party { return party{"orders-eg", "order-service.conf"} }
func ledger() party   { return party{"ledger", "ledger.conf"} }

// ordersUA is another order service, made from the same file as it says.
func ordersUA() party { return party{"orders-ua", "order-service-ua.conf"} }

func parties() []party {
	return []party{consumer(), operator(), ordersEG(), ordersUA(), ledger()}
}

// inPayments reports whether a party is in the account of the streams.
func (p party) inPayments() bool { return p.file == "consumer.conf" || p.file == "operator.conf" }

func (p party) account() string { return strings.ToUpper(strings.ReplaceAll(p.name, "-", "_")) }

// world is a running server with the five parties.
type world struct {
	t      *testing.T
	server *server.Server
	dir    string
	// nats is each party's part of a service's configuration file.
	nats map[party]string
}

// login is a way to log in: the configuration of a server that has the parties,
// and what a client's configuration says of it.
type login interface {
	configuration() string
	client(p party, url string) string
}

// start runs a server and provisions it as the operator.
func start(t *testing.T, dir string, as login) *world {
	t.Helper()
	file := filepath.Join(dir, "nats-"+rand.Text()+".conf") // servers of one folder start at the same time
	return provisioned(t, startServer(t, file, as.configuration()), as)
}

// logins are the three ways, by name.
func logins(t *testing.T, dir string) map[string]login {
	t.Helper()
	return map[string]login{
		"by key": byKey(t), "by certificate": byCertificate(t), "by credentials": byCredentials(t, dir),
	}
}

// layout copies the files as a deployment would lay them out: unchanged, and
// the order service's once more for another shop.
func layout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "permissions"), os.DirFS(permissions)); err != nil {
		t.Fatal(err)
	}
	text := read(t, filepath.Join(permissions, ordersEG().file))
	text = strings.NewReplacer("orders-eg", "orders-ua", "opay-eg", "tranzzo-ua").Replace(text)
	write(t, filepath.Join(dir, "permissions", ordersUA().file), text)
	return dir
}

// including is a configuration with accounts that include the files; user names
// a user of a party.
func including(user func(party) string) string {
	var text strings.Builder
	text.WriteString("accounts {\n  PAYMENTS {\n    jetstream: enabled\n    include \"permissions/exports.conf\"\n    users: [\n")
	for _, p := range parties() {
		if p.inPayments() {
			fmt.Fprintf(&text, "      {\n        %s\n        include \"permissions/%s\"\n      }\n", user(p), p.file)
		}
	}
	text.WriteString("    ]\n  }\n")
	for _, p := range parties() {
		if !p.inPayments() {
			fmt.Fprintf(&text, "  %s {\n    include \"permissions/%s\"\n    users: [ {%s} ]\n  }\n", p.account(), p.file, user(p))
		}
	}
	text.WriteString("}\n")
	return text.String()
}

// startServer runs a server. Its configuration file lies in the folder of the files
// that it includes.
func startServer(t *testing.T, file, text string) *server.Server {
	t.Helper()
	head := fmt.Sprintf("listen: \"127.0.0.1:-1\"\njetstream {store_dir: %q, sync_interval: always}\n", t.TempDir())
	return natstest.StartConfigured(t, file, head+text)
}

// provisioned creates streams and consumers as the operator, the ledger's too.
func provisioned(t *testing.T, s *server.Server, as login) *world {
	t.Helper()
	w := &world{t: t, server: s, dir: t.TempDir(), nats: map[party]string{}}
	for _, p := range parties() {
		w.nats[p] = as.client(p, s.ClientURL())
	}
	js := w.stream(operator())
	if _, err := broker.Provision(w.ctx(), js, app.Topology(w.config(operator()))); err != nil {
		t.Fatalf("provision as operator: %v", err)
	}
	for name, filters := range map[string][]string{
		"ledger":    {"payment.*.succeeded.>", "payment.*.returned.>", "payment.*.executed_late.>"},
		"orders-eg": {"payment.*.*.opay-eg.*.*", "payment.command.rejected.*"},
		"orders-ua": {"payment.*.*.tranzzo-ua.*.*", "payment.command.rejected.*"},
	} {
		if _, err := js.CreateConsumer(w.ctx(), "PAYMENT_EVENTS", jetstream.ConsumerConfig{
			Durable: name, AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: -1, FilterSubjects: filters,
		}); err != nil {
			t.Fatalf("create the consumer of %s as operator: %v", name, err)
		}
	}
	return w
}

func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w.t.Cleanup(cancel)
	return ctx
}

// config is a party's configuration, loaded as the program does.
func (w *world) config(p party) *config.Config { return w.configOf("nats: " + w.nats[p]) }

func (w *world) configOf(nats string) *config.Config {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "config.yaml")
	write(w.t, file, nats+`
providers:
  - {name: opay-eg, kind: opay, baseURL: "http://127.0.0.1:1", merchantID: "256612345678901", secretKey: {env: KEY}, callbackURL: "https://shop.example/opay", country: EG}
`)
	cfg, err := config.Load(file, func(string) string { return "OPAYPRV16312345678" })
	if err != nil {
		w.t.Fatal(err)
	}
	cfg.Admin.Listen = ""
	return cfg
}

// complaints are what the server objected to.
type complaints struct {
	mu  sync.Mutex
	all []string
}

func (c *complaints) add(_ *nats.Conn, _ *nats.Subscription, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, err.Error())
}

func (c *complaints) list() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string{}, c.all...)
}

// connect logs in as the program does.
func (w *world) connect(p party, more ...nats.Option) *nats.Conn {
	w.t.Helper()
	if !p.inPayments() {
		more = append(more, nats.CustomInboxPrefix("_INBOX_"+p.name))
	}
	more = append([]nats.Option{nats.RetryOnFailedConnect(false), nats.ErrorHandler((&complaints{}).add)}, more...)
	nc, err := app.Connect(w.config(p).NATS, p.name, slog.New(slog.DiscardHandler), more...)
	if err != nil {
		w.t.Fatalf("connect as %s: %v", p.name, err)
	}
	w.t.Cleanup(nc.Close)
	return nc
}

// stream is a party's JetStream client, in the domain it uses.
func (w *world) stream(p party, more ...nats.Option) jetstream.JetStream {
	w.t.Helper()
	nc := w.connect(p, more...)
	if p.inPayments() {
		js, err := jetstream.New(nc)
		if err != nil {
			w.t.Fatal(err)
		}
		return js
	}
	js, err := jetstream.NewWithDomain(nc, "payments")
	if err != nil {
		w.t.Fatal(err)
	}
	return js
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
