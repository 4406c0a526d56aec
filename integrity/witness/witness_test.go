package witness_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/keeper"
	"github.com/countermand/countermand/integrity/witness"
)

func at(sequence uint64) integrity.Record {
	return integrity.Record{
		Epoch: integrity.FirstEpoch(),
		Mark:  integrity.Mark{Journal: integrity.Position{Sequence: sequence, Token: "t"}, Streams: map[string]uint64{"S": sequence}},
	}
}

// keeps is what every witness must do.
func keeps(t *testing.T, open func() keeper.Store) {
	t.Helper()
	first, second := open(), open()
	if r, err := first.Load(t.Context()); err != nil || !r.Zero() {
		t.Fatalf("before anything was written: %+v, %v", r, err)
	}
	for i, step := range []struct {
		by       keeper.Store
		to, want uint64
	}{{first, 5, 5}, {second, 3, 5}, {second, 9, 9}, {first, 7, 9}} {
		r, err := step.by.Raise(t.Context(), at(step.to))
		if err != nil || r.Mark.Journal.Sequence != step.want {
			t.Fatalf("step %d: %d, %v; want %d", i, r.Mark.Journal.Sequence, err, step.want)
		}
	}
	accepted := at(4)
	accepted.Epoch, accepted.Mark.Epoch = integrity.Epoch{Number: 1}, 1
	if r, err := second.Raise(t.Context(), accepted); err != nil || r.Mark.Journal.Sequence != 4 || r.Epoch.Number != 1 {
		t.Fatalf("a new epoch: %+v, %v", r, err)
	}
	if r, err := open().Load(t.Context()); err != nil || r.Mark.Journal.Sequence != 4 || r.Epoch.Phase != integrity.Held {
		t.Errorf("read again: %+v, %v", r, err)
	}
}

func TestAFileKeepsTheHighestMark(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mark")
	keeps(t, func() keeper.Store { return witness.NewFile(path) })
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("beside the file lies %v, %v", left, err)
	}
}

func TestAFileThatCannotBeReadIsNoEmptyOne(t *testing.T) {
	t.Parallel()
	if _, err := witness.NewFile(filepath.Join(t.TempDir(), "none", "mark")).Load(t.Context()); err == nil {
		t.Error("a folder that is not there was read")
	}
	path := filepath.Join(t.TempDir(), "mark")
	if err := os.WriteFile(path, []byte(`{"mark":`), 0o600); err != nil {
		t.Fatal(err)
	}
	f := witness.NewFile(path)
	if _, err := f.Load(t.Context()); err == nil {
		t.Error("half a file was read")
	}
	if _, err := f.Raise(t.Context(), at(1)); err == nil {
		t.Error("half a file was written over")
	}
}

// cluster is an API server with Leases, which knows of versions and one token.
type cluster struct {
	mu     sync.Mutex
	leases map[string]map[string]any
	rivals int // updates that somebody else is first with
	puts   int

	forbidden bool // updates are
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	lease, there := c.leases[r.URL.Path]
	switch {
	case r.Header.Get("Authorization") != "Bearer secret-token":
		http.Error(w, "who are you", http.StatusUnauthorized)
	case !there:
		http.Error(w, "no such lease", http.StatusNotFound)
	case r.Method == http.MethodPut && c.forbidden:
		http.Error(w, "may not update", http.StatusForbidden)
	case r.Method == http.MethodPut && r.URL.Query().Get("dryRun") == "All":
		_ = json.NewEncoder(w).Encode(lease)
	case r.Method == http.MethodPut:
		c.put(w, r, lease)
	default:
		_ = json.NewEncoder(w).Encode(lease)
	}
}

func (c *cluster) put(w http.ResponseWriter, r *http.Request, lease map[string]any) {
	c.puts++
	var next map[string]any
	if err := json.NewDecoder(r.Body).Decode(&next); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	version := lease["metadata"].(map[string]any)["resourceVersion"].(string)
	if c.rivals > 0 || next["metadata"].(map[string]any)["resourceVersion"] != version {
		c.rivals--
		http.Error(w, "changed meanwhile", http.StatusConflict)
		return
	}
	n, _ := strconv.Atoi(version)
	next["metadata"].(map[string]any)["resourceVersion"] = strconv.Itoa(n + 1)
	c.leases[r.URL.Path] = next
	_ = json.NewEncoder(w).Encode(next)
}

const leasePath = "/apis/coordination.k8s.io/v1/namespaces/payments/leases/countermand-journal"

func setup(t *testing.T) (*cluster, func() keeper.Store) {
	t.Helper()
	c := &cluster{leases: map[string]map[string]any{leasePath: {
		"metadata": map[string]any{"name": "countermand-journal", "resourceVersion": "1", "labels": map[string]any{"team": "pay"}},
		"spec":     map[string]any{"leaseDurationSeconds": 15},
	}}}
	server := httptest.NewTLSServer(c)
	t.Cleanup(server.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return c, func() keeper.Store {
		return witness.NewLease(witness.Cluster{Server: server.URL, Client: server.Client(), TokenFile: token}, "payments", "countermand-journal")
	}
}

func TestALeaseKeepsTheHighestMark(t *testing.T) {
	t.Parallel()
	c, open := setup(t)
	keeps(t, open)
	lease := c.leases[leasePath]
	annotations := lease["metadata"].(map[string]any)["annotations"].(map[string]any)
	if annotations[witness.AnnotationEpoch] != "1" || annotations[witness.AnnotationSequence] != "4" {
		t.Errorf("for the policy it says %v", annotations)
	}
	if labels := lease["metadata"].(map[string]any)["labels"].(map[string]any); labels["team"] != "pay" || lease["spec"].(map[string]any)["leaseDurationSeconds"] != 15.0 {
		t.Errorf("something else was changed: %v", lease)
	}
}

func TestALeaseIsUpdatedAfterRivals(t *testing.T) {
	t.Parallel()
	c, open := setup(t)
	c.rivals = 3
	if r, err := open().Raise(t.Context(), at(7)); err != nil || r.Mark.Journal.Sequence != 7 || c.puts != 4 {
		t.Errorf("raised to %+v after %d updates, %v", r, c.puts, err)
	}
	c.rivals = 1000
	if _, err := open().Raise(t.Context(), at(9)); err == nil {
		t.Error("it goes on for ever")
	}
}

func TestALeaseThatCannotBeReadIsNoEmptyOne(t *testing.T) {
	t.Parallel()
	c, open := setup(t)
	c.mu.Lock()
	kept := maps.Clone(c.leases)
	clear(c.leases)
	c.mu.Unlock()
	if _, err := open().Load(t.Context()); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a Lease that is gone: %v", err)
	}
	if _, err := open().Raise(t.Context(), at(1)); err == nil || strings.Contains(err.Error(), "secret-token") {
		t.Errorf("a Lease that is gone was raised: %v", err)
	}
	c.mu.Lock()
	maps.Copy(c.leases, kept)
	c.leases[leasePath]["metadata"].(map[string]any)["annotations"] = map[string]any{witness.Annotation: "{"}
	c.mu.Unlock()
	if _, err := open().Load(t.Context()); err == nil {
		t.Error("half an annotation was read")
	}
}

func TestALeaseWhoseMarkWasChangedAloneIsNotBelieved(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(annotations map[string]any, lower string){
		"a lower mark":    func(a map[string]any, lower string) { a[witness.Annotation] = lower },
		"an empty mark":   func(a map[string]any, _ string) { a[witness.Annotation] = "" },
		"no mark":         func(a map[string]any, _ string) { delete(a, witness.Annotation) },
		"half of numbers": func(a map[string]any, _ string) { delete(a, witness.AnnotationEpoch) },
		"another epoch":   func(a map[string]any, _ string) { a[witness.AnnotationEpoch] = "7" },
	} {
		c, open := setup(t)
		annotations := func() map[string]any {
			return c.leases[leasePath]["metadata"].(map[string]any)["annotations"].(map[string]any)
		}
		if _, err := open().Raise(t.Context(), at(3)); err != nil {
			t.Fatal(err)
		}
		lower := annotations()[witness.Annotation].(string)
		if _, err := open().Raise(t.Context(), at(9)); err != nil {
			t.Fatal(err)
		}
		change(annotations(), lower)
		if _, err := open().Load(t.Context()); err == nil || !strings.Contains(err.Error(), "somebody has changed the Lease") {
			t.Errorf("%s: loaded: %v", name, err)
		}
		if _, err := open().Raise(t.Context(), at(11)); err == nil || !strings.Contains(err.Error(), "somebody has changed the Lease") {
			t.Errorf("%s: raised: %v", name, err)
		}
	}
}

func TestOutsideOfAClusterThereIsNoLease(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := witness.InCluster(); err == nil {
		t.Error("a cluster was found")
	}
}

func TestALeaseIsTriedWithoutAChange(t *testing.T) {
	t.Parallel()
	c, open := setup(t)
	lease, is := open().(*witness.Lease)
	if !is {
		t.Fatal("it is no Lease")
	}
	if err := lease.Probe(t.Context()); err != nil || c.puts > 0 {
		t.Errorf("%v, after %d updates", err, c.puts)
	}
	c.mu.Lock()
	c.forbidden = true
	c.mu.Unlock()
	if err := lease.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("a Lease that may not be updated: %v", err)
	}
}

func TestAFileThatCannotBeWrittenSaysTheSameEachTime(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	f := witness.NewFile(filepath.Join(folder, "mark"))
	if err := f.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("a trial leaves %v, %v", left, err)
	}
	f = witness.NewFile(filepath.Join(folder, strings.Repeat("m", 250))) // no room for a file beside it
	said := map[string]bool{}
	for range 5 {
		_, raised := f.Raise(t.Context(), at(5))
		probed := f.Probe(t.Context())
		if raised == nil || probed == nil {
			t.Fatalf("it could be written: %v, %v", raised, probed)
		}
		said[raised.Error()], said[probed.Error()] = true, true
	}
	if len(said) != 1 {
		t.Errorf("one failure is told as %v", said)
	}
}
