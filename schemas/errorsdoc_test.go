package schemas_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/schemas"
)

// section returns the first column of the table under a heading of docs/errors.md.
func section(t *testing.T, heading string) []string {
	t.Helper()
	raw, err := os.ReadFile("../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(raw), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("docs/errors.md has no section %s", heading)
	}
	body, _, _ := strings.Cut(rest, "\n## ")
	var out []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|.*\\|$").FindAllStringSubmatch(body, -1) {
		out = append(out, row[1])
	}
	return out
}

func TestEveryCodeHasALineInTheErrorsPage(t *testing.T) {
	t.Parallel()
	var want []string
	for _, c := range payment.Codes() {
		want = append(want, string(c))
	}
	if diff := cmp.Diff(want, section(t, "Codes")); diff != "" {
		t.Errorf("codes (-payment +docs/errors.md):\n%s", diff)
	}
}

func TestEveryBadInputHasALineInTheErrorsPage(t *testing.T) {
	t.Parallel()
	list, err := schemas.BadInputs()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, b := range list {
		want = append(want, b.ID)
	}
	got := section(t, "Bad input")
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ids (-badinput.json +docs/errors.md):\n%s", diff)
	}
}
