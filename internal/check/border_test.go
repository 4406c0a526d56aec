package check_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/internal/check"
)

// bordered checks a server whose account of the streams has what is added to it, beside
// one account that offers it everything. domain is that of the server's JetStream.
func bordered(t *testing.T, domain, added string) []check.Finding {
	t.Helper()
	text := strings.Replace(durable, "sync_interval", domain+"sync_interval", 1) + `
accounts {
  P: {jetstream: enabled, users: [{user: admin, password: p}]
    ` + added + `
  }
  EVIL: {exports: [{stream: "s.>"}, {service: "q.>"}]}
}`
	return of(provisioned(t, text, nats.UserInfo("admin", "p")).as("admin").findings(nil), check.Account)
}

func TestWhatAnAccountImportsAtOurSubjectsIsNamed(t *testing.T) {
	t.Parallel()
	found := bordered(t, "", `imports: [
		{stream: {account: EVIL, subject: "s.command"}, to: "payment.refund.requested.openpay-eu"}
		{stream: {account: EVIL, subject: "s.*.*"}, to: "payment.refund.succeeded.$1.$2.1"}
		{stream: {account: EVIL, subject: "s.>"}, prefix: "payment"}
		{stream: {account: EVIL, subject: "s.x.*"}, to: "$1.refund.requested"}
		{stream: {account: EVIL, subject: "s.inbox"}, to: "_INBOX.a.b"}
		{service: {account: EVIL, subject: "q.desk"}, to: "payments.desk.queue.olga"}
		{service: {account: EVIL, subject: "q.all.*"}, to: "payment.refund.requested.*"}
		{service: {account: EVIL, subject: "q.kv"}, to: "$KV.PAYMENT_CONTROL.shop"}
		{stream: {account: EVIL, subject: "s.other"}, to: "shop.orders"}
		{service: {account: EVIL, subject: "q.other"}, to: "shop.prices"}
	]`)
	want := map[string]string{
		"payment.refund.requested.openpay-eu": "a stream of account EVIL (s.command)", "payment.refund.succeeded.*.*.1": "a stream of account EVIL (s.*.*)",
		"payment.s.>": "a stream of account EVIL (s.>)", "*.refund.requested": "a stream of account EVIL (s.x.*)", "_INBOX.a.b": "a stream of account EVIL (s.inbox)",
		"payments.desk.queue.olga": "a service of account EVIL (q.desk)", "payment.refund.requested.*": "a service of account EVIL (q.all.*)",
		"$KV.PAYMENT_CONTROL.shop": "a service of account EVIL (q.kv)",
	}
	for _, f := range found {
		local := strings.TrimSuffix(strings.TrimPrefix(f.What, "import "), " of P")
		if f.Severity != check.Error || f.Is != want[local] || f.Do == "" {
			t.Errorf("%s, want is %q", f, want[local])
		}
		delete(want, local)
	}
	if len(want) > 0 {
		t.Errorf("not named: %v", want)
	}
}

func TestEachMappingThatTouchesOurSubjectsIsNamed(t *testing.T) {
	t.Parallel()
	found := bordered(t, "domain: payments, ", `mappings: {
		"payment.refund.requested.opay-eg": "payment.refund.requested.openpay-eu"
		"payment.cancel.requested.*": [{destination: "payment.cancel.requested.$1", weight: 40%%}, {destination: "lost", weight: 60%%}]
		"payment.refund.succeeded.>": "dropped.>"
		"foo": "payment.refund.requested.openpay-eu"
		"bar.*": "{{wildcard(1)}}.refund.requested"
		"baz.*": "{{splitFromLeft(1,3)}}.x"
		"*.status": "elsewhere.{{wildcard(1)}}"
		"all": [{destination: "shop.a", weight: 50%%}, {destination: "$JS.API.STREAM.PURGE.PAYMENT_EVENTS", weight: 50%%}]
		"shop.orders": "shop.orders.new"
		"$JS.other.API.STREAM.>": "$JS.API.CONSUMER.>"
	}`)
	want := map[string]string{
		"payment.refund.requested.opay-eg": "to payment.refund.requested.openpay-eu",
		"payment.cancel.requested.*":       "to payment.cancel.requested.$1 and lost",
		"payment.refund.succeeded.>":       "to dropped.>", "foo": "to payment.refund.requested.openpay-eu",
		"bar.*": "to {{wildcard(1)}}.refund.requested", "baz.*": "to {{splitFromLeft(1,3)}}.x", "*.status": "to elsewhere.{{wildcard(1)}}",
		"$JS.other.API.STREAM.>": "to $JS.API.CONSUMER.>",
		"all":                    "to shop.a and $JS.API.STREAM.PURGE.PAYMENT_EVENTS",
	}
	for _, f := range found {
		from := strings.TrimSuffix(strings.TrimPrefix(f.What, "mapping of "), " in P")
		if f.Severity != check.Error || f.Is != want[from] || f.Do == "" {
			t.Errorf("%s, want is %q", f, want[from])
		}
		delete(want, from)
	}
	if len(want) > 0 {
		t.Errorf("not named: %v", want)
	}
}

// The server itself imports what clients ask it, and maps the domain of its JetStream.
func TestTheServersOwnImportsAndMappingsAreNoFinding(t *testing.T) {
	t.Parallel()
	for _, domain := range []string{"", "domain: payments, "} {
		for _, f := range bordered(t, domain, "") {
			t.Error(f)
		}
	}
}
