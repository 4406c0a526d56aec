package payment_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// docRows returns the rows of the tables in a function's doc comment, each as
// its first two columns: "state | and". Where a comment has several tables,
// each row is led by its table's first header word pair, see rowKey.
func docRows(t *testing.T, file, function string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range parsed.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if ok && f.Recv == nil && f.Name.Name == function {
			return tableRows(f.Doc.Text())
		}
	}
	t.Fatalf("%s has no function %s", file, function)
	return nil
}

// tableRows reads tables by the positions of their header's columns, since a
// long cell leaves a single blank before the next one.
func tableRows(doc string) []string {
	var rows []string
	table, second, third := "", -1, -1
	for line := range strings.Lines(doc) {
		if !strings.HasPrefix(line, "\t") {
			third = -1
			continue
		}
		line = strings.TrimSpace(line)
		and := strings.Index(line, " and  ")
		then := max(strings.LastIndex(line, "  then"), strings.LastIndex(line, "  decision"))
		if third < 0 && and > 0 && then > and {
			table, second, third = strings.TrimSpace(line[:and]), and+1, then+2
			continue
		}
		if third < 0 {
			continue
		}
		rows = append(rows, rowKey(table, cell(line, 0, second), cell(line, second, third)))
	}
	return rows
}

func rowKey(table, state, and string) string {
	switch {
	case strings.Contains(table, "query"):
		state = "query: " + state
	case strings.Contains(table, "call"):
		state = "call: " + state
	}
	return strings.TrimSuffix(state+" | "+and, " | ")
}

func cell(line string, from, to int) string {
	from, to = min(from, len(line)), min(to, len(line))
	return strings.TrimSpace(line[from:to])
}

// everyRowHasACase fails for a row without a case, and for a case that names
// a row which is not in the table.
func everyRowHasACase(t *testing.T, rows, named []string) {
	t.Helper()
	if len(rows) < 10 {
		t.Fatalf("only %d rows found: the table was not read", len(rows))
	}
	for _, row := range rows {
		if !slices.Contains(named, row) {
			t.Errorf("no case walks the row %q", row)
		}
	}
	for _, row := range named {
		if !slices.Contains(rows, row) {
			t.Errorf("a case names the row %q, which the table does not have", row)
		}
	}
}
