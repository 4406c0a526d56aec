package check_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/deploy/k8s/check"
)

// declared returns the metrics the service has with their labels, from the table
// in docs/observability.md; a test there holds it to the program.
func declared(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{"process_resident_memory_bytes": nil}
	row := regexp.MustCompile("(?m)^\\| `(countermand_[a-z_]+)` \\| [a-z]+ \\| ([^|]*) \\|")
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		all[m[1]] = strings.Split(m[2], ", ")
	}
	if len(all) < 20 {
		t.Fatalf("only %d metrics in docs/observability.md", len(all))
	}
	return all
}

// scraped are labels that the scraping adds to every metric, and a histogram's.
func scraped() []string { return []string{"namespace", "pod", "job", "le"} }

// unknownIn returns what an expression uses that does not exist.
func unknownIn(t *testing.T, expr string, metrics map[string][]string) []string {
	t.Helper()
	// Grafana's variables, replaced as Grafana would.
	expr = strings.NewReplacer("$__rate_interval", "5m", "$provider", "opay-eg").Replace(expr)
	names, used, err := check.Selectors(expr)
	if err != nil {
		return []string{err.Error()}
	}
	var unknown []string
	for _, name := range names {
		if _, ok := metrics[check.Base(name)]; !ok {
			unknown = append(unknown, name)
		}
	}
	for _, use := range used {
		name, label, _ := strings.Cut(use, " ")
		if !slices.Contains(metrics[check.Base(name)], label) && !slices.Contains(scraped(), label) {
			unknown = append(unknown, use)
		}
	}
	return unknown
}

// panel is what is looked at of a dashboard's panel.
type panel struct {
	ID      int    `json:"id"`
	Type    string `json:"type"`
	Title   string `json:"title"`
	GridPos struct{ H, W, X, Y int }
	Targets []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
}

// dashboard returns the panels of the shipped dashboard.
func dashboard(t *testing.T) []panel {
	t.Helper()
	var d struct {
		UID    string  `json:"uid"`
		Panels []panel `json:"panels"`
	}
	text := typed(t, "base, monitoring").ConfigMaps["countermand-dashboard"].Data["countermand.json"]
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	if d.UID == "" {
		t.Error("the dashboard has no uid: links to it would change")
	}
	return d.Panels
}

func TestAlertsAndDashboardUseMetricsAndLabelsThatExist(t *testing.T) {
	t.Parallel()
	metrics := declared(t)
	for name, a := range alerts(t) {
		for _, u := range unknownIn(t, a.Expr, metrics) {
			t.Errorf("%s: %s", name, u)
		}
	}
	shown := 0
	for _, p := range dashboard(t) {
		for _, target := range p.Targets {
			shown++
			for _, u := range unknownIn(t, target.Expr, metrics) {
				t.Errorf("panel %q: %s", p.Title, u)
			}
		}
	}
	if shown < 20 {
		t.Errorf("only %d expressions on the dashboard", shown)
	}
}

func TestAMetricOrLabelThatDoesNotExistIsFound(t *testing.T) {
	t.Parallel()
	metrics := declared(t)
	for _, expr := range []string{
		`countermand_review_require > 0`,
		`countermand_review_required{instance="opay-eg"} > 0`,
		`sum by (shop) (countermand_review_required)`,
		`sum by (provider (x)`,
	} {
		if len(unknownIn(t, expr, metrics)) == 0 {
			t.Errorf("%s: nothing is found", expr)
		}
	}
}

func TestTheDashboardsPanelsHaveTheirOwnPlaces(t *testing.T) {
	t.Parallel()
	ids := map[int]bool{}
	taken := map[[2]int]string{}
	for _, p := range dashboard(t) {
		if ids[p.ID] {
			t.Errorf("two panels with id %d", p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, ok := taken[[2]int{x, y}]; ok {
					t.Fatalf("%q lies over %q", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%q is wider than the dashboard", p.Title)
		}
	}
}

// The alert about size, the server's limit and the volume must know of each other.
func TestTheAlertOnSizeKnowsTheServersLimit(t *testing.T) {
	t.Parallel()
	r := typed(t, "production")
	var limit string
	for name, m := range r.ConfigMaps {
		if strings.HasPrefix(name, "countermand-nats-config") {
			limit = regexp.MustCompile(`max_file_store: (\d+)GB`).FindStringSubmatch(m.Data["nats.conf"])[1]
		}
	}
	if expr := alerts(t)["CountermandStreamFilling"].Expr; !strings.Contains(expr, "0.25 * "+limit+" * 2^30") {
		t.Errorf("max_file_store is %s GiB, the alert says %s", limit, expr)
	}
	if expr := alerts(t)["CountermandCommandsFilling"].Expr; !strings.Contains(expr, "0.5 * 2^30") || broker.DefaultCommandsBytes != 1<<30 {
		t.Errorf("the commands are bounded by %d bytes, the alert says %s", broker.DefaultCommandsBytes, expr)
	}
	if expr := alerts(t)["CountermandRefusalsFilling"].Expr; !strings.Contains(expr, "0.5 * 256 * 2^20") || broker.DefaultRefusalsBytes != 256<<20 {
		t.Errorf("the refusals are bounded by %d bytes, the alert says %s", broker.DefaultRefusalsBytes, expr)
	}
	volume := r.StatefulSets[0].Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage()
	if least := resource.MustParse(limit + "Gi"); volume.Value()*4 < least.Value()*5 {
		t.Errorf("a volume of %s leaves less than a fifth beside %s GiB", volume, limit)
	}
}
