package check

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// witnessLease is the Lease that remembers how far the journal had come.
const witnessLease = "countermand-journal"

// checkWitness: roles allow to read and update that one Lease and nothing else,
// only the service's pods have a token, the Lease itself is in no rendering, and a
// policy keeps everybody else from it.
func (r *Rendered) checkWitness(f *faultList) {
	granted := false
	for _, role := range r.Roles {
		if role.Name == jobsRole {
			continue // for people: checkJobs
		}
		granted = true
		for _, rule := range role.Rules {
			if !slices.Equal(rule.Verbs, []string{"get", "update"}) || !slices.Equal(rule.Resources, []string{"leases"}) ||
				!slices.Equal(rule.ResourceNames, []string{witnessLease}) {
				f.add("Role %s: allows %v of %v %v, not get and update of the Lease %s alone", role.Name, rule.Verbs, rule.Resources, rule.ResourceNames, witnessLease)
			}
		}
	}
	for _, b := range r.RoleBindings {
		if b.RoleRef.Name == jobsRole {
			continue
		}
		for _, s := range b.Subjects {
			if s.Kind != rbacv1.ServiceAccountKind || s.Name != "countermand" || s.Namespace != b.Namespace {
				f.add("RoleBinding %s: grants it to %s %s/%s", b.Name, s.Kind, s.Namespace, s.Name)
			}
		}
	}
	for _, w := range r.Workloads {
		if has := hasToken(w.Pod.Spec); has != (granted && w.Pod.Labels["app.kubernetes.io/component"] == "consumer") {
			f.add("%s: has a token: %t; only the service's pods have one, and only for the Lease", w, has)
		}
	}
	policies := 0
	for _, o := range r.Objects {
		switch o.Kind() {
		case "Lease":
			f.add("%s: is made outside of what is applied and pruned", o)
		case "ValidatingAdmissionPolicy":
			if strings.HasPrefix(o.Name(), jobsRole) {
				continue
			}
			policies++
			if conditions, _ := o.at("spec", "matchConditions").([]any); len(conditions) != 1 || !strings.Contains(text(conditions[0]), "oldObject.metadata.name == '"+witnessLease+"'") {
				f.add("%s: does not go by the name of the Lease %s", o, witnessLease)
			}
		}
	}
	if granted && policies != 1 {
		f.add("%d admission policies guard the Lease, not one", policies)
	}
}

// hasToken reports whether a pod has a token of its account.
func hasToken(pod corev1.PodSpec) bool {
	for _, v := range pod.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			if s.ServiceAccountToken != nil {
				return true
			}
		}
	}
	return false
}

// text is the expression of a match condition.
func text(condition any) string {
	c, _ := condition.(map[string]any)
	s, _ := c["expression"].(string)
	return s
}
