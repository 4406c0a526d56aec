package e2e_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/schemas"
)

// deliveries counts how often each command is delivered.
type deliveries struct {
	broker.Handler
	mu    sync.Mutex
	count map[uint64]int
}

// Handle counts and handles.
func (c *deliveries) Handle(ctx context.Context, d handlers.Delivery) handlers.Disposition {
	c.mu.Lock()
	if !d.Timer {
		c.count[d.OriginSequence]++
	}
	c.mu.Unlock()
	return c.Handler.Handle(ctx, d)
}

func (c *deliveries) of(sequence uint64) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count[sequence]
}

func TestEachBadInputGetsTheAnswerTheListNames(t *testing.T) {
	t.Parallel()
	list, err := schemas.BadInputs()
	if err != nil {
		t.Fatal(err)
	}
	w := setup(t)
	results := w.follow()
	counted := &deliveries{count: map[uint64]int{}}
	sequences, answers := map[string]uint64{}, 0
	for _, in := range list {
		sequence, code := w.offer(in)
		if code != in.Expect.StreamError {
			t.Errorf("%s: the stream said %d, want %d", in.ID, code, in.Expect.StreamError)
		}
		if sequence > 0 {
			sequences[in.ID] = sequence
			answers++
		}
	}
	w.serve(func(h broker.Handler) broker.Handler { counted.Handler = h; return counted })
	w.hurry("nowhere-xx") // not answered at once: a rollout may be under way
	events := results.await(func(all []event) string {
		if len(all) < answers {
			return fmt.Sprintf("%d of %d answers", answers-len(all), answers)
		}
		return ""
	})
	w.quiet()
	for _, in := range list {
		sequence := sequences[in.ID]
		switch in.Expect.Kind {
		case schemas.AnswerCommandRejected:
			w.checkRejected(in, sequence, events)
		case schemas.AnswerRejected:
			checkRefused(t, in, events)
		}
		if n := counted.of(sequence); sequence > 0 && n != 1 {
			t.Errorf("%s was delivered %d times", in.ID, n)
		}
	}
	if len(events) != answers {
		t.Errorf("%d events, want one answer for each of %d messages", len(events), answers)
	}
	for _, c := range append(w.opay.Calls(), w.openpay.Calls()...) {
		t.Errorf("a provider was told: %s %s", c.Operation, c.Payment)
	}
}

// offer publishes a bad input as it is, and returns its sequence, or the
// stream's error code.
func (w *world) offer(in schemas.BadInput) (sequence uint64, code int) {
	w.t.Helper()
	ack, err := w.js.PublishMsg(w.t.Context(), &nats.Msg{Subject: in.Subject, Header: in.Headers, Data: in.Bytes()})
	var refused *jetstream.APIError
	switch {
	case errors.As(err, &refused):
		return 0, int(refused.ErrorCode)
	case err != nil:
		w.t.Fatalf("%s: %v", in.ID, err)
	}
	return ack.Sequence, 0
}

// checkRejected: payment.command.rejected names the fault, and the bytes are
// in quarantine.
func (w *world) checkRejected(in schemas.BadInput, sequence uint64, events []event) {
	w.t.Helper()
	i := slices.IndexFunc(events, func(e event) bool { return e.rejection() && e.Data.OriginSequence == sequence })
	if i < 0 {
		w.t.Errorf("%s: no answer", in.ID)
		return
	}
	e := events[i]
	if e.Data.Code != in.Expect.Code {
		w.t.Errorf("%s: code %s, want %s", in.ID, e.Data.Code, in.Expect.Code)
	}
	want := fault{Pointer: in.Expect.Pointer, Rule: in.Expect.Rule}
	if in.Expect.Rule != "" && !slices.Contains(e.Data.Faults, want) {
		w.t.Errorf("%s: faults %+v lack %+v", in.ID, e.Data.Faults, want)
	}
	if id := eventID(in); e.CausationID != id && readable(in) {
		w.t.Errorf("%s: causationid %q, want %q", in.ID, e.CausationID, id)
	}
	hash := sha256.Sum256(in.Bytes())
	sum := hex.EncodeToString(hash[:])
	if token := fmt.Sprintf("%d-%s", sequence, sum[:12]); e.Subject != "payment.command.rejected."+token || e.Data.SHA256 != sum || e.Data.Size != len(in.Bytes()) {
		w.t.Errorf("%s: answered on %s with SHA-256 %s and size %d", in.ID, e.Subject, e.Data.SHA256, e.Data.Size)
	}
	k := w.quarantined(e)
	if !bytes.Equal(k.Data, in.Bytes()) || k.Sequence != sequence || k.Subject != in.Subject {
		w.t.Errorf("%s: quarantine holds %q of message %d on %s", in.ID, k.Data, k.Sequence, k.Subject)
	}
	headers := in.Headers
	if headers == nil {
		headers = map[string][]string{}
	}
	if diff := cmp.Diff(headers, k.Headers); diff != "" {
		w.t.Errorf("%s: headers in quarantine (-sent +kept):\n%s", in.ID, diff)
	}
}

// readable reports whether the event's id can be told from the message.
func readable(in schemas.BadInput) bool { return in.ID != "long-id" && eventID(in) != "" }

func eventID(in schemas.BadInput) string {
	if id := in.Headers["ce-id"]; len(id) > 0 {
		return id[0]
	}
	return ""
}

// checkRefused: payment.<op>.rejected with the code.
func checkRefused(t *testing.T, in schemas.BadInput, events []event) {
	t.Helper()
	op := strings.TrimSuffix(strings.TrimPrefix(in.Subject, "payment."), ".requested")
	var got []string
	for _, e := range events {
		if e.CausationID == eventID(in) {
			got = append(got, e.Type+" "+e.Data.Code)
		}
	}
	if want := []string{"payment." + op + ".rejected " + in.Expect.Code}; !slices.Equal(got, want) {
		t.Errorf("%s: answered by %q, want %q", in.ID, got, want)
	}
}

// hurry waits until the command for a provider that is not configured has its
// timer, and delivers that timer as it would come after five minutes.
func (w *world) hurry(provider string) {
	w.t.Helper()
	due, err := w.js.Stream(w.t.Context(), w.cfg.Streams.Due)
	if err != nil {
		w.t.Fatal(err)
	}
	var timer *jetstream.RawStreamMsg
	w.poll("there is no timer for "+provider, func() bool {
		timer, err = due.GetLastMsgForSubject(w.t.Context(), "payment.schedule.refund."+provider+".*.*")
		return err == nil
	})
	if timer == nil {
		return
	}
	m := &nats.Msg{Subject: "payment.due.refund", Header: nats.Header{}, Data: timer.Data}
	for name, values := range timer.Header {
		if !strings.HasPrefix(name, "Nats-") {
			m.Header[name] = values
		}
	}
	past := func(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339Nano) }
	m.Header.Set("Countermand-Origin-Time", past(6*time.Minute))
	m.Header.Set("Countermand-Due", past(time.Second))
	w.publish(m)
}
