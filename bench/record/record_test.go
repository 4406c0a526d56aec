package record_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/countermand/countermand/bench/job"
	"github.com/countermand/countermand/bench/judge"
	"github.com/countermand/countermand/bench/record"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// The floor's results are judged like all others, and a journal filled with these
// events can be read by the consumer.
func TestAFilledEventIsTheCommandsAndCanBeRead(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 41, 899, job.MaxNumber} {
		c := job.Number(n)
		for version, e := range []record.Event{record.Started(c), record.Succeeded(c)} {
			if !json.Valid(e.Data) || bytes.Contains(e.Data, []byte("NNN")) || bytes.Contains(e.Data, []byte("AAA")) {
				t.Fatalf("event of command %d is %s", n, e.Data)
			}
			entry, err := events.DecodeEvent(events.Message{Subject: e.Subject, Header: map[string][]string{"Content-Type": {job.ContentType}}, Data: e.Data})
			if err != nil {
				t.Fatalf("read event of command %d: %v", n, err)
			}
			state := entry.State
			if int(state.Version) != version+1 || len(state.Operations) != 1 || state.Operations[0].Amount.Value != c.Amount {
				t.Errorf("state of command %d after event %d is %+v", n, version+1, state)
			}
		}
		if got := judge.Check(n, n+1, [][]byte{record.Succeeded(c).Data}); !got.Right() {
			t.Errorf("result of command %d: %s", n, got)
		}
		filter, err := events.Filter(payment.ID{Provider: job.Instance, Native: c.Payment})
		if err != nil || filter != record.Filter(c) {
			t.Errorf("filter of command %d is %s, the journal's is %s (%v)", n, record.Filter(c), filter, err)
		}
	}
}
