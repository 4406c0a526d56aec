//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/internal/program"
	"github.com/countermand/countermand/internal/sidebyside"
	"github.com/countermand/countermand/proof/chaos/compare"
	registry "github.com/countermand/countermand/providers/kinds"
	"github.com/countermand/countermand/providers/simulator"
)

// programs builds the programs under test once for all tests.
var programs = sync.OnceValues(func() (binaries, error) { return build(context.Background(), os.Getenv(testDir), binaries{}) })

// testDir names the directory of what is built once.
const testDir = "COUNTERMAND_TEST_CHAOS_DIR"

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "countermand-chaos-test-")
	if err != nil {
		panic(err)
	}
	os.Setenv(testDir, dir)
	code := sidebyside.Run(m)
	os.RemoveAll(dir)
	os.Exit(code)
}

// built returns the arguments that name what was built.
func built(t *testing.T) []string {
	t.Helper()
	if testing.Short() {
		t.Skip("starts real processes and takes some twenty seconds")
	}
	b, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return []string{"--consumer", b.consumer, "--nats-server", b.server}
}

// chaos runs the program and returns its report and what it told meanwhile.
func chaos(t *testing.T, args ...string) (r *report, told string, failed error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	failed = run(t.Context(), append(append(args, "--json"), built(t)...), &stdout, &stderr)
	r = &report{Verdict: &compare.Verdict{}}
	if err := json.Unmarshal(stdout.Bytes(), r); err != nil {
		t.Fatalf("report: %v (%v)\n%s%s", err, failed, stdout.String(), stderr.String())
	}
	return r, stderr.String(), failed
}

func TestAQuickRunBreaksEverythingAndKeepsEveryPromise(t *testing.T) {
	t.Parallel()
	r, told, err := chaos(t, "run", "--commands", "200", "--kills", "3", "--nats-restarts", "1",
		"--duration", "4s", "--ack-wait", "3s", "--apart", "--patience", "90s")
	t.Logf("seed %d: %s; %s; operators: %s; refused %s", r.Seed, list(r.Faults), list(r.Ends), list(r.Operators), list(r.Refusals))
	if err != nil || len(r.Violations) != 0 || len(r.Notes) != 0 {
		t.Fatalf("%v: %+v %v\n%s", err, r.Violations, r.Notes, told)
	}
	if r.Commands < 200 || r.Terminal+r.Review != r.Commands || r.Movements == 0 || r.Faults[string(killConsumer)] != 3 || r.Faults[string(killServer)] != 1 {
		t.Errorf("the run was not what it should be: %+v", r)
	}
	if r.Review+r.Behind != 0 || r.Operators["listed the queue"] == 0 || r.Operators["replayed a corrected message"] == 0 {
		t.Errorf("operators did %s, and %d wait for them", list(r.Operators), r.Review+r.Behind)
	}
	if len(r.ProviderFaults) < 3 || r.Timers == 0 {
		t.Errorf("too little happened: faults %v, %d timers", r.ProviderFaults, r.Timers)
	}
}

func TestAServiceKilledInMidFlowRepeatsNoCall(t *testing.T) {
	t.Parallel()
	r, told, err := chaos(t, "kill", "--commands", "120", "--latency", "100ms", "--ack-wait", "3s", "--patience", "90s")
	if err != nil || len(r.Repeated) != 0 || r.Terminal+r.Review != 120 {
		t.Fatalf("%v: repeated %v, %d ended, %d in review: %+v %v\n%s", err, r.Repeated, r.Terminal, r.Review, r.Violations, r.Notes, told)
	}
	if r.Review == 0 {
		t.Error("nothing was in mid-flow when the service was killed")
	}
}

func TestAnInterruptedRunLeavesNoProcessBehind(t *testing.T) {
	t.Parallel()
	args := append([]string{"run", "--commands", "2000", "--kills", "5"}, built(t)...)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	dir := filepath.Join(t.TempDir(), "kept")
	var stdout bytes.Buffer
	progress := &trigger{when: "payments; seed", then: func() { time.AfterFunc(time.Second, interrupt) }}
	err := run(ctx, append(args, "--keep", dir), &stdout, progress)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	if left := processesIn(t, dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// trigger does something once a text is written to it.
type trigger struct {
	when string
	then func()
}

// Write implements io.Writer.
func (g *trigger) Write(b []byte) (int, error) {
	if strings.Contains(string(b), g.when) {
		g.then()
	}
	return len(b), nil
}

// processesIn lists the processes that work in a directory, where the system
// can tell.
func processesIn(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil || len(all) == 0 {
		t.Skip("this system has no /proc to look into")
	}
	var found []string
	for _, name := range all {
		if cwd, _ := os.Readlink(name); cwd == dir { // gone meanwhile, or not ours
			text, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline"))
			found = append(found, strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return found
}

func TestAPlanIsAFunctionOfItsSeedAndClaimsEveryMovementOnce(t *testing.T) {
	t.Parallel()
	p, err := newDrawer(7).draw(2000)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := newDrawer(7).draw(2000)
	other, _ := newDrawer(8).draw(2000)
	if !cmp.Equal(p.commands, again.commands) || cmp.Equal(p.commands, other.commands) {
		t.Error("the plan does not hang on its seed, or not on it alone")
	}
	owners := map[compare.Claim]string{}
	repeats := map[string]int{}
	for _, c := range p.commands {
		repeats[c.Repeat]++
		for _, claim := range c.Claims {
			if owner := owners[claim]; owner != "" {
				t.Fatalf("%+v is claimed by %s and %s", claim, owner, c.Name)
			}
			owners[claim] = c.Name
		}
	}
	if len(p.commands) < 2000 || p.repeats < 200 || p.repeats > 600 || len(repeats) != 3 {
		t.Errorf("%d commands, %d repeats, promises %v", len(p.commands), p.repeats, repeats)
	}
	if !slices.IsSortedFunc(p.messages, func(a, b message) int { return int(1e9 * (a.at - b.at)) }) {
		t.Error("messages are not in their order")
	}
}

func TestNoOperationWaitsForAnotherWhereTheyAreKeptApart(t *testing.T) {
	t.Parallel()
	d := newDrawer(7)
	d.apart = true
	p, err := d.draw(1000)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, c := range p.commands {
		if seen[c.Payment]++; seen[c.Payment] > 1 && !strings.HasPrefix(c.Payment, "opay-eg/") {
			t.Errorf("%s has two operations", c.Payment)
		}
	}
}

func TestAScheduleHoldsWhatWasAskedForWithinItsTime(t *testing.T) {
	t.Parallel()
	for nodes, want := range map[int]map[strike]int{
		1: {killServer: 3, endServer: 3},
		3: {killLeader: 2, stepDown: 2, killTwo: 2},
	} {
		got := map[strike]int{}
		last := time.Duration(0)
		for _, p := range schedule(rand.New(rand.NewPCG(1, 1)), amount{kills: 20, servers: 6, nodes: nodes, over: time.Minute}) {
			if p.at < last || p.at > time.Minute {
				t.Errorf("%s at %s, after one at %s", p.what, p.at, last)
			}
			last = p.at
			got[p.what]++
		}
		want[killConsumer], want[stopConsumer] = 20, 2
		want[cutNATS], want[slowNATS], want[cutProvider], want[slowProvider] = 5, 5, 5, 5
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d nodes: strikes differ (-want +got):\n%s", nodes, diff)
		}
	}
}

func TestACallNamesItsOperationByItsAmount(t *testing.T) {
	t.Parallel()
	bodies := map[string]map[string]int64{
		"opay":    {`{"amount":{"total":1234,"currency":"EGP"}}`: 1234},
		"bento":   {`{"refundAmount":1234}`: 1234, `{}`: 9900},
		"openpay": {"transactionId=x&amount=1234&currency=EUR": 1234, "transactionId=x": 12340},
		"tranzzo": {`{"refund_amount":"12.34"}`: 1234, `{"refund_amount":12.3}`: 1230, `{"refund_amount":"0.50"}`: 50, `{"order_id":"x"}`: 25000},
	}
	for _, k := range kinds() {
		captured := map[string]int64{k.Instance + "/c-1": k.Amount}
		for body, want := range bodies[k.Name] {
			call := simulator.Call{Operation: "refund", Payment: "c-1", Body: body}
			if got := claim(k, call, captured); got != (compare.Claim{Provider: k.Instance, Payment: "c-1", Operation: "refund", Amount: want}) {
				t.Errorf("%s %s: %+v, want %d", k.Name, body, got, want)
			}
		}
	}
}

func TestOnlyWhatWasSurelyNotCarriedOutIsARefusal(t *testing.T) {
	t.Parallel()
	rows := map[string]struct {
		call simulator.Call
		want bool
	}{
		"429":               {simulator.Call{Status: 429, Fault: simulator.RateLimit}, true},
		"401":               {simulator.Call{Status: 401}, true},
		"cut":               {simulator.Call{Fault: simulator.CutBefore}, false},
		"late":              {simulator.Call{Fault: simulator.Late, Status: 400}, false},
		"500":               {simulator.Call{Status: 500, Fault: simulator.StatusBefore}, false},
		"executed with 422": {simulator.Call{Status: 422, Executed: true}, false},
	}
	for name, row := range rows {
		if got := refusal(row.call); got != row.want {
			t.Errorf("%s: %t, want %t", name, got, row.want)
		}
	}
}

func TestAReportFailsForAViolationAndForAFaultThatWasNotCarriedOut(t *testing.T) {
	t.Parallel()
	r := newReport("run", 1, 1, &plan{})
	if !r.ok() {
		t.Error("an empty report fails")
	}
	r.noteFailed([]error{errors.New("no leader")})
	if r.ok() {
		t.Error("a fault that was not carried out does not count")
	}
	r.Notes = nil
	r.Violations = slices.Repeat([]compare.Violation{{Kind: compare.Untrue, What: "x", Says: "y"}}, shown+2)
	var out bytes.Buffer
	r.print(&out)
	if r.ok() || strings.Count(out.String(), "VIOLATION") != shown || !strings.Contains(out.String(), "and 2 more") {
		t.Errorf("the report says\n%s", out.String())
	}
}

func TestAPathComesBackAfterEverythingThatIsDoneToIt(t *testing.T) {
	t.Parallel()
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	t.Cleanup(echo.Close)
	port := echo.Listener.Addr().(*net.TCPAddr).Port
	p, err := newPath(newProxies(), "echo", port, &program.Ports{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	url := "http://" + p.from
	for range 3 {
		if !program.Answers(t.Context(), url) {
			t.Fatal("the path does not let through what it should")
		}
		ended := make(chan error, 1)
		go func() { ended <- p.slow(t.Context(), 0, time.Second) }()
		if err := program.Await(t.Context(), func() bool {
			quick, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			return !program.Answers(quick, url) || len(ended) > 0
		}); err != nil || len(ended) > 0 {
			t.Error("the path was never silent")
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if err := p.slow(t.Context(), time.Millisecond, time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if err := p.cut(t.Context(), time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

func TestChaosPlaysEveryKind(t *testing.T) {
	t.Parallel()
	p, err := newDrawer(1).draw(500)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range registry.All() {
		if !slices.ContainsFunc(p.payments, func(s seeded) bool { return s.kind == k.Name }) {
			t.Errorf("chaos: no payment is of %s", k.Name)
		}
	}
	for _, k := range kinds() {
		sum := 0
		for _, s := range k.Scenes {
			sum += s.Share
		}
		if sum != 10 {
			t.Errorf("chaos: the scenes of %s happen to %d of ten payments", k.Name, sum)
		}
	}
}
