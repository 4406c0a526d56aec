package events

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

//go:generate go test . -run TheWriterIsWhatTheTypesSay -generate

// writer appends JSON to a buffer, member by member. A payment's events are
// written by it and not by reflection: a command costs two events, and reflection
// takes three times as long. The methods that know the members of a type are
// generated from its tags (write_generated.go). A test compares what they write
// with what reflection writes.
//
// Methods whose name begins with maybe leave out an empty member.
type writer struct {
	b   []byte
	err error
}

// errYear: RFC 3339 has four digits for a year.
var errYear = errors.New("a time's year is outside of 0 to 9999")

// About how long an event is, so that its buffer seldom grows.
const (
	eventRoom     = 1_620
	operationRoom = 420
)

// writeEvent writes an event's data, and in structured mode the envelope
// around it.
func writeEvent(a *attributes, data *resultData, binary bool) ([]byte, error) {
	w := writer{b: make([]byte, 0, eventRoom+operationRoom*len(data.State.Operations))}
	if binary {
		w.resultData("", data)
	} else {
		w.structuredEvent("", &structured[resultData]{attributes: *a, Data: data})
	}
	if w.err != nil {
		return nil, fmt.Errorf("encode %s: %w", a.Type, w.err)
	}
	return w.b, nil
}

// open begins an object or a list, as a member if it is given a name.
func (w *writer) open(name string, c byte) {
	if name != "" {
		w.name(name)
	} else {
		w.comma()
	}
	w.b = append(w.b, c)
}

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
	if len(w.b) == 0 {
		return
	}
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
	w.open(name, '[')
	for _, s := range list {
		w.comma()
		w.quote(s)
	}
	w.close(']')
}

func (w *writer) number(name string, n int64) {
	w.name(name)
	w.b = strconv.AppendInt(w.b, n, 10)
}

func (w *writer) maybeNumber(name string, n int64) {
	if n != 0 {
		w.number(name, n)
	}
}

func (w *writer) maybeNumbers(name string, list []int) {
	if len(list) == 0 {
		return
	}
	w.open(name, '[')
	for _, n := range list {
		w.comma()
		w.b = strconv.AppendInt(w.b, int64(n), 10)
	}
	w.close(']')
}

func (w *writer) count(name string, n uint64) {
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
	if !s.IsZero() {
		w.name(name)
		w.b = s.append(w.b)
	}
}
