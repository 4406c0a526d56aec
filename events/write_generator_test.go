package events

import (
	"flag"
	"fmt"
	"go/format"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// generate rewrites the generated file: go generate ./events. Delete the line of a
// member that is gone by hand first, or the package does not compile.
var generate = flag.Bool("generate", false, "rewrite write_generated.go")

const generatedFile = "write_generated.go"

// TestTheWriterIsWhatTheTypesSay fails when a member was added, renamed or moved
// and write_generated.go was not generated anew.
func TestTheWriterIsWhatTheTypesSay(t *testing.T) {
	t.Parallel()
	g := generator{written: map[reflect.Type]bool{}}
	g.b.WriteString("// Code generated from the types' JSON tags by write_generator_test.go. DO NOT EDIT.\n\n" +
		"package events\n\nimport \"github.com/countermand/countermand/payment\"\n")
	g.write(reflect.TypeFor[structured[resultData]]())
	want, err := format.Source([]byte(g.b.String()))
	if err != nil {
		t.Fatalf("format: %v\n%s", err, g.b.String())
	}
	if *generate {
		if err := os.WriteFile(generatedFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(generatedFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("run go generate ./events (-want +got):\n%s", diff)
	}
}

// generator writes one method a struct type, which writes the type's members.
type generator struct {
	b       strings.Builder
	written map[reflect.Type]bool
}

// write writes the method of a struct type, and then those of the types in it.
func (g *generator) write(t reflect.Type) {
	if g.written[t] {
		return
	}
	g.written[t] = true
	fields := fieldsOf(t, "v", 0)
	fmt.Fprintf(&g.b, "\nfunc (w *writer) %s(name string, v *%s) {\nw.open(name, '{')\n", methodOf(t), nameOf(t))
	for _, f := range fields {
		fmt.Fprintln(&g.b, f.statement())
	}
	g.b.WriteString("w.close('}')\n}\n")
	for _, f := range fields {
		if inner := f.object(); inner != nil {
			g.write(inner)
		}
	}
}

// field is one member of an object.
type field struct {
	name string // in JSON
	path string // in Go, with those of embedded structs
	typ  reflect.Type
	// maybe: the member is left out when it is empty.
	maybe bool
	depth int
}

// fieldsOf lists the members of a struct in their order, those of embedded
// structs in the place of the struct. Of two with one name the outer one counts.
func fieldsOf(t reflect.Type, path string, depth int) []field {
	var all []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch at := path + "." + f.Name; {
		case f.Anonymous && name == "":
			all = append(all, fieldsOf(f.Type, at, depth+1)...)
		case name != "-":
			all = append(all, field{name, at, f.Type, options != "", depth})
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(f field) bool {
		return slices.ContainsFunc(all, func(o field) bool { return o.name == f.name && o.depth < f.depth })
	})
}

// object returns the type of a member that is an object or a list of objects.
func (f field) object() reflect.Type {
	t := f.typ
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() || t == reflect.TypeFor[Stamp]() {
		return nil
	}
	return t
}

// statement writes a member.
func (f field) statement() string {
	if f.object() != nil {
		return f.objectStatement(methodOf(f.object()))
	}
	method, value := f.method()
	if f.maybe {
		method = "maybe" + strings.ToUpper(method[:1]) + method[1:]
	}
	return fmt.Sprintf("w.%s(%q, %s)", method, f.name, value)
}

func (f field) objectStatement(method string) string {
	switch kind := f.typ.Kind(); {
	case kind == reflect.Struct && !f.maybe:
		return fmt.Sprintf("w.%s(%q, &%s)", method, f.name, f.path)
	case kind == reflect.Pointer && f.maybe:
		return fmt.Sprintf("if %[1]s != nil {\nw.%[2]s(%[3]q, %[1]s)\n}", f.path, method, f.name)
	case kind == reflect.Pointer && f.name == "data": // of an event, which has it always
		return fmt.Sprintf("w.%s(%q, %s)", method, f.name, f.path)
	case kind == reflect.Slice && f.maybe:
		return fmt.Sprintf("if len(%[1]s) > 0 {\nw.open(%[3]q, '[')\nfor i := range %[1]s {\nw.%[2]s(\"\", &%[1]s[i])\n}\nw.close(']')\n}", f.path, method, f.name)
	default:
		panic("no way to write " + f.path + ", a " + f.typ.String() + ": give the generator one")
	}
}

// method returns the method of the writer for a member that is no object, and
// what it is given.
func (f field) method() (method, value string) {
	kind := f.typ.Kind()
	switch {
	case f.typ == reflect.TypeFor[time.Time]():
		return "time", f.path
	case f.typ == reflect.TypeFor[Stamp]():
		return "stamp", f.path
	case f.typ == reflect.TypeFor[[]string]():
		return "texts", f.path
	case f.typ == reflect.TypeFor[[]int]():
		return "numbers", f.path
	case f.typ == reflect.TypeFor[string]():
		return "text", f.path
	case kind == reflect.String:
		return "text", "string(" + f.path + ")"
	case f.typ == reflect.TypeFor[int64]():
		return "number", f.path
	case kind == reflect.Int:
		return "number", "int64(" + f.path + ")"
	case kind == reflect.Uint64:
		return "count", f.path
	case kind == reflect.Bool:
		return "true", f.path
	default:
		panic("no way to write " + f.path + ", a " + f.typ.String() + ": give the writer and its generator one")
	}
}

// nameOf is a type's name in the generated code.
func nameOf(t reflect.Type) string {
	if t == reflect.TypeFor[structured[resultData]]() {
		return "structured[resultData]"
	}
	return strings.TrimPrefix(t.String(), "events.")
}

// methodOf is the name of the method that writes a type's members.
func methodOf(t reflect.Type) string {
	pkg, name, found := strings.Cut(nameOf(t), ".")
	switch {
	case t == reflect.TypeFor[structured[resultData]]():
		return "structuredEvent"
	case found:
		return pkg + name
	default:
		return strings.ToLower(pkg[:1]) + pkg[1:]
	}
}
