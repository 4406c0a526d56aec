package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
)

// statusCommand is "consumer journal status".
type statusCommand struct {
	cli.Server

	Monitor []string `help:"Monitoring addresses of further servers of the cluster (http://HOST:8222)." placeholder:"URL"`
	JSON    bool     `help:"Everything as one JSON object."`
}

// Help is the long help text.
func (statusCommand) Help() string {
	return `Compares the marks with what the leaders of the streams show now, and says what is missing from when to
when, which registered process has its gate open, and which server holds more of the journal than its leader
(only monitoring addresses can tell). It asks once; the service itself looks three times before it says broken.
Exit codes: 0 whole, 1 something is missing or could not be asked, 2 arguments are wrong.
Example: consumer journal status --config /etc/countermand/config.yaml`
}

// status is what machines get.
type status struct {
	Whole    bool                   `json:"whole"`
	Epoch    integrity.Epoch        `json:"epoch"`
	Bucket   integrity.Record       `json:"bucket"`
	Witness  *integrity.Record      `json:"witness,omitempty"`
	Fault    string                 `json:"witnessFault,omitempty"`
	Reading  reading                `json:"reading"`
	Findings []integrity.Finding    `json:"findings"`
	Missing  []acceptance.Gap       `json:"missing"`
	Loss     acceptance.Loss        `json:"loss"`
	Copies   []acceptance.Copy      `json:"copies"`
	Unasked  []acceptance.Unasked   `json:"unasked,omitempty"`
	Replicas []integrity.Registered `json:"replicas"`
	Notes    []string               `json:"notes,omitempty"`
}

// reading is what the journal's leader shows.
type reading struct {
	Leader   string `json:"leader"`
	First    uint64 `json:"first"`
	Last     uint64 `json:"last"`
	Messages uint64 `json:"messages"`
	// SinceMark is how many messages lie behind the mark.
	SinceMark uint64 `json:"sinceMark"`
}

// Run shows how the journal stands.
func (c *statusCommand) Run(w *cli.World) error {
	conn, err := c.Open(w)
	if err != nil {
		return err
	}
	defer conn.Close()
	sources, err := conn.JournalSources(c.Monitor)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(w.Context, cli.JournalFor)
	defer cancel()
	v, err := acceptance.Look(ctx, sources)
	if err != nil {
		return err
	}
	s := statusOf(v, acceptance.Missing(ctx, sources, v), sources.Witness != nil)
	if c.JSON {
		err = w.JSON(s)
	} else {
		err = s.print(w.Stdout)
	}
	if err == nil && !s.Whole {
		return errors.New(s.verdict())
	}
	return err
}

func statusOf(v acceptance.View, missing []acceptance.Gap, witness bool) status {
	j := v.Reading.Journal
	s := status{
		Epoch: v.Record.Epoch, Bucket: v.Bucket, Findings: v.Findings, Missing: missing, Loss: acceptance.LossOf(v),
		Copies: v.Copies, Unasked: v.Unasked, Replicas: v.Live(),
		Reading: reading{Leader: v.Reading.Leader, First: j.First, Last: j.Last, Messages: j.Messages},
	}
	if mark := v.Record.Mark.Journal.Sequence; j.Last > mark {
		s.Reading.SinceMark = j.Last - mark
	}
	if witness {
		s.Witness = &v.Witness
		if v.WitnessError != nil {
			s.Fault = v.WitnessError.Error()
		}
	}
	s.Notes = notes(v, witness)
	s.Whole = len(v.Findings) == 0 && !v.BucketMissing && s.unsure() == "" && !more(v)
	return s
}

// unsure says what could not be asked although it should have been; "" where all was.
func (s status) unsure() string {
	if s.Fault != "" {
		return "the witness cannot be read"
	}
	for _, u := range s.Unasked {
		if u.Typed {
			return "the server at " + u.Address + " was not asked"
		}
	}
	return ""
}

// verdict is the last line, without what accepting would give up.
func (s status) verdict() string {
	unsure := s.unsure()
	switch {
	case s.Whole:
		return "the journal is whole"
	case unsure != "" && len(s.Findings) == 0 && len(s.Missing) == 0:
		return "nothing is known to be missing, but " + unsure
	default:
		return "the journal is not whole"
	}
}

// notes are what else a person has to know.
func notes(v acceptance.View, witness bool) []string {
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if v.BucketMissing {
		add("the bucket of pauses and marks does not exist: its mark is lost, and every pause with it")
	}
	if v.Record.Mark.Zero() && !v.BucketMissing {
		add("there is no mark yet: nothing can be noticed before the service has run once")
	}
	if !witness {
		add("no witness is configured: if the whole NATS is restored from an older copy, nothing notices it")
	}
	for _, a := range v.Actions {
		if a.Action == acceptance.ActionAccepted && a.Epoch > v.Record.Epoch.Number {
			add("epoch %d was accepted by %s and is stored nowhere: run consumer journal accept again", a.Epoch, a.Operator)
		}
	}
	for _, c := range v.Copies {
		if c.Last > v.Reading.Journal.Last || c.Messages > v.Reading.Journal.Messages {
			add("server %s holds more than the leader (%d messages to %d): make it lead, and rebuild %s", c.Server, c.Messages, c.Last, v.Reading.Leader)
		}
	}
	for _, u := range v.Unasked {
		add("%s", unaskedLine(u))
	}
	if len(v.Copies) < 2 && len(v.Unasked) == 0 {
		add("what the other servers hold is not verifiable: only their monitoring addresses can tell (--monitor)")
	}
	return all
}

// unaskedLine says that a server could not be asked for its copy.
func unaskedLine(u acceptance.Unasked) string {
	return fmt.Sprintf("the server at %s was not asked, and may hold more: %s", u.Address, u.Reason)
}

// more reports whether a server holds more of the journal than its leader. A
// reading and a copy are not taken at one moment, so a copy that is only ahead
// at the end says nothing while the journal grows.
func more(v acceptance.View) bool {
	for _, c := range v.Copies {
		if c.Messages > v.Reading.Journal.Messages && c.Last <= v.Reading.Journal.Last {
			return true
		}
	}
	return false
}

// print prints the status for people.
func (s status) print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "epoch\t%d, %s", s.Epoch.Number, s.Epoch.Phase)
	if !s.Epoch.AcceptedAt.IsZero() {
		fmt.Fprintf(t, ", accepted %s", stamp(s.Epoch.AcceptedAt))
	}
	fmt.Fprintf(t, "\nmark in the bucket\t%s\n", markLine(s.Bucket))
	switch {
	case s.Fault != "":
		fmt.Fprintf(t, "mark in the witness\tcannot be read: %s\n", s.Fault)
	case s.Witness != nil:
		fmt.Fprintf(t, "mark in the witness\t%s\n", markLine(*s.Witness))
	}
	fmt.Fprintf(t, "journal\t%d to %d, %d messages, %d since the mark, led by %s\n",
		s.Reading.First, s.Reading.Last, s.Reading.Messages, s.Reading.SinceMark, s.Reading.Leader)
	for _, c := range s.Copies {
		fmt.Fprintf(t, "copy at %s\t%d to %d, %d messages\n", c.Server, c.First, c.Last, c.Messages)
	}
	for _, r := range s.Replicas {
		fmt.Fprintf(t, "process %s\t%s\n", r.ID, processLine(r))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range s.Replicas {
		for _, line := range inHandLines(r) {
			fmt.Fprintln(out, line)
		}
	}
	for _, f := range s.Findings {
		fmt.Fprintf(out, "\nfinding %s: %s\n", f.Kind, f.Text)
	}
	for _, gap := range s.Missing {
		accepted := ""
		if gap.Accepted {
			accepted = ", accepted"
		}
		fmt.Fprintf(out, "missing: %s, between %s and %s%s\n", gap.Range, stamp(gap.After), stamp(gap.Before), accepted)
	}
	if c := s.Loss.Commands; c.Messages > 0 {
		fmt.Fprintf(out, "%s (--lose-commands %d)\n", c.Text(), c.Messages)
	}
	for _, note := range s.Notes {
		fmt.Fprintf(out, "note: %s\n", note)
	}
	verdict := s.verdict()
	if s.Loss.Messages > 0 {
		verdict += fmt.Sprintf("; accepting it as it is would give up %s (--lose %d)", messages(s.Loss.Messages), s.Loss.Messages)
	}
	_, err := fmt.Fprintf(out, "\n%s\n", verdict)
	return err
}

func markLine(r integrity.Record) string {
	if r.Mark.Zero() {
		return "none"
	}
	return fmt.Sprintf("%d at %s, epoch %d", r.Mark.Journal.Sequence, stamp(r.Mark.At), r.Mark.Epoch)
}

// processLine is what a process says of itself.
func processLine(r integrity.Registered) string {
	parts := []string{"gate open"}
	if r.Shut {
		parts[0] = "gate shut"
		if r.Reason != "" {
			parts[0] += " (" + r.Reason + ")"
		}
	}
	parts = append(parts, "journal "+r.Standing, fmt.Sprintf("epoch %d %s", r.Epoch.Number, r.Epoch.Phase))
	if r.Version != "" {
		parts = append(parts, "version "+r.Version)
	}
	if n := len(r.InHand) + r.MoreInHand; n > 0 {
		parts = append(parts, fmt.Sprintf("%d known outcomes in hand", n))
	}
	return strings.Join(parts, ", ")
}

// inHandLines are the known outcomes that a process could not append yet.
func inHandLines(r integrity.Registered) []string {
	var all []string
	for _, h := range r.InHand {
		all = append(all, fmt.Sprintf("in hand at %s: %s of payment %s at %s, attempt %d: %s, since %s",
			r.ID, h.Operation, h.Payment, h.Provider, h.Attempt, h.Outcome, stamp(h.Since)))
	}
	if r.MoreInHand > 0 {
		all = append(all, fmt.Sprintf("in hand at %s: %d more", r.ID, r.MoreInHand))
	}
	return all
}
