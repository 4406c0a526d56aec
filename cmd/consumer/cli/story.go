package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// TellStory prints a payment for people. What cannot be printed harms nothing.
func TellStory(out io.Writer, s *desk.Story) {
	fmt.Fprintf(out, "payment %s at %s, version %d, captured %s\n\n", s.Payment, s.Provider, s.Version, payment.MoneyText(s.Captured))
	if !s.Complete {
		fmt.Fprintln(out, "  (not all of its events are shown)")
	}
	for _, e := range s.Events {
		TellEvent(out, e.Version, e.Data)
		if r := e.Resolved; r != nil {
			fmt.Fprintf(out, "       ruled by %s: %q, evidence %q\n", r.Operator, r.Reason, r.Evidence)
		}
	}
	for i := range s.Operations {
		tellOperation(out, &s.Operations[i])
	}
}

// tellOperation prints where one operation stands, its attempts and what may be ruled.
func tellOperation(out io.Writer, o *desk.Operation) {
	fmt.Fprintf(out, "\n%s %s: %s", o.Operation, o.Key, o.Status)
	if o.Status.Terminal() {
		fmt.Fprintln(out, ", nothing more to do")
		return
	}
	fmt.Fprintf(out, ", at risk %s\n", payment.MoneyText(o.AtRisk))
	if o.Review != nil {
		fmt.Fprintf(out, "  a person is needed since %s: %s\n  %s\n", o.Review.Since.UTC().Format(time.RFC3339), o.Review.Reason, o.Review.Question)
	}
	for _, a := range o.Attempts {
		fmt.Fprintf(out, "  attempt %d at %s: asked for %s under our reference %s\n", a.Number, a.StartedAt.UTC().Format(time.RFC3339), askedFor(a), a.Reference)
		for _, e := range a.Answers {
			fmt.Fprintf(out, "    %s %s: %s\n", e.Data.OccurredAt.UTC().Format(time.RFC3339), e.Data.Status, details(e.Data))
		}
	}
	for _, c := range o.Choices {
		fmt.Fprintf(out, "  as %-9s %s\n", c.As, choiceText(c))
	}
	for _, p := range o.Proposals {
		fmt.Fprintf(out, "  %s has ruled %s (%q, evidence %q): until %s another person has to rule the same\n",
			p.Operator, proposed(p), p.Reason, p.Evidence, p.Until.UTC().Format(time.RFC3339))
	}
}

// proposed is what another operator has to rule as well.
func proposed(p desk.Proposal) string {
	text := string(p.As)
	if p.Effect != "" {
		text += ", effect " + string(p.Effect)
	}
	if p.Moved != nil {
		text += fmt.Sprintf(", %s moved, reference %s", payment.MoneyText(p.Moved), p.ProviderReference)
	}
	return text
}

func askedFor(a desk.Attempt) string {
	if a.Full {
		return "the whole amount"
	}
	return payment.MoneyText(a.Amount)
}

// choiceText says what a ruling needs, or why it cannot be made.
func choiceText(c desk.Choice) string {
	if !c.Allowed {
		return "cannot be ruled: " + c.Why
	}
	text := "needs --reason and --evidence"
	if c.NeedsMoved {
		text += ", --moved and --provider-reference"
	}
	if len(c.Effects) > 0 {
		text += fmt.Sprintf(", and --effect unless it is %s (one of %v)", c.Effects[0], c.Effects)
	}
	if c.Confirm != nil {
		text += fmt.Sprintf(", --confirm-amount %q", payment.MoneyText(c.Confirm))
	}
	if c.NeedsSecond {
		text += ", and another person who rules the same"
	}
	if c.Why != "" {
		text += " (" + c.Why + ")"
	}
	return text
}

// TellEvent prints one event of a payment on one line.
func TellEvent(out io.Writer, version uint64, d events.Result) {
	fmt.Fprintf(out, "  v%-3d %s  %-6s %-15s %s\n", version,
		d.OccurredAt.UTC().Format("2006-01-02 15:04:05.000Z"), d.Operation, d.Status, details(d))
}

// details is what matters of one event on one line.
func details(d events.Result) string {
	parts := []string{"key " + string(d.IdempotencyKey)}
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+" "+value)
		}
	}
	amount := func(name string, m *payment.Money) {
		if m != nil {
			add(name, payment.MoneyText(m))
		}
	}
	if d.Attempt > 0 {
		add("attempt", fmt.Sprint(d.Attempt))
	}
	if d.Full {
		add("amount", "full")
	}
	amount("amount", d.Amount)
	amount("moved", d.Moved)
	amount("still refundable", d.Refundable)
	add("effect", string(d.Effect))
	add("code", string(d.Code))
	add("basis", string(d.Basis))
	add("our reference", d.ClientReference)
	add("provider's reference", d.ProviderReference)
	add("provider said", strings.TrimSpace(d.ProviderCode+" "+d.ProviderMessage))
	if d.Message != "" {
		add("note", fmt.Sprintf("%q", d.Message))
	}
	if d.Review != nil {
		add("question", fmt.Sprintf("%q", d.Review.Question))
	}
	return strings.Join(parts, ", ")
}
