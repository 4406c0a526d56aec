//go:build !production

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/internal/simulators"
	"github.com/countermand/countermand/providers/bento/bentosim"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/openpay/openpaysim"
	"github.com/countermand/countermand/providers/tranzzo/tranzzosim"
)

// What is planted, and must be found nowhere. The cards are test numbers of the
// card schemes.
const (
	card        = "4111111111111111"
	spacedCard  = "5500 0000 0000 0004"
	hyphenCard  = "3400-000000-00009"
	person      = "Plantagenet"
	mail        = "zelda.planted@example.com"
	starredCard = "400000******0119"
	account     = "RO49 AAAA 1B31 0075 9384 0000"
	telephone   = "+40 721 555 013"
	orderOfCard = "4000056655665556" // an identifier: everything about the payment names it, but no label does
)

// secretsOf are the credentials of the configuration, by kind.
func secretsOf() map[string][]string {
	return map[string][]string{
		"opay": {opaysim.DefaultSecretKey}, "openpay": {openpaysim.DefaultAPIKey}, "bento": {bentosim.DefaultToken},
		"tranzzo": {tranzzosim.DefaultEndpointsKey, tranzzosim.DefaultAPIKey, tranzzosim.DefaultAPISecret},
	}
}

// chatterbox stands before the simulators and makes their answers tell all they
// heard: every text says credentials, cards and who the customer is, and there is
// personal data in members nobody asked for. One answer in three is none of the provider's own.
type chatterbox struct {
	simulators http.Handler

	mu      sync.Mutex
	answers map[string]int // by kind
	news    chan struct{}  // closed and replaced with each
}

// ServeHTTP answers in the manner of the kind.
func (c *chatterbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	c.mu.Lock()
	n := c.answers[kind]
	c.answers[kind]++
	close(c.news)
	c.news = make(chan struct{})
	c.mu.Unlock()
	w.Header().Set("X-Customer", person+" "+mail)
	w.Header().Set("Set-Cookie", "card="+card)
	if n%3 == 2 {
		c.babble(w, r, n/3, gossip(kind, n, r, body))
		return
	}
	heard := httptest.NewRecorder()
	c.simulators.ServeHTTP(heard, r)
	var answer any
	if json.Unmarshal(heard.Body.Bytes(), &answer) != nil {
		answer = heard.Body.String()
	}
	out, err := json.Marshal(spoil(answer, gossip(kind, n, r, body)))
	if err != nil {
		panic(err) // it was JSON
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(heard.Code)
	_, _ = w.Write(out) // the caller may be gone
}

// unseen turns the rest of a line around, breaks it and shows nothing: a right-to-left
// override, a line separator and a space of no width.
const unseen = "\u202e\u2028\u200b"

// gossip is a text that says everything, another thing first each time.
func gossip(kind string, n int, r *http.Request, body []byte) string {
	parts := append([]string{card, spacedCard, hyphenCard, person, mail, starredCard, account, telephone, r.Header.Get("Authorization"), r.Header.Get("X-API-KEY"), string(body)}, secretsOf()[kind]...)
	first := n % len(parts)
	return "your " + strings.Join(slices.Concat(parts[first:], parts[:first]), " and ")
}

// spoil puts the text into every member that is one for people, and adds members.
func spoil(v any, text string) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = spoil(v[i], text)
		}
	case map[string]any:
		for name := range v {
			low := strings.ToLower(name)
			if _, is := v[name].(string); is && (strings.Contains(low, "message") || strings.Contains(low, "description") || strings.Contains(low, "reason")) {
				v[name] = text
				continue
			}
			v[name] = spoil(v[name], text)
		}
		v["cardHolder"], v["customerEmail"], v["pan"] = person, mail, card
	}
	return v
}

// babble answers as no documentation says.
func (c *chatterbox) babble(w http.ResponseWriter, r *http.Request, n int, text string) {
	said, err := json.Marshal(map[string]any{
		"code": "99999", "status": "failure", "message": text, "description": text, "error": map[string]any{"message": text},
		"errors": []string{text}, "customer": map[string]any{"name": person, "email": mail}, "request": r.Header,
	})
	if err != nil {
		panic(err) // a literal of a test
	}
	switch statuses := []int{400, 401, 403, 404, 429, 500, 503, 200, 302}; statuses[n%len(statuses)] {
	case 200:
		fmt.Fprintf(w, "<html><body>%s %s</body></html>", text, person)
	case 302:
		http.Redirect(w, r, "https://elsewhere.example/?key="+opaysim.DefaultSecretKey+"&card="+card, http.StatusFound)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(statuses[n%len(statuses)])
		_, _ = w.Write(said)
	}
}

// await waits until every kind has answered so often.
func (c *chatterbox) await(t *testing.T, n int) {
	t.Helper()
	deadline := time.After(patience)
	for {
		c.mu.Lock()
		all, news := maps.Clone(c.answers), c.news
		c.mu.Unlock()
		if len(all) == len(secretsOf()) && !slices.ContainsFunc(slices.Collect(maps.Values(all)), func(is int) bool { return is < n }) {
			return
		}
		select {
		case <-news:
		case <-deadline:
			t.Fatalf("so often the providers were asked: %v; want %d each", all, n)
		}
	}
}

// collector takes traces in, as they are.
type collector struct {
	mu  sync.Mutex
	all bytes.Buffer
}

// ServeHTTP keeps the body.
func (c *collector) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			return
		}
		body = unpacked
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = io.Copy(&c.all, body) // what was cut off is not searched
}

func (c *collector) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all.String()
}

// gossiping is a service with all four kinds, and everything it emits.
type gossiping struct {
	*service

	providers *chatterbox
	traces    *collector
	emitted   map[string]string // by where it was found
	timers    *overheard
}

// overheard is every timer that is published: they are gone once handled.
type overheard struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *overheard) hear(m *nats.Msg) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fmt.Fprintf(&o.text, "%s %v\n%s\n", m.Subject, m.Header, m.Data)
}

func (o *overheard) all() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func newGossiping(t *testing.T) *gossiping {
	t.Helper()
	set, err := simulators.New()
	if err != nil {
		t.Fatal(err)
	}
	server := natstest.Start(t, nil)
	g := &gossiping{
		service:   &service{t: t, dir: t.TempDir(), admin: natstest.FreeAddress(t), js: server.JetStream(t)},
		providers: &chatterbox{simulators: set.Handler(), answers: map[string]int{}, news: make(chan struct{})},
		traces:    &collector{}, emitted: map[string]string{}, timers: &overheard{},
	}
	if _, err := g.js.Conn().Subscribe("payment.schedule.>", g.timers.hear); err != nil {
		t.Fatal(err)
	}
	if err := g.js.Conn().Flush(); err != nil {
		t.Fatal(err)
	}
	web, otlp := httptest.NewServer(g.providers), httptest.NewServer(g.traces)
	t.Cleanup(web.Close)
	t.Cleanup(otlp.Close)
	t.Cleanup(set.Close)
	for kind, all := range secretsOf() {
		for n, secret := range all {
			g.write(fmt.Sprintf("%s-%d", kind, n), secret+"\n")
		}
	}
	const times = "timeout: 2s, retry: {initial: 500ms, max: 1s}, poll: {initial: 500ms, max: 1s}, reviewAfter: 5s"
	g.write("config.yaml", fmt.Sprintf(`nats: {url: %q, replicas: 1}
admin: {listen: %q}
desk: {selfAsserted: true, operator: ana}
console: {allowLoopback: true}
tracing: {endpoint: %q}
providers:
  - {name: opay-eg, kind: opay, baseURL: "%[4]s/opay", merchantID: %q, secretKey: {file: opay-0}, callbackURL: "https://shop.example/opay", country: EG, %[6]s}
  - {name: openpay-eu, kind: openpay, baseURL: "%[4]s/openpay", account: shop-eu, apiKey: {file: openpay-0}, partialRefunds: true, %[6]s}
  - {name: tranzzo-ua, kind: tranzzo, baseURL: "%[4]s/tranzzo", posID: %q, endpointsKey: {file: tranzzo-0}, apiKey: {file: tranzzo-1}, apiSecret: {file: tranzzo-2}, currency: UAH, %[6]s}
  - {name: bento-uk, kind: bento, baseURL: "%[4]s/bento", account: shop-uk, token: {file: bento-0}, %[6]s}
`, server.URL(), g.admin, otlp.URL, web.URL, opaysim.DefaultMerchantID, times, tranzzosim.DefaultPosID))
	return g
}

// plant publishes commands with cards and personal data wherever something can be said.
func (g *gossiping) plant() {
	g.t.Helper()
	send := func(n int, op, data, more string, header nats.Header) {
		m := &nats.Msg{Subject: "payment." + op + ".requested", Header: header, Data: fmt.Appendf(nil,
			`{"specversion":"1.0","id":"e-%d","source":"/shop","type":"payment.%s.requested","data":{%s}%s}`, n, op, data, more)}
		if _, err := g.js.PublishMsg(g.t.Context(), m); err != nil {
			g.t.Fatal(err)
		}
	}
	reason := `,"reason":"card ` + card + ` or ` + spacedCard + `"`
	for n := range 6 {
		one := fmt.Sprintf(`"idempotencyKey":"k%d",`, n)
		send(n, "refund", one+fmt.Sprintf(`"provider":"opay-eg","payment":{"orderId":"100100%d"},"amount":{"value":400,"currency":"EGP"}`, n)+reason, "", nil)
		send(10+n, "refund", one+fmt.Sprintf(`"provider":"openpay-eu","payment":{"transactionId":"529-1438673740-%[1]d","orderId":"order-529-1438673740-%[1]d"},"full":true`, n)+reason, "", nil)
		send(20+n, "refund", one+fmt.Sprintf(`"provider":"tranzzo-ua","payment":{"orderId":"ua-100%d"},"full":true`, n)+reason, "", nil)
		send(30+n, "refund", one+fmt.Sprintf(`"provider":"bento-uk","payment":{"transactionId":"tx-100%[1]d","orderId":"order-tx-100%[1]d"},"full":true`, n)+reason, "", nil)
	}
	const good = `"idempotencyKey":"k","provider":"opay-eg","payment":{"orderId":"1"},"amount":{"value":400,"currency":"EGP"}`
	spoken := fmt.Sprintf(`,"subject":"%[1]s %[2]s","customer":"%[2]s","mail":%[3]q,"traceparent":"%[1]s"`, card, person, mail)
	send(40, "refund", `"idempotencyKey":"of-card","provider":"opay-eg","payment":{"orderId":"`+orderOfCard+`"},"amount":{"value":400,"currency":"EGP"}`,
		spoken, nats.Header{"X-Customer": {person}, "X-Card": {card}})
	for n, data := range []string{
		good + `,"card":"` + card + `"`, good + `,"customer":{"name":"` + person + `","mail":"` + mail + `"}`, good + `,"` + card + `":1`,
		strings.Replace(good, `"opay-eg"`, `"`+person+` `+card+`"`, 1), strings.Replace(good, `"1"`, `"`+person+` `+mail+`"`, 1),
		strings.Replace(good, `400`, `"`+card+`"`, 1), strings.Replace(good, `"EGP"`, `"`+card+`"`, 1), strings.Replace(good, `"k"`, `"`+person+` `+card+`"`, 1),
		good + `,"reason":"` + strings.Repeat(person+" ", 30) + `"`, good + `,"reason":["` + card + `"]`, `"holder": ` + card,
		good + `,"` + unseen + `":1`,
	} {
		send(50+n, "refund", data, spoken, nats.Header{"X-Customer": {person}, "Content-Type": {"application/json; name=" + person}})
	}
	for n, raw := range []string{person + " " + card, `{"id":"e-60","name":"` + card + ` ` + person + `"}`, `{"specversion":"` + card + `","id":"e-61","source":"` + person + `"}`} {
		if _, err := g.js.Publish(g.t.Context(), "payment.refund.requested", []byte(raw)); err != nil {
			g.t.Fatalf("raw message %d: %v", n, err)
		}
	}
}

// says runs a command of the program and keeps what it printed.
func (g *gossiping) says(args ...string) {
	g.t.Helper()
	_, p := runProgram(g.t, g.dir, args...)
	g.emitted["consumer "+strings.Join(args, " ")] = p.stdout.String() + p.stderr.String()
}

// keep reads a stream whole: subjects, headers and, if wanted, data.
func (g *gossiping) keep(stream string, data bool) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	s, err := g.js.Stream(ctx, stream)
	if err != nil {
		g.t.Fatal(err)
	}
	var all strings.Builder
	state := s.CachedInfo().State
	for sequence := state.FirstSeq; sequence <= state.LastSeq && state.Msgs > 0; sequence++ {
		m, err := s.GetMsg(ctx, sequence)
		if err != nil {
			continue // a timer that was replaced
		}
		fmt.Fprintf(&all, "%s %v\n", m.Subject, m.Header)
		if data {
			fmt.Fprintf(&all, "%s\n", m.Data)
		}
	}
	g.emitted["stream "+stream] = all.String()
}

func TestNothingThatIsEmittedHoldsACredentialACardOrPersonalData(t *testing.T) {
	t.Parallel()
	g := newGossiping(t)
	g.says("provision", "--config", "config.yaml")
	p := start(t, g.dir, "run", "--debug", "--config", "config.yaml")
	awaitStatus(t, "http://"+g.admin+"/readyz", 200)
	g.plant()
	g.providers.await(t, 6)
	awaitEvents(t, g.js, 15)
	g.write("bad.jsonl", fmt.Sprintf(`{"id":%[1]q,%[2]q:1}
{"specversion":"1.0","id":"1","source":"/a","type":"payment.refund.requested","data":{"idempotencyKey":"k","provider":"opay-eg","payment":{"orderId":"1"},"amount":{"value":%[2]q,"currency":%[1]q},"pan":%[2]q}}
`, person, card))
	for _, args := range [][]string{
		{"check", "--config", "config.yaml"},
		{"check", "--deep", "--json", "--config", "config.yaml"},
		{"rearm", "--dry-run", "--config", "config.yaml"},
		{"show", "opay-eg", "1001000", "--config", "config.yaml"},
		{"show", "tranzzo-ua", "ua-1000", "--config", "config.yaml"},
		{"show", "openpay-eu", "529-1438673740-0", "--json", "--config", "config.yaml"},
		{"show", "bento-uk", "tx-1000", "--config", "config.yaml"},
		{"rejected", "list", "--config", "config.yaml"},
		{"rejected", "list", "--json", "--config", "config.yaml"},
		{"publish", "bad.jsonl", "--config", "config.yaml"},
		{"pause", "opay-eg", "--reason", "card " + card, "--config", "config.yaml"},
		{"resume", "opay-eg", "--config", "config.yaml"},
	} {
		g.says(args...)
	}
	for _, path := range []string{"/metrics", "/readyz", "/livez", "/debug/pprof/", "/debug/vars"} {
		_, g.emitted["GET "+path] = get(t, "http://"+g.admin+path)
	}
	// For people, who may see which payment it is and nothing of the rest.
	for _, path := range []string{"/", "/console/queue", "/console/rejected", "/console/live", "/console/payments/opay-eg/1001000"} {
		_, g.emitted["console "+path] = get(t, "http://"+g.admin+path)
	}
	p.terminate()
	if code := p.exit(); code != cli.ExitOK {
		t.Errorf("exit code %d\n%s", code, p.stderr)
	}
	g.emitted["the log"] = p.stdout.String() + p.stderr.String()
	g.emitted["traces"] = g.traces.text()
	g.keep("PAYMENT_EVENTS", true)
	g.emitted["timers"] = g.timers.all()
	g.keep("KV_PAYMENT_CONTROL", true)
	g.keep("PAYMENT_REFUSALS", true)
	g.keep("PAYMENT_REJECTED", false) // its data are the original bytes
	g.search()
}

// awaitEvents waits for so many answers to messages that are no commands.
func awaitEvents(t *testing.T, js jetstream.JetStream, rejections int) {
	t.Helper()
	again, deadline := time.NewTicker(50*time.Millisecond), time.After(patience)
	defer again.Stop()
	for {
		s, err := js.Stream(t.Context(), "PAYMENT_REFUSALS")
		if err != nil {
			t.Fatal(err)
		}
		info, err := s.Info(t.Context(), jetstream.WithSubjectFilter("payment.command.rejected.*"))
		if err != nil {
			t.Fatal(err)
		}
		if len(info.State.Subjects) >= rejections {
			return
		}
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("%d of %d messages are answered", len(info.State.Subjects), rejections)
		}
	}
}

// searchUnseen looks for characters that nobody sees, wherever people read.
func (g *gossiping) searchUnseen() {
	g.t.Helper()
	shown := map[string]bool{}
	for where, text := range g.emitted {
		kind, _, _ := strings.Cut(where, " ")
		if kind == "stream" || where == "timers" || where == "traces" { // for machines, which get what was said
			continue
		}
		if at := strings.IndexAny(text, unseen); at >= 0 {
			g.t.Errorf("%s holds what nobody sees: …%q…", where, text[max(0, at-80):min(len(text), at+40)])
		}
		shown[kind] = shown[kind] || strings.Contains(text, `\u202e`)
	}
	for _, kind := range []string{"consumer", "console"} {
		if !shown[kind] {
			g.t.Errorf("%s shows nothing of a sender's name with such characters, so that nothing was searched", kind)
		}
	}
}

// search looks for everything planted in everything emitted.
func (g *gossiping) search() {
	g.t.Helper()
	planted := map[string]string{
		"a card": card, "a card with spaces": spacedCard, "a card with hyphens": hyphenCard, "a name": person, "an address": mail,
		"a card with stars": starredCard, "a bank account": account, "a telephone number": telephone,
	}
	for kind, all := range secretsOf() {
		for n, secret := range all {
			planted[fmt.Sprintf("credential %d of %s", n, kind)] = secret
		}
	}
	total := 0
	for where, text := range g.emitted {
		total += len(text)
		for what, value := range planted {
			if at := strings.Index(text, value); at >= 0 {
				g.t.Errorf("%s holds %s: …%s…", where, what, text[max(0, at-160):min(len(text), at+60)])
			}
		}
		if strings.HasPrefix(where, "GET ") && strings.Contains(text, orderOfCard) {
			g.t.Errorf("%s holds an identifier of a payment", where)
		}
	}
	g.searchUnseen()
	for _, where := range []string{"the log", "traces", "GET /metrics", "stream PAYMENT_EVENTS", "timers", "stream PAYMENT_REFUSALS", "stream PAYMENT_REJECTED", "consumer publish bad.jsonl --config config.yaml"} {
		if len(g.emitted[where]) < 100 {
			g.t.Errorf("%s says so little that nothing was searched: %q", where, g.emitted[where])
		}
	}
	g.t.Logf("%d values planted, %d places and %d bytes searched; %v answers of providers", len(planted)+1, len(g.emitted), total, g.providers.answers)
	if dump := os.Getenv("COUNTERMAND_TEST_KEEP"); dump != "" { // to look at what was searched
		for where, text := range g.emitted {
			name := strings.NewReplacer("/", "_", " ", "_").Replace(where)
			if err := os.WriteFile(filepath.Join(dump, name), []byte(text), 0o600); err != nil {
				g.t.Fatal(err)
			}
		}
	}
}
