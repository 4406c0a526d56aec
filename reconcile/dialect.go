package reconcile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	encodings "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/runes"
	"golang.org/x/text/transform"

	"github.com/countermand/countermand/internal/bom"
)

// headSize is how much of a file is read to find out how it is written.
const headSize = 64 << 10

// dialect is how a statement is written, found out from its beginning. Spreadsheet programs
// write the same table with other separators, encodings and line ends.
type dialect struct {
	text      *bufio.Reader // UTF-8 with line feeds, from the header on
	separator rune
	skipped   int // lines before the header
}

// recognise finds out how a statement is written. What cannot be read as one is a single
// fault that names the cause and what to do.
func recognise(r io.Reader) (dialect, *CSVFault, error) {
	raw := bufio.NewReaderSize(r, headSize)
	head, err := peek(raw)
	if err != nil {
		return dialect{}, nil, err
	}
	if rule := binary(head); rule != "" {
		return dialect{}, &CSVFault{Line: 1, Column: 1, Rule: rule}, nil
	}
	d := dialect{text: bufio.NewReaderSize(transform.NewReader(raw, encodings.BOMOverride(encoding.Nop.NewDecoder())), headSize)}
	if head, err = peek(d.text); err != nil {
		return d, nil, err
	}
	if bytes.IndexByte(head, '\r') >= 0 && bytes.IndexByte(head, '\n') < 0 { // as old Macs end lines
		d.text = bufio.NewReaderSize(transform.NewReader(d.text, runes.Map(lineFeed)), headSize)
		if head, err = peek(d.text); err != nil {
			return d, nil, err
		}
	}
	lines := strings.Split(string(head), "\n")
	separators := []rune{',', ';', '\t'}
	if said, found := saidSeparator(lines[0]); found {
		d.skipped = 1
		separators = append(separators, said)
		if _, err := d.text.ReadString('\n'); err != nil && !errors.Is(err, io.EOF) {
			return d, nil, fmt.Errorf("read statement: %w", err)
		}
	}
	if len(lines) == d.skipped || strings.Trim(strings.Join(lines[d.skipped:], ""), "\r") == "" {
		return d, &CSVFault{Line: 1, Column: 1, Rule: "there is no header line"}, nil
	}
	var known int
	if d.separator, known = separate(lines[d.skipped], separators); known < fewest {
		return d, &CSVFault{Line: 1, Column: 1, Rule: foreign(lines, separators)}, nil
	}
	return d, nil, nil
}

func lineFeed(r rune) rune {
	if r == '\r' {
		return '\n'
	}
	return r
}

// peek returns the beginning of a file, all of a short one.
func peek(r *bufio.Reader) ([]byte, error) {
	head, err := r.Peek(headSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read statement: %w", err)
	}
	return head, nil
}

// saidSeparator reads the line "sep=;", which tells Excel the separator.
func saidSeparator(line string) (rune, bool) {
	line = strings.Trim(strings.TrimRight(line, "\r"), `"`)
	name, value, found := strings.Cut(line, "=")
	said := []rune(value)
	if !found || !strings.EqualFold(name, "sep") || len(said) != 1 || strings.ContainsRune("\"\r\n\uFFFD", said[0]) {
		return 0, false
	}
	return said[0], true
}

// separate returns the separator with which a header line has most of a statement's
// columns, and how many.
func separate(line string, separators []rune) (best rune, most int) {
	for i, separator := range separators {
		r := csv.NewReader(strings.NewReader(line))
		r.Comma = separator
		fields, err := r.Read()
		if err != nil {
			fields = nil
		}
		n := 0
		for _, name := range columns() {
			if slices.ContainsFunc(fields, func(field string) bool { return columnName(field) == name }) {
				n++
			}
		}
		if i == 0 || n > most {
			best, most = separator, n
		}
	}
	return best, most
}

// fewest is how many of a statement's columns make a line its header. Other
// programs' exports have some of their names too.
const fewest = 4

const (
	// saveAsCSV is what to do with a file that a program can open and save.
	saveAsCSV = "open it there and save it as CSV (UTF-8)"
	// convert is what to do with a file of another form.
	convert = "convert it first to CSV with the columns of a statement"
)

// binary returns why a file is no text, or nothing.
func binary(head []byte) string {
	has := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	switch {
	case has("PK\x03\x04") && bytes.Contains(head, []byte("application/vnd.oasis.opendocument")):
		return "is a LibreOffice or OpenOffice workbook (ods) and no CSV: " + saveAsCSV
	case has("PK\x03\x04") && (bytes.Contains(head, []byte("[Content_Types].xml")) || bytes.Contains(head, []byte("xl/"))):
		return "is an Excel workbook (xlsx) and no CSV: " + saveAsCSV
	case has("PK\x03\x04"):
		return "is a zip archive and no CSV: unpack it. If a spreadsheet program wrote it, " + saveAsCSV
	case has("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
		return "is an old Excel workbook (xls), or one with a password, and no CSV: " + saveAsCSV
	case has("\x1f\x8b"):
		return "is compressed (gzip) and no CSV: unpack it"
	case has("%PDF-"):
		return "is a PDF and no CSV: get the statement from the provider as CSV"
	case has("\xff\xfe\x00\x00"), has("\x00\x00\xfe\xff"):
		return "is UTF-32 and not UTF-8: save it as CSV (UTF-8)"
	case bom.Name(head) == bom.UTF16: // which is read
		return ""
	case bytes.IndexByte(head, 0) >= 0:
		return "has zero bytes: it is UTF-16 without a byte order mark, or no text. Save it as CSV (UTF-8)"
	default:
		return ""
	}
}

// otherSeparator returns the sign between all columns of a statement in a line; 0: there is
// none such.
func otherSeparator(line string) rune {
	i := strings.IndexFunc(line, func(r rune) bool {
		return r != '_' && r != '"' && r != utf8.RuneError && !unicode.IsLetter(r)
	})
	if i < 0 {
		return 0
	}
	separator, _ := utf8.DecodeRuneInString(line[i:])
	if _, known := separate(line, []rune{separator}); known < len(columns()) {
		return 0
	}
	return separator
}

// foreign returns why a text is no statement, although it is one of something.
func foreign(lines []string, separators []rune) string {
	for i, line := range lines {
		if _, known := separate(line, separators); known == len(columns()) {
			return fmt.Sprintf("the header is in line %d: remove the lines above it", i+1)
		}
	}
	if separator := otherSeparator(lines[0]); separator != 0 {
		return fmt.Sprintf("its columns are separated by %q: save it with commas, or write the line sep=%c above the header", separator, separator)
	}
	head := strings.TrimSpace(strings.Join(lines, "\n"))
	for _, form := range []struct{ begins, has, what string }{
		{"<", "camt.05", "is an account statement in XML (ISO 20022, camt): " + convert},
		{"<", "urn:schemas-microsoft-com:office:spreadsheet", "is an Excel workbook in XML and no CSV: " + saveAsCSV},
		{"<", "<OFX", "is OFX and no CSV: " + convert},
		{"<", "<t", "is a web page or XML and no CSV, as some programs name xls. If a spreadsheet program opens it, " + saveAsCSV},
		{"<", "", "is XML or a web page and no CSV: " + convert},
		{"OFXHEADER:", "", "is OFX and no CSV: " + convert},
		{"!Type:", "", "is QIF and no CSV: " + convert},
		{":20:", "", "is an account statement in SWIFT's form (MT940): " + convert},
		{"{1:F", "", "is an account statement in SWIFT's form (MT940): " + convert},
		{"-----BEGIN PGP", "", "is encrypted (PGP): decrypt it first"},
		{"{\\rtf", "", "is RTF and no CSV: " + saveAsCSV},
		{"{", "", "is JSON and no CSV: " + convert},
		{"[", "", "is JSON and no CSV: " + convert},
	} {
		if strings.HasPrefix(head, form.begins) && strings.Contains(head, form.has) {
			return form.what
		}
	}
	return "its first line lacks most of a statement's columns, so it is another program's export: make of it the columns " +
		strings.Join(columns(), ", ")
}
