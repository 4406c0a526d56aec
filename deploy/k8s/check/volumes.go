package check

import (
	"path"

	corev1 "k8s.io/api/core/v1"
)

// source is a ConfigMap or Secret in a volume, with the keys taken from it; no
// items means all of them.
type source struct {
	name  string
	items []corev1.KeyToPath
}

// configMaps returns the ConfigMaps of a volume.
func configMaps(v corev1.Volume) []source {
	var all []source
	if c := v.ConfigMap; c != nil {
		all = append(all, source{c.Name, c.Items})
	}
	if v.Projected != nil {
		for _, p := range v.Projected.Sources {
			if c := p.ConfigMap; c != nil {
				all = append(all, source{c.Name, c.Items})
			}
		}
	}
	return all
}

// secrets returns the Secrets of a volume.
func secrets(v corev1.Volume) []source {
	var all []source
	if s := v.Secret; s != nil {
		all = append(all, source{s.SecretName, s.Items})
	}
	if v.Projected != nil {
		for _, p := range v.Projected.Sources {
			if s := p.Secret; s != nil {
				all = append(all, source{s.Name, s.Items})
			}
		}
	}
	return all
}

// platformSecrets are those the platform makes; docs/deploying.md lists them.
func platformSecrets() []string {
	return []string{"countermand-nats", "countermand-nats-provisioner", "countermand-nats-tls", "countermand-providers"}
}

// checkVolumes: what is mounted exists, what exists is mounted, keys are there.
func (r *Rendered) checkVolumes(f *faultList, w Workload) {
	claims := map[string]bool{}
	for _, s := range r.StatefulSets {
		for _, c := range s.Spec.VolumeClaimTemplates {
			claims[c.Name] = s.Name == w.Object.Name()
		}
	}
	mounted := map[string]bool{}
	for _, c := range w.Pod.Spec.Containers {
		for _, m := range c.VolumeMounts {
			mounted[m.Name] = true
			if m.SubPath != "" {
				f.add("%s: %s is mounted as a subPath and would not follow a change", w, m.MountPath)
			}
		}
	}
	for _, v := range w.Pod.Spec.Volumes {
		if !mounted[v.Name] {
			f.add("%s: volume %s is not mounted", w, v.Name)
		}
		delete(mounted, v.Name)
		r.checkSources(f, w, v)
	}
	for name := range mounted {
		if !claims[name] {
			f.add("%s: there is no volume %s", w, name)
		}
	}
}

func (r *Rendered) checkSources(f *faultList, w Workload, v corev1.Volume) {
	for _, c := range configMaps(v) {
		m, ok := r.ConfigMaps[c.name]
		if c.name == "kube-root-ca.crt" { // Kubernetes makes it in every namespace
			continue
		}
		if !ok {
			f.add("%s: there is no ConfigMap %s", w, c.name)
			continue
		}
		for _, item := range c.items {
			if _, ok := m.Data[item.Key]; !ok {
				f.add("%s: ConfigMap %s has no key %s", w, c.name, item.Key)
			}
		}
	}
	for _, s := range secrets(v) {
		known := false
		for _, name := range platformSecrets() {
			known = known || name == s.name
		}
		if !known {
			f.add("%s: Secret %s is neither here nor one the platform makes", w, s.name)
		}
	}
}

// SecretFiles returns the paths at which a container of the workload finds the
// keys of Secrets. Volumes that take all keys are left out.
func (w Workload) SecretFiles() []string {
	var all []string
	for _, c := range w.Pod.Spec.Containers {
		for _, m := range c.VolumeMounts {
			for _, v := range w.Pod.Spec.Volumes {
				if v.Name != m.Name {
					continue
				}
				for _, s := range secrets(v) {
					for _, item := range s.items {
						all = append(all, path.Join(m.MountPath, item.Path))
					}
				}
			}
		}
	}
	return all
}
