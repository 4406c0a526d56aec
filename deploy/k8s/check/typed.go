package check

import (
	"encoding/json"
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"
)

// Workload is whatever makes pods.
type Workload struct {
	Object Object
	// Selector is what it finds its pods by; nil for a CronJob.
	Selector *metav1.LabelSelector
	Pod      corev1.PodTemplateSpec
}

// String names the workload in faults.
func (w Workload) String() string { return w.Object.String() }

// Rendered is one rendering by kind, in the Go types of the newest Kubernetes.
// What has no type there stays in Objects.
type Rendered struct {
	Objects      []Object
	Deployments  []appsv1.Deployment
	StatefulSets []appsv1.StatefulSet
	CronJobs     []batchv1.CronJob
	Workloads    []Workload
	Services     []corev1.Service
	ConfigMaps   map[string]corev1.ConfigMap
	Accounts     map[string]corev1.ServiceAccount
	Namespaces   []corev1.Namespace
	Budgets      []policyv1.PodDisruptionBudget
	Policies     []networkingv1.NetworkPolicy
	Roles        []rbacv1.Role
	RoleBindings []rbacv1.RoleBinding

	Admission         []admissionv1.ValidatingAdmissionPolicy
	AdmissionBindings []admissionv1.ValidatingAdmissionPolicyBinding
}

// Typed decodes the built-in kinds strictly: unknown fields and repeated keys
// are faults.
func Typed(objects []Object) (*Rendered, error) {
	r := &Rendered{
		Objects: objects, ConfigMaps: map[string]corev1.ConfigMap{}, Accounts: map[string]corev1.ServiceAccount{},
	}
	for _, o := range objects {
		if err := r.add(o); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *Rendered) add(o Object) error {
	switch o.Kind() {
	case "Deployment":
		v, err := strict[appsv1.Deployment](o)
		r.Deployments = append(r.Deployments, v)
		r.Workloads = append(r.Workloads, Workload{o, v.Spec.Selector, v.Spec.Template})
		return err
	case "StatefulSet":
		v, err := strict[appsv1.StatefulSet](o)
		r.StatefulSets = append(r.StatefulSets, v)
		r.Workloads = append(r.Workloads, Workload{o, v.Spec.Selector, v.Spec.Template})
		return err
	case "CronJob":
		v, err := strict[batchv1.CronJob](o)
		r.CronJobs = append(r.CronJobs, v)
		r.Workloads = append(r.Workloads, Workload{o, nil, v.Spec.JobTemplate.Spec.Template})
		return err
	case "Service":
		v, err := strict[corev1.Service](o)
		r.Services = append(r.Services, v)
		return err
	case "ConfigMap":
		v, err := strict[corev1.ConfigMap](o)
		r.ConfigMaps[v.Name] = v
		return err
	case "ServiceAccount":
		v, err := strict[corev1.ServiceAccount](o)
		r.Accounts[v.Name] = v
		return err
	case "Namespace":
		v, err := strict[corev1.Namespace](o)
		r.Namespaces = append(r.Namespaces, v)
		return err
	case "PodDisruptionBudget":
		v, err := strict[policyv1.PodDisruptionBudget](o)
		r.Budgets = append(r.Budgets, v)
		return err
	case "NetworkPolicy":
		v, err := strict[networkingv1.NetworkPolicy](o)
		r.Policies = append(r.Policies, v)
		return err
	case "Role":
		v, err := strict[rbacv1.Role](o)
		r.Roles = append(r.Roles, v)
		return err
	case "RoleBinding":
		v, err := strict[rbacv1.RoleBinding](o)
		r.RoleBindings = append(r.RoleBindings, v)
		return err
	case "ValidatingAdmissionPolicy":
		v, err := strict[admissionv1.ValidatingAdmissionPolicy](o)
		r.Admission = append(r.Admission, v)
		return err
	case "ValidatingAdmissionPolicyBinding":
		v, err := strict[admissionv1.ValidatingAdmissionPolicyBinding](o)
		r.AdmissionBindings = append(r.AdmissionBindings, v)
		return err
	default:
		return nil
	}
}

// strict decodes o into the type of its kind, as an API server asked for strict
// field validation does.
func strict[T any](o Object) (v T, err error) {
	text, err := json.Marshal(o)
	if err != nil {
		return v, fmt.Errorf("encode %s: %w", o, err)
	}
	faults, err := kjson.UnmarshalStrict(text, &v)
	if err != nil {
		return v, fmt.Errorf("decode %s: %w", o, err)
	}
	if len(faults) > 0 {
		return v, fmt.Errorf("decode %s: %w", o, faults[0])
	}
	return v, nil
}

// custom returns the objects of a kind that has no Go type here.
func (r *Rendered) custom(kind string) []Object {
	var all []Object
	for _, o := range r.Objects {
		if o.Kind() == kind {
			all = append(all, o)
		}
	}
	return all
}

// as decodes an object leniently into v; its schema has been checked already.
func as[T any](o Object) (v T, err error) {
	text, err := json.Marshal(o)
	if err != nil {
		return v, fmt.Errorf("encode %s: %w", o, err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		return v, fmt.Errorf("decode %s: %w", o, err)
	}
	return v, nil
}
