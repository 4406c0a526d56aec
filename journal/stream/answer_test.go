package stream_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/journal/journaltest"
	"github.com/countermand/countermand/journal/stream"
)

// reply is an answer with this text.
func reply(text string) *nats.Msg { return &nats.Msg{Data: []byte(text)} }

// refusal is an answer as the server words it.
func refusal(code int, description string) *nats.Msg {
	return reply(fmt.Sprintf(`{"error":{"code":400,"err_code":%d,"description":%q},"stream":"PAYMENT_EVENTS","seq":0}`, code, description))
}

// script answers tries of appends in turn, nil meaning that the real server is
// asked; after its end every try is. Reads go to the real server.
type script struct {
	conn  stream.Requester
	turns []func() (*nats.Msg, error)
	sent  []*nats.Msg // appends, in order
}

func (s *script) RequestMsgWithContext(ctx context.Context, msg *nats.Msg) (*nats.Msg, error) {
	if strings.HasPrefix(msg.Subject, "$JS.API.") {
		return s.conn.RequestMsgWithContext(ctx, msg)
	}
	s.sent = append(s.sent, msg)
	if len(s.sent) <= len(s.turns) {
		return s.turns[len(s.sent)-1]()
	}
	return s.conn.RequestMsgWithContext(ctx, msg)
}

func answers(msgs ...*nats.Msg) []func() (*nats.Msg, error) {
	var turns []func() (*nats.Msg, error)
	for _, m := range msgs {
		turns = append(turns, func() (*nats.Msg, error) { return m, nil })
	}
	return turns
}

func TestAnAnswerThatSaysNothingIsRepeatedWithTheSameBytes(t *testing.T) {
	t.Parallel()
	for name, turn := range map[string]*nats.Msg{
		"no JSON":                        reply("hello"),
		"empty":                          reply(""),
		"no sequence":                    reply(`{"stream":"PAYMENT_EVENTS"}`),
		"a code nobody knows":            refusal(19999, "something new"),
		"the system is without a leader": refusal(10008, "JetStream system temporarily unavailable"),
		"refused though nothing moved":   refusal(10071, "wrong last sequence: 0"),
		"a duplicate that is not there":  reply(`{"stream":"PAYMENT_EVENTS","seq":9,"duplicate":true}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			s := &script{conn: b.Connect(t), turns: answers(turn, turn)}
			sequence, err := open(t, s, nil).Append(withTimeout(t), 0, journaltest.Event(id, 1, "a"))
			if err != nil || sequence != 1 {
				t.Fatalf("append ended in sequence %d, %v", sequence, err)
			}
			if len(s.sent) != 3 || b.messages(t) != 1 {
				t.Fatalf("%d tries left %d messages, want 3 and 1", len(s.sent), b.messages(t))
			}
			for _, again := range s.sent[1:] {
				if again != s.sent[0] {
					t.Error("a later try is another message")
				}
			}
		})
	}
}

func TestRefusingStoresAreToldApart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer           *nats.Msg
		refuses, unknown bool
	}{
		"full of messages":                   {refusal(10077, "maximum messages exceeded"), true, false},
		"full of bytes":                      {refusal(10077, "maximum bytes exceeded"), true, false},
		"insufficient resources":             {refusal(10023, "insufficient resources"), true, false},
		"insufficient storage":               {refusal(10047, "insufficient storage resources available"), true, false},
		"account limits":                     {refusal(10002, "resource limits exceeded for account"), true, false},
		"sealed":                             {refusal(10109, "invalid operation on sealed stream"), true, false},
		"taken by another stream":            {reply(`{"stream":"OTHER","seq":7}`), true, false},
		"failed while storing, perhaps here": {refusal(10077, "write: input/output error"), true, true},
		"message too large for the stream":   {refusal(10054, "message size exceeds maximum allowed"), false, false},
		"message too large for the store":    {refusal(10077, "message too large"), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			s := &script{conn: b.Connect(t), turns: answers(c.answer)}
			_, err := open(t, s, nil).Append(withTimeout(t), 0, journaltest.Event(id, 1, "a"))
			if err == nil {
				t.Fatal("append was accepted")
			}
			if errors.Is(err, journal.ErrStoreRefuses) != c.refuses || errors.Is(err, journal.ErrUnknown) != c.unknown {
				t.Errorf("append ended in %v", err)
			}
			if len(s.sent) != 1 || b.messages(t) != 0 {
				t.Errorf("%d tries left %d messages, want 1 and 0", len(s.sent), b.messages(t))
			}
		})
	}
}

func TestAnEventTooLargeForTheConnectionIsAnErrorOfItsOwn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	big := journaltest.BigEvent(id)
	big.State.Operations = append(big.State.Operations, big.State.Operations...)
	_, err := open(t, b.Connect(t), nil).Append(withTimeout(t), 0, big)
	if !errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, journal.ErrUnknown) || errors.Is(err, journal.ErrStoreRefuses) {
		t.Errorf("append ended in %v, want only ErrMaxPayload", err)
	}
}

func TestAFullStreamRefusesAndSaysSoWithCertainty(t *testing.T) {
	t.Parallel()
	for _, limit := range []string{"messages", "bytes"} {
		t.Run(limit, func(t *testing.T) {
			t.Parallel()
			cfg := natstest.EventsConfig(1)
			if limit == "messages" {
				cfg.MaxMsgs = 1
			} else {
				cfg.MaxBytes = 4000
			}
			b := setupWith(t, cfg)
			j := open(t, b.Connect(t), nil)
			sequence, err := j.Append(withTimeout(t), 0, journaltest.Event(id, 1, "a"))
			if err != nil {
				t.Fatal(err)
			}
			for version := uint64(2); err == nil; version++ {
				sequence, err = j.Append(withTimeout(t), sequence, journaltest.Event(id, version, "a"))
			}
			if !errors.Is(err, journal.ErrStoreRefuses) || errors.Is(err, journal.ErrUnknown) {
				t.Errorf("append to a full stream ended in %v", err)
			}
		})
	}
}

func TestEveryAppendCarriesItsGuardAndATokenOfItsOwn(t *testing.T) {
	t.Parallel()
	s := &script{conn: setup(t).Connect(t)}
	j := open(t, s, &stream.Options{Random: strings.NewReader(strings.Repeat("0123456789abcdef", 2) + "fedcba9876543210")})
	for i := range uint64(2) {
		if _, err := j.Append(withTimeout(t), i, journaltest.Event(id, i+1, "a")); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.AppendRejection(withTimeout(t), journaltest.Rejection(9)); err != nil {
		t.Fatal(err)
	}
	filter, err := events.Filter(id)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []map[string]string{
		{"Nats-Expected-Last-Subject-Sequence": "0", "Nats-Expected-Last-Subject-Sequence-Subject": filter, "Countermand-Append": "30313233343536373839616263646566"},
		{"Nats-Expected-Last-Subject-Sequence": "1", "Nats-Expected-Last-Subject-Sequence-Subject": filter, "Countermand-Append": "30313233343536373839616263646566"},
		{"Nats-Expected-Last-Subject-Sequence": "0", "Nats-Expected-Last-Subject-Sequence-Subject": "", "Nats-Expected-Stream": "PAYMENT_REFUSALS", "Countermand-Append": "66656463626139383736353433323130"},
	} {
		for name, value := range want {
			if got := s.sent[i].Header.Get(name); got != value {
				t.Errorf("append %d: %s is %q, want %q", i, name, got, value)
			}
		}
		if got := s.sent[i].Header.Get("Nats-Msg-Id"); got != "" {
			t.Errorf("append %d carries the message id %q", i, got)
		}
	}
	if _, err := j.Append(withTimeout(t), 2, journaltest.Event(id, 3, "a")); err == nil || len(s.sent) != 3 {
		t.Errorf("without randomness for a token the append ended in %v", err)
	}
}
