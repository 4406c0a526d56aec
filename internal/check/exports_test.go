package check_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/countermand/countermand/internal/check"
)

// exported is the account's exports of a running server, checked.
func exported(t *testing.T, exports string) []check.Finding {
	t.Helper()
	text := durable + "\naccounts {P: {jetstream: enabled\n" + exports + "\nusers: [{user: admin, password: p}]}, PEOPLE: {}, READER: {}}"
	return provisioned(t, text, nats.UserInfo("admin", "p")).as("admin").findings(nil)
}

// include puts the shipped files in the place of the lines that include them.
func include(t *testing.T, text string) string {
	t.Helper()
	return regexp.MustCompile(`include permissions/(\S+)\.conf`).ReplaceAllStringFunc(text, func(line string) string {
		return shipped(t, strings.TrimSuffix(strings.TrimPrefix(line, "include permissions/"), ".conf"))
	})
}

func TestThePermissionsOfTheContractHaveNoFinding(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/contract.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "\n```conf\n")
	text, _, closed := strings.Cut(rest, "\n```\n")
	if !found || !closed {
		t.Fatal("docs/contract.md has no configuration of a server")
	}
	text = regexp.MustCompile(`(?m)^(listen|jetstream): .*$`).ReplaceAllString(text, "")
	text = regexp.MustCompile(`\$\w+_PASSWORD`).ReplaceAllString(text, "secret")
	text = regexp.MustCompile(`(?m)^\w+_NKEY: \w+$`).ReplaceAllStringFunc(text, func(line string) string {
		pair, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		public, err := pair.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(line, ":")
		return name + ": " + public
	})
	text = strings.Replace(text, "users: [\n", "users: [\n{user: admin, password: p}\n", 1)
	text = durable + "\n" + strings.ReplaceAll(include(t, text), "%", "%%")
	want(t, provisioned(t, text, nats.UserInfo("admin", "p")).as("admin").findings(nil))
}

func TestEachExportBeyondTheShippedOnesIsNamed(t *testing.T) {
	t.Parallel()
	services := []string{
		"payments.desk.*.*", "payments.control.*.*", "payments.>", ">", "payment.>", "payment.refund.requested", "payment.refund.requested.>",
		"payment.refund.*.*.*.*", "payment.*.*.*.*.*", "payment.due.refund", "payment.schedule.>", "payment.operator.*.*", "payment.command.rejected.*",
		"$KV.>", "$KV.PAYMENT_CONTROL._epoch", "$JS.API.>", "$JS.API.CONSUMER.CREATE.PAYMENT_EVENTS.*", "$JS.API.CONSUMER.DURABLE.CREATE.PAYMENT_EVENTS.*",
		"$JS.API.CONSUMER.DELETE.PAYMENT_EVENTS.*", "$JS.API.CONSUMER.PAUSE.PAYMENT_COMMANDS.*", "$JS.API.CONSUMER.MSG.NEXT.PAYMENT_COMMANDS.*",
		"$JS.ACK.PAYMENT_COMMANDS.*.>", "$JS.ACK.>", "$JS.API.STREAM.PURGE.PAYMENT_EVENTS", "$JS.API.STREAM.MSG.DELETE.*", "$JS.API.STREAM.RESTORE.PAYMENT_EVENTS",
		"$JS.API.STREAM.SNAPSHOT.PAYMENT_EVENTS", "$JS.API.CONSUMER.RESET.PAYMENT_COMMANDS.*", "$JS.API.STREAM.LEADER.STEPDOWN.PAYMENT_EVENTS",
		"$JS.API.STREAM.MSG.GET.PAYMENT_REJECTED", "$SRV.>", "_INBOX.>",
		// More of the kind.
		"payment.*.requested.*", "payments.desk.*.olaf", "payments.status", "payments.results.*", "$JS.payments.API.>", "$JS.API.CONSUMER.MSG.NEXT.PAYMENT_EVENTS.payment-consumer",
		"$JS.ACK.PAYMENT_EVENTS.payment-consumer.>", "$JS.API.STREAM.INFO.*", "$JS.FC.>", "$JS.API.STREAM.MSG.GET.PAYMENT_EVENTS", "_INBOX_provisioner.>", "_R_.>", "*.*",
	}
	streams := []string{">", "_INBOX.>", "payment.>", "payments.desk.*.*", "payment.refund.requested.*", "payments.results.>", "$JS.ACK.>"}
	var exports []string
	var lines []string
	for _, s := range services {
		exports, lines = append(exports, fmt.Sprintf("{service: %q}", s)), append(lines, "service "+s)
	}
	for _, s := range streams {
		exports, lines = append(exports, fmt.Sprintf("{stream: %q}", s)), append(lines, "stream "+s)
	}
	told := map[string]int{}
	for _, f := range of(exported(t, "exports: ["+strings.Join(exports, "\n")+"]"), check.Account) {
		kind := "service "
		if strings.HasPrefix(f.Is, "a stream ") {
			kind = "stream "
		}
		if f.Severity != check.Error || f.Do == "" {
			t.Error(f)
		}
		told[kind+strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(f.What, ", accounts"), "export "), " of P")]++
	}
	for _, line := range lines {
		if told[line] != 1 {
			t.Errorf("%s: %d findings, want 1", line, told[line])
		}
		delete(told, line)
	}
	if len(told) > 0 {
		t.Errorf("also named: %v", told)
	}
	if found := of(exported(t, `exports: [{service: "payments.>", accounts: [PEOPLE]}]`), check.Account); len(found) != 1 {
		t.Errorf("for an account: found %v", found)
	}
}
