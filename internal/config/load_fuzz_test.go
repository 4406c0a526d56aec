package config_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/providers/providertest"
)

// rewrite changes a file line by line as a script says: three bytes are one
// change. A line is dropped, repeated, moved, indented anew, or its value or one
// value of a flow mapping in it is swapped for a word.
func rewrite(text string, script []byte) string {
	words := []string{
		hush, `"` + hush + `"`, "'" + hush, "{env: " + hush + "}", "{file: " + hush + "}", "{env: A, file: B}", "[" + hush + "]", "{}", "[]", "~", "true",
		"0", "-1", "010", "1e9", "10s", "10", "9999999h", "https://" + hush + "@a.example", "http://api.example", "://" + hush, "&a b", "*a", "!t x", "|", ">-",
		"opay", "bento", "tranzzo", "openpay", "bitcoin", "EG", "EGP", "XXX", "\t", "\u00e9", "a: b: c", "%", "---",
	}
	lines := strings.Split(text, "\n")
	for ; len(script) >= 3; script = script[3:] {
		i, what := int(script[1])%len(lines), int(script[2])
		name, value, _ := strings.Cut(lines[i], ": ")
		switch script[0] % 8 {
		case 0, 1:
			lines[i] = name + ": " + words[what%len(words)]
		case 2:
			lines = append(lines[:i:i], lines[i+1:]...)
			if len(lines) == 0 {
				return ""
			}
		case 3:
			lines = append(lines[:i+1:i+1], lines[i:]...)
		case 4:
			j := what % len(lines)
			lines[i], lines[j] = lines[j], lines[i]
		case 5:
			lines[i] = strings.Repeat(" ", what%7) + strings.TrimLeft(lines[i], " ")
		case 6:
			lines[i] = name + "x: " + value
		default:
			parts := strings.Split(lines[i], ", ")
			key, _, _ := strings.Cut(parts[what%len(parts)], ": ")
			parts[what%len(parts)] = key + ": " + words[what%len(words)]
			lines[i] = strings.Join(parts, ", ")
		}
	}
	return strings.Join(lines, "\n")
}

// FuzzEveryFaultHasItsLineAndNoValue: no file makes the program panic, every
// fault names a line there is, and neither a value of the file nor one of the
// environment is in an error or in what prints a configuration.
func FuzzEveryFaultHasItsLineAndNoValue(f *testing.F) {
	good, err := os.ReadFile("testdata/good.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, script := range providertest.Scripts(60) {
		f.Add(string(good), script)
	}
	for _, value := range []string{hush, "{file: " + hush + "}", "{env: " + hush + "}", "{file: " + hush + ", env: A}", "\"" + hush, "[" + hush, hush + ": x: y", "*" + hush, "&" + hush} {
		f.Add(strings.Replace(string(good), "{file: testdata/secret.txt}", value, 1), []byte{})
		f.Add("nats: "+value, []byte{})
	}
	f.Add("? ["+hush+"]\n: - a\n  - !t &a b\n<<: *a\n", []byte{})
	f.Add("%YAML "+hush+"\n---\na: b\n", []byte{}) // the parser quotes these two
	f.Add("a: |"+hush+"\n  b\n", []byte{})
	f.Add("a: 'b\n c: \"", []byte{})
	f.Fuzz(func(t *testing.T, text string, script []byte) {
		if len(text) > 8192 || strings.Contains(strings.ReplaceAll(text, hush, ""), "HUSH") {
			return
		}
		text = rewrite(text, script)
		path := write(t, "c.yaml", text)
		cfg, err := config.Load(path, func(string) string { return "HUSHenvironment" })
		if shown := fmt.Sprintf("%v %+v %#v", err, cfg, err); strings.Contains(shown, "HUSHenv") || err != nil && strings.Contains(err.Error(), "HUSH") {
			t.Fatalf("a value is shown: %s\n%s", shown, text)
		}
		if err == nil {
			return
		}
		var faults *config.FaultsError
		if !errors.As(err, &faults) || len(faults.Faults) == 0 {
			t.Fatalf("%v is no list of faults", err)
		}
		for _, fault := range faults.Faults {
			if fault.Line < 1 || fault.Line > strings.Count(text, "\n")+1 {
				t.Fatalf("%v is in line %d of %d:\n%q", fault, fault.Line, strings.Count(text, "\n")+1, text)
			}
			if !strings.HasPrefix(fault.String(), fmt.Sprintf("%s:%d: ", path, fault.Line)) || fault.Rule == "" {
				t.Fatalf("%q", fault.String())
			}
		}
	})
}
