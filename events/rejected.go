package events

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/countermand/countermand/payment"
)

// DecodeRejection reads a payment.command.rejected back, in either mode, with the time it
// was written. Members it does not know are passed over.
func DecodeRejection(m Message) (payment.Rejection, time.Time, error) {
	var data rejectionData
	a := attributes{ID: header(m, "ce-id"), CorrelationID: header(m, "ce-correlationid")}
	var err error
	if isStructured(m) {
		e := structured[rejectionData]{Data: &data}
		err = json.Unmarshal(m.Data, &e, jsontext.AllowDuplicateNames(true))
		a = e.attributes
	} else {
		err = json.Unmarshal(m.Data, &data, jsontext.AllowDuplicateNames(true))
	}
	if err != nil {
		return payment.Rejection{}, time.Time{}, fmt.Errorf("decode rejection: %w", err)
	}
	token, ok := RejectedToken(a.ID)
	if !ok || !ValidRejectionToken(token) {
		return payment.Rejection{}, time.Time{}, errors.New("decode rejection: its id is none of a rejection's")
	}
	return payment.Rejection{
		Token: token, Code: data.Code, Faults: data.Faults, Size: data.Size, SHA256: data.SHA256,
		OriginSequence: data.OriginSequence, OriginSubject: data.OriginSubject, CommandID: data.CommandID,
		Trace: payment.Trace{CorrelationID: a.CorrelationID},
	}, data.OccurredAt.Time, nil
}

// ValidRejectionToken reports whether a text has the form of RejectionToken:
// a sequence, a hyphen, 12 hex digits.
func ValidRejectionToken(token string) bool {
	sequence, sum, ok := strings.Cut(token, "-")
	return ok && sequence != "" && len(sequence) <= 20 && strings.Trim(sequence, "0123456789") == "" &&
		len(sum) == 12 && strings.Trim(sum, "0123456789abcdef") == ""
}

// EncodeReplay is EncodeCommand for a command that an operator publishes anew: it
// names the event that caused it, in the extension causationid.
func (e *Encoder) EncodeReplay(c payment.Command, causation string) (Message, error) {
	m, err := e.EncodeCommand(c)
	if err != nil {
		return Message{}, err
	}
	id, err := json.Marshal(causation)
	if err != nil {
		return Message{}, fmt.Errorf("encode replay: %w", err)
	}
	// The extension goes in front: an object without members is no command.
	m.Data = append(append(append([]byte(`{"causationid":`), id...), ','), m.Data[1:]...)
	return m, nil
}
