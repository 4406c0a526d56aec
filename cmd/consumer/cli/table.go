package cli

import (
	"encoding/csv"
	"io"
	"strings"
)

// Table prints rows as CSV below the names of their columns, which stand there also
// where there is no row. It is for one goroutine.
type Table struct {
	csv   *csv.Writer
	names []string
	begun bool
}

// NewTable returns a table that is printed to w.
func NewTable(w io.Writer, names ...string) *Table {
	return &Table{csv: csv.NewWriter(w), names: names}
}

// Row prints one row. A field that a spreadsheet would take for a formula, as some
// that come from outside may look, is quoted.
func (t *Table) Row(fields ...string) error {
	if err := t.begin(); err != nil {
		return err
	}
	for i, field := range fields {
		if field != "" && strings.ContainsRune("=+-@\t\r", rune(field[0])) {
			fields[i] = "'" + field
		}
	}
	return t.csv.Write(fields)
}

// End prints what is buffered.
func (t *Table) End() error {
	if err := t.begin(); err != nil {
		return err
	}
	t.csv.Flush()
	return t.csv.Error()
}

func (t *Table) begin() error {
	if t.begun {
		return nil
	}
	t.begun = true
	return t.csv.Write(t.names)
}
