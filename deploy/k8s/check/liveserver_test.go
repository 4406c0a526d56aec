package check_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/countermand/countermand/deploy/k8s/check"
	"github.com/countermand/countermand/internal/natstest"
)

// The variables name the programs of a control plane: etcd, and kube-apiserver of
// Kubernetes 1.30 or newer.
const (
	etcdProgram      = "COUNTERMAND_ETCD"
	apiServerProgram = "COUNTERMAND_KUBE_APISERVER"
)

// patience is how long a test waits for what must happen.
const patience = 90 * time.Second

// live is a real API server with RBAC, and etcd. Nothing else runs: objects are admitted
// and stored, and no controller acts on them.
type live struct {
	t      *testing.T
	url    string
	dir    string // ca.crt is the server's
	client *http.Client
	jobs   *atomic.Int64 // made so far
}

const (
	adminToken = "admin-of-the-test"
	olgaToken  = "olga-of-the-test"
	// guests is a group that the test gives the Role of people who run Jobs.
	guests = "guests-of-the-test"
)

// startLive starts the control plane, or skips.
func startLive(t *testing.T) *live {
	t.Helper()
	etcd, apiServer := os.Getenv(etcdProgram), os.Getenv(apiServerProgram)
	if etcd == "" || apiServer == "" {
		t.Skipf("a live API server needs %s and %s: the paths of etcd and kube-apiserver", etcdProgram, apiServerProgram)
	}
	dir := t.TempDir()
	certificate(t, dir) // 127.0.0.1; its key signs the accounts' tokens too
	write(t, filepath.Join(dir, "tokens.csv"), []byte(adminToken+",admin,1,system:masters\n"+olgaToken+",olga,2,countermand-operators\n"))
	first := natstest.FreePorts(t, 3)
	client, peer := fmt.Sprintf("http://127.0.0.1:%d", first), fmt.Sprintf("http://127.0.0.1:%d", first+1)
	runProgram(t, etcd, "--data-dir", filepath.Join(dir, "etcd"), "--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
	in := func(name string) string { return filepath.Join(dir, name) }
	runProgram(t, apiServer, "--etcd-servers", client, "--bind-address", "127.0.0.1", "--secure-port", fmt.Sprint(first+2),
		"--tls-cert-file", in("tls.crt"), "--tls-private-key-file", in("tls.key"), "--token-auth-file", in("tokens.csv"),
		"--service-account-key-file", in("tls.crt"), "--service-account-signing-key-file", in("tls.key"),
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-cluster-ip-range", "10.96.0.0/24",
		"--authorization-mode", "RBAC")
	authority, err := os.ReadFile(in("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	l := &live{
		t: t, dir: dir, jobs: new(atomic.Int64), url: fmt.Sprintf("https://127.0.0.1:%d", first+2),
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}},
	}
	t.Cleanup(l.client.CloseIdleConnections)
	l.eventually("the API server to be ready", func() bool {
		a, err := l.try(call{method: http.MethodGet, path: "/readyz"})
		return err == nil && a.status == http.StatusOK
	})
	return l
}

// runProgram runs a program until the test ends, and shows the end of its log if the test failed.
func runProgram(t *testing.T, program string, args ...string) {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.Command(program, args...) // not with the test's context, which ends before other cleanups
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			said := log.Bytes()
			t.Logf("%s said at last:\n%s", program, said[max(0, len(said)-2000):])
		}
	})
}

// eventually asks again and again.
func (l *live) eventually(what string, holds func() bool) {
	l.t.Helper()
	again, limit := time.NewTicker(50*time.Millisecond), time.After(patience)
	defer again.Stop()
	for !holds() {
		select {
		case <-again.C:
		case <-limit:
			l.t.Fatalf("waited %s for %s", patience, what)
		}
	}
}

// call is one request: as the administrator, or in another's name.
type call struct {
	method, path string
	body         any    // a string is sent as it is
	kind         string // of the body; application/json
	by           user.Info
	token        string // instead of the administrator's
}

// answer is what the server said to it.
type answer struct {
	status   int
	message  string   // why it refused
	warnings []string // what it would rather not have
	object   check.Object
}

func (l *live) try(c call) (a answer, err error) {
	body, isText := c.body.(string)
	if c.body != nil && !isText {
		raw, err := json.Marshal(c.body)
		if err != nil {
			return a, err
		}
		body = string(raw)
	}
	r, err := http.NewRequestWithContext(l.t.Context(), c.method, l.url+c.path, strings.NewReader(body))
	if err != nil {
		return a, err
	}
	token := adminToken
	if c.token != "" {
		token = c.token
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.kind != "" {
		r.Header.Set("Content-Type", c.kind)
	}
	if c.by != nil {
		r.Header.Set("Impersonate-User", c.by.GetName())
		for _, g := range c.by.GetGroups() {
			r.Header.Add("Impersonate-Group", g)
		}
	}
	response, err := l.client.Do(r)
	if err != nil {
		return a, err
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return a, err
	}
	a = answer{status: response.StatusCode, warnings: response.Header.Values("Warning")}
	if json.Unmarshal(raw, &a.object) == nil && response.StatusCode >= http.StatusBadRequest {
		a.message, _ = a.object["message"].(string)
	} else if response.StatusCode >= http.StatusBadRequest {
		a.message = string(raw)
	}
	return a, nil
}

// ask makes a request that must get an answer.
func (l *live) ask(c call) answer {
	l.t.Helper()
	a, err := l.try(c)
	if err != nil {
		l.t.Fatalf("%s %s: %v", c.method, c.path, err)
	}
	return a
}

// must makes a request that must succeed.
func (l *live) must(c call) check.Object {
	l.t.Helper()
	a := l.ask(c)
	if a.status >= http.StatusBadRequest {
		l.t.Fatalf("%s %s: %d %s", c.method, c.path, a.status, a.message)
	}
	return a.object
}

// collection is the path of the objects of a kind, as the server's own discovery has it;
// empty: the server does not know the kind.
func (l *live) collection(o check.Object) string {
	l.t.Helper()
	prefix := "/apis/" + o.APIVersion()
	if !strings.Contains(o.APIVersion(), "/") {
		prefix = "/api/" + o.APIVersion()
	}
	var known struct {
		Resources []struct {
			Name, Kind string
			Namespaced bool
		}
	}
	raw, err := json.Marshal(l.ask(call{method: http.MethodGet, path: prefix}).object)
	if err == nil {
		err = json.Unmarshal(raw, &known)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	for _, r := range known.Resources {
		switch {
		case r.Kind != o.Kind() || strings.Contains(r.Name, "/"):
		case r.Namespaced:
			return prefix + "/namespaces/" + namespaceOf(o) + "/" + r.Name
		default:
			return prefix + "/" + r.Name
		}
	}
	return ""
}

// namespaceOf is where an object goes; the Lease's file leaves that to the command.
func namespaceOf(o check.Object) string {
	metadata, _ := o["metadata"].(map[string]any)
	if namespace, ok := metadata["namespace"].(string); ok {
		return namespace
	}
	return "countermand"
}

// refuses implements judge: the Job is really made.
func (l *live) refuses(job *batchv1.Job, by request) string {
	l.t.Helper()
	made := job.DeepCopy()
	made.Name = fmt.Sprintf("op-%d", l.jobs.Add(1))
	who := by.user
	if !strings.HasPrefix(who.Name, "system:") {
		who.Groups = append([]string{guests}, who.Groups...)
	}
	a := l.ask(call{method: http.MethodPost, path: jobsPath + "?fieldValidation=Strict", body: made, by: &who})
	if a.status == http.StatusCreated {
		return ""
	}
	return fmt.Sprintf("%d %s", a.status, a.message)
}

// namespaced paths of the live server.
const (
	corePath = "/api/v1/namespaces/countermand/"
	jobsPath = "/apis/batch/v1/namespaces/countermand/jobs"
)
