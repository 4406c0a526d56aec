package check

import (
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// connection is one that must be possible: from the pods of a component to those
// of another.
type connection struct {
	from, to string
	port     string
}

// connections are those the service cannot do without, by the labels
// app.kubernetes.io/component or, for NATS, app.kubernetes.io/name.
func connections() []connection {
	return []connection{
		{"consumer", "nats", "client"},
		{"consumer", "nats", "monitor"},
		{"check", "nats", "client"},
		{"check", "nats", "monitor"},
		{"provisioner", "nats", "client"},
		{"provisioner", "nats", "monitor"},
		{"operator", "nats", "client"},
		{"operator", "nats", "monitor"},
		{"reader", "nats", "client"},
		{"reader", "nats", "monitor"},
		{"recovery", "nats", "client"},
		{"recovery", "nats", "monitor"},
		{"nats", "nats", "cluster"},
	}
}

// checkPolicies: everything is denied first, every policy finds its pods and
// names ports they have, and what must talk to each other may.
func (r *Rendered) checkPolicies(f *faultList) {
	denied := false
	for _, p := range r.Policies {
		spec := p.Spec
		if len(spec.PodSelector.MatchLabels) == 0 && len(spec.PodSelector.MatchExpressions) == 0 {
			denied = denied || len(spec.Ingress) == 0 && len(spec.Egress) == 0 && len(spec.PolicyTypes) == 2
			continue
		}
		found := r.selected(&spec.PodSelector)
		if len(found) != 1 && (len(found) == 0 || len(spec.PodSelector.MatchExpressions) == 0) { // one that lists several means them
			f.add("NetworkPolicy %s: its selector finds %d workloads, not one", p.Name, len(found))
			continue
		}
		for _, rule := range spec.Ingress {
			for _, port := range rule.Ports {
				if port.Port != nil && !hasPort(found[0].Pod.Spec, *port.Port) {
					f.add("NetworkPolicy %s: %s has no port %s", p.Name, found[0], port.Port.String())
				}
			}
		}
	}
	if !denied {
		f.add("no policy denies everything in both directions")
	}
	for _, c := range connections() {
		r.checkConnection(f, c)
	}
}

// workload returns the workload of a component; nil where it is not rendered.
func (r *Rendered) workload(component string) *Workload {
	for i, w := range r.Workloads {
		l := w.Pod.Labels
		if l["app.kubernetes.io/component"] == component || l["app.kubernetes.io/name"] == component {
			return &r.Workloads[i]
		}
	}
	return nil
}

func (r *Rendered) checkConnection(f *faultList, c connection) {
	from, to := r.workload(c.from), r.workload(c.to)
	if from == nil || to == nil {
		return
	}
	if c.from == "consumer" && len(from.SecretFiles()) == 0 {
		return // it has its own server in the pod
	}
	var number intstr.IntOrString
	for _, p := range ports(to.Pod.Spec) {
		if p.Name == c.port {
			number = intstr.FromInt32(p.ContainerPort)
		}
	}
	out := slices.ContainsFunc(r.Policies, func(p networkingv1.NetworkPolicy) bool {
		return matches(&p.Spec.PodSelector, from.Pod.Labels) && slices.ContainsFunc(p.Spec.Egress, func(e networkingv1.NetworkPolicyEgressRule) bool {
			return permits(e.To, e.Ports, to.Pod.Labels, c.port, number)
		})
	})
	in := slices.ContainsFunc(r.Policies, func(p networkingv1.NetworkPolicy) bool {
		return matches(&p.Spec.PodSelector, to.Pod.Labels) && slices.ContainsFunc(p.Spec.Ingress, func(i networkingv1.NetworkPolicyIngressRule) bool {
			return permits(i.From, i.Ports, from.Pod.Labels, c.port, number)
		})
	})
	if !out {
		f.add("no policy lets %s out to port %s of %s", from, c.port, to)
	}
	if !in {
		f.add("no policy lets %s in to port %s of %s", from, c.port, to)
	}
}

// permits reports whether a rule is about the peer, in the same namespace, and
// the port, named or numbered.
func permits(peers []networkingv1.NetworkPolicyPeer, on []networkingv1.NetworkPolicyPort, peer map[string]string, name string, number intstr.IntOrString) bool {
	about := slices.ContainsFunc(peers, func(p networkingv1.NetworkPolicyPeer) bool {
		return p.NamespaceSelector == nil && p.PodSelector != nil && matches(p.PodSelector, peer)
	})
	return about && slices.ContainsFunc(on, func(p networkingv1.NetworkPolicyPort) bool {
		return p.Port != nil && (p.Port.StrVal == name || p.Port.IntVal == number.IntVal && p.Port.StrVal == "")
	})
}

// namespaceOf cuts namespace and service from a name inside the cluster, such as
// "service.namespace.svc.cluster.local:8222".
func namespaceOf(host string) (service, namespace string) {
	host, _, _ = strings.Cut(host, ":")
	parts := strings.Split(host, ".")
	if len(parts) < 2 {
		return host, ""
	}
	return parts[0], parts[1]
}
