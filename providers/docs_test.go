package providers_test

import (
	"os"
	"strings"
	"testing"

	"github.com/countermand/countermand/providers"
)

func TestEveryCauseIsInTheDocumentationInItsWords(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/providers.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range providers.Causes() {
		if strings.HasPrefix(c.Words(), "at the proxy: ") {
			continue // the page says how they follow from the others
		}
		if row := "\n| `" + string(c) + "` | " + c.Words() + " | "; !strings.Contains(string(page), row) {
			t.Errorf("docs/providers.md has no row%s", row)
		}
	}
}
