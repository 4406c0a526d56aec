package events_test

import (
	"strings"
	"testing"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/journal/journaltest"
	"github.com/countermand/countermand/payment"
)

func TestTheOriginIsReadInBothModesAndWithoutTheState(t *testing.T) {
	t.Parallel()
	for _, binary := range []bool{false, true} {
		m, err := events.NewEncoder(&events.EncoderOptions{Binary: binary}).EncodeEvent(journaltest.Event(payment.ID{Provider: "opay-eg", Native: "1"}, 1, "w"))
		if err != nil {
			t.Fatal(err)
		}
		m.Data = []byte(strings.NewReplacer(`"format":1`, `"format":99`, `"format":2`, `"format":99`).Replace(string(m.Data)))
		if _, err := events.DecodeEvent(m); err == nil {
			t.Fatal("the state is not of another format")
		}
		if o, err := events.DecodeOrigin(m); err != nil || o != (payment.Origin{CommandID: "w", CommandSource: "/orders"}) {
			t.Errorf("binary %v: %+v, %v", binary, o, err)
		}
	}
}
