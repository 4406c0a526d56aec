package stream_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/journal/journaltest"
	"github.com/countermand/countermand/providers/providertest"
)

// leader answers one question and is gone.
type leader struct {
	reply []byte
	gone  context.CancelFunc
}

func (l leader) RequestMsgWithContext(context.Context, *nats.Msg) (*nats.Msg, error) {
	l.gone()
	return &nats.Msg{Data: l.reply}, nil
}

// last is what the journal makes of one answer of the leader's.
func last(t *testing.T, reply []byte) (journal.Record, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	return open(t, leader{reply, cancel}, nil).Last(ctx, id)
}

// stored is the leader's answer about one message.
func stored(t *testing.T, subject string, head, data []byte) []byte {
	t.Helper()
	reply, err := json.Marshal(map[string]any{"message": map[string]any{"subject": subject, "seq": 7, "hdrs": head, "data": data}})
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// asItStands fails the test unless an answer is read as the event of this
// payment and version that its subject names, or is an error.
func asItStands(t *testing.T, subject string, reply, data []byte) bool {
	t.Helper()
	record, err := last(t, reply)
	if err != nil {
		if record.Sequence != 0 || record.State.Version != 0 {
			t.Fatalf("an error and a record: %+v, %v", record, err)
		}
		return false
	}
	want, err := events.EventSubject(record.Op, record.Type, id, record.State.Version)
	if err != nil || subject != want || record.Sequence != 7 {
		t.Fatalf("version %d, %s %s, is read from %s: %q", record.State.Version, record.Op, record.Type, subject, data)
	}
	if own := providertest.ReadEvidence(data).At("id"); own.Present() && !own.Is(subject) {
		t.Fatalf("another event is read from %s: %q", subject, data)
	}
	return true
}

// Never an empty journal, and never a state that belongs elsewhere.
func TestWhatIsStoredIsReadAsItStandsOrIsAnError(t *testing.T) {
	t.Parallel()
	words := []string{`1`, `2`, `3`, `"payment.refund.failed"`, `"payment.cancel.started"`, `"payment.refund.started.opay-eg.1001000.4"`}
	for _, mode := range []bool{false, true} {
		m, err := events.NewEncoder(&events.EncoderOptions{Binary: mode}).EncodeEvent(journaltest.Event(id, 3, "a"))
		if err != nil {
			t.Fatal(err)
		}
		head := "NATS/1.0\r\n"
		for name, values := range m.Header {
			head += name + ": " + values[0] + "\r\n"
		}
		head += "\r\n"
		if !asItStands(t, m.Subject, stored(t, m.Subject, []byte(head), m.Data), m.Data) {
			t.Fatal("the event itself is refused")
		}
		n := 0
		for script := range providertest.EveryChange(m.Data, len(words)) {
			if n++; n%7 == 0 {
				data := providertest.Reshape(m.Data, script, words...)
				asItStands(t, m.Subject, stored(t, m.Subject, []byte(head), data), data)
			}
		}
		for cut := 0; cut < len(m.Data); cut += 5 {
			asItStands(t, m.Subject, stored(t, m.Subject, []byte(head), m.Data[:cut]), m.Data[:cut])
		}
		for _, elsewhere := range []string{
			strings.TrimSuffix(m.Subject, "3") + "4", strings.TrimSuffix(m.Subject, "3") + "13",
			strings.Replace(m.Subject, "1001000", "1001001", 1), strings.Replace(m.Subject, "refund", "cancel", 1), strings.Replace(m.Subject, "started", "failed", 1),
		} {
			if asItStands(t, elsewhere, stored(t, elsewhere, []byte(head), m.Data), m.Data) {
				t.Errorf("the event of %s is read from %s", m.Subject, elsewhere)
			}
		}
	}
}

func TestAnAnswerThatIsNoneIsNoEmptyJournal(t *testing.T) {
	t.Parallel()
	for _, reply := range []string{
		"", "hello", "{}", "[]", "null", `{"message":null}`, `{"message":{"seq":0}}`, `{"message":{"seq":7}}`, `{"message":{"seq":"7"}}`,
		`{"error":{"err_code":503}}`, `{"error":null}`, `{"error":{"err_code":10037},"error":{"err_code":1}}`, `{"ERROR":{"err_code":10037}}`,
	} {
		if record, err := last(t, []byte(reply)); err == nil {
			t.Errorf("%s is read as %+v", reply, record)
		}
	}
	if record, err := last(t, []byte(`{"error":{"code":404,"err_code":10037,"description":"no message found"}}`)); err != nil || record.Sequence != 0 {
		t.Errorf("no message found is %+v, %v", record, err)
	}
}
