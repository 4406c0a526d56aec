package contract_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/schemas"
)

// section returns the text under a heading of docs/errors.md.
func section(t *testing.T, heading string) string {
	t.Helper()
	raw, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(raw), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("docs/errors.md has no section %s", heading)
	}
	body, _, _ := strings.Cut(rest, "\n## ")
	return body
}

// firstColumn returns what the rows of a section's table begin with.
func firstColumn(body string) []string {
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
	if diff := cmp.Diff(want, firstColumn(section(t, "Codes"))); diff != "" {
		t.Errorf("codes (-payment +docs/errors.md):\n%s", diff)
	}
}

func TestTheErrorsPageGivesEveryBadInputItsAnswer(t *testing.T) {
	t.Parallel()
	list, err := schemas.BadInputs()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, b := range list {
		want = append(want, "| `"+b.ID+"` | "+b.Says+" | "+answerText(b.Expect)+" |")
	}
	got := regexp.MustCompile("(?m)^\\| `.*\\|$").FindAllString(section(t, "Bad input"), -1)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-badinput.json +docs/errors.md):\n%s", diff)
	}
}

// answerText is how the page words an answer, with who finds it out.
func answerText(a schemas.Answer) string {
	by := map[string]string{"decoder": "the message alone", "service": "configuration or state", "stream": "the stream"}[a.By]
	at := "the whole document"
	if a.Pointer != "" {
		at = "`" + a.Pointer + "`"
	}
	switch {
	case a.Kind == schemas.AnswerStream:
		return fmt.Sprintf("the stream refuses it (%d) | %s", a.StreamError, by)
	case a.Kind == schemas.AnswerRejected:
		return fmt.Sprintf("`payment.<op>.rejected`, %#q | %s", a.Code, by)
	case a.Code != string(payment.CodeInvalidCommand):
		return fmt.Sprintf("`payment.command.rejected`, %#q | %s", a.Code, by)
	default:
		return fmt.Sprintf("`payment.command.rejected`, %s: %#q | %s", at, a.Rule, by)
	}
}

func TestEveryRuleAnExampleBreaksIsExplainedInTheErrorsPage(t *testing.T) {
	t.Parallel()
	rules := map[string]bool{}
	for _, e := range examples(t, "invalid") {
		for _, f := range e.want.Faults {
			if e.command() {
				rules[f.Rule] = true
			}
		}
	}
	list, err := schemas.BadInputs()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range list {
		if b.Expect.Rule != "" {
			rules[b.Expect.Rule] = true
		}
	}
	body := section(t, "Faults")
	for rule := range rules {
		if !strings.Contains(body, "`"+rule+"`") {
			t.Errorf("rule %s is not explained", rule)
		}
	}
}
