package arrows_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/countermand/countermand/payment"
)

// TestSubjectsAreBuiltInOnePlace keeps the wire's subjects in package events.
// Tests may spell them out: they pin the wire.
func TestSubjectsAreBuiltInOnePlace(t *testing.T) {
	t.Parallel()
	walk(t, func(f source, n ast.Node, at string) {
		literal, ok := n.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING || matchAny(spellSubjects(), f.pkg) {
			return
		}
		text, err := strconv.Unquote(literal.Value)
		if err == nil && subject().MatchString(text) {
			t.Errorf("%s: the subject %q is built by package events", at, text)
		}
	})
}

// spellSubjects lists the packages that may spell a subject out: the one that
// builds them, programs as any client could have them, and the list of
// deliberate bugs, which quotes code.
func spellSubjects() []string { return []string{"events", "schemas", "examples/**", "proof/mutants"} }

// subject matches a subject, a filter over subjects, and the beginning of either.
func subject() *regexp.Regexp { return regexp.MustCompile(`^payment\.[a-z_.*>%]*$`) }

// TestOperationsAreSwitchedOver keeps a third operation from being taken for one
// of the two: the linter names every switch over operations that lacks one, if
// the switch has no default. What an unknown operation gets stands behind it. A
// comparison with one operation is none of the linter's business: what it asks
// is a property, and package payment has the table of properties.
func TestOperationsAreSwitchedOver(t *testing.T) {
	t.Parallel()
	constants, _ := operations(t)
	ops, switches := names(constants), 0
	walk(t, func(f source, n ast.Node, at string) {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if (n.Op == token.EQL || n.Op == token.NEQ) && (ops.has(f.pkg, n.X) || ops.has(f.pkg, n.Y)) {
				t.Errorf("%s: do not compare with one operation: switch over all of them, or ask payment.Op for a property", at)
			}
		case *ast.SwitchStmt:
			over, hasDefault := ops.over(f.pkg, n)
			if over {
				switches++
			}
			if over && hasDefault {
				t.Errorf("%s: a switch over operations has no default: the linter could not name what is missing", at)
			}
		case *ast.CompositeLit:
			_, list := n.Type.(*ast.ArrayType)
			if list && f.pkg != "payment" && slices.ContainsFunc(n.Elts, func(e ast.Expr) bool { return ops.has(f.pkg, e) }) {
				t.Errorf("%s: the list of operations is payment.Ops()", at)
			}
		}
	})
	if switches < 8 {
		t.Errorf("only %d switches over operations were found: the check sees too little", switches)
	}
}

// over reports whether a switch has an operation for a case, and whether it has
// a default.
func (n names) over(pkg string, s *ast.SwitchStmt) (over, hasDefault bool) {
	for _, statement := range s.Body.List {
		clause := statement.(*ast.CaseClause)
		hasDefault = hasDefault || clause.List == nil
		over = over || slices.ContainsFunc(clause.List, func(e ast.Expr) bool { return n.has(pkg, e) })
	}
	return over, hasDefault
}

// TestEveryOperationIsListed holds the list that loops use against the constants.
func TestEveryOperationIsListed(t *testing.T) {
	t.Parallel()
	_, values := operations(t)
	if listed := payment.JoinOps(" "); listed != strings.Join(values, " ") {
		t.Errorf("the constants are %v, payment.Ops lists %s", values, listed)
	}
}

// operations reads the names and values of the constants of payment.Op.
func operations(t *testing.T) (names, values []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "payment", "op.go"), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		literal, ok := spec.Values[0].(*ast.BasicLit)
		if typ, named := spec.Type.(*ast.Ident); ok && named && typ.Name == "Op" {
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			names, values = append(names, spec.Names[0].Name), append(values, value)
		}
		return true
	})
	if len(names) < 2 {
		t.Fatalf("only %v were found in payment/op.go", names)
	}
	return names, values
}

// names are the constants of payment.Op.
type names []string

// has reports whether an expression in a file of the package is one of them.
func (n names) has(pkg string, e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		from, ok := e.X.(*ast.Ident)
		return ok && from.Name == "payment" && slices.Contains(n, e.Sel.Name)
	case *ast.Ident:
		return pkg == "payment" && slices.Contains(n, e.Name)
	default:
		return false
	}
}

// walk shows every node of the code that is no test.
func walk(t *testing.T, see func(f source, n ast.Node, at string)) {
	t.Helper()
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, filepath.Join(root, f.name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if n != nil {
				see(f, n, strings.TrimPrefix(files.Position(n.Pos()).String(), root+"/"))
			}
			return true
		})
	}
}
