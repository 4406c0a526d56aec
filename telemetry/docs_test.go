package telemetry_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/countermand/countermand/telemetry"
)

// recorder is a registry that lists what is registered, series or none.
type recorder struct {
	descriptions []string
}

func (r *recorder) Register(c prometheus.Collector) error {
	out := make(chan *prometheus.Desc)
	go func() { c.Describe(out); close(out) }()
	for d := range out {
		r.descriptions = append(r.descriptions, d.String())
	}
	return nil
}

func (r *recorder) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		_ = r.Register(c) // never fails
	}
}

func (*recorder) Unregister(prometheus.Collector) bool { return false }

// registered lists our metrics with their labels.
func registered(t *testing.T) map[string]string {
	t.Helper()
	var r recorder
	if _, err := telemetry.New(&r, telemetry.Names{}, &telemetry.Options{Version: "v1"}); err != nil {
		t.Fatal(err)
	}
	if err := telemetry.RegisterReady(&r, func() bool { return true }); err != nil {
		t.Fatal(err)
	}
	if err := telemetry.RegisterStanding(&r, func() string { return "whole" }); err != nil {
		t.Fatal(err)
	}
	if err := telemetry.RegisterWitness(&r, func() time.Time { return time.Time{} }, time.Now); err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`^Desc\{fqName: "(countermand_[a-z_]+)", .* constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)
	all := map[string]string{}
	for _, d := range r.descriptions {
		if m := form.FindStringSubmatch(d); m != nil {
			all[m[1]] = sorted(strings.Split(regexp.MustCompile(`="[^"]*"`).ReplaceAllString(m[2]+","+m[3], ""), ","))
		}
	}
	return all
}

// sorted writes labels in one order.
func sorted(labels []string) string {
	labels = slices.DeleteFunc(labels, func(l string) bool { return strings.TrimSpace(l) == "" })
	for i := range labels {
		labels[i] = strings.TrimSpace(labels[i])
	}
	slices.Sort(labels)
	return strings.Join(labels, " ")
}

func TestThePageListsTheMetricsThereAreWithTheirLabels(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	types := map[string]string{}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || !strings.HasPrefix(cells[1], " `countermand_") {
			continue
		}
		name := strings.Trim(cells[1], " `")
		listed[name] = sorted(strings.Split(strings.ReplaceAll(cells[3], "–", ""), ","))
		types[name] = strings.TrimSpace(cells[2])
	}
	if diff := cmp.Diff(registered(t), listed); diff != "" {
		t.Errorf("docs/observability.md differs from the registry (-registry +page):\n%s", diff)
	}
	b := setup(t)
	b.everything()
	families, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if got, ours := types[f.GetName()]; ours && got != strings.ToLower(f.GetType().String()) {
			t.Errorf("the page calls %s a %s, it is a %s", f.GetName(), got, strings.ToLower(f.GetType().String()))
		}
	}
	for name := range listed {
		if len(b.series(strings.TrimPrefix(name, "countermand_"))) == 0 {
			t.Errorf("%s has no series, its type is not checked", name)
		}
	}
}
