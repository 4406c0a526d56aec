package check

import (
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// Object is one rendered object, as decoded from its YAML.
type Object map[string]any

// Kind returns the object's kind.
func (o Object) Kind() string { return o.text("kind") }

// APIVersion returns group and version, or the version alone of a core kind.
func (o Object) APIVersion() string { return o.text("apiVersion") }

// Name returns the object's name.
func (o Object) Name() string { s, _ := o.at("metadata", "name").(string); return s }

// String names the object in faults.
func (o Object) String() string { return o.Kind() + " " + o.Name() }

func (o Object) text(key string) string { s, _ := o[key].(string); return s }

// at walks down maps; nil where there is nothing.
func (o Object) at(path ...string) any {
	var node any = map[string]any(o)
	for _, key := range path {
		m, ok := node.(map[string]any)
		if !ok {
			return nil
		}
		node = m[key]
	}
	return node
}

// Render builds the kustomization in dir.
func Render(dir string) ([]Object, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", dir, err)
	}
	var all []Object
	for _, r := range resources.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			return nil, fmt.Errorf("render %s: %w", dir, err)
		}
		var o Object
		if err := yaml.Unmarshal(text, &o); err != nil {
			return nil, fmt.Errorf("decode rendered object: %w", err)
		}
		all = append(all, o)
	}
	return all, nil
}

// Combine renders the base with the named components, and the public keys the
// component nats expects of an overlay. scratch is an empty folder.
func Combine(root, scratch string, components ...string) ([]Object, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("find manifests: %w", err)
	}
	relative, err := filepath.Rel(scratch, root)
	if err != nil {
		return nil, fmt.Errorf("find manifests: %w", err)
	}
	keys, err := os.ReadFile(filepath.Join(root, "overlays", "production", "nkeys.conf"))
	if err != nil {
		return nil, fmt.Errorf("read public keys: %w", err)
	}
	kustomization := map[string]any{"namespace": "countermand", "resources": []string{filepath.Join(relative, "base")}}
	var paths []string
	for _, c := range components {
		paths = append(paths, filepath.Join(relative, "components", c))
		if c == "nats" {
			kustomization["configMapGenerator"] = []any{
				map[string]any{"name": "countermand-nats-users", "files": []string{"nkeys.conf"}},
			}
		}
	}
	kustomization["components"] = paths
	text, err := yaml.Marshal(kustomization)
	if err != nil {
		return nil, fmt.Errorf("encode kustomization: %w", err)
	}
	for name, content := range map[string][]byte{"kustomization.yaml": text, "nkeys.conf": keys} {
		if err := os.WriteFile(filepath.Join(scratch, name), content, 0o600); err != nil {
			return nil, fmt.Errorf("write kustomization: %w", err)
		}
	}
	return Render(scratch)
}
