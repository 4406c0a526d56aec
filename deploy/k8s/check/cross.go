package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Faults looks across the objects of one rendering and returns what does not fit
// together, one line each; none where all does.
func (r *Rendered) Faults() []string {
	f := &faultList{}
	for _, w := range r.Workloads {
		r.checkPods(f, w)
		r.checkVolumes(f, w)
		checkMemory(f, w)
	}
	r.checkServices(f)
	r.checkBudgets(f)
	r.checkUse(f)
	r.checkNamespace(f)
	r.checkRollout(f)
	r.checkServiceMonitors(f)
	r.checkScaling(f)
	r.checkPolicies(f)
	r.checkWitness(f)
	r.checkJobs(f)
	return f.lines
}

// faultList collects faults.
type faultList struct{ lines []string }

func (f *faultList) add(format string, args ...any) {
	f.lines = append(f.lines, fmt.Sprintf(format, args...))
}

// matches reports whether a selector finds labels. A broken selector finds none.
func matches(selector *metav1.LabelSelector, of map[string]string) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(labels.Set(of))
}

// selected returns the workloads whose pods the selector finds.
func (r *Rendered) selected(selector *metav1.LabelSelector) []Workload {
	var all []Workload
	for _, w := range r.Workloads {
		if matches(selector, w.Pod.Labels) {
			all = append(all, w)
		}
	}
	return all
}

// ports returns a pod's container ports.
func ports(pod corev1.PodSpec) []corev1.ContainerPort {
	var all []corev1.ContainerPort
	for _, c := range pod.Containers {
		all = append(all, c.Ports...)
	}
	return all
}

// hasPort reports whether the pod listens on the port, by name or number.
func hasPort(pod corev1.PodSpec, port intstr.IntOrString) bool {
	return slices.ContainsFunc(ports(pod), func(p corev1.ContainerPort) bool {
		if port.Type == intstr.String {
			return p.Name == port.StrVal
		}
		return p.ContainerPort == port.IntVal
	})
}

// checkPods: a selector finds its own pods, probes ask ports that exist, images
// are pinned, the account exists, pods spread among themselves.
func (r *Rendered) checkPods(f *faultList, w Workload) {
	if w.Selector != nil && !matches(w.Selector, w.Pod.Labels) {
		f.add("%s: its selector does not find its own pods", w)
	}
	for _, c := range w.Pod.Spec.Containers {
		for name, probe := range map[string]*corev1.Probe{
			"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe,
		} {
			if probe != nil && probe.HTTPGet != nil && !hasPort(w.Pod.Spec, probe.HTTPGet.Port) {
				f.add("%s: the %s probe asks port %s, which no container has", w, name, probe.HTTPGet.Port.String())
			}
		}
		if _, tag, _ := strings.Cut(c.Image, ":"); w.Object.at("metadata", "namespace") != nil && tag == "latest" {
			f.add("%s: image %s is not pinned", w, c.Image)
		}
	}
	if name := w.Pod.Spec.ServiceAccountName; name != "" {
		if account, ok := r.Accounts[name]; !ok {
			f.add("%s: there is no ServiceAccount %s", w, name)
		} else if account.AutomountServiceAccountToken == nil || *account.AutomountServiceAccountToken {
			f.add("ServiceAccount %s has a token", name)
		}
	}
	if mount := w.Pod.Spec.AutomountServiceAccountToken; mount == nil || *mount {
		f.add("%s: its pods get a token", w)
	}
	for _, spread := range w.Pod.Spec.TopologySpreadConstraints {
		if !matches(spread.LabelSelector, w.Pod.Labels) {
			f.add("%s: topology spread over %s does not count its own pods", w, spread.TopologyKey)
		}
	}
}

// checkMemory: the collector's limit is below the kernel's, and not far below.
func checkMemory(f *faultList, w Workload) {
	for _, c := range w.Pod.Spec.Containers {
		limit := c.Resources.Limits.Memory().Value()
		if limit == 0 {
			f.add("%s: container %s has no memory limit", w, c.Name)
		}
		for _, e := range c.Env {
			if e.Name != "GOMEMLIMIT" {
				continue
			}
			var mib int64
			if _, err := fmt.Sscanf(e.Value, "%dMiB", &mib); err != nil {
				f.add("%s: GOMEMLIMIT %q is not in MiB", w, e.Value)
				continue
			}
			if share := float64(mib<<20) / float64(limit); share < 0.85 || share > 0.95 {
				f.add("%s: GOMEMLIMIT is %.0f %% of the memory limit, not about 90", w, 100*share)
			}
		}
	}
}

// checkServices: each finds pods, and its ports are theirs.
func (r *Rendered) checkServices(f *faultList) {
	for _, s := range r.Services {
		found := r.selected(&metav1.LabelSelector{MatchLabels: s.Spec.Selector})
		if len(found) != 1 {
			f.add("Service %s: its selector finds %d workloads, not one", s.Name, len(found))
			continue
		}
		for _, p := range s.Spec.Ports {
			if !hasPort(found[0].Pod.Spec, p.TargetPort) {
				f.add("Service %s: no container of %s has port %s", s.Name, found[0], p.TargetPort.String())
			}
		}
	}
	for _, s := range r.StatefulSets {
		i := slices.IndexFunc(r.Services, func(v corev1.Service) bool { return v.Name == s.Spec.ServiceName })
		if i < 0 || r.Services[i].Spec.ClusterIP != corev1.ClusterIPNone {
			f.add("StatefulSet %s: %q is no headless Service", s.Name, s.Spec.ServiceName)
		}
	}
}

// checkBudgets: each guards exactly one workload.
func (r *Rendered) checkBudgets(f *faultList) {
	for _, b := range r.Budgets {
		if found := r.selected(b.Spec.Selector); len(found) != 1 {
			f.add("PodDisruptionBudget %s: its selector finds %d workloads, not one", b.Name, len(found))
		}
	}
}

// checkNamespace: all in one namespace, which enforces the restricted standard.
func (r *Rendered) checkNamespace(f *faultList) {
	if len(r.Namespaces) != 1 {
		f.add("%d namespaces, not one", len(r.Namespaces))
		return
	}
	ns := r.Namespaces[0]
	for _, mode := range []string{"enforce", "warn", "audit"} {
		if ns.Labels["pod-security.kubernetes.io/"+mode] != "restricted" {
			f.add("Namespace %s does not %s restricted pods", ns.Name, mode)
		}
	}
	for _, o := range r.Objects {
		if !clusterWide(o.Kind()) && o.at("metadata", "namespace") != ns.Name {
			f.add("%s is in namespace %v, not in %s", o, o.at("metadata", "namespace"), ns.Name)
		}
	}
}

// clusterWide reports whether objects of a kind belong to no namespace.
func clusterWide(kind string) bool {
	switch kind {
	case "Namespace", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding":
		return true
	default:
		return false
	}
}

// drain is how long the service gives what is in hand after SIGTERM, and what
// comes after it; see terminationGracePeriodSeconds in the Deployment.
const (
	drain      = 20
	afterDrain = 12
)

// checkRollout: no pod goes before another has come, and none is killed while
// it still may finish.
func (r *Rendered) checkRollout(f *faultList) {
	for _, d := range r.Deployments {
		s := d.Spec.Strategy
		if s.RollingUpdate != nil && s.RollingUpdate.MaxUnavailable.String() != "0" {
			f.add("Deployment %s: a rolling update takes pods away before new ones are ready", d.Name)
		}
		grace := d.Spec.Template.Spec.TerminationGracePeriodSeconds
		if grace == nil || *grace < drain+afterDrain {
			f.add("Deployment %s: terminationGracePeriodSeconds is less than %d", d.Name, drain+afterDrain)
		}
	}
}

// checkUse: every ConfigMap is mounted somewhere, or Grafana's.
func (r *Rendered) checkUse(f *faultList) {
	used := map[string]bool{}
	for _, w := range r.Workloads {
		for _, v := range w.Pod.Spec.Volumes {
			for _, source := range configMaps(v) {
				used[source.name] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.ConfigMaps)) {
		if !used[name] && r.ConfigMaps[name].Labels["grafana_dashboard"] == "" {
			f.add("ConfigMap %s is mounted nowhere", name)
		}
	}
}
