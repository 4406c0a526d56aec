package publish

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/bom"
	"github.com/countermand/countermand/payment"
)

// maxCommand is what the stream of commands takes, headers included.
const maxCommand = 64 << 10

// Item is one command of a file.
type Item struct {
	File    string
	Line    int // where it begins, from 1
	Command payment.Command
	Raw     jsontext.Value // the event as written; the caller's to keep
	Faults  []Fault        // empty: it is valid
}

// Fault is one thing wrong with one command.
type Fault struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Pointer string `json:"pointer,omitempty"`
	Rule    string `json:"rule"`
	Detail  string `json:"detail,omitempty"`
}

// String is the fault as one line for people.
func (f Fault) String() string {
	s := fmt.Sprintf("%s:%d: ", f.File, f.Line)
	if f.Pointer != "" {
		s += f.Pointer + ": "
	}
	s += f.Rule
	if f.Detail != "" {
		s += " (" + f.Detail + ")"
	}
	return s
}

// Rules say what else is wrong with a valid command, such as what its provider asks of it.
// Nil: nothing is known of that.
type Rules func(payment.Command) []payment.Fault

// Scan reads the commands of one file: JSON values one after the other (one a
// line, or spread over lines), or one array of them. Each is given to each, with
// its faults. What is no JSON is a fault too; reading goes on behind its line
// where the commands stand one a line. The error is each's, or the reader's.
func Scan(r io.Reader, file string, d *events.Decoder, rules Rules, each func(Item) error) error {
	s := &scanner{lines: bufio.NewReaderSize(bom.Skip(r), 1<<20), file: file, decoder: d, rules: rules, each: each}
	return s.run()
}

type scanner struct {
	lines   *bufio.Reader
	file    string
	decoder *events.Decoder
	rules   Rules
	each    func(Item) error
	line    int // of what is read next
}

// run takes complete lines as they come; a value that goes on over lines is
// read on from where it began.
func (s *scanner) run() error {
	s.line = 1
	for {
		line, err := s.lines.ReadBytes('\n')
		if text := bytes.TrimSpace(line); len(text) > 0 {
			if err := s.value(line, text); err != nil {
				return err
			}
		} else if len(line) > 0 {
			s.line++
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, bom.ErrUTF16):
			return s.fault(s.line, err.Error())
		case err != nil:
			return fmt.Errorf("read %s: %w", s.file, err)
		}
	}
}

// value handles what begins on a line: a whole value, the beginning of one, or
// an array.
func (s *scanner) value(line, text []byte) error {
	if jsontext.Value(text).IsValid() && text[0] != '[' {
		raw := bytes.Clone(text)
		at := s.line
		s.line++
		return s.item(at, raw)
	}
	if begun(text) {
		return s.spread(line)
	}
	at := s.line
	s.line++
	return s.fault(at, cmp.Or(bom.Inside(text), "not a JSON value"))
}

// fault tells of a text that is no JSON.
func (s *scanner) fault(line int, detail string) error {
	return s.each(Item{File: s.file, Line: line, Faults: []Fault{{File: s.file, Line: line, Rule: "json", Detail: detail}}})
}

// begun reports whether text is a good beginning of an object or array that
// goes on behind it.
func begun(text []byte) bool {
	if text[0] == '[' {
		return true
	}
	if text[0] != '{' {
		return false
	}
	d := jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true))
	for {
		if _, err := d.ReadToken(); err != nil {
			return errors.Is(err, io.ErrUnexpectedEOF)
		}
	}
}

// spread reads values that go over several lines, up to the end of the file.
func (s *scanner) spread(first []byte) error {
	counted := &counter{r: io.MultiReader(bytes.NewReader(first), s.lines), line: s.line}
	d := jsontext.NewDecoder(counted, jsontext.AllowDuplicateNames(true))
	array := d.PeekKind() == '['
	if array {
		if _, err := d.ReadToken(); err != nil {
			return s.broken(counted, d.InputOffset())
		}
	}
	for {
		kind := d.PeekKind()
		if array && kind == ']' {
			_, err := d.ReadToken()
			array = false
			if err == nil {
				continue
			}
		}
		raw, err := d.ReadValue()
		end := d.InputOffset()
		if errors.Is(err, io.EOF) && !array {
			return counted.failed
		}
		if err != nil {
			return s.broken(counted, end)
		}
		if err := s.item(counted.lineAt(end-int64(len(raw))), bytes.Clone(raw)); err != nil {
			return err
		}
		counted.forget(end)
	}
}

// broken tells where the JSON breaks off behind an offset.
func (s *scanner) broken(counted *counter, offset int64) error {
	at := counted.skip(offset)
	line, what := counted.lineAt(at), cmp.Or(bom.Inside(counted.behind(at)), "the JSON breaks off or is malformed here")
	_, err := io.Copy(io.Discard, s.lines) // nothing behind it can be told apart
	if err != nil {
		return fmt.Errorf("read %s: %w", s.file, err)
	}
	return s.fault(line, what+"; what follows was not read")
}

// item checks one value as the consumer would.
func (s *scanner) item(line int, raw jsontext.Value) error {
	c, invalid := s.decoder.DecodeCommand(events.Message{Subject: events.SubjectOfType(attribute(raw, "type")), Data: raw})
	item := Item{File: s.file, Line: line, Raw: raw, Command: c}
	var faults []payment.Fault
	switch {
	case invalid != nil:
		faults = relevant(invalid.Faults)
	case s.rules != nil:
		faults = s.rules(c)
	}
	for _, f := range faults {
		item.Faults = append(item.Faults, Fault{
			File: s.file, Line: line + lineOf(raw, f.Pointer), Pointer: f.Pointer, Rule: f.Rule, Detail: f.Detail,
		})
	}
	if len(raw) > maxCommand {
		item.Faults = append(item.Faults, Fault{File: s.file, Line: line, Rule: "size", Detail: "over 64 KiB"})
	}
	return s.each(item)
}

// relevant drops faults of the data where the type is wrong: which members it
// needs depends on the type.
func relevant(faults []payment.Fault) []payment.Fault {
	wrongType := slices.ContainsFunc(faults, func(f payment.Fault) bool { return f.Pointer == "ce-type" })
	return slices.DeleteFunc(slices.Clone(faults), func(f payment.Fault) bool {
		return wrongType && !strings.HasPrefix(f.Pointer, "ce")
	})
}
