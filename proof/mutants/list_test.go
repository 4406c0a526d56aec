package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A bug whose place has moved is found here in a second, and not only when all of
// them are hunted.
func TestEachDeliberateBugFindsItsPlaceOnce(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, m := range mutants() {
		source, err := os.ReadFile(filepath.Join("..", "..", m.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(source), m.old); n != 1 || m.old == m.new {
			t.Errorf("%s: its place is found %d times in %s, want once; changed: %v", m.name, n, m.file, m.old != m.new)
		}
		if names[m.name] {
			t.Errorf("%s stands twice", m.name)
		}
		names[m.name] = true
	}
}
