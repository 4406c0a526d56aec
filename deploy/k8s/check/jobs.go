package check

import (
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

const (
	// jobsRole is the Role of people who run Jobs, and how the policies about them begin.
	jobsRole = "countermand-jobs"
	// providerSecrets is the Secret with which providers are called.
	providerSecrets = "countermand-providers"
)

// checkJobs: each CronJob that people make Jobs of has one credential and an account of
// its own, is not tried again where that would repeat a person's decision, keeps what it
// has said for a day, and reaches providers only where it calls them. The Role gives
// people no more than such Jobs, and the policies know every CronJob.
func (r *Rendered) checkJobs(f *faultList) {
	accounts := map[string]bool{}
	for _, j := range r.CronJobs {
		component := j.Spec.JobTemplate.Spec.Template.Labels["app.kubernetes.io/component"]
		pod := j.Spec.JobTemplate.Spec.Template.Spec
		if accounts[pod.ServiceAccountName] || pod.ServiceAccountName != j.Name {
			f.add("CronJob %s: its account %s is not its own", j.Name, pod.ServiceAccountName)
		}
		accounts[pod.ServiceAccountName] = true
		checkRetries(f, j, component)
		var mounted []string
		for _, v := range pod.Volumes {
			for _, s := range secrets(v) {
				mounted = append(mounted, s.name)
			}
		}
		want := []string{"countermand-nats-" + component}
		if component == "check" {
			want = []string{"countermand-nats"}
		}
		if component == "check" || component == "reader" || component == "recovery" {
			want = append(want, providerSecrets)
		}
		if !slices.Equal(mounted, want) {
			f.add("CronJob %s: mounts the Secrets %v, not %v", j.Name, mounted, want)
		}
		if out := r.reachesOutside(j); out != (component == "check" || component == "reader") {
			f.add("CronJob %s: reaches providers: %t; check and reader alone ask them", j.Name, out)
		}
		if commands := j.Annotations["countermand.dev/commands"]; component == "check" && commands != "check" {
			f.add("CronJob %s: runs %q with the service's credential", j.Name, commands)
		}
		r.checkPolicyOf(f, j)
	}
	if len(r.CronJobs) > 0 {
		r.checkJobsRole(f)
	}
}

// checkRetries: only provisioning is repeated, and a Job is kept until its time is over.
func checkRetries(f *faultList, j batchv1.CronJob, component string) {
	spec := j.Spec.JobTemplate.Spec
	if spec.BackoffLimit == nil || *spec.BackoffLimit > 0 && component != "provisioner" {
		f.add("CronJob %s: a command that failed would run again by itself", j.Name)
	}
	const day, plenty = 86400, 10000
	if spec.TTLSecondsAfterFinished == nil || *spec.TTLSecondsAfterFinished != day {
		f.add("CronJob %s: its Jobs are not kept for a day", j.Name)
	}
	for _, limit := range []*int32{j.Spec.SuccessfulJobsHistoryLimit, j.Spec.FailedJobsHistoryLimit} {
		if limit == nil || *limit < plenty {
			f.add("CronJob %s: its history limits take Jobs away before their day is over", j.Name)
		}
	}
	if j.Spec.Suspend == nil || !*j.Spec.Suspend {
		f.add("CronJob %s: runs by itself", j.Name)
	}
}

// reachesOutside reports whether a policy lets the pods of a CronJob out to addresses.
func (r *Rendered) reachesOutside(j batchv1.CronJob) bool {
	return slices.ContainsFunc(r.Policies, func(p networkingv1.NetworkPolicy) bool {
		return matches(&p.Spec.PodSelector, j.Spec.JobTemplate.Spec.Template.Labels) &&
			slices.ContainsFunc(p.Spec.Egress, func(e networkingv1.NetworkPolicyEgressRule) bool {
				return slices.ContainsFunc(e.To, func(to networkingv1.NetworkPolicyPeer) bool { return to.IPBlock != nil })
			})
	})
}

// checkPolicyOf: the policies name the CronJob's account and compare with it, and refuse
// where it is missing.
func (r *Rendered) checkPolicyOf(f *faultList, j batchv1.CronJob) {
	named := slices.ContainsFunc(r.Admission, func(p admissionv1.ValidatingAdmissionPolicy) bool {
		return p.Name == jobsRole && strings.Contains(p.Spec.Validations[0].Expression, "'"+j.Name+"'")
	})
	if !named {
		f.add("CronJob %s: the policy %s does not know its account", j.Name, jobsRole)
	}
	bound := slices.ContainsFunc(r.AdmissionBindings, func(b admissionv1.ValidatingAdmissionPolicyBinding) bool {
		p := b.Spec.ParamRef
		return b.Spec.PolicyName == jobsRole+"-template" && p != nil && p.Name == j.Name &&
			p.ParameterNotFoundAction != nil && *p.ParameterNotFoundAction == admissionv1.DenyAction && r.bindsHere(b)
	})
	if !bound {
		f.add("CronJob %s: no binding of %s-template holds Jobs against it", j.Name, jobsRole)
	}
}

// bindsHere reports whether a binding denies, and selects the namespace of the rendering.
func (r *Rendered) bindsHere(b admissionv1.ValidatingAdmissionPolicyBinding) bool {
	return slices.Equal(b.Spec.ValidationActions, []admissionv1.ValidationAction{admissionv1.Deny}) && len(r.Namespaces) == 1 &&
		b.Spec.MatchResources != nil && matches(b.Spec.MatchResources.NamespaceSelector, map[string]string{"kubernetes.io/metadata.name": r.Namespaces[0].Name})
}

// checkJobsRole: exactly what making Jobs and reading their output takes. Above all no
// pods/exec, and no right to create a pod or to change a CronJob.
func (r *Rendered) checkJobsRole(f *faultList) {
	want := []string{"[get] of [batch] [cronjobs]", "[create get list watch] of [batch] [jobs]", "[get list watch] of [] [pods]", "[get] of [] [pods/log]"}
	found := 0
	for _, role := range r.Roles {
		if role.Name != jobsRole {
			continue
		}
		found++
		var rules []string
		for _, rule := range role.Rules {
			rules = append(rules, fmt.Sprintf("%v of %v %v", rule.Verbs, rule.APIGroups, rule.Resources))
		}
		if !slices.Equal(rules, want) {
			f.add("Role %s: allows %q, not %q", role.Name, rules, want)
		}
	}
	if found != 1 {
		f.add("%d Roles %s, not one", found, jobsRole)
	}
	for _, b := range r.RoleBindings {
		for _, s := range b.Subjects {
			if b.RoleRef.Name == jobsRole && s.Kind != rbacv1.GroupKind && s.Kind != rbacv1.UserKind {
				f.add("RoleBinding %s: grants it to %s %s, which is no person", b.Name, s.Kind, s.Name)
			}
		}
	}
	bound := slices.ContainsFunc(r.AdmissionBindings, func(b admissionv1.ValidatingAdmissionPolicyBinding) bool {
		return b.Spec.PolicyName == jobsRole && r.bindsHere(b)
	})
	if !bound {
		f.add("no binding of the policy %s", jobsRole)
	}
}
