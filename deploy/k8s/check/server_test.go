package check_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/deploy/k8s/check"
	"github.com/countermand/countermand/internal/app"
	service "github.com/countermand/countermand/internal/check"
	"github.com/countermand/countermand/internal/config"
)

// natsFiles lays the server's configuration out in dir as its volume does, with
// paths in dir and the keys of users of this test.
func natsFiles(t *testing.T, r *check.Rendered, dir string, users map[string]nkeys.KeyPair) string {
	t.Helper()
	var keys strings.Builder
	for name, pair := range users {
		public, err := pair.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&keys, "%s_NKEY: %s\n", name, public)
	}
	paths := strings.NewReplacer(
		"/run/secrets/tls", dir, `store_dir: /data`, `store_dir: "`+dir+`/data"`, "/run/nats", dir, "$POD_NAME", "countermand-nats-0",
	)
	for _, m := range r.ConfigMaps {
		for key, text := range m.Data {
			switch {
			case strings.HasPrefix(m.Name, "countermand-nats-permissions"):
				write(t, filepath.Join(dir, "permissions", key), []byte(text))
			case strings.HasPrefix(m.Name, "countermand-nats-config"):
				write(t, filepath.Join(dir, key), []byte(paths.Replace(text)))
			}
		}
	}
	write(t, filepath.Join(dir, "nkeys.conf"), []byte(keys.String()))
	return filepath.Join(dir, "nats.conf")
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// certificate writes a self-signed certificate for the loopback address under
// the names cert-manager uses.
func certificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nats"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	write(t, filepath.Join(dir, "tls.crt"), text)
	write(t, filepath.Join(dir, "ca.crt"), text)
	write(t, filepath.Join(dir, "tls.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

// natsBundle is one server with the shipped configuration, and its users.
type natsBundle struct {
	dir    string
	opts   *server.Options
	users  map[string]nkeys.KeyPair
	server *server.Server
	config string // the service's configuration as shipped
}

// startNATS starts one server of the three with the shipped configuration, or with what
// is changed in the files of its folder.
func startNATS(t *testing.T, changed ...func(dir string)) *natsBundle {
	t.Helper()
	r := typed(t, "production")
	b := &natsBundle{dir: t.TempDir(), users: map[string]nkeys.KeyPair{}, config: configText(t, r)}
	for _, name := range []string{"CONSUMER", "PROVISIONER", "RECOVERY", "OPERATOR", "ORDERS_EG", "ORDERS_EG_READ", "LEDGER", "READER"} {
		pair, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		b.users[name] = pair
	}
	certificate(t, b.dir)
	file := natsFiles(t, r, b.dir, b.users)
	for _, change := range changed {
		change(b.dir)
	}
	var err error
	if b.opts, err = server.ProcessConfigFile(file); err != nil {
		t.Fatal(err)
	}
	one := b.opts.Clone()
	one.Cluster, one.Routes = server.ClusterOpts{}, nil // the other two are not there
	one.Host, one.Port, one.HTTPHost, one.HTTPPort = "127.0.0.1", -1, "127.0.0.1", -1
	one.NoSigs, one.NoLog = true, true
	if b.server, err = server.NewServer(one); err != nil {
		t.Fatal(err)
	}
	b.server.Start()
	t.Cleanup(func() { b.server.Shutdown(); b.server.WaitForShutdown() })
	if !b.server.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server does not start")
	}
	return b
}

// as returns the shipped configuration for a user of this server.
func (b *natsBundle) as(t *testing.T, user string) *config.Config {
	t.Helper()
	seed, err := b.users[user].Seed()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(b.dir, "as", user)
	for _, path := range secretPath.FindAllString(b.config, -1) {
		write(t, filepath.Join(dir, path), []byte("not-a-secret"))
	}
	write(t, filepath.Join(dir, "run", "secrets", "nats", "nkey"), seed)
	ca, err := os.ReadFile(filepath.Join(b.dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "run", "secrets", "nats", "ca.crt"), ca)
	text := secretPath.ReplaceAllStringFunc(b.config, func(path string) string { return filepath.Join(dir, path) })
	text = strings.NewReplacer(
		"tls://countermand-nats:4222", strings.Replace(b.server.ClientURL(), "nats://", "tls://", 1),
		"http://countermand-nats:8222", "http://"+b.server.MonitorAddr().String(),
		"replicas: 3", "replicas: 1",
	).Replace(text)
	cfg, err := load(t, host.ReplaceAllString(text, "http://127.0.0.1:9")) // the check asks providers: nobody's servers from a test
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// host is a provider's address.
var host = regexp.MustCompile(`https://[a-z.]+`)

// connect opens JetStream as a user.
func (b *natsBundle) connect(t *testing.T, user string) (jetstream.JetStream, *config.Config) {
	t.Helper()
	cfg := b.as(t, user)
	inbox := "_INBOX"
	if user == "PROVISIONER" {
		inbox = broker.ProvisionInbox
	}
	nc, err := app.Connect(cfg.NATS, "test", slog.New(slog.DiscardHandler), nats.CustomInboxPrefix(inbox))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js, cfg
}

func TestTheShippedServerIsDurableAndServesItsRoles(t *testing.T) {
	t.Parallel()
	b := startNATS(t)
	if !b.opts.SyncAlways {
		t.Error("the server does not write before it acknowledges")
	}
	if len(b.opts.Routes) != 3 || b.opts.Cluster.Name == "" || b.opts.TLSConfig == nil || b.opts.Cluster.TLSConfig == nil {
		t.Errorf("no cluster of three with TLS: %d routes", len(b.opts.Routes))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	provisioner, cfg := b.connect(t, "PROVISIONER")
	if _, err := broker.Provision(ctx, provisioner, app.Topology(cfg)); err != nil {
		t.Fatalf("provision: %v", err)
	}
	// The service's own check, as the service: streams, durability, permissions.
	var bad []string
	err := service.Run(ctx, b.as(t, "CONSUMER"), nil, func(f service.Finding) {
		if f.Severity == service.Error && !strings.HasPrefix(f.Check, "provider") {
			bad = append(bad, f.String())
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range bad {
		t.Error(line)
	}
}

// "consumer check" as the Jobs run it, with the shipped rights of each.
func TestTheCheckOfEachJobFindsNoFaultInTheShippedServer(t *testing.T) {
	t.Parallel()
	b := startNATS(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	provisioner, cfg := b.connect(t, "PROVISIONER")
	if _, err := broker.Provision(ctx, provisioner, app.Topology(cfg)); err != nil {
		t.Fatalf("provision: %v", err)
	}
	b.answer(t)
	for user, role := range map[string]service.Role{
		"PROVISIONER": service.Provisioner, "OPERATOR": service.Operator, "READER": service.Reader, "RECOVERY": service.Recovery,
	} {
		cfg := b.as(t, user)
		o := &service.Options{As: role, Operator: cfg.Desk.Operator, Deep: true}
		err := service.Run(ctx, cfg, o, func(f service.Finding) {
			if f.Severity == service.Error && !strings.HasPrefix(f.Check, "provider") {
				t.Errorf("%s: %s", role, f)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// answer answers what people and order services ask, as the service would, with its login.
func (b *natsBundle) answer(t *testing.T) {
	t.Helper()
	nc, err := app.Connect(b.as(t, "CONSUMER").NATS, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	for _, subject := range []string{"payments.desk.*.*", "payments.control.*.*", "payments.status"} {
		if _, err := nc.Subscribe(subject, func(m *nats.Msg) { _ = m.Respond([]byte("{}")) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

// The first refund of docs/deploying.md: a plain request of an order service.
func TestAnOrderServicePublishesThroughTheShippedServerToItsOwnProviderOnly(t *testing.T) {
	t.Parallel()
	b := startNATS(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	provisioner, cfg := b.connect(t, "PROVISIONER")
	if _, err := broker.Provision(ctx, provisioner, app.Topology(cfg)); err != nil {
		t.Fatal(err)
	}
	nc, err := app.Connect(b.as(t, "ORDERS_EG").NATS, "test", slog.New(slog.DiscardHandler), nats.CustomInboxPrefix("_INBOX_orders-eg"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	answer, err := nc.RequestWithContext(ctx, "payment.refund.requested.opay-eg", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(answer.Data); !strings.Contains(got, `"stream":"PAYMENT_COMMANDS"`) || strings.Contains(got, `"error"`) {
		t.Errorf("its own provider: answered %s", got)
	}
	before := lastSequence(ctx, t, provisioner)
	for _, subject := range []string{"payment.refund.requested.openpay-eu", "payment.refund.requested", "payment.refund.succeeded.opay-eg.1.1"} {
		if err := nc.Publish(subject, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.FlushWithContext(ctx); err != nil {
		t.Fatal(err)
	}
	if after := lastSequence(ctx, t, provisioner); after != before {
		t.Errorf("%d messages of another provider, of none, or of the journal were stored", after-before)
	}
}

// lastSequence counts everything the streams ever took.
func lastSequence(ctx context.Context, t *testing.T, js jetstream.JetStream) (n uint64) {
	t.Helper()
	for _, name := range []string{"PAYMENT_COMMANDS", "PAYMENT_EVENTS"} {
		s, err := js.Stream(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		n += s.CachedInfo().State.LastSeq
	}
	return n
}

func TestScalingAsksForAnAccountTheServerHas(t *testing.T) {
	t.Parallel()
	b := startNATS(t)
	var names []string
	for _, a := range b.opts.Accounts {
		names = append(names, a.Name)
	}
	asked := 0
	for _, o := range typed(t, "production").Objects {
		if o.Kind() != "ScaledObject" {
			continue
		}
		for _, m := range regexp.MustCompile(`account:(\S+)`).FindAllStringSubmatch(fmt.Sprint(o["spec"]), -1) {
			asked++
			if !slices.Contains(names, m[1]) {
				t.Errorf("account %s is none of %q", m[1], names)
			}
		}
	}
	if asked != 2 {
		t.Errorf("%d triggers name an account, not 2", asked)
	}
}

func TestStreamsMadeByNACKAreMendedByProvision(t *testing.T) {
	t.Parallel()
	// The right that the upgrade of a stream needs, for one run.
	b := startNATS(t, func(dir string) {
		path := filepath.Join(dir, "permissions", "provisioner.conf")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, []byte(strings.Replace(string(text), "allow: [\n", "allow: [\n\"$JS.API.STREAM.UPDATE.*\"\n", 1)))
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	js, cfg := b.connect(t, "PROVISIONER")
	streams, err := typed(t, "everything with nack").StreamConfigs()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range streams {
		s.Replicas = 1
		if s.MaxAge == 0 {
			s.MaxAge = 365 * 24 * time.Hour // the template NACK's library starts from
		}
		if _, err := js.CreateStream(ctx, s); err != nil {
			t.Fatalf("create %s: %v", s.Name, err)
		}
	}
	findings, err := broker.Verify(ctx, js, app.Topology(cfg))
	if err != nil {
		t.Fatal(err)
	}
	ages := 0
	for _, f := range findings {
		if f.Setting == "max age" {
			ages++
		}
	}
	if ages != 3 { // journal, timers, pauses
		t.Errorf("%d streams that forget are reported, not 3: %v", ages, findings)
	}
	if _, err := broker.Provision(ctx, js, app.Topology(cfg)); err != nil {
		t.Fatal(err)
	}
	if findings, err = broker.Verify(ctx, js, app.Topology(cfg)); err != nil || len(findings) > 0 {
		t.Errorf("after provision: %v, %v", findings, err)
	}
}
