package main

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/providers/opay/opaysim"
)

func TestReconcileHasTheServiceTellOfARefundThatCameBack(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, nil)
	s := &service{t: t, dir: t.TempDir(), admin: natstest.FreeAddress(t), js: server.JetStream(t)}
	sim := opaysim.New(opaysim.Options{FirstStatus: "SUCCESS"})
	web := httptest.NewServer(sim)
	t.Cleanup(web.Close)
	t.Cleanup(sim.Close)
	s.write("secret", opaysim.DefaultSecretKey)
	s.write("config.yaml", fmt.Sprintf(`nats: {url: %q, replicas: 1}
admin: {listen: %q}
desk: {selfAsserted: true}
lateLook: {after: 0s}
providers:
  - {name: opay-eg, kind: opay, baseURL: %q, merchantID: %q, secretKey: {file: secret}, callbackURL: "https://shop.example/opay"}
`, server.URL(), s.admin, web.URL, opaysim.DefaultMerchantID))
	if code, p := runProgram(t, s.dir, "provision", "--config", "config.yaml"); code != cli.ExitOK {
		t.Fatalf("provision: %s", p.stderr)
	}
	start(t, s.dir, "run", "--config", "config.yaml")
	awaitStatus(t, "http://"+s.admin+"/readyz", 200)
	if err := sim.AddPayment(opaysim.Payment{Reference: "1001", Country: "EG", Amount: 40000, Currency: "EGP"}); err != nil {
		t.Fatal(err)
	}
	const command = `{"specversion":"1.0","id":"e","source":"/shop","type":"payment.refund.requested","data":{"idempotencyKey":"k","provider":"opay-eg","payment":{"orderId":"1001","country":"EG"},"amount":{"value":400,"currency":"EGP"}}}`
	if _, err := s.js.Publish(t.Context(), "payment.refund.requested", []byte(command)); err != nil {
		t.Fatal(err)
	}
	succeeded := awaitEvent(t, s.js, "payment.refund.succeeded.>").Data()
	var e struct {
		Data struct {
			ClientReference string `json:"clientReference"`
		} `json:"data"`
	}
	if err := json.Unmarshal(succeeded, &e); err != nil {
		t.Fatal(err)
	}
	if err := sim.Return(e.Data.ClientReference); err != nil {
		t.Fatal(err)
	}
	day := time.Now().UTC().Truncate(24 * time.Hour)
	args := []string{
		"reconcile", "--config", "config.yaml", "--provider", "opay-eg", "--operator", "ana",
		"--from", day.Add(-24 * time.Hour).Format(time.DateOnly), "--to", day.Add(48 * time.Hour).Format(time.DateOnly),
	}
	run := func(more ...string) (int, string) {
		code, p := runProgram(t, s.dir, append(args, more...)...)
		return code, p.stdout.String() + p.stderr.String()
	}
	if code, out := run(); code != 1 || !strings.Contains(out, "not_executed") || strings.Contains(out, "went out") {
		t.Errorf("without --apply: exit code %d\n%s", code, out)
	}
	if code, out := run("--apply"); code != cli.ExitUsage || !strings.Contains(out, "--reason") {
		t.Errorf("without a reason: exit code %d\n%s", code, out)
	}
	if code, out := run("--apply", "--reason", "the weekly statement"); code != 1 || !strings.Contains(out, "payment.refund.returned went out") || !strings.Contains(out, "1 events went out") {
		t.Errorf("with --apply: exit code %d\n%s", code, out)
	}
	if got := string(awaitEvent(t, s.js, "payment.refund.returned.>").Data()); !strings.Contains(got, `"moved":{"value":400`) {
		t.Errorf("the fact is %s", got)
	}
	if got := string(awaitEvent(t, s.js, "payment.operator.look.*").Data()); !strings.Contains(got, "the weekly statement") || !strings.Contains(got, `"ana"`) {
		t.Errorf("the record is %s", got)
	}
	if code, out := run("--apply", "--reason", "once more"); code != cli.ExitOK || strings.Contains(out, "not_executed") {
		t.Errorf("once it was told: exit code %d\n%s", code, out)
	}
}
