package spelling_test

import (
	"strings"
	"testing"

	"github.com/countermand/countermand/internal/spelling"
)

func TestTheNearestNameIsFound(t *testing.T) {
	t.Parallel()
	known := []string{"amount", "full", "idempotencyKey", "merchantID", "url"}
	for name, want := range map[string]string{
		"amount":                      "amount",
		"AMOUNT":                      "amount",
		"ammount":                     "amount",
		"amuont":                      "amount", // two neighbours swapped are one change
		"amoutns":                     "amount",
		"fulll":                       "full",
		"idempotencykey":              "idempotencyKey",
		"merchantid":                  "merchantID",
		"ulr":                         "url",
		"ab":                          "", // a name of three letters is not guessed from one of them
		"colour":                      "",
		"":                            "",
		strings.Repeat("amount", 100): "",
	} {
		if got := spelling.Nearest(name, known); got != want {
			t.Errorf("%q is taken for %q, want %q", name, got, want)
		}
	}
	if got := spelling.Nearest("cat", []string{"bat", "cart", "cat"}); got != "cat" {
		t.Errorf("the nearest is %q", got)
	}
	if got := spelling.Nearest("anything", nil); got != "" {
		t.Errorf("of no names %q is the nearest", got)
	}
}
