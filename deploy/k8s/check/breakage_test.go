package check_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/countermand/countermand/deploy/k8s/check"
)

// breakage is one mistake somebody could make, and what must be said of it.
type breakage struct {
	mistake string
	object  string // "Kind name" in the rendering of production and nack
	path    string // fields and indexes, separated by dots; ~ stands for a dot
	value   any    // nil: taken away
	says    string
}

func breakages() []breakage {
	const (
		pod       = "spec.template.spec."
		container = pod + "containers.0."
	)
	return []breakage{
		{"a misspelt field of a pod", "Deployment countermand", pod + "terminationGracePeriod", 45, "additional properties 'terminationGracePeriod' not allowed"},
		{"a misspelt field deep inside", "StatefulSet countermand-nats", container + "readinessProbe.httpGet.prot", 1, "'prot' not allowed"},
		{"text for a number", "Deployment countermand", pod + "terminationGracePeriodSeconds", "45", "want integer"},
		{"a required field forgotten", "PodDisruptionBudget countermand", "spec.selector", nil, "selector finds 0 workloads"},
		{"a required list forgotten", "Deployment countermand", pod + "containers", nil, "missing property 'containers'"},
		{"a kind nobody knows", "Service countermand", "kind", "Servcie", "no schema"},
		{"a misspelt field of a custom resource", "Stream payment-events", "spec.maxMsgPerSubject", 1, "'maxMsgPerSubject' not allowed"},
		{"storage that does not exist", "Stream payment-events", "spec.storage", "disk", "must be one of"},
		{"a misspelt field of a ScaledObject", "ScaledObject countermand", "spec.triggers.0.metdata", map[string]any{}, "'metdata' not allowed"},
		{"a trigger without its type", "ScaledObject countermand", "spec.triggers.0.type", nil, "missing property 'type'"},
		{"a misspelt field of an alert", "PrometheusRule countermand", "spec.groups.0.rules.0.annotation", map[string]any{}, "'annotation' not allowed"},
		{"an interval that is none", "ServiceMonitor countermand", "spec.endpoints.0.interval", "often", "does not match pattern"},

		{"a selector beside its labels", "Deployment countermand", "spec.selector.matchLabels.app~kubernetes~io/name", "countermande", "does not find its own pods"},
		{"a Service that finds nothing", "Service countermand", "spec.selector.app~kubernetes~io/component", "worker", "finds 0 workloads"},
		{"a Service that finds two workloads", "Service countermand", "spec.selector.app~kubernetes~io/component", nil, "finds 6 workloads"},
		{"a Service to a port that is not there", "Service countermand", "spec.ports.0.targetPort", "metrics", "has port metrics"},
		{"a budget that guards nothing", "PodDisruptionBudget countermand-nats", "spec.selector.matchLabels.app~kubernetes~io/instance", "nats", "finds 0 workloads"},
		{"a probe of a port that is not there", "Deployment countermand", container + "livenessProbe.httpGet.port", "http", "which no container has"},
		{"a renamed container port", "Deployment countermand", container + "ports.0.name", "http", "asks port admin"},
		{"a volume without its mount", "Deployment countermand", container + "volumeMounts.2.name", "config", "volume providers is not mounted"},
		{"a mount without its volume", "Deployment countermand", pod + "volumes.0.name", "configuration", "there is no volume config"},
		{"a subPath", "Deployment countermand", container + "volumeMounts.1.subPath", "nkey", "subPath"},
		{"a ConfigMap that is not there", "Deployment countermand", pod + "volumes.0.configMap.name", "config", "there is no ConfigMap config"},
		{"a key that is not there", "StatefulSet countermand-nats", pod + "volumes.0.projected.sources.2.configMap.items.0.key", "exports", "has no key exports"},
		{"a Secret under another name", "Deployment countermand", pod + "volumes.1.secret.secretName", "nats", "neither here nor one the platform makes"},
		{"an account that is not there", "Deployment countermand", pod + "serviceAccountName", "default", "no ServiceAccount default"},
		{"a token in the pod", "Deployment countermand", pod + "automountServiceAccountToken", true, "get a token"},
		{"a spread that counts others", "Deployment countermand", pod + "topologySpreadConstraints.0.labelSelector.matchLabels.app~kubernetes~io/name", "x", "does not count its own pods"},
		{"an update that takes pods away first", "Deployment countermand", "spec.strategy.rollingUpdate.maxUnavailable", 1, "before new ones are ready"},
		{"a grace too short for what is in hand", "Deployment countermand", pod + "terminationGracePeriodSeconds", 20, "less than"},
		{"a collector above the kernel's limit", "Deployment countermand", container + "env.0.value", "600MiB", "of the memory limit"},
		{"a namespace that enforces less", "Namespace countermand", "metadata.labels.pod-security~kubernetes~io/enforce", "baseline", "does not enforce restricted"},
		{"an object in another namespace", "Service countermand", "metadata.namespace", "default", "is in namespace default"},
		{"no way out to NATS", "NetworkPolicy countermand", "spec.egress.1.to.0.podSelector.matchLabels.app~kubernetes~io/name", "nats-server", "no policy lets Deployment countermand out"},
		{"no way in to NATS", "NetworkPolicy countermand-nats", "spec.ingress.0.from.0.podSelector.matchLabels.app~kubernetes~io/part-of", "shop", "no policy lets Deployment countermand in"},
		{"a policy on a port that is not there", "NetworkPolicy countermand", "spec.ingress.0.ports.0.port", "metrics", "has no port metrics"},
		{"a policy that guards nothing", "NetworkPolicy countermand", "spec.podSelector.matchLabels.app~kubernetes~io/name", "x", "finds 0 workloads"},
		{"everything allowed", "NetworkPolicy deny-all", "spec.egress", []any{map[string]any{}}, "no policy denies everything"},
		{"a ServiceMonitor that finds nothing", "ServiceMonitor countermand", "spec.selector.matchLabels.app~kubernetes~io/name", "x", "finds 0 services"},
		{"a scrape of a port that is not there", "ServiceMonitor countermand", "spec.endpoints.0.port", "http", "has no port http"},
		{"a scaler of something else", "ScaledObject countermand", "spec.scaleTargetRef.name", "consumer", "there is no Deployment consumer"},
		{"a scaler on another consumer", "ScaledObject countermand", "spec.triggers.1.metadata.consumer", "consumer", "is not payment-consumer"},
		{"a scaler on another stream", "ScaledObject countermand", "spec.triggers.0.metadata.stream", "COMMANDS", "triggers are on"},
		{"a scaler that asks nobody", "ScaledObject countermand", "spec.triggers.0.metadata.natsServerMonitoringEndpoint", "nats:8222", "no Service at nats:8222"},
		{"more replicas than can be busy", "ScaledObject countermand", "spec.maxReplicaCount", 20, "can be busy"},
		{"replicas set beside the scaler", "Deployment countermand", "spec.replicas", 3, "sets its replicas as well"},

		{"a root user", "Deployment countermand", pod + "securityContext.runAsNonRoot", false, "runAsNonRoot"},
		{"a capability", "StatefulSet countermand-nats", container + "securityContext.capabilities.drop", nil, "capabilities"},
		{"privilege escalation", "Deployment countermand", container + "securityContext.allowPrivilegeEscalation", nil, "allowPrivilegeEscalation"},
		{"no seccomp profile", "CronJob countermand-operator", "spec.jobTemplate." + pod + "securityContext.seccompProfile", nil, "seccompProfile"},
		{"a path of the host", "Deployment countermand", pod + "volumes.0", map[string]any{"name": "config", "hostPath": map[string]any{"path": "/etc"}}, "hostPath"},
		{"a root file system that can be written", "Deployment countermand", container + "securityContext.readOnlyRootFilesystem", false, "can be written"},

		{"a role that may delete", "Role countermand-witness", "rules.0.verbs.1", "delete", "not get and update of the Lease"},
		{"a role for every Lease", "Role countermand-witness", "rules.0.resourceNames", nil, "not get and update of the Lease"},
		{"a role for the operator's account", "RoleBinding countermand-witness", "subjects.0.name", "countermand-operator", "grants it to"},
		{"a witness without its token", "Deployment countermand", pod + "volumes.3.projected.sources.0", map[string]any{"configMap": map[string]any{"name": "kube-root-ca.crt"}}, "has a token: false"},
		{"a policy that goes by the request's name", "ValidatingAdmissionPolicy countermand-witness", "spec.matchConditions.0.expression", "request.name == 'countermand-journal'", "does not go by the name"},
		{"a misspelt field of a policy", "ValidatingAdmissionPolicy countermand-witness", "spec.validation", []any{}, "'validation' not allowed"},

		{"a person's command that runs again", "CronJob countermand-operator", "spec.jobTemplate.spec.backoffLimit", 6, "would run again by itself"},
		{"retries by default", "CronJob countermand-recovery", "spec.jobTemplate.spec.backoffLimit", nil, "would run again by itself"},
		{"a Job that is gone after three more", "CronJob countermand-operator", "spec.successfulJobsHistoryLimit", nil, "take Jobs away before their day"},
		{"the audit's output gone at once", "CronJob countermand-operator", "spec.jobTemplate.spec.ttlSecondsAfterFinished", 60, "not kept for a day"},
		{"a command that nobody asked for", "CronJob countermand-recovery", "spec.suspend", false, "runs by itself"},
		{"providers' secrets at an operator", "CronJob countermand-operator", "spec.jobTemplate." + pod + "volumes.1.secret.secretName", "countermand-providers", "mounts the Secrets"},
		{"the service's credential at an operator", "CronJob countermand-operator", "spec.jobTemplate." + pod + "volumes.1.secret.secretName", "countermand-nats", "mounts the Secrets"},
		{"more than check with the service's credential", "CronJob countermand-check", "metadata.annotations.countermand~dev/commands", "check run", "with the service's credential"},
		{"the account of another", "CronJob countermand-operator", "spec.jobTemplate." + pod + "serviceAccountName", "countermand-recovery", "is not its own"},
		{"a reader that reaches no provider", "NetworkPolicy countermand-jobs-asking", "spec.egress", nil, "reaches providers: false"},
		{"people who may exec", "Role countermand-jobs", "rules.3.resources.0", "pods/exec", "Role countermand-jobs: allows"},
		{"people who may make pods", "Role countermand-jobs", "rules.2.verbs.0", "create", "Role countermand-jobs: allows"},
		{"people who may change a CronJob", "Role countermand-jobs", "rules.0.verbs.0", "update", "Role countermand-jobs: allows"},
		{"Jobs made by the service", "RoleBinding countermand-jobs", "subjects.0", map[string]any{"kind": "ServiceAccount", "name": "countermand", "namespace": "countermand"}, "which is no person"},
		{"a policy that only warns", "ValidatingAdmissionPolicyBinding countermand-jobs", "spec.validationActions.0", "Warn", "no binding of the policy countermand-jobs"},
		{"a policy for another namespace", "ValidatingAdmissionPolicyBinding countermand-jobs-operator", "spec.matchResources.namespaceSelector.matchLabels.kubernetes~io/metadata~name", "shop", "no binding of countermand-jobs-template holds Jobs"},
		{"a CronJob that may be missing", "ValidatingAdmissionPolicyBinding countermand-jobs-operator", "spec.paramRef.parameterNotFoundAction", "Allow", "no binding of countermand-jobs-template holds Jobs"},
		{"an account that the policy does not know", "ValidatingAdmissionPolicy countermand-jobs", "spec.validations.0.expression", "true", "does not know its account"},

		{"a journal in memory", "Stream payment-events", "spec.storage", "memory", "Storage"},
		{"a journal with one replica", "Stream payment-events", "spec.replicas", 1, "Replicas"},
		{"a journal that overwrites", "Stream payment-events", "spec.discardPerSubject", false, "DiscardNewPerSubject"},
		{"a journal that can be purged", "Stream payment-events", "spec.denyPurge", false, "DenyPurge"},
		{"a field left to its default", "Stream payment-due", "spec.allowMsgSchedules", nil, "AllowMsgSchedules"},
		{"commands that can schedule", "Stream payment-commands", "spec.allowMsgSchedules", true, "AllowMsgSchedules"},
		{"a stream deleted with its resource", "Stream payment-events", "spec.preventDelete", nil, "preventDelete"},
		{"acknowledgement left to its default", "Consumer payment-commands-consumer", "spec.ackPolicy", nil, "AckPolicy"},
		{"ack wait left to its default", "Consumer payment-due-consumer", "spec.ackWait", nil, "AckWait"},
		{"a consumer of schedules that are not due", "Consumer payment-due-consumer", "spec.filterSubject", "payment.>", "FilterSubject"},
	}
}

func TestEachMistakeIsFound(t *testing.T) {
	t.Parallel()
	schemas, err := check.NewSchemas()
	if err != nil {
		t.Fatal(err)
	}
	whole, err := check.Combine(root, t.TempDir(), "nats", "operator", "witness", "nack", "keda", "monitoring")
	if err != nil {
		t.Fatal(err)
	}
	if before := verdict(t, schemas, whole); before != "" {
		t.Fatalf("before anything is broken: %s", before)
	}
	for _, b := range breakages() {
		t.Run(b.mistake, func(t *testing.T) {
			t.Parallel()
			objects := copied(t, whole)
			breakIt(t, objects, b)
			if got := verdict(t, schemas, objects); !strings.Contains(got, b.says) {
				t.Errorf("said of it: %q\nmust contain %q", got, b.says)
			}
		})
	}
}

// copied is a deep copy.
func copied(t *testing.T, objects []check.Object) []check.Object {
	t.Helper()
	text, err := json.Marshal(objects)
	if err != nil {
		t.Fatal(err)
	}
	var all []check.Object
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// verdict is everything that is found wrong, as one text.
func verdict(t *testing.T, schemas *check.Schemas, objects []check.Object) string {
	t.Helper()
	var all []string
	for _, o := range objects {
		if err := schemas.Validate(o); err != nil {
			all = append(all, err.Error())
		}
	}
	r, err := check.Typed(objects)
	if err != nil {
		return strings.Join(append(all, err.Error()), "\n")
	}
	all = append(all, r.Faults()...)
	all = append(all, r.SecurityFaults()...)
	all = append(all, r.TopologyFaults(check.Topology())...)
	return strings.Join(all, "\n")
}

// breakIt changes one place of one object.
func breakIt(t *testing.T, objects []check.Object, b breakage) {
	t.Helper()
	for _, o := range objects {
		if o.String() == b.object {
			change(t, map[string]any(o), strings.Split(b.path, "."), b.value)
			return
		}
	}
	t.Fatalf("no object %s", b.object)
}

func change(t *testing.T, node any, path []string, value any) {
	t.Helper()
	key := strings.ReplaceAll(path[0], "~", ".")
	switch n := node.(type) {
	case map[string]any:
		switch {
		case len(path) > 1:
			change(t, n[key], path[1:], value)
		case value == nil:
			if _, ok := n[key]; !ok {
				t.Fatalf("%s is not there to be taken away", key)
			}
			delete(n, key)
		default:
			if n[key] == value {
				t.Fatalf("%s is %v already", key, value)
			}
			n[key] = value
		}
	case []any:
		i, err := strconv.Atoi(key)
		if err != nil || i >= len(n) {
			t.Fatalf("no element %s of %d", key, len(n))
		}
		if len(path) == 1 {
			n[i] = value
			return
		}
		change(t, n[i], path[1:], value)
	default:
		t.Fatalf("nothing at %s", key)
	}
}
