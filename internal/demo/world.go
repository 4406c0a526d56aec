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
	"sync"
	"time"

	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/internal/embedded"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/bento"
	"github.com/countermand/countermand/providers/bento/bentosim"
	"github.com/countermand/countermand/providers/opay"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/openpay"
	"github.com/countermand/countermand/providers/openpay/openpaysim"
	"github.com/countermand/countermand/providers/simulator"
	"github.com/countermand/countermand/providers/tranzzo"
	"github.com/countermand/countermand/providers/tranzzo/tranzzosim"
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
	opay    *opaysim.Simulator
	opayNG  *opaysim.Simulator
	openpay *openpaysim.Simulator
	tranzzo *tranzzosim.Simulator
	bento   *bentosim.Simulator
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

// simulated is a simulated provider whose memory can be kept.
type simulated interface {
	http.Handler
	Save() ([]byte, error)
	Load([]byte) error
	OnChange(func())
	Ledger() *simulator.Ledger
	Close()
}

// simulators returns the simulators by the instance that is configured for each.
func (w *world) simulators() map[string]simulated {
	return map[string]simulated{
		opayEG: w.opay, opayNG: w.opayNG, openpayEU: w.openpay, tranzzoUA: w.tranzzo, bentoUK: w.bento,
	}
}

// openWorld starts the world in dir, or goes on with the one that is there.
func openWorld(dir string) (*world, error) { return openWorldAt(dir, ports{}) }

// openWorldAt is openWorld on given ports; zero ones are chosen.
func openWorldAt(dir string, at ports) (*world, error) {
	w := &world{dir: dir, ports: at, failed: make(chan error, 8)}
	w.opay = opaysim.New(opaysim.Options{FirstStatus: "SUCCESS"})
	w.opayNG = opaysim.New(opaysim.Options{MerchantID: "256612345678902", FirstStatus: "SUCCESS"})
	w.openpay = openpaysim.New(openpaysim.Options{APIKey: openpayKey, PartialRefunds: true})
	w.tranzzo = tranzzosim.New(tranzzosim.Options{})
	w.bento = bentosim.New(bentosim.Options{})
	remember := func() error { return w.remember(at) }
	steps := []func() error{remember, w.choosePorts, w.restore, w.serveMain, w.startServer}
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

// openpayKey is the simulated account's key: no secret of anybody's.
const openpayKey = "4d41d21a935f5bba9dee7c7be4a7ca04"

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

// restore loads the simulators' memory, or seeds and keeps it for the first time.
func (w *world) restore() error {
	if !w.resumed {
		if err := w.seed(); err != nil {
			return fmt.Errorf("seed simulators: %w", err)
		}
	}
	for instance, sim := range w.simulators() {
		name := instance + ".json"
		if w.resumed {
			b, err := os.ReadFile(w.path(name))
			if err != nil {
				return fmt.Errorf("restore simulator: %w", err)
			}
			if err := sim.Load(b); err != nil {
				return fmt.Errorf("restore %s: %w", name, err)
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

func (w *world) keep(name string, sim simulated) error {
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
	for path, sim := range map[string]simulated{"/opay": w.opay, "/openpay": w.openpay, "/tranzzo": w.tranzzo, "/bento": w.bento} {
		mux.Handle(path+"/", http.StripPrefix(path, sim))
	}
	var err error
	w.main, err = w.serve(w.Main, mux)
	return err
}

func (w *world) serveOutage() (err error) {
	w.healing.Lock()
	defer w.healing.Unlock()
	if !w.closed {
		w.outage, err = w.serve(w.Outage, w.opayNG)
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
		for _, sim := range w.simulators() {
			sim.Close()
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
	cfg.Desk.SelfAsserted = true // the embedded server asks nobody who they are
	base := fmt.Sprintf("http://127.0.0.1:%d", w.Main)
	for _, p := range []struct {
		name, kind string
		settings   any
	}{
		{opayEG, "opay", &opay.Settings{
			BaseURL: base + "/opay", MerchantID: opaysim.DefaultMerchantID,
			SecretKey: providers.NewSecret(opaysim.DefaultSecretKey), CallbackURL: "https://shop.example/callback",
		}},
		{opayNG, "opay", &opay.Settings{
			BaseURL: fmt.Sprintf("http://127.0.0.1:%d", w.Outage), MerchantID: "256612345678902",
			SecretKey: providers.NewSecret(opaysim.DefaultSecretKey), CallbackURL: "https://shop.example/callback",
		}},
		{openpayEU, "openpay", &openpay.Settings{
			BaseURL: base + "/openpay", Account: "shop-eu", APIKey: providers.NewSecret(openpayKey), PartialRefunds: true,
		}},
		{tranzzoUA, "tranzzo", &tranzzo.Settings{
			BaseURL: base + "/tranzzo", PosID: tranzzosim.DefaultPosID, Currency: "UAH",
			EndpointsKey: providers.NewSecret(tranzzosim.DefaultEndpointsKey),
			APIKey:       providers.NewSecret(tranzzosim.DefaultAPIKey), APISecret: providers.NewSecret(tranzzosim.DefaultAPISecret),
		}},
		{bentoUK, "bento", &bento.Settings{
			BaseURL: base + "/bento", Account: "shop-uk", Token: providers.NewSecret(bentosim.DefaultToken),
		}},
	} {
		one := config.DefaultProvider()
		one.Name, one.Kind, one.Settings = p.name, p.kind, p.settings
		one.Timeout = 2 * time.Second
		one.Retry.Initial, one.Retry.Max = time.Second, 4*time.Second
		one.Poll.Initial, one.Poll.Max = time.Second, 4*time.Second
		one.ReviewAfter = 5 * time.Second
		cfg.Providers = append(cfg.Providers, one)
	}
	return cfg
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
	l := w.simulators()[o.provider].Ledger()
	for _, m := range l.Movements(o.payment) {
		if m.Amount > 0 {
			movements++
		}
	}
	return movements, l.Total(o.payment)
}
