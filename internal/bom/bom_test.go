package bom_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/countermand/countermand/internal/bom"
)

func TestAMarkIsNoPartOfTheText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		name, rest string
		err        error
	}{
		"":                     {},
		"a":                    {rest: "a"},
		"plain text":           {rest: "plain text"},
		"\xef\xbb\xbfé: 1":     {name: "UTF-8", rest: "é: 1"},
		"\xef\xbb\xbf":         {name: "UTF-8"},
		"\xef\xbb":             {rest: "\xef\xbb"},
		"\xef\xbb\xbf\ufeffa":  {name: "UTF-8", rest: "\ufeffa"}, // only one is a mark
		"a\ufeff":              {rest: "a\ufeff"},
		"\xff\xfea\x00":        {name: "UTF-16", err: bom.ErrUTF16},
		"\xfe\xff\x00a":        {name: "UTF-16", err: bom.ErrUTF16},
		strings.Repeat("x", 9): {rest: strings.Repeat("x", 9)},
	} {
		if got := bom.Name([]byte(text)); got != want.name {
			t.Errorf("%q begins with the mark of %q, want %q", text, got, want.name)
		}
		if got, err := bom.Trim([]byte(text)); string(got) != want.rest || !errors.Is(err, want.err) {
			t.Errorf("%q trimmed is %q, %v, want %q, %v", text, got, err, want.rest, want.err)
		}
		for how, r := range map[string]io.Reader{
			"at once": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text)),
		} {
			got, err := io.ReadAll(bom.Skip(r))
			if string(got) != want.rest || !errors.Is(err, want.err) {
				t.Errorf("%q read %s is %q, %v, want %q, %v", text, how, got, err, want.rest, want.err)
			}
		}
	}
}

func TestAFailureBeforeTheMarkIsTheReadersOwn(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	if _, err := io.ReadAll(bom.Skip(iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
}
