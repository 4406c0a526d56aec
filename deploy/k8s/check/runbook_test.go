package check_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
)

// cluster answers kubectl as far as the runbook's function asks: it has the rendered
// CronJobs, takes one Job, and has its pod say with which arguments it runs.
type cluster struct {
	web   *httptest.Server
	taken *batchv1.Job
}

func startCluster(t *testing.T, g guard) *cluster {
	t.Helper()
	c := &cluster{}
	mux := http.NewServeMux()
	answer := func(pattern, body string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, body)
		})
	}
	const batch = `"group":"batch","version":"v1","kind":"Job"`
	answer("GET /api", `{"kind":"APIVersions","versions":["v1"]}`)
	answer("GET /apis", `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"batch","versions":[{"groupVersion":"batch/v1","version":"v1"}],"preferredVersion":{"groupVersion":"batch/v1","version":"v1"}}]}`)
	answer("GET /api/v1", `{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"pods","singularName":"pod","namespaced":true,"kind":"Pod","verbs":["get","list","watch"]}]}`)
	answer("GET /apis/batch/v1", `{"kind":"APIResourceList","groupVersion":"batch/v1","resources":[{"name":"jobs","singularName":"job","namespaced":true,"kind":"Job","verbs":["create","get"]},{"name":"cronjobs","singularName":"cronjob","namespaced":true,"kind":"CronJob","verbs":["get"]}]}`)
	answer("GET /openapi/v3", `{"paths":{"apis/batch/v1":{"serverRelativeURL":"/openapi/v3/apis/batch/v1"}}}`)
	answer("GET /openapi/v3/apis/batch/v1", `{"openapi":"3.0.0","info":{"title":"x","version":"1"},"paths":{"/apis/batch/v1/namespaces/{namespace}/jobs/{name}":{"patch":{"parameters":[{"name":"fieldValidation","in":"query"}],"x-kubernetes-group-version-kind":{`+batch+`}}}}}`)
	const one = "/apis/batch/v1/namespaces/countermand/"
	for _, j := range g.rendered.CronJobs {
		j.APIVersion, j.Kind = "batch/v1", "CronJob"
		body, err := json.Marshal(j)
		if err != nil {
			t.Fatal(err)
		}
		answer("GET "+one+"cronjobs/"+j.Name, string(body))
	}
	mux.HandleFunc("POST "+one+"jobs", func(w http.ResponseWriter, r *http.Request) {
		var j batchv1.Job
		if err := json.NewDecoder(r.Body).Decode(&j); err != nil || c.taken != nil {
			http.Error(w, "no Job, or a second one", http.StatusBadRequest)
			return
		}
		c.taken = &j
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(j) // kubectl says what is missing
	})
	mux.HandleFunc("GET "+one+"jobs/{name}", func(w http.ResponseWriter, _ *http.Request) {
		j := filledIn(c.taken)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(j)
	})
	const pod = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"op","namespace":"countermand","uid":"3"},"spec":{"containers":[{"name":"consumer"}]},"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`
	answer("GET /api/v1/namespaces/countermand/pods", `{"apiVersion":"v1","kind":"PodList","items":[`+pod+`]}`)
	answer("GET /api/v1/namespaces/countermand/pods/op", pod)
	mux.HandleFunc("GET /api/v1/namespaces/countermand/pods/op/log", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%q\n", c.taken.Spec.Template.Spec.Containers[0].Args)
	})
	c.web = httptest.NewServer(mux)
	t.Cleanup(c.web.Close)
	return c
}

// runbook is the function "op" as docs/operations.md has it.
func runbook(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sh\n(op\\(\\) \\{.*?\n\\}\n)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("the page has no function op")
	}
	return string(block[1])
}

// runbookLine is a call of the function "op", and the Job that it makes.
type runbookLine struct{ line, account, args string }

func runbookLines() []runbookLine {
	return []runbookLine{
		{"op show opay-eg 1001000", "countermand-operator", `["show" "opay-eg" "1001000" "--config" "/etc/countermand/config.yaml"]`},
		{"op review resolve opay-eg 1 --reason 'the portal says so'", "countermand-operator", `["review" "resolve" "opay-eg" "1" "--reason" "the portal says so" "--config" "/etc/countermand/config.yaml"]`},
		{"op provision", "countermand-provisioner", `["provision" "--config" "/etc/countermand/config.yaml"]`},
		{"op reconcile --provider opay-eg --from 2026-11-01 --to 2026-11-02", "countermand-reader", `["reconcile" "--provider" "opay-eg" "--from" "2026-11-01" "--to" "2026-11-02" "--config" "/etc/countermand/config.yaml"]`},
		{"op journal accept --reason 'an older copy' --lose 3", "countermand-operator", `["journal" "accept" "--reason" "an older copy" "--lose" "3" "--config" "/etc/countermand/config.yaml"]`},
		{"ROLE=recovery op journal status", "countermand-recovery", `["journal" "status" "--config" "/etc/countermand/config.yaml"]`},
		{"op check", "countermand-check", `["check" "--as" "service" "--config" "/etc/countermand/config.yaml"]`},
		{"ROLE=recovery op check --deep", "countermand-recovery", `["check" "--deep" "--as" "recovery" "--config" "/etc/countermand/config.yaml"]`},
		{"ROLE=operator op check", "countermand-operator", `["check" "--as" "operator" "--config" "/etc/countermand/config.yaml"]`},
	}
}

// Real kubectl and jq; the API server is a stand-in that has no admission, so the Job
// that it was given is held against the policies here.
func TestTheFunctionOfTheRunbookMakesAJobThatThePoliciesAdmit(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"bash", "kubectl", "jq"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not here", program)
		}
	}
	g := newGuard(t)
	function := runbook(t)
	for _, c := range runbookLines() {
		k := startCluster(t, g)
		home := t.TempDir()
		kubeconfig := filepath.Join(home, "config")
		write(t, kubeconfig, fmt.Appendf(nil, "apiVersion: v1\nkind: Config\ncurrent-context: t\ncontexts: [{name: t, context: {cluster: t, user: t}}]\nclusters: [{name: t, cluster: {server: %q}}]\nusers: [{name: t, user: {}}]\n", k.web.URL))
		shell := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", function+"\n"+c.line)
		shell.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "HOME="+home)
		out, err := shell.CombinedOutput()
		if err != nil || k.taken == nil || !strings.Contains(string(out), c.args) {
			t.Errorf("%s: %v\n%s", c.line, err, out)
			continue
		}
		if got := k.taken.Spec.Template.Spec.ServiceAccountName; got != c.account {
			t.Errorf("%s: runs as %s, not as %s", c.line, got, c.account)
		}
		if why := g.refuses(k.taken, olga("countermand-operators", "countermand-recovery")); why != "" {
			t.Errorf("%s: refused: %s", c.line, why)
		}
	}
}
