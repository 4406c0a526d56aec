package desk

import (
	"context"
	"fmt"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// Story is one payment as an operator sees it.
type Story struct {
	Provider string `json:"provider"`
	Payment  string `json:"payment"`
	// Version and Seen go back with a ruling. Seen was taken before the journal
	// was read.
	Version  uint64         `json:"version"`
	Seen     time.Time      `json:"seen"`
	Captured *payment.Money `json:"captured,omitempty"`
	// Operations in the order of their first event.
	Operations []Operation `json:"operations"`
	// Events in order; Complete is false where there are more.
	Events   []Event `json:"events"`
	Complete bool    `json:"complete"`
}

// Operation is one operation of a payment.
type Operation struct {
	Operation payment.Op `json:"operation"`
	// Key is empty where no event that could be read names it.
	Key    payment.Key    `json:"idempotencyKey"`
	Status payment.Status `json:"status"`
	Amount *payment.Money `json:"amount,omitempty"`
	Full   bool           `json:"full,omitempty"`
	// AtRisk is the largest amount that anybody says it moves; absent: not known.
	AtRisk *payment.Money `json:"atRisk,omitempty"`
	// Currency is the payment's, where anything names it. Refundable is what may be ruled
	// to have moved at most: what can still be refunded of the captured amount, or what the
	// provider says has moved; absent: what was captured is not known.
	Currency   payment.Currency `json:"currency,omitempty"`
	Refundable *payment.Money   `json:"refundable,omitempty"`
	Moved      *payment.Money   `json:"moved,omitempty"`
	Effect     payment.Effect   `json:"effect,omitempty"`
	Code       payment.Code     `json:"code,omitempty"`
	Basis      payment.Basis    `json:"basis,omitempty"`
	InDoubt    bool             `json:"inDoubt,omitempty"`
	CallUntil  time.Time        `json:"callUntil,omitzero"`
	NextLook   time.Time        `json:"nextLook,omitzero"`
	// Review is there while a person is needed.
	Review            *payment.Review `json:"review,omitempty"`
	ClientReference   string          `json:"clientReference,omitempty"`
	ProviderReference string          `json:"providerReference,omitempty"`
	Attempts          []Attempt       `json:"attempts,omitempty"`
	// Choices are the three rulings with what each needs; empty once it has ended.
	Choices []Choice `json:"choices,omitempty"`
	// Proposals wait for a second person to rule the same.
	Proposals []Proposal `json:"proposals,omitempty"`

	asked   *payment.Money // the amount, of a full one what was captured; nil: nobody has named it
	content string         // the fingerprint of what was asked
}

// Attempt is one call: what was asked, and what is known of the answer.
type Attempt struct {
	Number    int            `json:"number"`
	StartedAt time.Time      `json:"startedAt"`
	CallUntil time.Time      `json:"callUntil,omitzero"`
	Reference string         `json:"reference,omitempty"` // ours, as it was sent
	Amount    *payment.Money `json:"amount,omitempty"`
	Full      bool           `json:"full,omitempty"`
	Answers   []Event        `json:"answers,omitempty"`
}

// Event is one event of the payment, its texts masked as they lie in the journal.
type Event struct {
	ID       string              `json:"id"`
	Type     string              `json:"type"`
	Version  uint64              `json:"version"`
	Data     events.Result       `json:"data"`
	Resolved *payment.ResolvedBy `json:"resolvedBy,omitempty"`
}

// Choice is one ruling as it may or may not be made.
type Choice struct {
	As      As   `json:"as"`
	Allowed bool `json:"allowed"`
	// Why says why not, or what there is to know.
	Why string `json:"why,omitempty"`
	// Effects are those that may be ruled, the first where none is said; empty:
	// none is to be said. With the effect refunded what moved is required too.
	Effects []payment.Effect `json:"effects,omitempty"`
	// NeedsMoved: what moved and the provider's reference are required.
	NeedsMoved bool `json:"needsMoved,omitempty"`
	// Confirm is the amount that must be typed out.
	Confirm *payment.Money `json:"confirm,omitempty"`
	// NeedsSecond: another person has to rule the same, whatever is said to have moved.
	NeedsSecond bool `json:"needsSecond,omitempty"`
}

// Proposal is a ruling that waits for a second person.
type Proposal struct {
	Audit    string    `json:"audit"`
	Operator string    `json:"operator"`
	Login    string    `json:"login,omitempty"`
	At       time.Time `json:"at"`
	Until    time.Time `json:"until"` // when it lapses
	As       As        `json:"as"`
	Reason   string    `json:"reason"`
	Evidence string    `json:"evidence"`
	payment.Testimony

	action payment.OperatorAction
}

// Find returns the operation with this op and key, or nil.
func (s *Story) Find(op payment.Op, key payment.Key) *Operation {
	for i := range s.Operations {
		if o := &s.Operations[i]; o.Operation == op && o.Key == key {
			return o
		}
	}
	return nil
}

// Payment tells the story of one payment. A payment nobody has seen is an
// *Error with FaultNotFound.
func (d *Desk) Payment(ctx context.Context, id payment.ID) (*Story, error) {
	seen := d.o.Now().UTC()
	if _, err := events.Filter(id); err != nil {
		return nil, invalid("%v", err)
	}
	rec, err := d.o.Journal.Last(ctx, id)
	if err != nil {
		return nil, unavailable("read the payment", err)
	}
	if rec.Sequence == 0 {
		return nil, &Error{Fault: FaultNotFound, Message: "there is no such payment: it is named by the identifier its kind goes by (orderId or transactionId)"}
	}
	// Behind the state: an event in between makes the view stale, and never unseen.
	history, complete, err := d.o.Journal.History(ctx, id)
	if err != nil {
		return nil, unavailable("read the payment's events", err)
	}
	s := &Story{
		Provider: id.Provider, Payment: id.Native, Version: rec.State.Version, Seen: seen, Captured: rec.State.Captured,
		Complete: complete,
	}
	proposals, err := d.proposals(ctx, rec.Sequence)
	if err != nil {
		return nil, unavailable("read proposals", err)
	}
	for _, e := range history {
		s.Events = append(s.Events, eventOf(e))
	}
	t := telling{id: id, state: rec.State, events: s.Events, keys: keysOf(history), proposals: proposals}
	for _, op := range rec.State.Operations {
		s.Operations = append(s.Operations, d.operation(t, op))
	}
	return s, nil
}

// proposals are what was proposed since an event; looked for only where two
// persons may be needed.
func (d *Desk) proposals(ctx context.Context, since uint64) ([]payment.OperatorAction, error) {
	if len(d.o.SecondPersonAbove) == 0 {
		return nil, nil
	}
	return d.actions(ctx, ActionPropose, since)
}

func eventOf(e events.Entry) Event {
	return Event{
		ID: e.ID, Type: events.TypeOf(e.Op, e.Type), Version: e.State.Version,
		Data: e.Data, Resolved: e.Data.ResolvedBy,
	}
}

// keysOf finds the keys of operations that have ended: their states keep the
// hash alone.
func keysOf(history []events.Entry) map[string]payment.Key {
	keys := map[string]payment.Key{}
	for _, e := range history {
		keys[e.Data.IdempotencyKey.Hash()] = e.Data.IdempotencyKey
	}
	return keys
}

// telling is what one payment's operations are laid out from.
type telling struct {
	id        payment.ID
	state     payment.State
	events    []Event
	keys      map[string]payment.Key
	proposals []payment.OperatorAction
}

// operation lays one operation out.
func (d *Desk) operation(t telling, op payment.Operation) Operation {
	key := t.keys[op.KeyHash]
	if op.Open != nil {
		key = op.Open.Key
	}
	o := Operation{
		Operation: op.Op, Key: key, Status: op.Status, Amount: op.Amount, Full: op.Full, Moved: op.Moved,
		Effect: op.Effect, Code: op.Code, Basis: op.Basis, InDoubt: op.InDoubt(), ProviderReference: op.ProviderReference,
		Attempts: attempts(op.Op, key, t.events),
	}
	if op.Open == nil {
		return o
	}
	o.AtRisk, o.Refundable, o.asked = t.state.AtRisk(op), mayHaveMoved(t.state, op), t.state.Asked(op)
	o.Currency, o.content = currencyOf(t.state, op), op.Fingerprint
	o.CallUntil, o.NextLook, o.Review, o.ClientReference = op.Open.CallUntil, op.Open.Due, op.Open.Review, op.Open.Reference
	o.Choices = d.choices(t, op)
	var matter []payment.OperatorAction
	for _, a := range t.proposals {
		if proposes(a, t.id, op, key, t.state.Version) && !payment.ProposalLapsed(a.At, d.o.Now()) {
			matter = append(matter, a)
		}
	}
	for _, a := range d.newest(matter) {
		o.Proposals = append(o.Proposals, proposalOf(a))
	}
	return o
}

// attempts groups an operation's events by the call they speak of.
func attempts(op payment.Op, key payment.Key, all []Event) []Attempt {
	var list []Attempt
	for _, e := range all {
		r := e.Data
		if r.Operation != op || r.IdempotencyKey != key {
			continue
		}
		if r.Status == string(payment.StatusStarted) {
			list = append(list, Attempt{
				Number: r.Attempt, StartedAt: r.OccurredAt.Time, CallUntil: r.CallUntil.Time,
				Reference: r.ClientReference, Amount: r.Amount, Full: r.Full,
			})
			continue
		}
		for i := range list {
			if list[i].Number == r.Attempt {
				list[i].Answers = append(list[i].Answers, e)
			}
		}
	}
	return list
}

// mayHaveMoved is the largest amount that may be ruled to have moved: what can still be
// given back, or what the provider itself says has moved. Nil: any.
func mayHaveMoved(s payment.State, op payment.Operation) *payment.Money {
	left := s.Refundable(op)
	if left != nil && op.Moved != nil && op.Moved.Currency == left.Currency && op.Moved.Value > left.Value {
		return op.Moved
	}
	return left
}

// currencyOf is the currency of the payment, or nothing where nothing names it.
func currencyOf(s payment.State, op payment.Operation) payment.Currency {
	for _, m := range []*payment.Money{op.Amount, s.CapturedOf(op)} {
		if m != nil {
			return m.Currency
		}
	}
	return op.Open.Payment.Currency
}

// limitText says how much may be ruled to have moved.
func limitText(left *payment.Money) string {
	if left == nil {
		return "what was captured is not known, so no amount is too large"
	}
	return "at most " + left.Text() + " can still be refunded"
}

// choices says what may be ruled on an open operation.
func (d *Desk) choices(t telling, op payment.Operation) []Choice {
	second := NeedsSecond(d.o.SecondPersonAbove, t.state.AtRisk(op))
	under := ""
	if now := d.o.Now(); op.Status == payment.StatusStarted && now.Before(op.Open.CallUntil) {
		under = "a call may be under way until " + op.Open.CallUntil.UTC().Format(time.RFC3339)
	}
	in, configured := d.o.Providers.Get(t.id.Provider)
	if !configured {
		under = "the provider is not configured here"
	}
	list := []Choice{
		{As: AsSucceeded, Allowed: under == "", Why: under, NeedsMoved: op.Op.GivesBack(), NeedsSecond: second},
		{As: AsFailed, Allowed: under == "", Why: under, NeedsSecond: second},
	}
	list[0].Effects = effects(op.Op)
	if under == "" {
		list[0].Why = limitText(mayHaveMoved(t.state, op))
	}
	retry := Choice{As: AsRetry, Allowed: under == "", Why: under, NeedsSecond: second}
	if retry.Allowed {
		retry = retryChoice(retry, in, t.state, op)
	}
	return append(list, retry)
}

// retryChoice says whether calling again could pay twice. It could not where
// nothing is in doubt, and where the provider itself makes a repeat harmless.
func retryChoice(c Choice, in providers.Instance, s payment.State, op payment.Operation) Choice {
	repeat := in.Provider.Traits().For(op.Op, op.Full).Repeat
	switch {
	case op.Open.Account != "" && op.Open.Account != in.Account:
		c.Allowed, c.Why = false, "the operation was called at another account than the instance has now"
	case !op.InDoubt() && op.Status != payment.StatusPending:
		c.Why = "nothing was executed: it cannot pay twice"
	case repeat == payment.RepeatHarmless || repeat == payment.RepeatRefused:
		c.Why = fmt.Sprintf("a repeat is %s by the provider: it cannot pay twice", repeat)
	default:
		c.Confirm = s.AtRisk(op)
		c.Why = "it could pay twice: type the amount out to confirm"
		if c.Confirm == nil {
			c.Allowed, c.Why = false, "it could pay twice, and nobody has named the amount that would be confirmed"
		}
	}
	return c
}
