package review

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/payment"
)

// listCommand is "consumer review list".
type listCommand struct {
	cli.Desk

	Provider  string        `help:"Only operations of this instance." placeholder:"NAME"`
	OlderThan time.Duration `help:"Only operations that have waited longer than this." placeholder:"DURATION"`
	MinAmount string        `help:"Only operations in this currency with at least this amount at risk." placeholder:"\"25.00 EUR\""`
	Currency  string        `help:"Only operations in this currency." placeholder:"CODE"`
	JSON      bool          `help:"Print one operation a line as JSON, then the summary."`
}

// Help is the long help text.
func (listCommand) Help() string {
	return `The operation that has waited longest comes first. Among operations that came within one hour, the largest comes
first. AT RISK is the amount that could be paid twice. It is "not known" if nobody has named the amount.

Exit codes: 0 listed, even if there are none; 1 the service could not be asked; 2 arguments are wrong.

Example: consumer review list --provider openpay-eu --older-than 1h`
}

// listed is an item as machines get it, with the view a ruling names.
type listed struct {
	desk.Item

	View string `json:"view"`
}

// Run lists.
func (c *listCommand) Run(w *cli.World) error {
	f, err := c.filter()
	if err != nil {
		return cli.Usage(err)
	}
	client, done, err := c.OpenDesk(w)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(w.Context, cli.DeskFor)
	defer cancel()
	q, err := client.Queue(ctx, f)
	if err != nil {
		return cli.DeskError(w, err)
	}
	if c.JSON {
		for _, i := range q.Items {
			if err := w.JSON(listed{i, viewOf(i.Version, q.At)}); err != nil {
				return err
			}
		}
		return w.JSON(map[string]any{"summary": map[string]any{"total": q.Total, "listed": len(q.Items), "complete": q.Complete, "at": q.At}})
	}
	return c.print(w, q)
}

// filter is what the flags select.
func (c *listCommand) filter() (desk.Filter, error) {
	f := desk.Filter{Provider: c.Provider, OlderThan: c.OlderThan, Currency: payment.Currency(c.Currency)}
	if c.MinAmount == "" {
		return f, nil
	}
	m, err := payment.ParseMoney(c.MinAmount)
	switch {
	case err != nil:
		return f, fmt.Errorf("--min-amount: %w", err)
	case c.Currency != "" && f.Currency != m.Currency:
		return f, fmt.Errorf("--min-amount is in %s, and --currency is another", m.Currency)
	}
	f.MinAmount, f.Currency = m.Value, m.Currency
	return f, nil
}

// print lists for people.
func (c *listCommand) print(w *cli.World, q *desk.Queue) error {
	t := tabwriter.NewWriter(w.Stdout, 0, 4, 2, ' ', 0)
	if len(q.Items) > 0 {
		fmt.Fprintln(t, "AGE\tAT RISK\tPROVIDER\tPAYMENT\tOPERATION\tKEY\tWHY")
	}
	for _, i := range q.Items {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", time.Duration(i.Age)*time.Second, payment.MoneyText(i.AtRisk), i.Provider, i.Payment, i.Operation, i.Key, i.Reason)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if q.Total > len(q.Items) {
		fmt.Fprintf(w.Stdout, "and %d more: narrow the list\n", q.Total-len(q.Items))
	}
	if !q.Complete {
		fmt.Fprintln(w.Stdout, "not everything open could be looked at: there may be more")
	} else if q.Total == 0 {
		fmt.Fprintln(w.Stdout, "nothing needs a person")
	}
	return nil
}
