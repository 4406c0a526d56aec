package newkind_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	root = "../.."
	page = "docs/adding-a-provider.md"
	// The throw-away kind is a copy of a real one under another name.
	model, made = "openpay", "throwaway"
)

// maxEdited is how many Go files outside its folder a new kind may cost.
const maxEdited = 3

func TestANewKindNeedsNoPlaceButThoseThatThePageNames(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds most of the module anew")
	}
	dir := copyOf(t)
	addFolder(t, dir)
	if out, err := try(t, dir, "-run=Tables", "./internal/simulators"); err == nil || !strings.Contains(out, made) {
		t.Fatalf("a kind that is in no table is not missed:\n%s", out)
	}
	edited := goFiles(t, section(t, dir, "The tables"))
	if len(edited) == 0 || len(edited) > maxEdited {
		t.Fatalf("%s names %q to edit, want 1 to %d files", page, edited, maxEdited)
	}
	for _, name := range edited {
		addLines(t, filepath.Join(dir, name), model)
	}
	for name, line := range map[string]string{"README.md": "| `" + model + "`", "docs/providers.md": "| `" + model + "`"} {
		addLines(t, filepath.Join(dir, name), line)
	}
	addSection(t, filepath.Join(dir, "docs", "providers.md"))
	run(t, dir, "./internal/config", "-run=Settings", "-args", "-update")
	run(t, dir, "-short", "./providers/"+made+"/...")
	run(t, dir, "./internal/config", "./internal/simulators", "./internal/demo", "./proof/arrows")
	run(t, dir, "-run=Kind|LostAnswerMatrix|RowsOfEvery", "./handlers", "./proof/simulation", "./proof/crash", "./proof/chaos")
}

// copyOf copies the module and its proofs.
func copyOf(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		switch {
		case entry.IsDir() && slices.Contains([]string{".git", "bench", "deploy"}, rel):
			return fs.SkipDir
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(dir, rel), 0o755)
		case !entry.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, rel), b, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// renamed is a text about the model, made one about the throw-away kind.
func renamed(text string) string {
	return strings.NewReplacer(model, made, strings.ToUpper(model[:1])+model[1:], strings.ToUpper(made[:1])+made[1:]).Replace(text)
}

// addFolder adds the kind's own folder.
func addFolder(t *testing.T, dir string) {
	t.Helper()
	from := filepath.Join(dir, "providers", model)
	err := filepath.WalkDir(from, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, "providers", made, renamed(rel))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, []byte(renamed(string(b))), 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// section is a part of the page.
func section(t *testing.T, dir, title string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, page))
	if err != nil {
		t.Fatal(err)
	}
	parts := regexp.MustCompile(`(?m)^## (\d+ )?`).Split(string(raw), -1)
	i := slices.IndexFunc(parts, func(p string) bool { return strings.HasPrefix(p, title+"\n") })
	if i < 0 {
		t.Fatalf("%s has no section %q", page, title)
	}
	return parts[i]
}

// goFiles lists the Go files that a text links to, from the root.
func goFiles(t *testing.T, text string) []string {
	t.Helper()
	var all []string
	for _, m := range regexp.MustCompile(`\]\(\.\./([^)]+\.go)\)`).FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// addLines adds the line that stands for the new kind behind each that stands
// for the model.
func addLines(t *testing.T, name, mark string) {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(raw)) {
		out.WriteString(line)
		if strings.Contains(line, mark) {
			out.WriteString(renamed(line))
		}
	}
	if err := os.WriteFile(name, []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// addSection says in the page about providers what the new kind is.
func addSection(t *testing.T, name string) {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw) + "\n## " + made + "\n\nA copy of " + model + ".\n"
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// run runs tests in the copy, which must pass.
func run(t *testing.T, dir string, args ...string) {
	t.Helper()
	if out, err := try(t, dir, args...); err != nil {
		t.Fatalf("go test %q: %v\n%s", args, err, out)
	}
}

// try runs tests in the copy. Without the folder's name in what is built, the next
// copy finds nearly all of it in the cache.
func try(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"test", "-trimpath", "-vet=off"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}
