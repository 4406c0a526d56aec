//go:build !production

package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/internal/embedded"
	"github.com/countermand/countermand/internal/simulators"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/openpay/openpaysim"
	"github.com/countermand/countermand/providers/simulator"
)

// outageHeals is how long the provider that is down at first stays down.
const outageHeals = 4 * time.Second

// world is everything around the service: the server and the simulated
// providers. The simulators' memory is kept on disk with each change, because
// a real provider does not forget when our process is killed.
type world struct {
	ports
	Seeded bool `json:"seeded"`

	dir     string
	sims    []member
	server  *embedded.Server
	main    *http.Server
	outage  *http.Server
	resumed bool

	closing sync.Once
	serving sync.WaitGroup
	healing sync.Mutex // guards outage and closed
	closed  bool
	heal    *time.Timer
	failed  chan error // a simulator that could not be kept or served
}

// ports are where the world listens. They stay, because a provider's address is
// part of its account's identity.
type ports struct {
	Nats   int `json:"nats"`
	Main   int `json:"main"`
	Outage int `json:"outage"` // answers nobody at first
}

// member is one instance and the simulator it calls.
type member struct {
	kind     simulator.Kind
	instance string
	sim      simulator.Simulated
	settings any // of the instance, once the ports are chosen
}

// path is the simulator's on the main address.
func (m member) path() string {
	if m.kind.Variant != "" {
		return m.instance
	}
	return m.kind.Name
}

// secondMerchant is the account of opay-ng.
const secondMerchant = "256612345678902"

// members are one instance of every kind, a second one of OPay's whose address
// answers nobody at first, and a second one of Openpay's that can be asked.
func members() []member {
	second := opaysim.Definition()
	second.Account = append([]simulator.Setting{{Key: "merchantID", Value: secondMerchant}}, second.Account[1:]...)
	sim := opaysim.New(opaysim.Options{MerchantID: secondMerchant, FirstStatus: "SUCCESS"})
	all := []member{{kind: second, instance: opayNG, sim: simulator.Simulated{Handler: sim, Base: sim.Base}}}
	for _, k := range append(simulators.Kinds(), openpaysim.Shown(openpayUK)) {
		all = append(all, member{kind: k, instance: k.Instance, sim: k.New(simulator.Manner{Pace: simulator.AtOnce})})
	}
	return all
}

// member is the one of an instance.
func (w *world) member(instance string) member {
	i := slices.IndexFunc(w.sims, func(m member) bool { return m.instance == instance })
	return w.sims[i] // the script names no other
}

// openWorld starts the world in dir, or goes on with the one that is there.
func openWorld(dir string) (*world, error) { return openWorldAt(dir, ports{}) }

// openWorldAt is openWorld on given ports; zero ones are chosen.
func openWorldAt(dir string, at ports) (*world, error) {
	w := &world{dir: dir, ports: at, sims: members(), failed: make(chan error, 8)}
	remember := func() error { return w.remember(at) }
	steps := []func() error{remember, w.choosePorts, w.configure, w.restore, w.serveMain, w.startServer}
	for _, step := range steps {
		if err := step(); err != nil {
			w.close()
			return nil, err
		}
	}
	if w.resumed {
		err := w.serveOutage()
		return w, err
	}
	w.heal = time.AfterFunc(outageHeals, func() {
		if err := w.serveOutage(); err != nil {
			w.failed <- err
		}
	})
	return w, nil
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// remember reads what an earlier demo in this directory left. Where ports are
// asked for, they must be those.
func (w *world) remember(at ports) error {
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	b, err := os.ReadFile(w.path("world.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read data directory: %w", err)
	}
	if err := json.Unmarshal(b, w); err != nil {
		return fmt.Errorf("read %s: %w", w.path("world.json"), err)
	}
	w.resumed = w.Seeded
	if at != (ports{}) && w.ports != at {
		return fmt.Errorf("data directory %s was made with ports %d, %d and %d: give the same, or another directory",
			w.dir, w.Nats, w.Main, w.Outage)
	}
	return nil
}

// Ports are chosen below those that systems take for outgoing connections
// (from 32768 on Linux, 49152 elsewhere), so that one is still free when a
// killed demo goes on.
const (
	firstPort = 20000
	numPorts  = 10000
	portTries = 100
)

func (w *world) choosePorts() error {
	for _, port := range []*int{&w.Nats, &w.Main, &w.Outage} {
		for tries := 0; *port == 0; tries++ {
			n := firstPort + rand.IntN(numPorts) //nolint:gosec // a port is no secret
			if n == w.Nats || n == w.Main {
				continue
			}
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", n))
			switch {
			case err == nil:
				*port = n
				_ = l.Close() // it was never used
			case tries == portTries:
				return fmt.Errorf("choose port: %w", err)
			}
		}
	}
	return nil
}

// configure fills in the settings of each instance.
func (w *world) configure() (err error) {
	for i, m := range w.sims {
		base := fmt.Sprintf("http://127.0.0.1:%d/%s", w.Main, m.path())
		if m.instance == opayNG {
			base = fmt.Sprintf("http://127.0.0.1:%d", w.Outage)
		}
		if w.sims[i].settings, err = simulators.Settings(m.kind, base); err != nil {
			return err
		}
	}
	return nil
}

// restore loads the simulators' memory, or seeds and keeps it for the first time.
func (w *world) restore() error {
	if !w.resumed {
		if err := w.seed(); err != nil {
			return fmt.Errorf("seed simulators: %w", err)
		}
	}
	for _, m := range w.sims {
		name, sim := m.instance+".json", m.sim
		if w.resumed {
			b, err := os.ReadFile(w.path(name))
			if err != nil {
				return fmt.Errorf("restore simulator: %w", err)
			}
			if err := sim.Load(b); err != nil {
				return fmt.Errorf("restore %s (begin anew with an empty folder in place of %s): %w", name, w.dir, err)
			}
		}
		if err := w.keep(name, sim); err != nil {
			return err
		}
		var mu sync.Mutex
		sim.OnChange(func() {
			mu.Lock()
			defer mu.Unlock()
			if err := w.keep(name, sim); err != nil {
				w.failed <- err
			}
		})
	}
	w.Seeded = true
	b, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("keep world: %w", err)
	}
	return replace(w.path("world.json"), b)
}

func (w *world) keep(name string, sim simulator.Simulated) error {
	b, err := sim.Save()
	if err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	return replace(w.path(name), b)
}

// replace writes a file that is either the old or the new one, whenever the
// process is killed.
func replace(path string, b []byte) error {
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return fmt.Errorf("keep memory: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("keep memory: %w", err)
	}
	return nil
}

func (w *world) serveMain() error {
	mux := http.NewServeMux()
	for _, m := range w.sims {
		if m.instance != opayNG {
			mux.Handle("/"+m.path()+"/", http.StripPrefix("/"+m.path(), m.sim))
		}
	}
	var err error
	w.main, err = w.serve(w.Main, mux)
	return err
}

func (w *world) serveOutage() (err error) {
	w.healing.Lock()
	defer w.healing.Unlock()
	if !w.closed {
		w.outage, err = w.serve(w.Outage, w.member(opayNG).sim)
	}
	return err
}

func (w *world) serve(port int, h http.Handler) (*http.Server, error) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fmt.Errorf("listen for simulators: %w", err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	w.serving.Go(func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			w.failed <- fmt.Errorf("serve simulators: %w", err)
		}
	})
	return s, nil
}

func (w *world) startServer() error {
	var err error
	w.server, err = embedded.Start(w.path("nats"), w.Nats)
	return err
}

// close stops everything and waits for it.
func (w *world) close() {
	w.closing.Do(func() {
		if w.heal != nil {
			w.heal.Stop()
		}
		w.healing.Lock()
		w.closed = true
		w.healing.Unlock()
		for _, m := range w.sims {
			m.sim.Close()
		}
		for _, s := range []*http.Server{w.main, w.outage} {
			if s != nil {
				_ = s.Close()
			}
		}
		w.serving.Wait()
		if w.server != nil {
			w.server.Close()
		}
	})
}

// config is the service's configuration in this world: short waits, so that
// the stories end while somebody watches.
func (w *world) config() *config.Config {
	cfg := config.Defaults()
	cfg.NATS.URL = w.server.URL()
	cfg.NATS.Replicas = 1
	cfg.Admin.Listen = ""
	cfg.Journal.Witness.File = w.path("journal-mark")
	cfg.Desk.SelfAsserted = true // the embedded server asks nobody who they are
	for _, m := range w.sims {
		one := config.DefaultProvider()
		one.Name, one.Kind, one.Settings = m.instance, m.kind.Name, m.settings
		defaults(&one, m.kind.Account)
		one.Timeout = 2 * time.Second
		one.Retry.Initial, one.Retry.Max = time.Second, 4*time.Second
		one.Poll.Initial, one.Poll.Max = time.Second, 4*time.Second
		one.ReviewAfter = 5 * time.Second
		cfg.Providers = append(cfg.Providers, one)
	}
	return cfg
}

// defaults fills in what the account's instance knows where a command is silent.
func defaults(p *config.Provider, account []simulator.Setting) {
	for _, s := range account {
		switch s.Key {
		case "country":
			p.Country = s.Text()
		case "currency":
			p.Currency = payment.Currency(s.Text())
		}
	}
}

// quicken shortens the one wait that is no setting.
func quicken(in []providers.Instance) []providers.Instance {
	for i := range in {
		in[i].Policy.CallMargin = time.Second
	}
	return in
}

// count is the simulators' own word on one operation's payment: how often
// money moved, and how much. Closing or voiding moves none.
func (w *world) count(o operation) (movements int, total map[string]int64) {
	l := w.member(o.provider).sim.Ledger()
	for _, m := range l.Movements(o.payment) {
		if m.Amount > 0 {
			movements++
		}
	}
	return movements, l.Total(o.payment)
}
