package publish_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/publish"
)

const (
	good = `{"specversion":"1.0","id":"a","source":"/s","type":"payment.cancel.requested","data":{"idempotencyKey":"k","provider":"p","payment":{"orderId":"1"}}}`
	bad  = `{"specversion":"1.0","id":"a","source":"/s","type":"payment.refund.requested","data":{"idempotencyKey":"k","provider":"p","payment":{"orderId":"1"},"full":true,"ammount":1}}`
)

func TestAByteOrderMarkWithinAFileIsNamed(t *testing.T) {
	t.Parallel()
	const mark = "a byte order mark (U+FEFF) stands here, as where files were joined: remove it"
	const wide = "the byte order mark of UTF-16 stands here, as where files were joined: save them as UTF-8 first"
	for text, want := range map[string]string{
		good + "\n\ufeff" + good:                "f:2: json (" + mark + ")",
		good + "\n \ufeff" + good:               "f:2: json (" + mark + ")",
		good + "\n\ufeff\n":                     "f:2: json (" + mark + ")",
		"[" + good + "]\n\ufeff[" + good + "]":  "f:2: json (" + mark + "; what follows was not read)",
		"[\n" + good + ",\n\ufeff" + good + "]": "f:3: json (" + mark + "; what follows was not read)",
		good + "\n\xff\xfe{\x00\n":              "f:2: json (" + wide + ")",
		good + "\nnonsense":                     "f:2: json (not a JSON value)",
		"[" + good + "]\nnonsense":              "f:2: json (the JSON breaks off or is malformed here; what follows was not read)",
	} {
		d, err := events.NewDecoder()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		if err := publish.Scan(strings.NewReader(text), "f", d, nil, func(i publish.Item) error {
			for _, f := range i.Faults {
				got = append(got, f.String())
			}
			return nil
		}); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
}

// scan returns one line a command: where it begins, and its faults.
func scan(t *testing.T, text string) []string {
	t.Helper()
	d, err := events.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	err = publish.Scan(strings.NewReader(text), "f", d, nil, func(i publish.Item) error {
		line := fmt.Sprintf("%d", i.Line)
		if len(i.Faults) == 0 {
			line += " " + i.Command.CommandID
		}
		for _, f := range i.Faults {
			line += fmt.Sprintf(" [%d %s %s]", f.Line, f.Pointer, f.Rule)
		}
		out = append(out, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestScanReadsOneALineAnArrayAndSpreadValues(t *testing.T) {
	t.Parallel()
	spread := "{\n \"specversion\":\"1.0\", \"id\":\"b\", \"source\":\"/s\",\n \"type\":\"payment.refund.requested\",\n \"data\":{\"idempotencyKey\":\"k\",\"provider\":\"p\",\n  \"payment\":{\"orderId\":\"1\"},\n  \"amount\":{\"value\":0,\"currency\":\"EGP\"}}\n}"
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"one a line":                        {good + "\n\n" + good + "\n", []string{"1 a", "3 a"}},
		"no line break at the end":          {good, []string{"1 a"}},
		"an array":                          {"[\n" + good + ",\n" + good + "\n]\n", []string{"2 a", "3 a"}},
		"an array on one line":              {"[" + good + "," + good + "]", []string{"1 a", "1 a"}},
		"an empty array":                    {"[]", nil},
		"nothing":                           {" \n\n", nil},
		"spread over lines":                 {"\n" + spread + "\n" + good, []string{"2 [7 /amount/value min]", "9 a"}},
		"a fault names its field":           {good + "\n" + bad, []string{"1 a", "2 [2 /ammount unknown]"}},
		"a line that is no JSON":            {"nonsense\n" + good, []string{"1 [1  json]", "2 a"}},
		"an object that breaks off":         {good + "\n{\"specversion\":", []string{"1 a", "2 [2  json]"}},
		"an array that breaks off":          {"[\n" + good + ",\n", []string{"2 a", "3 [3  json]"}},
		"rubbish behind the array":          {"[" + good + "]\nrubbish", []string{"1 a", "2 [2  json]"}},
		"a value that is no object":         {"5\n", []string{"1 [1 ce type]"}},
		"a type that is no command":         {strings.Replace(good, "cancel", "capture", 1), []string{"1 [1 ce-type one_of]"}},
		"a command over 64 KiB":             {strings.Replace(good, `"k"`, `"`+strings.Repeat("k", 70000)+`"`, 1), []string{"1 [1 /idempotencyKey max] [1  size]"}},
		"a byte order mark":                 {"\ufeff" + good + "\n" + bad, []string{"1 a", "2 [2 /ammount unknown]"}},
		"a byte order mark before an array": {"\ufeff[\n" + good + "]", []string{"2 a"}},
		"UTF-16":                            {"\xff\xfe{\x00}\x00", []string{"1 [1  json]"}},
		"a byte order mark within":          {good + "\n\ufeff" + good, []string{"1 a", "2 [2  json]"}},
		"carriage returns are blank":        {good + "\r\n" + good + "\r\n", []string{"1 a", "2 a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, scan(t, c.text)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
