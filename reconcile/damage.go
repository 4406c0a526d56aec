package reconcile

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// Spreadsheet programs take a reference for a number or a date, show it in another form,
// and save what they show. The digits are lost then, and no row matches any more, or
// another one does.

// damaged begins every rule about what a spreadsheet program has done to a field.
const damaged = "looks damaged by a spreadsheet: "

// asText is what to do about it.
const asText = ". Export it again, and let the spreadsheet take the column as text"

// damages knows the forms that spreadsheets leave behind.
type damages struct {
	scientific, float, date, monthName, dayNumber, grouped, signed, thousands, cellError *regexp.Regexp
}

func newDamages() damages {
	const month = `(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)`
	return damages{
		scientific: regexp.MustCompile(`^-?\d([.,]\d+)?[eE]\+\d+$|^-?\d[.,]\d+[eE]\d+$`),
		float:      regexp.MustCompile(`^\d{5,}[.,]0+$`),
		date: regexp.MustCompile(`^(\d{4}[-/.](0?[1-9]|1[0-2])[-/.](0?[1-9]|[12]\d|3[01])|` +
			`(0?[1-9]|[12]\d|3[01])[-/.](0?[1-9]|[12]\d|3[01])[-/.](\d{4}|\d{2}))([ T]\d{1,2}:\d{2}(:\d{2})?( ?[AP]M)?)?$`),
		monthName: regexp.MustCompile(`^(\d{1,2}[- ]` + month + `([- ]\d{2,4})?|` + month + `[- ]\d{2})$`),
		dayNumber: regexp.MustCompile(`^\d{5}([.,]\d+)?$`),
		grouped:   regexp.MustCompile(`^[-+(]?\d[\d.,'’\x{a0}\x{202f} ]*[.,'’\x{a0}\x{202f} ]\d+[-)]?$`),
		signed:    regexp.MustCompile(`^([-+−]\s*\d+|\d+\s*[-−]|\(\d+\))$`),
		// Groups of three, or the lakhs of India: several of them, or one behind a sign that no
		// reference has.
		thousands: regexp.MustCompile(`^(\d{1,3}((,\d{3})+|('\d{3})+|(’\d{3})+|(\x{a0}\d{3})+|(\x{202f}\d{3})+|(\x{2009}\d{3})+|(٬\d{3})+` +
			`|(\.\d{3}){2,}|( \d{3}){2,})|\d{1,3}(,\d{2})+,\d{3})([.,٫]\d+)?$`),
		cellError: regexp.MustCompile(`^#(#+|NULL!|DIV/0!|VALUE!|REF!|NAME\?|NUM!|N/A|SPILL!|CALC!)$`),
	}
}

// any returns what is wrong with a field of any column, or nothing.
func (d damages) any(text string) string {
	switch {
	case !utf8.ValidString(text), strings.ContainsRune(text, utf8.RuneError):
		return "is not UTF-8: save the file as CSV (UTF-8)"
	case d.cellError.MatchString(text):
		return damaged + "the cell shows an error or is too narrow" + asText
	case strings.HasPrefix(text, "'"):
		return damaged + "an apostrophe, which marks text there, is in front. Remove it"
	case strings.HasPrefix(text, "="):
		return damaged + "it is a formula. Remove the equals sign and the quotes around the value"
	default:
		return ""
	}
}

// reference returns what a spreadsheet has done to a reference, or nothing.
func (d damages) reference(text string) string {
	switch {
	case d.scientific.MatchString(text):
		return damaged + "a long number was rounded, as in 2.11009E+17, and its digits are lost" + asText
	case d.float.MatchString(text):
		return damaged + "it was taken for a number with a fraction, so digits may be lost" + asText
	case d.date.MatchString(text), d.monthName.MatchString(text):
		return damaged + "it was taken for a date" + asText
	case d.thousands.MatchString(text):
		return damaged + "it was taken for a number and has thousands separators" + asText
	default:
		return ""
	}
}

// amount adds what a spreadsheet may have done to an amount.
func (d damages) amount(text string) string {
	switch {
	case d.scientific.MatchString(text):
		return "; it " + damaged + "its digits are lost" + asText
	case d.date.MatchString(text), d.monthName.MatchString(text):
		return "; it " + damaged + "it was taken for a date" + asText
	case d.grouped.MatchString(text):
		return "; it has a decimal point, a decimal comma or a thousands separator, and nobody can tell which: write 4.00 EGP as 400"
	case d.signed.MatchString(text):
		return "; it has a sign: the column operation says which way money went"
	default:
		return ""
	}
}

// time adds what a spreadsheet may have done to a time.
func (d damages) time(text string) string {
	switch {
	case d.date.MatchString(text), d.monthName.MatchString(text):
		return "; a spreadsheet's date has no time zone, and day and month may be swapped: let it take the column as text"
	case d.dayNumber.MatchString(text), d.scientific.MatchString(text):
		return "; it " + damaged + "it is a spreadsheet's number of a day" + asText
	default:
		return ""
	}
}

// Programs that keep numbers as binary fractions keep 15 digits of one. Longer ones
// end in zeros then. One of them alone may be as it was.
const (
	keptDigits = 15
	// suspectZeros is how many zeros behind the kept digits, of all long numbers of a column,
	// are no accident any more: one in a million.
	suspectZeros = 6
)

// rounding watches one column of references for numbers that were rounded.
type rounding struct {
	zeros   int  // behind the digits that are kept, of all long numbers so far
	several bool // they are not all the same
	intact  bool // a long number is not rounded, so none is
	text    string
	first   CSVFault
}

// see takes one reference, at its place.
func (r *rounding) see(text string, at CSVFault) {
	if r.intact || len(text) <= keptDigits || strings.Trim(text, "0123456789") != "" {
		return
	}
	rest := text[keptDigits:]
	if text[0] == '0' || strings.Trim(rest, "0") != "" { // a number has no zero in front
		r.intact = true
		return
	}
	if r.zeros == 0 {
		r.text, r.first = strings.Clone(text), at
	}
	r.several = r.several || text != r.text
	r.zeros += len(rest)
}

// found returns the fault, if there is one.
func (r *rounding) found() (CSVFault, bool) {
	f := r.first
	f.Rule = damaged + "every long number of this column, first here, ends in zeros behind its 15th digit" + asText
	return f, !r.intact && r.several && r.zeros >= suspectZeros
}
