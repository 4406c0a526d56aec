package review

import (
	"context"
	"fmt"
	"strings"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/payment"
)

// showCommand is "consumer review show".
type showCommand struct {
	cli.Desk

	Provider string `arg:"" help:"Name of the configured provider instance, as in commands."`
	Payment  string `arg:"" help:"Identifier of the payment at the provider (orderId or transactionId)."`
	NoAsk    bool   `help:"Do not ask the provider."`
	JSON     bool   `help:"Print everything as one JSON object."`
}

// Help is the long help text.
func (showCommand) Help() string {
	return `Shows every event of the payment and each attempt with its request and answer. It also asks the provider for the
current status and lists the permitted rulings. The status query moves no money and is recorded under your name.

The command prints a view. Pass it to "consumer review resolve".

Exit codes: 0 shown; 1 the service could not be asked; 2 arguments are wrong; 3 there is no such payment.

Example: consumer review show openpay-eu 529-1-2`
}

// shown is a story as machines get it.
type shown struct {
	*desk.Story

	View    string  `json:"view"`
	Answers []asked `json:"answers,omitempty"`
}

// asked is what the provider says of one operation, or why it was not asked.
type asked struct {
	Operation payment.Op  `json:"operation"`
	Key       payment.Key `json:"idempotencyKey"`
	Reply     *desk.Reply `json:"reply,omitempty"`
	Fault     string      `json:"fault,omitempty"`
}

// Run shows one payment.
func (c *showCommand) Run(w *cli.World) error {
	client, done, err := c.OpenDesk(w)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(w.Context, cli.DeskFor)
	defer cancel()
	id := payment.ID{Provider: c.Provider, Native: c.Payment}
	story, err := client.Payment(ctx, id)
	if err != nil {
		return cli.DeskError(w, err)
	}
	out := shown{Story: story, View: viewOf(story.Version, story.Seen)}
	for _, o := range story.Operations {
		if o.Status.Terminal() || c.NoAsk {
			continue
		}
		a := asked{Operation: o.Operation, Key: o.Key}
		if a.Reply, err = client.Ask(ctx, id, o.Operation, o.Key); err != nil {
			a.Fault = err.Error()
		}
		out.Answers = append(out.Answers, a)
	}
	if c.JSON {
		return w.JSON(out)
	}
	cli.TellStory(w.Stdout, story)
	for _, a := range out.Answers {
		fmt.Fprintf(w.Stdout, "\nthe provider on %s %s now: %s\n", a.Operation, a.Key, a.text())
	}
	fmt.Fprintf(w.Stdout, "\nview %s\n", out.View)
	return nil
}

// text is the provider's word for people.
func (a asked) text() string {
	if a.Reply == nil {
		return "not asked: " + a.Fault
	}
	parts := []string{a.Reply.Result}
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+" "+value)
		}
	}
	add("code", string(a.Reply.Code))
	if a.Reply.Moved != nil {
		add("moved", payment.MoneyText(a.Reply.Moved))
	}
	add("provider's reference", a.Reply.ProviderReference)
	add("it said", strings.TrimSpace(a.Reply.ProviderCode+" "+a.Reply.ProviderMessage))
	if p := a.Reply.Payment; p != nil && p.OK {
		add("the payment is", string(p.Status))
		if p.Refunded != nil {
			add("refunded in all", payment.MoneyText(p.Refunded))
		}
		for _, m := range p.Movements {
			add("movement", strings.TrimSpace(m.Reference+" "+payment.MoneyText(m.Amount)))
		}
	}
	return strings.Join(parts, ", ")
}
