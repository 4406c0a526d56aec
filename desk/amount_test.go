package desk_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

func eur(v int64) *payment.Money { return &payment.Money{Value: v, Currency: "EUR"} }

// refundOf is a payment with one refund that needs a person, and what is known of
// the payment besides.
func refundOf(asked int64, change func(*payment.State)) payment.Event {
	e := inReview(id, asked, now.Add(-time.Hour))
	if change != nil {
		change(&e.State)
	}
	return e
}

// earlier is a refund of the payment that has ended.
func earlier(status payment.Status, amount, moved *payment.Money) payment.Operation {
	o := payment.Operation{
		Op: payment.Refund, KeyHash: payment.Key("earlier").Hash(), Fingerprint: "f", Status: status, First: 1, Last: 1, Amount: amount, Moved: moved,
	}
	if status == payment.StatusSucceeded {
		o.Effect = payment.EffectRefunded
	}
	return o
}

func TestWhatIsRuledToHaveMovedIsHeldAgainstWhatWasAskedAndWhatIsLeft(t *testing.T) {
	t.Parallel()
	captured := func(v int64) func(*payment.State) { return func(s *payment.State) { s.Captured = eur(v) } }
	with := func(v int64, o payment.Operation) func(*payment.State) {
		return func(s *payment.State) { s.Captured, s.Operations = eur(v), append(s.Operations, o) }
	}
	for name, c := range map[string]struct {
		state          func(*payment.State)
		full           bool
		moved, confirm *payment.Money
		want           desk.Fault
		code           payment.Code
		says           string
	}{
		"as asked":                      {state: captured(5800), moved: eur(5800)},
		"less than asked":               {state: captured(5800), moved: eur(58), want: desk.FaultRefused, code: payment.CodeAmountDiffers, says: "0.58 EUR moved, 58.00 EUR asked, the provider's reference rf-1: refused: amount_differs"},
		"less than asked, confirmed":    {state: captured(5800), moved: eur(58), confirm: eur(58), code: payment.CodeAmountDiffers},
		"confirmed with the asked":      {state: captured(5800), moved: eur(58), confirm: eur(5800), want: desk.FaultRefused, code: payment.CodeAmountDiffers},
		"more than asked":               {state: captured(9000), moved: eur(5801), want: desk.FaultRefused, code: payment.CodeAmountDiffers},
		"more than asked, confirmed":    {state: captured(9000), moved: eur(9000), confirm: eur(9000), code: payment.CodeAmountDiffers},
		"more than captured":            {state: captured(9000), moved: eur(9001), confirm: eur(9001), want: desk.FaultRefused, says: "at most 90.00 EUR can still be refunded"},
		"the largest amount there is":   {state: captured(9000), moved: eur(payment.MaxAmount), confirm: eur(payment.MaxAmount), want: desk.FaultRefused, says: "90071992547409.91 EUR moved, 58.00 EUR asked"},
		"what an earlier one has left":  {state: with(9000, earlier(payment.StatusSucceeded, eur(3000), eur(3100))), moved: eur(5900), confirm: eur(5900), code: payment.CodeAmountDiffers},
		"more than an earlier one left": {state: with(9000, earlier(payment.StatusSucceeded, eur(3000), eur(3100))), moved: eur(5901), confirm: eur(5901), want: desk.FaultRefused, says: "at most 59.00 EUR"},
		"an earlier one failed":         {state: with(9000, earlier(payment.StatusFailed, eur(3000), nil)), moved: eur(9000), confirm: eur(9000), code: payment.CodeAmountDiffers},
		"captured unknown, as asked":    {moved: eur(5800)},
		"captured unknown, more":        {moved: eur(5801), want: desk.FaultRefused, code: payment.CodeAmountDiffers},
		"captured unknown, confirmed":   {moved: eur(9999900), confirm: eur(9999900), code: payment.CodeAmountDiffers},
		"another currency":              {state: captured(5800), moved: &payment.Money{Value: 5800, Currency: "USD"}, want: desk.FaultInvalid, says: "what moved is in USD, the payment in EUR"},
		"nobody named it, unconfirmed":  {full: true, moved: eur(5800), want: desk.FaultRefused, code: payment.CodeAmountDiffers, says: "the amount asked is not known"},
		"nobody named it, confirmed":    {full: true, moved: eur(5800), confirm: eur(5800), code: payment.CodeAmountDiffers},
		"nobody named it, the currency": {full: true, moved: &payment.Money{Value: 5800, Currency: "USD"}, want: desk.FaultInvalid},
		"a full one, the whole":         {state: captured(5800), full: true, moved: eur(5800)},
		"a full one, less":              {state: captured(5800), full: true, moved: eur(5700), want: desk.FaultRefused, code: payment.CodeAmountDiffers},
		"the provider's reading bounds": {state: func(s *payment.State) {
			s.Operations[0].Open.Snapshot = &payment.Reading{OK: true, Captured: eur(6000)}
		}, moved: eur(6001), confirm: eur(6001), want: desk.FaultRefused, says: "at most 60.00 EUR"},
		"its own command's word bounds":  {state: func(s *payment.State) { s.Operations[0].Open.Payment.CapturedAmount = eur(6000) }, moved: eur(6001), confirm: eur(6001), want: desk.FaultRefused, says: "at most 60.00 EUR"},
		"more, which the provider says":  {state: saidMore(100, 12340), full: true, moved: eur(12340), confirm: eur(12340), code: payment.CodeAmountDiffers},
		"that, unconfirmed":              {state: saidMore(100, 12340), full: true, moved: eur(12340), want: desk.FaultRefused, code: payment.CodeAmountDiffers, says: "1.00 EUR asked"},
		"more than both":                 {state: saidMore(100, 12340), full: true, moved: eur(12341), confirm: eur(12341), want: desk.FaultRefused, says: "at most 123.40 EUR"},
		"as asked, which may be":         {state: saidMore(100, 12340), full: true, moved: eur(100)},
		"its own earlier call is no one": {state: with(5800, earlier(payment.StatusRejected, eur(5800), nil)), moved: eur(5800)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, payment.RepeatUnsafe, nil, nil, refundOf(5800, func(s *payment.State) {
				s.Operations[0].Open.Payment.Currency = "EUR"
				if c.full {
					s.Operations[0].Full, s.Operations[0].Amount = true, nil
				}
				if c.state != nil {
					c.state(s)
				}
			}))
			_, r := b.view(desk.AsSucceeded)
			r.Moved, r.ConfirmAmount, r.DryRun = c.moved, c.confirm, true
			done, err := b.desk.Resolve(t.Context(), alice, r)
			var no *desk.Error
			if errors.As(err, &no) && no.Code != c.code || err == nil && done.Code != c.code {
				t.Errorf("code %q, %q, want %q", done.Code, no, c.code)
			}
			if faultOf(err) != c.want || (err == nil) != (c.want == "") || c.says != "" && !strings.Contains(err.Error(), c.says) {
				t.Errorf("ended in %v, want %q saying %q", err, c.want, c.says)
			}
			if err == nil && !strings.HasPrefix(done.Decision, c.moved.Text()+" moved, ") {
				t.Errorf("the decision in words is %q", done.Decision)
			}
		})
	}
}

// saidMore is a full refund whose command names what was captured, and of which the
// provider says that more has moved.
func saidMore(captured, moved int64) func(*payment.State) {
	return func(s *payment.State) {
		s.Operations[0].Open.Payment.CapturedAmount, s.Operations[0].Moved = eur(captured), eur(moved)
		s.Operations[0].Open.Review = &payment.Review{Reason: "moved_more_than_asked"}
	}
}

// What one person may rule alone rests on the largest word that anybody has said. A
// command that names less than was captured does not make a ruling a small one.
func TestWhatTheProviderSaysCountsForTheSecondPersonToo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*payment.State)
		waits  bool
	}{
		"the provider has moved more":             {saidMore(100, 12340), true},
		"the provider has moved another currency": {func(s *payment.State) { saidMore(100, 0)(s); s.Operations[0].Moved = nil }, true},
		"its reading calls more captured": {func(s *payment.State) {
			s.Operations[0].Open.Payment.CapturedAmount = eur(100)
			s.Operations[0].Open.Snapshot = &payment.Reading{OK: true, Captured: eur(12340)}
		}, true},
		"nobody says more than the command":         {func(s *payment.State) { s.Operations[0].Open.Payment.CapturedAmount = eur(100) }, false},
		"the provider has moved less than is asked": {saidMore(200, 100), false},
	} {
		b := setup(t, payment.RepeatUnsafe, nil, nil, refundOf(5800, func(s *payment.State) {
			s.Operations[0].Full, s.Operations[0].Amount = true, nil
			c.change(s)
		})).with(twoPeople(t), []payment.Money{{Value: 300, Currency: "EUR"}})
		for _, as := range []desk.As{desk.AsFailed, desk.AsSucceeded} {
			_, r := b.view(as)
			r.DryRun = true
			if as == desk.AsSucceeded {
				r.Moved, r.ConfirmAmount, r.ProviderReference = eur(100), eur(100), "rf"
			}
			if done, err := b.desk.Resolve(t.Context(), logins("anna")[0], r); err != nil || done.AwaitsSecond != c.waits {
				t.Errorf("%s, as %s: %+v, %v, want it to wait: %t", name, as, done, err, c.waits)
			}
		}
	}
}

func TestTheStorySaysHowMuchMayBeRuledToHaveMoved(t *testing.T) {
	t.Parallel()
	for want, state := range map[string]func(*payment.State){
		"at most 60.00 EUR can still be refunded":                   func(s *payment.State) { s.Captured = eur(6000) },
		"what was captured is not known, so no amount is too large": nil,
	} {
		b := setup(t, payment.RepeatUnsafe, nil, nil, refundOf(5800, state))
		s, _ := b.view(desk.AsSucceeded)
		if got := s.Operations[0].Choices[0].Why; got != want {
			t.Errorf("the story says %q, want %q", got, want)
		}
	}
}

// told is a story in which a person has ended the operation.
func told(as payment.Status, change func(*events.Result)) *desk.Story {
	by := &payment.ResolvedBy{Operator: "ana", Reason: "asked", Evidence: "ticket 4711"}
	var r events.Result
	r.Operation, r.IdempotencyKey, r.Status = payment.Refund, "k", string(as)
	if as == payment.StatusSucceeded {
		r.Effect, r.Moved, r.ProviderReference = payment.EffectRefunded, eur(400), "rf-1"
	}
	if change != nil {
		change(&r)
	}
	return &desk.Story{Version: 2, Events: []desk.Event{{Version: 2, Data: r, Resolved: by}}}
}

func TestARulingIsDoneBeforeOnlyIfItIsEqualInEveryField(t *testing.T) {
	t.Parallel()
	base := desk.Ruling{
		Operation: payment.Refund, Key: "k", Version: 1, As: desk.AsSucceeded, Reason: "asked", Evidence: "ticket 4711",
		Testimony: payment.Testimony{Moved: eur(400), ProviderReference: "rf-1"},
	}
	for name, c := range map[string]struct {
		story  *desk.Story
		change func(*desk.Ruling)
		want   bool
	}{
		"the same":             {told(payment.StatusSucceeded, nil), nil, true},
		"on a later view":      {told(payment.StatusSucceeded, nil), func(r *desk.Ruling) { r.Version = 2 }, true},
		"without a view":       {told(payment.StatusSucceeded, nil), func(r *desk.Ruling) { r.Version = 0 }, true},
		"as failed":            {told(payment.StatusSucceeded, nil), func(r *desk.Ruling) { r.As, r.Testimony = desk.AsFailed, payment.Testimony{} }, false},
		"another amount":       {told(payment.StatusSucceeded, nil), func(r *desk.Ruling) { r.Moved = eur(401) }, false},
		"another reference":    {told(payment.StatusSucceeded, nil), func(r *desk.Ruling) { r.ProviderReference = "rf-2" }, false},
		"another reason":       {told(payment.StatusSucceeded, nil), func(r *desk.Ruling) { r.Reason = "heard" }, false},
		"other evidence":       {told(payment.StatusSucceeded, nil), func(r *desk.Ruling) { r.Evidence = "ticket 4712" }, false},
		"another key":          {told(payment.StatusSucceeded, nil), func(r *desk.Ruling) { r.Key = "l" }, false},
		"another operation":    {told(payment.StatusSucceeded, nil), func(r *desk.Ruling) { r.Operation = payment.Cancel }, false},
		"failed as failed":     {told(payment.StatusFailed, nil), func(r *desk.Ruling) { r.As, r.Testimony = desk.AsFailed, payment.Testimony{} }, true},
		"failed as retry":      {told(payment.StatusFailed, nil), func(r *desk.Ruling) { r.As, r.Testimony = desk.AsRetry, payment.Testimony{} }, false},
		"retried as retry":     {told(payment.StatusStarted, nil), func(r *desk.Ruling) { r.As, r.Testimony = desk.AsRetry, payment.Testimony{} }, true},
		"a retry later":        {told(payment.StatusStarted, nil), func(r *desk.Ruling) { r.As, r.Testimony, r.Version = desk.AsRetry, payment.Testimony{}, 2 }, false},
		"a retry now":          {told(payment.StatusStarted, nil), func(r *desk.Ruling) { r.As, r.Testimony, r.Version = desk.AsRetry, payment.Testimony{}, 0 }, false},
		"by another's masking": {told(payment.StatusFailed, nil), func(r *desk.Ruling) { r.As, r.Testimony, r.Reason = desk.AsFailed, payment.Testimony{}, "asked " }, false},
		"a cancel as voided": {told(payment.StatusSucceeded, func(r *events.Result) {
			r.Operation, r.Effect, r.Moved, r.ProviderReference = payment.Cancel, payment.EffectVoided, nil, ""
		}), func(r *desk.Ruling) {
			r.Operation, r.Testimony = payment.Cancel, payment.Testimony{Effect: payment.EffectVoided}
		}, true},
		"a cancel as closed, which nobody said": {told(payment.StatusSucceeded, func(r *events.Result) {
			r.Operation, r.Effect, r.Moved, r.ProviderReference = payment.Cancel, payment.EffectClosed, nil, ""
		}), func(r *desk.Ruling) { r.Operation, r.Testimony = payment.Cancel, payment.Testimony{} }, true},
		"a cancel with another effect": {told(payment.StatusSucceeded, func(r *events.Result) {
			r.Operation, r.Effect, r.Moved, r.ProviderReference = payment.Cancel, payment.EffectVoided, nil, ""
		}), func(r *desk.Ruling) { r.Operation, r.Testimony = payment.Cancel, payment.Testimony{} }, false},
	} {
		r := base
		if c.change != nil {
			c.change(&r)
		}
		if got := c.story.Ruled(r); got != c.want {
			t.Errorf("%s: done before is %t", name, got)
		}
	}
}
