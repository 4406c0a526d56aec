package check_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/deploy/k8s/check"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/payment"
)

// secretPath is the path of a file that a Secret provides.
var secretPath = regexp.MustCompile(`/run/secrets/[A-Za-z0-9/._-]+`)

// drain is how long the service gives what is in hand after SIGTERM.
const drain = 20 * time.Second

// configured are the renderings that have a configuration.
func configured() []string { return []string{"base", "production"} }

// configText returns the configuration the named ConfigMap holds.
func configText(t *testing.T, r *check.Rendered) string {
	t.Helper()
	for name, m := range r.ConfigMaps {
		if strings.HasPrefix(name, "countermand-config") {
			return m.Data["config.yaml"]
		}
	}
	t.Fatal("no configuration")
	return ""
}

// consumer returns the service's own workload.
func consumer(t *testing.T, r *check.Rendered) check.Workload {
	t.Helper()
	for _, w := range r.Workloads {
		if w.Pod.Labels["app.kubernetes.io/component"] == "consumer" {
			return w
		}
	}
	t.Fatal("no consumer")
	return check.Workload{}
}

// mount lays the files of Secrets out under a folder, as a container would find
// them, and returns the configuration with their paths there.
func mount(t *testing.T, files []string, text string) string {
	t.Helper()
	dir := t.TempDir()
	for _, file := range files {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("not-a-secret"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return secretPath.ReplaceAllStringFunc(text, func(path string) string { return filepath.Join(dir, path) })
}

// load reads a configuration as the service does.
func load(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(file, func(string) string { return "" })
}

func TestTheServiceTakesTheShippedConfiguration(t *testing.T) {
	t.Parallel()
	for _, name := range configured() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := typed(t, name)
			cfg, err := load(t, mount(t, consumer(t, r).SecretFiles(), configText(t, r)))
			if err != nil {
				t.Fatal(err)
			}
			if cfg.NATS.Replicas != 3 {
				t.Errorf("%d replicas of each stream, not 3", cfg.NATS.Replicas)
			}
			if got, want := cfg.Concurrency, check.Topology().Concurrency; got != want {
				t.Errorf("concurrency %d; the manifests of scaling and NACK are for %d", got, want)
			}
			margin := payment.DefaultPolicy().CallMargin
			for _, p := range cfg.Providers {
				if p.Timeout+margin > drain {
					t.Errorf("a call of %s may take %s, longer than what is in hand is given (%s)", p.Name, p.Timeout+margin, drain)
				}
			}
			_, port, _ := strings.Cut(cfg.Admin.Listen, ":")
			if ports := consumer(t, r).Pod.Spec.Containers[0].Ports; len(ports) != 1 || port != fmt.Sprint(ports[0].ContainerPort) {
				t.Errorf("the admin address is %s, the container's ports are %v", cfg.Admin.Listen, ports)
			}
		})
	}
}

func TestEveryMountedSecretIsReadAndEveryReadSecretIsMounted(t *testing.T) {
	t.Parallel()
	for _, name := range configured() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := typed(t, name)
			read := secretPath.FindAllString(configText(t, r), -1)
			mounted := consumer(t, r).SecretFiles()
			slices.Sort(read)
			slices.Sort(mounted)
			if diff := cmp.Diff(slices.Compact(read), mounted); diff != "" {
				t.Errorf("read (-) and mounted (+) differ:\n%s", diff)
			}
		})
	}
}

func TestAMistakeInTheConfigurationIsFound(t *testing.T) {
	t.Parallel()
	r := typed(t, "production")
	text := configText(t, r)
	files := consumer(t, r).SecretFiles()
	for mistake, broken := range map[string]string{
		"a misspelt key":         strings.Replace(text, "merchantID", "merchantId", 1),
		"an unknown kind":        strings.Replace(text, "kind: opay", "kind: opei", 1),
		"a secret in the open":   strings.Replace(text, "{file: /run/secrets/providers/opay-eg}", "OPAYPRV0000", 1),
		"a secret not mounted":   strings.Replace(text, "providers/opay-eg", "providers/opay", 1),
		"a provider given twice": strings.Replace(text, "name: openpay-eu", "name: opay-eg", 1),
	} {
		if broken == text {
			t.Fatalf("%s: nothing is broken", mistake)
		}
		if _, err := load(t, mount(t, files, broken)); err == nil {
			t.Errorf("%s: taken", mistake)
		}
	}
}

func TestTheDevelopmentOverlayNeedsNothingFromOutside(t *testing.T) {
	t.Parallel()
	r := typed(t, "dev")
	w := consumer(t, r)
	if args := w.Pod.Spec.Containers[0].Args; slices.Contains(args, "--config") || args[0] != "run" {
		t.Errorf("arguments %q", args)
	}
	if files := w.SecretFiles(); len(files) > 0 {
		t.Errorf("it needs %q", files)
	}
}

// A decision above the amounts waits for another person, and who that is the shipped
// configuration says: the operator's key is the one that the server knows.
func TestTheShippedConfigurationTellsTwoPersonsApart(t *testing.T) {
	t.Parallel()
	r := typed(t, "production")
	cfg, err := load(t, mount(t, secretPath.FindAllString(configText(t, r), -1), configText(t, r)))
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.People) < 2 || len(cfg.Desk.SecondPersonAbove) == 0 {
		t.Fatalf("%d people, and a second person above %d amounts", len(cfg.People), len(cfg.Desk.SecondPersonAbove))
	}
	keys, err := os.ReadFile(filepath.Join("..", "overlays", "production", "nkeys.conf"))
	if err != nil {
		t.Fatal(err)
	}
	operator := cfg.People[0]
	if operator.Name != cfg.Desk.Operator {
		t.Errorf("the desk's operator is %s, the first person %s", cfg.Desk.Operator, operator.Name)
	}
	key := regexp.MustCompile(`(?m)^OPERATOR_NKEY: (\S+)$`).FindSubmatch(keys)
	if len(key) < 2 || !slices.Equal(operator.Identities, []string{"nats:PEOPLE/" + string(key[1])}) {
		t.Errorf("the operator is %v, and OPERATOR_NKEY %s", operator.Identities, key)
	}
}
