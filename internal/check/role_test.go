package check_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/check"
	"github.com/countermand/countermand/internal/config"
)

// shipped is a file of rights as it is shipped, without its comments.
func shipped(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "k8s", "components", "nats", "permissions", name+".conf"))
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)#.*$`).ReplaceAllString(string(text), "")
}

// rights are the subjects that a file lets its user publish to.
func rights(t *testing.T, name string) []string {
	t.Helper()
	list := regexp.MustCompile(`(?s)publish\s*\{\s*allow:\s*\[(.*?)\]`).FindStringSubmatch(shipped(t, name))
	if list == nil {
		t.Fatalf("%s.conf grants nothing", name)
	}
	var all []string
	for _, m := range regexp.MustCompile(`"([^"]+)"`).FindAllStringSubmatch(list[1], -1) {
		all = append(all, m[1])
	}
	return all
}

// roles are those with a file of their own.
func roles() []check.Role {
	return []check.Role{check.Operator, check.Reader, check.Provisioner, check.Recovery}
}

// withRoles is a server with the shipped accounts, a user of each role, and for each one
// who may do nothing but hear answers.
func withRoles(t *testing.T) *bundle {
	t.Helper()
	b := withRolesBut(t, func(_, text string) string { return text })
	b.serve(func(m *nats.Msg) error { return m.Respond([]byte("{}")) })
	return b
}

// serve answers what the service does, with its login.
func (b *bundle) serve(respond func(*nats.Msg) error) {
	b.t.Helper()
	nc, err := nats.Connect(b.as("consumer").cfg.NATS.URL, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(nc.Close)
	for _, subject := range []string{"payments.desk.*.*", "payments.control.*.*", "payments.status"} {
		if _, err := nc.Subscribe(subject, func(m *nats.Msg) {
			if err := respond(m); err != nil {
				b.t.Error(err)
			}
		}); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		b.t.Fatal(err)
	}
}

// withRolesBut is withRoles without a service, and with files that are changed.
func withRolesBut(t *testing.T, change func(name, text string) string) *bundle {
	t.Helper()
	shipped := func(t *testing.T, name string) string { t.Helper(); return change(name, shipped(t, name)) }
	user := func(name string) string { return fmt.Sprintf("{user: %s, password: p\n%s}\n", name, shipped(t, name)) }
	var bare strings.Builder
	for _, role := range roles() {
		inbox := "_INBOX.>"
		if role == check.Operator {
			inbox = "_INBOX_operator.>"
		}
		if role == check.Provisioner {
			inbox = "_INBOX_provisioner.>"
		}
		fmt.Fprintf(&bare, "{user: bare-%s, password: p, permissions: {publish: {deny: \">\"}, subscribe: {allow: %q}}}\n", role, inbox)
	}
	b := provisionedWith(t, durable+`
accounts {
  PAYMENTS {
    jetstream: enabled
    `+shipped(t, "exports")+`
    users: [
      {user: admin, password: p}
      `+user("consumer")+user("provisioner")+user("recovery")+bare.String()+`
    ]
  }
  PEOPLE {
    `+shipped(t, "people")+`
    users: [`+user("operator")+`]
  }
  READER {
    `+shipped(t, "reader")+`
    users: [{user: reader, password: p}]
  }
}`, func(b *bundle) {
		b.cfg.Readers = []config.Reader{{Name: "orders-eg", Filters: []string{"payment.*.*.opay-eg.*.*", "payment.command.rejected.*"}}, {Name: "ledger", Filters: []string{"payment.*.succeeded.>"}}}
	}, nats.UserInfo("admin", "p"))
	b.js.Conn().Close()
	return b
}

// rolesOptions are those of a check as a role.
func rolesOptions(role check.Role) *check.Options {
	return &check.Options{As: role, Operator: "operator", Deep: true}
}

// With the operator's key the check of the service's rights found 26 errors, and advised
// to grant them.
func TestARoleWithItsShippedFileHasNoFault(t *testing.T) {
	t.Parallel()
	b := withRoles(t)
	const unseen = check.NotVerifiable
	hidden := map[check.Role][]line{
		check.Operator: {
			{unseen, check.ProviderSettings, "providers"},
			{unseen, check.JournalWitness, "journal.witness"},
			{unseen, check.Topology, "streams and consumers"},
			{unseen, check.Account, "streams, consumers and logins of the account"},
			{unseen, check.Journal, "journal"},
			{unseen, check.ClockSkew, "clock of this machine"},
			{unseen, check.OpenWork, "timers"},
			{unseen, check.ProviderPaused, "pauses"},
			{unseen, check.JournalSequences, "journal"},
		},
		check.Reader: {
			{unseen, check.JournalWitness, "journal.witness"},
			{unseen, check.Topology, "streams and consumers"},
			{unseen, check.Account, "streams, consumers and logins of the account"},
			{unseen, check.Journal, "journal"},
			{unseen, check.OpenWork, "timers"},
			{unseen, check.ProviderPaused, "pauses"},
		},
		check.Provisioner: {
			{unseen, check.ProviderSettings, "providers"},
			{unseen, check.JournalWitness, "journal.witness"},
			{unseen, check.Account, "streams, consumers and logins of the account"},
			{unseen, check.Journal, "journal"},
			{unseen, check.OpenWork, "timers"},
			{unseen, check.ProviderPaused, "pauses"},
			{unseen, check.JournalSequences, "journal"},
		},
		check.Recovery: {
			{unseen, check.JournalWitness, "journal.witness"},
			{unseen, check.Account, "streams, consumers and logins of the account"},
			{unseen, check.ProviderLogin, "providers"},
		},
	}
	for _, role := range roles() {
		t.Run(string(role), func(t *testing.T) {
			t.Parallel()
			want(t, b.as(string(role)).all(rolesOptions(role)), hidden[role]...)
		})
	}
}

func TestARoleThatLacksRightsIsAdvisedExactlyThoseOfItsFile(t *testing.T) {
	t.Parallel()
	b := withRoles(t)
	for _, role := range roles() {
		t.Run(string(role), func(t *testing.T) {
			t.Parallel()
			granted := rights(t, string(role))
			asked := map[string]bool{}
			for _, f := range b.as("bare-" + string(role)).all(rolesOptions(role)) {
				subject, publishes := strings.CutPrefix(f.What, "publish to ")
				if f.Severity != check.Error || !publishes {
					continue
				}
				if !strings.HasSuffix(f.Do, "give this login the rights of permissions/"+string(role)+".conf, and no others") {
					t.Errorf("advises %q", f.Do)
				}
				known := false
				for _, right := range granted {
					if covered(right, subject) {
						known, asked[right] = true, true
					}
				}
				if !known {
					t.Errorf("asks for %s, which the file does not grant", subject)
				}
			}
			for _, right := range granted {
				if !asked[right] {
					t.Errorf("the file grants %s, which nobody misses", right)
				}
			}
		})
	}
}

// Without --as the check looks for the service's rights. It must not advise to give them
// to somebody else.
func TestTheLoginOfAnotherRoleIsNotAdvisedTheServicesRights(t *testing.T) {
	t.Parallel()
	b := withRoles(t)
	for _, role := range roles() {
		t.Run(string(role), func(t *testing.T) {
			t.Parallel()
			said := 0
			for _, f := range b.as(string(role)).all(&check.Options{Deep: true}) {
				if strings.Contains(f.Do, "--as operator") {
					said++
				}
				if strings.Contains(f.Do, "allow it to the service's account") && f.Check == check.Permission && strings.HasPrefix(f.What, "publish") {
					t.Errorf("%s", f)
				}
			}
			if said != 1 {
				t.Errorf("said %d times that this may be another login", said)
			}
		})
	}
}

// What the provisioner's credential can make of a reader's consumer, seen without the
// monitoring address: one that the server deletes, and one that delivers results as commands.
func TestTheProvisionersCheckNamesAReadersConsumerThatIsNotAsProvisionMakesIt(t *testing.T) {
	t.Parallel()
	b := withRoles(t)
	b.cfg.NATS.Monitor = ""
	nc, err := nats.Connect(b.cfg.NATS.URL, nats.UserInfo("admin", "p"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	put := func(cfg jetstream.ConsumerConfig) {
		t.Helper()
		create := func() error { _, err := js.CreateConsumer(t.Context(), b.cfg.Streams.Events, cfg); return err }
		if cfg.DeliverSubject != "" {
			create = func() error { _, err := js.CreatePushConsumer(t.Context(), b.cfg.Streams.Events, cfg); return err }
		}
		if err := errors.Join(js.DeleteConsumer(t.Context(), b.cfg.Streams.Events, cfg.Durable), create()); err != nil {
			t.Fatal(err)
		}
	}
	reader := b.cfg.Readers[0].Name
	topology := app.Topology(b.cfg)
	cfg := topology.ReaderConfig(topology.Readers[0])
	cfg.InactiveThreshold = time.Hour
	put(cfg)
	object := "consumer " + reader + " on " + b.cfg.Streams.Events
	faults := func() (all []check.Finding) {
		for _, f := range b.as("provisioner").all(rolesOptions(check.Provisioner)) {
			if f.Severity == check.Error {
				all = append(all, f)
			}
		}
		return all
	}
	want(t, faults(), line{check.Error, check.Topology, object + ", inactive threshold"})
	put(jetstream.ConsumerConfig{Durable: reader, DeliverSubject: "payment.refund.requested", AckPolicy: jetstream.AckNonePolicy})
	want(t, faults(), line{check.Error, check.Topology, object + ", deliver subject"})
}

func TestARoleWithARightThatChangesStreamsIsTold(t *testing.T) {
	t.Parallel()
	text := strings.Replace(shipped(t, "provisioner"), "allow: [", `allow: ["$JS.API.STREAM.UPDATE.PAYMENT_EVENTS"`, 1)
	b := provisioned(t, durable+"\naccounts {P: {jetstream: enabled, users: [{user: admin, password: p}, {user: provisioner, password: p\n"+text+"}]}}", nats.UserInfo("admin", "p"))
	b.js.Conn().Close()
	var errs []check.Finding
	for _, f := range b.as("provisioner").all(rolesOptions(check.Provisioner)) {
		if f.Severity == check.Error {
			errs = append(errs, f)
		}
	}
	want(t, errs, line{check.Error, check.Login, "publish to $JS.API.STREAM.UPDATE.PAYMENT_EVENTS"})
}
