package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing wrong with the file. It never holds a value of the file.
type Fault struct {
	File string
	// Line counts from 1; zero where the file as a whole is meant.
	Line int
	// Key is the path of the key, for example providers[0].retry.max; empty for
	// the file as a whole.
	Key  string
	Rule string
}

// String renders the fault as FILE:LINE: KEY: RULE.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	if f.Key != "" {
		b.WriteString(": " + f.Key)
	}
	return b.String() + ": " + f.Rule
}

// FaultsError lists everything wrong with a file, in the order of its lines.
type FaultsError struct{ Faults []Fault }

// Error lists all faults, one a line.
func (e *FaultsError) Error() string {
	lines := make([]string, 0, len(e.Faults)+1)
	lines = append(lines, fmt.Sprintf("configuration has %d fault(s)", len(e.Faults)))
	for _, f := range e.Faults {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n  ")
}

// faults collects what is wrong, one fault a key: the first says the most, and
// a value that could not be read would break further rules.
type faults struct {
	file string
	list []Fault
}

func (f *faults) add(line int, key, format string, args ...any) {
	if f.has(key) {
		return
	}
	f.list = append(f.list, Fault{File: f.file, Line: line, Key: key, Rule: fmt.Sprintf(format, args...)})
}

func (f *faults) has(key string) bool {
	return slices.ContainsFunc(f.list, func(o Fault) bool { return o.Key == key })
}

// err returns the faults in the order of the file, or nil.
func (f *faults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	slices.SortStableFunc(f.list, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Key, b.Key))
	})
	return &FaultsError{Faults: f.list}
}
