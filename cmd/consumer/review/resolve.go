package review

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/internal/bom"
	"github.com/countermand/countermand/internal/strictjson"
	"github.com/countermand/countermand/payment"
)

// resolveCommand is "consumer review resolve".
type resolveCommand struct {
	cli.Desk

	Provider          string `arg:"" optional:"" help:"Name of the configured provider instance, as in commands."`
	Payment           string `arg:"" optional:"" help:"Identifier of the payment at the provider (orderId or transactionId)."`
	Operation         string `help:"${orOperations}; needed only if more than one operation is open." enum:"${operations}," default:""`
	Key               string `help:"Idempotency key of the operation; needed only if more than one operation is open." placeholder:"KEY"`
	As                string `help:"succeeded (it happened), failed (it did not) or retry (call again)." placeholder:"RULING"`
	View              string `help:"The view that you saw, as review show prints it; required with --apply." placeholder:"VIEW"`
	Reason            string `help:"Why you rule so; no personal data." placeholder:"TEXT"`
	Evidence          string `help:"Evidence for the ruling, such as the provider's ticket." placeholder:"TEXT"`
	Effect            string `help:"Effect of a cancel that succeeded: closed (the default), voided, none or refunded." placeholder:"EFFECT"`
	Moved             string `help:"Amount that moved, if a refund succeeded or a cancel refunded." placeholder:"\"25.00 EUR\""`
	ProviderReference string `help:"The provider's reference of the movement: an identifier without spaces." placeholder:"REF"`
	ConfirmAmount     string `help:"Amount, typed out: of the operation, for a retry that could pay twice; what moved, if that is not the amount asked." placeholder:"\"25.00 EUR\""`
	File              string `help:"File with many rulings, one JSON object a line; - is standard input." placeholder:"FILE"`
	Apply             bool   `help:"Record the ruling. Without it, the command only checks."`
	JSON              bool   `help:"Print one ruling a line as JSON."`
}

// Help is the long help text.
func (resolveCommand) Help() string {
	return `Asks the running service to record your ruling. The service records it only if the payment is still at the version
that you saw (--view). A ruling becomes an event like any other, with your name, reason and evidence. You cannot
take it back. Without --apply, the command repeats the decision in words and records nothing.

An amount is written with the decimals of its currency, one space and the currency: "25.00 EUR", "2500 JPY".
If what moved is not the amount asked, type what moved once more with --confirm-amount.

With --file, each line contains provider, payment, operation, idempotencyKey, view, as, reason and evidence. It
may also contain effect, moved, providerReference and confirmAmount. The command records no ruling unless all
lines pass the check. It then records them one after the other. If you run it again, it skips what is done.
Amounts in a file are objects in minor units. For the second person, the sum of your rulings from files on one
day counts.

Exit codes: 0 done, or without --apply: could be done; 1 refused, the view is out of date, or another ruling is on
record; 2 arguments are
wrong; 3 there is no such payment or operation.

Example: consumer review resolve openpay-eu 529-1-2 --as failed --reason "provider confirms" --evidence "ticket 4711"`
}

// decision is one ruling as a file holds it.
type decision struct {
	Provider          string         `json:"provider"`
	Payment           string         `json:"payment"`
	Operation         payment.Op     `json:"operation"`
	Key               payment.Key    `json:"idempotencyKey"`
	View              string         `json:"view"`
	As                desk.As        `json:"as"`
	Reason            string         `json:"reason"`
	Evidence          string         `json:"evidence"`
	Effect            payment.Effect `json:"effect"`
	Moved             *payment.Money `json:"moved"`
	ProviderReference string         `json:"providerReference"`
	ConfirmAmount     *payment.Money `json:"confirmAmount"`
}

// Run rules.
func (c *resolveCommand) Run(w *cli.World) error {
	rulings, err := c.rulings(w)
	if err != nil {
		return cli.Usage(err)
	}
	client, done, err := c.OpenDesk(w)
	if err != nil {
		return err
	}
	defer done()
	b := &bulk{world: w, client: client, json: c.JSON, apply: c.Apply}
	if c.File == "" {
		if rulings[0], err = b.named(rulings[0]); err != nil {
			return err
		}
	}
	todo, err := b.check(rulings)
	if err != nil || !c.Apply {
		return err
	}
	return b.carryOut(todo)
}

// rulings are those of the flags, or of the file.
func (c *resolveCommand) rulings(w *cli.World) ([]desk.Ruling, error) {
	if c.File != "" {
		if c.Provider != "" || c.Key != "" || c.As != "" {
			return nil, errors.New("with --file everything stands in the file")
		}
		return c.read(w)
	}
	if c.Provider == "" || c.Payment == "" || c.As == "" {
		return nil, errors.New("name PROVIDER, PAYMENT and --as, or --file")
	}
	d := decision{
		Provider: c.Provider, Payment: c.Payment, Operation: payment.Op(c.Operation), Key: payment.Key(c.Key), View: c.View,
		As: desk.As(c.As), Reason: c.Reason, Evidence: c.Evidence, Effect: payment.Effect(c.Effect), ProviderReference: c.ProviderReference,
	}
	var err error
	if d.Moved, err = parseMoney(c.Moved); err != nil {
		return nil, fmt.Errorf("--moved: %w", err)
	}
	if d.ConfirmAmount, err = parseMoney(c.ConfirmAmount); err != nil {
		return nil, fmt.Errorf("--confirm-amount: %w", err)
	}
	r, err := d.ruling(c.Apply)
	return []desk.Ruling{r}, err
}

// ruling reads the view; without one a check looks at what is there now.
func (d decision) ruling(needsView bool) (desk.Ruling, error) {
	r := desk.Ruling{
		Provider: d.Provider, Payment: d.Payment, Operation: d.Operation, Key: d.Key, As: d.As, Reason: d.Reason, Evidence: d.Evidence,
		Testimony:     payment.Testimony{Effect: d.Effect, Moved: d.Moved, ProviderReference: d.ProviderReference},
		ConfirmAmount: d.ConfirmAmount,
	}
	if d.View == "" && !needsView {
		return r, nil
	}
	var err error
	r.Version, r.Seen, err = parseView(d.View)
	return r, err
}

// longestDecision bounds a line of a file of rulings, in bytes.
const longestDecision = 64 << 10

// read reads a file of rulings, and says all that is wrong with it.
func (c *resolveCommand) read(w *cli.World) ([]desk.Ruling, error) {
	in := w.Stdin
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return nil, fmt.Errorf("read rulings: %w", err)
		}
		defer f.Close()
		in = f
	}
	lines := bufio.NewScanner(bom.Skip(in))
	lines.Buffer(nil, longestDecision)
	var all []desk.Ruling
	var faults []error
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		r, err := readDecision(lines.Bytes())
		if err != nil {
			faults = append(faults, fmt.Errorf("%s:%d: %w", c.File, n, err))
		}
		all = append(all, r)
	}
	if err := lines.Err(); err != nil {
		faults = append(faults, fmt.Errorf("read rulings: %w", err))
	}
	if len(all) == 0 && len(faults) == 0 {
		faults = append(faults, errors.New("the file holds no ruling"))
	}
	return all, errors.Join(faults...)
}

// readDecision reads one line strictly: a misspelled field must not be passed over, and one
// that is there twice must not be read as either.
func readDecision(line []byte) (desk.Ruling, error) {
	var d decision
	if err := strictjson.Unmarshal(line, &d); err != nil {
		if mark := bom.Inside(bytes.TrimSpace(line)); mark != "" {
			return desk.Ruling{}, errors.New(mark)
		}
		return desk.Ruling{}, fmt.Errorf("one ruling a line, as JSON: %w", err)
	}
	r, err := d.ruling(true)
	r.Bulk = true
	return r, err
}

// bulk is one run over rulings.
type bulk struct {
	world  *cli.World
	client *remote.Client
	json   bool
	apply  bool
}

// named completes a ruling that names no operation or no key: it is the payment's
// open one, or its only one.
func (b *bulk) named(r desk.Ruling) (desk.Ruling, error) {
	switch {
	case r.Key != "" && r.Operation == "":
		r.Operation = payment.Refund
		return r, nil
	case r.Key != "":
		return r, nil
	}
	story, err := b.story(r)
	if err != nil {
		return r, cli.DeskError(b.world, err)
	}
	all := slices.DeleteFunc(slices.Clone(story.Operations), func(o desk.Operation) bool {
		return r.Operation != "" && o.Operation != r.Operation
	})
	open := slices.DeleteFunc(slices.Clone(all), func(o desk.Operation) bool { return o.Status.Terminal() })
	if len(open) == 0 && len(all) == 1 {
		open = all
	}
	switch {
	case len(open) == 0:
		return r, errors.New("no operation of the payment is open: name one with --operation and --key")
	case len(open) > 1 || open[0].Key == "":
		var names []string
		for _, o := range open {
			names = append(names, fmt.Sprintf("%s %s", o.Operation, o.Key))
		}
		return r, cli.Usage(fmt.Errorf("more than one operation is open (%s): name one with --operation and --key", strings.Join(names, ", ")))
	}
	r.Operation, r.Key = open[0].Operation, open[0].Key
	return r, nil
}

// check asks the desk about every ruling without doing anything, and returns
// those that are not done yet; an error if any does not pass.
func (b *bulk) check(all []desk.Ruling) (todo []desk.Ruling, err error) {
	var faults []error
	var before []payment.Money
	for i, r := range all {
		done, story, err := b.done(r)
		waits := err == nil && r.Bulk && story.Waits(r, b.client.Operator())
		if err == nil && !done && !waits {
			if r.Version == 0 {
				r.Version, r.Seen = story.Version, story.Seen
			}
			dry := r
			dry.DryRun, dry.Before = true, before
			var would desk.Done
			if would, err = b.resolve(dry); err == nil {
				todo = append(todo, r)
				if m := story.Stake(r); m != nil && r.Bulk && !would.AwaitsSecond {
					before = add(before, *m)
				}
				if !b.apply {
					err = b.say(r, "would be ruled", would)
				}
			}
		}
		switch {
		case done:
			err = b.say(r, "done before", desk.Done{Version: story.Version})
		case waits:
			err = b.say(r, "recorded before, and waits for another person to rule the same", desk.Done{Version: story.Version})
		}
		switch {
		case err != nil && len(all) == 1:
			return nil, cli.DeskError(b.world, err)
		case err != nil:
			faults = append(faults, fmt.Errorf("ruling %d (%s %s): %w", i+1, r.Provider, r.Payment, err))
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("nothing was ruled:\n%w", errors.Join(faults...))
	}
	return todo, nil
}

// add adds an amount to the sums, of which each currency has one. A sum that does not
// fit is as large as can be.
func add(sums []payment.Money, m payment.Money) []payment.Money {
	sums = slices.Clone(sums)
	i := slices.IndexFunc(sums, func(sum payment.Money) bool { return sum.Currency == m.Currency })
	if i < 0 {
		return append(sums, m)
	}
	sum, err := sums[i].Add(m)
	if err != nil {
		sum = payment.Money{Value: math.MaxInt64, Currency: m.Currency}
	}
	sums[i] = sum
	return sums
}

func (b *bulk) story(r desk.Ruling) (*desk.Story, error) {
	ctx, cancel := context.WithTimeout(b.world.Context, cli.DeskFor)
	defer cancel()
	return b.client.Payment(ctx, r.ID())
}

// done reports whether this very ruling was carried out before.
func (b *bulk) done(r desk.Ruling) (bool, *desk.Story, error) {
	story, err := b.story(r)
	if err != nil {
		return false, nil, err
	}
	ruled := story.Ruled(r)
	return ruled, story, nil
}

func (b *bulk) resolve(r desk.Ruling) (desk.Done, error) {
	ctx, cancel := context.WithTimeout(b.world.Context, cli.DeskFor)
	defer cancel()
	return b.client.Resolve(ctx, r)
}

// carryOut rules one after the other. What is refused meanwhile does not keep
// the others; a desk that does not answer does.
func (b *bulk) carryOut(todo []desk.Ruling) error {
	var faults []error
	for _, r := range todo {
		done, err := b.resolve(r)
		if err == nil {
			err = b.say(r, "ruled", done)
		}
		if err == nil {
			continue
		}
		if len(todo) == 1 {
			return cli.DeskError(b.world, err)
		}
		faults = append(faults, fmt.Errorf("%s %s: %w", r.Provider, r.Payment, err))
		refusal, ok := errors.AsType[*desk.Error](err)
		if !ok || refusal.Fault == desk.FaultUnavailable || refusal.Fault == desk.FaultUnknown {
			return errors.Join(append(faults, errors.New("stopped: run it again to go on"))...)
		}
	}
	return errors.Join(faults...)
}

// say tells what became of one ruling.
func (b *bulk) say(r desk.Ruling, what string, done desk.Done) error {
	if done.AwaitsSecond {
		what = strings.Replace(what, "ruled", "recorded, and waits for another person to rule the same", 1)
	}
	if b.json {
		return b.world.JSON(map[string]any{
			"provider": r.Provider, "payment": r.Payment, "operation": r.Operation, "idempotencyKey": r.Key, "as": r.As,
			"outcome": what, "result": done, "view": viewOf(r.Version, r.Seen),
		})
	}
	said := fmt.Sprintf("%s %s %s at %s as %s", r.Operation, r.Key, r.Payment, r.Provider, r.As)
	if done.Decision != "" {
		said += fmt.Sprintf(" (%s; reason %q, evidence %q)", done.Decision, r.Reason, r.Evidence)
	}
	if done.Code != "" {
		said += ", " + string(done.Code)
	}
	_, err := fmt.Fprintf(b.world.Stdout, "%s: %s\n", said, what)
	if err == nil && !b.apply && done.Decision != "" {
		_, err = fmt.Fprintf(b.world.Stdout, "to do it: the same with --view %s --apply\n", viewOf(r.Version, r.Seen))
	}
	return err
}

// parseMoney reads an amount; nothing is no amount.
func parseMoney(s string) (*payment.Money, error) {
	if s == "" {
		return nil, nil //nolint:nilnil // nothing was given
	}
	m, err := payment.ParseMoney(s)
	if err != nil {
		return nil, err
	}
	return &m, nil
}
