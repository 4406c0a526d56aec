// Package journal is the command "consumer journal": it shows whether the journal
// has lost something, and hands in what a person decides about it.
package journal

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/countermand/countermand/cmd/consumer/cli"
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

	Monitor []string `help:"Monitoring addresses of further servers of the cluster (http://HOST:8222)." placeholder:"URL"`
	Apply   bool     `help:"Do it."`
	JSON    bool     `help:"What came of it, as JSON."`
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

// opened is what a decision is made with.
type opened struct {
	conn    *cli.Connection
	sources acceptance.Sources
	desk    *acceptance.Desk
	asked   acceptance.Asked
}

// decide connects, has a decision made and tells what came of it.
func (d *decision) decide(w *cli.World, reason string, do func(*opened) (acceptance.Done, error)) error {
	if err := checkReason(reason); err != nil {
		return cli.Usage(err)
	}
	o, err := d.open(w, reason)
	if err != nil {
		return err
	}
	defer o.conn.Close()
	done, err := do(o)
	return d.say(w, done, err)
}

// open connects, and finds out who decides.
func (d *decision) open(w *cli.World, reason string) (o *opened, err error) {
	conn, err := d.Open(w)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	o = &opened{conn: conn, asked: acceptance.Asked{Reason: reason, Apply: d.Apply}}
	if o.asked.Operator, o.asked.Identity, err = d.Decider(w, o.conn.Config); err != nil {
		return nil, cli.Usage(err)
	}
	if o.sources, err = o.conn.JournalSources(d.Monitor); err != nil {
		return nil, err
	}
	o.desk = acceptance.NewDesk(o.sources, o.conn.Encoder(), &acceptance.Options{SecondPerson: len(o.conn.Config.Desk.SecondPersonAbove) > 0})
	return o, nil
}

// say tells what came of a decision.
func (d *decision) say(w *cli.World, done acceptance.Done, err error) error {
	if refusal, ok := errors.AsType[*acceptance.RefusedError](err); ok && !d.JSON {
		for _, reason := range refusal.Reasons {
			fmt.Fprintln(w.Stderr, "not possible:", reason)
		}
		return errors.New("nothing was changed")
	}
	if err != nil {
		return err
	}
	if d.JSON {
		return w.JSON(done)
	}
	if l := done.Loss; l != nil {
		fmt.Fprintf(w.Stdout, "known to reach %d, ends at %d, given up: %s\n", l.Known, l.End, messages(l.Messages))
		if n := done.Epoch.CommandsLost; n > 0 {
			fmt.Fprintf(w.Stdout, "commands given up: %d; trust needs --without-commands then\n", n)
		}
	}
	for _, u := range done.Unasked {
		fmt.Fprintln(w.Stdout, "note:", unaskedLine(u))
	}
	text := fmt.Sprintf("epoch %d is %s", done.Epoch.Number, done.Epoch.Phase)
	switch {
	case done.Already:
		text = "already accepted: " + text
	case done.AwaitsSecond && done.Audit != "":
		text = "recorded: another operator has to say the same within 24 hours"
	case done.AwaitsSecond:
		text = fmt.Sprintf("would be recorded, and wait for another operator to say the same; then epoch %d would be held", done.Epoch.Number)
	case !done.Applied:
		text = fmt.Sprintf("epoch %d would be %s: the same with --apply does it", done.Epoch.Number, done.Epoch.Phase)
	case done.Witness != "":
		text += "; the witness could not be raised (" + done.Witness + "), the running processes will do it"
	}
	_, err = fmt.Fprintln(w.Stdout, text)
	return err
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
