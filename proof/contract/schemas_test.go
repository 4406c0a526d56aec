package contract_test

import (
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/schemas"
)

func TestEverySchemaCompilesUnderItsOwnName(t *testing.T) {
	t.Parallel()
	for name := range compile(t) {
		var head struct {
			Schema string `json:"$schema"`
			ID     string `json:"$id"`
		}
		if err := json.Unmarshal(embedded(t, "v1/"+name+".json"), &head); err != nil {
			t.Fatal(err)
		}
		if head.Schema != dialect || head.ID != schemas.BaseURI+name+".json" {
			t.Errorf("%s: dialect %q, id %q", name, head.Schema, head.ID)
		}
	}
}

// commonDef reads one definition of the embedded common.json.
func commonDef(t *testing.T, name string) map[string]any {
	t.Helper()
	var doc struct {
		Defs map[string]map[string]any `json:"$defs"`
	}
	if err := json.Unmarshal(embedded(t, "v1/common.json"), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Defs[name]
}

func texts(t *testing.T, list any) []string {
	t.Helper()
	items, ok := list.([]any)
	if !ok {
		t.Fatalf("not a list: %T", list)
	}
	out := make([]string, len(items))
	for i, v := range items {
		out[i] = v.(string)
	}
	return out
}

func TestEveryCodeIsListedInTheSchemaAndTheListStaysOpen(t *testing.T) {
	t.Parallel()
	var want []string
	for _, c := range payment.Codes() {
		want = append(want, string(c))
	}
	def := commonDef(t, "code")
	if diff := cmp.Diff(want, texts(t, def["examples"])); diff != "" {
		t.Errorf("codes (-payment +schema):\n%s", diff)
	}
	if _, closed := def["enum"]; closed {
		t.Error("the code list is closed; readers must take codes they do not know")
	}
}

func TestTheSchemaTakesExactlyTheCurrenciesWithMinorUnits(t *testing.T) {
	t.Parallel()
	listed := texts(t, commonDef(t, "currency")["enum"])
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			for c := 'A'; c <= 'Z'; c++ {
				code := string([]rune{a, b, c})
				_, known := payment.Currency(code).Exponent()
				if known != slices.Contains(listed, code) {
					t.Errorf("%s: known %v, listed %v", code, known, !known)
				}
			}
		}
	}
}

func TestTheAsyncAPIDocumentNamesEveryTypeAndRefersToNothingMissing(t *testing.T) {
	t.Parallel()
	var doc map[string]any
	if err := json.Unmarshal(embedded(t, "asyncapi.json"), &doc); err != nil {
		t.Fatal(err)
	}
	refs := map[string]bool{}
	collectRefs(doc, refs)
	for ref := range refs {
		if inside, ok := strings.CutPrefix(ref, "#/"); ok {
			if !resolves(doc, strings.Split(inside, "/")) {
				t.Errorf("%s leads nowhere", ref)
			}
			continue
		}
		if _, err := fs.Stat(schemas.FS(), ref); err != nil {
			t.Errorf("%s: %v", ref, err)
		}
	}
	for _, name := range schemaNames(t) {
		if name != "common" && !refs["v1/"+name+".json"] {
			t.Errorf("no message has the schema %s", name)
		}
	}
}

func collectRefs(v any, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			into[ref] = true
		}
		for _, child := range v {
			collectRefs(child, into)
		}
	case []any:
		for _, child := range v {
			collectRefs(child, into)
		}
	}
}

func resolves(v any, path []string) bool {
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return false
		}
		if v, ok = m[name]; !ok {
			return false
		}
	}
	return true
}
