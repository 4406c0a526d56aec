package check_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	celgo "github.com/google/cel-go/cel"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
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

// newGuard has the CronJobs as an API server has them, with identifiers.
func newGuard(t *testing.T) guard {
	t.Helper()
	g := guard{t, typed(t, "production")}
	for i := range g.rendered.CronJobs {
		c := &g.rendered.CronJobs[i]
		c.UID = types.UID("of-" + c.Name)
	}
	return g
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
	job = filledIn(job)
	if by.old != nil {
		by.old = filledIn(by.old)
	}
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

// madeFrom is a Job as "kubectl create job --from=cronjob/NAME" sends it, with other
// arguments.
func madeFrom(t *testing.T, r *check.Rendered, cronJob string, args ...string) *batchv1.Job {
	t.Helper()
	for _, c := range r.CronJobs {
		if c.Name != cronJob {
			continue
		}
		j := &batchv1.Job{
			TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
			ObjectMeta: metav1.ObjectMeta{
				Name: "op-1", Namespace: "countermand", Annotations: map[string]string{"cronjob.kubernetes.io/instantiate": "manual"},
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "CronJob", Name: c.Name, UID: c.UID}},
			},
			Spec: *c.Spec.JobTemplate.Spec.DeepCopy(),
		}
		if len(args) > 0 {
			j.Spec.Template.Spec.Containers[0].Args = slices.Concat(args, []string{"--config", "/etc/countermand/config.yaml"})
		}
		return j
	}
	t.Fatalf("no CronJob %s", cronJob)
	return nil
}

// filledIn has a Job as the API server has it when it asks the policies: with its own
// words where nobody has said anything.
func filledIn(j *batchv1.Job) *batchv1.Job {
	j = j.DeepCopy()
	s := &j.Spec
	s.Parallelism, s.Completions, s.BackoffLimit = otherwise(s.Parallelism, 1), otherwise(s.Completions, 1), otherwise(s.BackoffLimit, 6)
	s.CompletionMode, s.PodReplacementPolicy = otherwise(s.CompletionMode, batchv1.NonIndexedCompletion), otherwise(s.PodReplacementPolicy, batchv1.TerminatingOrFailed)
	s.Suspend, s.ManualSelector = otherwise(s.Suspend, false), otherwise(s.ManualSelector, false)
	s.Selector = otherwise(s.Selector, metav1.LabelSelector{MatchLabels: map[string]string{"batch.kubernetes.io/controller-uid": "2"}})
	if s.Template.Labels == nil {
		s.Template.Labels = map[string]string{}
	}
	for k, v := range map[string]string{"batch.kubernetes.io/controller-uid": "2", "controller-uid": "2", "batch.kubernetes.io/job-name": j.Name, "job-name": j.Name} {
		s.Template.Labels[k] = v
	}
	return j
}

// otherwise is what was said, or else a default.
func otherwise[T any](said *T, filled T) *T {
	if said != nil {
		return said
	}
	return &filled
}

// judge says why a Job is refused; empty: it is admitted. There are two: the policies alone,
// and a live API server (live_test.go). Both have the same rows.
type judge interface {
	refuses(job *batchv1.Job, by request) string
}

// madeJob is a Job that somebody makes of a CronJob.
type madeJob struct {
	cronJob string
	args    []string
	by      request
}

func jobsOfTheDocs() []madeJob {
	operators, recovery := olga("countermand-operators"), olga("countermand-recovery")
	return []madeJob{
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
	}
}

func admitsTheJobsOfTheDocs(t *testing.T, j judge, r *check.Rendered) {
	t.Helper()
	for _, c := range jobsOfTheDocs() {
		if why := j.refuses(madeFrom(t, r, c.cronJob, c.args...), c.by); why != "" {
			t.Errorf("%s %v: refused: %s", c.cronJob, c.args, why)
		}
	}
}

func TestTheCommandsOfTheDocsMayRunAsJobs(t *testing.T) {
	t.Parallel()
	g := newGuard(t)
	admitsTheJobsOfTheDocs(t, g, g.rendered)
}

// attack is what somebody who may create Jobs would like to do beyond that, and what the
// answer contains.
type attack struct {
	says string
	do   func(*batchv1.Job)
}

func attacks() map[string]attack {
	secret := func(name string) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name}}}
	}
	ignore := &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
		Action: batchv1.PodFailurePolicyActionIgnore, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{1}},
	}}}
	six, two, yes, root := int32(6), int32(2), true, int64(0)
	container := func(j *batchv1.Job) *corev1.Container { return &j.Spec.Template.Spec.Containers[0] }
	second := func(j *batchv1.Job) corev1.Container {
		c := *container(j)
		c.Name = "second"
		return c
	}
	const settings, pod, con, arguments = "the settings of a Job", "the pod of a Job", "the container of a Job", "the arguments of a Job"
	return map[string]attack{
		"the service's account":    {"made from a CronJob", func(j *batchv1.Job) { j.Spec.Template.Spec.ServiceAccountName = "countermand" }},
		"no account":               {"made from a CronJob", func(j *batchv1.Job) { j.Spec.Template.Spec.ServiceAccountName = "" }},
		"the account of another":   {settings + " are those of the CronJob countermand-provisioner", func(j *batchv1.Job) { j.Spec.Template.Spec.ServiceAccountName = "countermand-provisioner" }},
		"the service's credential": {pod, func(j *batchv1.Job) { j.Spec.Template.Spec.Volumes[1].Secret.SecretName = "countermand-nats" }},
		"every provider's secret": {pod, func(j *batchv1.Job) {
			j.Spec.Template.Spec.Volumes = append(j.Spec.Template.Spec.Volumes, secret("countermand-providers"))
		}},
		"a second container": {con, func(j *batchv1.Job) {
			j.Spec.Template.Spec.Containers = append(j.Spec.Template.Spec.Containers, second(j))
		}},
		"a container that goes first": {pod, func(j *batchv1.Job) { j.Spec.Template.Spec.InitContainers = []corev1.Container{second(j)} }},
		"a token":                     {pod, func(j *batchv1.Job) { j.Spec.Template.Spec.AutomountServiceAccountToken = &yes }},
		"root":                        {pod, func(j *batchv1.Job) { j.Spec.Template.Spec.SecurityContext.RunAsUser = &root }},
		"the host's network":          {pod, func(j *batchv1.Job) { j.Spec.Template.Spec.HostNetwork = true }},
		"no security context":         {pod, func(j *batchv1.Job) { j.Spec.Template.Spec.SecurityContext = nil }},
		"a restart":                   {pod, func(j *batchv1.Job) { j.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyOnFailure }},
		"another image":               {con, func(j *batchv1.Job) { container(j).Image = "busybox" }},
		"another program":             {con, func(j *batchv1.Job) { container(j).Command = []string{"/bin/sh"} }},
		"a variable from a Secret": {con, func(j *batchv1.Job) {
			container(j).EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "countermand-nats"}}}}
		}},
		"a mount fewer":              {con, func(j *batchv1.Job) { container(j).VolumeMounts = container(j).VolumeMounts[:1] }},
		"a file system to write":     {con, func(j *batchv1.Job) { container(j).SecurityContext.ReadOnlyRootFilesystem = nil }},
		"retries":                    {settings, func(j *batchv1.Job) { j.Spec.BackoffLimit = &six }},
		"retries by default":         {settings, func(j *batchv1.Job) { j.Spec.BackoffLimit = nil }},
		"failures that do not count": {settings, func(j *batchv1.Job) { j.Spec.PodFailurePolicy = ignore }},
		"twice at once":              {settings, func(j *batchv1.Job) { j.Spec.Parallelism = &two }},
		"later":                      {settings, func(j *batchv1.Job) { j.Spec.Suspend = &yes }},
		"for ever":                   {settings, func(j *batchv1.Job) { j.Spec.ActiveDeadlineSeconds = nil }},
		"gone at once":               {settings, func(j *batchv1.Job) { j.Spec.TTLSecondsAfterFinished = new(int32) }},
		"the pods of others": {settings, func(j *batchv1.Job) {
			j.Spec.ManualSelector, j.Spec.Selector = &yes, &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": "countermand"}}
		}},
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
		"a variable in an argument":      {arguments, func(j *batchv1.Job) { container(j).Args[1] = "/run/$(NOTHING)secrets/nats/nkey" }},
		"an ephemeral container's place": {pod, func(j *batchv1.Job) { j.Spec.Template.Spec.ShareProcessNamespace = &yes }},
	}
}

// furtherAttacks are the fields that none of the CronJobs has.
func furtherAttacks() map[string]attack {
	yes, no, long := true, false, int64(600)
	con := func(do func(*corev1.Container)) attack {
		return attack{"the container of a Job", func(j *batchv1.Job) { do(&j.Spec.Template.Spec.Containers[0]) }}
	}
	pod := func(do func(*corev1.PodSpec)) attack {
		return attack{"the pod of a Job", func(j *batchv1.Job) { do(&j.Spec.Template.Spec) }}
	}
	volume := func(v corev1.VolumeSource) attack {
		return pod(func(p *corev1.PodSpec) { p.Volumes = append(p.Volumes, corev1.Volume{Name: "more", VolumeSource: v}) })
	}
	job := func(says string, do func(*batchv1.Job)) attack { return attack{says, do} }
	const settings, labels, owner = "the settings of a Job", "the labels and annotations", "a Job has no owner but the CronJob countermand-operator"
	return map[string]attack{
		"another controller":        job(settings, func(j *batchv1.Job) { j.Spec.ManagedBy = new("example.com/other") }),
		"a pod beside its follower": job(settings, func(j *batchv1.Job) { j.Spec.PodReplacementPolicy = new(batchv1.Failed) }),
		"one retry for each index": job(settings, func(j *batchv1.Job) {
			j.Spec.CompletionMode, j.Spec.BackoffLimitPerIndex = new(batchv1.IndexedCompletion), new(int32(3))
		}),
		"three in a row":           job(settings, func(j *batchv1.Job) { j.Spec.Completions = new(int32(3)) }),
		"pods that never go":       job(labels, func(j *batchv1.Job) { j.Spec.Template.Finalizers = []string{"example.com/never"} }),
		"pods with a name":         job(labels, func(j *batchv1.Job) { j.Spec.Template.Name = "countermand-nats-0" }),
		"pods of another owner":    job(labels, func(j *batchv1.Job) { j.Spec.Template.OwnerReferences = j.OwnerReferences }),
		"a Job that never goes":    job(owner, func(j *batchv1.Job) { j.Finalizers = []string{"example.com/never"} }),
		"an owner that is gone":    job(owner, func(j *batchv1.Job) { j.OwnerReferences[0].UID = "gone" }),
		"another owner":            job(owner, func(j *batchv1.Job) { j.OwnerReferences[0].Name = "countermand-reader" }),
		"an owner of another kind": job(owner, func(j *batchv1.Job) { j.OwnerReferences[0].Kind = "Deployment" }),
		"a second owner": job(owner, func(j *batchv1.Job) {
			j.OwnerReferences = append(j.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: "Pod", Name: "x", UID: "x"})
		}),
		"a node of its choice":     pod(func(p *corev1.PodSpec) { p.NodeName = "mine" }),
		"nodes of its choice":      pod(func(p *corev1.PodSpec) { p.NodeSelector = map[string]string{"mine": "yes"} }),
		"a node that takes nobody": pod(func(p *corev1.PodSpec) { p.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}} }),
		"another address of NATS": pod(func(p *corev1.PodSpec) {
			p.HostAliases = []corev1.HostAlias{{IP: "192.0.2.1", Hostnames: []string{"countermand-nats"}}}
		}),
		"another server of names": pod(func(p *corev1.PodSpec) { p.DNSConfig = &corev1.PodDNSConfig{Nameservers: []string{"192.0.2.1"}} }),
		"the host's names":        pod(func(p *corev1.PodSpec) { p.DNSPolicy = corev1.DNSDefault }),
		"the host's processes":    pod(func(p *corev1.PodSpec) { p.HostPID = true }),
		"the host's users":        pod(func(p *corev1.PodSpec) { p.HostUsers = &no }),
		"a host name":             pod(func(p *corev1.PodSpec) { p.Hostname, p.Subdomain = "countermand-nats-0", "countermand-nats-headless" }),
		"another runtime":         pod(func(p *corev1.PodSpec) { p.RuntimeClassName = new("mine") }),
		"another scheduler":       pod(func(p *corev1.PodSpec) { p.SchedulerName = "mine" }),
		"before all others":       pod(func(p *corev1.PodSpec) { p.PriorityClassName = "system-node-critical" }),
		"a registry's password": pod(func(p *corev1.PodSpec) {
			p.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "countermand-nats"}}
		}),
		"the addresses of services": pod(func(p *corev1.PodSpec) { p.EnableServiceLinks = &yes }),
		"a long end":                pod(func(p *corev1.PodSpec) { p.TerminationGracePeriodSeconds = &long }),
		"a token as a volume":       volume(corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}}}}}),
		"a Secret in a projection":  volume(corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "countermand-nats"}}}}}}),
		"the host's files":          volume(corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}),
		"the servers' disk":         volume(corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-countermand-nats-0"}}),
		"a place to write":          volume(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}),
		"a disk of its own":         volume(corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{Spec: corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}}}}}}),
		"a variable of its own":     con(func(c *corev1.Container) { c.Env = []corev1.EnvVar{{Name: "NATS_URL", Value: "nats://192.0.2.1"}} }),
		"a variable of the cluster": con(func(c *corev1.Container) {
			c.EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "x"}}}}
		}),
		"another folder":               con(func(c *corev1.Container) { c.WorkingDir = "/run" }),
		"a terminal":                   con(func(c *corev1.Container) { c.Stdin, c.TTY = true, true }),
		"a Secret as the last message": con(func(c *corev1.Container) { c.TerminationMessagePath = "/run/secrets/nats/nkey" }),
		"a program at the start": con(func(c *corev1.Container) {
			c.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"x"}}}}
		}),
		"a program that asks": con(func(c *corev1.Container) {
			c.StartupProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"x"}}}}
		}),
		"a port of the host": con(func(c *corev1.Container) { c.Ports = []corev1.ContainerPort{{ContainerPort: 1, HostPort: 1}} }),
		"more memory":        con(func(c *corev1.Container) { c.Resources.Limits[corev1.ResourceMemory] = resource.MustParse("64Gi") }),
		"the newest image":   con(func(c *corev1.Container) { c.ImagePullPolicy = corev1.PullAlways }),
		"a mount elsewhere":  con(func(c *corev1.Container) { c.VolumeMounts[1].MountPath = "/etc/nats" }),
	}
}

func refusesTheAttacks(t *testing.T, j judge, r *check.Rendered) {
	t.Helper()
	all := attacks()
	maps.Copy(all, furtherAttacks())
	for name, a := range all {
		job := madeFrom(t, r, "countermand-operator", "show", "opay-eg", "1001000")
		a.do(job)
		if why := j.refuses(job, olga("countermand-operators")); !strings.Contains(why, a.says) {
			t.Errorf("%s: said %q, must contain %q", name, why, a.says)
		}
	}
}

func TestAJobThatIsMoreThanItsCronJobIsRefused(t *testing.T) {
	t.Parallel()
	g := newGuard(t)
	refusesTheAttacks(t, g, g.rendered)
}

func admitsOnlyTheGroupOfTheCronJob(t *testing.T, j judge, r *check.Rendered) {
	t.Helper()
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
		why := j.refuses(madeFrom(t, r, c.cronJob), c.by)
		if (why == "") != c.may || !c.may && !strings.Contains(why, "only the group that the CronJob "+c.cronJob+" names") {
			t.Errorf("%s by %s %v: %q", c.cronJob, c.by.user.Name, c.by.user.Groups, why)
		}
	}
}

func TestOnlyItsGroupActsInAPersonsNameOrMendsTheJournal(t *testing.T) {
	t.Parallel()
	g := newGuard(t)
	admitsOnlyTheGroupOfTheCronJob(t, g, g.rendered)
}

func TestAJobIsHeldAgainstItsCronJobWhenItIsChangedToo(t *testing.T) {
	t.Parallel()
	g := newGuard(t)
	by := olga("countermand-operators")
	by.operation, by.old = admission.Update, madeFrom(t, g.rendered, "countermand-operator", "resume", "opay-eg")
	again := by.old.DeepCopy()
	six := int32(6)
	again.Spec.BackoffLimit = &six
	if why := g.refuses(again, by); !strings.Contains(why, "no other retries") {
		t.Errorf("retries that come later: %q", why)
	}
	// What was there before the policies may still be cleaned up.
	old := madeFrom(t, g.rendered, "countermand-operator", "resume", "opay-eg")
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
	g := newGuard(t)
	text, err := json.Marshal(madeFrom(t, g.rendered, "countermand-reader", "check", "--deep", "--as", "reader"))
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
