package providers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	strictjson "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/countermand/countermand/internal/safetext"
)

// ErrUnreadable is returned for an answer that is not the JSON expected. It
// says no more: the decoder's own errors quote values.
var ErrUnreadable = errors.New("the answer is not the JSON expected")

// usualRequest is as long as most requests are at most, in bytes.
const usualRequest = 512

// EncodeJSON encodes v without HTML escaping and without a final line break.
// Members of maps come out sorted at every level, so equal maps give equal bytes.
func EncodeJSON(v any) ([]byte, error) {
	var buffer bytes.Buffer
	buffer.Grow(usualRequest)
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}

// DecodeJSON decodes exactly one JSON value into v. Anything else, an empty
// body, text behind the value or a member of another type, is ErrUnreadable.
// So is a member named twice: of two statuses the wrong one could be read. For
// the same reason names are compared letter by letter, case included. Members v
// does not name are ignored: providers add them without notice.
func DecodeJSON(body []byte, v any) error {
	if err := strictjson.Unmarshal(body, v); err != nil {
		return ErrUnreadable
	}
	return nil
}

// Text reads a JSON string or number as text: providers send codes and amounts
// as either. null and absent are "".
type Text string

// UnmarshalJSON reads a string, a number or null; anything else is ErrUnreadable.
func (t *Text) UnmarshalJSON(b []byte) error {
	switch {
	case string(b) == "null":
		return nil
	case plainString(b):
		*t = Text(b[1 : len(b)-1])
		return nil
	case plainNumber(b):
		*t = Text(b)
		return nil
	default:
		return t.unusual(b)
	}
}

// unusual reads what is neither a string that reads as it is written nor digits.
func (t *Text) unusual(b []byte) error {
	var s string
	var n json.Number
	switch {
	case json.Unmarshal(b, &s) == nil:
		*t = Text(s)
	case json.Unmarshal(b, &n) == nil:
		*t = Text(n)
	default:
		return ErrUnreadable
	}
	return nil
}

// UnmarshalJSONFrom reads the same without a copy of the value: every answer has
// some of them.
func (t *Text) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	b, err := d.ReadValue()
	if err != nil {
		return err //nolint:wrapcheck // the decoder's own, whose caller says no more than ErrUnreadable
	}
	return t.UnmarshalJSON(b)
}

// plainNumber reports whether b is a JSON number of digits alone.
func plainNumber(b []byte) bool {
	if len(b) == 0 || b[0] == '0' && len(b) > 1 {
		return false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// plainString reports whether b is a JSON string that reads as it is written.
func plainString(b []byte) bool {
	if len(b) < 2 || b[0] != '"' {
		return false
	}
	for _, c := range b[1 : len(b)-1] {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return b[len(b)-1] == '"'
}

// Int reads the text as an integer, false if it is none: 4.00 is not one,
// because minor units have no fraction and guessing would move the point. Nor is
// anything an integer is not usually written as, such as +4 or 0400.
func (t Text) Int() (int64, bool) {
	n, err := strconv.ParseInt(string(t), 10, 64)
	return n, err == nil && strconv.FormatInt(n, 10) == string(t)
}

// Reference reads the text as a provider's reference of an operation. One that
// cannot be the name of anything is "": too long, since it stays in the payment's
// state for ever and an answer can hold a megabyte, or more like a person's name,
// address, account or card number.
func (t Text) Reference() string {
	if !safetext.Identifier(string(t)) {
		return ""
	}
	return string(t)
}
