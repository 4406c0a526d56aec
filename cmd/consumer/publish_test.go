package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/natstest"
)

// publishing is a server with the streams, and a configuration that names it.
type publishing struct{ *service }

func setupPublishing(t *testing.T) publishing {
	t.Helper()
	s := newService(t)
	s.write("config.yaml", "desk: {selfAsserted: true}\n"+readFile(t, filepath.Join(s.dir, "config.yaml"))+
		"  - {name: openpay-eu, kind: openpay, baseURL: \"http://127.0.0.1:1\", account: shop-eu, apiKey: {file: not-here}}\n")
	for _, args := range [][]string{{"provision", "--config", "config.yaml"}} {
		if code, p := runProgram(t, s.dir, args...); code != cli.ExitOK {
			t.Fatalf("%v: exit code %d: %s", args, code, p.stderr)
		}
	}
	return publishing{s}
}

// run writes a file of commands, one a line, and publishes it.
func (p publishing) run(commands []string, args ...string) (code int, stdout, stderr string) {
	p.t.Helper()
	p.write("commands.jsonl", strings.Join(commands, "\n")+"\n")
	code, ran := runProgram(p.t, p.dir, append([]string{"publish", "commands.jsonl"}, args...)...)
	return code, ran.stdout.String(), ran.stderr.String()
}

func (p publishing) stored() int {
	p.t.Helper()
	return natstest.Messages(p.t, p.js, "PAYMENT_COMMANDS")
}

// url is the server's address, for a run without a configuration.
func (p publishing) url() string { return "--nats=" + p.js.Conn().ConnectedUrl() }

// wish is a refund; more stands in its payment, rest behind it.
func wish(id, provider, more, rest string) string {
	return `{"specversion":"1.0","id":"` + id + `","source":"/shop","type":"payment.refund.requested","data":{"idempotencyKey":"k-` + id +
		`","provider":"` + provider + `","payment":{` + more + `},` + rest + `}}`
}

const (
	byOrder = `"orderId":"1"`
	amount4 = `"amount":{"value":400,"currency":"EGP"}`
)

// published reads the summary, which --json prints last.
func published(t *testing.T, stdout string) (faults []string, summary map[string]any) {
	t.Helper()
	all := lines(stdout)
	for n, line := range all {
		var one struct {
			Fault   map[string]any
			Summary map[string]any
		}
		if err := json.Unmarshal([]byte(line), &one); err != nil || (one.Summary != nil) != (n == len(all)-1) {
			t.Fatalf("line %d of %d: %v: %s", n, len(all), err, line)
		}
		if summary = one.Summary; one.Fault != nil {
			faults = append(faults, line)
		}
	}
	return faults, summary
}

func TestTwoCommandsOfAFileWithOneSourceAndIDAreAFaultThatNamesBothLines(t *testing.T) {
	t.Parallel()
	p := setupPublishing(t)
	file := []string{wish("a", "opay-eg", byOrder, amount4), wish("b", "opay-eg", byOrder, amount4), wish("a", "opay-eg", `"orderId":"2"`, amount4)}
	code, out, errs := p.run(file, p.url())
	if code != cli.ExitUsage || !strings.Contains(errs, "commands.jsonl:3: ce-id: duplicate (commands.jsonl:1 has the same source and id, and other content)") || p.stored() != 0 {
		t.Errorf("exit code %d, %d stored\n%s%s", code, p.stored(), out, errs)
	}
	if code, out, errs = p.run(file, p.url(), "--skip-invalid"); code != cli.ExitFailed || !strings.Contains(out, "1 published, 0 were there already with the same content, 2 skipped") || p.stored() != 1 {
		t.Errorf("without them: exit code %d, %d stored\n%s%s", code, p.stored(), out, errs)
	}
	file[2] = file[0]
	if code, out, errs = p.run(file, p.url()); code != cli.ExitOK || !strings.Contains(out, "1 published, 2 were there already with the same content") || p.stored() != 2 {
		t.Errorf("the same twice: exit code %d, %d stored\n%s%s", code, p.stored(), out, errs)
	}
}

func TestTheExitCodeSaysWhetherSomeOrAllCommandsWereSkipped(t *testing.T) {
	t.Parallel()
	p := setupPublishing(t)
	good, twin, other := wish("a", "opay-eg", byOrder, amount4), wish("b", "opay-eg", byOrder, amount4), wish("b", "opay-eg", `"orderId":"2"`, amount4)
	broken, foreign := strings.Replace(good, "amount", "ammount", 1), wish("c", "nobody", byOrder, amount4)
	for name, c := range map[string]struct {
		file []string
		code int
		says string
	}{
		"nothing wrong":        {[]string{good}, cli.ExitOK, ""},
		"conflicting ids only": {[]string{twin, other}, cli.ExitUsage, "2 of 2 commands are not valid; nothing was published"},
		"faults only":          {[]string{broken}, cli.ExitUsage, "1 of 1 commands are not valid; nothing was published"},
		"provider rules only":  {[]string{foreign}, cli.ExitUsage, "1 of 1 commands are not valid; nothing was published"},
		"no JSON only":         {[]string{"junk"}, cli.ExitUsage, "1 of 1 commands are not valid; nothing was published"},
		"all of them":          {[]string{twin, broken, foreign, "junk", other}, cli.ExitUsage, "5 of 5 commands are not valid; nothing was published"},
		"ids beside a good one": {
			[]string{good, twin, other}, cli.ExitFailed, "2 of 3 commands are not valid, and were skipped",
		},
		"faults beside a good one": {[]string{good, broken}, cli.ExitFailed, "1 of 2 commands are not valid, and were skipped"},
		"rules beside a good one":  {[]string{good, foreign}, cli.ExitFailed, "1 of 2 commands are not valid, and were skipped"},
		"nothing at all":           {nil, cli.ExitUsage, "there is no command in the input"},
	} {
		for _, format := range [][]string{nil, {"--json"}} {
			code, out, errs := p.run(c.file, append(format, "--config", "config.yaml", "--skip-invalid")...)
			if code != c.code || !strings.Contains(errs, c.says) {
				t.Errorf("%s %v: exit code %d, want %d and %q\n%s%s", name, format, code, c.code, c.says, out, errs)
			}
			if len(format) == 0 {
				continue
			}
			_, summary := published(t, out)
			if said, _ := summary["error"].(string); (said == "") != (code == cli.ExitOK) || !strings.Contains(said, c.says) {
				t.Errorf("%s: exit code %d and summary %v", name, code, summary)
			}
		}
	}
}

func TestAsJSONTheSummaryComesWithItsErrorHoweverItEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"good.jsonl": wish("a", "opay-eg", byOrder, amount4), "empty.jsonl": "\n", "bad.yaml": "nats: 3\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	away := natstest.FreeAddress(t)
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{cli.ExitFailed, "no connection to nats://" + away + " (refused)", []string{"good.jsonl", "--nats=nats://" + away}},
		{cli.ExitUsage, "there is no command in the input", []string{"empty.jsonl", "--nats=nats://" + away}},
		{cli.ExitUsage, "not-there.jsonl", []string{"not-there.jsonl"}},
		{cli.ExitUsage, "bad.yaml", []string{"good.jsonl", "--config", "bad.yaml"}},
	} {
		code, p := runProgram(t, dir, append([]string{"publish", "--json"}, c.args...)...)
		faults, summary := published(t, p.stdout.String())
		said, _ := summary["error"].(string)
		if code != c.code || len(faults) > 0 || summary["published"] != 0.0 || !strings.Contains(said, c.says) {
			t.Errorf("%v: exit code %d\n%s%s", c.args, code, p.stdout, p.stderr)
		}
	}
}

func TestWhatTheStreamHasUnderASourceAndIDIsComparedBeforeItCountsAsPublished(t *testing.T) {
	t.Parallel()
	p := setupPublishing(t)
	first := wish("a", "opay-eg", byOrder, amount4)
	if code, out, errs := p.run([]string{first}, p.url()); code != cli.ExitOK || !strings.Contains(out, "1 published") {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	for _, mode := range []string{"structured", "binary"} {
		if code, out, errs := p.run([]string{first}, p.url(), "--mode", mode); code != cli.ExitOK || !strings.Contains(out, "0 published, 1 were there already with the same content") {
			t.Errorf("again, %s: exit code %d\n%s%s", mode, code, out, errs)
		}
	}
	other := []string{wish("a", "opay-eg", byOrder, strings.Replace(amount4, "400", "500", 1)), wish("b", "opay-eg", byOrder, amount4)}
	code, out, errs := p.run(other, p.url())
	for _, want := range []string{"commands.jsonl:1: ce-id: duplicate (PAYMENT_COMMANDS has other content under this source and id, at sequence 1)", "1 commands were not published"} {
		if code != cli.ExitFailed || !strings.Contains(errs, want) {
			t.Errorf("exit code %d, want %q\n%s%s", code, want, out, errs)
		}
	}
	if !strings.Contains(out, "1 published, 0 were there already") || p.stored() != 2 {
		t.Errorf("%d stored\n%s", p.stored(), out)
	}
	code, out, errs = p.run(other, p.url(), "--json")
	faults, summary := published(t, out)
	if code != cli.ExitFailed || len(faults) != 1 || !strings.Contains(faults[0], `"line":1`) || summary["different"] != 1.0 || summary["duplicates"] != 1.0 {
		t.Errorf("as JSON: exit code %d\n%s%s", code, out, errs)
	}
}

func TestWhereTheStreamCannotBeReadWhatItHasIsNotCalledTheSame(t *testing.T) {
	t.Parallel()
	dir, server := t.TempDir(), natstest.Start(t, nil)
	js := server.JetStream(t)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER_NAME", Subjects: []string{"payment.*.requested"}}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "f.jsonl"), []byte(wish("a", "opay-eg", byOrder, amount4)), 0o600); err != nil {
		t.Fatal(err)
	}
	for n, want := range []struct {
		code int
		says string
	}{{cli.ExitOK, "1 published"}, {cli.ExitFailed, "could not be compared"}} {
		code, p := runProgram(t, dir, "publish", "f.jsonl", "--nats="+server.URL())
		if all := p.stdout.String() + p.stderr.String(); code != want.code || !strings.Contains(all, want.says) {
			t.Errorf("run %d: exit code %d, want %q\n%s", n, code, want.says, all)
		}
	}
}

func TestWhatProvidersAskOfACommandIsCheckedWithAConfigurationAndSaidToBeUncheckedWithout(t *testing.T) {
	t.Parallel()
	p := setupPublishing(t)
	file := []string{
		wish("a", "opay-eg", byOrder, amount4),                                // country by default
		wish("b", "opay-eg", `"transactionId":"1"`, amount4),                  // the kind needs orderId
		wish("c", "nobody", byOrder, amount4),                                 // not configured
		wish("d", "openpay-eu", `"transactionId":"t","orderId":"o"`, amount4), // no partial refunds there
		strings.Replace(wish("e", "opay-eg", byOrder, amount4), `"id"`, `"expirytime":"2020-01-01T00:00:00Z","id"`, 1),
		wish("f", "opay-eg", byOrder+`,"capturedAmount":{"value":1,"currency":"EGP"}`, amount4),
	}
	const unchecked = "What the providers ask of a command was not checked"
	code, out, errs := p.run(file, "--config", "config.yaml")
	want := []string{
		"commands.jsonl:2: /payment/orderId: required (this provider kind needs it)", "commands.jsonl:3: /provider: unknown_provider (configured are opay-eg, openpay-eu)",
		"commands.jsonl:4: partial_refund_unsupported", "commands.jsonl:5: expired", "commands.jsonl:6: amount_exceeds_captured",
		"5 of 6 commands are not valid; nothing was published",
	}
	for _, text := range want {
		if !strings.Contains(errs, text) {
			t.Errorf("%q is not said", text)
		}
	}
	if code != cli.ExitUsage || strings.Contains(errs, unchecked) || p.stored() != 0 {
		t.Errorf("exit code %d, %d stored\n%s%s", code, p.stored(), out, errs)
	}
	code, out, _ = p.run(file, "--config", "config.yaml", "--json")
	faults, summary := published(t, out)
	if code != cli.ExitUsage || len(faults) != 5 || summary["invalid"] != 5.0 || summary["published"] != 0.0 || summary["providerRules"] != true {
		t.Errorf("as JSON: exit code %d\n%s", code, out)
	}
	code, out, errs = p.run(file, p.url())
	if code != cli.ExitOK || !strings.Contains(errs, unchecked) || p.stored() != 6 {
		t.Errorf("without a configuration: exit code %d, %d stored\n%s%s", code, p.stored(), out, errs)
	}
	if _, out, _ := p.run(file[:1], p.url(), "--json"); !strings.Contains(out, `"providerRules":false`) {
		t.Errorf("as JSON: %s", out)
	}
}

func TestTheExampleFilePassesInTheBuiltInSetUpAndInThatOfTheExample(t *testing.T) {
	t.Parallel()
	file, err := filepath.Abs(filepath.Join(root, "examples", "local", "commands.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	l := startLocal(t)
	code, p := runProgram(t, t.TempDir(), "publish", file, "--nats="+l.js.Conn().ConnectedUrl())
	if code != cli.ExitOK || !strings.Contains(p.stdout.String(), "5 published") {
		t.Fatalf("exit code %d\n%s%s", code, p.stdout, p.stderr)
	}
	for _, subject := range []string{
		"payment.refund.*.opay-eg.1001000.*", "payment.cancel.*.opay-eg.1001009.*", "payment.refund.*.openpay-eu.529-1438673740-0.*",
		"payment.refund.*.tranzzo-ua.ua-1000.*", "payment.cancel.*.bento-uk.tx-1009.*",
	} {
		l.event(strings.Replace(subject, "*", "succeeded", 1))
	}
	// The instances know what theirs do in the example's configuration.
	l.publish("payment.refund.requested", wish("silent", "tranzzo-ua", `"orderId":"ua-1004"`, `"amount":{"value":400,"currency":"UAH"}`))
	l.event("payment.refund.succeeded.tranzzo-ua.ua-1004.*")
	if n := natstest.Messages(t, l.js, "PAYMENT_REFUSALS"); n != 0 {
		t.Errorf("%d commands were rejected", n)
	}
	// In the example's own set-up nothing but the providers' rules can differ: the
	// walk-through runs the rest. Nobody listens at this address.
	nobody := filepath.Join(t.TempDir(), "config.yaml")
	own := strings.Replace(readFile(t, filepath.Join(root, "examples", "local", "config.yaml")), "127.0.0.1:4222", "127.0.0.1:1", 1)
	if err := os.WriteFile(nobody, []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	code, p = runProgram(t, root, "publish", "examples/local/commands.jsonl", "--config", nobody, "--json")
	if !strings.Contains(p.stderr.String(), "127.0.0.1:1") {
		t.Errorf("exit code %d\n%s%s", code, p.stdout, p.stderr)
	}
	if faults, _ := published(t, p.stdout.String()); len(faults) > 0 {
		t.Errorf("exit code %d, faults %v\n%s", code, faults, p.stderr)
	}
}

func TestEveryFileThatAPersonHandsOverMayBeginWithAByteOrderMark(t *testing.T) {
	t.Parallel()
	const mark = "\ufeff"
	r := setupRejecting(t, "desk: {selfAsserted: true, operator: ana}\n")
	r.write("config.yaml", mark+readFile(t, filepath.Join(r.dir, "config.yaml")))
	r.write("good.json", mark+strings.ReplaceAll(misspelled, "ammount", "amount"))
	r.write("commands.jsonl", mark+wish("a", "opay-eg", byOrder, amount4)+"\n")
	r.write("rulings.jsonl", mark+`{"provider":"opay-eg","payment":"none","operation":"refund","idempotencyKey":"k","view":"1@2026-01-01T00:00:00Z","as":"failed","reason":"r","evidence":"e"}`+"\n")
	for name, from := range map[string]string{"joined.jsonl": "commands.jsonl", "twice.jsonl": "rulings.jsonl"} {
		one := readFile(t, filepath.Join(r.dir, from))
		r.write(name, one+one)
	}
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{cli.ExitOK, "1 published", []string{"publish", "commands.jsonl"}},
		{cli.ExitOK, "would publish refund of key k", []string{"rejected", "replay", r.token, "--reason", "typing error", "--file", "good.json"}},
		{cli.ExitNone, "there is no such payment", []string{"review", "resolve", "--file", "rulings.jsonl"}},
		{cli.ExitUsage, "joined.jsonl:2: json (a byte order mark (U+FEFF) stands here, as where files were joined: remove it)", []string{"publish", "joined.jsonl"}},
		{cli.ExitUsage, "twice.jsonl:2: a byte order mark (U+FEFF) stands here, as where files were joined: remove it", []string{"review", "resolve", "--file", "twice.jsonl"}},
	} {
		code, p := runProgram(t, r.dir, append(c.args, "--config", "config.yaml")...)
		if all := p.stdout.String() + p.stderr.String(); code != c.code || !strings.Contains(all, c.says) {
			t.Errorf("%v: exit code %d, want %q\n%s", c.args, code, c.says, all)
		}
	}
	r.write("config.yaml", "\xff\xfen\x00a\x00")
	if code, p := runProgram(t, r.dir, "publish", "commands.jsonl", "--config", "config.yaml"); code != cli.ExitUsage || !strings.Contains(p.stderr.String(), "config.yaml: it is UTF-16, not UTF-8: save it as UTF-8") {
		t.Errorf("UTF-16: exit code %d\n%s", code, p.stderr)
	}
	// What is published is no file: there it is a fault, which is named.
	if _, err := r.js.Publish(t.Context(), "payment.refund.requested", []byte(mark+wish("m", "opay-eg", byOrder, amount4))); err != nil {
		t.Fatal(err)
	}
	token := events.RejectionToken(3, []byte(mark+wish("m", "opay-eg", byOrder, amount4)))
	if said := string(awaitEvent(t, r.js, "payment.command.rejected."+token).Data()); !strings.Contains(said, "begins with a byte order mark of UTF-8") {
		t.Errorf("the rejection is %s", said)
	}
}

func TestAReplayIsCheckedByItsProvidersRulesBeforeItIsCalledPublished(t *testing.T) {
	t.Parallel()
	r := setupRejecting(t, "desk: {selfAsserted: true, operator: ana}\n")
	before := natstest.Messages(t, r.js, "PAYMENT_COMMANDS")
	for name, c := range map[string]struct{ from, to, says string }{
		"the kind needs an order": {`"orderId"`, `"transactionId"`, "/payment/orderId required"},
		"more than was captured":  {`"orderId":"order-7"`, `"orderId":"order-7","capturedAmount":{"value":1,"currency":"EGP"}`, "amount_exceeds_captured"},
	} {
		r.write("bad.json", strings.Replace(strings.ReplaceAll(misspelled, "ammount", "amount"), c.from, c.to, 1))
		for _, apply := range [][]string{nil, {"--apply"}} {
			args := append([]string{"replay", r.token, "--reason", "typing error", "--file", "bad.json"}, apply...)
			code, out, errs := r.run(args...)
			if code != cli.ExitFailed || !strings.Contains(errs, c.says) || !strings.Contains(errs, "nothing was published") || strings.Contains(out, "published") {
				t.Errorf("%s, %v: exit code %d\n%s%s", name, apply, code, out, errs)
			}
		}
	}
	if n := natstest.Messages(t, r.js, "PAYMENT_COMMANDS"); n != before || r.count("payment.operator.>") != 0 {
		t.Errorf("%d commands, want %d", n, before)
	}
}
