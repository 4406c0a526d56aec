package events

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/countermand/countermand/payment"
)

// DecodeOrigin reads which command began the operation of an event, in either
// mode, and nothing else of it: it costs less than DecodeEvent, and a newer format of the state is no error.
func DecodeOrigin(m Message) (payment.Origin, error) {
	var whole struct {
		Data payment.Origin `json:"data"`
	}
	var target any = &whole.Data // binary mode: the data alone
	if isStructured(m) {
		target = &whole
	}
	if err := json.Unmarshal(m.Data, target, jsontext.AllowDuplicateNames(true)); err != nil {
		return payment.Origin{}, fmt.Errorf("decode origin: %w", err)
	}
	return whole.Data, nil
}
