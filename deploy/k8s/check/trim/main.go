// Command trim writes the part of Kubernetes' published OpenAPI documents that
// the manifests need: the kinds listed below with everything they refer to,
// without descriptions. Its argument is the folder of one Kubernetes version,
// such as pkg/openapiclient/builtins/1.30 of sigs.k8s.io/kubectl-validate:
//
//	go run ./trim DIR > schemas/kubernetes-1.30.json
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// kinds names, for each document, the kinds that are taken from it.
func kinds() map[string][]string {
	return map[string][]string{
		"api/v1.json":                    {"Namespace", "ServiceAccount", "ConfigMap", "Secret", "Service"},
		"apis/apps/v1.json":              {"Deployment", "StatefulSet"},
		"apis/batch/v1.json":             {"CronJob"},
		"apis/policy/v1.json":            {"PodDisruptionBudget"},
		"apis/networking.k8s.io/v1.json": {"NetworkPolicy"},

		"apis/rbac.authorization.k8s.io/v1.json":    {"Role", "RoleBinding"},
		"apis/coordination.k8s.io/v1.json":          {"Lease"},
		"apis/admissionregistration.k8s.io/v1.json": {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"},
	}
}

// output is the file's form: kinds are "group/version/Kind", the group of core
// kinds is empty.
type output struct {
	Kinds       map[string]string         `json:"kinds"`
	Definitions map[string]map[string]any `json:"definitions"`
}

const refPrefix = "#/components/schemas/"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: trim DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "trim:", err)
		os.Exit(1)
	}
}

func run(dir string, w io.Writer) error {
	out := output{Kinds: map[string]string{}, Definitions: map[string]map[string]any{}}
	for file, wanted := range kinds() {
		all, err := read(filepath.Join(dir, file))
		if err != nil {
			return err
		}
		for _, kind := range wanted {
			if err := out.add(all, kind); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", " ")
	return encoder.Encode(out)
}

func read(path string) (map[string]map[string]any, error) {
	data, err := os.ReadFile(path) //nolint:gosec // whoever runs it names the folder
	if err != nil {
		return nil, fmt.Errorf("read openapi document: %w", err)
	}
	var doc struct {
		Components struct {
			Schemas map[string]map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("decode %s: %w", path, err)
	}
	return doc.Components.Schemas, nil
}

// add takes a kind, by its x-kubernetes-group-version-kind, and all it refers to.
func (o *output) add(all map[string]map[string]any, kind string) error {
	for name, schema := range all {
		gvks, _ := schema["x-kubernetes-group-version-kind"].([]any)
		if len(gvks) != 1 {
			continue
		}
		gvk, _ := gvks[0].(map[string]any)
		if gvk["kind"] == kind {
			o.Kinds[fmt.Sprintf("%v/%v/%s", gvk["group"], gvk["version"], kind)] = name
			o.take(all, name)
			return nil
		}
	}
	return fmt.Errorf("no kind %s", kind)
}

func (o *output) take(all map[string]map[string]any, name string) {
	if _, done := o.Definitions[name]; done {
		return
	}
	o.Definitions[name] = all[name]
	o.visit(all, all[name])
}

// visit drops what says nothing about validity and follows references.
func (o *output) visit(all map[string]map[string]any, node any) {
	switch n := node.(type) {
	case map[string]any:
		if text, ok := n["description"].(string); ok && text != "" {
			delete(n, "description")
		}
		for key := range n {
			// Of no kind above a property is called like this.
			if strings.HasPrefix(key, "x-kubernetes-") || key == "default" {
				delete(n, key)
			}
		}
		if ref, ok := n["$ref"].(string); ok {
			name := strings.TrimPrefix(ref, refPrefix)
			n["$ref"] = "#/definitions/" + name
			o.take(all, name)
		}
		for _, child := range n {
			o.visit(all, child)
		}
	case []any:
		for _, child := range n {
			o.visit(all, child)
		}
	}
}
