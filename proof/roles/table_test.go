package roles_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
)

// update writes the table anew: go test ./proof/roles -run Table -update.
var update = flag.Bool("update", false, "write the table in docs/security.md anew")

const (
	page       = "../../docs/security.md"
	tableBegin = "<!-- This table is generated: go test ./proof/roles -run Table -update -->\n"
	tableEnd   = "<!-- end of the table -->\n"
)

// action is a row of the table: what one could do with a right. A role may do it if it
// may publish to all of the subjects, or subscribe.
type action struct {
	name      string
	publish   []string
	subscribe []string
}

// role is a column.
type role struct {
	name  string
	party party
}

func columns() []role {
	return []role{
		{"order service", ordersEG()},
		{"… reading", ordersEGRead()},
		{"… with push", ordersPL()},
		{"ledger", ledger()},
		{"reader", reader()},
		{"operator", operator()},
		{"provisioner", provisioner()},
		{"Countermand", consumer()},
	}
}

// api names a request of JetStream's under both names it can have, and the one that
// counts for a party is the one its account knows.
func api(p party, request string) string {
	if p.plain() {
		return "$JS.API." + request
	}
	return "$JS.payments.API." + request
}

// actions are the rows, for one party: its own provider and its own durable stand in them.
func actions(p party) []action {
	own, other := provider(p), "bento-uk"
	each := func(format string, of ...string) (all []string) {
		for _, name := range of {
			all = append(all, fmt.Sprintf(format, name))
		}
		return all
	}
	request := func(format string, of ...string) []string { return each(api(p, format), of...) }
	keeping := []string{"PAYMENT_COMMANDS", "PAYMENT_EVENTS", "PAYMENT_DUE", "PAYMENT_REFUSALS", "KV_PAYMENT_CONTROL"}
	all := append(slices.Clone(keeping), "PAYMENT_REJECTED")
	return []action{
		{name: "publish commands for the provider granted to it", publish: each("payment.%s.requested."+own, "refund", "cancel")},
		{name: "publish commands for another provider", publish: each("payment.%s.requested."+other, "refund", "cancel")},
		{name: "publish commands without a provider in the subject", publish: each("payment.%s.requested", "refund", "cancel")},
		{name: "write a payment's events, rejections and the quarantine", publish: []string{
			"payment.refund.succeeded." + own + ".1.1", "payment.cancel.started." + own + ".1.1", "payment.command.rejected.1-0", "payment.quarantine.1-0",
		}},
		{name: "write the audit of operators", publish: []string{"payment.operator.resolve.1", "payment.operator.propose.1"}},
		{name: "write decisions about a lost journal", publish: each("payment.operator.journal_%s.1", "propose", "accepted", "released", "trusted")},
		{name: "set timers", publish: []string{"payment.schedule.refund." + own + ".1.0"}},
		{name: "fire timers", publish: []string{"payment.due.refund"}},
		{name: "ask for the status of payments of its provider", publish: []string{"payments.status." + own}},
		{name: "ask for the status of any payment", publish: []string{"payments.status"}},
		{name: "pull from its own durable consumer of results", publish: request("CONSUMER.MSG.NEXT.PAYMENT_EVENTS.%s", p.durable())},
		{name: "pull from its own durable consumer of refusals", publish: request("CONSUMER.MSG.NEXT.PAYMENT_REFUSALS.%s", p.durable())},
		{name: "have results pushed to it", subscribe: []string{"payments.results." + p.durable()}},
		{name: "have refusals pushed to it", subscribe: []string{"payments.refusals." + p.durable()}},
		{name: "acknowledge its own results", publish: []string{"$JS.ACK.PAYMENT_EVENTS." + p.durable() + ".1.1.1.1.1"}},
		{name: "acknowledge its own refusals", publish: []string{"$JS.ACK.PAYMENT_REFUSALS." + p.durable() + ".1.1.1.1.1"}},
		{name: "take from another's durable consumer", publish: append(
			request("CONSUMER.MSG.NEXT.%s.shop-x", "PAYMENT_EVENTS", "PAYMENT_REFUSALS"), each("$JS.ACK.%s.shop-x.1.1.1.1.1", "PAYMENT_EVENTS", "PAYMENT_REFUSALS")...,
		)},
		{name: "take commands and timers", publish: append(request("CONSUMER.MSG.NEXT.%s.payment-consumer", "PAYMENT_COMMANDS", "PAYMENT_DUE"), "$JS.ACK.PAYMENT_COMMANDS.payment-consumer.1.1.1.1.1")},
		{name: "read any event of the journal, by its sequence", publish: request("STREAM.MSG.GET.%s", "PAYMENT_EVENTS")},
		{name: "read any refusal, by its sequence", publish: request("STREAM.MSG.GET.%s", "PAYMENT_REFUSALS")},
		{name: "read any command, by its sequence", publish: request("STREAM.MSG.GET.%s", "PAYMENT_COMMANDS")},
		{name: "read the quarantine, by sequence", publish: request("STREAM.MSG.GET.%s", "PAYMENT_REJECTED")},
		{name: "delete from the quarantine", publish: request("STREAM.MSG.DELETE.%s", "PAYMENT_REJECTED")},
		{name: "purge anything, or delete anything else", publish: slices.Concat(request("STREAM.PURGE.%s", all...), request("STREAM.MSG.DELETE.%s", keeping...), request("STREAM.DELETE.%s", all...))},
		{name: "create the streams and the bucket, where they are missing", publish: request("STREAM.CREATE.%s", all...)},
		{name: "create another stream", publish: request("STREAM.CREATE.%s", "EVIL")},
		{name: "change a stream", publish: request("STREAM.UPDATE.%s", all...)},
		{name: "create or change the named consumers: what they deliver, where to, and until when; so also read and skip what they deliver", publish: request("CONSUMER.CREATE.%s", "PAYMENT_COMMANDS.payment-consumer", "PAYMENT_EVENTS.orders-eg", "PAYMENT_REFUSALS.orders-eg", "PAYMENT_EVENTS.ledger")},
		{name: "create another consumer", publish: request("CONSUMER.CREATE.%s", "PAYMENT_EVENTS.spy", "PAYMENT_COMMANDS.spy", "PAYMENT_REFUSALS.spy", "PAYMENT_REJECTED.spy")},
		{name: "delete or pause consumers by request", publish: request("CONSUMER.%s.PAYMENT_COMMANDS.payment-consumer", "DELETE", "PAUSE")},
		{name: "write which providers are paused", publish: []string{"$KV.PAYMENT_CONTROL." + own}},
		{name: "have the service pause, resume and rearm, under its own name", publish: []string{"payments.control.pause." + p.name, "payments.control.rearm." + p.name}},
		{name: "have it accept a loss of the journal, go on, and trust it again, under its own name", publish: []string{
			"payments.control.journal-accept." + p.name, "payments.control.journal-go." + p.name, "payments.control.journal-trust." + p.name,
		}},
		{name: "the same under another name", publish: []string{"payments.control.pause.alice", "payments.control.journal-accept.alice"}},
		{name: "rule on reviews under its own name", publish: []string{"payments.desk.resolve." + p.name}},
		{name: "rule on reviews under another name", publish: []string{"payments.desk.resolve.alice"}},
		{name: "ask services who they are (`$SRV`)", publish: []string{"$SRV.PING"}},
		{name: "listen to every inbox of its account", subscribe: []string{"_INBOX.>"}},
		{name: "listen to events and commands on the wire", subscribe: []string{"payment.>"}},
	}
}

// may tries an action under a party's login. It is all or nothing; the body is no
// request, so that what is permitted changes nothing.
func (w *world) may(p party, nc *nats.Conn, a action) bool {
	w.t.Helper()
	var refused []string
	try := func(subject string, do func() error) {
		err := w.objection(nc, do)
		if errors.Is(err, nats.ErrPermissionViolation) {
			refused = append(refused, subject)
		} else if err != nil {
			w.t.Fatalf("%s tries %s: %v", p.name, subject, err)
		}
	}
	for _, s := range a.publish {
		try(s, func() error { return nc.Publish(s, []byte("probe")) })
	}
	for _, s := range a.subscribe {
		try(s, func() error { _, err := nc.SubscribeSync(s); return err })
	}
	if n := len(a.publish) + len(a.subscribe); len(refused) > 0 && len(refused) < n {
		w.t.Errorf("%s may do a part of %q: refused are %v", p.name, a.name, refused)
	}
	return len(refused) == 0
}

// rights are what every role may do, by role and action.
func (w *world) rights() map[string]map[string]bool {
	w.t.Helper()
	all := map[string]map[string]bool{}
	for _, c := range columns() {
		nc := w.connect(c.party)
		all[c.name] = map[string]bool{}
		for _, a := range actions(c.party) {
			all[c.name][a.name] = w.may(c.party, nc, a)
		}
	}
	return all
}

// table renders the rights.
func table(rights map[string]map[string]bool) string {
	var b strings.Builder
	b.WriteString("| |")
	for _, c := range columns() {
		b.WriteString(" " + c.name + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(columns())) + "\n")
	for _, a := range actions(consumer()) {
		b.WriteString("| " + a.name + " |")
		for _, c := range columns() {
			b.WriteString(map[bool]string{true: " **yes** |", false: " – |"}[rights[c.name][a.name]])
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestTheTableOfRolesIsWhatAServerPermitsUnderEveryLogin(t *testing.T) {
	t.Parallel()
	dir := layout(t)
	reference := start(t, dir, byKey(t)).rights()
	for name, as := range logins(t, dir) {
		if diff := cmp.Diff(reference, start(t, dir, as).rights()); diff != "" {
			t.Errorf("logging in %s gives other rights (-by key +%s):\n%s", name, name, diff)
		}
	}
	text := read(t, page)
	before, rest, begins := strings.Cut(text, tableBegin)
	_, after, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table", page)
	}
	want := before + tableBegin + "\n" + table(reference) + "\n" + tableEnd + after
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, text); diff != "" {
		t.Errorf("the table in docs/security.md is not what the server permits; run go test ./proof/roles -run Table -update (-want +got):\n%s", diff)
	}
}
