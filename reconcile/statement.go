package reconcile

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/countermand/countermand/payment"
)

// The statuses a row may have.
const (
	RowSucceeded = "succeeded"
	RowFailed    = "failed"
	RowPending   = "pending"
	RowReturned  = "returned" // it was carried out and came back
)

// columns are a statement's, each once, in any order.
func columns() []string {
	return []string{"reference", "provider_reference", "operation", "amount_minor", "currency", "executed_at", "status"}
}

// Row is one line of a provider's statement.
type Row struct {
	Line              int        `json:"line"`
	Reference         string     `json:"reference,omitempty"`
	ProviderReference string     `json:"providerReference,omitempty"`
	Op                payment.Op `json:"op"`
	// Amount is nil for a cancel that moved nothing.
	Amount     *payment.Money `json:"amount,omitempty"`
	ExecutedAt time.Time      `json:"executedAt"`
	Status     string         `json:"status"`
}

// CSVFault is one thing wrong with a statement. Line and Column count from 1;
// the column counts bytes, as editors show it for plain text.
type CSVFault struct {
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Field  string `json:"field,omitempty"`
	Rule   string `json:"rule"`
}

// String is the fault as a line for people.
func (f CSVFault) String() string {
	if f.Field == "" {
		return fmt.Sprintf("%d:%d: %s", f.Line, f.Column, f.Rule)
	}
	return fmt.Sprintf("%d:%d: %s: %s", f.Line, f.Column, f.Field, f.Rule)
}

// ReadStatement reads a statement: CSV with a header line, separated by commas, semicolons
// or tabs. Each valid row goes to row, each fault to fault, so that all are told at once;
// neither is kept. What is no statement at all is one fault.
// The error is the reader's, or that of a function.
func ReadStatement(r io.Reader, row func(Row) error, fault func(CSVFault) error) error {
	d, unreadable, err := recognise(r)
	if err != nil {
		return err
	}
	if unreadable != nil {
		return fault(*unreadable)
	}
	s := &statement{csv: csv.NewReader(d.text), skipped: d.skipped, damages: newDamages(), bad: map[string]bool{}, row: row, fault: fault}
	s.csv.Comma, s.csv.FieldsPerRecord, s.csv.ReuseRecord = d.separator, -1, true
	fields, err := s.next()
	if errors.Is(err, io.EOF) {
		return fault(CSVFault{Line: 1, Column: 1, Rule: "there is no header line"})
	}
	if err != nil {
		return err
	}
	good, err := s.header(fields)
	if err != nil || !good {
		return err // without its columns no row can be read
	}
	for {
		fields, err := s.next()
		if errors.Is(err, io.EOF) {
			return s.end()
		}
		if err == nil && !empty(fields) {
			err = s.read(fields)
		}
		if err != nil {
			return err
		}
	}
}

type statement struct {
	csv     *csv.Reader
	skipped int // lines before those that csv counts
	damages damages
	// ours and theirs watch the columns of references.
	ours, theirs rounding
	row          func(Row) error
	fault        func(CSVFault) error
	names        []string
	bad          map[string]bool // columns of the row being read that have a fault
}

// next reads a line; nil without an error: it is no CSV, and that was told.
func (s *statement) next() ([]string, error) {
	fields, err := s.csv.Read()
	var broken *csv.ParseError
	if errors.As(err, &broken) {
		rule := broken.Err.Error()
		if errors.Is(broken.Err, csv.ErrBareQuote) {
			rule += `; a value written as ="123" is a formula for a spreadsheet: write 123`
		}
		return nil, s.fault(CSVFault{Line: broken.Line + s.skipped, Column: broken.Column, Rule: rule})
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read statement: %w", err)
	}
	return fields, err
}

// empty reports whether a line has nothing in it: spreadsheets write such lines below a
// table.
func empty(fields []string) bool {
	return !slices.ContainsFunc(fields, func(field string) bool { return strings.TrimSpace(field) != "" })
}

// columnName is the name of a column as a header has it. Programs write it in capitals too.
func columnName(field string) string { return strings.ToLower(strings.TrimSpace(field)) }

// header checks the names of the columns. Spreadsheets write columns without a name and
// without anything in them beside a table.
func (s *statement) header(fields []string) (bool, error) {
	seen := map[string]bool{}
	good := fields != nil
	for i, name := range fields {
		name = columnName(name)
		rule := ""
		switch {
		case name == "":
		case !slices.Contains(columns(), name):
			rule = "unknown column; there are " + strings.Join(columns(), ", ")
		case seen[name]:
			rule = "column is there twice"
		}
		if rule != "" {
			good = false
			if err := s.told(i, "", rule); err != nil {
				return false, err
			}
		}
		seen[name] = true
		s.names = append(s.names, name)
	}
	for _, name := range columns() {
		if fields != nil && !seen[name] {
			good = false
			if err := s.fault(CSVFault{Line: 1 + s.skipped, Column: 1, Field: name, Rule: "column is missing"}); err != nil {
				return false, err
			}
		}
	}
	return good, nil
}

// place is where the field at i of the line just read is; the line's beginning if it has
// none there.
func (s *statement) place(i int, field string) CSVFault {
	line, column := s.csv.FieldPos(i)
	return CSVFault{Line: line + s.skipped, Column: column, Field: field}
}

// told reports a fault of the field at i of the line just read.
func (s *statement) told(i int, field, rule string) error {
	s.bad[field] = true
	f := s.place(i, field)
	f.Rule = rule
	return s.fault(f)
}

// fits returns what is wrong with the number of fields, or nothing: Excel leaves out
// separators at the end of a line, and writes some for columns that are empty.
func (s *statement) fits(fields []string) string {
	for i := len(fields); i < len(s.names); i++ {
		switch s.names[i] {
		case "", "reference", "provider_reference":
		default:
			return fmt.Sprintf("%d fields, want %d", len(fields), len(s.names))
		}
	}
	if len(fields) > len(s.names) && !empty(fields[len(s.names):]) {
		return fmt.Sprintf("%d fields, want %d", len(fields), len(s.names))
	}
	return ""
}

// noMovement reports whether a line is a row of totals or a note below the table: of the
// columns that every movement has it fills none, or one with its label.
func (s *statement) noMovement(fields []string) bool {
	labels := 0
	for i, name := range s.names[:min(len(s.names), len(fields))] {
		value, r := strings.TrimSpace(fields[i]), Row{}
		var rule string
		switch name {
		case "operation":
			r.Op = payment.Op(value)
			rule = r.checkOp()
		case "executed_at":
			rule = r.readTime(value)
		case "status":
			r.Status = value
			rule = r.checkStatus()
		default:
			continue
		}
		if rule == "" {
			return false
		}
		if value != "" {
			labels++
		}
	}
	return labels <= 1
}

// read checks one row and hands it on.
func (s *statement) read(fields []string) error {
	clear(s.bad)
	if s.noMovement(fields) {
		return s.told(0, "", "is no movement but a row of totals or a note: it has no operation, time and status of one. Remove it")
	}
	if rule := s.fits(fields); rule != "" {
		return s.told(0, "", rule)
	}
	text := map[string]string{}
	place := map[string]int{}
	for i, name := range s.names[:min(len(s.names), len(fields))] {
		value := strings.TrimSpace(fields[i])
		rule := s.damages.any(value)
		if name == "" && value != "" {
			rule = "a value in a column without a name"
		}
		if rule != "" {
			if err := s.told(i, name, rule); err != nil {
				return err
			}
		}
		text[name], place[name] = value, i
	}
	return s.check(text, place)
}

// check checks the columns of one row, each by its own rules.
func (s *statement) check(text map[string]string, place map[string]int) error {
	at := s.place(0, "")
	r := Row{
		Line: at.Line, Reference: strings.Clone(text["reference"]), ProviderReference: strings.Clone(text["provider_reference"]),
		Op: payment.Op(strings.Clone(text["operation"])), Status: strings.Clone(text["status"]),
	}
	s.ours.see(r.Reference, s.place(place["reference"], "reference"))
	s.theirs.see(r.ProviderReference, s.place(place["provider_reference"], "provider_reference"))
	for _, check := range []struct{ field, rule, more string }{
		{"reference", r.checkReferences(), ""},
		{"reference", s.damages.reference(r.Reference), ""},
		{"provider_reference", s.damages.reference(r.ProviderReference), ""},
		{"operation", r.checkOp(), ""},
		{"amount_minor", r.readAmount(text["amount_minor"], text["currency"]), s.damages.amount(text["amount_minor"])},
		{"currency", checkCurrency(text["amount_minor"], text["currency"]), ""},
		{"executed_at", r.readTime(text["executed_at"]), s.damages.time(text["executed_at"])},
		{"status", r.checkStatus(), ""},
	} {
		if check.rule == "" || s.bad[check.field] { // one rule for one field
			continue
		}
		if err := s.told(place[check.field], check.field, check.rule+check.more); err != nil {
			return err
		}
	}
	if len(s.bad) > 0 {
		return nil
	}
	return s.row(r)
}

// end tells what only all rows together show.
func (s *statement) end() error {
	for _, column := range []*rounding{&s.ours, &s.theirs} {
		if f, found := column.found(); found {
			if err := s.fault(f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Row) checkReferences() string {
	if r.Reference == "" && r.ProviderReference == "" {
		return "neither reference nor provider_reference: nothing says what the row is about"
	}
	return ""
}

func (r *Row) checkOp() string {
	if !r.Op.Known() {
		return "must be " + payment.JoinOps(" or ")
	}
	return ""
}

func (r *Row) checkStatus() string {
	switch r.Status {
	case RowSucceeded, RowFailed, RowPending, RowReturned:
		return ""
	default:
		return "must be succeeded, failed, pending or returned"
	}
}

// readAmount reads minor units; a cancel may move none.
func (r *Row) readAmount(amount, currency string) string {
	if amount == "" || amount == "0" {
		if r.Op.GivesBack() {
			return "a refund needs an amount"
		}
		return ""
	}
	value, err := strconv.ParseInt(amount, 10, 64)
	if err != nil || strings.Trim(amount, "0123456789") != "" || value < 1 || value > 1<<53-1 {
		return "must be a whole number of minor units, 1 to 9007199254740991"
	}
	r.Amount = &payment.Money{Value: value, Currency: payment.Currency(strings.Clone(currency))}
	return ""
}

func checkCurrency(amount, currency string) string {
	if currency == "" && (amount == "" || amount == "0") {
		return ""
	}
	if len(currency) != 3 || strings.Trim(currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "must be three capital letters (ISO 4217)"
	}
	if _, known := payment.Currency(currency).Exponent(); !known {
		return "is no currency with minor units in ISO 4217, nor one that was withdrawn"
	}
	return ""
}

func (r *Row) readTime(text string) string {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return "must be a time such as 2026-11-21T12:00:00Z (RFC 3339)"
	}
	r.ExecutedAt = at.UTC()
	return ""
}
