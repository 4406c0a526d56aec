package desk_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// counter is everything around a replayer, and notes in which order it is used.
type counter struct {
	rejection payment.Rejection
	auditErr  error
	pubErr    error
	did       []string
	sent      events.Message
	audited   payment.OperatorAction
	actions   []payment.OperatorAction // all that was audited
	version   uint64                   // the payment's

	operations []payment.Operation // the payment\'s
}

func (c *counter) Last(context.Context, payment.ID) (journal.Record, error) {
	return journal.Record{State: payment.State{Version: c.version, Operations: c.operations}}, nil
}

func (*counter) History(context.Context, payment.ID) ([]events.Entry, bool, error) {
	return nil, true, nil
}

func (c *counter) OperatorActions(_ context.Context, action string, after uint64) (all []payment.OperatorAction, _ error) {
	for i, a := range c.actions {
		if a.Action == action && uint64(i) >= after {
			a.Sequence = uint64(i + 1)
			all = append(all, a)
		}
	}
	return all, nil
}

func (c *counter) AppendOperator(_ context.Context, a payment.OperatorAction) error {
	if c.auditErr == nil {
		c.did, c.audited, c.actions = append(c.did, "audit"), a, append(c.actions, a)
	}
	return c.auditErr
}

func (*counter) Open(context.Context) ([]payment.ID, bool, error) { return nil, true, nil }

func (*counter) Resolve(context.Context, handlers.Ruling) (journal.Record, error) {
	return journal.Record{}, nil
}

func (*counter) Requery(context.Context, payment.ID, payment.Op, payment.Key) (handlers.Requeried, error) {
	return handlers.Requeried{}, nil
}

func (*counter) Ask(context.Context, payment.ID, payment.Op, payment.Key) (handlers.Answer, error) {
	return handlers.Answer{}, nil
}

func (c *counter) Rejection(_ context.Context, token string) (payment.Rejection, error) {
	if token != c.rejection.Token {
		return payment.Rejection{}, nil
	}
	return c.rejection, nil
}

func (c *counter) Publish(_ context.Context, m events.Message, _ string) error {
	c.did, c.sent = append(c.did, "publish"), m
	return c.pubErr
}

// orders names payments by their order, and is never called.
type orders struct{ providers.Provider }

func (orders) Traits() payment.Traits {
	does := payment.OperationTraits{Supported: true}
	return payment.Traits{Kind: "opay", Cancel: does, FullRefund: does, PartialRefund: does}
}

// strict is a kind that needs a currency and refunds whole payments only.
type strict struct{ providers.Provider }

func (strict) Traits() payment.Traits {
	return payment.Traits{Kind: "strict", FullRefund: payment.OperationTraits{Supported: true}, RequiresCurrency: true}
}

// replaying returns a replayer for a message that was rejected for a reason.
func replaying(t *testing.T, data string, code payment.Code) (*desk.Replayer, *counter) {
	t.Helper()
	return replayingWith(t, data, code, nil, nil)
}

// replayingWith is replaying with people and limits.
func replayingWith(t *testing.T, data string, code payment.Code, people *desk.People, above []payment.Money) (*desk.Replayer, *counter) {
	t.Helper()
	sum := sha256.Sum256([]byte(data))
	c := &counter{rejection: payment.Rejection{
		Token: events.RejectionToken(7, []byte(data)), Code: code, SHA256: hex.EncodeToString(sum[:]), OriginSubject: "payment.refund.requested",
	}}
	set, err := providers.NewSet(
		providers.Instance{Name: "opay-eg", Kind: "opay", Account: "a", Provider: orders{}},
		providers.Instance{Name: "strict-eg", Kind: "strict", Account: "b", Provider: strict{}},
	)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	at := func() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }
	d, err := desk.New(c, c, c, set, &desk.Options{People: people, SecondPersonAbove: above, Now: at, IDs: func() string {
		n++
		return fmt.Sprintf("01J000000000000000000000%02d", n)
	}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := desk.NewReplayer(d, c, c, events.NewEncoder(&events.EncoderOptions{Source: "/s"}), &desk.ReplayOptions{Now: at})
	if err != nil {
		t.Fatal(err)
	}
	return r, c
}

// command is a refund at a provider, with more attributes of the envelope.
func command(provider, more string) string {
	return `{"specversion":"1.0","id":"old","source":"/shop","type":"payment.refund.requested"` + more +
		`,"data":{"idempotencyKey":"k","provider":"` + provider + `","payment":{"orderId":"1"},"amount":{"value":4,"currency":"EGP"}}}`
}

func ana() desk.Operator { return desk.Operator{Name: "ana", Identity: desk.IdentityNATS} }

func replay(c *counter, data string) desk.Replay {
	return desk.Replay{Token: c.rejection.Token, Reason: "why", Subject: "payment.refund.requested", Data: []byte(data)}
}

func TestAReplayIsRecordedThenPublishedUnderANewID(t *testing.T) {
	t.Parallel()
	data := command("opay-eg", `,"expirytime":"2026-11-22T00:00:00Z"`)
	r, c := replaying(t, data, payment.CodeUnknownProvider)
	got, err := r.Replay(t.Context(), ana(), replay(c, data))
	if err != nil || !got.Applied || strings.Join(c.did, " ") != "audit publish" {
		t.Fatalf("%+v, %v, did %v", got, err, c.did)
	}
	d, err := events.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	sent, invalid := d.DecodeCommand(c.sent)
	if invalid != nil {
		t.Fatal(invalid)
	}
	if sent.CommandID != got.EventID || sent.CommandID == "old" || sent.CommandSource != "/shop" || sent.CorrelationID != "old" || sent.Key != "k" || sent.Expiry.IsZero() {
		t.Errorf("sent %+v", sent)
	}
	if want := `"causationid":"payment.command.rejected.` + c.rejection.Token + `"`; !strings.Contains(string(c.sent.Data), want) {
		t.Errorf("%s lacks %s", c.sent.Data, want)
	}
	if a := c.audited; a.Action != "replay" || a.Operator != "ana" || a.Reason != "why" || a.Token != c.rejection.Token || a.ID.Native != "1" || !strings.Contains(a.Evidence, got.EventID) {
		t.Errorf("recorded %+v", a)
	}
}

func TestWithoutARecordNothingIsPublished(t *testing.T) {
	t.Parallel()
	data := command("opay-eg", "")
	r, c := replaying(t, data, payment.CodeUnknownProvider)
	c.auditErr = errors.New("the store is full")
	if got, err := r.Replay(t.Context(), ana(), replay(c, data)); err == nil || got.Applied || len(c.did) > 0 {
		t.Errorf("%+v, %v, did %v", got, err, c.did)
	}
}

func TestWhatCannotBeReplayedIsRefusedAndLeavesNoTrace(t *testing.T) {
	t.Parallel()
	good := command("opay-eg", "")
	for name, c := range map[string]struct {
		data   string
		code   payment.Code
		change func(*desk.Replay)
		fault  desk.Fault // empty: told by faults
	}{
		"it is no command":                    {data: `{"specversion":"1.0"}`, code: payment.CodeInvalidCommand},
		"its provider is not configured":      {data: command("other", ""), code: payment.CodeUnknownProvider, fault: desk.FaultRefused},
		"its key is another operation's":      {data: good, code: payment.CodeIdempotencyKeyReused, fault: desk.FaultRefused},
		"the payment is full":                 {data: good, code: payment.CodeTooManyOperations, fault: desk.FaultRefused},
		"it has expired":                      {data: command("opay-eg", `,"expirytime":"2026-11-21T12:00:00Z"`), fault: desk.FaultRefused},
		"its bytes are others":                {data: good, change: func(r *desk.Replay) { r.Data = append(r.Data, ' ') }, fault: desk.FaultInvalid},
		"there is no reason":                  {data: good, change: func(r *desk.Replay) { r.Reason = " " }, fault: desk.FaultInvalid},
		"there is no such rejection":          {data: good, change: func(r *desk.Replay) { r.Token = "8-0123456789ab" }, fault: desk.FaultNotFound},
		"a guard has rejected it":             {data: good, change: func(r *desk.Replay) { r.Token = "payment.refund.rejected.opay-eg.1.1" }, fault: desk.FaultInvalid},
		"corrected, but it is no command yet": {data: good, change: func(r *desk.Replay) { r.Data, r.Corrected = []byte("{}"), true }},
	} {
		r, around := replaying(t, c.data, c.code)
		wish := replay(around, c.data)
		if c.change != nil {
			c.change(&wish)
		}
		got, err := r.Replay(t.Context(), ana(), wish)
		var no *desk.Error
		switch {
		case c.fault == "":
			if err != nil || len(got.Faults) == 0 {
				t.Errorf("%s: %+v, %v, want faults", name, got, err)
			}
		case !errors.As(err, &no) || no.Fault != c.fault:
			t.Errorf("%s: %v, want %s", name, err, c.fault)
		}
		if got.Applied || len(around.did) > 0 {
			t.Errorf("%s: did %v", name, around.did)
		}
	}
}

func TestADryReplayChecksAndDoesNothing(t *testing.T) {
	t.Parallel()
	data := command("opay-eg", "")
	r, c := replaying(t, data, payment.CodeUnknownProvider)
	wish := replay(c, data)
	wish.DryRun = true
	if got, err := r.Replay(t.Context(), ana(), wish); err != nil || got.Applied || got.Key != "k" || len(c.did) > 0 {
		t.Errorf("%+v, %v, did %v", got, err, c.did)
	}
}

func TestATimersBytesMayBeOthersAndWhetherItWasSentMayBeUnknown(t *testing.T) {
	t.Parallel()
	data := command("opay-eg", "")
	r, c := replaying(t, "the bytes of the first message", payment.CodeUnknownProvider)
	c.rejection.OriginSubject, c.pubErr = "payment.due.refund", errors.New("timeout")
	wish := replay(c, data)
	wish.Subject = "payment.due.refund"
	_, err := r.Replay(t.Context(), ana(), wish)
	var no *desk.Error
	if !errors.As(err, &no) || no.Fault != desk.FaultUnknown || strings.Join(c.did, " ") != "audit publish" {
		t.Errorf("%v, did %v", err, c.did)
	}
	if strings.Contains(c.audited.Evidence, "unchanged") || !strings.Contains(c.audited.Evidence, "not compared") {
		t.Errorf("recorded as %q, which nobody has compared", c.audited.Evidence)
	}
}

func TestAReplayThatWouldBeRefusedAgainIsToldAndNotPublished(t *testing.T) {
	t.Parallel()
	const amount = `},"amount":{"value":499,"currency":"EGP"}`
	other := payment.Command{Op: payment.Refund, Key: "k", Full: true}
	at := func(provider, data string) string { return strings.Replace(data, "opay-eg", provider, 1) }
	for name, c := range map[string]struct {
		data       string
		operations []payment.Operation
		want       []payment.Fault
	}{
		"nothing is wrong": {data: refund(amount)},
		"its kind needs more": {
			data: at("strict-eg", refund(amount)), want: []payment.Fault{{Pointer: "/payment/currency", Rule: "required", Detail: "this provider kind needs it"}},
		},
		"its kind cannot": {
			data: at("strict-eg", refund(`,"currency":"EGP"`+amount)), want: []payment.Fault{{Rule: "partial_refund_unsupported"}},
		},
		"its key is another's": {
			data: refund(amount), operations: []payment.Operation{{Op: payment.Refund, KeyHash: other.Key.Hash(), Fingerprint: other.Fingerprint()}},
			want: []payment.Fault{{Pointer: "/idempotencyKey", Rule: "idempotency_key_reused"}},
		},
		"the payment is cancelled": {
			data: refund(amount), operations: []payment.Operation{{Op: payment.Cancel, Status: payment.StatusSucceeded, Effect: payment.EffectVoided}},
			want: []payment.Fault{{Rule: "payment_cancelled"}},
		},
	} {
		r, around := replaying(t, c.data, payment.CodeUnknownProvider)
		around.operations = c.operations
		got, err := r.Replay(t.Context(), ana(), replay(around, c.data))
		if diff := cmp.Diff(c.want, got.Faults); err != nil || diff != "" || got.Applied != (c.want == nil) || len(around.did) > 0 != got.Applied {
			t.Errorf("%s: %+v, %v, did %v; faults (-want +got):\n%s", name, got, err, around.did, diff)
		}
	}
}

// refund is a refund with what it says of the amount.
func refund(amount string) string {
	return `{"specversion":"1.0","id":"old","source":"/shop","type":"payment.refund.requested","data":{"idempotencyKey":"k","provider":"opay-eg","payment":{"orderId":"1"` + amount + `}}`
}

func TestTheTableOfWhoMayReplayAloneAndWhoNeedsWhom(t *testing.T) {
	t.Parallel()
	limits := []payment.Money{{Value: 500, Currency: "EGP"}}
	for name, c := range map[string]struct {
		data    string
		changed bool // another message was rejected
		timer   bool
		limits  []payment.Money
		two     bool
	}{
		"below":                         {data: refund(`},"amount":{"value":499,"currency":"EGP"}`), limits: limits},
		"at the limit":                  {data: refund(`},"amount":{"value":500,"currency":"EGP"}`), limits: limits},
		"above":                         {data: refund(`},"amount":{"value":501,"currency":"EGP"}`), limits: limits, two: true},
		"another currency":              {data: refund(`},"amount":{"value":1,"currency":"EUR"}`), limits: limits, two: true},
		"the whole, which is not named": {data: refund(`},"full":true`), limits: limits, two: true},
		"the whole, below":              {data: refund(`,"capturedAmount":{"value":500,"currency":"EGP"}},"full":true`), limits: limits},
		"the whole, above":              {data: refund(`,"capturedAmount":{"value":501,"currency":"EGP"}},"full":true`), limits: limits, two: true},
		"changed, below":                {data: refund(`},"amount":{"value":1,"currency":"EGP"}`), changed: true, limits: limits, two: true},
		"changed, where no limit is":    {data: refund(`},"amount":{"value":99999,"currency":"EGP"}`), changed: true},
		"a timer's other bytes, below":  {data: refund(`},"amount":{"value":1,"currency":"EGP"}`), timer: true, limits: limits, two: true},
		"above, where no limit is":      {data: refund(`},"amount":{"value":99999,"currency":"EGP"}`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fresh := func() (*desk.Replayer, *counter, desk.Replay) {
				rejected := c.data
				if c.changed || c.timer {
					rejected = "other bytes"
				}
				r, around := replayingWith(t, rejected, payment.CodeUnknownProvider, twoPeople(t), c.limits)
				wish := replay(around, c.data)
				wish.Corrected = c.changed
				if c.timer {
					around.rejection.OriginSubject, wish.Subject = "payment.due.refund", "payment.due.refund"
				}
				return r, around, wish
			}
			for _, first := range logins("anna") {
				for _, second := range logins("ben") {
					r, around, wish := fresh()
					dry := wish
					dry.DryRun = true
					if would, err := r.Replay(t.Context(), first, dry); err != nil || would.AwaitsSecond != c.two || would.Decision == "" || len(around.did) != 0 {
						t.Errorf("dry: %+v, %v, did %v", would, err, around.did)
					}
					done, err := r.Replay(t.Context(), first, wish)
					if err != nil || done.Applied == c.two || done.AwaitsSecond != c.two {
						t.Fatalf("anna by %s alone: %+v, %v, want two: %t", first.Identity, done, err, c.two)
					}
					if !c.two {
						continue
					}
					if strings.Join(around.did, " ") != "audit" {
						t.Errorf("did %v, want only the proposal", around.did)
					}
					for _, again := range logins("anna") {
						if done, err := r.Replay(t.Context(), again, wish); err == nil || done.Applied {
							t.Errorf("anna again by %s: %+v, %v", again.Identity, done, err)
						}
					}
					if done, err := r.Replay(t.Context(), natsLogin("ben", ""), wish); err == nil || done.Applied {
						t.Errorf("ben's name without his login: %+v, %v", done, err)
					}
					if done, err = r.Replay(t.Context(), second, wish); err != nil || !done.Applied {
						t.Errorf("anna by %s, then ben by %s: %+v, %v", first.Identity, second.Identity, done, err)
					}
					if a := around.audited; a.Action != "replay" || a.Operator != "ben" || a.Follows == "" || a.Content == "" {
						t.Errorf("recorded %+v", a)
					}
				}
			}
		})
	}
}

func TestAPersonsNewestProposalOfAReplayReplacesTheEarlierOne(t *testing.T) {
	t.Parallel()
	data := refund(`},"amount":{"value":501,"currency":"EGP"}`)
	r, c := replayingWith(t, data, payment.CodeUnknownProvider, twoPeople(t), []payment.Money{{Value: 500, Currency: "EGP"}})
	first := replay(c, data)
	first.Corrected = true
	second := first
	second.Data = []byte(strings.Replace(data, "501", "601", 1))
	for _, wish := range []desk.Replay{first, second} {
		if done, err := r.Replay(t.Context(), logins("anna")[0], wish); err != nil || !done.AwaitsSecond {
			t.Fatalf("%+v, %v", done, err)
		}
	}
	if done, err := r.Replay(t.Context(), logins("ben")[0], first); err != nil || done.Applied {
		t.Errorf("what its first person has changed is published: %+v, %v", done, err)
	}
	if done, err := r.Replay(t.Context(), logins("ben")[0], second); err != nil || !done.Applied {
		t.Errorf("the newest is not: %+v, %v", done, err)
	}
}

func TestAProposedReplayIsConfirmedOnlyAsItWasProposed(t *testing.T) {
	t.Parallel()
	data := refund(`},"amount":{"value":501,"currency":"EGP"}`)
	for name, spoil := range map[string]func(*counter, *desk.Replay){
		"another amount":              func(_ *counter, r *desk.Replay) { r.Data = []byte(strings.Replace(data, "501", "601", 1)) },
		"another key":                 func(_ *counter, r *desk.Replay) { r.Data = []byte(strings.Replace(data, `"k"`, `"l"`, 1)) },
		"the payment has moved":       func(c *counter, _ *desk.Replay) { c.version = 2 },
		"a day later":                 func(c *counter, _ *desk.Replay) { c.actions[0].At = c.actions[0].At.Add(-24 * time.Hour) },
		"it was of another rejection": func(c *counter, _ *desk.Replay) { c.actions[0].Token = "8-0123456789ab" },
		"it was of a ruling":          func(c *counter, _ *desk.Replay) { c.actions[0].Ruling = "retry" },
	} {
		r, c := replayingWith(t, data, payment.CodeUnknownProvider, twoPeople(t), []payment.Money{{Value: 500, Currency: "EGP"}})
		wish := replay(c, data)
		wish.Corrected = true
		if done, err := r.Replay(t.Context(), logins("anna")[0], wish); err != nil || !done.AwaitsSecond {
			t.Fatalf("%s: %+v, %v", name, done, err)
		}
		spoil(c, &wish)
		if done, err := r.Replay(t.Context(), logins("ben")[0], wish); err != nil || done.Applied || !done.AwaitsSecond {
			t.Errorf("%s: %+v, %v", name, done, err)
		}
	}
}
