// Package cloudevent reads and writes the events of docs/contract.md with
// nothing but the standard library: it shows how little an independent client
// needs. It reads both content modes and does not validate; a client that
// wants to can use the schemas in schemas/v1.
package cloudevent

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// ContentType is the Content-Type of an event in structured mode.
const ContentType = "application/cloudevents+json"

// Event is one event: its attributes by their names in lower case, and its data.
type Event struct {
	Attributes map[string]string
	Data       json.RawMessage
}

// Read reads a message in either mode: structured where Content-Type says so,
// else ce- headers. Attributes that are no text (none of Countermand's) and
// null are left out.
func Read(header map[string][]string, body []byte) (Event, error) {
	e := Event{Attributes: map[string]string{}}
	structured := false
	for name, values := range header {
		name = strings.ToLower(name)
		if len(values) == 0 {
			continue
		}
		structured = structured || name == "content-type" && strings.HasPrefix(strings.ToLower(values[0]), "application/cloudevents")
		if attribute, ok := strings.CutPrefix(name, "ce-"); ok {
			value, err := url.PathUnescape(values[0]) // percent-encoded, once
			if err != nil {
				return Event{}, fmt.Errorf("read header %s: %w", name, err)
			}
			e.Attributes[attribute] = value
		}
	}
	if !structured {
		e.Data = body
		return e, e.check()
	}
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(body, &members); err != nil {
		return Event{}, fmt.Errorf("read structured event: %w", err)
	}
	e.Attributes = map[string]string{} // a structured Content-Type wins over ce- headers
	for name, value := range members {
		var text *string
		switch {
		case name == "data":
			e.Data = value
		case json.Unmarshal(value, &text) == nil && text != nil:
			e.Attributes[name] = *text
		}
	}
	return e, e.check()
}

// check refuses what is no event of the contract, so that a stray message is
// never taken for a booking.
func (e Event) check() error {
	for _, name := range []string{"id", "source", "type"} {
		if e.Attributes[name] == "" {
			return fmt.Errorf("read event: it has no %s", name)
		}
	}
	if v := e.Attributes["specversion"]; v != "1.0" {
		return fmt.Errorf("read event: specversion %q is not 1.0", v)
	}
	if len(e.Data) == 0 {
		return errors.New("read event: it has no data")
	}
	return nil
}

// Write returns the body of an event in structured mode.
func Write(e Event) ([]byte, error) {
	members := map[string]any{"specversion": "1.0", "datacontenttype": "application/json", "data": e.Data}
	for name, value := range e.Attributes {
		members[name] = value
	}
	body, err := json.Marshal(members)
	if err != nil {
		return nil, fmt.Errorf("write event: %w", err)
	}
	return body, nil
}

// Token encodes an identifier as it stands in subjects: A-Z a-z 0-9 _ - as
// they are, every other byte as = and two upper-case hex digits
// (schemas/vectors/tokens.json).
func Token(identifier string) string {
	var b strings.Builder
	for i := range len(identifier) {
		c := identifier[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}
