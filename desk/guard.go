package desk

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/safetext"
	"github.com/countermand/countermand/payment"
)

// check is what can be said of a ruling without looking at the payment.
func (r Ruling) check(now time.Time) error {
	if _, err := events.Filter(r.ID()); err != nil {
		return invalid("%v", err)
	}
	if err := r.checkName(); err != nil {
		return err
	}
	if err := cmp.Or(line("reason", r.Reason, longestText), line("evidence", r.Evidence, longestText)); err != nil {
		return err
	}
	switch {
	case r.Version == 0 || r.Seen.IsZero():
		return invalid("version and seen of the view are required: show the payment first")
	case r.Seen.After(now.Add(payment.ClockSkew)):
		return invalid("the view was made later than now: show the payment again")
	case r.As == AsSucceeded || r.As == AsFailed || r.As == AsRetry:
		return cmp.Or(r.checkEffect(), r.checkMoved())
	default:
		return invalid("a ruling is succeeded, failed or retry")
	}
}

// checkName looks at what names the operation.
func (r Ruling) checkName() error {
	if !r.Operation.Known() {
		return invalid("operation is %s", payment.JoinOps(" or "))
	}
	return line("idempotency key", string(r.Key), 255)
}

// effects are what a success of the operation may have done, first what is taken
// where nothing is said. They are nil where it can only be one thing, which
// nobody has to say.
func effects(op payment.Op) []payment.Effect {
	if all := op.Effects(); len(all) > 1 {
		return all
	}
	return nil
}

// said returns the ruling with the effect that a success has where none is said.
func (r Ruling) said() Ruling {
	if all := effects(r.Operation); r.As == AsSucceeded && all != nil {
		r.Effect = cmp.Or(r.Effect, all[0])
	}
	return r
}

// checkEffect looks at what a success is said to have done.
func (r Ruling) checkEffect() error {
	switch {
	case r.Effect == "":
		return nil
	case effects(r.Operation) == nil || r.As != AsSucceeded:
		return invalid("an effect belongs to a cancel that succeeded: a refund's is refunded, and otherwise there is none")
	case !slices.Contains(effects(r.Operation), r.Effect):
		return invalid("the effect of a cancel is closed, voided, none or refunded")
	default:
		return nil
	}
}

// checkMoved looks at what moved: an amount and a reference where a refund was
// made, neither where nothing was.
func (r Ruling) checkMoved() error {
	if r.As != AsSucceeded || !r.Operation.GivesBack() && r.Effect != payment.EffectRefunded {
		if r.Moved != nil || r.ProviderReference != "" {
			return invalid("what moved belongs to a refund that succeeded, or to a cancel with the effect refunded")
		}
		return nil
	}
	if r.Moved == nil || r.Moved.Value < 1 || r.Moved.Value > payment.MaxAmount || r.Moved.Currency == "" {
		return invalid("succeeded needs the amount that moved, in minor units with its currency: ledgers book it")
	}
	return checkReference(r.ProviderReference)
}

// checkReference holds a reference that a person types to the rule for one that a
// provider answers with: ledgers book it, and the journal keeps it for ever.
func checkReference(s string) error {
	switch {
	case strings.TrimSpace(s) == "":
		return invalid("provider's reference is required")
	case safetext.CardLike(s):
		return invalid("the provider's reference looks like a card number")
	case !safetext.Identifier(s):
		return invalid("the provider's reference is no identifier: it is 1 to 128 letters, digits and the signs -_.:/=~ of ASCII, without spaces, with a digit if it is longer than 3, and no account number")
	default:
		return nil
	}
}

// allowed applies the guards of the operation that was shown.
func (r Ruling) allowed(op *Operation) error {
	c := op.choice(r.As)
	switch {
	case !c.Allowed && op.Status == payment.StatusStarted:
		return &Error{Fault: FaultUnderWay, Message: c.Why, Until: op.CallUntil}
	case !c.Allowed:
		return &Error{Fault: FaultRefused, Message: c.Why}
	case c.Confirm != nil && (r.ConfirmAmount == nil || *r.ConfirmAmount != *c.Confirm):
		return &Error{Fault: FaultRefused, Message: c.Why + ": " + c.Confirm.Text()}
	default:
		return r.allowedAmount(op)
	}
}

// allowedAmount holds what is said to have moved against the payment.
func (r Ruling) allowedAmount(op *Operation) error {
	no := func(code payment.Code, format string, args ...any) error {
		return &Error{Fault: FaultRefused, Code: code, Message: r.words(op) + ": refused: " + fmt.Sprintf(format, args...)}
	}
	switch {
	case r.Moved == nil:
		return nil
	case op.Currency != "" && r.Moved.Currency != op.Currency:
		return invalid("what moved is in %s, the payment in %s", r.Moved.Currency, op.Currency)
	case op.Refundable != nil && r.Moved.Value > op.Refundable.Value:
		return no("", "at most %s can still be refunded of what was captured, and the provider has named no larger amount", op.Refundable.Text())
	case r.differs(op) && (r.ConfirmAmount == nil || *r.ConfirmAmount != *r.Moved):
		return no(payment.CodeAmountDiffers, "amount_differs: if that is what moved, confirm it by typing %s once more", r.Moved.Text())
	default:
		return nil
	}
}

// differs reports whether what moved is not what was asked. An amount that nobody has
// named is unlike every other.
func (r Ruling) differs(op *Operation) bool {
	return r.Moved != nil && (op.asked == nil || *r.Moved != *op.asked)
}

// code is that of a ruling whose amount is not the one asked.
func (r Ruling) code(op *Operation) payment.Code {
	if r.differs(op) {
		return payment.CodeAmountDiffers
	}
	return ""
}

// words is the whole decision for people.
func (r Ruling) words(op *Operation) string {
	asked := payment.MoneyText(op.asked) + " asked"
	if op.asked == nil {
		asked = "the amount asked is not known"
	}
	switch {
	case r.As == AsRetry:
		return "the provider is called again, " + asked
	case r.Moved != nil:
		text := r.Moved.Text() + " moved, " + asked
		if r.Effect != "" {
			text += ", effect " + string(r.Effect)
		}
		return text + ", the provider's reference " + r.ProviderReference
	case r.Effect != "":
		return "effect " + string(r.Effect) + ", nothing moved, " + asked
	default:
		return "nothing moved, " + asked
	}
}

// choice is the operation's choice of that name; the zero one allows nothing.
func (o *Operation) choice(as As) Choice {
	for _, c := range o.Choices {
		if c.As == as {
			return c
		}
	}
	return Choice{As: as, Why: "the operation has ended"}
}

// ruling is what the service carries out. first is the person who ruled the
// same before, where two are needed.
func (r Ruling) ruling(who Operator, first string) handlers.Ruling {
	verdict := map[As]payment.Verdict{
		AsSucceeded: payment.VerdictSucceeded, AsFailed: payment.VerdictFailed, AsRetry: payment.VerdictRetry,
	}[r.As]
	name := who.Name
	if first != "" {
		name = first + " and " + who.Name
	}
	return handlers.Ruling{
		ID: r.ID(), Op: r.Operation, Key: r.Key, Version: r.Version,
		Resolution: payment.Resolution{
			Verdict: verdict, Resolved: payment.ResolvedBy{Operator: name, Reason: r.Reason, Evidence: r.Evidence},
			Seen: r.Seen, Testimony: r.Testimony,
		},
	}
}

// audit is an audit event of the ruling, or of a question about its operation.
func (r Ruling) audit(action string, who Operator, id string, at time.Time) payment.OperatorAction {
	return payment.OperatorAction{
		ULID: id, Action: action, Operator: who.Name, Identity: string(who.Identity), Login: who.Login, Reason: r.Reason, Evidence: r.Evidence,
		ID: r.ID(), Op: r.Operation, Key: r.Key, Version: r.Version,
		Ruling: string(r.As), Testimony: r.Testimony, At: at,
	}
}

// proposes reports whether an audit event proposes a ruling on this version of the
// operation, with the content that it has.
func proposes(a payment.OperatorAction, id payment.ID, op payment.Operation, key payment.Key, version uint64) bool {
	return a.Action == ActionPropose && a.Outcome == "" && a.ID == id && a.Op == op.Op && a.Key == key && a.Version == version &&
		a.Content == op.Fingerprint
}

func proposalOf(a payment.OperatorAction) Proposal {
	return Proposal{
		Audit: a.ULID, Operator: a.Operator, Login: a.Login, At: a.At, Until: a.At.Add(payment.ProposalFor), As: As(a.Ruling), Reason: a.Reason, Evidence: a.Evidence,
		Testimony: a.Testimony, action: a,
	}
}

// same reports whether a ruling says what the proposal says; reason and
// evidence are each person's own.
func (p Proposal) same(r Ruling) bool {
	return p.As == r.As && p.Effect == r.Effect && equal(p.Moved, r.Moved) && p.ProviderReference == r.ProviderReference
}

func invalid(format string, args ...any) error {
	return &Error{Fault: FaultInvalid, Message: fmt.Sprintf(format, args...)}
}

func stale(now *Story) *Error {
	text := "the payment has moved since it was shown: look again"
	if now != nil {
		text = fmt.Sprintf("the payment has moved since it was shown: it is at version %d now", now.Version)
	}
	return &Error{Fault: FaultStale, Message: text, Now: now}
}

func unavailable(what string, err error) *Error {
	return &Error{Fault: FaultUnavailable, Message: "could not " + what + ": " + err.Error(), err: err}
}
