package desk

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
)

// Actions of audit events (payment.operator.<action>).
const (
	ActionResolve = "resolve" // a ruling, about to be carried out
	ActionPropose = "propose" // a ruling or a replay that waits for a second person
	ActionAsk     = "ask"     // a live question to the provider
)

// Outcomes of audit events that follow another: what was about to be done did
// not happen, or may have.
const (
	OutcomeRefused = "refused"
	OutcomeUnknown = "unknown"
)

const (
	// longestText bounds reason and evidence, in characters: what events keep.
	longestText = 200
	// longestName bounds an operator's name, in bytes.
	longestName = 64
)

// Resolve carries a ruling out: the guards, then the audit event, then the
// ruling on the version that was shown. A dry run stops before the audit event.
// Errors are *Error.
func (d *Desk) Resolve(ctx context.Context, who Operator, r Ruling) (Done, error) {
	who, err := d.Who(who)
	if err != nil {
		return Done{}, err
	}
	if err := r.check(d.o.Now()); err != nil {
		return Done{}, err
	}
	r = r.said()
	story, op, err := d.open(ctx, r)
	if err != nil {
		return Done{}, err
	}
	if err := r.allowed(op); err != nil {
		return Done{}, err
	}
	first, second, err := d.firstPerson(ctx, who, r, op)
	if err != nil {
		return Done{}, err
	}
	if r.DryRun {
		return Done{Version: story.Version, Status: op.Status, AwaitsSecond: second, Decision: r.words(op), Code: r.code(op)}, nil
	}
	action := ActionResolve
	if second {
		action = ActionPropose
	}
	a := r.audit(action, who, d.o.IDs(), d.o.Now())
	a.AtRisk, a.Content, a.Follows, a.Bulk = r.stake(op), op.content, first.ULID, r.Bulk
	if err := d.audit(ctx, a); err != nil {
		return Done{}, err
	}
	if second {
		return Done{AwaitsSecond: true, Audit: a.ULID, Version: story.Version, Status: op.Status, Decision: r.words(op), Code: r.code(op)}, nil
	}
	rec, err := d.o.Service.Resolve(ctx, r.ruling(who, first.Operator))
	if err != nil {
		return Done{}, d.cameToNothing(ctx, a, r, err)
	}
	done := Done{Applied: true, Audit: a.ULID, Version: rec.State.Version, Decision: r.words(op), Code: r.code(op)}
	if i := rec.State.Find(r.Operation, r.Key); i >= 0 {
		done.Status = rec.State.Operations[i].Status
	}
	return done, nil
}

// open finds the operation a ruling is about, as it is now.
func (d *Desk) open(ctx context.Context, r Ruling) (*Story, *Operation, error) {
	story, err := d.Payment(ctx, r.ID())
	if err != nil {
		return nil, nil, err
	}
	op := story.Find(r.Operation, r.Key)
	switch {
	case op == nil:
		return nil, nil, &Error{Fault: FaultNotFound, Message: "the payment has no such operation under this key"}
	case story.contradicts(r):
		return nil, nil, &Error{Fault: FaultRefused, Message: "this contradicts the ruling on record: " + story.onRecord(r), Now: story}
	case story.Version != r.Version:
		return nil, nil, stale(story)
	case op.Status.Terminal():
		return nil, nil, &Error{Fault: FaultRefused, Message: "the operation has ended as " + string(op.Status) + ": nothing is left to rule", Now: story}
	}
	return story, op, nil
}

// firstPerson looks for the other person where two are needed. waits is true
// while there is none; first is the proposal of the one who has ruled the same.
func (d *Desk) firstPerson(ctx context.Context, who Operator, r Ruling, op *Operation) (first payment.OperatorAction, waits bool, err error) {
	if needed, err := d.second(ctx, who, r, op); err != nil || !needed {
		return first, false, err
	}
	matter := make([]payment.OperatorAction, len(op.Proposals))
	for i, p := range op.Proposals {
		matter[i] = p.action
	}
	return d.Another(who, matter, func(a payment.OperatorAction) bool { return proposalOf(a).same(r) })
}

// cameToNothing says what became of a ruling that was not accepted, to the
// operator and in a second audit event. That one is only worth a try: the first
// stands in any case.
func (d *Desk) cameToNothing(ctx context.Context, a payment.OperatorAction, r Ruling, err error) error {
	out := d.refusal(ctx, r, err)
	a.Follows, a.ULID, a.At, a.Outcome = a.ULID, d.o.IDs(), d.o.Now(), OutcomeRefused
	if out.Fault == FaultUnknown {
		a.Outcome = OutcomeUnknown
	}
	if err := d.o.Journal.AppendOperator(ctx, a); err != nil {
		d.o.Logger.Warn("that a ruling came to nothing could not be recorded", "audit", a.Follows, "error", err.Error())
	}
	return out
}

// refusal puts the service's no into the desk's words.
func (d *Desk) refusal(ctx context.Context, r Ruling, err error) *Error {
	var no *handlers.RefusedError
	if !errors.As(err, &no) {
		if errors.Is(err, journal.ErrUnknown) || ctx.Err() != nil {
			return &Error{Fault: FaultUnknown, Message: "the ruling may have been recorded: look at the payment again", err: err}
		}
		return unavailable("carry the ruling out", err)
	}
	now, _ := d.Payment(ctx, r.ID()) // without it the operator looks again
	switch {
	case no.Stale:
		return stale(now)
	case no.Code == payment.CodeWaitingForOperation:
		return &Error{Fault: FaultUnderWay, Message: "a call may be under way: look at the payment again", Until: no.Until, Now: now}
	case no.Code == payment.CodePaymentNotFound:
		return &Error{Fault: FaultNotFound, Message: "the payment has no such operation"}
	case no.Code == payment.CodeProviderUnavailable:
		return &Error{Fault: FaultUnavailable, Message: "the provider could not be asked just now; nothing was done", Now: now}
	default:
		return &Error{Fault: FaultRefused, Message: "refused: " + string(no.Code), Now: now}
	}
}

// Reply is what a provider says now about one operation.
type Reply struct {
	At     time.Time `json:"at"`
	Result string    `json:"result"` // payment.Result's word
	// Clear: the provider's own word settles it, and the service will find it so.
	Clear             bool             `json:"clear"`
	Code              payment.Code     `json:"code,omitempty"`
	Effect            payment.Effect   `json:"effect,omitempty"`
	Moved             *payment.Money   `json:"moved,omitempty"`
	ProviderReference string           `json:"providerReference,omitempty"`
	ProviderCode      string           `json:"providerCode,omitempty"`
	ProviderMessage   string           `json:"providerMessage,omitempty"`
	Message           string           `json:"message,omitempty"`
	Payment           *payment.Reading `json:"payment,omitempty"`
}

// Ask asks the provider about one open operation, within the instance's limits;
// it moves no money and changes nothing. It is audited, since it shows what the
// journal does not hold. Errors are *Error.
func (d *Desk) Ask(ctx context.Context, who Operator, id payment.ID, op payment.Op, key payment.Key) (*Reply, error) {
	who, err := d.Who(who)
	if err != nil {
		return nil, err
	}
	if _, err := events.Filter(id); err != nil {
		return nil, invalid("%v", err)
	}
	r := Ruling{Provider: id.Provider, Payment: id.Native, Operation: op, Key: key, Reason: "live question to the provider"}
	if err := r.checkName(); err != nil {
		return nil, err
	}
	rec, err := d.o.Journal.Last(ctx, id)
	if err != nil {
		return nil, unavailable("read the payment", err)
	}
	i := rec.State.Find(op, key)
	if i < 0 {
		return nil, &Error{Fault: FaultNotFound, Message: "the payment has no such operation under this key"}
	}
	if rec.State.Operations[i].Status.Terminal() {
		return nil, &Error{Fault: FaultRefused, Message: "the operation has ended: the journal says all that is known"}
	}
	r.Version = rec.State.Version
	if err := d.audit(ctx, r.audit(ActionAsk, who, d.o.IDs(), d.o.Now())); err != nil {
		return nil, err
	}
	answer, err := d.o.Service.Ask(ctx, id, op, key)
	if err != nil {
		return nil, d.refusal(ctx, r, err)
	}
	return replyOf(answer, d.o.Now()), nil
}

func replyOf(a handlers.Answer, at time.Time) *Reply {
	o := a.Outcome
	return &Reply{
		At: at.UTC(), Result: o.Result.String(), Clear: o.Result == payment.Succeeded || o.Result == payment.Failed,
		Code: o.Code, Effect: o.Effect, Moved: o.Moved, ProviderReference: o.ProviderReference,
		ProviderCode: events.Mask(o.ProviderCode), ProviderMessage: events.Mask(o.ProviderMessage),
		Message: events.Mask(o.Message), Payment: a.Reading,
	}
}

// audit appends an audit event; without it nothing is done.
func (d *Desk) audit(ctx context.Context, a payment.OperatorAction) error {
	if err := d.o.Journal.AppendOperator(ctx, a); err != nil {
		return unavailable("record the action, so nothing was done", err)
	}
	d.o.Logger.Info("operator acts", "action", a.Action, "operator", a.Operator, "identity", a.Identity, "login", a.Login, "audit", a.ULID,
		"provider", a.ID.Provider, "payment_id", events.Token(a.ID.Native))
	return nil
}

// Audit records an operator's action that is not about a ruling, before it is
// done, and returns the event's ULID. The action's id, time and operator are
// filled in. Errors are *Error, and then nothing must be done.
func (d *Desk) Audit(ctx context.Context, who Operator, a payment.OperatorAction) (string, error) {
	who, err := d.Who(who)
	if err != nil {
		return "", err
	}
	if err := line("reason", a.Reason, longestText); err != nil {
		return "", err
	}
	a.ULID, a.At, a.Operator, a.Identity, a.Login = d.o.IDs(), d.o.Now(), who.Name, string(who.Identity), who.Login
	return a.ULID, d.audit(ctx, a)
}

func (o Operator) check() error {
	if o.Identity == "" {
		return &Error{Fault: FaultForbidden, Message: "nobody knows who you are"}
	}
	return line("operator's name", o.Name, longestName)
}

// line checks a required text of one line.
func line(what, s string, longest int) error {
	switch {
	case strings.TrimSpace(s) == "":
		return invalid("%s is required", what)
	case len([]rune(s)) > longest, strings.ContainsFunc(s, unicode.IsControl):
		return invalid("%s is one line of at most %d characters", what, longest)
	default:
		return nil
	}
}
