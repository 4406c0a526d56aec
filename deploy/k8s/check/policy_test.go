package check_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	celgo "github.com/google/cel-go/cel"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/cel/environment"

	"github.com/countermand/countermand/deploy/k8s/check"
)

// expression is one of a policy, in the form of the API server's library.
type expression struct {
	name, text string
	returns    []*celgo.Type
}

func (e expression) GetName() string            { return e.name }
func (e expression) GetExpression() string      { return e.text }
func (e expression) ReturnTypes() []*celgo.Type { return e.returns }

// oldestMinor is the oldest Kubernetes that the manifests are for: 1.30.
const oldestMinor = 30

// guard are the shipped policies, compiled and evaluated by the API server's own library
// as Kubernetes 1.30 does, with the bindings' parameters.
type guard struct {
	t        *testing.T
	rendered *check.Rendered
}

// request is one that the API server would ask the policies about.
type request struct {
	operation admission.Operation
	user      user.DefaultInfo
	old       *batchv1.Job
}

func olga(groups ...string) request {
	return request{operation: admission.Create, user: user.DefaultInfo{Name: "olga", Groups: groups}}
}

// refuses returns why a Job is refused; empty: it is admitted.
func (g guard) refuses(job *batchv1.Job, by request) string {
	g.t.Helper()
	var why []string
	for _, b := range g.rendered.AdmissionBindings {
		for i := range g.rendered.Admission {
			if p := &g.rendered.Admission[i]; p.Name == b.Spec.PolicyName && strings.HasPrefix(p.Name, "countermand-jobs") {
				why = append(why, g.evaluate(p, g.param(b), job, by)...)
			}
		}
	}
	return strings.Join(why, "\n")
}

// param is what a binding names, by its name in the Job's namespace.
func (g guard) param(b admissionv1.ValidatingAdmissionPolicyBinding) runtime.Object {
	if b.Spec.ParamRef == nil {
		return nil
	}
	for i := range g.rendered.CronJobs {
		if c := &g.rendered.CronJobs[i]; c.Name == b.Spec.ParamRef.Name {
			return c
		}
	}
	g.t.Fatalf("no CronJob %s", b.Spec.ParamRef.Name)
	return nil
}

func (g guard) evaluate(p *admissionv1.ValidatingAdmissionPolicy, param runtime.Object, job *batchv1.Job, by request) (why []string) {
	g.t.Helper()
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(version.MajorMinor(1, oldestMinor)))
	if err != nil {
		g.t.Fatal(err)
	}
	declared := cel.OptionalVariableDeclarations{HasParams: p.Spec.ParamKind != nil}
	for _, v := range p.Spec.Variables {
		if got := compiler.CompileAndStoreVariable(expression{v.Name, v.Expression, []*celgo.Type{celgo.AnyType, celgo.DynType}}, declared, environment.NewExpressions); got.Error != nil {
			g.t.Fatalf("variable %s: %v", v.Name, got.Error)
		}
	}
	var conditions, validations, messages []cel.ExpressionAccessor
	for _, c := range p.Spec.MatchConditions {
		conditions = append(conditions, expression{c.Name, c.Expression, []*celgo.Type{celgo.BoolType}})
	}
	for _, v := range p.Spec.Validations {
		validations = append(validations, expression{"", v.Expression, []*celgo.Type{celgo.BoolType}})
		text := v.MessageExpression
		if text == "" {
			text = fmt.Sprintf("%q", v.Message)
		}
		messages = append(messages, expression{"", text, []*celgo.Type{celgo.StringType}})
	}
	run := func(all []cel.ExpressionAccessor) []cel.EvaluationResult {
		compiled := compiler.CompileCondition(all, declared, environment.NewExpressions)
		if errs := compiled.CompilationErrors(); len(errs) > 0 {
			g.t.Fatal(errs)
		}
		attributes := admission.NewAttributesRecord(job, by.old, batchv1.SchemeGroupVersion.WithKind("Job"), "countermand", job.Name,
			batchv1.SchemeGroupVersion.WithResource("jobs"), "", by.operation, nil, false, &by.user)
		versioned := &admission.VersionedAttributes{Attributes: attributes, VersionedKind: attributes.GetKind()}
		versioned.VersionedObject.Set(job)
		if by.old != nil {
			versioned.VersionedOldObject.Set(by.old)
		}
		asked := cel.CreateAdmissionRequest(attributes, metav1.GroupVersionResource(attributes.GetResource()), metav1.GroupVersionKind(attributes.GetKind()))
		results, _, err := compiled.ForInput(g.t.Context(), versioned, asked, cel.OptionalVariableBindings{VersionedParams: param}, &corev1.Namespace{}, celconfig.RuntimeCELCostBudget)
		if err != nil {
			g.t.Fatal(err)
		}
		for _, r := range results {
			if r.Error != nil {
				g.t.Fatalf("%s: %v", r.ExpressionAccessor.GetExpression(), r.Error)
			}
		}
		return results
	}
	for _, r := range run(conditions) {
		if r.EvalResult.Value() != true {
			return nil
		}
	}
	said := run(messages)
	for i, r := range run(validations) {
		if r.EvalResult.Value() != true {
			why = append(why, said[i].EvalResult.Value().(string))
		}
	}
	return why
}

// job is a Job as "kubectl create job --from=cronjob/NAME" sends it, with other
// arguments, and with what the API server fills in before it asks the policies.
func (g guard) job(cronJob string, args ...string) *batchv1.Job {
	g.t.Helper()
	for _, c := range g.rendered.CronJobs {
		if c.Name != cronJob {
			continue
		}
		j := &batchv1.Job{
			TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
			ObjectMeta: metav1.ObjectMeta{
				Name: "op-1", Namespace: "countermand", Annotations: map[string]string{"cronjob.kubernetes.io/instantiate": "manual"},
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "CronJob", Name: c.Name, UID: "1"}},
			},
			Spec: *c.Spec.JobTemplate.Spec.DeepCopy(),
		}
		filledIn(j)
		if len(args) > 0 {
			j.Spec.Template.Spec.Containers[0].Args = append(args, "--config", "/etc/countermand/config.yaml")
		}
		return j
	}
	g.t.Fatalf("no CronJob %s", cronJob)
	return nil
}

// filledIn has a Job as the API server has it when it asks the policies.
func filledIn(j *batchv1.Job) {
	s := &j.Spec
	one, no, mode, replacement := int32(1), false, batchv1.NonIndexedCompletion, batchv1.TerminatingOrFailed
	s.Parallelism, s.Completions, s.CompletionMode, s.Suspend, s.ManualSelector, s.PodReplacementPolicy = &one, &one, &mode, &no, &no, &replacement
	s.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"batch.kubernetes.io/controller-uid": "2"}}
	for k, v := range map[string]string{"batch.kubernetes.io/controller-uid": "2", "controller-uid": "2", "batch.kubernetes.io/job-name": j.Name, "job-name": j.Name} {
		s.Template.Labels[k] = v
	}
}

func TestTheCommandsOfTheDocsMayRunAsJobs(t *testing.T) {
	t.Parallel()
	g := guard{t, typed(t, "production")}
	operators, recovery := olga("countermand-operators"), olga("countermand-recovery")
	for _, c := range []struct {
		cronJob string
		args    []string
		by      request
	}{
		{"countermand-provisioner", nil, olga()},
		{"countermand-provisioner", []string{"check", "--as", "provisioner"}, olga()},
		{"countermand-operator", nil, operators},
		{"countermand-operator", []string{"show", "opay-eg", "1001000"}, operators},
		{"countermand-operator", []string{"review", "resolve", "opay-eg", "1001000", "--reason", "as the portal says"}, operators},
		{"countermand-operator", []string{"resume", "opay-eg"}, operators},
		{"countermand-operator", []string{"journal", "accept", "--reason", "an older copy", "--lose", "3"}, operators},
		{"countermand-operator", []string{"journal", "trust", "--reason", "all settled", "--apply"}, operators},
		{"countermand-reader", []string{"reconcile", "--provider", "opay-eg", "--from", "2026-11-01", "--to", "2026-11-02"}, operators},
		{"countermand-reader", nil, operators},
		{"countermand-check", []string{"check", "--as", "service"}, operators},
		{"countermand-recovery", []string{"journal", "status"}, recovery},
		{"countermand-recovery", []string{"check", "--deep", "--as", "recovery"}, recovery},
	} {
		if why := g.refuses(g.job(c.cronJob, c.args...), c.by); why != "" {
			t.Errorf("%s %v: refused: %s", c.cronJob, c.args, why)
		}
	}
}

// Who may create Jobs, and would like more than that.
func TestAJobThatIsMoreThanItsCronJobIsRefused(t *testing.T) {
	t.Parallel()
	g := guard{t, typed(t, "production")}
	secret := func(name string) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name}}}
	}
	ignore := &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
		Action: batchv1.PodFailurePolicyActionIgnore, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{1}},
	}}}
	six, two, yes, root := int32(6), int32(2), true, int64(0)
	container := func(j *batchv1.Job) *corev1.Container { return &j.Spec.Template.Spec.Containers[0] }
	const settings, pod, con, arguments = "the settings of a Job", "the pod of a Job", "the container of a Job", "the arguments of a Job"
	for attack, c := range map[string]struct {
		says string
		do   func(*batchv1.Job)
	}{
		"the service's account":    {"made from a CronJob", func(j *batchv1.Job) { j.Spec.Template.Spec.ServiceAccountName = "countermand" }},
		"no account":               {"made from a CronJob", func(j *batchv1.Job) { j.Spec.Template.Spec.ServiceAccountName = "" }},
		"the account of another":   {pod + " is that of the CronJob countermand-provisioner", func(j *batchv1.Job) { j.Spec.Template.Spec.ServiceAccountName = "countermand-provisioner" }},
		"the service's credential": {pod, func(j *batchv1.Job) { j.Spec.Template.Spec.Volumes[1].Secret.SecretName = "countermand-nats" }},
		"every provider's secret": {pod, func(j *batchv1.Job) {
			j.Spec.Template.Spec.Volumes = append(j.Spec.Template.Spec.Volumes, secret("countermand-providers"))
		}},
		"a second container": {con, func(j *batchv1.Job) {
			j.Spec.Template.Spec.Containers = append(j.Spec.Template.Spec.Containers, *container(j))
		}},
		"a container that goes first": {pod, func(j *batchv1.Job) { j.Spec.Template.Spec.InitContainers = []corev1.Container{*container(j)} }},
		"a token":                     {pod, func(j *batchv1.Job) { j.Spec.Template.Spec.AutomountServiceAccountToken = &yes }},
		"root":                        {pod, func(j *batchv1.Job) { j.Spec.Template.Spec.SecurityContext.RunAsUser = &root }},
		"the host's network":          {pod, func(j *batchv1.Job) { j.Spec.Template.Spec.HostNetwork = true }},
		"no security context":         {pod, func(j *batchv1.Job) { j.Spec.Template.Spec.SecurityContext = nil }},
		"a restart":                   {pod, func(j *batchv1.Job) { j.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyOnFailure }},
		"another image":               {con, func(j *batchv1.Job) { container(j).Image = "busybox" }},
		"another program":             {con, func(j *batchv1.Job) { container(j).Command = []string{"/bin/sh"} }},
		"a variable from a Secret": {con, func(j *batchv1.Job) {
			container(j).EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{}}}
		}},
		"a mount fewer":                  {con, func(j *batchv1.Job) { container(j).VolumeMounts = container(j).VolumeMounts[:1] }},
		"a file system to write":         {con, func(j *batchv1.Job) { container(j).SecurityContext.ReadOnlyRootFilesystem = nil }},
		"retries":                        {settings, func(j *batchv1.Job) { j.Spec.BackoffLimit = &six }},
		"retries by default":             {settings, func(j *batchv1.Job) { j.Spec.BackoffLimit = nil }},
		"failures that do not count":     {settings, func(j *batchv1.Job) { j.Spec.PodFailurePolicy = ignore }},
		"twice at once":                  {settings, func(j *batchv1.Job) { j.Spec.Parallelism = &two }},
		"later":                          {settings, func(j *batchv1.Job) { j.Spec.Suspend = &yes }},
		"for ever":                       {settings, func(j *batchv1.Job) { j.Spec.ActiveDeadlineSeconds = nil }},
		"gone at once":                   {settings, func(j *batchv1.Job) { j.Spec.TTLSecondsAfterFinished = new(int32) }},
		"the pods of others":             {settings, func(j *batchv1.Job) { j.Spec.ManualSelector = &yes }},
		"the label of the service":       {"the labels and annotations", func(j *batchv1.Job) { j.Spec.Template.Labels["app.kubernetes.io/component"] = "consumer" }},
		"the label of another network":   {"the labels and annotations", func(j *batchv1.Job) { j.Spec.Template.Labels["shop"] = "yes" }},
		"no label":                       {"the labels and annotations", func(j *batchv1.Job) { j.Spec.Template.Labels = nil }},
		"an annotation":                  {"the labels and annotations", func(j *batchv1.Job) { j.Spec.Template.Annotations = map[string]string{"inject": "yes"} }},
		"the service itself":             {arguments, func(j *batchv1.Job) { container(j).Args[0] = "run" }},
		"commands":                       {arguments, func(j *batchv1.Job) { container(j).Args[0] = "publish" }},
		"a command of another":           {arguments, func(j *batchv1.Job) { container(j).Args[0] = "recover" }},
		"two commands in a word":         {arguments, func(j *batchv1.Job) { container(j).Args[0] = "show review" }},
		"no arguments":                   {arguments, func(j *batchv1.Job) { container(j).Args = nil }},
		"a configuration of another":     {arguments, func(j *batchv1.Job) { container(j).Args = []string{"show", "--config", "/tmp/config.yaml"} }},
		"a Secret's file to read":        {arguments, func(j *batchv1.Job) { container(j).Args[1] = "--file=/run//secrets/nats/nkey" }},
		"the same from where it stands":  {arguments, func(j *batchv1.Job) { container(j).Args[1] = "run/./secrets/nats/nkey" }},
		"no configuration":               {arguments, func(j *batchv1.Job) { container(j).Args = []string{"show", "opay-eg", "1"} }},
		"an ephemeral container's place": {pod, func(j *batchv1.Job) { j.Spec.Template.Spec.ShareProcessNamespace = &yes }},
	} {
		j := g.job("countermand-operator", "show", "opay-eg", "1001000")
		c.do(j)
		if why := g.refuses(j, olga("countermand-operators")); !strings.Contains(why, c.says) {
			t.Errorf("%s: said %q, must contain %q", attack, why, c.says)
		}
	}
}

func TestOnlyItsGroupActsInAPersonsNameOrMendsTheJournal(t *testing.T) {
	t.Parallel()
	g := guard{t, typed(t, "production")}
	controller := request{operation: admission.Create, user: user.DefaultInfo{Name: "system:serviceaccount:kube-system:cronjob-controller"}}
	for _, c := range []struct {
		cronJob string
		by      request
		may     bool
	}{
		{"countermand-operator", olga("countermand-recovery"), false},
		{"countermand-recovery", olga("countermand-operators"), false},
		{"countermand-recovery", olga(), false},
		{"countermand-recovery", olga("system:authenticated", "countermand-recovery"), true},
		{"countermand-recovery", controller, true},
		{"countermand-reader", olga(), true},
	} {
		if why := g.refuses(g.job(c.cronJob), c.by); (why == "") != c.may {
			t.Errorf("%s by %s %v: %q", c.cronJob, c.by.user.Name, c.by.user.Groups, why)
		}
	}
}

func TestAJobIsHeldAgainstItsCronJobWhenItIsChangedToo(t *testing.T) {
	t.Parallel()
	g := guard{t, typed(t, "production")}
	by := olga("countermand-operators")
	by.operation, by.old = admission.Update, g.job("countermand-operator", "resume", "opay-eg")
	again := by.old.DeepCopy()
	six := int32(6)
	again.Spec.BackoffLimit = &six
	if why := g.refuses(again, by); !strings.Contains(why, "no other retries") {
		t.Errorf("retries that come later: %q", why)
	}
	// What was there before the policies may still be cleaned up.
	old := g.job("countermand-operator", "resume", "opay-eg")
	old.Spec.BackoffLimit = &six
	by.old = old
	labelled := old.DeepCopy()
	labelled.Finalizers = nil
	labelled.Labels = map[string]string{"seen": "yes"}
	if why := g.refuses(labelled, by); why != "" {
		t.Errorf("nothing of it changed: %q", why)
	}
}

// A policy that takes too long is a refusal; and what is compared must be in the form in
// which the server has it, whatever the order of keys.
func TestTheJobsTemplateSurvivesTheServersEncoding(t *testing.T) {
	t.Parallel()
	g := guard{t, typed(t, "production")}
	text, err := json.Marshal(g.job("countermand-reader", "check", "--deep", "--as", "reader"))
	if err != nil {
		t.Fatal(err)
	}
	var back batchv1.Job
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if why := g.refuses(&back, olga()); why != "" {
		t.Error(why)
	}
}
