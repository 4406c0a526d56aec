package reconcile

import (
	"bufio"
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

// ReadStatement reads a statement: CSV as of RFC 4180 with a header line. Each
// valid row goes to row, each fault to fault, so that all are told at once; neither is kept.
// The error is the reader's, or that of a function.
func ReadStatement(r io.Reader, row func(Row) error, fault func(CSVFault) error) error {
	text := bufio.NewReader(r)
	if mark, err := text.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
		_, _ = text.Discard(3) // spreadsheets write a byte order mark; it was just peeked at
	}
	s := &statement{csv: csv.NewReader(text), row: row, fault: fault}
	s.csv.FieldsPerRecord, s.csv.ReuseRecord = -1, true
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
			return nil
		}
		if err == nil && fields != nil {
			err = s.read(fields)
		}
		if err != nil {
			return err
		}
	}
}

type statement struct {
	csv   *csv.Reader
	row   func(Row) error
	fault func(CSVFault) error
	names []string
	bad   bool // the row being read has a fault
}

// next reads a line; nil without an error: it is no CSV, and that was told.
func (s *statement) next() ([]string, error) {
	fields, err := s.csv.Read()
	var broken *csv.ParseError
	if errors.As(err, &broken) {
		return nil, s.fault(CSVFault{Line: broken.Line, Column: broken.Column, Rule: broken.Err.Error()})
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read statement: %w", err)
	}
	return fields, err
}

// header checks the names of the columns.
func (s *statement) header(fields []string) (bool, error) {
	seen := map[string]bool{}
	good := fields != nil
	for i, name := range fields {
		name = strings.TrimSpace(name)
		rule := ""
		switch {
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
			if err := s.fault(CSVFault{Line: 1, Column: 1, Field: name, Rule: "column is missing"}); err != nil {
				return false, err
			}
		}
	}
	return good, nil
}

// told reports a fault of the field at i of the line just read.
func (s *statement) told(i int, field, rule string) error {
	s.bad = true
	line, column := s.csv.FieldPos(i)
	return s.fault(CSVFault{Line: line, Column: column, Field: field, Rule: rule})
}

// read checks one row and hands it on.
func (s *statement) read(fields []string) error {
	s.bad = false
	if len(fields) != len(s.names) {
		return s.told(0, "", fmt.Sprintf("%d fields, want %d", len(fields), len(s.names)))
	}
	text := map[string]string{}
	place := map[string]int{}
	for i, name := range s.names {
		text[name], place[name] = strings.TrimSpace(fields[i]), i
	}
	line, _ := s.csv.FieldPos(0)
	r := Row{
		Line: line, Reference: strings.Clone(text["reference"]), ProviderReference: strings.Clone(text["provider_reference"]),
		Op: payment.Op(strings.Clone(text["operation"])), Status: strings.Clone(text["status"]),
	}
	for _, check := range []struct{ field, rule string }{
		{"reference", r.checkReferences()},
		{"operation", r.checkOp()},
		{"amount_minor", r.readAmount(text["amount_minor"], text["currency"])},
		{"currency", checkCurrency(text["amount_minor"], text["currency"])},
		{"executed_at", r.readTime(text["executed_at"])},
		{"status", r.checkStatus()},
	} {
		if check.rule == "" {
			continue
		}
		if err := s.told(place[check.field], check.field, check.rule); err != nil {
			return err
		}
	}
	if s.bad {
		return nil
	}
	return s.row(r)
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
	if err != nil || value < 1 || value > 1<<53-1 {
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
