package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/countermand/countermand/events"
)

// Entry is one message of the journal.
type Entry struct {
	Sequence uint64
	Time     time.Time
	Message  events.Message
}

// Same reports whether two entries are the same message at the same place.
func (e Entry) Same(o Entry) bool {
	return e.Sequence == o.Sequence && e.Time.Equal(o.Time) && e.Message.Subject == o.Message.Subject &&
		bytes.Equal(e.Message.Data, o.Message.Data) && maps.EqualFunc(e.Message.Header, o.Message.Header, slices.Equal)
}

// line is an entry as a file holds it. Data is the body as text where it is
// UTF-8, DataBase64 where it is not; a line has one of them.
type line struct {
	Subject    string              `json:"subject"`
	Sequence   uint64              `json:"sequence"`
	Time       time.Time           `json:"time"`
	Headers    map[string][]string `json:"headers,omitempty"`
	Data       *string             `json:"data,omitempty"`
	DataBase64 []byte              `json:"dataBase64,omitempty"`
}

// encode appends an entry as one line to a buffer.
func encode(b *bytes.Buffer, e Entry) error {
	l := line{Subject: e.Message.Subject, Sequence: e.Sequence, Time: e.Time.UTC(), Headers: e.Message.Header}
	if utf8.Valid(e.Message.Data) {
		text := string(e.Message.Data)
		l.Data = &text
	} else {
		l.DataBase64 = e.Message.Data
	}
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(l); err != nil {
		return fmt.Errorf("encode message %d: %w", e.Sequence, err)
	}
	return nil
}

// errNoEntry: a line holds no message of a journal.
var errNoEntry = errors.New("it is no line of an archive")

// decode reads a line.
func decode(raw []byte) (Entry, error) {
	var l line
	if err := json.Unmarshal(raw, &l); err != nil {
		return Entry{}, fmt.Errorf("%w: %w", errNoEntry, err)
	}
	if l.Sequence == 0 || l.Subject == "" || (l.Data == nil) == (l.DataBase64 == nil) {
		return Entry{}, errNoEntry
	}
	e := Entry{Sequence: l.Sequence, Time: l.Time, Message: events.Message{Subject: l.Subject, Header: l.Headers, Data: l.DataBase64}}
	if l.Data != nil {
		e.Message.Data = []byte(*l.Data)
	}
	return e, nil
}
