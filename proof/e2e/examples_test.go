package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/opay"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/simulator"
)

// examplePatience bounds every wait of these tests: they share few cores with others.
const examplePatience = 2 * time.Minute

// granted is the service on a server with the permissions of docs/contract.md:
// each party connects as itself and may do what the page says, no more.
type granted struct {
	url      string
	sim      *opaysim.Simulator
	consumer nats.Option
	// provisioner has no more than its file says; admin is no party of the page: it takes
	// away what a test wants to have made anew.
	provisioner nats.Option
	admin       nats.Option
}

// serveGranted starts server, simulator and service, in the results' mode given.
func serveGranted(t *testing.T, mode string) *granted {
	t.Helper()
	w := grantedServer(t)
	w.provision(t, everything)
	w.sim = opaysim.New(opaysim.Options{FirstStatus: "SUCCESS"})
	t.Cleanup(w.sim.Close)
	for n := range 8 {
		p := opaysim.Payment{Reference: fmt.Sprintf("100.%d", n), Country: "EG", Amount: 40000, Currency: "EGP"}
		if err := w.sim.AddPayment(p); err != nil {
			t.Fatal(err)
		}
	}
	web := httptest.NewServer(w.sim)
	t.Cleanup(web.Close)
	w.run(t, exampleSettings(w.url, web.URL, mode))
	return w
}

// grantedServer starts a server with the configuration block of docs/contract.md,
// with keys, passwords, port and directory of its own.
func grantedServer(t *testing.T) *granted {
	t.Helper()
	w := &granted{admin: nats.UserInfo("admin", "admin")}
	keys := map[string]string{"CONSUMER_NKEY": "", "PROVISIONER_NKEY": "", "OPERATOR_NKEY": "", "READER_NKEY": ""}
	for name, auth := range map[string]*nats.Option{"CONSUMER_NKEY": &w.consumer, "PROVISIONER_NKEY": &w.provisioner, "READER_NKEY": new(nats.Option), "OPERATOR_NKEY": new(nats.Option)} {
		pair, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		if keys[name], err = pair.PublicKey(); err != nil {
			t.Fatal(err)
		}
		*auth = nats.Nkey(keys[name], pair.Sign)
	}
	var lines []string
	for line := range strings.Lines(fencedBlock(t, "../../docs/contract.md", "conf")) {
		switch name, _, _ := strings.Cut(line, ":"); {
		case name == "listen":
			line = "listen: \"127.0.0.1:-1\"\n"
		case name == "jetstream":
			line = fmt.Sprintf("jetstream: {store_dir: %q, sync_interval: always}\n", t.TempDir())
		case keys[name] != "":
			line = name + ": " + keys[name] + "\n"
		}
		lines = append(lines, strings.NewReplacer(
			"$ORDERS_EG_PASSWORD", "orders", "$ORDERS_EG_READ_PASSWORD", "orders", "$LEDGER_PASSWORD", "ledger",
		).Replace(line))
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "permissions"), os.DirFS("../../deploy/k8s/components/nats/permissions")); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(strings.Join(lines, ""), "users: [\n", "users: [\n{user: admin, password: admin}\n", 1)
	running := natstest.StartConfigured(t, filepath.Join(dir, "nats-server.conf"), text)
	w.url = "nats://" + running.Addr().String()
	return w
}

// fencedBlock returns the first fenced block of a page with that info string.
func fencedBlock(t *testing.T, page, info string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.FromSlash(page))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(raw), "\n```"+info+"\n")
	text, _, closed := strings.Cut(rest, "\n```\n")
	if !found || !closed {
		t.Fatalf("%s has no block of %s", page, info)
	}
	return text + "\n"
}

// provision creates n streams and consumers as the provisioner.
func (w *granted) provision(t *testing.T, n int) {
	t.Helper()
	js := w.connect(t, w.provisioner, nats.CustomInboxPrefix(broker.ProvisionInbox))
	topology := app.Topology(exampleSettings(w.url, "http://127.0.0.1:1", "structured"))
	changes, err := broker.Provision(t.Context(), js, topology)
	if err != nil || len(changes) != n {
		t.Fatalf("provision: %d changes, %v", len(changes), err)
	}
}

// everything is how many streams and consumers there are: the service's and two readers'.
const everything = 12

// connect returns a connection as somebody in the account of the streams.
func (w *granted) connect(t *testing.T, as ...nats.Option) jetstream.JetStream {
	t.Helper()
	quiet := nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})
	nc, err := nats.Connect(w.url, append(as, quiet)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// asUser returns the options of a user with a password.
func asUser(user, password string) []nats.Option {
	return []nats.Option{nats.UserInfo(user, password), nats.CustomInboxPrefix("_INBOX_" + user)}
}

// at returns the server's address with a user in it, for the examples.
func (w *granted) at(user, password string) string {
	return strings.Replace(w.url, "//", "//"+user+":"+password+"@", 1)
}

// exampleSettings are the service's, with short waits.
func exampleSettings(url, provider, mode string) *config.Config {
	cfg := config.Defaults()
	cfg.NATS.URL, cfg.NATS.Replicas, cfg.Admin.Listen, cfg.Results.Mode = url, 1, "", mode
	cfg.Readers = []config.Reader{
		{Name: "orders-eg", Filters: []string{"payment.*.*.opay-eg.*.*", "payment.command.rejected.*"}},
		{Name: "ledger", Filters: []string{"payment.*.succeeded.>", "payment.*.returned.>", "payment.*.executed_late.>"}},
	}
	one := config.DefaultProvider()
	one.Name, one.Kind, one.Country = "opay-eg", "opay", "EG"
	one.Retry.Initial, one.Poll.Initial = time.Second, time.Second
	one.Settings = &opay.Settings{
		BaseURL: provider, MerchantID: opaysim.DefaultMerchantID,
		SecretKey: providers.NewSecret(opaysim.DefaultSecretKey), CallbackURL: "https://shop.example/opay",
	}
	cfg.Providers = []config.Provider{one}
	return cfg
}

// run runs the service as the consumer until the test ends, and fails the test
// if the server refused it anything.
func (w *granted) run(t *testing.T, cfg *config.Config) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	instances, err := app.Instances(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var refused []error
	nc, err := app.Connect(cfg.NATS, "e2e", log, w.consumer, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		mu.Lock()
		defer mu.Unlock()
		refused = append(refused, err)
	}))
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if findings, err := broker.Verify(t.Context(), js, app.Topology(cfg)); err != nil || len(findings) > 0 {
		t.Fatalf("verify as consumer: %v, %v", findings, err)
	}
	service, err := app.New(nc, cfg, instances, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run the service: %v", err)
		}
		nc.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, err := range refused {
			if errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("the consumer lacks a permission: %v", err)
			}
		}
	})
}

// example is an example that runs: in Go or in Node.
type example struct {
	name string
	args []string
	dir  string
}

// goExample builds an example.
func goExample(t *testing.T, name string) example {
	t.Helper()
	binary := filepath.Join(t.TempDir(), name)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../examples/"+name)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return example{name: binary}
}

// command returns the example with further arguments, to be killed at the test's end.
func (p example) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, p.name, append(slices.Clone(p.args), args...)...)
	c.Dir = p.dir
	return c
}

// run runs the example to its end and returns what it printed and its exit code.
func (p example) run(t *testing.T, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), examplePatience)
	defer cancel()
	c := p.command(ctx, args...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run %s: %v", p.name, err)
	}
	return string(out) + stderr.String(), c.ProcessState.ExitCode()
}

// exampleLedger is a running ledger.
type exampleLedger struct {
	stop  func()
	lines chan string
}

// start starts a ledger and waits until it is ready. The test's end stops it.
func (p example) start(t *testing.T, args ...string) *exampleLedger {
	t.Helper()
	c := p.command(context.Background(), args...)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	l := &exampleLedger{lines: make(chan string, 64)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(l.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			l.lines <- s.Text()
		}
	}()
	l.stop = sync.OnceFunc(func() {
		_ = c.Process.Signal(os.Interrupt)
		<-read
		if err := c.Wait(); err != nil || stderr.Len() > 0 {
			t.Errorf("ledger ended with %v, and said %q", err, stderr.String())
		}
	})
	t.Cleanup(l.stop)
	l.want(t, "ready")
	return l
}

// want waits for the ledger's next line, which must begin so.
func (l *exampleLedger) want(t *testing.T, prefix string) {
	t.Helper()
	select {
	case line, ok := <-l.lines:
		if !ok || !strings.HasPrefix(line, prefix) {
			t.Fatalf("the ledger said %q (running: %t), want %q", line, ok, prefix)
		}
	case <-time.After(examplePatience):
		t.Fatalf("the ledger has not said %q within %s", prefix, examplePatience)
	}
}

// tellExamples plays the whole story with an order service and a ledger: a refund, its
// repeat, a lost answer, a refusal, an invalid command, and a ledger that was away.
func tellExamples(t *testing.T, w *granted, orders, books example) {
	t.Helper()
	book := filepath.Join(t.TempDir(), "ledger.jsonl")
	bookkeeping := []string{"-nats", w.at("ledger", "ledger"), "-domain", "payments", "-book", book}
	keep := books.start(t, bookkeeping...)
	refund := func(order, key, amount string) (string, int) {
		return orders.run(t, "-nats", w.at("orders-eg", "orders"), "-results", w.at("orders-eg-read", "orders"), "-domain", "payments", "-order", order, "-key", key, "-amount", amount, "-currency", "EGP")
	}
	expect := func(out string, code, want int, says string) {
		t.Helper()
		if code != want || !strings.Contains(out, says) {
			t.Fatalf("exit code %d, want %d with %q:\n%s", code, want, says, out)
		}
	}
	out, code := refund("100.0", "return-1", "400")
	expect(out, code, 0, "succeeded: moved 400 EGP")
	keep.want(t, "booked opay-eg/100=2E0/refund/return-1 out 400 EGP")

	out, code = refund("100.0", "return-1", "400") // a repeat: the same operation
	expect(out, code, 0, "succeeded: moved 400 EGP")

	out, code = refund("100.0", "return-1", "500") // the key with other content
	expect(out, code, 1, "rejected: idempotency_key_reused")

	out, code = refund("100.0", "return-2", "0") // no valid command
	expect(out, code, 1, "rejected: invalid_command")

	// Nothing was booked twice, and what happens while the ledger is away waits.
	keep.stop()
	if line, more := <-keep.lines; more {
		t.Fatalf("the ledger also said %q", line)
	}
	if err := w.sim.Fault(simulator.Fault{Operation: "refund", Mode: simulator.CutAfter, Times: 1}); err != nil {
		t.Fatal(err)
	}
	out, code = refund("100.1", "return-1", "700") // the answer is lost, and found out
	expect(out, code, 0, "succeeded: moved 700 EGP")
	keep = books.start(t, bookkeeping...)
	keep.want(t, "booked opay-eg/100=2E1/refund/return-1 out 700 EGP")
	keep.stop()

	// A ledger that starts anew over the same book reads everything again and books nothing.
	js := w.connect(t, w.admin)
	if err := js.DeleteConsumer(t.Context(), "PAYMENT_EVENTS", "ledger"); err != nil {
		t.Fatal(err)
	}
	w.provision(t, 1)
	keep = books.start(t, bookkeeping...)
	keep.want(t, "known opay-eg/100=2E0/refund/return-1")
	keep.want(t, "known opay-eg/100=2E1/refund/return-1")

	for order, want := range map[string]int{"100.0": 1, "100.1": 1} {
		if got := w.sim.Ledger().Count(string(payment.Refund), order); got != want {
			t.Errorf("payment %s was refunded %d times at the provider", order, got)
		}
	}
}

func TestTheExamplesInGoWorkWithThePermissionsOfTheContract(t *testing.T) {
	t.Parallel()
	orders, books := goExample(t, "orderservice"), goExample(t, "ledger")
	for _, mode := range []string{"structured", "binary"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			tellExamples(t, serveGranted(t, mode), orders, books)
		})
	}
}

func TestTheExamplesInNodeWorkWithThePermissionsOfTheContract(t *testing.T) {
	t.Parallel()
	dir := nodeModules(t)
	node := func(file string) example { return example{name: "node", args: []string{file}, dir: dir} }
	for _, mode := range []string{"structured", "binary"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			tellExamples(t, serveGranted(t, mode), node("orderservice.mjs"), node("ledger.mjs"))
		})
	}
}

// nodeModules installs what the examples in Node need, in a copy of their
// folder. Without Node, or without a package registry in reach, the test is
// skipped: everything else here needs Go alone.
func nodeModules(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the examples in Node were not run: %s is not installed", tool)
		}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../examples/node")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = dir
	install.WaitDelay = time.Second
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("the examples in Node were not run: npm ci: %v\n%s", err, out)
	}
	return dir
}
