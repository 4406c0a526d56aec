package main

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/providers/openpay/openpaysim"
	"github.com/countermand/countermand/providers/simulator"
)

// reviewing is a running service with refunds whose fate no machine can find out.
type reviewing struct {
	*service

	openpay *openpaysim.Simulator
}

// setupReview starts the service and loses the answers of so many partial refunds.
func setupReview(t *testing.T, refunds int) *reviewing {
	t.Helper()
	server := natstest.Start(t, nil)
	r := &reviewing{
		service: &service{t: t, dir: t.TempDir(), admin: natstest.FreeAddress(t), js: server.JetStream(t)},
		openpay: openpaysim.New(openpaysim.Options{PartialRefunds: true}),
	}
	web := httptest.NewServer(r.openpay)
	t.Cleanup(web.Close)
	t.Cleanup(r.openpay.Close)
	r.write("secret", openpaysim.DefaultAPIKey+"\n")
	r.write("config.yaml", fmt.Sprintf(`nats: {url: %q, replicas: 1}
admin: {listen: %q}
desk: {selfAsserted: true}
providers:
  - {name: openpay-eu, kind: openpay, baseURL: %q, account: shop-eu, apiKey: {file: secret}, partialRefunds: true, poll: {initial: 1s, max: 1s}, reviewAfter: 1s}
`, server.URL(), r.admin, web.URL))
	if code, p := runProgram(t, r.dir, "provision", "--config", "config.yaml"); code != cli.ExitOK {
		t.Fatalf("provision: %s", p.stderr)
	}
	if refunds > 0 {
		if err := r.openpay.Fault(simulator.Fault{Operation: "refund", Mode: simulator.CutAfter, Times: refunds}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range refunds {
		r.refund(fmt.Sprintf("529-1-%d", n))
	}
	start(t, r.dir, "run", "--config", "config.yaml")
	awaitStatus(t, "http://"+r.admin+"/readyz", 200)
	return r
}

func (r *reviewing) refund(transaction string) {
	r.t.Helper()
	if err := r.openpay.AddPayment(openpaysim.Payment{TransactionID: transaction, ReferenceNo: "ref-" + transaction, Amount: 40000, Currency: "EUR"}); err != nil {
		r.t.Fatal(err)
	}
	body := fmt.Sprintf(`{"specversion":"1.0","id":"e-%[1]s","source":"/shop","type":"payment.refund.requested","data":{"idempotencyKey":"k","provider":"openpay-eu","payment":{"transactionId":"%[1]s","orderId":"ref-%[1]s","capturedAmount":{"value":40000,"currency":"EUR"}},"amount":{"value":400,"currency":"EUR"}}}`, transaction)
	if _, err := r.js.Publish(r.t.Context(), "payment.refund.requested", []byte(body)); err != nil {
		r.t.Fatal(err)
	}
}

// run runs a desk command as an operator.
func (r *reviewing) run(operator string, args ...string) (code int, stdout, stderr string) {
	r.t.Helper()
	code, p := runProgram(r.t, r.dir, append(append([]string{"review"}, args...), "--config", "config.yaml", "--operator", operator)...)
	return code, p.stdout.String(), p.stderr.String()
}

// queue waits until so many refunds need a person, and returns them as lines of JSON.
func (r *reviewing) queue(n int) []string {
	r.t.Helper()
	deadline := time.After(patience)
	for {
		code, out, errs := r.run("ana", "list", "--json")
		if lines := lines(out); code == cli.ExitOK && len(lines) == n+1 {
			return lines[:n]
		}
		select {
		case <-deadline:
			r.t.Fatalf("not %d in the queue, exit code %d\n%s%s", n, code, out, errs)
		default:
		}
	}
}

func TestAPersonSettlesFromTheCommandLineWhatAMachineCannot(t *testing.T) {
	t.Parallel()
	r := setupReview(t, 1)
	r.queue(1)
	if code, out, _ := r.run("ana", "list"); code != cli.ExitOK || !strings.Contains(out, "4.00 EUR") || !strings.Contains(out, "529-1-0") {
		t.Errorf("list: exit code %d\n%s", code, out)
	}
	if code, out, _ := r.run("ana", "list", "--min-amount", "4.01 EUR"); code != cli.ExitOK || !strings.Contains(out, "nothing needs a person") {
		t.Errorf("narrowed list: exit code %d\n%s", code, out)
	}
	if code, _, errs := r.run("ana", "show", "openpay-eu", "none"); code != cli.ExitNone {
		t.Errorf("an unknown payment: exit code %d\n%s", code, errs)
	}
	code, out, errs := r.run("ana", "show", "openpay-eu", "529-1-0")
	view := regexp.MustCompile(`(?m)^view (\S+)$`).FindStringSubmatch(out)
	if code != cli.ExitOK || view == nil || !strings.Contains(out, "the provider on refund k now:") || !strings.Contains(out, `--confirm-amount "4.00 EUR"`) {
		t.Fatalf("show: exit code %d\n%s%s", code, out, errs)
	}
	ruling := []string{"resolve", "openpay-eu", "529-1-0", "--key", "k", "--as", "succeeded", "--evidence", "ticket 4711", "--moved", "4.00 EUR", "--provider-reference", "rf-1"}
	if code, _, errs := r.run("ana", append(ruling, "--view", view[1], "--apply")...); code != cli.ExitUsage || !strings.Contains(errs, "reason is required") {
		t.Errorf("without a reason: exit code %d\n%s", code, errs)
	}
	ruling = append(ruling, "--reason", "the provider confirms")
	if code, _, errs := r.run("ana", append(ruling, "--apply")...); code != cli.ExitUsage {
		t.Errorf("without a view: exit code %d\n%s", code, errs)
	}
	slip := strings.Split(strings.ReplaceAll(strings.Join(ruling, "\n"), "4.00 EUR", "4 EUR"), "\n")
	if code, _, errs := r.run("ana", slip...); code != cli.ExitUsage || !strings.Contains(errs, `--moved: EUR is written with 2 decimals: write "4.00 EUR"`) {
		t.Errorf("an amount without decimals: exit code %d\n%s", code, errs)
	}
	slip = strings.Split(strings.ReplaceAll(strings.Join(ruling, "\n"), "4.00 EUR", "0.04 EUR"), "\n")
	if code, _, errs := r.run("ana", slip...); code != cli.ExitFailed || !strings.Contains(errs, "0.04 EUR moved, 4.00 EUR asked, the provider's reference rf-1: refused: amount_differs") {
		t.Errorf("another amount than asked: exit code %d\n%s", code, errs)
	}
	if code, out, errs := r.run("ana", append(slip, "--confirm-amount", "0.04 EUR")...); code != cli.ExitOK || !strings.Contains(out, "0.04 EUR moved, 4.00 EUR asked") || !strings.Contains(out, "amount_differs: would be ruled") {
		t.Errorf("another amount than asked, confirmed: exit code %d\n%s%s", code, out, errs)
	}
	if code, out, errs := r.run("ana", ruling...); code != cli.ExitOK || !strings.Contains(out, `(4.00 EUR moved, 4.00 EUR asked, the provider's reference rf-1; reason "the provider confirms", evidence "ticket 4711"): would be ruled`) || r.count("payment.refund.succeeded.>") != 0 || r.count("payment.operator.resolve.*") != 0 {
		t.Errorf("dry: exit code %d\n%s%s", code, out, errs)
	}
	apply := append(ruling[:len(ruling):len(ruling)], "--view", view[1], "--apply") //nolint:gocritic // another list
	if code, out, errs := r.run("ana", apply...); code != cli.ExitOK || !strings.Contains(out, ": ruled") {
		t.Fatalf("applied: exit code %d\n%s%s", code, out, errs)
	}
	if code, out, _ := r.run("ana", apply...); code != cli.ExitOK || !strings.Contains(out, "done before") {
		t.Errorf("again: exit code %d\n%s", code, out)
	}
	_, out, _ = r.run("ana", "show", "openpay-eu", "529-1-0")
	later := regexp.MustCompile(`(?m)^view (\S+)$`).FindStringSubmatch(out)
	if len(later) != 2 || later[1] == view[1] {
		t.Fatalf("no later view\n%s", out)
	}
	for name, args := range map[string][]string{"on a later view": {"--view", later[1], "--apply"}, "only checked on a later view": {"--view", later[1]}, "only checked": nil} {
		if code, out, errs := r.run("ana", append(ruling[:len(ruling):len(ruling)], args...)...); code != cli.ExitOK || !strings.Contains(out, "done before") {
			t.Errorf("again, %s: exit code %d\n%s%s", name, code, out, errs)
		}
	}
	for name, contradiction := range map[string][]string{
		"with other words": {"--as", "failed", "--reason", "no", "--evidence", "none"},
		"with its words":   {"--as", "failed", "--reason", "the provider confirms", "--evidence", "ticket 4711"},
		"another amount":   {"--as", "succeeded", "--moved", "3.00 EUR", "--provider-reference", "rf-1", "--reason", "the provider confirms", "--evidence", "ticket 4711"},
		"other evidence":   {"--as", "succeeded", "--moved", "4.00 EUR", "--provider-reference", "rf-1", "--reason", "the provider confirms", "--evidence", "ticket 4712"},
	} {
		for _, on := range []string{view[1], later[1]} {
			args := append([]string{"resolve", "openpay-eu", "529-1-0", "--key", "k", "--view", on, "--apply"}, contradiction...)
			code, out, errs = r.run("ben", args...)
			record := `contradicts the ruling on record: ana, ruled as succeeded, 4.00 EUR moved, the provider's reference rf-1, reason "the provider confirms", evidence "ticket 4711", version`
			if code != cli.ExitFailed || !strings.Contains(errs, record) || !strings.Contains(errs, `ruled by ana: "the provider confirms"`) || strings.Contains(out, "done before") {
				t.Errorf("%s on view %s: exit code %d\n%s%s", name, on, code, out, errs)
			}
		}
	}
	if n := r.count("payment.refund.succeeded.>") + r.count("payment.refund.failed.>"); n != 1 {
		t.Errorf("%d terminal results, want 1", n)
	}
}

func TestManyRulingsAreCheckedTogetherDoneOneByOneAndResumed(t *testing.T) {
	t.Parallel()
	r := setupReview(t, 3)
	var file strings.Builder
	for i, line := range r.queue(3) {
		var item struct{ Provider, Payment, Operation, IdempotencyKey, View string }
		if err := json.Unmarshal([]byte(line), &item); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&file, `{"provider":%q,"payment":%q,"operation":%q,"idempotencyKey":%q,"view":%q,"as":"failed","reason":"the provider denies it","evidence":"ticket %d"}`+"\n",
			item.Provider, item.Payment, item.Operation, item.IdempotencyKey, item.View, i)
	}
	good := file.String()
	failed := func() int { return r.count("payment.refund.failed.>") }
	r.write("broken.jsonl", strings.Replace(good, `"reason"`, `"raeson"`, 1))
	if code, _, errs := r.run("ana", "resolve", "--file", "broken.jsonl", "--apply"); code != cli.ExitUsage || !strings.Contains(errs, "broken.jsonl:1") || failed() != 0 {
		t.Errorf("a broken file: exit code %d, %d ruled\n%s", code, failed(), errs)
	}
	for name, spoilt := range map[string]string{
		"the member /as is there twice":         strings.Replace(good, `"as":"failed"`, `"as":"failed","as":"retry"`, 1),
		"the member /As is not known here":      strings.Replace(good, `"as":"failed"`, `"as":"failed","As":"retry"`, 1),
		"one ruling a line, as JSON":            strings.Replace(good, "}\n", "} {}\n", 1),
		"the member /moved/value is there twic": strings.Replace(good, `"as":"failed"`, `"as":"succeeded","moved":{"value":1,"value":400,"currency":"EUR"}`, 1),
	} {
		r.write("spoilt.jsonl", spoilt)
		if code, _, errs := r.run("ana", "resolve", "--file", "spoilt.jsonl", "--apply"); code != cli.ExitUsage || !strings.Contains(errs, "spoilt.jsonl:1") || !strings.Contains(errs, name) || failed() != 0 {
			t.Errorf("%s: exit code %d, %d ruled\n%s", name, code, failed(), errs)
		}
	}
	r.write("refused.jsonl", strings.Replace(good, `"as":"failed","reason":"the provider denies it","evidence":"ticket 2"`, `"as":"retry","reason":"x","evidence":"y"`, 1))
	if code, _, errs := r.run("ana", "resolve", "--file", "refused.jsonl", "--apply"); code != cli.ExitFailed || !strings.Contains(errs, "nothing was ruled") || failed() != 0 {
		t.Errorf("one that is refused: exit code %d, %d ruled\n%s", code, failed(), errs)
	}
	for name, amounts := range map[string]string{
		"amount_differs": `"as":"succeeded","moved":{"value":40,"currency":"EUR"},"providerReference":"rf-1",`,
		"another amount": `"as":"succeeded","moved":{"value":400,"currency":"EUR"},"confirmAmount":{"value":400,"currency":"USD"},"providerReference":"rf-1",`,
	} {
		r.write("amounts.jsonl", strings.Replace(good, `"as":"failed",`, amounts, 1))
		code, out, errs := r.run("ana", "resolve", "--file", "amounts.jsonl")
		if name == "amount_differs" && (code != cli.ExitFailed || !strings.Contains(errs, "0.40 EUR moved, 4.00 EUR asked") || !strings.Contains(errs, "amount_differs") || failed() != 0) {
			t.Errorf("%s: exit code %d, %d ruled\n%s%s", name, code, failed(), out, errs)
		}
		if name != "amount_differs" && code != cli.ExitOK {
			t.Errorf("%s, which no confirmation is needed for: exit code %d\n%s%s", name, code, out, errs)
		}
	}
	first, rest, _ := strings.Cut(good, "\n")
	r.write("first.jsonl", first)
	r.write("good.jsonl", first+"\n"+rest)
	if code, _, errs := r.run("ana", "resolve", "--file", "first.jsonl", "--apply"); code != cli.ExitOK || failed() != 1 {
		t.Fatalf("the first: exit code %d, %d ruled\n%s", code, failed(), errs)
	}
	code, out, errs := r.run("ana", "resolve", "--file", "good.jsonl", "--apply", "--json")
	if code != cli.ExitOK || failed() != 3 || strings.Count(out, `"outcome":"ruled"`) != 2 || strings.Count(out, `"outcome":"done before"`) != 1 {
		t.Errorf("all: exit code %d, %d ruled\n%s%s", code, failed(), out, errs)
	}
}

func TestACancelIsRuledWithWhatItDid(t *testing.T) {
	t.Parallel()
	s := newService(t)
	r := &reviewing{service: s}
	text, err := os.ReadFile(filepath.Join(s.dir, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	// Nobody listens there: the cancel was certainly not executed, and stays as it is for an hour.
	away := regexp.MustCompile(`baseURL: "[^"]*"`).ReplaceAllString(string(text), `retry: {initial: 1h, max: 1h}, baseURL: "http://127.0.0.1:1"`)
	s.write("config.yaml", "desk: {selfAsserted: true}\n"+away)
	if code, p := runProgram(t, s.dir, "provision", "--config", "config.yaml"); code != cli.ExitOK {
		t.Fatalf("provision: %s", p.stderr)
	}
	body := `{"specversion":"1.0","id":"e-1","source":"/shop","type":"payment.cancel.requested","data":{"idempotencyKey":"k","provider":"opay-eg","payment":{"orderId":"1001"}}}`
	if _, err := s.js.Publish(t.Context(), "payment.cancel.requested", []byte(body)); err != nil {
		t.Fatal(err)
	}
	start(t, s.dir, "run", "--config", "config.yaml")
	view := r.viewOf("opay-eg", "1001", "deferred")
	ruling := []string{"resolve", "opay-eg", "1001", "--operation", "cancel", "--key", "k", "--reason", "the portal says so", "--evidence", "ticket 4711", "--view", view, "--apply"}
	for want, args := range map[string][]string{
		"closed, voided, none or refunded": {"--as", "succeeded", "--effect", "gone"},
		"needs the amount that moved":      {"--as", "succeeded", "--effect", "refunded"},
		"belongs to a cancel that":         {"--as", "failed", "--effect", "voided"},
	} {
		if code, _, errs := r.run("ana", append(ruling[:len(ruling):len(ruling)], args...)...); code != cli.ExitUsage || !strings.Contains(errs, want) {
			t.Errorf("%v: exit code %d, want %q\n%s", args, code, want, errs)
		}
	}
	if code, _, errs := r.run("ana", append(ruling, "--as", "succeeded", "--effect", "voided")...); code != cli.ExitOK {
		t.Fatalf("voided: exit code %d\n%s", code, errs)
	}
	code, out, errs := r.run("ana", "show", "opay-eg", "1001", "--no-ask", "--json")
	var story struct {
		Operations []struct{ Status, Effect, Basis string }
	}
	if err := json.Unmarshal([]byte(out), &story); code != cli.ExitOK || err != nil || len(story.Operations) != 1 {
		t.Fatalf("show: exit code %d, %v\n%s%s", code, err, out, errs)
	}
	if o := story.Operations[0]; o.Status != "succeeded" || o.Effect != "voided" || o.Basis != "operator" || s.count("payment.cancel.succeeded.>") != 1 {
		t.Errorf("it ended as %+v", o)
	}
}

// viewOf waits until a payment's operation has a status, and returns the view to rule on.
func (r *reviewing) viewOf(provider, native, status string) string {
	r.t.Helper()
	deadline := time.After(patience)
	for {
		code, out, errs := r.run("ana", "show", provider, native, "--no-ask", "--json")
		var story struct {
			View       string
			Operations []struct{ Status string }
		}
		if code == cli.ExitOK && json.Unmarshal([]byte(out), &story) == nil && len(story.Operations) == 1 && story.Operations[0].Status == status {
			return story.View
		}
		select {
		case <-deadline:
			r.t.Fatalf("%s never became %s, exit code %d\n%s%s", native, status, code, out, errs)
		default:
		}
	}
}

func TestAnOperatorsNameIsOnlyTypedWhereTheSettingAllowsIt(t *testing.T) {
	t.Parallel()
	r := setupReview(t, 0)
	text, err := os.ReadFile(filepath.Join(r.dir, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	r.write("strict.yaml", strings.Replace(string(text), "selfAsserted: true", "selfAsserted: false", 1))
	code, p := runProgram(t, r.dir, "review", "list", "--config", "strict.yaml", "--operator", "ana")
	if code != cli.ExitUsage || !strings.Contains(p.stderr.String(), "--operator needs the setting desk.selfAsserted") {
		t.Errorf("exit code %d\n%s", code, p.stderr)
	}
	if code, p = runProgram(t, r.dir, "review", "list", "--config", "strict.yaml"); code != cli.ExitUsage || !strings.Contains(p.stderr.String(), "desk.operator") {
		t.Errorf("exit code %d\n%s", code, p.stderr)
	}
	stream, err := r.js.Stream(t.Context(), "PAYMENT_EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(">")); err != nil || len(info.State.Subjects) != 0 {
		t.Errorf("the journal holds %v, %v", info, err)
	}
}
