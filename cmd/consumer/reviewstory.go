package main

import (
	"fmt"
	"io"
	"time"

	"github.com/countermand/countermand/desk"
)

// tellStory prints a payment for people. What cannot be printed harms nothing.
func tellStory(out io.Writer, s *desk.Story) {
	fmt.Fprintf(out, "payment %s at %s, version %d, captured %s\n\n", s.Payment, s.Provider, s.Version, inMinor(s.Captured))
	if !s.Complete {
		fmt.Fprintln(out, "  (not all of its events are shown)")
	}
	for _, e := range s.Events {
		fmt.Fprintf(out, "  v%-3d %s  %-6s %-15s %s\n", e.Version,
			e.Data.OccurredAt.UTC().Format("2006-01-02 15:04:05.000Z"), e.Data.Operation, e.Data.Status, details(e.Data))
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
	fmt.Fprintf(out, ", at risk %s\n", inMinor(o.AtRisk))
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
		fmt.Fprintf(out, "  %s has ruled %s (%q, evidence %q): another operator has to rule the same\n", p.Operator, proposed(p), p.Reason, p.Evidence)
	}
}

// proposed is what another operator has to rule as well.
func proposed(p desk.Proposal) string {
	text := string(p.As)
	if p.Effect != "" {
		text += ", effect " + string(p.Effect)
	}
	if p.Moved != nil {
		text += fmt.Sprintf(", %s moved, reference %s", inMinor(p.Moved), p.ProviderReference)
	}
	return text
}

func askedFor(a desk.Attempt) string {
	if a.Full {
		return "the whole amount"
	}
	return inMinor(a.Amount)
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
		text += fmt.Sprintf(", --confirm-amount %q", fmt.Sprintf("%d %s", c.Confirm.Value, c.Confirm.Currency))
	}
	if c.NeedsSecond {
		text += ", and a second operator who rules the same"
	}
	if c.Why != "" {
		text += " (" + c.Why + ")"
	}
	return text
}
