package contract_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/countermand/countermand/schemas"
)

// book is every schema of v1, compiled, by its name without ".json".
type book map[string]*jsonschema.Schema

// compile compiles the embedded schemas, formats asserted, the network out of reach.
func compile(t *testing.T) book {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	names := schemaNames(t)
	for _, n := range names {
		raw := embedded(t, "v1/"+n+".json")
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("parse schema %s: %v", n, err)
		}
		if err := c.AddResource(uri(n), doc); err != nil {
			t.Fatalf("add schema %s: %v", n, err)
		}
	}
	out := book{}
	for _, n := range names {
		s, err := c.Compile(uri(n))
		if err != nil {
			t.Fatalf("compile schema %s: %v", n, err)
		}
		out[n] = s
	}
	return out
}

func schemaNames(t *testing.T) []string {
	t.Helper()
	entries, err := fs.Glob(schemas.FS(), "v1/*.json")
	if err != nil || len(entries) == 0 {
		t.Fatalf("list schemas: %d found, %v", len(entries), err)
	}
	for i, e := range entries {
		entries[i] = strings.TrimSuffix(path.Base(e), ".json")
	}
	return entries
}

func embedded(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := fs.ReadFile(schemas.FS(), name)
	if err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	return raw
}

// places is where a schema finds fault with a document.
type places struct {
	// certain: a fault is there. alternative: one of these would mend it, as
	// amount or full would.
	certain, alternative []string
}

func (p places) valid() bool { return len(p.certain)+len(p.alternative) == 0 }

func (p places) name(pointer string) bool {
	return slices.Contains(p.certain, pointer) || slices.Contains(p.alternative, pointer)
}

// judge validates the first JSON document of raw. What stands behind it, names
// written twice and the spelling of numbers are no matter for a schema.
func judge(t *testing.T, s *jsonschema.Schema, raw []byte) places {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var doc any
	if err := d.Decode(&doc); err != nil {
		t.Fatalf("parse example: %v", err)
	}
	err := s.Validate(doc)
	if err == nil {
		return places{}
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		t.Fatalf("validate: %v", err)
	}
	var p places
	p.collect(invalid, false)
	slices.Sort(p.certain)
	slices.Sort(p.alternative)
	p.certain, p.alternative = slices.Compact(p.certain), slices.Compact(p.alternative)
	return p
}

func (p *places) collect(e *jsonschema.ValidationError, choice bool) {
	at := pointer(e.InstanceLocation)
	switch k := e.ErrorKind.(type) {
	case *kind.OneOf:
		choice = true
		if len(e.Causes) == 0 { // more than one matches: amount and full together
			p.add(true, at, at+"/amount", at+"/full")
		}
	case *kind.AnyOf:
		choice = true
		p.add(true, at)
	case *kind.Required:
		for _, m := range k.Missing {
			p.add(choice, at+pointer([]string{m}))
		}
	case *kind.DependentRequired:
		for _, m := range k.Missing {
			p.add(choice, at+pointer([]string{m}))
		}
	case *kind.AdditionalProperties:
		for _, m := range k.Properties {
			p.add(choice, at+pointer([]string{m}))
		}
	default:
		if len(e.Causes) == 0 {
			p.add(choice, at)
		}
	}
	for _, c := range e.Causes {
		p.collect(c, choice)
	}
}

func (p *places) add(choice bool, pointers ...string) {
	if choice {
		p.alternative = append(p.alternative, pointers...)
		return
	}
	p.certain = append(p.certain, pointers...)
}

// pointer renders a JSON pointer (RFC 6901).
func pointer(tokens []string) string {
	var b strings.Builder
	for _, tok := range tokens {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(tok))
	}
	return b.String()
}
