// Package journal is the command "consumer journal": it shows whether the journal
// has lost something, and hands in what a person decides about it.
package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/oklog/ulid/v2"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/control"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
)

// Command is "consumer journal".
type Command struct {
	Status statusCommand `cmd:"" help:"Marks, findings, replicas, and what is missing; changes nothing."`
	Accept acceptCommand `cmd:"" help:"Accept that the journal has lost something, and begin a new epoch, held."`
	Go     goCommand     `cmd:"" help:"After an accepted loss: carry commands out again, asking before calling."`
	Trust  trustCommand  `cmd:"" help:"After an accepted loss: take the journal for complete."`
}

// Help is the long help text.
func (Command) Help() string {
	return `Everything rests on a journal that loses nothing. Where it has lost something all the same, the service
stops, and a person decides: look (status), bring back what can be (recover), accept, go, trust.
Example: consumer journal status --config /etc/countermand/config.yaml`
}

// decision is what accept, go and trust have in common.
type decision struct {
	cli.Desk

	Monitor   []string `help:"Monitoring addresses of further servers of the cluster (http://HOST:8222)." placeholder:"URL"`
	Apply     bool     `help:"Do it."`
	RequestID string   `name:"request-id" help:"A ULID of your own. Given again, it is carried out once; default: a new one." placeholder:"ULID"`
	JSON      bool     `help:"What came of it, as JSON."`
}

// longestReason bounds a reason, in characters: what events keep.
const longestReason = 200

// checkReason looks at a reason before anything is tried.
func checkReason(reason string) error {
	switch {
	case strings.TrimSpace(reason) == "":
		return errors.New("a --reason is needed: it is kept in the journal for good")
	case len([]rune(reason)) > longestReason, strings.ContainsFunc(reason, unicode.IsControl):
		return fmt.Errorf("the reason is one line of at most %d characters", longestReason)
	default:
		return nil
	}
}

// decideFor bounds the wait for one answer: the service has a minute for it.
const decideFor = 90 * time.Second

// decide asks the service to make a decision, and tells what came of it.
func (d *decision) decide(w *cli.World, kind control.Kind, r control.Decision) (err error) {
	if err := d.check(&r); err != nil {
		return cli.Usage(err)
	}
	if r.Servers, err = d.TypedServers(w, d.Monitor); err != nil {
		return err
	}
	client, closed, err := d.OpenDesk(w)
	if err != nil {
		return err
	}
	defer closed()
	if d.Apply && kind == control.Accept { // what is looked at now is what may be accepted
		seen, err := d.ask(w, client, kind, r)
		if err != nil || len(seen.Refused) > 0 {
			return d.say(w, seen, err)
		}
		if seen.Done.Loss != nil {
			r.Seen = seen.Done.Loss.Fingerprint
		}
	}
	r.Apply = d.Apply
	done, err := d.ask(w, client, kind, r)
	return d.say(w, done, err)
}

// check looks at what needs no server, and names the request.
func (d *decision) check(r *control.Decision) error {
	r.RequestID = cmp.Or(d.RequestID, desk.NewULID())
	if parsed, err := ulid.ParseStrict(r.RequestID); err != nil || parsed.String() != r.RequestID {
		return errors.New("--request-id is a ULID in capitals, such as 01J8Z3N9Q8K6M2V4T7R5W1X0YA")
	}
	return checkReason(r.Reason)
}

// ask makes one request, again while the service reads the journal for it.
func (d *decision) ask(w *cli.World, client *remote.Client, kind control.Kind, r control.Decision) (control.Decided, error) {
	bar := cli.NewGauge(w, d.JSON, "the service reads the journal")
	defer bar.End()
	for {
		ctx, cancel := context.WithTimeout(w.Context, decideFor)
		done, err := client.Decide(ctx, kind, r)
		cancel()
		refusal, refused := errors.AsType[*desk.Error](err)
		switch {
		case err == nil && done.Reading != nil:
			bar.Set(done.Reading.To, done.Reading.Last)
			continue
		case err == nil, errors.Is(err, remote.ErrNobody), errors.Is(err, remote.ErrOlder), errors.Is(err, remote.ErrDenied):
		case r.Apply && (!refused || refusal.Fault == desk.FaultUnknown):
			err = fmt.Errorf("it may have been done: look with consumer journal status; the same with --request-id %s says: %w", r.RequestID, err)
		}
		return done, err
	}
}

// say tells what came of a decision.
func (d *decision) say(w *cli.World, decided control.Decided, err error) error {
	done := decided.Done
	switch {
	case err != nil:
		return cli.JournalError(w, err)
	case len(decided.Refused) > 0 && d.JSON:
		return &acceptance.RefusedError{Reasons: decided.Refused}
	case len(decided.Refused) > 0:
		for _, reason := range decided.Refused {
			fmt.Fprintln(w.Stderr, "not possible:", reason)
		}
		return errors.New("nothing was changed")
	}
	if d.JSON {
		return w.JSON(done)
	}
	if l := done.Loss; l != nil {
		fmt.Fprintf(w.Stdout, "known to reach %d, ends at %d, given up: %s\n", l.Known, l.End, messages(l.Messages))
		if done.NothingFound {
			fmt.Fprintln(w.Stdout, "no place shows a loss; what all of them lost together leaves no trace, so commands count as lost (docs/journal-loss.md)")
		}
		if n := done.Epoch.CommandsLost; n > 0 {
			fmt.Fprintf(w.Stdout, "commands given up: %d; trust needs --without-commands then\n", n)
		}
	}
	for _, text := range done.Differs {
		fmt.Fprintln(w.Stdout, "note:", text)
	}
	for _, u := range done.Unasked {
		fmt.Fprintln(w.Stdout, "note:", u.Line())
	}
	text := fmt.Sprintf("epoch %d is %s", done.Epoch.Number, done.Epoch.Phase)
	switch {
	case done.Already:
		text = fmt.Sprintf("already accepted by %s: %s", done.By, text)
	case done.AwaitsSecond && done.Audit != "":
		text = "recorded: another person has to say the same within 24 hours"
	case done.AwaitsSecond:
		text = fmt.Sprintf("would be recorded, and wait for another person to say the same; then epoch %d would be %s", done.Epoch.Number, done.Epoch.Phase)
	case !done.Applied:
		text = fmt.Sprintf("epoch %d would be %s: the same with --apply does it", done.Epoch.Number, done.Epoch.Phase)
	case done.Witness != "":
		text += "; the witness could not be raised (" + done.Witness + "), the running processes will do it"
	}
	if done.Audit != "" && !done.Already {
		text += ", recorded as " + done.Audit
	}
	fmt.Fprintln(w.Stdout, text)
	for _, line := range idleLines(done) {
		fmt.Fprintln(w.Stdout, "note:", line)
	}
	return nil
}

// idleLines say which processes do not follow what was decided.
func idleLines(done acceptance.Done) []string {
	var all []string
	if len(done.Idle) > 0 && done.Following == 0 && done.Epoch.Phase != integrity.Held {
		all = append(all, "no process works yet")
	}
	for _, one := range done.Idle {
		if one.ID == "" {
			all = append(all, one.Why)
			continue
		}
		all = append(all, "process "+one.ID+" does not follow yet: "+one.Why)
	}
	return all
}

// messages counts messages in words.
func messages(n uint64) string {
	if n == 1 {
		return "1 message"
	}
	return fmt.Sprintf("%d messages", n)
}

// stamp is a time for people; "?" where it is not known.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "?"
	}
	return t.UTC().Format(time.RFC3339)
}
