package arrows_test

import (
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "github.com/countermand/countermand"
	root   = "../.." // of the module, seen from this package's folder
)

// source is one Go file: what it belongs to and what it imports.
type source struct {
	name    string // from the module's root
	pkg     string // its folder from the module's root
	test    bool
	build   constraint.Expr // nil: always built
	imports []string
}

// sources reads every Go file of the service and of its proofs; other modules
// below the root are left out.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && skipped(name, entry):
			return fs.SkipDir
		case !entry.IsDir() && strings.HasSuffix(name, ".go"):
			all = append(all, readSource(t, name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("only %d Go files were found", len(all))
	}
	return all
}

func skipped(name string, dir fs.DirEntry) bool {
	if name == root || name == filepath.Join(root, "proof") {
		return false
	}
	_, err := os.Stat(filepath.Join(name, "go.mod"))
	return err == nil || strings.HasPrefix(dir.Name(), ".") || dir.Name() == "testdata"
}

func readSource(t *testing.T, name string) source {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(root, name)
	if err != nil {
		t.Fatal(err)
	}
	relative = filepath.ToSlash(relative)
	s := source{
		name: relative, pkg: path.Dir(relative),
		test: strings.HasSuffix(name, "_test.go"), build: buildLine(t, file),
	}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		s.imports = append(s.imports, imported)
	}
	return s
}

// buildLine returns the file's build constraint.
func buildLine(t *testing.T, file *ast.File) constraint.Expr {
	t.Helper()
	for _, group := range file.Comments {
		for _, comment := range group.List {
			if comment.Pos() > file.Package || !constraint.IsGoBuild(comment.Text) {
				continue
			}
			expr, err := constraint.Parse(comment.Text)
			if err != nil {
				t.Fatal(err)
			}
			return expr
		}
	}
	return nil
}

// reachable returns every package the code of one of ours imports, directly or
// not: ours from the module's root, others by their path (not followed further).
func reachable(t *testing.T, pkg string, tags ...string) []string {
	t.Helper()
	files := map[string][]source{}
	for _, f := range sources(t) {
		if !f.test && built(f, tags) {
			files[f.pkg] = append(files[f.pkg], f)
		}
	}
	if len(files[pkg]) == 0 {
		t.Fatalf("package %s has no Go file", pkg)
	}
	seen := []string{pkg}
	for i := 0; i < len(seen); i++ {
		for _, f := range files[seen[i]] {
			for _, imported := range f.imports {
				imported = strings.TrimPrefix(imported, module+"/")
				if !slices.Contains(seen, imported) {
					seen = append(seen, imported)
				}
			}
		}
	}
	return seen
}

// built reports whether a build with the tags, on Linux, has the file.
func built(f source, tags []string) bool {
	return f.build == nil || f.build.Eval(func(tag string) bool {
		return slices.Contains(tags, tag) || tag == "linux" || tag == "unix" || strings.HasPrefix(tag, "go1.")
	})
}
