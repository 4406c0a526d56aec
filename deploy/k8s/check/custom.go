package check

import (
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/countermand/countermand/broker"
)

// serviceMonitor is what is looked at of a ServiceMonitor.
type serviceMonitor struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		Selector  metav1.LabelSelector `json:"selector"`
		Endpoints []struct {
			Port string `json:"port"`
			Path string `json:"path"`
		} `json:"endpoints"`
	} `json:"spec"`
}

// checkServiceMonitors: each finds one Service and scrapes a port it has.
func (r *Rendered) checkServiceMonitors(f *faultList) {
	for _, o := range r.custom("ServiceMonitor") {
		m, err := as[serviceMonitor](o)
		if err != nil {
			f.add("%v", err)
			continue
		}
		var found []corev1.Service
		for _, s := range r.Services {
			if matches(&m.Spec.Selector, s.Labels) {
				found = append(found, s)
			}
		}
		if len(found) != 1 {
			f.add("%s: its selector finds %d services, not one", o, len(found))
			continue
		}
		for _, e := range m.Spec.Endpoints {
			if !slices.ContainsFunc(found[0].Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == e.Port }) {
				f.add("%s: Service %s has no port %s", o, found[0].Name, e.Port)
			}
		}
	}
}

// scaledObject is what is looked at of a ScaledObject.
type scaledObject struct {
	Spec struct {
		Target struct {
			Kind string `json:"kind"`
			Name string `json:"name"`
		} `json:"scaleTargetRef"`
		Min      int `json:"minReplicaCount"`
		Max      int `json:"maxReplicaCount"`
		Triggers []struct {
			Type     string            `json:"type"`
			Metadata map[string]string `json:"metadata"`
		} `json:"triggers"`
	} `json:"spec"`
}

// Topology is what the service needs of a production cluster.
func Topology() broker.Topology {
	t := broker.DefaultTopology()
	t.Replicas = 3
	return t
}

// checkScaling: the target exists and leaves its number alone, each trigger looks
// at a consumer there is, and there are no more replicas than can be busy.
func (r *Rendered) checkScaling(f *faultList) {
	for _, o := range r.custom("ScaledObject") {
		s, err := as[scaledObject](o)
		if err != nil {
			f.add("%v", err)
			continue
		}
		r.checkTarget(f, o, s)
		t := Topology()
		pending := t.CommandsConsumerConfig().MaxAckPending
		if most := pending / t.Concurrency; s.Spec.Max > most || s.Spec.Min < 1 || s.Spec.Min > s.Spec.Max {
			f.add("%s: %d to %d replicas, of which at most %d can be busy", o, s.Spec.Min, s.Spec.Max, most)
		}
		seen := map[string]bool{}
		for _, trigger := range s.Spec.Triggers {
			m := trigger.Metadata
			seen[m["stream"]] = true
			if m["consumer"] != t.Consumer {
				f.add("%s: consumer %s is not %s", o, m["consumer"], t.Consumer)
			}
			if n, err := strconv.Atoi(m["lagThreshold"]); err != nil || n < 1 {
				f.add("%s: lagThreshold %q is no number", o, m["lagThreshold"])
			}
			r.checkEndpoint(f, o, m["natsServerMonitoringEndpoint"])
		}
		if !seen[t.Commands] || !seen[t.Due] || len(seen) != 2 {
			f.add("%s: triggers are on %v, not on %s and %s", o, seen, t.Commands, t.Due)
		}
	}
}

func (r *Rendered) checkTarget(f *faultList, o Object, s scaledObject) {
	for _, d := range r.Deployments {
		if s.Spec.Target.Kind == "Deployment" && s.Spec.Target.Name == d.Name {
			if d.Spec.Replicas != nil {
				f.add("%s: Deployment %s sets its replicas as well", o, d.Name)
			}
			return
		}
	}
	f.add("%s: there is no %s %s", o, s.Spec.Target.Kind, s.Spec.Target.Name)
}

func (r *Rendered) checkEndpoint(f *faultList, o Object, endpoint string) {
	service, namespace := namespaceOf(endpoint)
	for _, s := range r.Services {
		if s.Name == service && s.Namespace == namespace {
			return
		}
	}
	f.add("%s: there is no Service at %s", o, endpoint)
}
