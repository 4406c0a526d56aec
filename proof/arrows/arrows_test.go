package arrows_test

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// rows is the table of arrows: which packages of this module the code of a
// package may import (its tests may use more). The first row that matches the
// importing package counts. Patterns are those of path.Match; a last element
// ** matches any depth.
func rows() []row {
	return []row{
		{"payment", nil},
		{"schemas", nil},
		{"events", []string{"payment", "internal/safetext", "internal/strictjson"}},
		{"journal", []string{"payment", "events"}},
		{"journal/*", []string{"payment", "events", "journal", "internal/sleep"}},
		{"providers", []string{"payment", "internal/safetext"}},
		{"providers/simulator", []string{}},
		{"providers/providertest", []string{"payment", "providers", "providers/simulator"}},
		{"providers/kinds", []string{"providers", "providers/*"}}, // the table
		{"providers/*", []string{"payment", "providers"}},         // a kind: never another kind
		{"providers/*/*sim", []string{"payment", "providers/simulator"}},
		{"handlers", []string{"payment", "events", "journal", "providers", "internal/sleep"}},
		{"desk", []string{"payment", "events", "journal", "providers", "handlers", "internal/safetext"}},
		{"desk/control", []string{"payment", "events", "handlers", "desk", "broker", "integrity", "integrity/acceptance", "internal/openwork"}},
		{"desk/rejected", []string{"payment", "events", "journal/stream", "desk"}},
		{"desk/history", []string{"payment", "events", "journal/stream", "desk"}},
		{"desk/remote", []string{"payment", "events", "desk", "desk/control", "desk/history", "desk/rejected", "integrity/acceptance", "internal/requests", "internal/strictjson"}},
		{"status", []string{"payment", "events", "journal", "internal/strictjson"}},
		{"status/service", []string{"payment", "status", "internal/requests"}},
		{"internal/requests", nil},
		{"internal/spelling", nil},
		{"internal/strictjson", []string{"payment", "internal/bom", "internal/spelling"}},
		{"internal/bom", nil},
		{"console", []string{"payment", "events", "desk", "providers", "internal/safetext"}},
		{"broker", []string{"payment", "events", "handlers", "integrity", "internal/quorum", "internal/sleep"}},
		{"isolation", []string{"payment", "handlers", "internal/sleep"}},
		{"notifications", []string{"payment", "providers"}},
		{"telemetry", []string{"payment", "events", "handlers", "notifications", "internal/sleep"}},
		{"proof/arrows", nil},
		{"internal/currencygen", nil},
		{"internal/embedded", nil},
		{"internal/natstest", []string{"events"}},
		{"internal/sidebyside", nil},
		{"internal/publish", []string{"payment", "events", "internal/bom", "internal/spill"}},
		{"internal/simulators", []string{"payment", "providers", "providers/kinds", "providers/simulator", "providers/*/*sim"}},
		{"internal/passage", []string{"internal/sleep"}},
		{"internal/sleep", nil},
		{"internal/inbound", nil},
		{"internal/safetext", nil},
		{"internal/quorum", nil},
		{"internal/program", nil},
		{"internal/monitor", nil},
		{"internal/openwork", []string{"payment", "events", "broker", "handlers", "internal/passage"}},
		{"internal/check", []string{"payment", "events", "broker", "handlers", "providers", "desk", "desk/remote", "journal/stream", "integrity", "integrity/acceptance", "integrity/streams", "internal/archive", "internal/config", "internal/app", "internal/openwork", "internal/monitor"}},
		{"integrity", nil},
		{"integrity/keeper", []string{"integrity", "internal/sleep"}},
		{"integrity/streams", []string{"integrity", "integrity/keeper", "internal/quorum", "internal/sleep"}},
		{"integrity/witness", []string{"integrity", "integrity/keeper"}},
		{"integrity/replicas", []string{"integrity", "integrity/keeper"}},
		{"integrity/acceptance", []string{"payment", "events", "journal", "journal/stream", "integrity", "integrity/keeper", "integrity/replicas", "internal/sleep"}},
		{"internal/archive", []string{"events", "journal/stream", "internal/sleep"}},
		{"internal/recovery", []string{"payment", "events", "journal", "journal/stream", "providers", "handlers", "integrity", "internal/archive", "internal/passage", "internal/safetext", "internal/sleep"}},
		{"reconcile", []string{"payment", "internal/bom"}},
		{"internal/spill", nil},
		{"reconcile/books", []string{"payment", "events", "journal/stream", "providers", "reconcile", "internal/archive", "internal/spill", "internal/sleep"}},
		{"proof/contract", nil},
		{"proof/crash", nil},
		{"proof/mutants", nil},
		{"proof/newkind", nil},
		{"proof/properties", nil},
		{"proof/simulation", []string{"payment", "events", "integrity", "journal", "journal/memory", "providers", "handlers", "internal/simulators", "providers/simulator"}},
		{"proof/e2e", nil},
		{"proof/chaos", []string{"payment", "events", "journal", "journal/stream", "journal/journaltest", "handlers", "integrity", "integrity/*", "internal/app", "desk", "desk/remote", "broker", "schemas", "providers/simulator", "internal/simulators", "internal/openwork", "internal/program", "internal/sleep", "proof/chaos/*"}},
		{"proof/chaos/*", nil}, // the judge knows none of what it judges
		{"proof/roles", nil},
		{"examples/**", []string{"examples/cloudevent"}}, // what any client could be written with
		{"internal/config", []string{"payment", "providers", "providers/kinds", "internal/bom", "internal/safetext", "internal/spelling"}},
		// The commands that have a folder of their own, and what all commands share.
		{"cmd/consumer/cli", []string{"internal/safetext", "payment", "events", "journal/stream", "desk", "desk/control", "desk/remote", "integrity", "integrity/*", "reconcile", "reconcile/books", "broker", "internal/app", "internal/archive", "internal/config", "internal/monitor"}},
		{"cmd/consumer/journal", []string{"integrity", "integrity/acceptance", "desk", "desk/control", "desk/remote", "cmd/consumer/cli"}},
		{"cmd/consumer/archive", []string{"internal/archive", "journal/stream", "cmd/consumer/cli"}},
		{"cmd/consumer/recovering", []string{"payment", "events", "desk", "reconcile", "reconcile/books", "providers", "handlers", "broker", "integrity", "integrity/acceptance", "internal/app", "internal/openwork", "internal/recovery", "cmd/consumer/cli"}},
		{"cmd/consumer/review", []string{"payment", "events", "desk", "desk/remote", "internal/bom", "internal/strictjson", "cmd/consumer/cli"}},
		{"cmd/consumer/rejected", []string{"payment", "events", "desk", "desk/rejected", "desk/remote", "internal/bom", "cmd/consumer/cli"}},
		{"cmd/consumer/reconcile", []string{"payment", "events", "providers", "desk", "desk/remote", "reconcile", "reconcile/books", "internal/app", "internal/config", "cmd/consumer/cli"}},
		// The last three put the program together.
		{"internal/app", []string{
			"payment", "events", "journal", "journal/stream", "providers", "providers/kinds", "isolation",
			"handlers", "broker", "telemetry", "desk", "desk/*", "console", "integrity", "integrity/*", "notifications", "status", "status/*", "internal/archive", "internal/config", "internal/inbound", "internal/openwork", "internal/monitor", "internal/quorum", "internal/sleep",
		}},
		{"internal/demo", []string{
			"payment", "events", "journal", "journal/*", "providers/**", "providers",
			"handlers", "broker", "telemetry", "schemas", "internal/*",
		}},
		{"cmd/consumer", []string{
			"payment", "events", "journal/stream", "providers", "broker", "desk", "desk/*",
			"internal/app", "internal/check", "internal/config", "internal/demo", "internal/openwork", "internal/publish", "internal/simulators", "internal/sleep", "cmd/consumer/*",
		}},
	}
}

type row struct {
	importer string
	may      []string
}

// gates says which packages may import something from outside the module that
// the core must not see.
func gates() map[string][]string {
	return map[string][]string{
		"github.com/nats-io/nats.go":     {"journal/stream", "proof/chaos", "broker", "desk/remote", "desk/control", "status/service", "internal/requests", "internal/app", "internal/demo", "internal/embedded", "internal/monitor", "internal/natstest", "internal/publish", "internal/passage", "internal/openwork", "internal/quorum", "internal/check", "integrity/streams", "integrity/replicas", "integrity/acceptance", "internal/archive", "internal/recovery", "reconcile/books", "examples/**", "cmd/**"},
		"github.com/nats-io/nats-server": {"internal/embedded", "internal/natstest"},
		"net/http":                       {"console", "integrity/witness", "notifications", "providers", "proof/chaos", "providers/**", "internal/app", "internal/demo", "internal/simulators", "internal/inbound", "internal/monitor", "internal/program", "telemetry", "cmd/consumer"},
		"os":                             {"internal/config", "integrity/witness", "internal/archive", "internal/recovery", "proof/chaos", "proof/mutants", "internal/currencygen", "internal/demo", "internal/embedded", "internal/natstest", "internal/program", "internal/spill", "reconcile/books", "examples/**", "cmd/**"},
	}
}

// notInProduction must not be in a binary built with -tags production.
func notInProduction() []string {
	return []string{
		"providers/simulator", "providers/*/*sim", "providers/providertest", "journal/journaltest",
		"internal/embedded", "internal/demo", "internal/simulators", "internal/natstest", "internal/program", "internal/publish", "internal/sidebyside", "github.com/nats-io/nats-server/**",
	}
}

func TestImportsGoOneWay(t *testing.T) {
	t.Parallel()
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		may, found := allowed(f.pkg)
		if !found {
			t.Errorf("%s: package %s has no row in the table of arrows", f.name, f.pkg)
			continue
		}
		for _, imported := range f.imports {
			if inside, ours := strings.CutPrefix(imported, module+"/"); ours && !matchAny(may, inside) {
				t.Errorf("%s: %s must not import %s", f.name, f.pkg, inside)
			}
		}
	}
}

func TestTheCoreUsesTheStandardLibraryOnly(t *testing.T) {
	t.Parallel()
	for _, f := range sources(t) {
		if f.pkg != "payment" || f.test {
			continue
		}
		for _, imported := range f.imports {
			if first, _, _ := strings.Cut(imported, "/"); strings.Contains(first, ".") {
				t.Errorf("%s: payment must not import %s", f.name, imported)
			}
		}
	}
}

func TestOnlyTheEdgesSeeNATSAndHTTPAndTheProcess(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, f := range sources(t) {
		for _, imported := range f.imports {
			for gate, may := range gates() {
				if imported != gate && !strings.HasPrefix(imported, gate+"/") || f.test {
					continue
				}
				seen[gate] = true
				if !matchAny(may, f.pkg) {
					t.Errorf("%s: %s must not import %s", f.name, f.pkg, imported)
				}
			}
		}
	}
	for gate := range gates() {
		if !seen[gate] {
			t.Errorf("nothing imports %s: the rule about it checks nothing", gate)
		}
	}
}

func TestNobodyImportsACommand(t *testing.T) {
	t.Parallel()
	for _, f := range sources(t) {
		for _, imported := range f.imports {
			if strings.HasPrefix(imported, module+"/cmd/") && !strings.HasPrefix(f.pkg, "cmd/") {
				t.Errorf("%s: nothing outside cmd may import %s", f.name, imported)
			}
		}
	}
}

func TestAProductionBinaryHoldsNoSimulatorAndNoServer(t *testing.T) {
	t.Parallel()
	const binary = "cmd/consumer"
	for _, pkg := range reachable(t, binary, "production") {
		if matchAny(notInProduction(), pkg) {
			t.Errorf("%s reaches %s although built with -tags production", binary, pkg)
		}
	}
	// Without the tag they are there: otherwise the check above sees nothing.
	everyday := reachable(t, binary)
	for _, want := range []string{"providers/simulator", "internal/embedded"} {
		if !slices.Contains(everyday, want) {
			t.Errorf("%s does not reach %s without the tag", binary, want)
		}
	}
}

// allowed returns what the first matching row allows.
func allowed(pkg string) ([]string, bool) {
	for _, r := range rows() {
		if match(r.importer, pkg) {
			return r.may, true
		}
	}
	return nil, false
}

func matchAny(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return match(p, pkg) })
}

func match(pattern, pkg string) bool {
	if root, deep := strings.CutSuffix(pattern, "/**"); deep {
		return strings.HasPrefix(pkg, root+"/")
	}
	ok, err := path.Match(pattern, pkg)
	return ok && err == nil
}
