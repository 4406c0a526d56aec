package main

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/simulator"
)

// service is what surrounds "consumer run --config": a server, a simulated
// provider over HTTP and a configuration file that names both.
type service struct {
	t     *testing.T
	dir   string
	admin string
	js    jetstream.JetStream
	opay  *opaysim.Simulator
}

func newService(t *testing.T) *service {
	t.Helper()
	server := natstest.Start(t, nil)
	s := &service{
		t: t, dir: t.TempDir(), admin: natstest.FreeAddress(t), js: server.JetStream(t),
		opay: opaysim.New(opaysim.Options{FirstStatus: "SUCCESS"}),
	}
	web := httptest.NewServer(s.opay)
	t.Cleanup(web.Close)
	t.Cleanup(s.opay.Close) // before web.Close, which waits for calls that hang
	s.write("secret", opaysim.DefaultSecretKey+"\n")
	s.write("config.yaml", fmt.Sprintf(`nats: {url: %q, replicas: 1}
admin: {listen: %q}
providers:
  - {name: opay-eg, kind: opay, baseURL: %q, merchantID: %q, secretKey: {file: secret}, callbackURL: "https://shop.example/opay", country: EG}
`, server.URL(), s.admin, web.URL, opaysim.DefaultMerchantID))
	return s
}

func (s *service) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// refund adds a payment at the provider and publishes a command to refund 400 of it.
func (s *service) refund(order string) {
	s.t.Helper()
	if err := s.opay.AddPayment(opaysim.Payment{Reference: order, Country: "EG", Amount: 40000, Currency: "EGP"}); err != nil {
		s.t.Fatal(err)
	}
	body := fmt.Sprintf(`{"specversion":"1.0","id":"e-%[1]s","source":"/shop","type":"payment.refund.requested","data":{"idempotencyKey":"k","provider":"opay-eg","payment":{"orderId":"%[1]s"},"amount":{"value":400,"currency":"EGP"}}}`, order)
	if _, err := s.js.Publish(s.t.Context(), "payment.refund.requested", []byte(body)); err != nil {
		s.t.Fatal(err)
	}
}

// count returns how many events lie on subjects of the filter.
func (s *service) count(filter string) int {
	s.t.Helper()
	stream, err := s.js.Stream(s.t.Context(), "PAYMENT_EVENTS")
	if err != nil {
		s.t.Fatal(err)
	}
	info, err := stream.Info(s.t.Context(), jetstream.WithSubjectFilter(filter))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(info.State.Subjects)
}

func TestProvisioningTwiceChangesNothingTheSecondTime(t *testing.T) {
	t.Parallel()
	s := newService(t)
	code, first := runProgram(t, s.dir, "provision", "--config", "config.yaml")
	if created := strings.Count(first.stdout.String(), "created "); code != cli.ExitOK || created != 9 {
		t.Errorf("exit code %d, %d created, want 6 streams and 3 consumers\n%s%s", code, created, first.stdout, first.stderr)
	}
	code, second := runProgram(t, s.dir, "provision", "--config", "config.yaml")
	if code != cli.ExitOK || second.stdout.String() != "nothing to change\n" {
		t.Errorf("exit code %d: %s%s", code, second.stdout, second.stderr)
	}
}

func TestProvisioningWithoutAServerSaysSo(t *testing.T) {
	t.Parallel()
	s := newService(t)
	file := filepath.Join(s.dir, "config.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	nobody := regexp.MustCompile(`nats://127\.0\.0\.1:\d+`).ReplaceAllString(string(text), "nats://"+natstest.FreeAddress(t))
	if err := os.WriteFile(file, []byte(nobody), 0o600); err != nil {
		t.Fatal(err)
	}
	code, p := runProgram(t, s.dir, "provision", "--config", "config.yaml")
	if text := p.stderr.String(); code != cli.ExitFailed || !strings.Contains(text, "provision: no connection to nats://127.0.0.1:") || !strings.Contains(text, " (refused)") {
		t.Errorf("exit code %d: %s", code, text)
	}
}

func TestAServiceToldToStopFinishesWhatIsInHandAndTakesNothingNew(t *testing.T) {
	t.Parallel()
	s := newService(t)
	if code, p := runProgram(t, s.dir, "provision", "--config", "config.yaml"); code != cli.ExitOK {
		t.Fatalf("provision: exit code %d: %s", code, p.stderr)
	}
	p := start(t, s.dir, "run", "--config", "config.yaml")
	awaitStatus(t, "http://"+s.admin+"/readyz", 200)
	if err := s.opay.Fault(simulator.Fault{Operation: "refund", Mode: simulator.Delay, Times: 1}); err != nil {
		t.Fatal(err)
	}
	s.refund("in-hand")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.opay.WaitCalls(ctx, 1); err != nil {
		t.Fatal(err)
	}
	p.terminate()
	if why := awaitStatus(t, "http://"+s.admin+"/readyz", 503); !strings.Contains(why, "not running") {
		t.Errorf("not ready because %q", why)
	}
	s.refund("too-late")
	s.opay.Release()
	if code := p.exit(); code != cli.ExitOK {
		t.Errorf("exit code %d after SIGTERM\n%s", code, p.stderr)
	}
	if n := s.count("payment.*.*.opay-eg.in-hand.*"); n != 2 {
		t.Errorf("%d events, want started and its one result", n)
	}
	if n := s.count("payment.*.succeeded.opay-eg.in-hand.*"); n != 1 {
		t.Errorf("%d results of what was in hand, want 1", n)
	}
	if n := s.count("payment.*.*.opay-eg.too-late.*"); n != 0 {
		t.Errorf("%d events of a command that came after SIGTERM, want 0", n)
	}
	if n := len(s.opay.Ledger().Movements("")); n != 1 {
		t.Errorf("money moved %d times, want once", n)
	}
	next := start(t, s.dir, "run", "--config", "config.yaml")
	awaitEvent(t, s.js, "payment.refund.succeeded.opay-eg.too-late.2")
	next.terminate()
	if code := next.exit(); code != cli.ExitOK || s.count("payment.*.succeeded.opay-eg.>") != 2 {
		t.Errorf("the next process: exit code %d, %d results", code, s.count("payment.*.succeeded.opay-eg.>"))
	}
}

func TestAWrongConfigurationIsRefusedWithAllItsFaultsAndTheirPlaces(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.write("wrong.yaml", `nats: {url: "nats://127.0.0.1:4222", replicas: 2}
concurency: 10
providers:
  - name: opay-eg
    kind: opay
    baseURL: http://api.opaycheckout.com
    merchantID: "256612345678901"
    secretKey: OPAYPRV-written-into-the-file
    callbackURL: https://shop.example/opay
    timeout: soon
`)
	for _, command := range []string{"run", "provision"} {
		code, p := runProgram(t, s.dir, command, "--config", "wrong.yaml")
		said := p.stderr.String()
		if code != cli.ExitUsage {
			t.Errorf("%s: exit code %d, want %d", command, code, cli.ExitUsage)
		}
		for _, fault := range []string{
			`wrong\.yaml:1: nats\.replicas`, `wrong\.yaml:2: concurency`, `wrong\.yaml:6: providers\[0\]\.baseURL`,
			`wrong\.yaml:8: providers\[0\]\.secretKey`, `wrong\.yaml:10: providers\[0\]\.timeout`,
		} {
			if !regexp.MustCompile(fault).MatchString(said) {
				t.Errorf("%s does not name %s:\n%s", command, fault, said)
			}
		}
		if strings.Contains(said, "OPAYPRV") {
			t.Errorf("%s shows the secret:\n%s", command, said)
		}
	}
}

func TestAServiceWritesItsProfileWhenItIsToldToStop(t *testing.T) {
	t.Parallel()
	s := newService(t)
	if code, p := runProgram(t, s.dir, "provision", "--config", "config.yaml"); code != cli.ExitOK {
		t.Fatalf("provision: exit code %d: %s", code, p.stderr)
	}
	nowhere := filepath.Join(s.dir, "nowhere", "cpu")
	if code, p := runProgram(t, s.dir, "run", "--config", "config.yaml", "--cpu-profile", nowhere); code != cli.ExitUsage {
		t.Errorf("a file that cannot be written: exit code %d, want %d\n%s", code, cli.ExitUsage, p.stderr)
	}
	file := filepath.Join(s.dir, "cpu")
	p := start(t, s.dir, "run", "--config", "config.yaml", "--cpu-profile", file)
	awaitStatus(t, "http://"+s.admin+"/readyz", 200)
	p.terminate()
	if code := p.exit(); code != cli.ExitOK {
		t.Fatalf("exit code %d after SIGTERM\n%s", code, p.stderr)
	}
	compressed, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer compressed.Close()
	profile, err := gzip.NewReader(compressed)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, profile); err != nil || n == 0 {
		t.Errorf("a profile of %d bytes, error %v", n, err)
	}
}

func TestAServiceThatStartsWithoutNATSNamesTheServerAndTheCauseAndGoesOnOnceItIsThere(t *testing.T) {
	t.Parallel()
	s, server := newService(t), natstest.Start(t, nil)
	s.write("config.yaml", fmt.Sprintf(
		"nats: {url: %q, replicas: 1}\nadmin: {listen: %q}\nproviders:\n  - {name: shop, kind: bento, baseURL: 'http://127.0.0.1:1', account: a, token: {env: OPENPAY_KEY}}\n",
		server.URL(), s.admin,
	))
	if code, p := runProgram(t, s.dir, "provision", "--config", "config.yaml"); code != cli.ExitOK {
		t.Fatalf("provision: exit code %d: %s", code, p.stderr)
	}
	server.Shutdown(t)
	p := start(t, s.dir, "run", "--config", "config.yaml")
	words := "no connection to " + server.URL() + " (refused)"
	p.await(p.stderr, words)
	if why := awaitStatus(t, "http://"+s.admin+"/readyz", 503); !strings.HasPrefix(why, words) {
		t.Errorf("not ready because %q", why)
	}
	server.Restart(t)
	awaitStatus(t, "http://"+s.admin+"/readyz", 200)
	if said := p.stderr.String(); strings.Contains(said, "buffer limit") || strings.Count(said, words) != 1 {
		t.Errorf("it says %s", said)
	}
	p.terminate()
	if code := p.exit(); code != cli.ExitOK {
		t.Errorf("exit code %d", code)
	}
}
