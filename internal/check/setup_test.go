package check_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/check"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/opay"
	"github.com/countermand/countermand/providers/opay/opaysim"
)

// bundle is a server as its configuration file says, and a service's
// configuration for it that has nothing wrong.
type bundle struct {
	t      *testing.T
	server *server.Server
	cfg    *config.Config
	js     jetstream.JetStream
}

// durable is a server's configuration with nothing wrong.
const durable = `jetstream: {store_dir: %q, sync_interval: always}`

// setup starts a server with what a test adds to (or, with %q for the store,
// says instead of) the durable configuration, and provisions it.
func setup(t *testing.T, text string) *bundle {
	t.Helper()
	b := &bundle{t: t, server: start(t, text), cfg: config.Defaults()}
	b.cfg.NATS.URL = b.server.ClientURL()
	b.cfg.NATS.Replicas = 1
	b.cfg.NATS.Monitor = "http://" + b.server.MonitorAddr().String()
	b.cfg.Journal.Witness.File = filepath.Join(t.TempDir(), "mark")
	b.provider("opay-eg", opaysim.DefaultMerchantID, opaysim.DefaultSecretKey)
	return b
}

// provisioned is setup with streams and consumers.
func provisioned(t *testing.T, text string, o ...nats.Option) *bundle {
	t.Helper()
	b := setup(t, text)
	nc, err := nats.Connect(b.cfg.NATS.URL, o...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if b.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	if _, err := broker.Provision(b.ctx(), b.js, app.Topology(b.cfg)); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bundle) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	b.t.Cleanup(cancel)
	return ctx
}

func start(t *testing.T, text string) *server.Server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, text, t.TempDir()), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	o.Host, o.Port, o.HTTPHost, o.HTTPPort = "127.0.0.1", server.RANDOM_PORT, "127.0.0.1", server.RANDOM_PORT
	o.NoLog, o.NoSigs = true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server did not start")
	}
	return s
}

// provider adds an instance at a simulator of its own.
func (b *bundle) provider(name, merchant, key string) {
	b.t.Helper()
	sim := opaysim.New(opaysim.Options{MerchantID: opaysim.DefaultMerchantID})
	b.t.Cleanup(sim.Close)
	web := httptest.NewServer(sim)
	b.t.Cleanup(web.Close)
	p := config.DefaultProvider()
	p.Name, p.Kind, p.BaseURL, p.Country = name, "opay", web.URL, "EG"
	p.Settings = &opay.Settings{
		BaseURL: web.URL, MerchantID: merchant, SecretKey: providers.NewSecret(key),
		CallbackURL: "https://shop.example/callback", Country: "EG",
	}
	b.cfg.Providers = append(b.cfg.Providers, p)
}

// findings runs the check. Those about logins are left out: most servers of these
// tests let everybody in.
func (b *bundle) findings(o *check.Options) []check.Finding {
	b.t.Helper()
	return slices.DeleteFunc(b.all(o), func(f check.Finding) bool { return f.Check == check.Login })
}

// all runs the check.
func (b *bundle) all(o *check.Options) []check.Finding {
	b.t.Helper()
	var all []check.Finding
	if err := check.Run(b.ctx(), b.cfg, o, func(f check.Finding) { all = append(all, f) }); err != nil {
		b.t.Fatal(err)
	}
	return all
}

// line is what tests compare of a finding.
type line struct {
	Severity check.Severity
	Check    string
	What     string
}

func lines(all []check.Finding) []line {
	var out []line
	for _, f := range all {
		out = append(out, line{f.Severity, f.Check, f.What})
	}
	return out
}
