package check_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/yaml"

	"github.com/countermand/countermand/deploy/k8s/check"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/witness"
)

// One API server for all of it: the manifests are applied once, as docs/deploying.md
// says, and people then try what they may and may not. The server does not check the
// types of policies itself, a controller does; policy_test.go compiles each of them.
//
//nolint:paralleltest // the parts share a server, and the last one takes something away
func TestALiveAPIServer(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	r := l.apply(t, "production")
	l.bindGuests()
	l.awaitPolicies(t, r)
	t.Run("accepts every object of every rendering strictly", l.acceptsEveryRendering)
	t.Run("admits the Jobs of the docs", func(t *testing.T) { admitsTheJobsOfTheDocs(t, l.in(t), r) })
	t.Run("refuses a Job that is more than its CronJob", func(t *testing.T) { refusesTheAttacks(t, l.in(t), r) })
	t.Run("lets only its group act in a person's name", func(t *testing.T) { admitsOnlyTheGroupOfTheCronJob(t, l.in(t), r) })
	t.Run("admits what the function of the runbook makes", l.admitsTheRunbook)
	t.Run("forbids to people who run Jobs everything else", func(t *testing.T) { l.forbidsEverythingElse(t, r) })
	t.Run("holds a changed Job against its CronJob", func(t *testing.T) { l.refusesChangedJobs(t, r) })
	t.Run("lets the witness rise and never fall", l.keepsTheWitness)
	t.Run("refuses every Job while a CronJob is missing", func(t *testing.T) { l.refusesWithoutACronJob(t, r) }) // the last: it takes one away
}

// in is the same server for a part of the test.
func (l *live) in(t *testing.T) *live {
	t.Helper()
	return &live{t: t, url: l.url, dir: l.dir, client: l.client, jobs: l.jobs}
}

// apply makes the Lease and every object of a rendering, and returns the rendering with
// the identifiers of its CronJobs.
func (l *live) apply(t *testing.T, rendering string) *check.Rendered {
	t.Helper()
	r := typed(t, rendering)
	objects := slices.Clone(r.Objects)
	slices.SortStableFunc(objects, func(a, b check.Object) int { return order(a) - order(b) })
	var lease check.Object
	text, err := os.ReadFile(filepath.Join(root, "components", "witness", "lease.yaml"))
	if err == nil {
		err = yaml.Unmarshal(text, &lease)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range append(objects[:1:1], append([]check.Object{lease}, objects[1:]...)...) {
		path := l.collection(o)
		if i == 0 && o.Kind() != "Namespace" {
			t.Fatalf("the first object is %s, not the Namespace", o)
		}
		if path == "" {
			skipCustom(t, o)
			continue
		}
		a := l.ask(call{method: http.MethodPost, path: path + "?fieldValidation=Strict", body: o})
		if a.status != http.StatusCreated || len(a.warnings) > 0 {
			t.Errorf("%s: %d %s %q", o, a.status, a.message, a.warnings)
		}
		if o.Kind() == "CronJob" {
			metadata, _ := a.object["metadata"].(map[string]any)
			for i := range r.CronJobs {
				if r.CronJobs[i].Name == o.Name() {
					r.CronJobs[i].UID = types.UID(fmt.Sprint(metadata["uid"]))
				}
			}
		}
	}
	return r
}

// order has the Namespace first.
func order(o check.Object) int {
	if o.Kind() == "Namespace" {
		return 0
	}
	return 1
}

// skipCustom names a custom resource that a plain API server does not know. Any other
// kind that it does not know is a fault.
func skipCustom(t *testing.T, o check.Object) {
	t.Helper()
	group, _, _ := strings.Cut(o.APIVersion(), "/")
	if !slices.Contains([]string{"keda.sh", "monitoring.coreos.com", "jetstream.nats.io"}, group) {
		t.Errorf("%s: the server does not know %s", o, o.APIVersion())
		return
	}
	t.Logf("skipped %s: a custom resource; its schema is checked elsewhere", o)
}

// Server-side apply as a dry run, for what is not applied here.
func (l *live) acceptsEveryRendering(t *testing.T) {
	l = l.in(t)
	for _, name := range append(overlays(), slices.Sorted(maps.Keys(variants()))...) {
		objects := render(t, name)
		slices.SortStableFunc(objects, func(a, b check.Object) int { return order(a) - order(b) })
		for _, o := range objects {
			path := l.collection(o)
			if path == "" {
				skipCustom(t, o)
				continue
			}
			how := "?fieldManager=test&force=true&fieldValidation=Strict&dryRun=All"
			if o.Kind() == "Namespace" { // without it the others cannot be tried
				how = strings.TrimSuffix(how, "&dryRun=All")
			}
			a := l.ask(call{
				method: http.MethodPatch, path: path + "/" + o.Name() + how,
				body: o, kind: "application/apply-patch+yaml",
			})
			if a.status >= http.StatusBadRequest || len(a.warnings) > 0 {
				t.Errorf("%s: %s: %d %s %q", name, o, a.status, a.message, a.warnings)
			}
		}
	}
}

// bindGuests gives the Role of people who run Jobs to one more group, and Kubernetes' own
// roles to two persons.
func (l *live) bindGuests() {
	l.t.Helper()
	bind := func(kind, role, group string) {
		l.must(call{method: http.MethodPost, path: "/apis/rbac.authorization.k8s.io/v1/namespaces/countermand/rolebindings", body: map[string]any{
			"metadata": map[string]any{"generateName": "of-the-test-"},
			"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
			"subjects": []any{map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}},
		}})
	}
	bind("Role", "countermand-jobs", guests)
	// A controller, which does not run here, adds these up to the roles "edit" and "admin".
	for _, role := range []string{"view", "edit", "admin"} {
		bind("ClusterRole", "system:aggregate-to-"+role, "admins")
		if role != "admin" {
			bind("ClusterRole", "system:aggregate-to-"+role, "editors")
		}
	}
}

// awaitPolicies waits until the server has read roles, policies, bindings and parameters:
// it learns of them a moment after they were stored.
func (l *live) awaitPolicies(t *testing.T, r *check.Rendered) {
	t.Helper()
	for _, c := range r.CronJobs {
		good, bad := madeFrom(t, r, c.Name), madeFrom(t, r, c.Name)
		bad.Spec.BackoffLimit = new(int32(17))
		by := olga("countermand-operators", "countermand-recovery")
		l.eventually("the policies about "+c.Name, func() bool {
			return strings.Contains(l.refuses(bad, by), "the settings of a Job are those of the CronJob "+c.Name) && l.refuses(good, by) == ""
		})
	}
	none := madeFrom(t, r, "countermand-operator")
	none.Spec.Template.Spec.ServiceAccountName = "none"
	l.eventually("the policy about accounts", func() bool {
		return strings.Contains(l.refuses(none, olga("countermand-operators")), "made from a CronJob")
	})
	l.eventually("the policy about the Lease", func() bool {
		a := l.ask(call{method: http.MethodDelete, path: leasePath + "?dryRun=All"})
		return strings.Contains(a.message, "is not deleted")
	})
}

// Real kubectl, as a person with the shipped binding alone. No kubelet runs the Job, so
// nothing waits for its output.
func (l *live) admitsTheRunbook(t *testing.T) {
	l = l.in(t)
	for _, program := range []string{"bash", "kubectl", "jq"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not here", program)
		}
	}
	function := runbook(t) + `
kubectl() { case " $* " in *" logs "*) ;; *) command kubectl "$@" ;; esac; }
date() { echo "$NAME"; }
`
	home := t.TempDir()
	kubeconfig := filepath.Join(home, "config")
	write(t, kubeconfig, fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: t
contexts: [{name: t, context: {cluster: t, user: t}}]
clusters: [{name: t, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: t, user: {token: %q, as: omar, as-groups: [countermand-operators, countermand-recovery]}}]
`, l.url, filepath.Join(l.dir, "ca.crt"), adminToken))
	lines := append(runbookLines(), runbookLine{
		"kubectl -n countermand create job op-$NAME --from=cronjob/countermand-provisioner", "countermand-provisioner", // docs/deploying.md
		`["provision" "--config" "/etc/countermand/config.yaml"]`,
	})
	for i, c := range lines {
		name := fmt.Sprintf("runbook-%d", i)
		shell := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", function+c.line)
		shell.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "HOME="+home, "NAME="+name)
		if out, err := shell.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", c.line, err, out)
			continue
		}
		job := l.must(call{method: http.MethodGet, path: jobsPath + "/op-" + name})
		spec := fmt.Sprint(job["spec"])
		for _, want := range []string{"serviceAccountName:" + c.account, "args:" + strings.ReplaceAll(c.args, `"`, "")} {
			if !strings.Contains(spec, want) {
				t.Errorf("%s: the Job has no %s: %s", c.line, want, spec)
			}
		}
	}
}

// beyond is what people who run Jobs may not do.
func beyond(job string) []call {
	const rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/countermand/"
	role := map[string]any{"metadata": map[string]any{"name": "more"}, "rules": []any{map[string]any{"apiGroups": []string{"*"}, "resources": []string{"*"}, "verbs": []string{"*"}}}}
	binding := map[string]any{
		"metadata": map[string]any{"name": "more"}, "roleRef": map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
		"subjects": []any{map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "omar"}},
	}
	named := map[string]any{"metadata": map[string]any{"name": "mine"}}
	merge := func(path, body string) call {
		return call{method: http.MethodPatch, path: path, body: body, kind: "application/merge-patch+json"}
	}
	return []call{
		{method: http.MethodPost, path: corePath + "pods/any/exec?command=sh&stdout=true"},
		{method: http.MethodGet, path: corePath + "pods/any/exec?command=sh&stdout=true"},
		{method: http.MethodPost, path: corePath + "pods/any/attach?stdout=true"},
		{method: http.MethodGet, path: corePath + "pods/any/attach?stdout=true"},
		{method: http.MethodPost, path: corePath + "pods/any/portforward?ports=9090"},
		{method: http.MethodGet, path: corePath + "pods/any/proxy/metrics"},
		{method: http.MethodGet, path: corePath + "services/countermand/proxy/metrics"},
		merge(corePath+"pods/any/ephemeralcontainers", `{"spec":{"ephemeralContainers":[{"name":"x","image":"x"}]}}`),
		merge(corePath+"pods/any", `{"spec":{"containers":[{"name":"consumer","image":"x"}]}}`),
		{method: http.MethodDelete, path: corePath + "pods/any"},
		{method: http.MethodPost, path: corePath + "pods", body: named},
		{method: http.MethodPost, path: corePath + "pods/any/eviction", body: named},
		{method: http.MethodGet, path: corePath + "secrets"},
		{method: http.MethodGet, path: corePath + "secrets/countermand-nats"},
		{method: http.MethodPost, path: corePath + "secrets", body: named},
		{method: http.MethodGet, path: corePath + "configmaps"},
		merge(corePath+"configmaps/any", `{"data":{"config.yaml":""}}`),
		merge("/apis/apps/v1/namespaces/countermand/deployments/countermand", `{"spec":{"replicas":0}}`),
		merge("/apis/apps/v1/namespaces/countermand/deployments/countermand/scale", `{"spec":{"replicas":0}}`),
		{method: http.MethodPost, path: "/apis/apps/v1/namespaces/countermand/deployments", body: named},
		{method: http.MethodPost, path: "/apis/apps/v1/namespaces/countermand/statefulsets", body: named},
		{method: http.MethodPost, path: "/apis/apps/v1/namespaces/countermand/daemonsets", body: named},
		{method: http.MethodPost, path: "/apis/apps/v1/namespaces/countermand/replicasets", body: named},
		{method: http.MethodPost, path: corePath + "replicationcontrollers", body: named},
		{method: http.MethodPost, path: "/apis/batch/v1/namespaces/countermand/cronjobs", body: named},
		merge("/apis/batch/v1/namespaces/countermand/cronjobs/countermand-operator", `{"spec":{"suspend":false,"schedule":"* * * * *"}}`),
		merge("/apis/batch/v1/namespaces/countermand/cronjobs/countermand-operator", `{"metadata":{"annotations":{"countermand.dev/group":null}}}`),
		merge(jobsPath+"/"+job, `{"spec":{"backoffLimit":6}}`),
		merge(jobsPath+"/"+job+"/status", `{"status":{"failed":1}}`),
		{method: http.MethodPatch, path: jobsPath + "/applied?fieldManager=x", body: `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"applied"}}`, kind: "application/apply-patch+yaml"},
		{method: http.MethodPut, path: jobsPath + "/" + job, body: named},
		{method: http.MethodDelete, path: jobsPath + "/" + job},
		{method: http.MethodDelete, path: jobsPath},
		{method: http.MethodPost, path: rbac + "roles", body: role},
		{method: http.MethodPost, path: rbac + "rolebindings", body: binding},
		merge(rbac+"roles/countermand-jobs", `{"rules":[]}`),
		merge(rbac+"rolebindings/countermand-jobs", `{"subjects":[]}`),
		{method: http.MethodPost, path: corePath + "serviceaccounts/countermand/token", body: map[string]any{"spec": map[string]any{}}},
		{method: http.MethodPost, path: corePath + "serviceaccounts/countermand-operator/token", body: map[string]any{"spec": map[string]any{}}},
		{method: http.MethodGet, path: leasePath},
		merge(leasePath, `{"metadata":{"annotations":{}}}`),
		{method: http.MethodDelete, path: leasePath},
		{method: http.MethodDelete, path: "/apis/networking.k8s.io/v1/namespaces/countermand/networkpolicies/countermand-jobs"},
		{method: http.MethodDelete, path: "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/countermand-jobs"},
		{method: http.MethodDelete, path: "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/countermand-jobs"},
		merge("/api/v1/namespaces/countermand", `{"metadata":{"labels":{"kubernetes.io/metadata.name":"other"}}}`),
		{method: http.MethodPost, path: "/apis/batch/v1/namespaces/default/jobs", body: named},
		{method: http.MethodGet, path: "/api/v1/nodes"},
	}
}

func (l *live) forbidsEverythingElse(t *testing.T, r *check.Rendered) {
	l = l.in(t)
	omar := &user.DefaultInfo{Name: "omar", Groups: []string{"countermand-operators", "countermand-recovery"}}
	job := madeFrom(t, r, "countermand-operator")
	job.Name = "of-olga"
	l.must(call{method: http.MethodPost, path: jobsPath, body: job, by: &user.DefaultInfo{Name: "olga", Groups: []string{"countermand-operators"}}})
	for _, c := range beyond("of-olga") {
		c.by = omar
		if a := l.ask(c); a.status != http.StatusForbidden || !strings.Contains(a.message, `User "omar" cannot `) {
			t.Errorf("%s %s: %d %s", c.method, c.path, a.status, a.message)
		}
	}
	for _, other := range []string{"admin", "system:serviceaccount:countermand:countermand"} {
		a := l.ask(call{method: http.MethodGet, path: jobsPath, by: &user.DefaultInfo{Name: other}, token: olgaToken})
		if a.status != http.StatusForbidden || !strings.Contains(a.message, "cannot impersonate") {
			t.Errorf("olga as %s: %d %s", other, a.status, a.message)
		}
	}
	for _, path := range []string{jobsPath, jobsPath + "/of-olga", corePath + "pods", "/apis/batch/v1/namespaces/countermand/cronjobs/countermand-operator"} {
		l.must(call{method: http.MethodGet, path: path, by: omar}) // what it is for
	}
}

// A holder of Kubernetes' role "edit" may change Jobs; the policy holds them to it.
func (l *live) refusesChangedJobs(t *testing.T, r *check.Rendered) {
	l = l.in(t)
	edna := &user.DefaultInfo{Name: "edna", Groups: []string{"editors", "countermand-operators"}}
	job := madeFrom(t, r, "countermand-operator", "resume", "opay-eg")
	job.Name = "to-change"
	l.must(call{method: http.MethodPost, path: jobsPath, body: job, by: edna})
	for change, says := range map[string]string{
		`[{"op":"replace","path":"/spec/backoffLimit","value":6}]`:                                                              "the settings of a Job",
		`[{"op":"replace","path":"/spec/parallelism","value":2}]`:                                                               "the settings of a Job",
		`[{"op":"replace","path":"/spec/suspend","value":true}]`:                                                                "the settings of a Job",
		`[{"op":"replace","path":"/spec/activeDeadlineSeconds","value":100000}]`:                                                "the settings of a Job",
		`[{"op":"replace","path":"/spec/ttlSecondsAfterFinished","value":0}]`:                                                   "the settings of a Job",
		`[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"busybox"}]`:                                  "field is immutable",
		`[{"op":"add","path":"/spec/template/metadata/labels/shop","value":"yes"}]`:                                             "field is immutable",
		`[{"op":"replace","path":"/spec/template/spec/volumes/1/secret/secretName","value":"countermand-nats"}]`:                "field is immutable",
		`[{"op":"replace","path":"/spec/suspend","value":true},{"op":"add","path":"/spec/template/spec/nodeName","value":"n"}]`: "immutable",
	} {
		a := l.ask(call{method: http.MethodPatch, path: jobsPath + "/to-change", body: change, kind: "application/json-patch+json", by: edna})
		if a.status < http.StatusBadRequest || !strings.Contains(a.message, says) {
			t.Errorf("%s: %d %q, must contain %q", change, a.status, a.message, says)
		}
	}
	// A name that the server makes is as good as another; the labels of another Job's pods
	// are let through by the policy, and refused by the server itself.
	named := madeFrom(t, r, "countermand-operator")
	named.Name, named.GenerateName = "", "op-"
	l.must(call{method: http.MethodPost, path: jobsPath, body: named, by: edna})
	named.Spec.Template.Labels["batch.kubernetes.io/controller-uid"] = "of-another"
	if a := l.ask(call{method: http.MethodPost, path: jobsPath, body: named, by: edna}); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.message, "must be '") {
		t.Errorf("the pods of another Job: %d %s", a.status, a.message)
	}
	// Clean-up works, and does not concern the policy.
	l.must(call{method: http.MethodPatch, path: jobsPath + "/to-change", body: `{"metadata":{"labels":{"seen":"yes"}}}`, kind: "application/merge-patch+json", by: edna})
	l.must(call{method: http.MethodDelete, path: jobsPath + "/to-change?propagationPolicy=Background", by: edna})
}

const leasePath = "/apis/coordination.k8s.io/v1/namespaces/countermand/leases/countermand-journal"

// mark is a record whose journal has come to a sequence.
func mark(sequence uint64) integrity.Record {
	return integrity.Record{Epoch: integrity.FirstEpoch(), Mark: integrity.Mark{Journal: integrity.Position{Sequence: sequence, Token: "t"}}}
}

// The program's own witness, with a token of the service's account.
func (l *live) keepsTheWitness(t *testing.T) {
	l = l.in(t)
	token := l.must(call{method: http.MethodPost, path: corePath + "serviceaccounts/countermand/token", body: map[string]any{"spec": map[string]any{"expirationSeconds": 3600}}})
	status, _ := token["status"].(map[string]any)
	secret := fmt.Sprint(status["token"])
	file := filepath.Join(t.TempDir(), "token")
	write(t, file, []byte(secret))
	store := witness.NewLease(witness.Cluster{Server: l.url, Client: l.client, TokenFile: file}, "countermand", "countermand-journal")
	if got, err := store.Load(t.Context()); err != nil || !got.Zero() {
		t.Fatalf("before anything was written: %+v, %v", got, err)
	}
	for _, step := range [][2]uint64{{5, 5}, {3, 5}, {9, 9}} {
		if got, err := store.Raise(t.Context(), mark(step[0])); err != nil || got.Mark.Journal.Sequence != step[1] {
			t.Fatalf("raise to %d: %+v, %v", step[0], got, err)
		}
	}
	merge := func(body string) call {
		return call{method: http.MethodPatch, path: leasePath, body: body, kind: "application/merge-patch+json"}
	}
	lower := merge(`{"metadata":{"annotations":{"countermand.dev/sequence":"3"}}}`)
	forget := merge(`{"metadata":{"annotations":null}}`)
	raise := merge(`{"metadata":{"annotations":{"countermand.dev/sequence":"10"}}}`)
	remove := call{method: http.MethodDelete, path: leasePath}
	removeAll := call{method: http.MethodDelete, path: "/apis/coordination.k8s.io/v1/namespaces/countermand/leases"}
	const falls, onlyService, deleted = "never falls", "only the service itself writes", "is not deleted"
	service := user.DefaultInfo{Name: "system:serviceaccount:countermand:countermand"}
	editor, admin := user.DefaultInfo{Name: "edna", Groups: []string{"editors"}}, user.DefaultInfo{Name: "adam", Groups: []string{"admins"}}
	root := user.DefaultInfo{Name: "root", Groups: []string{"system:masters"}}
	type row struct {
		by   user.DefaultInfo
		try  call
		says string
	}
	rows := []row{{service, remove, "cannot delete"}, {service, removeAll, "cannot deletecollection"}, {service, lower, "cannot patch"}}
	for _, by := range []user.DefaultInfo{editor, admin, root} {
		rows = append(rows, row{by, remove, deleted}, row{by, removeAll, deleted}, row{by, lower, onlyService}, row{by, forget, onlyService}, row{by, raise, onlyService})
	}
	for _, c := range rows {
		c.try.by = &c.by
		if a := l.ask(c.try); a.status < http.StatusBadRequest || !strings.Contains(a.message, c.says) {
			t.Errorf("%s: %s %s %v: %d %q, must contain %q", c.by.Name, c.try.method, c.try.path, c.try.body, a.status, a.message, c.says)
		}
	}
	l.refusesToTheServiceItself(secret, falls)
	if got, err := store.Load(t.Context()); err != nil || got.Mark.Journal.Sequence != 9 {
		t.Errorf("after all that: %+v, %v", got, err)
	}
	l.holdsAccounts(secret)
	// The policy cannot read the record itself: the program compares it with the numbers.
	lease := l.must(call{method: http.MethodGet, path: leasePath, token: secret})
	metadata, _ := lease["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	annotations[witness.Annotation] = ""
	l.must(call{method: http.MethodPut, path: leasePath, body: lease, token: secret})
	if got, err := store.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "somebody has changed the Lease") {
		t.Errorf("an empty mark beside its numbers: %+v, %v", got, err)
	}
}

// holdsAccounts: who has Kubernetes' role "edit" or "admin" may act as the service, as
// docs/security.md says; its own token may not make another.
func (l *live) holdsAccounts(token string) {
	l.t.Helper()
	ask := call{method: http.MethodPost, path: corePath + "serviceaccounts/countermand/token", body: map[string]any{"spec": map[string]any{}}}
	for group, status := range map[string]int{"editors": http.StatusCreated, "admins": http.StatusCreated, guests: http.StatusForbidden, "countermand-operators": http.StatusForbidden} {
		ask.by = &user.DefaultInfo{Name: "somebody", Groups: []string{group}}
		if a := l.ask(ask); a.status != status {
			l.t.Errorf("%s ask for the service's token: %d %s, want %d", group, a.status, a.message, status)
		}
	}
	// The service itself has its one Lease, and nothing else.
	other := map[string]any{"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": map[string]any{"name": "other"}}
	const leases = "/apis/coordination.k8s.io/v1/namespaces/countermand/leases"
	ask.by = nil
	for _, c := range []call{
		ask,
		{method: http.MethodGet, path: leases},
		{method: http.MethodPost, path: leases, body: other},
		{method: http.MethodPut, path: leases + "/other", body: other},
		{method: http.MethodGet, path: corePath + "secrets"},
		{method: http.MethodGet, path: corePath + "pods"},
		{method: http.MethodGet, path: corePath + "configmaps"},
		{method: http.MethodPost, path: jobsPath, body: map[string]any{"metadata": map[string]any{"name": "mine"}}},
	} {
		c.token = token
		if a := l.ask(c); a.status != http.StatusForbidden || !strings.Contains(a.message, `User "system:serviceaccount:countermand:countermand" cannot`) {
			l.t.Errorf("the service: %s %s: %d %s", c.method, c.path, a.status, a.message)
		}
	}
}

// refusesToTheServiceItself: its Role lets the service replace the Lease whole, so it tries that.
func (l *live) refusesToTheServiceItself(token, says string) {
	l.t.Helper()
	for _, change := range []func(annotations map[string]any){
		func(a map[string]any) { a[witness.AnnotationSequence] = "3" },
		func(a map[string]any) { delete(a, witness.AnnotationSequence) },
		func(a map[string]any) { delete(a, witness.Annotation) },
		func(a map[string]any) { clear(a) },
	} {
		lease := l.must(call{method: http.MethodGet, path: leasePath, token: token})
		metadata, _ := lease["metadata"].(map[string]any)
		annotations, _ := metadata["annotations"].(map[string]any)
		change(annotations)
		if a := l.ask(call{method: http.MethodPut, path: leasePath, body: lease, token: token}); a.status < http.StatusBadRequest || !strings.Contains(a.message, says) {
			l.t.Errorf("the service writes %v: %d %q", annotations, a.status, a.message)
		}
	}
}

var _ judge = (*live)(nil)

func (l *live) refusesWithoutACronJob(t *testing.T, r *check.Rendered) {
	l = l.in(t)
	l.must(call{method: http.MethodDelete, path: "/apis/batch/v1/namespaces/countermand/cronjobs/countermand-reader"})
	var why string
	l.eventually("a Job to be refused", func() bool {
		why = l.refuses(madeFrom(t, r, "countermand-operator"), olga("countermand-operators"))
		return why != ""
	})
	if !strings.Contains(why, "countermand-jobs-reader") {
		t.Errorf("the refusal does not name the binding: %s", why)
	}
}
