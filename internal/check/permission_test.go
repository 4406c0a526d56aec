package check_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/internal/check"
)

// needed are the subjects the service publishes to, as a least-privilege
// account lists them.
func needed() []string {
	all := []string{
		"$JS.API.CONSUMER.INFO.PAYMENT_COMMANDS.payment-consumer", "$JS.API.CONSUMER.INFO.PAYMENT_DUE.payment-consumer", "$JS.API.CONSUMER.INFO.PAYMENT_EVENTS.payment-consumer",
		"$JS.API.CONSUMER.MSG.NEXT.PAYMENT_COMMANDS.payment-consumer", "$JS.API.CONSUMER.MSG.NEXT.PAYMENT_DUE.payment-consumer", "$JS.API.CONSUMER.MSG.NEXT.PAYMENT_EVENTS.payment-consumer",
		"$JS.ACK.PAYMENT_COMMANDS.payment-consumer.>", "$JS.ACK.PAYMENT_DUE.payment-consumer.>", "$JS.ACK.PAYMENT_EVENTS.payment-consumer.>",
		"$JS.API.STREAM.MSG.GET.PAYMENT_EVENTS", "$JS.API.STREAM.MSG.GET.PAYMENT_COMMANDS", "$JS.API.STREAM.MSG.GET.PAYMENT_REJECTED", "$JS.API.STREAM.MSG.DELETE.PAYMENT_REJECTED",
		"$JS.API.STREAM.INFO.PAYMENT_COMMANDS", "$JS.API.STREAM.INFO.PAYMENT_EVENTS", "$JS.API.STREAM.INFO.PAYMENT_DUE",
		"$JS.API.STREAM.INFO.PAYMENT_REFUSALS", "$JS.API.STREAM.MSG.GET.PAYMENT_REFUSALS",
		"$JS.API.STREAM.INFO.PAYMENT_REJECTED", "$JS.API.STREAM.INFO.KV_PAYMENT_CONTROL", "$JS.API.STREAM.MSG.GET.KV_PAYMENT_CONTROL",
		"$KV.PAYMENT_CONTROL._mark", "$KV.PAYMENT_CONTROL._epoch", "$KV.PAYMENT_CONTROL._replica.*", "$KV.PAYMENT_CONTROL.opay-eg",
		"payment.command.rejected.*", "payment.operator.*.*", "payment.quarantine.*", "payment.schedule.cancel.>", "payment.schedule.refund.>",
		"payment.cancel.requested", "payment.refund.requested",
		"payment.refund.returned.*.*.*",
	}
	for _, t := range []string{"started", "deferred", "pending", "indeterminate", "succeeded", "failed", "rejected", "executed_late"} {
		all = append(all, "payment.cancel."+t+".*.*.*", "payment.refund."+t+".*.*.*")
	}
	return all
}

// looking is what only this check needs.
func looking() []string {
	return []string{
		"$JS.API.STREAM.MSG.GET.PAYMENT_DUE",
		"$JS.API.CONSUMER.CREATE.PAYMENT_EVENTS.*", "$JS.API.CONSUMER.MSG.NEXT.PAYMENT_EVENTS.*", "$JS.API.CONSUMER.INFO.PAYMENT_EVENTS.*",
		"$JS.API.CONSUMER.DELETE.PAYMENT_EVENTS.*",
	}
}

// users returns a server's configuration with one account: an administrator
// and the given users.
func users(all ...string) string {
	return durable + `
accounts {P: {jetstream: enabled, users: [
  {user: admin, password: p}
  ` + strings.ReplaceAll(strings.Join(all, "\n  "), "%", "%%") + `
]}}`
}

func user(name, permissions string) string {
	return fmt.Sprintf(`{user: %s, password: p, permissions: {%s}}`, name, permissions)
}

func quoted(subjects []string) string { return `["` + strings.Join(subjects, `", "`) + `"]` }

// as makes the checked configuration one user's.
func (b *bundle) as(name string) *bundle {
	other := *b
	cfg := *b.cfg
	cfg.NATS.URL = strings.Replace(b.server.ClientURL(), "nats://", "nats://"+name+":p@", 1)
	other.cfg = &cfg
	return &other
}

func TestEachPermissionThatIsMissingIsNamedAlone(t *testing.T) {
	t.Parallel()
	var all []string
	for i, subject := range needed() {
		all = append(all, user(fmt.Sprintf("without%d", i), fmt.Sprintf(`publish: {deny: [%q]}`, subject)))
	}
	b := provisioned(t, users(all...), nats.UserInfo("admin", "p"))
	want(t, b.as("admin").findings(&check.Options{Deep: true}))
	for i, subject := range needed() {
		var got []check.Finding
		for _, f := range b.as(fmt.Sprintf("without%d", i)).findings(nil) {
			if f.Severity == check.Error {
				got = append(got, f)
			}
		}
		if len(got) != 1 || got[0].Check != check.Permission || !covered(subject, strings.TrimPrefix(got[0].What, "publish to ")) {
			t.Errorf("without %s: findings %v", subject, got)
		}
	}
}

// covered reports whether a permission's subject is the one that was tried.
func covered(pattern, subject string) bool {
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

func TestALeastPrivilegeAccountMayAllTheServiceNeedsAndHidesTheRest(t *testing.T) {
	t.Parallel()
	b := provisioned(t, users(
		user("service", "publish: "+quoted(needed())+`, subscribe: ["_INBOX.>", "payments.desk.*.*", "payments.control.*.*", "payments.status", "payments.status.*", "$SRV.>"]`),
		user("looker", "publish: "+quoted(append(needed(), looking()...))+`, subscribe: ["_INBOX.>", "payments.desk.*.*", "payments.control.*.*", "payments.status", "payments.status.*", "$SRV.>"]`),
		user("deaf", `subscribe: {deny: "_INBOX.>"}`),
		user("deskless", `subscribe: {deny: "payments.desk.*.*"}`),
		user("unknown", `subscribe: {deny: "$SRV.>"}`),
		user("unasked", `subscribe: {deny: ["payments.status", "payments.status.*"]}`),
	), nats.UserInfo("admin", "p"))
	want(
		t, b.as("service").findings(&check.Options{Deep: true}),
		line{check.NotVerifiable, check.OpenWork, "timers"},
	)
	want(t, b.as("looker").findings(&check.Options{Deep: true}))
	want(t, b.as("deaf").findings(nil), line{check.Error, check.Permission, "subscribe to _INBOX.>"})
	want(t, b.as("deskless").findings(nil), line{check.Error, check.Permission, "subscribe to payments.desk.*.*"})
	want(t, b.as("unknown").findings(nil), line{check.Error, check.Permission, "subscribe to $SRV.>"})
	want(
		t, b.as("unasked").findings(nil),
		line{check.Error, check.Permission, "subscribe to payments.status"}, line{check.Error, check.Permission, "subscribe to payments.status.*"},
	)
}
