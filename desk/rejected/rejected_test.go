package rejected_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/rejected"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

// kept is a journal with one rejection, and the message that was rejected.
type kept struct {
	journal stream.Stored
	message events.Message
}

func (k kept) NextRejection(context.Context, uint64) (stream.Stored, uint64, error) {
	return k.journal, 0, nil
}

func (k kept) StoredRejection(context.Context, string) (stream.Stored, error) { return k.journal, nil }

func (k kept) Kept(context.Context, string) (m events.Message, sequence uint64, found bool, err error) {
	return k.message, 7, true, nil
}

func (kept) Delete(context.Context, string) (bool, error) { return false, errors.New("not here") }

// replayer keeps what is to be published.
type replayer struct{ asked []desk.Replay }

func (p *replayer) Replay(_ context.Context, _ desk.Operator, r desk.Replay) (desk.Replayed, error) {
	p.asked = append(p.asked, r)
	return desk.Replayed{Applied: true}, nil
}

// An operator's own program may send whatever it likes. What it does not call corrected
// is what was rejected, with its subject and its headers, or nothing.
func TestWhatIsReplayedUnchangedIsWhatWasKept(t *testing.T) {
	t.Parallel()
	const token = "7-0123456789ab"
	m, err := events.NewEncoder(nil).EncodeRejection(payment.Rejection{
		Token: token, Code: payment.CodeInvalidCommand, Faults: []payment.Fault{{Rule: "subject"}}, OriginSequence: 7, SHA256: "00",
	}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	original := events.Message{
		Subject: "payment.cancel.requested.tranzzo-ua", Data: []byte(`{"a":1}`),
		Header: map[string][]string{"ce-type": {"payment.cancel.requested"}, "ce-expirytime": {"2020-01-01T00:00:00Z"}},
	}
	as := func(change func(*desk.Replay)) desk.Replay {
		r := desk.Replay{
			Token: token, Reason: "r", Subject: original.Subject, Data: original.Data,
			Header: map[string][]string{"ce-type": {"payment.cancel.requested"}, "ce-expirytime": {"2020-01-01T00:00:00Z"}},
		}
		change(&r)
		return r
	}
	want := as(func(*desk.Replay) {})
	corrected := as(func(r *desk.Replay) { r.Corrected, r.Subject = true, "payment.refund.requested" })
	for name, c := range map[string]struct {
		asked desk.Replay
		want  *desk.Replay // nil: refused
	}{
		"without the message":      {desk.Replay{Token: token, Reason: "r"}, &want},
		"with a subject alone":     {desk.Replay{Token: token, Reason: "r", Subject: "payment.refund.requested"}, &want},
		"with the message":         {want, &want},
		"on another subject":       {as(func(r *desk.Replay) { r.Subject = "payment.cancel.requested" }), nil},
		"with another type":        {as(func(r *desk.Replay) { r.Header["ce-type"] = []string{"payment.refund.requested"} }), nil},
		"without its expiry":       {as(func(r *desk.Replay) { delete(r.Header, "ce-expirytime") }), nil},
		"with one header more":     {as(func(r *desk.Replay) { r.Header["ce-source"] = []string{"/x"} }), nil},
		"with other bytes":         {as(func(r *desk.Replay) { r.Data = []byte(`{"a":2}`) }), nil},
		"corrected, as it is sent": {corrected, &corrected},
	} {
		p := &replayer{}
		d := rejected.New(nil, kept{stream.Stored{Sequence: 9, Message: m}, original}, kept{message: original}, p)
		_, err := d.Replay(t.Context(), desk.Operator{Name: "ann", Identity: desk.IdentityNATS}, c.asked)
		var no *desk.Error
		if c.want == nil && (!errors.As(err, &no) || no.Fault != desk.FaultInvalid || len(p.asked) > 0) {
			t.Errorf("%s: %v, and %d are replayed", name, err, len(p.asked))
		}
		if c.want != nil {
			if diff := cmp.Diff([]desk.Replay{*c.want}, p.asked); err != nil || diff != "" {
				t.Errorf("%s: %v (-want +replayed):\n%s", name, err, diff)
			}
		}
	}
}
