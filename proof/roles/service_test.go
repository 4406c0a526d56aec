package roles_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/control"
	"github.com/countermand/countermand/desk/rejected"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/check"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/simulator"
)

// tap stands between the service and the server and notes every subject the
// service publishes or subscribes to. It reads the protocol, and no payload.
type tap struct {
	url string

	mu       sync.Mutex
	subjects map[string]bool
}

func newTap(t *testing.T, server string) *tap {
	t.Helper()
	tapped := &tap{subjects: map[string]bool{}}
	tapped.url = natstest.Relay(t, server, tapped.copy, func(to io.Writer, from io.Reader) { _, _ = io.Copy(to, from) })
	return tapped
}

// copy passes on what the client says and notes its subjects.
func (w *tap) copy(to io.Writer, from io.Reader) {
	in := bufio.NewReader(io.TeeReader(from, to))
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "PUB", "HPUB":
			size, err := strconv.Atoi(words[len(words)-1])
			if err != nil {
				return
			}
			w.note("publish " + words[1])
			_, err = io.CopyN(io.Discard, in, int64(size)+2)
			if err != nil {
				return
			}
		case "SUB":
			w.note("subscribe " + words[1])
		}
	}
}

func (w *tap) note(subject string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.subjects[subject] = true
}

func (w *tap) list() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for s := range w.subjects {
		all = append(all, s)
	}
	slices.Sort(all)
	return all
}

// lines are what a role's file lists, each as "publish SUBJECT" or "subscribe SUBJECT".
func lines(t *testing.T, file string) []string {
	t.Helper()
	c := &credentials{t: t}
	role := c.parse(layout(t), file)
	rules, ok := role["permissions"].(map[string]any)
	if !ok {
		rules, _ = role["default_permissions"].(map[string]any)
	}
	var all []string
	for _, name := range []string{"publish", "subscribe"} {
		rule, _ := rules[name].(map[string]any)
		allowed, _ := rule["allow"].([]any)
		for _, s := range allowed {
			all = append(all, name+" "+text(s))
		}
	}
	return all
}

// covers reports whether a permission's subject covers one that was used.
func covers(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i := range p {
		switch {
		case p[i] == ">":
			return len(s) > i
		case i >= len(s), p[i] != "*" && p[i] != s[i]:
			return false
		}
	}
	return len(p) == len(s)
}

func TestTheServiceUsesEachLineOfItsFileAndNothingElse(t *testing.T) {
	t.Parallel()
	w := start(t, layout(t), byKey(t))
	sim, paysAt := simulated(t)
	tapped := newTap(t, w.server.ClientURL())
	cfg := w.serviceConfig(tapped.url, paysAt)
	objections := w.serve(cfg)
	w.allPaths(sim)
	if err := check.Run(w.ctx(), cfg, nil, func(f check.Finding) {
		if f.Severity == check.Error {
			t.Errorf("consumer check: %s", f)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if found := objections.list(); len(found) > 0 {
		t.Errorf("the server objected: %v", found)
	}
	tapped.compare(t, consumer())
}

// triedInVain reports whether a subject is one that check tries, to see it refused.
func triedInVain(used string) bool {
	return strings.HasPrefix(used, "publish $JS.API.STREAM.UPDATE.") || strings.HasSuffix(used, ".countermand-check") &&
		(strings.HasPrefix(used, "publish countermand.") || strings.HasPrefix(used, "publish $JS.API.STREAM.CREATE."))
}

// compare holds every line of a party's file against what was used, in both directions.
func (w *tap) compare(t *testing.T, p party) {
	t.Helper()
	// Answers are permitted by allow_responses, wherever they go.
	allowed, used := lines(t, p.file), slices.DeleteFunc(w.list(), func(s string) bool {
		return strings.HasPrefix(s, "publish _INBOX.") || strings.HasPrefix(s, "publish _R_.") || p == consumer() && triedInVain(s)
	})
	for _, line := range allowed {
		if !slices.ContainsFunc(used, func(s string) bool { return covers(line, s) }) {
			t.Errorf("%s lists what nothing uses: %s", p.file, line)
		}
	}
	for _, s := range used {
		if !slices.ContainsFunc(allowed, func(line string) bool { return covers(line, s) }) {
			t.Errorf("%s lacks what is used: %s", p.file, s)
		}
	}
	t.Logf("%d lines, %d subjects used", len(allowed), len(used))
}

// serviceConfig is the consumer's, at the tap and a simulated provider.
func (w *world) serviceConfig(nats, provider string) *config.Config {
	w.t.Helper()
	cfg, err := config.Load(w.configFile(consumer(), nats, provider), func(string) string { return opaysim.DefaultSecretKey })
	if err != nil {
		w.t.Fatal(err)
	}
	cfg.Admin.Listen = "127.0.0.1:0"
	return cfg
}

// configFile is a party's configuration, at a server and a simulated provider.
func (w *world) configFile(p party, nats, provider string) string {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "config.yaml")
	write(w.t, path, fmt.Sprintf(`nats: %s%s
providers:
  - {name: opay-eg, kind: opay, baseURL: %q, merchantID: %q, secretKey: {env: KEY}, callbackURL: "https://shop.example/opay", country: EG,
     timeout: 1s, retry: {initial: 1s, max: 2s}, poll: {initial: 1s, max: 2s}, reviewAfter: 3s}
`, strings.Replace(w.nats[p], w.server.ClientURL(), nats, 1), readers, provider, opaysim.DefaultMerchantID))
	return path
}

// simulated is a provider that carries out each refund at once, and its address.
func simulated(t *testing.T) (sim *opaysim.Simulator, url string) {
	t.Helper()
	sim = opaysim.New(opaysim.Options{FirstStatus: "SUCCESS"})
	t.Cleanup(sim.Close)
	web := httptest.NewServer(sim)
	t.Cleanup(web.Close)
	return sim, web.URL
}

// serve runs the service until the test ends, verifying the topology before as
// the program does. It returns what the server objects to.
func (w *world) serve(cfg *config.Config) *complaints {
	w.t.Helper()
	js := w.stream(consumer())
	if findings, err := broker.Verify(w.ctx(), js, app.Topology(cfg)); err != nil || len(findings) > 0 {
		w.t.Fatalf("verify as the consumer: %v, %v", findings, err)
	}
	return w.serveAny(cfg)
}

// serveAny is serve, whatever the topology is.
func (w *world) serveAny(cfg *config.Config) *complaints {
	w.t.Helper()
	log := slog.New(slog.DiscardHandler)
	instances, err := app.Instances(cfg, log)
	if err != nil {
		w.t.Fatal(err)
	}
	objections := &complaints{}
	nc, err := app.Connect(cfg.NATS, "roles", log, nats.ErrorHandler(objections.add))
	if err != nil {
		w.t.Fatal(err)
	}
	service, err := app.New(nc, cfg, instances, &app.Options{Logger: log})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("run the service: %v", err)
		}
		nc.Close()
	})
	return objections
}

// allPaths plays what makes the service use all it may: results of both
// operations, a lost answer, an answer of a person's, a message that is no command.
func (w *world) allPaths(sim *opaysim.Simulator) {
	w.t.Helper()
	js := w.stream(ordersEG())
	publish := func(op, order, more string) {
		body := fmt.Sprintf(`{"specversion":"1.0","id":"e-%[2]s","source":"/shop","type":"payment.%[1]s.requested","data":{"idempotencyKey":"k","provider":"opay-eg","payment":{"orderId":"%[2]s"}%[3]s}}`, op, order, more)
		if _, err := js.Publish(w.ctx(), "payment."+op+".requested.opay-eg", []byte(body)); err != nil {
			w.t.Fatal(err)
		}
	}
	const amount = `,"amount":{"value":400,"currency":"EGP"}`
	for order, status := range map[string]string{"paid": "SUCCESS", "lost": "SUCCESS", "unpaid": "INITIAL"} {
		if err := sim.AddPayment(opaysim.Payment{Reference: order, Country: "EG", Amount: 40000, Currency: "EGP", Status: status}); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := sim.Fault(simulator.Fault{Operation: "refund", Payment: "lost", Mode: simulator.CutAfter, Times: 1}); err != nil {
		w.t.Fatal(err)
	}
	publish("refund", "paid", amount)
	publish("refund", "lost", amount)
	publish("cancel", "unpaid", "")
	publish("refund", "paid", `,"ammount":{"value":400,"currency":"EGP"}`)
	for _, filter := range []string{
		"payment.refund.succeeded.opay-eg.paid.*", "payment.refund.succeeded.opay-eg.lost.*",
		"payment.cancel.succeeded.opay-eg.unpaid.*", "payment.command.rejected.*",
	} {
		w.await(filter)
	}
	w.atTheDesk()
	w.asks()
	w.replays()
}

// replays has the operator put a refund and a cancel in place of the message
// that was no command: the service publishes them, the operator never does.
func (w *world) replays() {
	w.t.Helper()
	stream, err := w.stream(observer()).Stream(w.ctx(), "PAYMENT_REFUSALS")
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := stream.GetLastMsgForSubject(w.ctx(), "payment.command.rejected.*")
	if err != nil {
		w.t.Fatal(err)
	}
	client := remote.NewClient(w.connect(operator()), operator().name)
	w.quarantine(client, strings.TrimPrefix(m.Subject, "payment.command.rejected."))
	for op, data := range map[string]string{
		"refund": `"payment":{"orderId":"paid"},"amount":{"value":400,"currency":"EGP"}`, "cancel": `"payment":{"orderId":"unpaid"}`,
	} {
		body := fmt.Sprintf(`{"specversion":"1.0","id":"e","source":"/shop","type":"payment.%s.requested","data":{"idempotencyKey":"again","provider":"opay-eg",%s}}`, op, data)
		done, err := client.Replay(w.ctx(), desk.Replay{
			Token: strings.TrimPrefix(m.Subject, "payment.command.rejected."), Reason: "a test",
			Subject: "payment." + op + ".requested", Data: []byte(body), Corrected: true,
		})
		if err != nil || !done.Applied {
			w.t.Errorf("the operator replays a %s: %+v, %v", op, done, err)
		}
	}
}

// quarantine has the operator see the message that was no command, and have its bytes
// deleted: the service does it, the operator never does.
func (w *world) quarantine(client *remote.Client, token string) {
	w.t.Helper()
	page, err := client.Rejections(w.ctx(), rejected.Filter{})
	if err != nil || len(page.Items) != 1 || page.Items[0].Token != token {
		w.t.Errorf("the operator lists: %+v, %v", page, err)
	}
	original, err := client.Original(w.ctx(), token, "a test")
	if err != nil || !strings.Contains(string(original.Data), "ammount") {
		w.t.Errorf("the operator is shown the bytes: %+v, %v", original, err)
	}
	w.await("payment.operator.reveal.*")
	if done, err := client.Delete(w.ctx(), rejected.Delete{Token: token, Reason: "a test"}); err != nil || !done.Applied {
		w.t.Errorf("the operator has them deleted: %+v, %v", done, err)
	}
	w.await("payment.operator.delete.*")
}

// atTheDesk has the operator ask, pause and resume; under another name
// nothing is answered.
func (w *world) atTheDesk() {
	w.t.Helper()
	nc := w.connect(operator())
	if _, err := remote.NewClient(nc, operator().name).Queue(w.ctx(), desk.Filter{}); err != nil {
		w.t.Errorf("the operator asks the desk: %v", err)
	}
	w.pauses(nc)
	if _, err := remote.NewClient(nc, "alice").Queue(w.ctx(), desk.Filter{}); err == nil || !strings.Contains(err.Error(), "does not let this user act") {
		w.t.Errorf("the operator asks as somebody else: %v", err)
	}
}

// pauses has the operator pause a provider and end it, and have timers restored: the
// service does it.
func (w *world) pauses(nc *nats.Conn) {
	w.t.Helper()
	client := remote.NewClient(nc, operator().name)
	for _, paused := range []bool{true, false} {
		all, err := client.Standings(w.ctx())
		if err != nil || len(all) != 1 {
			w.t.Fatalf("the operator asks who is paused: %+v, %v", all, err)
		}
		said, err := client.Say(w.ctx(), control.Say{
			RequestID: desk.NewULID(), Provider: all[0].Provider, Paused: paused, Reason: "a test", Revision: all[0].Revision,
		})
		if err != nil || said.Standing.Paused != paused || said.Audit == "" {
			w.t.Errorf("the operator pauses %t: %+v, %v", paused, said, err)
		}
	}
	w.await("payment.operator.pause.*")
	w.await("payment.operator.resume.*")
	if out, err := client.Rearm(w.ctx(), control.Rearm{RequestID: desk.NewULID(), Reason: "a test"}); err != nil || out.Events == 0 || out.Next != 0 {
		w.t.Errorf("the operator has timers restored: %+v, %v", out, err)
	}
	w.await("payment.operator.rearm.*")
}

// asks has an order service, in an account of its own, ask where its payment
// stands, and an operator too. What goes to another provider's subject is not heard.
func (w *world) asks() {
	w.t.Helper()
	for p, subject := range map[party]string{ordersEG(): "payments.status.opay-eg", operator(): "payments.status"} {
		for body, want := range map[string]string{
			`{"provider":"opay-eg","payment":"paid"}`:                                              `"status":"succeeded"`,
			`{"provider":"opay-eg","payment":"none"}`:                                              `"code":"not_found"`,
			`{"provider":"opay-eg","payment":"lost","commandId":"e-lost","commandSource":"/shop"}`: `"moved":{"value":400,"currency":"EGP"}`,
			`{"commandId":"e-unpaid","commandSource":"/shop"}`:                                     `"operation":"cancel"`,
		} {
			m, err := w.connect(p).RequestWithContext(w.ctx(), subject, []byte(body))
			if err != nil || !strings.Contains(string(m.Data), want) {
				w.t.Errorf("%s asks %s on %s: %v, %v", p.name, body, subject, m, err)
			}
		}
		w.forge(p, subject, `{"provider":"opay-eg","payment":"paid"}`)
	}
	stream, err := w.stream(observer()).Stream(w.ctx(), "PAYMENT_EVENTS")
	if err != nil {
		w.t.Fatal(err)
	}
	if m, err := stream.GetLastMsgForSubject(w.ctx(), "payment.refund.succeeded.opay-eg.1.9"); !errors.Is(err, jetstream.ErrMsgNotFound) {
		w.t.Errorf("an answer lies in the journal: %v, %v", m, err)
	}
}

// await waits until there is an event on subjects of a filter.
func (w *world) await(filter string) {
	w.t.Helper()
	stream := "PAYMENT_EVENTS"
	if events.CoversRejections(filter) {
		stream = "PAYMENT_REFUSALS"
	}
	c, err := w.stream(observer()).OrderedConsumer(w.ctx(), stream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{filter}})
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := c.Next(jetstream.FetchContext(w.ctx()))
	if err != nil {
		w.t.Fatalf("no event on %s: %v", filter, err)
	}
	if !json.Valid(m.Data()) {
		w.t.Errorf("event on %s: %s", filter, m.Data())
	}
}

func TestCheckNamesEachLineThatIsMissing(t *testing.T) {
	t.Parallel()
	for _, line := range lines(t, consumer().file) {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			_, subject, _ := strings.Cut(line, " ")
			dir := layout(t)
			path := filepath.Join(dir, "permissions", consumer().file)
			all := read(t, path)
			less := strings.Replace(all, strconv.Quote(subject), `"nothing"`, 1) // an empty list would allow everything
			if less == all {
				t.Fatalf("%s does not list %s", path, subject)
			}
			write(t, path, less)
			w := start(t, dir, byKey(t))
			var found []check.Finding
			if err := check.Run(w.ctx(), w.config(consumer()), &check.Options{Patience: 2 * time.Second}, func(f check.Finding) {
				if f.Check == check.Permission || f.Severity == check.NotVerifiable {
					found = append(found, f)
				}
			}); err != nil {
				t.Fatal(err)
			}
			named := slices.ContainsFunc(found, func(f check.Finding) bool {
				told := strings.Fields(f.What + " " + f.Is)
				return slices.ContainsFunc(told, func(word string) bool { return covers(subject, strings.TrimRight(word, ".,:")) })
			})
			if !named {
				t.Errorf("without %s, check says %v", line, found)
			}
		})
	}
}
