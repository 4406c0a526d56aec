package check_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/check"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/providers"
)

func want(t *testing.T, all []check.Finding, wanted ...line) {
	t.Helper()
	if diff := cmp.Diff(wanted, lines(all)); diff != "" {
		t.Errorf("findings differ (-want +got):\n%s\n%v", diff, all)
	}
	for _, f := range all {
		if f.Is == "" || f.Want == "" || f.Do == "" || strings.Contains(f.String(), "\n") {
			t.Errorf("a finding says too little or too much: %#v", f)
		}
	}
}

func TestWhatIsAsItShouldBeHasNoFindings(t *testing.T) {
	t.Parallel()
	want(t, provisioned(t, durable).findings(&check.Options{Deep: true}))
}

func TestAServerThatIsAwayIsNamed(t *testing.T) {
	t.Parallel()
	b := setup(t, durable)
	b.cfg.NATS.URL = "nats://127.0.0.1:1"
	all := b.findings(nil)
	want(t, all, line{check.Error, check.Connection, "server nats://127.0.0.1:1"})
	if all[0].Is != "not reachable (refused)" {
		t.Error(all[0])
	}
}

// Somebody hears what the account asks of the server, and says nothing.
func TestAnAccountThatIsNeverAnsweredIsToldHowLongItWasAsked(t *testing.T) {
	t.Parallel()
	b := setup(t, "listen: 127.0.0.1:-1 # %q")
	nc, err := nats.Connect(b.cfg.NATS.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if _, err := nc.Subscribe("$JS.API.>", func(*nats.Msg) {}); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	found := of(b.findings(&check.Options{Patience: 200 * time.Millisecond}), check.Topology)
	if len(found) != 1 || found[0].Is != "unknown (no answer within 200ms)" {
		t.Errorf("found %v", found)
	}
}

// A listener that takes connections and says nothing, as a wrong port does.
func TestAServerThatNeverAnswersEndsTheCheckSoon(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	b := setup(t, durable)
	b.cfg.NATS.URL = "nats://" + l.Addr().String()
	began := time.Now()
	all := b.findings(&check.Options{Patience: 200 * time.Millisecond})
	want(t, all, line{check.Error, check.Connection, "server " + b.cfg.NATS.URL})
	if all[0].Is != "not reachable (no answer in time)" {
		t.Error(all[0])
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestWrongCredentialsAreNamedAndNotShown(t *testing.T) {
	t.Parallel()
	const withUsers = durable + `
authorization {users: [{nkey: UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4}]}`
	b := setup(t, withUsers)
	none := b.findings(nil)
	want(t, none, line{check.Error, check.Credentials, "server " + b.cfg.NATS.URL})
	const seed = "SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU" // of another user
	b.cfg.NATS.NKey = providers.NewSecret(seed)
	wrong := b.findings(nil)
	want(t, wrong, line{check.Error, check.Credentials, "server " + b.cfg.NATS.URL})
	if s := fmt.Sprint(wrong); strings.Contains(s, seed) || !strings.Contains(s, "the nkey") {
		t.Errorf("finding is %s", s)
	}
}

func TestAnAccountWithoutJetStreamIsNamed(t *testing.T) {
	t.Parallel()
	b := setup(t, durable+`
accounts {P: {jetstream: enabled, users: [{user: p, password: p}]}, Q: {users: [{user: q, password: q}]}}
no_auth_user: q`)
	b.cfg.NATS.Monitor = ""
	want(
		t, b.findings(&check.Options{Patience: 500 * time.Millisecond}),
		line{check.NotVerifiable, check.SyncInterval, "sync_interval of the servers"},
		line{check.Error, check.JetStream, "account"},
	)
}

// oldServer speaks just enough of the protocol to be connected to.
func oldServer(t *testing.T, version string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fmt.Fprintf(conn, "INFO {\"server_id\":\"OLD\",\"server_name\":\"old\",\"version\":%q,\"headers\":true,\"max_payload\":1048576}\r\n", version)
				sid := ""
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					words := append(strings.Fields(lines.Text()), "", "", "")
					switch words[0] {
					case "PING":
						_, _ = io.WriteString(conn, "PONG\r\n")
					case "SUB":
						sid = words[2]
					case "PUB": // nobody answers, and the client need not wait to find out
						fmt.Fprintf(conn, "HMSG %s %s 16 16\r\nNATS/1.0 503\r\n\r\n\r\n", words[2], sid)
					}
				}
			}()
		}
	}()
	return "nats://" + l.Addr().String()
}

func TestAnOldServerIsWarnedAbout(t *testing.T) {
	t.Parallel()
	for version, old := range map[string]bool{
		"2.15.1": true, "2.9.30": true, "1.99.99": true, "2.16.0-preview.1": false, "2.15.2": false, "2.15.10": false, "3.0.0": false, "": true,
	} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			b := setup(t, durable)
			b.cfg.NATS.URL = oldServer(t, version)
			found := false
			for _, l := range lines(b.findings(nil)) {
				found = found || l == line{check.Warning, check.ServerVersion, "server old"}
			}
			if found != old {
				t.Errorf("warned about %q: %t, want %t", version, found, old)
			}
		})
	}
}

func TestAnEmptyServerLacksEveryStreamAndConsumer(t *testing.T) {
	t.Parallel()
	all := setup(t, durable).findings(&check.Options{Deep: true})
	var wanted []line
	for _, what := range []string{
		"stream PAYMENT_COMMANDS", "stream PAYMENT_EVENTS", "stream PAYMENT_REFUSALS", "stream PAYMENT_DUE", "stream PAYMENT_REJECTED", "stream KV_PAYMENT_CONTROL",
		"consumer payment-consumer on PAYMENT_COMMANDS", "consumer payment-consumer on PAYMENT_DUE", "consumer payment-consumer on PAYMENT_EVENTS",
	} {
		wanted = append(wanted, line{check.Error, check.Topology, what + ", existence"})
	}
	want(t, all, wanted...)
}

func TestEachWrongSettingOfAStreamIsNamed(t *testing.T) {
	t.Parallel()
	topology := broker.DefaultTopology()
	for setting, wrong := range map[string]func(*jetstream.StreamConfig){
		"storage":                  func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage },
		"rollup":                   func(c *jetstream.StreamConfig) { c.AllowRollup, c.DenyPurge = true, false },
		"discard":                  func(c *jetstream.StreamConfig) { c.Discard, c.DiscardNewPerSubject = jetstream.DiscardOld, false },
		"direct get":               func(c *jetstream.StreamConfig) { c.AllowDirect = true },
		"max age":                  func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour },
		"max messages per subject": func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 2 },
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			b := provisioned(t, durable)
			natstest.DeleteStream(t, b.server, b.js, topology.Events)
			cfg := topology.EventsConfig()
			wrong(&cfg)
			if _, err := b.js.CreateStream(b.ctx(), cfg); err != nil {
				t.Fatal(err)
			}
			found := false
			for _, l := range lines(b.findings(nil)) {
				found = found || l == line{check.Error, check.Topology, "stream PAYMENT_EVENTS, " + setting}
			}
			if !found {
				t.Errorf("%s is not named", setting)
			}
		})
	}
}

func TestACopyThatDiffersFromTheLeaderIsFound(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	if _, err := b.js.Publish(b.ctx(), "payment.refund.started.opay-eg.1.1", nil); err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(b.cfg.NATS.Monitor)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]struct {
		state string
		found bool
	}{
		"the same": {`"messages":1,"first_seq":1,"last_seq":1`, false},
		"lags":     {`"messages":0,"first_seq":0,"last_seq":0`, false},
		"lacks":    {`"messages":0,"first_seq":1,"last_seq":1`, true},
		"has more": {`"messages":2,"first_seq":1,"last_seq":2`, true},
	} {
		proxy := httputil.NewSingleHostReverseProxy(target)
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/jsz" {
				proxy.ServeHTTP(w, r)
				return
			}
			fmt.Fprintf(w, `{"server_id":%q,"account_details":[{"stream_detail":[{"name":"PAYMENT_EVENTS","cluster":{"leader":"n1"},"state":{%s}}]}]}`,
				b.server.ID(), change.state)
		}))
		b.cfg.NATS.Monitor = web.URL
		found := slices.Contains(lines(b.findings(nil)), line{check.Error, check.JournalCopy, "copy of PAYMENT_EVENTS at server " + b.server.Name()})
		if found != change.found {
			t.Errorf("%s: found %t", name, found)
		}
		web.Close()
	}
}

func TestDurabilityIsWhatTheMonitorSays(t *testing.T) {
	t.Parallel()
	const lazy = `jetstream: {store_dir: %q}`
	b := provisioned(t, lazy)
	server := "server " + b.server.Name()
	all := b.findings(nil)
	want(t, all, line{check.Error, check.SyncInterval, server + ", sync_interval"})
	if all[0].Is != "2m0s" || all[0].Want != "always" {
		t.Errorf("finding is %v", all[0])
	}
	hidden := line{check.NotVerifiable, check.Account, "streams, consumers and logins of the account"}
	b.cfg.NATS.Monitor = ""
	want(t, b.findings(nil), line{check.NotVerifiable, check.SyncInterval, "sync_interval of the servers"}, hidden)
	other := start(t, durable)
	b.cfg.NATS.Monitor = "http://" + other.MonitorAddr().String()
	want(t, b.findings(nil), line{check.Warning, check.SyncInterval, "server " + other.Name()}, hidden)
	for _, body := range []string{"not JSON", "{}"} {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
		t.Cleanup(web.Close)
		b.cfg.NATS.Monitor = web.URL
		want(t, b.findings(nil), line{check.NotVerifiable, check.SyncInterval, "sync_interval of the servers"})
	}
}

func TestBoundsThatLeaveTheJournalTooLittleAreAWarning(t *testing.T) {
	t.Parallel()
	b := provisioned(t, `jetstream: {store_dir: %q, sync_interval: always, max_file_store: 4GB}`)
	hidden := of(b.findings(nil), check.Storage)
	want(t, hidden) // 1.5 of 4 GB
	b.cfg.Streams.MaxBytes.Commands = 2 << 30
	found := of(b.findings(nil), check.Storage)
	want(t, found, line{check.Warning, check.Storage, "server " + b.server.Name() + ", max_file_store"})
	if !strings.Contains(found[0].Is, "4294967296 bytes") || !strings.Contains(found[0].Is, "2684354560") || !strings.HasPrefix(found[0].Want, "5368709120 or more") {
		t.Errorf("finding is %v", found[0])
	}
}

func TestClocksThatDifferAreNamed(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	for off, bad := range map[time.Duration]bool{
		3 * time.Second: true, -3 * time.Second: true, time.Second: false, -time.Second: false,
	} {
		all := b.findings(&check.Options{Now: func() time.Time { return time.Now().Add(off) }})
		if bad {
			want(t, all, line{check.Error, check.ClockSkew, "clock of this machine"})
		} else {
			want(t, all)
		}
	}
}

func TestChecksChangeNothing(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	for i := range 3 {
		if _, err := b.js.Publish(b.ctx(), "payment.refund.requested", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	c, err := b.js.Consumer(b.ctx(), b.cfg.Streams.Commands, b.cfg.Consumer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Next(); err != nil { // one is in somebody's hand
		t.Fatal(err)
	}
	before := b.everything()
	b.findings(&check.Options{Deep: true})
	if diff := cmp.Diff(before, b.everything()); diff != "" {
		t.Errorf("the server has changed (-before +after):\n%s", diff)
	}
}

// everything is what the server holds and has delivered.
func (b *bundle) everything() map[string]string {
	b.t.Helper()
	got := map[string]string{}
	t := app.Topology(b.cfg)
	for _, name := range []string{t.Commands, t.Events, t.Due, t.Rejected} {
		s, err := b.js.Stream(b.ctx(), name)
		if err != nil {
			b.t.Fatal(err)
		}
		state := s.CachedInfo().State
		got[name] = fmt.Sprint(state.Msgs, state.LastSeq, state.NumSubjects)
	}
	for _, name := range []string{t.Commands, t.Due} {
		c, err := b.js.Consumer(b.ctx(), name, t.Consumer)
		if err != nil {
			b.t.Fatal(err)
		}
		i := c.CachedInfo()
		got["consumer on "+name] = fmt.Sprint(i.Delivered.Consumer, i.Delivered.Stream, i.AckFloor.Stream, i.NumAckPending, i.NumPending, i.NumWaiting, i.NumRedelivered)
	}
	return got
}

// A server that says nothing has refused nothing: no right is missing.
func TestAServerThatFallsSilentIsNotSaidToRefuse(t *testing.T) {
	t.Parallel()
	b := provisioned(t, durable)
	for _, role := range append(roles(), check.Service) {
		t.Run(string(role), func(t *testing.T) {
			t.Parallel()
			other := *b.cfg
			other.NATS.URL = natstest.Mute(t, b.server.ClientURL())
			silent := *b
			silent.cfg = &other
			var told []check.Finding
			for _, f := range silent.all(&check.Options{As: role, Operator: "olga", Patience: 2 * time.Second}) {
				if f.Severity == check.Error {
					told = append(told, f)
				}
			}
			want(t, told, line{check.Error, check.Connection, "server " + other.NATS.URL})
			if len(told) == 1 && !strings.Contains(told[0].Is, "silent: no answer within 2s") {
				t.Error(told[0])
			}
		})
	}
}
