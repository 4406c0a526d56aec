package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nats-io/jwt/v2"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/payment"
)

// reviewCommand is "consumer review".
type reviewCommand struct {
	List    reviewListCommand    `cmd:"" help:"What needs a person, the longest waiting first."`
	Show    reviewShowCommand    `cmd:"" help:"One payment, with what the provider says now and what may be ruled."`
	Resolve reviewResolveCommand `cmd:"" help:"Settle what a machine cannot; without --apply it only says what would be done."`
}

// Help is the long help text.
func (reviewCommand) Help() string {
	return `An operation whose fate no machine can find out waits for a person. These commands ask the running
service; nobody but the service writes the journal, and each ruling is recorded with who and why.
Example: consumer review list --older-than 1h`
}

// deskTarget is how the desk commands reach the service, and as whom.
type deskTarget struct {
	target

	Operator string `help:"Your name, only where the setting desk.selfAsserted allows it; default there: the name of the user." placeholder:"NAME"`
}

// deskFor bounds one question to the desk: a retry waits for the provider.
const deskFor = time.Minute

// openDesk connects and says who is asking.
func (t deskTarget) openDesk(w *world) (*remote.Client, func(), error) {
	nc, _, cfg, err := t.open(w)
	if err != nil {
		return nil, nil, err
	}
	name, err := t.operator(w, cfg)
	if err != nil {
		nc.Close()
		return nil, nil, usageError{err}
	}
	return remote.NewClient(nc, name), nc.Close, nil
}

// operator is who asks. With credentials the server grants a user one name, and
// what is typed could only be wrong.
func (t deskTarget) operator(w *world, cfg *config.Config) (string, error) {
	if t.Config == "" || cfg.Desk.SelfAsserted {
		if name := cmp.Or(t.Operator, cfg.Desk.Operator, w.getenv("USER")); name != "" {
			return name, nil
		}
		return "", errors.New("say who you are: --operator NAME")
	}
	if t.Operator != "" {
		return "", errors.New("--operator needs the setting desk.selfAsserted: else your name is that of your credentials")
	}
	if name := cmp.Or(cfg.Desk.Operator, nameIn(cfg.NATS)); name != "" {
		return name, nil
	}
	return "", errors.New("your credentials name nobody: set desk.operator to the name the server grants you")
}

// nameIn is the user's name in credentials, if they are a user's token.
func nameIn(n config.NATS) string {
	token, err := jwt.ParseDecoratedJWT([]byte(n.Credentials.Reveal()))
	if err != nil {
		return ""
	}
	user, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return ""
	}
	return user.Name
}

// deskError gives a no of the desk its exit code, and shows what is there now.
func deskError(w *world, err error) error {
	var no *desk.Error
	if !errors.As(err, &no) {
		return err
	}
	if no.Now != nil {
		fmt.Fprintln(w.stderr, "As it is now:")
		tellStory(w.stderr, no.Now)
	}
	switch no.Fault {
	case desk.FaultInvalid:
		return usageError{err}
	case desk.FaultNotFound:
		return notFoundError{err}
	default:
		return err
	}
}

// reviewListCommand is "consumer review list".
type reviewListCommand struct {
	deskTarget

	Provider  string        `help:"Only this instance." placeholder:"NAME"`
	OlderThan time.Duration `help:"Only what has waited for longer." placeholder:"DURATION"`
	MinAmount int64         `help:"Only from this amount at risk on, in minor units of --currency." placeholder:"N"`
	Currency  string        `help:"Only amounts in this currency." placeholder:"CODE"`
	JSON      bool          `help:"One operation a line, then the summary, as JSON."`
}

// Help is the long help text.
func (reviewListCommand) Help() string {
	return `Lists operations that need a person, the longest waiting first; of those that came within one hour the
largest first. AT RISK is what would be paid twice; "?" where nobody has named the amount.
Exit codes: 0 listed, also where there is none; 1 the service could not be asked; 2 arguments are wrong.
Example: consumer review list --provider openpay-eu --older-than 1h`
}

// listed is an item as machines get it, with the view a ruling names.
type listed struct {
	desk.Item

	View string `json:"view"`
}

// Run lists.
func (c *reviewListCommand) Run(w *world) error {
	client, done, err := c.openDesk(w)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(w.ctx, deskFor)
	defer cancel()
	q, err := client.Queue(ctx, desk.Filter{
		Provider: c.Provider, OlderThan: c.OlderThan, MinAmount: c.MinAmount, Currency: payment.Currency(c.Currency),
	})
	if err != nil {
		return deskError(w, err)
	}
	if c.JSON {
		out := json.NewEncoder(w.stdout)
		for _, i := range q.Items {
			if err := out.Encode(listed{i, viewOf(i.Version, q.At)}); err != nil {
				return err
			}
		}
		return out.Encode(map[string]any{"summary": map[string]any{"total": q.Total, "listed": len(q.Items), "complete": q.Complete, "at": q.At}})
	}
	return c.print(w, q)
}

// print lists for people.
func (c *reviewListCommand) print(w *world, q *desk.Queue) error {
	t := tabwriter.NewWriter(w.stdout, 0, 4, 2, ' ', 0)
	if len(q.Items) > 0 {
		fmt.Fprintln(t, "AGE\tAT RISK\tPROVIDER\tPAYMENT\tOPERATION\tKEY\tWHY")
	}
	for _, i := range q.Items {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", time.Duration(i.Age)*time.Second, inMinor(i.AtRisk), i.Provider, i.Payment, i.Operation, i.Key, i.Reason)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if q.Total > len(q.Items) {
		fmt.Fprintf(w.stdout, "and %d more: narrow the list\n", q.Total-len(q.Items))
	}
	if !q.Complete {
		fmt.Fprintln(w.stdout, "not everything open could be looked at: there may be more")
	} else if q.Total == 0 {
		fmt.Fprintln(w.stdout, "nothing needs a person")
	}
	return nil
}

// reviewShowCommand is "consumer review show".
type reviewShowCommand struct {
	deskTarget

	Provider string `arg:"" help:"The configured instance, as commands name it."`
	Payment  string `arg:"" help:"The identifier that names the payment there (orderId or transactionId)."`
	NoAsk    bool   `help:"Do not ask the provider."`
	JSON     bool   `help:"Everything as one JSON object."`
}

// Help is the long help text.
func (reviewShowCommand) Help() string {
	return `Shows every event of the payment, each attempt with what was asked and answered, what the provider says now
(a question that moves no money, recorded under your name), and what may be ruled. The view it prints goes
with "consumer review resolve".
Exit codes: 0 shown, 1 the service could not be asked, 2 arguments are wrong, 3 there is no such payment.
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
func (c *reviewShowCommand) Run(w *world) error {
	client, done, err := c.openDesk(w)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(w.ctx, deskFor)
	defer cancel()
	id := payment.ID{Provider: c.Provider, Native: c.Payment}
	story, err := client.Payment(ctx, id)
	if err != nil {
		return deskError(w, err)
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
		return json.NewEncoder(w.stdout).Encode(out)
	}
	tellStory(w.stdout, story)
	for _, a := range out.Answers {
		fmt.Fprintf(w.stdout, "\nthe provider on %s %s now: %s\n", a.Operation, a.Key, a.text())
	}
	fmt.Fprintf(w.stdout, "\nview %s\n", out.View)
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
		add("moved", inMinor(a.Reply.Moved))
	}
	add("provider's reference", a.Reply.ProviderReference)
	add("it said", strings.TrimSpace(a.Reply.ProviderCode+" "+a.Reply.ProviderMessage))
	if p := a.Reply.Payment; p != nil && p.OK {
		add("the payment is", string(p.Status))
		if p.Refunded != nil {
			add("refunded in all", inMinor(p.Refunded))
		}
		for _, m := range p.Movements {
			add("movement", strings.TrimSpace(m.Reference+" "+inMinor(m.Amount)))
		}
	}
	return strings.Join(parts, ", ")
}

// inMinor is an amount in minor units.
func inMinor(m *payment.Money) string {
	if m == nil {
		return "?"
	}
	return fmt.Sprintf("%d %s", m.Value, m.Currency)
}

// viewOf names what was shown: the version, and when it was read.
func viewOf(version uint64, seen time.Time) string {
	return fmt.Sprintf("%d@%s", version, seen.UTC().Format(time.RFC3339Nano))
}

// parseView reads what viewOf wrote.
func parseView(s string) (version uint64, seen time.Time, err error) {
	number, at, found := strings.Cut(s, "@")
	if found {
		if _, err = fmt.Sscanf(number, "%d", &version); err == nil {
			seen, err = time.Parse(time.RFC3339Nano, at)
		}
	}
	if !found || err != nil || version == 0 {
		return 0, time.Time{}, errors.New("the view is not one that review show or list has printed")
	}
	return version, seen, nil
}
