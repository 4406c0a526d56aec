package check

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

//go:embed schemas/*.json schemas/*.yaml
var vendored embed.FS

const (
	builtins   = "schemas/kubernetes-1.30.json"
	objectMeta = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
)

// Schemas validates objects against the schemas in schemas/, strictly: a field
// that no schema has is a fault. It is safe for concurrent use.
type Schemas struct {
	kinds map[string]*jsonschema.Schema
}

// NewSchemas compiles the schemas.
func NewSchemas() (*Schemas, error) {
	doc, kinds, err := readBuiltins()
	if err != nil {
		return nil, err
	}
	definitions := doc["definitions"].(map[string]any)
	if err := addCustomKinds(definitions, kinds); err != nil {
		return nil, err
	}
	closeObjects(definitions)
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	if err := compiler.AddResource("mem:///all.json", doc); err != nil {
		return nil, fmt.Errorf("add schemas: %w", err)
	}
	s := &Schemas{kinds: map[string]*jsonschema.Schema{}}
	for kind, definition := range kinds {
		compiled, err := compiler.Compile("mem:///all.json#/definitions/" + definition)
		if err != nil {
			return nil, fmt.Errorf("compile schema of %s: %w", kind, err)
		}
		s.kinds[kind] = compiled
	}
	return s, nil
}

// Validate returns what is wrong with the object; nil where nothing is.
func (s *Schemas) Validate(o Object) error {
	key := o.APIVersion() + "/" + o.Kind()
	if path.Dir(o.APIVersion()) == "." { // a core kind: "v1"
		key = "/" + key
	}
	schema, ok := s.kinds[key]
	if !ok {
		return fmt.Errorf("%s: no schema for %s", o, key)
	}
	value, err := generic(o)
	if err != nil {
		return err
	}
	if err := schema.Validate(value); err != nil {
		return fmt.Errorf("%s: %w", o, err)
	}
	return nil
}

// generic turns an object into what the validator takes: numbers as json.Number.
func generic(o Object) (any, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", o, err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", o, err)
	}
	return value, nil
}

// readBuiltins returns the document of Kubernetes' own kinds and which
// definition each kind is.
func readBuiltins() (doc map[string]any, kinds map[string]string, err error) {
	text, err := vendored.ReadFile(builtins)
	if err != nil {
		return nil, nil, fmt.Errorf("read schemas: %w", err)
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, nil, fmt.Errorf("decode %s: %w", builtins, err)
	}
	kinds = map[string]string{}
	for kind, definition := range doc["kinds"].(map[string]any) {
		kinds[kind] = definition.(string)
	}
	return doc, kinds, nil
}

// definition is what is read of a CustomResourceDefinition.
type definition struct {
	Kind string `json:"kind"`
	Spec struct {
		Group string `json:"group"`
		Names struct {
			Kind string `json:"kind"`
		} `json:"names"`
		Versions []struct {
			Name   string `json:"name"`
			Schema struct {
				OpenAPIV3Schema map[string]any `json:"openAPIV3Schema"`
			} `json:"schema"`
		} `json:"versions"`
	} `json:"spec"`
}

// addCustomKinds adds the kinds of every vendored CustomResourceDefinition.
func addCustomKinds(definitions map[string]any, kinds map[string]string) error {
	files, err := fs.Glob(vendored, "schemas/*.yaml")
	if err != nil {
		return fmt.Errorf("list schemas: %w", err)
	}
	for _, file := range files {
		text, err := vendored.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read schemas: %w", err)
		}
		if err := addFile(file, text, definitions, kinds); err != nil {
			return err
		}
	}
	return nil
}

func addFile(file string, text []byte, definitions map[string]any, kinds map[string]string) error {
	for _, part := range bytes.Split(text, []byte("\n---\n")) {
		var crd definition
		if err := yaml.Unmarshal(part, &crd); err != nil {
			return fmt.Errorf("decode %s: %w", file, err)
		}
		if crd.Kind != "CustomResourceDefinition" || len(crd.Spec.Versions) == 0 {
			return errors.New(file + " holds something else than definitions")
		}
		for _, version := range crd.Spec.Versions {
			name := crd.Spec.Group + "." + version.Name + "." + crd.Spec.Names.Kind
			definitions[name] = customKind(version.Schema.OpenAPIV3Schema)
			kinds[crd.Spec.Group+"/"+version.Name+"/"+crd.Spec.Names.Kind] = name
		}
	}
	return nil
}

// customKind adds what every object has and definitions leave to the server.
func customKind(schema map[string]any) map[string]any {
	properties, _ := schema["properties"].(map[string]any)
	properties["apiVersion"] = map[string]any{"type": "string"}
	properties["kind"] = map[string]any{"type": "string"}
	properties["metadata"] = map[string]any{"$ref": "#/definitions/" + objectMeta}
	return schema
}

// closeObjects makes every object refuse fields it does not list, except where a
// schema says otherwise, and spells "integer or text" as JSON Schema does.
func closeObjects(node any) {
	switch n := node.(type) {
	case map[string]any:
		_, lists := n["properties"].(map[string]any)
		_, open := n["additionalProperties"]
		if lists && !open && n["x-kubernetes-preserve-unknown-fields"] != true && n["type"] == "object" {
			n["additionalProperties"] = false
		}
		if n["x-kubernetes-int-or-string"] == true {
			delete(n, "type")
			n["anyOf"] = []any{map[string]any{"type": "integer"}, map[string]any{"type": "string"}}
		}
		for _, child := range n {
			closeObjects(child)
		}
	case []any:
		for _, child := range n {
			closeObjects(child)
		}
	}
}
