package check

import (
	"fmt"

	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// SecurityFaults holds every pod against the standard "restricted" of the newest
// Kubernetes, with the library its admission uses, and against what it leaves
// open: a root file system that cannot be written.
func (r *Rendered) SecurityFaults() []string {
	f := &faultList{}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return []string{fmt.Sprintf("build the security policy: %v", err)}
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, w := range r.Workloads {
		for _, result := range evaluator.EvaluatePod(restricted, &w.Pod.ObjectMeta, &w.Pod.Spec) {
			if !result.Allowed {
				f.add("%s: %s: %s", w, result.ForbiddenReason, result.ForbiddenDetail)
			}
		}
		for _, c := range w.Pod.Spec.Containers {
			if s := c.SecurityContext; s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
				f.add("%s: the root file system of %s can be written", w, c.Name)
			}
		}
	}
	return f.lines
}
