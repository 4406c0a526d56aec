package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/nats-io/nkeys"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/internal/config"
)

// allPages are all texts for people.
func allPages(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	top, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	return append(all, top...)
}

var (
	fenced = regexp.MustCompile("(?ms)^ *```(\\w*)\n(.*?)\n *```$")
	span   = regexp.MustCompile("`([^`]+)`")
	// invoked is the program under each name that the pages have for it; "op" is the
	// runbook's function, which makes a Job.
	invoked = regexp.MustCompile(`^(?:[A-Z]+=\S+ +)?(?:op|consumer|\./consumer|go run \./cmd/consumer) +(.+)$`)
	// ends a command within a line of a shell.
	separator = regexp.MustCompile(` (?:\||&&|;|>|2>|<|#)(?: |$)|;`)
)

// invocations are the arguments of the program wherever a page writes it as code.
func invocations(text string) []string {
	var code []string
	for _, m := range fenced.FindAllStringSubmatch(text, -1) {
		if m[1] == "sh" {
			code = append(code, strings.Split(strings.ReplaceAll(m[2], "\\\n", " "), "\n")...)
		}
	}
	for _, m := range span.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		code = append(code, strings.Join(strings.Fields(m[1]), " "))
	}
	var all []string
	for _, line := range code {
		for _, one := range separator.Split(strings.TrimSpace(line), -1) {
			if m := invoked.FindStringSubmatch(strings.TrimSpace(one)); m != nil {
				all = append(all, m[1])
			}
		}
	}
	return all
}

// quoted takes what stands in quotes for one word.
var quoted = regexp.MustCompile(`"[^"]*"|'[^']*'`)

// unknown says what of an invocation the program does not know; "" if it knows all. What
// a page leaves out is no fault: it may name a command without its flags.
func unknown(app *kong.Node, invocation string) string {
	at := app
	words := strings.Fields(quoted.ReplaceAllString(invocation, "TEXT"))
	arguments := 0
	for i := 0; i < len(words); i++ {
		word := strings.TrimRight(words[i], ",.)")
		name, value, given := strings.Cut(strings.TrimPrefix(word, "--"), "=")
		switch flag := flagOf(at, name); {
		case word == "" || word == "…" || word == "\\":
		case strings.HasPrefix(word, "--") && flag == nil:
			return fmt.Sprintf("%q has no flag --%s", at.FullPath(), name)
		case strings.HasPrefix(word, "--"):
			if !given && !flag.IsBool() && i+1 < len(words) {
				i++
				value = words[i]
			}
			if enums := flag.EnumSlice(); flag.Enum != "" && value != "" && strings.ToUpper(value) != value && !slices.Contains(enums, value) {
				return fmt.Sprintf("--%s of %q is one of %v, not %s", name, at.FullPath(), enums, value)
			}
		case child(at, word) != nil:
			at = child(at, word)
		case arguments < len(at.Positional) || len(at.Positional) > 0 && at.Positional[len(at.Positional)-1].IsCumulative():
			arguments++
		default:
			return fmt.Sprintf("%q knows no %q", at.FullPath(), word)
		}
	}
	return ""
}

func flagOf(at *kong.Node, name string) *kong.Flag {
	for ; at != nil; at = at.Parent {
		for _, f := range at.Flags {
			if f.Name == name || slices.Contains(f.Aliases, name) {
				return f
			}
		}
	}
	return nil
}

func child(at *kong.Node, name string) *kong.Node {
	for _, c := range at.Children {
		if c.Name == name || slices.Contains(c.Aliases, name) {
			return c
		}
	}
	return nil
}

// At 3 a.m. a command of the runbook is copied, not read.
func TestEveryCommandThatThePagesNameIsOneOfTheProgram(t *testing.T) {
	t.Parallel()
	parser, err := newParser(&cli.World{Stdout: t.Output(), Stderr: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range allPages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, invocation := range invocations(string(text)) {
			found++
			if fault := unknown(parser.Model.Node, invocation); fault != "" {
				t.Errorf("%s: %s: %s", filepath.Base(page), invocation, fault)
			}
		}
	}
	if found < 200 {
		t.Errorf("only %d commands were found: the pages were not read", found)
	}
}

func TestAMistakeInACommandOfAPageIsFound(t *testing.T) {
	t.Parallel()
	parser, err := newParser(&cli.World{Stdout: t.Output(), Stderr: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	for page, want := range map[string]string{
		"Run `op revue list`.":                                 `"consumer" knows no "revue"`,
		"Run `ROLE=x op review list --mins 3`":                 `"consumer review list" has no flag --mins`,
		"```sh\nconsumer check --config x \\\n  --deeper\n```": `"consumer check" has no flag --deeper`,
		"`consumer check --as somebody --config x | tee log`":  "--as of \"consumer check\" is one of [service operator reader provisioner recovery], not somebody",
		"`op check a b`":                                       `"consumer check" knows no "a"`,
	} {
		var faults []string
		for _, one := range invocations(page) {
			faults = append(faults, unknown(parser.Model.Node, one))
		}
		if !slices.Equal(faults, []string{want}) {
			t.Errorf("%s: found %q, want %q", page, faults, want)
		}
	}
}

// A block of settings leaves out what other pages say, and must hold no key or value that
// the service does not take.
func TestEveryBlockOfSettingsInThePagesIsOneThatTheServiceTakes(t *testing.T) {
	t.Parallel()
	leftOut := regexp.MustCompile(`configuration has|is required|no such file|is not set`)
	found := 0
	for _, page := range allPages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range fenced.FindAllStringSubmatch(string(text), -1) {
			if m[1] != "yaml" {
				continue
			}
			found++
			file := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(file, []byte(m[2]), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := config.LoadNotCalling(file, func(string) string { return "" })
			for _, fault := range strings.Split(fmt.Sprint(err), "\n") {
				if err != nil && !leftOut.MatchString(fault) {
					t.Errorf("%s: %s", filepath.Base(page), fault)
				}
			}
		}
	}
	if found == 0 {
		t.Error("no page has settings: the pages were not read")
	}
}

// publicKey is what looks like the public key of a NATS user or account.
var publicKey = regexp.MustCompile(`\b[AU][A-Z2-7]{55}\b`)

// Other tests put keys of their own in the place of these. A server refuses a whole
// configuration in which one has a wrong checksum.
func TestEveryKeyInThePagesAndManifestsIsValid(t *testing.T) {
	t.Parallel()
	found := 0
	look := func(name string) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range publicKey.FindAllString(string(text), -1) {
			if found++; !nkeys.IsValidPublicUserKey(key) && !nkeys.IsValidPublicAccountKey(key) {
				t.Errorf("%s: %s is no public key", name, key)
			}
		}
	}
	for _, page := range allPages(t) {
		look(page)
	}
	err := filepath.WalkDir(filepath.Join(root, "deploy"), func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			look(name)
		}
		return err
	})
	if err != nil || found < 10 {
		t.Errorf("%d keys, %v", found, err)
	}
}
