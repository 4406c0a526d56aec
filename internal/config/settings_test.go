package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-playground/validator/v10"
	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/kinds"
)

// updateSettings writes the page anew: go test ./internal/config -run Settings -update.
var updateSettings = flag.Bool("update", false, "write docs/settings.md anew")

const settingsPage = "../../docs/settings.md"

const settingsHead = `# Settings

This page lists every setting with its type, default and rule. Keys that are absent take the default; "–" means no
default. The page is generated from the structs that hold the configuration, and a test compares the two
(` + "`go test ./internal/config -run Settings -update`" + ` writes it anew).

The file is YAML and strict. Countermand refuses unknown and repeated keys, values of another type, anchors and tags.
It reports all faults at once, each with file, line and key. Durations are Go's (` + "`10s`, `1h30m`" + `).

A secret is given as ` + "`{file: PATH}` or `{env: NAME}`" + `, never as its own value. Countermand reads the file again for each
use. It trims one line break at the end, of a file or a variable, and nothing else. It refuses a secret that begins or
ends with a character that cannot be seen, such as white space or a byte order mark, that has a line break or another
control character inside, or that is written in UTF-16. It names the character. A secret in quotes is a warning: they
are sent as part of it. The content of a .creds file may begin and end with anything.

Keys that end in ` + "`URL`" + ` must be https, or http to a loopback address, without user, query or fragment. ` + "`nats.url`" + ` has its
own rule.
`

func TestTheSettingsPageIsCurrent(t *testing.T) {
	t.Parallel()
	want := settingsText(t)
	if *updateSettings {
		if err := os.WriteFile(settingsPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(settingsPage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/settings.md is not what the structs say; run go test ./internal/config -run Settings -update (-want +got):\n%s", diff)
	}
}

func TestEveryKeyOfTheConfigurationIsOnTheSettingsPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(settingsPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"nats.tls.cert", "desk.secondPersonAbove[].currency", "console.operators[].name", "console.viewers[].token",
		"providers", "providers[].retry.giveUpAfter", "providers[].currencies",
		"providers[].duplicateCodes", "providers[].codes.waiting", "results.mode", "dataDir",
	} {
		if !strings.Contains(string(page), "\n| `"+key+"` |") {
			t.Errorf("docs/settings.md has no row for %s", key)
		}
	}
}

// settingsText renders the page.
func settingsText(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(settingsHead)
	table := func(title string, rows []settingRow) {
		fmt.Fprintf(&b, "\n## %s\n\n| Key | Type | Default | Rule | Meaning |\n|---|---|---|---|---|\n", title)
		for _, r := range rows {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", r.key, r.kind, r.standard, r.rule, r.meaning)
		}
	}
	table("Service", settingRows(t, reflect.ValueOf(Defaults()).Elem(), ""))
	common := settingRows(t, reflect.ValueOf(DefaultProvider()), "providers[]")
	table("Every provider", common)
	for _, k := range kinds.All() {
		own := settingRows(t, reflect.ValueOf(k.Defaults()), "providers[]")
		table("Kind `"+k.Name+"`", without(own, common))
	}
	return b.String()
}

// without leaves out the keys that are rows of the common table already, unless
// the kind asks more of them.
func without(own, common []settingRow) []settingRow {
	known := map[string]bool{}
	for _, r := range common {
		known[r.key] = true
	}
	var rest []settingRow
	for _, r := range own {
		if !known[r.key] || strings.HasSuffix(r.key, ".baseURL") && r.meaning != "" {
			rest = append(rest, r)
		}
	}
	return rest
}

type settingRow struct{ key, kind, standard, rule, meaning string }

// settingRows lists a struct's settings, nested ones with their whole key.
func settingRows(t *testing.T, v reflect.Value, prefix string) []settingRow {
	t.Helper()
	meanings := fieldComments(t, v.Type())
	var rows []settingRow
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		key := join(prefix, name)
		value := v.Field(i)
		if field.Type.Kind() == reflect.Struct && typeWord(value) == field.Type.String() {
			rows = append(rows, settingRows(t, value, key)...)
			continue
		}
		meaning := meanings[field.Name]
		if of := entryOf(value); meaning == "" && of != nil {
			meaning = fieldComments(t, of)[""]
		}
		if meaning == "" && prefix != "" && prefix != "providers[]" {
			meaning = meanings[""] // what is said of the mapping as a whole
		}
		rows = append(rows, settingRow{
			key: key, kind: typeWord(value), standard: defaultWord(value),
			rule: ruleWords(field, value), meaning: meaning,
		})
		// Providers have tables of their own, one for each kind.
		if of := entryOf(value); of != nil && of != reflect.TypeFor[Provider]() {
			rows = append(rows, settingRows(t, reflect.New(of).Elem(), key+"[]")...)
		}
	}
	return rows
}

// entryOf is the struct of which a setting is a list; nil: it is none.
func entryOf(v reflect.Value) reflect.Type {
	if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct {
		return v.Type().Elem()
	}
	return nil
}

func typeWord(v reflect.Value) string {
	switch v.Interface().(type) {
	case providers.Secret:
		return "secret"
	case Proxy:
		return "text or secret"
	case time.Duration:
		return "duration"
	}
	if entryOf(v) != nil {
		return "list"
	}
	switch v.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "whole number"
	case reflect.Float64:
		return "number"
	case reflect.Slice:
		return "list of text"
	default:
		return v.Type().String()
	}
}

func defaultWord(v reflect.Value) string {
	d, isDuration := v.Interface().(time.Duration)
	switch {
	case v.Kind() == reflect.Bool:
		return fmt.Sprintf("`%t`", v.Bool())
	case v.IsZero(), v.Kind() == reflect.Struct:
		return "–"
	case v.Kind() == reflect.Slice && entryOf(v) == nil:
		return "`" + strings.Join(v.Interface().([]string), "`, `") + "`"
	case isDuration && d%time.Hour == 0:
		return fmt.Sprintf("`%dh`", d/time.Hour)
	case isDuration && d%time.Minute == 0:
		return fmt.Sprintf("`%dm`", d/time.Minute)
	default:
		return fmt.Sprintf("`%v`", v.Interface())
	}
}

// ruleWords says a field's validate tag in the words of the faults.
func ruleWords(field reflect.StructField, standard reflect.Value) string {
	kind := field.Type.Kind()
	var words []string
	if field.Type == reflect.TypeFor[string]() && field.Name == "Kind" {
		words = append(words, "must be one of "+kinds.Names()) // the decoder's rule
	}
	each := ""
	for tag := range strings.SplitSeq(field.Tag.Get("validate"), ",") {
		name, param, _ := strings.Cut(tag, "=")
		if strings.Contains(tag, "|") { // one of several rules: the validator reports them as one
			name, param = tag, ""
		}
		switch name {
		case "", "-", "omitempty":
		case "required":
			if each == "" && !standard.IsZero() {
				words = append(words, "must not be empty") // absent is the default
				continue
			}
			words = append(words, each+"is required")
		case "dive":
			each, kind = "each ", reflect.String
		default:
			words = append(words, each+ruleInWords(tagged{tag: name, param: param, kind: kind}))
		}
	}
	return cell(strings.Join(words, "; "))
}

// ruleInWords is ruleText, with words for a rule that only one kind has.
func ruleInWords(r tagged) string {
	if r.tag == "excludesall" {
		return "must have none of " + r.param
	}
	return ruleText(r)
}

// tagged is a rule as the validator would report it broken.
type tagged struct {
	validator.FieldError

	tag, param string
	kind       reflect.Kind
}

func (r tagged) Tag() string        { return r.tag }
func (r tagged) Param() string      { return r.param }
func (r tagged) Kind() reflect.Kind { return r.kind }

// fieldComments returns what is written above, or else beside, each field of a
// struct in its source; a field without a comment has that of an earlier one
// which names it. Under "" is the comment of the struct.
func fieldComments(t *testing.T, typ reflect.Type) map[string]string {
	t.Helper()
	dir := filepath.FromSlash(path.Join("../..", strings.TrimPrefix(typ.PkgPath(), "github.com/countermand/countermand")))
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no source of %s in %s: %v", typ, dir, err)
	}
	out := map[string]string{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			decl, ok := n.(*ast.GenDecl)
			if !ok || len(decl.Specs) != 1 {
				return true
			}
			spec, ok := decl.Specs[0].(*ast.TypeSpec)
			if !ok || spec.Name.Name != typ.Name() {
				return true
			}
			out[""] = cell(strings.Join(strings.Fields(decl.Doc.Text()), " "))
			if body, ok := spec.Type.(*ast.StructType); ok {
				commentsOf(body, out)
			}
			return false
		})
	}
	return out
}

func commentsOf(body *ast.StructType, out map[string]string) {
	earlier := []string{}
	for _, field := range body.Fields.List {
		for _, id := range field.Names {
			text := comment(field)
			for _, before := range earlier {
				if text == "" && strings.Contains(" "+before+" ", " "+id.Name+" ") {
					text = before
				}
			}
			out[id.Name] = text
			earlier = append(earlier, text)
		}
	}
}

func comment(field *ast.Field) string {
	text := field.Doc.Text()
	if text == "" {
		text = field.Comment.Text()
	}
	return cell(strings.Join(strings.Fields(text), " "))
}

// cell makes a text fit for a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", "\\|", "<", "&lt;", ">", "&gt;", "*", "\\*").Replace(text)
}
