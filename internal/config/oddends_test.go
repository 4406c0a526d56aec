package config_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/countermand/countermand/internal/config"
)

// keyFrom loads a key from a file and from a variable, and returns the two.
func keyFrom(t *testing.T, value string) map[string]func() (*config.Config, error) {
	t.Helper()
	file := write(t, "key", value)
	return map[string]func() (*config.Config, error){
		"a file": func() (*config.Config, error) {
			return config.Load(write(t, "c.yaml", openpayWith("{file: "+file+"}")), environment)
		},
		"a variable": func() (*config.Config, error) {
			return config.Load(write(t, "c.yaml", openpayWith("{env: KEY}")), func(name string) string {
				if name == "KEY" {
					return value
				}
				return ""
			})
		},
	}
}

func TestCharactersAroundASecretThatNobodySeesAreNamedWithoutTheSecret(t *testing.T) {
	t.Parallel()
	wide := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(hush + "\r\n")) {
		wide = append(wide, byte(unit), byte(unit>>8))
	}
	for value, want := range map[string]string{
		hush + " ":                  "ends with a space (U+0020): remove it",
		" " + hush:                  "begins with a space (U+0020): remove it",
		"\t" + hush + "\t\n":        "begins with a tab (U+0009) and ends with a tab (U+0009): remove both",
		hush + "\n\n":               "ends with a line break (U+000A): remove it",
		hush + "\r":                 "ends with a carriage return (U+000D): remove it",
		hush + "\r\n\r\n":           "ends with a line break (U+000A): remove it",
		hush + "\u00a0":             "ends with a no-break space (U+00A0): remove it",
		"\ufeff" + hush + "\n":      "begins with a byte order mark (U+FEFF): remove it",
		"\u200b" + hush:             "begins with a zero-width character (U+200B): remove it",
		hush + "\u2060":             "ends with a zero-width character (U+2060): remove it",
		hush + "\u3000":             "ends with white space (U+3000): remove it",
		hush + "\u200e":             "ends with a character that cannot be seen (U+200E): remove it",
		hush + "\u3164":             "ends with a character that cannot be seen (U+3164): remove it",
		"\u2800" + hush:             "begins with a character that cannot be seen (U+2800): remove it",
		hush + "\ufe0f":             "ends with a character that cannot be seen (U+FE0F): remove it",
		hush + "\u115f":             "ends with a character that cannot be seen (U+115F): remove it",
		hush + "\U000e0041":         "ends with a character that cannot be seen (U+E0041): remove it",
		hush + "\n" + hush:          "has a line break (U+000A) inside: write it on one line",
		hush + "\r\n" + hush + "\n": "has a carriage return (U+000D) inside: write it on one line",
		hush + "\u2028" + hush:      "has a line break (U+2028) inside: write it on one line",
		hush + "\u0085" + hush:      "has a line break (U+0085) inside: write it on one line",
		hush + "\x00" + hush:        "has a control character (U+0000) inside: write it on one line",
		hush + "\x00":               "ends with a control character (U+0000): remove it",
		" \ufeff\n":                 "holds nothing that can be seen",
		string(wide):                "is written in UTF-16: save it as UTF-8 without a byte order mark",
		"\xfe\xff\x00H\x00U\x00SH":  "is written in UTF-16: save it as UTF-8 without a byte order mark",
	} {
		for from, load := range keyFrom(t, value) {
			_, err := load()
			rule := ":6: providers[0].apiKey: names a secret that " + want + "; only one line break at the end is trimmed"
			if err == nil || !strings.HasSuffix(err.Error(), rule) || strings.Contains(err.Error(), "HUSH") {
				t.Errorf("%q from %s: %v, want %s", value, from, err, rule)
			}
		}
	}
}

func TestOneLineBreakAtTheEndOfASecretIsTrimmedAndNothingElse(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		hush: hush, hush + "\n": hush, hush + "\r\n": hush, "a\tb\u00a0\u200bc": "a\tb\u00a0\u200bc", "k\ufffd": "k\ufffd", "\xc3\x28": "\xc3\x28",
	} {
		for from, load := range keyFrom(t, value) {
			cfg, err := load()
			if err != nil {
				t.Errorf("%q from %s: %v", value, from, err)
				continue
			}
			if got := revealed(t, cfg); got != want {
				t.Errorf("%q from %s is %q", value, from, got)
			}
		}
	}
}

func TestQuotesAroundASecretAreNotedAndStay(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		`"` + hush + `"`: true, "'" + hush + "'\n": true, "`" + hush + "`": true, "“" + hush + "”": true, "„" + hush + "“": true, "«" + hush + "»": true,
		`""`: true, `"`: false, `"` + hush: false, hush + `"`: false, `"` + hush + "'": false, "a" + `"` + hush + `"`: false, hush: false, "((" + hush: false,
	} {
		for from, load := range keyFrom(t, value) {
			cfg, err := load()
			if err != nil {
				t.Errorf("%q from %s: %v", value, from, err)
				continue
			}
			if noted := slices.Equal(cfg.Quoted, []string{"providers[0].apiKey"}); noted != want || !noted && len(cfg.Quoted) > 0 {
				t.Errorf("%q from %s: noted %v", value, from, cfg.Quoted)
			}
			if got := revealed(t, cfg); got != strings.TrimSuffix(value, "\n") {
				t.Errorf("%q from %s is %q", value, from, got)
			}
		}
	}
}

func TestWhatSurroundsTheCredentialsInACredsFileDoesNoHarm(t *testing.T) {
	t.Parallel()
	creds := write(t, "user.creds", "\ufeff\n-----BEGIN NATS USER JWT-----\nx\n------END NATS USER JWT------\n\n")
	content := fmt.Sprintf("nats: {credentials: {file: %s}}\n", creds) + openpayWith("{env: OPENPAY_KEY}")
	if _, err := config.Load(write(t, "c.yaml", content), environment); err != nil {
		t.Error(err)
	}
}
