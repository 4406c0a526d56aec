package events

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Origin names the command that began the operation of an event: its CloudEvents
// id and source. Both are empty where an event has no operation.
type Origin struct {
	CommandID     string `json:"commandId"`
	CommandSource string `json:"commandSource"`
}

// DecodeOrigin reads an event's origin, in either mode, and nothing else of it:
// it costs less than DecodeEvent, and a newer format of the state is no error.
func DecodeOrigin(m Message) (Origin, error) {
	var whole struct {
		Data Origin `json:"data"`
	}
	var target any = &whole.Data // binary mode: the data alone
	if isStructured(m) {
		target = &whole
	}
	if err := json.Unmarshal(m.Data, target, jsontext.AllowDuplicateNames(true)); err != nil {
		return Origin{}, fmt.Errorf("decode origin: %w", err)
	}
	return whole.Data, nil
}
