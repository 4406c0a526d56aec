package events

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ToBinary rewrites a structured CloudEvent in binary mode: its attributes as
// percent-encoded ce- headers, its data as the body. The event must be one that
// DecodeCommand accepts; headers the message has already are kept.
func ToBinary(m Message) (Message, error) {
	var members map[string]jsontext.Value
	if err := json.Unmarshal(m.Data, &members); err != nil {
		return Message{}, fmt.Errorf("write event in binary mode: %w", err)
	}
	out := Message{Subject: m.Subject, Header: map[string][]string{"Content-Type": {"application/json"}}}
	for name, values := range m.Header {
		if !hasFoldPrefix(name, "content-type") {
			out.Header[name] = values
		}
	}
	for name, value := range members {
		if value.Kind() == 'n' {
			continue // unset
		}
		text := value.String()
		var err error
		switch {
		case name == memberData:
			out.Data = value
			continue
		case name == memberBase64:
			err = json.Unmarshal(value, &out.Data)
		case value.Kind() == '"':
			err = json.Unmarshal(value, &text)
		}
		if err != nil {
			return Message{}, fmt.Errorf("write event in binary mode: member %s: %w", name, err)
		}
		if name != memberBase64 {
			out.Header["ce-"+name] = []string{encodeHeader(text)}
		}
	}
	if out.Data == nil {
		return Message{}, errors.New("write event in binary mode: it has no data")
	}
	return out, nil
}
