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
const patience = 3 * time.Minute

// permissions is where the files are that deployments use.
const permissions = "../../deploy/k8s/components/nats/permissions"

// party is somebody who logs in: a role under a name.
type party struct {
	name string // of the user, and of the account where it has its own
	file string // of the role
}

func consumer() party     { return party{"consumer", "consumer.conf"} }
func provisioner() party  { return party{"provisioner", "provisioner.conf"} }
func operator() party     { return party{"operator", "operator.conf"} }
func recovery() party     { return party{"recovery", "recovery.conf"} }
func ordersEG() party     { return party{"orders-eg", "order-service.conf"} }
func ordersEGRead() party { return party{"orders-eg-read", "order-service-read.conf"} }
func ledger() party       { return party{"ledger", "ledger.conf"} }
func reader() party       { return party{"reader", "reader.conf"} }

// ordersUA is another order service, made from the same files as they say, and ordersPL
// a third one that has its results pushed.
func ordersUA() party     { return party{"orders-ua", "order-service-ua.conf"} }
func ordersUARead() party { return party{"orders-ua-read", "order-service-ua-read.conf"} }
func ordersPL() party     { return party{"orders-pl", "order-service-pl-push.conf"} }

func parties() []party {
	return []party{
		consumer(), provisioner(), recovery(), operator(), ordersEG(), ordersEGRead(), ordersUA(), ordersUARead(), ordersPL(), ledger(), reader(),
	}
}

// inPayments reports whether a party is in the account of the streams.
func (p party) inPayments() bool {
	return p == consumer() || p == provisioner() || p == recovery() || p == observer()
}

// observer may do everything in the account of the streams: it is how tests see what an
// attack has done. No deployment has one.
func observer() party { return party{"observer", "observer.conf"} }

// logged are all who log in to the tests' server.
func logged() []party { return append(parties(), observer()) }

// accountFile is the file of a party's account, where it has its own.
func (p party) accountFile() string {
	if p == operator() {
		return "people.conf"
	}
	return p.file
}

// plain reports whether a party uses JetStream without a domain.
func (p party) plain() bool { return p.inPayments() || p == reader() }

// inbox is how a party's inboxes begin: the client's default, or its own name.
func (p party) inbox() string {
	if p.plain() && p != provisioner() {
		return nats.InboxPrefix[:len(nats.InboxPrefix)-1]
	}
	return "_INBOX_" + p.name
}

// durable is the consumer that a party reads.
func (p party) durable() string {
	if p == consumer() {
		return "payment-consumer"
	}
	return strings.TrimSuffix(p.name, "-read")
}

func (p party) account() string {
	if p == operator() {
		return "PEOPLE"
	}
	return strings.ToUpper(strings.ReplaceAll(p.name, "-", "_"))
}

// world is a running server with the parties.
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

// start runs a server and provisions it as the provisioner.
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
// those of the order service once more for other shops.
func layout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "permissions"), os.DirFS(permissions)); err != nil {
		t.Fatal(err)
	}
	for p, from := range map[party]string{
		ordersUA(): ordersEG().file, ordersUARead(): ordersEGRead().file, ordersPL(): "order-service-push.conf",
	} {
		text := strings.NewReplacer("orders-eg", p.durable(), "opay-eg", provider(p)).Replace(read(t, filepath.Join(permissions, from)))
		write(t, filepath.Join(dir, "permissions", p.file), text)
	}
	write(t, filepath.Join(dir, "permissions", observer().file), "permissions { publish: \">\", subscribe: \">\" }\n")
	// The provisioner's lists one line for each reader, as it says.
	path := filepath.Join(dir, "permissions", provisioner().file)
	text := read(t, path)
	for _, line := range strings.Split(text, "\n") {
		if strings.Contains(line, ".PAYMENT_EVENTS.orders-eg") || strings.Contains(line, ".PAYMENT_REFUSALS.orders-eg") {
			text = strings.Replace(text, line, line+"\n"+strings.Replace(line, "orders-eg", "orders-ua", 1)+"\n"+strings.Replace(line, "orders-eg", "orders-pl", 1), 1)
		}
	}
	write(t, path, text)
	return dir
}

// provider is the one that is granted to an order service.
func provider(p party) string {
	switch p.durable() {
	case "orders-ua":
		return "tranzzo-ua"
	case "orders-pl":
		return "openpay-pl"
	default:
		return "opay-eg"
	}
}

// including is a configuration with accounts that include the files; user names
// a user of a party.
func including(user func(party) string) string {
	var text strings.Builder
	text.WriteString("accounts {\n  PAYMENTS {\n    jetstream: enabled\n    include \"permissions/exports.conf\"\n    users: [\n")
	for _, p := range logged() {
		if p.inPayments() {
			fmt.Fprintf(&text, "      {\n        %s\n        include \"permissions/%s\"\n      }\n", user(p), p.file)
		}
	}
	text.WriteString("    ]\n  }\n")
	for _, p := range parties() {
		if !p.inPayments() {
			own := ""
			if p.accountFile() != p.file {
				own = fmt.Sprintf("include \"permissions/%s\"\n", p.file)
			}
			fmt.Fprintf(&text, "  %s {\n    include \"permissions/%s\"\n    users: [ {\n%s\n%s} ]\n  }\n", p.account(), p.accountFile(), user(p), own)
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

// bare is a server with nothing on it.
func bare(t *testing.T, s *server.Server, as login) *world {
	t.Helper()
	w := &world{t: t, server: s, dir: t.TempDir(), nats: map[party]string{}}
	for _, p := range logged() {
		w.nats[p] = as.client(p, s.ClientURL())
	}
	return w
}

// provisioned creates streams and consumers as the provisioner, the readers' too.
func provisioned(t *testing.T, s *server.Server, as login) *world {
	t.Helper()
	w := bare(t, s, as)
	if _, err := broker.Provision(w.ctx(), w.stream(provisioner()), app.Topology(w.config(provisioner()))); err != nil {
		t.Fatalf("provision: %v", err)
	}
	return w
}

func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w.t.Cleanup(cancel)
	return ctx
}

// readers are the setting of that name: a durable consumer for each who reads.
const readers = `
readers:
  - {name: orders-eg, filters: ["payment.*.*.opay-eg.*.*", "payment.command.rejected.*"]}
  - {name: orders-ua, filters: ["payment.*.*.tranzzo-ua.*.*", "payment.command.rejected.*"]}
  - {name: orders-pl, push: true, filters: ["payment.*.*.openpay-pl.*.*", "payment.command.rejected.*"]}
  - {name: ledger, filters: ["payment.*.succeeded.>", "payment.*.returned.>", "payment.*.executed_late.>"], pulls: 2}
`

// config is a party's configuration, loaded as the program does.
func (w *world) config(p party) *config.Config { return w.configOf("nats: " + w.nats[p]) }

func (w *world) configOf(nats string) *config.Config {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "config.yaml")
	write(w.t, file, nats+readers+`
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
	more = append([]nats.Option{nats.CustomInboxPrefix(p.inbox()), nats.RetryOnFailedConnect(false), nats.ErrorHandler((&complaints{}).add)}, more...)
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
	if p.plain() {
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
