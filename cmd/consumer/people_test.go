package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/openpay/openpaysim"
	"github.com/countermand/countermand/providers/simulator"
)

// peopled is a running service whose people log in to an account of their own, open
// the console with tokens, and are named by a proxy.
type peopled struct {
	*reviewing

	server *server.Server
	url    string
	keys   map[string]nkeys.KeyPair
}

const annaToken = "anna-0123456789abcdef"

// setupPeople starts the service on a server with logins, with more settings, a limit in
// cents above which it takes two, and so many refunds whose answers are lost.
func setupPeople(t *testing.T, settings string, limit, refunds int) *peopled {
	t.Helper()
	p := &peopled{keys: map[string]nkeys.KeyPair{}}
	public := map[string]string{}
	for _, name := range []string{"consumer", "loose", "anna", "ben", "carl"} {
		pair, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		p.keys[name] = pair
		if public[name], err = pair.PublicKey(); err != nil {
			t.Fatal(err)
		}
	}
	p.reviewing = &reviewing{
		service: &service{t: t, dir: t.TempDir(), admin: natstest.FreeAddress(t)},
		openpay: openpaysim.New(openpaysim.Options{PartialRefunds: true}),
	}
	// Carl's login has no permissions, and "loose" is one in the service's own account.
	p.server = natstest.StartConfigured(t, filepath.Join(p.dir, "nats.conf"), fmt.Sprintf(`
listen: "127.0.0.1:-1"
jetstream: {store_dir: %q}
accounts: {
  PAYMENTS: {jetstream: enabled, users: [{nkey: %s}, {nkey: %s}], exports: [{service: "payments.desk.*.*"}, {service: "payments.control.*.*"}]}
  PEOPLE: {
    users: [
      {nkey: %s, permissions: {publish: ["payments.desk.*.anna", "payments.control.*.anna"], subscribe: ["_INBOX_anna.>", "_INBOX.>"]}}
      {nkey: %s, permissions: {publish: ["payments.desk.*.ben", "payments.control.*.ben"], subscribe: ["_INBOX_ben.>", "_INBOX.>"]}}
      {nkey: %s}
    ]
    imports: [{service: {account: PAYMENTS, subject: "payments.desk.*.*"}, share: true}, {service: {account: PAYMENTS, subject: "payments.control.*.*"}, share: true}]
  }
}`, filepath.Join(p.dir, "js"), public["consumer"], public["loose"], public["anna"], public["ben"], public["carl"]))
	p.url = p.server.ClientURL()
	web := httptest.NewServer(p.openpay)
	t.Cleanup(web.Close)
	t.Cleanup(p.openpay.Close)
	p.write("secret", openpaysim.DefaultAPIKey+"\n")
	p.write("token-anna", annaToken)
	for name := range p.keys {
		p.configure(name, web.URL, settings, limit, public)
	}
	js, err := jetstream.New(p.connect("consumer"))
	if err != nil {
		t.Fatal(err)
	}
	p.js = js
	if code, run := runProgram(t, p.dir, "provision", "--config", "consumer.yaml"); code != cli.ExitOK {
		t.Fatalf("provision: %s", run.stderr)
	}
	if refunds > 0 {
		if err := p.openpay.Fault(simulator.Fault{Operation: "refund", Mode: simulator.CutAfter, Times: refunds}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range refunds {
		p.refund(fmt.Sprintf("529-1-%d", n))
	}
	start(t, p.dir, "run", "--config", "consumer.yaml")
	awaitStatus(t, "http://"+p.admin+"/readyz", 200)
	return p
}

// configure writes the configuration with which somebody logs in.
func (p *peopled) configure(name, provider, settings string, limit int, public map[string]string) {
	p.t.Helper()
	seed, err := p.keys[name].Seed()
	if err != nil {
		p.t.Fatal(err)
	}
	p.write("key-"+name, string(seed))
	for who, key := range public {
		settings = strings.ReplaceAll(settings, "KEY-"+who, key)
	}
	p.write(name+".yaml", fmt.Sprintf(`nats: {url: %q, replicas: 1, nkey: {file: key-%s}}
admin: {listen: %q}
desk: {operator: %s, secondPersonAbove: [{value: %d, currency: EUR}]}
console:
  operators: [{name: anna, token: {file: token-anna}}]
  trustedProxyHeader: X-User
  trustedProxies: [127.0.0.1]
  proxyOperators: [ben@shop.example, anna@shop.example]
%s
providers:
  - {name: openpay-eu, kind: openpay, baseURL: %q, account: shop-eu, apiKey: {file: secret}, partialRefunds: true, poll: {initial: 1s, max: 1s}, reviewAfter: 1s}
`, p.url, name, p.admin, name, limit, settings, provider))
}

// connect logs somebody in.
func (p *peopled) connect(name string) *nats.Conn {
	p.t.Helper()
	pair := p.keys[name]
	public, err := pair.PublicKey()
	if err != nil {
		p.t.Fatal(err)
	}
	nc, err := nats.Connect(p.url, nats.Nkey(public, pair.Sign))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(nc.Close)
	return nc
}

// review runs a "review" command with somebody's login.
func (p *peopled) review(who string, args ...string) (code int, stdout, stderr string) {
	p.t.Helper()
	code, run := runProgram(p.t, p.dir, append(append([]string{"review"}, args...), "--config", who+".yaml")...)
	return code, run.stdout.String(), run.stderr.String()
}

// story waits until a payment needs a person, and returns it as somebody sees it.
func (p *peopled) story(who, native string) desk.Story {
	p.t.Helper()
	client := remote.NewClient(p.connect(who), who)
	for {
		s, err := client.Payment(p.t.Context(), payment.ID{Provider: "openpay-eu", Native: native})
		if err == nil && s.Operations[0].Review != nil {
			return *s
		}
		if no := (*desk.Error)(nil); err != nil && (!errors.As(err, &no) || no.Fault != desk.FaultNotFound) {
			p.t.Fatal(err)
		}
	}
}

// inBrowser sends the console's form as a person who is signed in, or named by the proxy.
func (p *peopled) inBrowser(s desk.Story, as string, sign func(*http.Request), more ...string) (status int, body string) {
	p.t.Helper()
	form := url.Values{
		"operation": {"refund"}, "key": {"k"}, "version": {fmt.Sprint(s.Version)}, "seen": {s.Seen.Format("2006-01-02T15:04:05.999999999Z07:00")},
		"as": {as}, "reason": {"asked the provider"}, "evidence": {"ticket 4711"},
	}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return p.post("/console/payments/openpay-eu/"+s.Payment+"/resolve", form, sign)
}

func (p *peopled) post(path string, form url.Values, sign func(*http.Request)) (status int, body string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, "http://"+p.admin+path, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if sign != nil {
		sign(r)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, c := range answer.Cookies() {
		text = append(text, "\ncookie "+c.Value...)
	}
	return answer.StatusCode, string(text)
}

// byToken signs anna in with her token.
func (p *peopled) byToken() func(*http.Request) {
	p.t.Helper()
	status, body := p.post("/console/login", url.Values{"token": {annaToken}}, nil)
	_, cookie, found := strings.Cut(body, "\ncookie ")
	if status != http.StatusSeeOther || !found {
		p.t.Fatalf("signing in: %d\n%s", status, body)
	}
	return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "countermand_session", Value: cookie}) }
}

func byProxy(name string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("X-User", name) }
}

const people = `people:
  - {name: anna, identities: ['nats:PEOPLE/KEY-anna', 'token:anna', 'proxy:anna@shop.example']}
  - {name: ben, identities: ['nats:PEOPLE/KEY-ben', 'proxy:ben@shop.example']}
`

func TestOnePersonWithThreeLoginsIsOnePersonAndTheSecondIsAnother(t *testing.T) {
	t.Parallel()
	p := setupPeople(t, people, 399, 1)
	s := p.story("anna", "529-1-0")
	view := fmt.Sprintf("%d@%s", s.Version, s.Seen.Format("2006-01-02T15:04:05.999999999Z07:00"))
	ruling := []string{"resolve", "openpay-eu", "529-1-0", "--as", "failed", "--reason", "asked the provider", "--evidence", "ticket 4711", "--view", view, "--apply"}
	if code, out, errs := p.review("anna", ruling...); code != cli.ExitOK || !strings.Contains(out, "nothing moved, 4.00 EUR asked") || !strings.Contains(out, "waits for another person to rule the same") {
		t.Fatalf("anna: exit code %d\n%s%s", code, out, errs)
	}
	for how, sign := range map[string]func(*http.Request){"her token": p.byToken(), "the proxy": byProxy("anna@shop.example")} {
		if status, body := p.inBrowser(s, "failed", sign); status != http.StatusForbidden || !strings.Contains(body, "you have said this already") {
			t.Errorf("anna by %s: %d\n%s", how, status, body)
		}
	}
	if code, _, errs := p.review("anna", ruling...); code != cli.ExitFailed || !strings.Contains(errs, "you have said this already") {
		t.Errorf("anna again: exit code %d\n%s", code, errs)
	}
	// A login that may publish under every name, one in the service's account, and one whose permissions name its person alone.
	p.write("carl.yaml", strings.Replace(readFile(t, filepath.Join(p.dir, "carl.yaml")), "operator: carl", "operator: ben", 1))
	p.write("loose.yaml", strings.Replace(readFile(t, filepath.Join(p.dir, "loose.yaml")), "operator: loose", "operator: ben", 1))
	p.write("anna.yaml", strings.Replace(readFile(t, filepath.Join(p.dir, "anna.yaml")), "operator: anna", "operator: ben", 1))
	for who, want := range map[string]string{
		"carl":  "is nobody's in the setting people",
		"loose": "nothing says which login this is",
		"anna":  "the server does not let this user act as operator",
	} {
		for _, args := range [][]string{ruling, {"list"}, {"show", "openpay-eu", "529-1-0"}} {
			if code, out, errs := p.review(who, args...); code != cli.ExitFailed || !strings.Contains(errs, want) {
				t.Errorf("%s as ben, %s: exit code %d\n%s%s", who, args[0], code, out, errs)
			}
		}
	}
	if n := p.count("payment.refund.failed.>") + p.count("payment.operator.resolve.*"); n != 0 {
		t.Fatalf("%d results and rulings of one person alone", n)
	}
	if status, body := p.inBrowser(s, "failed", byProxy("ben@shop.example")); status != http.StatusSeeOther {
		t.Fatalf("ben by the proxy: %d\n%s", status, body)
	}
	result, audit := string(awaitEvent(t, p.js, "payment.refund.failed.>").Data()), string(awaitEvent(t, p.js, "payment.operator.resolve.*").Data())
	proposed := string(awaitEvent(t, p.js, "payment.operator.propose.*").Data())
	for where, want := range map[string][2]string{
		"the result":   {result, `"operator":"anna and ben"`},
		"the ruling":   {audit, `"operator":"ben","identity":"proxy","login":"proxy:ben@shop.example"`},
		"the proposal": {proposed, `"operator":"anna","identity":"nats","login":"nats:PEOPLE/U`},
	} {
		if !strings.Contains(want[0], want[1]) {
			t.Errorf("%s lacks %s: %s", where, want[1], want[0])
		}
	}
	if n := p.count("payment.operator.propose.*"); n != 1 {
		t.Errorf("%d proposals, want 1", n)
	}
}

// What somebody could forge who may write to the journal: the name, but not a login that
// is the name's.
func TestAProposalThatTheServiceDidNotWriteCountsForNobody(t *testing.T) {
	t.Parallel()
	p := setupPeople(t, people, 399, 1)
	s := p.story("anna", "529-1-0")
	forged := payment.OperatorAction{
		ULID: "01J8Z3N9Q8K6M2V4T7R5W1ZZZZ", Action: "propose", Operator: "anna", Identity: "nats", Reason: "r", Evidence: "e",
		ID: payment.ID{Provider: "openpay-eu", Native: "529-1-0"}, Op: payment.Refund, Key: "k", Version: s.Version, Ruling: "failed", At: s.Seen,
	}
	m, err := events.NewEncoder(nil).EncodeOperator(forged)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.js.PublishMsg(t.Context(), &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}); err != nil {
		t.Fatal(err)
	}
	view := fmt.Sprintf("%d@%s", s.Version, s.Seen.Format("2006-01-02T15:04:05.999999999Z07:00"))
	code, out, errs := p.review("ben", "resolve", "openpay-eu", "529-1-0", "--as", "failed", "--reason", "r", "--evidence", "e", "--view", view, "--apply")
	if code != cli.ExitOK || !strings.Contains(out, "waits for another person") || p.count("payment.refund.failed.>") != 0 {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

func TestAChangedReplayWaitsForAnotherPersonAndIsPublishedOnce(t *testing.T) {
	t.Parallel()
	p := setupPeople(t, people, 399, 0)
	if err := p.openpay.AddPayment(openpaysim.Payment{TransactionID: "529-9", ReferenceNo: "ref-9", Amount: 40000, Currency: "EUR"}); err != nil {
		t.Fatal(err)
	}
	body := `{"specversion":"1.0","id":"e-9","source":"/shop","type":"payment.refund.requested","data":{"idempotencyKey":"k","provider":"openpay-eu","payment":{"transactionId":"529-9","orderId":"ref-9"},"ammount":{"value":1,"currency":"EUR"}}}`
	if _, err := p.js.Publish(t.Context(), "payment.refund.requested", []byte(body)); err != nil {
		t.Fatal(err)
	}
	subject := awaitEvent(t, p.js, "payment.command.rejected.*").Subject()
	wish := desk.Replay{
		Token: subject[strings.LastIndexByte(subject, '.')+1:], Reason: "typing error", Subject: "payment.refund.requested", Corrected: true,
		Header: map[string][]string{"Content-Type": {"application/cloudevents+json"}}, Data: []byte(strings.Replace(body, "ammount", "amount", 1)),
	}
	anna, ben := remote.NewClient(p.connect("anna"), "anna"), remote.NewClient(p.connect("ben"), "ben")
	done, err := anna.Replay(t.Context(), wish)
	if err != nil || done.Applied || !done.AwaitsSecond || done.Decision != "0.01 EUR asked, not with the bytes that were rejected" {
		t.Fatalf("anna: %+v, %v", done, err)
	}
	if done, err := anna.Replay(t.Context(), wish); err == nil || done.Applied {
		t.Errorf("anna again: %+v, %v", done, err)
	}
	if n := natstest.Messages(t, p.js, "PAYMENT_COMMANDS"); n != 1 {
		t.Fatalf("%d commands by one person, want the rejected one", n)
	}
	if done, err := ben.Replay(t.Context(), wish); err != nil || !done.Applied {
		t.Fatalf("ben: %+v, %v", done, err)
	}
	awaitEvent(t, p.js, "payment.refund.succeeded.openpay-eu.529-9.>")
	if n := len(p.openpay.Ledger().Movements("529-9")); n != 1 {
		t.Errorf("money moved %d times, want once", n)
	}
}

func TestRulingsFromAFileAreAddedUpForTheSecondPerson(t *testing.T) {
	t.Parallel()
	p := setupPeople(t, people, 700, 2)
	var file strings.Builder
	for n := range 2 {
		s := p.story("anna", fmt.Sprintf("529-1-%d", n))
		line, err := json.Marshal(map[string]any{
			"provider": s.Provider, "payment": s.Payment, "operation": "refund", "idempotencyKey": "k", "as": "failed", "reason": "r", "evidence": fmt.Sprint("e", n),
			"view": fmt.Sprintf("%d@%s", s.Version, s.Seen.Format("2006-01-02T15:04:05.999999999Z07:00")),
		})
		if err != nil {
			t.Fatal(err)
		}
		file.Write(append(line, '\n'))
	}
	p.write("rulings.jsonl", file.String())
	for _, c := range []struct {
		who  string
		args []string
		want []string
		all  int // results there are then
	}{
		{"anna", nil, []string{"k 529-1-0 at openpay-eu as failed (nothing moved, 4.00 EUR asked; reason \"r\", evidence \"e0\"): would be ruled", "k 529-1-1 at openpay-eu as failed (nothing moved, 4.00 EUR asked; reason \"r\", evidence \"e1\"): would be recorded, and waits"}, 0},
		{"anna", []string{"--apply"}, []string{"evidence \"e0\"): ruled", "evidence \"e1\"): recorded, and waits for another person"}, 1},
		{"anna", []string{"--apply"}, []string{"529-1-0 at openpay-eu as failed: done before", "529-1-1 at openpay-eu as failed: recorded before, and waits"}, 1},
		{"ben", []string{"--apply"}, []string{"529-1-0 at openpay-eu as failed: done before", "evidence \"e1\"): ruled"}, 2},
	} {
		code, out, errs := p.review(c.who, append([]string{"resolve", "--file", "rulings.jsonl"}, c.args...)...)
		for _, want := range c.want {
			if code != cli.ExitOK || !strings.Contains(out, want) {
				t.Errorf("%s %v: exit code %d, want %q\n%s%s", c.who, c.args, code, want, out, errs)
			}
		}
		if n := p.count("payment.refund.failed.>"); n != c.all {
			t.Errorf("%s %v: %d results, want %d", c.who, c.args, n, c.all)
		}
	}
}

func TestAKeyIsNeededOnlyWhereMoreThanOneOperationIsOpen(t *testing.T) {
	t.Parallel()
	r := setupReview(t, 1)
	r.queue(1)
	ruling := []string{"resolve", "openpay-eu", "529-1-0", "--as", "failed", "--reason", "r", "--evidence", "e"}
	code, out, errs := r.run("ana", ruling...)
	if code != cli.ExitOK || !strings.Contains(out, "refund k 529-1-0 at openpay-eu as failed (nothing moved, 4.00 EUR asked;") {
		t.Errorf("one is open: exit code %d\n%s%s", code, out, errs)
	}
	if code, out, errs := r.run("ana", append(ruling, "--operation", "cancel")...); code != cli.ExitFailed || !strings.Contains(errs, "no operation of the payment is open") {
		t.Errorf("none of that kind is open: exit code %d\n%s%s", code, out, errs)
	}
}

// twoOpen is a desk with one payment, of which two operations are open.
type twoOpen struct{ desk.Desk }

func (*twoOpen) Who(o desk.Operator) (desk.Operator, error) { return o, nil }

func (*twoOpen) Payment(context.Context, payment.ID) (*desk.Story, error) {
	open := func(key payment.Key) desk.Operation {
		return desk.Operation{Operation: payment.Refund, Key: key, Status: payment.StatusIndeterminate}
	}
	return &desk.Story{Version: 3, Seen: time.Now(), Operations: []desk.Operation{open("k"), open("k-2")}}, nil
}

func (*twoOpen) Resolve(_ context.Context, _ desk.Operator, r desk.Ruling) (desk.Done, error) {
	return desk.Done{Decision: "on " + string(r.Key)}, nil
}

func TestOfTwoOpenOperationsOneIsNamed(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, nil)
	nc, err := nats.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	service, err := remote.Serve(nc, &twoOpen{}, &remote.Options{SelfAsserted: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = service.Stop() })
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	args := []string{"review", "resolve", "openpay-eu", "529", "--as", "failed", "--reason", "r", "--evidence", "e", "--nats", server.URL(), "--operator", "ana"}
	code, p := runProgram(t, t.TempDir(), args...)
	if code != cli.ExitUsage || !strings.Contains(p.stderr.String(), "more than one operation is open (refund k, refund k-2): name one with --operation and --key") {
		t.Errorf("exit code %d\n%s", code, p.stderr)
	}
	if code, p := runProgram(t, t.TempDir(), append(args, "--key", "k-2")...); code != cli.ExitOK || !strings.Contains(p.stdout.String(), "(on k-2;") {
		t.Errorf("one is named: exit code %d\n%s%s", code, p.stdout, p.stderr)
	}
}

func TestARulingThatNamesNoKeyIsDoneBeforeTheSecondTime(t *testing.T) {
	t.Parallel()
	r := setupReview(t, 1)
	r.queue(1)
	ruling := []string{"resolve", "openpay-eu", "529-1-0", "--as", "failed", "--reason", "r", "--evidence", "e"}
	code, out, errs := r.run("ana", ruling...)
	view := regexp.MustCompile(`--view (\S+) --apply`).FindStringSubmatch(out)
	if code != cli.ExitOK || view == nil {
		t.Fatalf("dry: exit code %d\n%s%s", code, out, errs)
	}
	for _, want := range []string{": ruled", ": done before"} {
		if code, out, errs := r.run("ana", append(ruling, "--view", view[1], "--apply")...); code != cli.ExitOK || !strings.Contains(out, want) {
			t.Errorf("exit code %d, want %q\n%s%s", code, want, out, errs)
		}
	}
}

func TestAReferenceThatIsNoIdentifierIsRefusedOnEveryWayIn(t *testing.T) {
	t.Parallel()
	p := setupPeople(t, people, 100_000, 1)
	s, sign := p.story("anna", "529-1-0"), p.byToken()
	view := fmt.Sprintf("%d@%s", s.Version, s.Seen.Format("2006-01-02T15:04:05.999999999Z07:00"))
	const no = "reference is no identifier"
	for _, reference := range []string{"rf\u202e9\u200b", "Olena Kovalenko olena@example.org +380441234567", "rf 9"} {
		status, body := p.inBrowser(s, "succeeded", sign, "moved", "4.00 EUR", "reference", reference)
		if status != http.StatusUnprocessableEntity || !strings.Contains(body, no) {
			t.Errorf("%q in the browser: %d\n%s", reference, status, body)
		}
		code, out, errs := p.review("anna", "resolve", "openpay-eu", "529-1-0", "--as", "succeeded", "--moved", "4.00 EUR",
			"--provider-reference", reference, "--reason", "r", "--evidence", "e", "--view", view, "--apply")
		if code != cli.ExitUsage || !strings.Contains(errs, no) {
			t.Errorf("%q in the command: exit code %d\n%s%s", reference, code, out, errs)
		}
		line, err := json.Marshal(map[string]any{
			"provider": s.Provider, "payment": s.Payment, "operation": "refund", "idempotencyKey": "k", "as": "succeeded", "reason": "r", "evidence": "e", "view": view,
			"moved": map[string]any{"value": 400, "currency": "EUR"}, "providerReference": reference,
		})
		if err != nil {
			t.Fatal(err)
		}
		p.write("reference.jsonl", string(line)+"\n")
		if code, out, errs := p.review("anna", "resolve", "--file", "reference.jsonl", "--apply"); code == cli.ExitOK || !strings.Contains(errs, no) {
			t.Errorf("%q in a file: exit code %d\n%s%s", reference, code, out, errs)
		}
	}
	if n := p.count("payment.operator.resolve.*") + p.count("payment.operator.propose.*") + p.count("payment.refund.succeeded.>"); n != 0 {
		t.Errorf("%d rulings are recorded", n)
	}
}

func TestAnAmountThatMovedIsHeldAgainstThePaymentInTheBrowserAndInTheCommand(t *testing.T) {
	t.Parallel()
	p := setupPeople(t, people, 100_000, 1)
	s, sign := p.story("anna", "529-1-0"), p.byToken()
	for _, c := range []struct {
		moved, confirm string
		status         int
		says           string
	}{
		{"4 EUR", "", http.StatusUnprocessableEntity, "write &#34;4.00 EUR&#34;"},
		{"0.04 EUR", "", http.StatusConflict, "0.04 EUR moved, 4.00 EUR asked, the provider&#39;s reference rf-1: refused: amount_differs"},
		{"99999.00 EUR", "", http.StatusConflict, "99999.00 EUR moved, 4.00 EUR asked"},
		{"99999.00 EUR", "99999.00 EUR", http.StatusConflict, "refused: at most 400.00 EUR can still be refunded"},
		{"90071992547409.91 EUR", "90071992547409.91 EUR", http.StatusConflict, "refused: at most 400.00 EUR can still be refunded"},
		{"4.00 USD", "4.00 USD", http.StatusUnprocessableEntity, "what moved is in USD, the payment in EUR"},
	} {
		status, body := p.inBrowser(s, "succeeded", sign, "moved", c.moved, "confirm", c.confirm, "reference", "rf-1")
		if status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s, confirmed %q: %d, want %d saying %s\n%s", c.moved, c.confirm, status, c.status, c.says, body)
		}
	}
	if n := p.count("payment.operator.resolve.*") + p.count("payment.operator.propose.*"); n != 0 {
		t.Errorf("%d rulings are recorded", n)
	}
	view := fmt.Sprintf("%d@%s", s.Version, s.Seen.Format("2006-01-02T15:04:05.999999999Z07:00"))
	code, out, errs := p.review("anna", "resolve", "openpay-eu", "529-1-0", "--as", "succeeded", "--moved", "3.00 EUR", "--confirm-amount", "3.00 EUR",
		"--provider-reference", "rf-1", "--reason", "r", "--evidence", "e", "--view", view, "--apply")
	if code != cli.ExitOK || !strings.Contains(out, "3.00 EUR moved, 4.00 EUR asked") || !strings.Contains(out, "amount_differs: ruled") {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	if result := string(awaitEvent(t, p.js, "payment.refund.succeeded.>").Data()); !strings.Contains(result, `"code":"amount_differs"`) || !strings.Contains(result, `"moved":{"value":300,"currency":"EUR"}`) {
		t.Errorf("the result is %s", result)
	}
}
