package contract_test

import (
	"encoding/json"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/schemas"
)

// example is one file below examples/valid or examples/invalid: the bytes of
// an event's data (of a whole event for the type "envelope").
type example struct {
	name string // type/file, for messages
	typ  string
	raw  []byte
	want expectation // of invalid ones
}

// expectation is the sidecar of an invalid example, <name>.expect.json.
type expectation struct {
	// Faults are all of the decoder's faults, for commands; where the schema
	// finds fault, for results.
	Faults []payment.Fault `json:"faults"`
	// Lexical: the schema accepts the document, only the decoder can tell.
	Lexical bool `json:"lexical,omitempty"`
}

func (e example) command() bool { return strings.HasSuffix(e.typ, ".requested") }

// examples reads one tree of examples.
func examples(t *testing.T, tree string) []example {
	t.Helper()
	files, err := fs.Glob(schemas.FS(), "examples/"+tree+"/*/*.json")
	if err != nil {
		t.Fatal(err)
	}
	var out []example
	for _, f := range files {
		if strings.HasSuffix(f, ".expect.json") {
			continue
		}
		typ := path.Base(path.Dir(f))
		e := example{name: typ + "/" + strings.TrimSuffix(path.Base(f), ".json"), typ: typ, raw: embedded(t, f)}
		if tree == "invalid" {
			side := strings.TrimSuffix(f, ".json") + ".expect.json"
			if err := json.Unmarshal(embedded(t, side), &e.want); err != nil {
				t.Fatalf("%s: %v", side, err)
			}
			if len(e.want.Faults) == 0 {
				t.Fatalf("%s names no fault", side)
			}
		}
		out = append(out, e)
	}
	return out
}

func TestTheSchemasTakeTheValidExamples(t *testing.T) {
	t.Parallel()
	b := compile(t)
	for _, e := range examples(t, "valid") {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			s := b[e.typ]
			if s == nil {
				t.Fatalf("no schema %s", e.typ)
			}
			if p := judge(t, s, e.raw); !p.valid() {
				t.Errorf("refused at %v", p)
			}
		})
	}
}

func TestTheSchemasRefuseTheInvalidExamplesWhereTheySay(t *testing.T) {
	t.Parallel()
	b := compile(t)
	for _, e := range examples(t, "invalid") {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			got := judge(t, b[e.typ], e.raw)
			if e.want.Lexical {
				if !got.valid() {
					t.Errorf("marked as lexical, and refused at %v", got)
				}
				return
			}
			named := map[string]bool{}
			for _, f := range e.want.Faults {
				named[f.Pointer] = true
				if !got.name(f.Pointer) {
					t.Errorf("no fault at %q, only at %v", f.Pointer, got)
				}
			}
			for _, p := range got.certain {
				if !named[p] {
					t.Errorf("fault at %q is not expected", p)
				}
			}
		})
	}
}

func TestEveryTypeHasExamples(t *testing.T) {
	t.Parallel()
	count := map[string]map[string]int{"valid": {}, "invalid": {}}
	for tree, per := range count {
		for _, e := range examples(t, tree) {
			if e.command() {
				per["commands"]++
			}
			per[e.typ]++
		}
	}
	if v, i := count["valid"]["commands"], count["invalid"]["commands"]; v < 12 || i < 30 {
		t.Errorf("%d valid and %d invalid commands, want 12 and 30 at least", v, i)
	}
	for _, name := range schemaNames(t) {
		if name != "common" && count["valid"][name] == 0 {
			t.Errorf("no valid example of %s", name)
		}
	}
}

// The bad input list is read as it stands by others, so it must be whole.
func TestTheBadInputListIsWellFormed(t *testing.T) {
	t.Parallel()
	list, err := schemas.BadInputs()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, b := range list {
		if b.ID == "" || seen[b.ID] || b.Says == "" || b.Subject == "" {
			t.Errorf("%q: id missing or twice, or it says nothing", b.ID)
		}
		seen[b.ID] = true
		if msg := answerFault(b.Expect); msg != "" {
			t.Errorf("%s: %s", b.ID, msg)
		}
	}
}

func answerFault(a schemas.Answer) string {
	stream := a.Kind == schemas.AnswerStream
	code := a.Kind == schemas.AnswerRejected || a.Kind == schemas.AnswerCommandRejected
	switch {
	case !stream && !code:
		return "unknown kind " + a.Kind
	case stream != (a.StreamError != 0), stream != (a.By == "stream"):
		return "a stream's refusal needs its error code, and only that"
	case code && !knownCode(a.Code):
		return "code " + a.Code + " is not in the list"
	case code && a.By != "decoder" && a.By != "service":
		return "nobody refuses it"
	case a.By == "decoder" && a.Rule == "":
		return "the decoder names a rule"
	default:
		return ""
	}
}

func knownCode(code string) bool {
	for _, c := range payment.Codes() {
		if string(c) == code {
			return true
		}
	}
	return false
}

// Results must stay readable by those who know fewer fields and codes.
func TestResultsAreOpenAndCommandsAreClosed(t *testing.T) {
	t.Parallel()
	b := compile(t)
	for _, e := range examples(t, "valid") {
		if e.typ == "envelope" {
			continue
		}
		var data map[string]any
		if err := json.Unmarshal(e.raw, &data); err != nil {
			t.Fatal(err)
		}
		data["addedLater"] = map[string]any{"x": 1}
		raw, err := json.Marshal(data)
		if err != nil {
			t.Fatal(err)
		}
		want := places{}
		if e.command() || e.typ == statusRequest {
			want.certain = []string{"/addedLater"}
		}
		if diff := cmp.Diff(want, judge(t, b[e.typ], raw), cmp.AllowUnexported(places{})); diff != "" {
			t.Errorf("%s with a field added (-want +got):\n%s", e.name, diff)
		}
	}
}
