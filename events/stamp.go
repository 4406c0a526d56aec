package events

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// stampLayout is RFC 3339 with exactly three digits of fraction; times are in
// UTC before they are formatted, so the zone is always Z.
const stampLayout = "2006-01-02T15:04:05.000Z07:00"

// Stamp is a time as results carry it: RFC 3339, UTC, with exactly milliseconds.
// Its zero value is left out of an event.
type Stamp struct{ time.Time }

// MarshalJSONTo writes the time with its fraction cut to milliseconds.
func (s Stamp) MarshalJSONTo(enc *jsontext.Encoder) error {
	var buf [len(stampLayout) + 2]byte
	return enc.WriteValue(s.append(buf[:0]))
}

// append appends the time as a JSON string.
func (s Stamp) append(b []byte) []byte {
	b = append(b, '"')
	b = s.UTC().AppendFormat(b, stampLayout)
	return append(b, '"')
}

// UnmarshalJSONFrom reads any RFC 3339 time, with or without a fraction.
func (s *Stamp) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	tok, err := dec.ReadToken()
	if err != nil {
		return err
	}
	if tok.Kind() != '"' {
		return fmt.Errorf("read time: a JSON %v is no time", tok.Kind())
	}
	t, err := time.Parse(time.RFC3339Nano, tok.String())
	if err != nil {
		return fmt.Errorf("read time: %w", err)
	}
	s.Time = t.UTC()
	return nil
}

// stamp formats a time for an attribute; the zero time is "" (left out).
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(stampLayout)
}
