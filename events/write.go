package events

import (
	"errors"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/countermand/countermand/payment"
)

// writer appends JSON to a buffer, member by member. A payment's events are
// written by it and not by reflection: every command costs two of them, and they
// were the dearest part of it. What it writes is byte for byte what the tags of
// the types say under wireOptions; a test compares the two for any values.
//
// Members named with a question (maybe…) are left out when empty.
type writer struct {
	b   []byte
	err error
}

// errYear: RFC 3339 has four digits for a year.
var errYear = errors.New("a time's year is outside of 0 to 9999")

func (w *writer) open(c byte)  { w.b = append(w.b, c) }
func (w *writer) close(c byte) { w.b = append(w.b, c) }

// name begins a member. Names are ours and hold nothing that JSON would escape.
func (w *writer) name(name string) {
	w.comma()
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

// comma stands before each member or element but the first.
func (w *writer) comma() {
	if last := w.b[len(w.b)-1]; last != '{' && last != '[' {
		w.b = append(w.b, ',')
	}
}

// quote writes a string. Invalid UTF-8 is replaced, and that is no error.
func (w *writer) quote(s string) {
	if !verbatim(s) {
		w.b, _ = jsontext.AppendQuote(w.b, s)
		return
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, s...)
	w.b = append(w.b, '"')
}

// verbatim reports whether a string stands in JSON as it is.
func verbatim(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func (w *writer) text(name, s string) {
	w.name(name)
	w.quote(s)
}

func (w *writer) maybeText(name, s string) {
	if s != "" {
		w.text(name, s)
	}
}

func (w *writer) texts(name string, list []string) {
	w.name(name)
	w.open('[')
	for _, s := range list {
		w.comma()
		w.quote(s)
	}
	w.close(']')
}

func (w *writer) number(n int64) { w.b = strconv.AppendInt(w.b, n, 10) }

func (w *writer) int(name string, n int64) {
	w.name(name)
	w.number(n)
}

func (w *writer) maybeInt(name string, n int) {
	if n != 0 {
		w.int(name, int64(n))
	}
}

func (w *writer) uint(name string, n uint64) {
	w.name(name)
	w.b = strconv.AppendUint(w.b, n, 10)
}

func (w *writer) maybeTrue(name string, v bool) {
	if v {
		w.name(name)
		w.b = append(w.b, "true"...)
	}
}

// time writes a time in full precision.
func (w *writer) time(name string, t time.Time) {
	if year := t.Year(); year < 0 || year > 9999 {
		w.err = errYear
	}
	w.name(name)
	w.b = append(w.b, '"')
	w.b = t.AppendFormat(w.b, time.RFC3339Nano)
	w.b = append(w.b, '"')
}

func (w *writer) maybeTime(name string, t time.Time) {
	if !t.IsZero() {
		w.time(name, t)
	}
}

// maybeStamp writes a time as results carry it.
func (w *writer) maybeStamp(name string, s Stamp) {
	if s.IsZero() {
		return
	}
	w.name(name)
	w.b = s.append(w.b)
}

func (w *writer) maybeMoney(name string, m *payment.Money) {
	if m == nil {
		return
	}
	w.name(name)
	w.open('{')
	w.int("value", m.Value)
	w.text("currency", string(m.Currency))
	w.close('}')
}
