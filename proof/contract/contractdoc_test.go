package contract_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
)

// contractSection returns the text under a heading of docs/contract.md.
func contractSection(t *testing.T, heading string) string {
	t.Helper()
	raw, err := os.ReadFile("../../docs/contract.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(raw), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("docs/contract.md has no section %s", heading)
	}
	body, _, _ := strings.Cut(rest, "\n## ")
	return body
}

// codeWords returns what stands in backquotes in a cell.
func codeWords(cell string) []string {
	words := []string{}
	for _, w := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
		words = append(words, w[1])
	}
	return words
}

// tableRows returns the cells of the rows of a section's tables that begin
// with a word in backquotes.
func tableRows(body string) [][]string {
	var rows [][]string
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "| `") {
			rows = append(rows, strings.Split(strings.Trim(strings.TrimSpace(line), "| "), " | "))
		}
	}
	return rows
}

func TestTheContractPageSaysWhatEachTypeRequires(t *testing.T) {
	t.Parallel()
	want := map[string][]string{}
	for _, r := range resultTypes() {
		if r.body != nil {
			continue
		}
		name := r.name
		if last := name[strings.LastIndex(name, ".")+1:]; last != string(payment.EventReturned) {
			name = "payment.<op>." + last
		}
		want[name] = append([]string{}, r.required...)
	}
	got := map[string][]string{}
	for _, row := range tableRows(contractSection(t, "Results")) {
		got[codeWords(row[0])[0]] = codeWords(row[1])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("required fields (-schemas +docs/contract.md):\n%s", diff)
	}
}

func TestTheContractPageHasEveryFieldAndSaysWhichAreAlwaysThere(t *testing.T) {
	t.Parallel()
	rejected := struct {
		Properties map[string]any
		Required   []string
	}{}
	if err := json.Unmarshal(embedded(t, "v1/payment.command.rejected.json"), &rejected); err != nil {
		t.Fatal(err)
	}
	action := rejected
	action.Properties, action.Required = nil, nil
	if err := json.Unmarshal(embedded(t, "v1/payment.operator.json"), &action); err != nil {
		t.Fatal(err)
	}
	result := commonDef(t, "result")
	properties := result["properties"].(map[string]any)
	for _, page := range []struct {
		section    string
		properties map[string]any
		required   []string
	}{
		// Each type's own schema adds status to what is required.
		{"Fields of a result", properties, append(texts(t, result["required"]), "status")},
		{"Rejected messages", rejected.Properties, rejected.Required},
		{"What operators do", action.Properties, action.Required},
	} {
		want, got := map[string]bool{}, map[string]bool{}
		for name := range page.properties {
			want[name] = slices.Contains(page.required, name)
		}
		for _, row := range tableRows(contractSection(t, page.section)) {
			if len(row) < 3 {
				continue // another table
			}
			got[codeWords(row[0])[0]] = row[1] == "yes"
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-schemas +docs/contract.md):\n%s", page.section, diff)
		}
	}
}

func TestTheTokensInTheContractPageAreVectors(t *testing.T) {
	t.Parallel()
	var vectors []struct{ Identifier, Token string }
	if err := json.Unmarshal(embedded(t, "vectors/tokens.json"), &vectors); err != nil {
		t.Fatal(err)
	}
	known := map[string]string{}
	for _, v := range vectors {
		known[v.Identifier] = v.Token
	}
	checked := 0
	for _, row := range tableRows(contractSection(t, "Subjects")) {
		identifier, token := codeWords(row[0])[0], codeWords(row[1])[0]
		if known[identifier] != token {
			t.Errorf("%s has the token %s in the page and %q in the vectors", identifier, token, known[identifier])
		}
		checked++
	}
	if checked < 5 {
		t.Errorf("only %d tokens were found in the page", checked)
	}
}
