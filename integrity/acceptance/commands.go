package acceptance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/integrity"
)

// CommandsLoss is what the stream of commands has lost. Nothing can be walked
// over that is not there, so a repeat of a lost command looks like a new one.
type CommandsLoss struct {
	Stream string `json:"stream,omitempty"`
	// Known is the highest sequence that the marks or a consumer show; End is where
	// the stream ends.
	Known uint64 `json:"known"`
	End   uint64 `json:"end"`
	// Messages is how many commands are known to be lost. It falls while new commands
	// come in. Where only a process knows of the loss, it is at least one.
	Messages uint64 `json:"messages"`
	// HeldBy names servers that hold more of them than the leader: they are not lost yet.
	HeldBy string `json:"heldBy,omitempty"`
	// Refilled: the stream was set back to End, and new commands lie behind it.
	Refilled bool `json:"refilled,omitempty"`
	// Gone are the sequences at its beginning that are gone although they are too young,
	// Within is how many are missing in its middle.
	Gone   *integrity.Range `json:"gone,omitempty"`
	Within uint64           `json:"within,omitempty"`
}

// refilled reports whether the stream of commands was set back and filled again.
func refilled(v View) bool {
	return slices.ContainsFunc(v.Findings, func(f integrity.Finding) bool {
		return f.Kind == integrity.StreamRewritten && f.Object == v.Commands
	})
}

// commandsCut finds where a stream of commands that was filled again was set back to:
// behind the newest command that is no younger than the one that was known to lie at
// the mark.
func commandsCut(ctx context.Context, s Sources, v View) (uint64, error) {
	if !refilled(v) {
		return 0, nil
	}
	stream, err := s.JetStream.Stream(ctx, s.Commands)
	if err != nil {
		return 0, fmt.Errorf("open stream %s: %w", s.Commands, err)
	}
	known, stamp := v.Record.Mark.Streams[s.Commands], v.Record.Mark.Stamps[s.Commands]
	cut, above := uint64(0), known // a command at cut is old, one at above is new
	for above-cut > 1 {
		at := cut + (above-cut)/2
		stored, sequence, err := storedAt(ctx, stream, at)
		switch {
		case err != nil:
			return 0, fmt.Errorf("read command %d of %s: %w", at, s.Commands, err)
		case sequence == 0 || sequence >= above || stored.After(stamp):
			above = at
		default:
			cut = sequence
		}
	}
	return cut, nil
}

// storedAt is when the first message at a sequence or behind it was stored; the
// sequence is 0 where there is none.
func storedAt(ctx context.Context, stream jetstream.Stream, at uint64) (stored time.Time, sequence uint64, err error) {
	m, err := stream.GetMsg(ctx, at, jetstream.WithGetMsgSubject(">"))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return time.Time{}, 0, nil
	case err != nil:
		return time.Time{}, 0, err
	}
	return m.Time, m.Sequence, nil
}

// Typed is what a person types out as given up.
type Typed struct {
	// Messages of the journal: exactly as many as [Loss] says.
	Messages uint64
	// Commands: at least as many as [CommandsLoss] says, since new ones come in meanwhile,
	// and at most as many as the stream is known to have held.
	Commands uint64
}

// commandsLossOf says what the stream of commands has lost, as a view shows it.
func commandsLossOf(v View) CommandsLoss {
	l := CommandsLoss{Stream: v.Commands, Known: v.Record.Mark.Streams[v.Commands]}
	now, read := v.Reading.Streams[v.Commands]
	if v.Commands == "" || !read {
		return CommandsLoss{Stream: v.Commands}
	}
	if !now.Missing {
		l.End = now.Last
	}
	for _, d := range v.Reading.Durables {
		if d.Stream == v.Commands {
			l.Known = max(l.Known, d.Delivered)
		}
	}
	if refilled(v) {
		l.Known, l.End, l.Refilled = v.Record.Mark.Streams[v.Commands], v.CommandsCut, true
	}
	if l.Known > l.End {
		l.Messages = l.Known - l.End
	}
	if short := integrity.ShortfallOf(v.Record.Mark, v.Commands, now); !l.Refilled && short.Messages() > 0 {
		l.Messages, l.Within = l.Messages+short.Messages(), short.Within
		if short.From > 0 {
			l.Gone = &integrity.Range{From: short.From, To: short.To}
		}
	}
	for _, c := range v.fuller() {
		if c.Stream == v.Commands && c.Last > l.Known {
			l.Messages, l.Known = l.Messages+c.Last-max(l.Known, l.End), c.Last
		}
	}
	l.HeldBy = strings.Join(v.holders(v.Commands), ", ")
	l.Known = max(l.Known, l.End)
	if l.Messages == 0 && processLostCommands(v) {
		l.Messages = 1
	}
	return l
}

// processLostCommands reports whether a process that is sure of a loss names the
// stream of commands, or has more findings than it lists. Its memory may reach
// further than the marks, and it still knows when new commands have filled the
// stream up to the mark.
func processLostCommands(v View) bool {
	for _, r := range v.Live() {
		if r.Standing == integrity.Broken.String() && broken(v, r) && namesCommands(r, v.Commands) {
			return true
		}
	}
	return false
}

// unsettled is how many commands earlier acceptances have given up, after which
// nobody has trusted the journal. The bucket, the witness, each process and the
// journal itself may know of it; the highest number counts.
func unsettled(v View) uint64 {
	epoch := v.Record.Epoch
	for _, r := range v.Live() {
		epoch = epoch.Later(r.Epoch)
	}
	var n, trusted uint64
	if epoch.Doubted() {
		n = epoch.CommandsLost
	} else {
		trusted = epoch.Number
	}
	for _, a := range v.Actions {
		if a.Action == ActionTrusted {
			trusted = max(trusted, a.Epoch)
		}
	}
	for _, a := range v.Actions {
		if a.Action == ActionAccepted && a.Epoch > trusted {
			n = max(n, a.CommandsLost)
		}
	}
	return n
}

// checkCommands says what forbids that the loss of commands is accepted.
func checkCommands(l CommandsLoss, typed uint64) []string {
	switch {
	case typed > max(l.Known, l.Messages, 1): // one also where nothing is found
		return []string{fmt.Sprintf("--lose-commands %d is more than can be lost: %s is known to reach %d", typed, l.Stream, l.Known)}
	case typed >= l.Messages:
		return nil
	}
	if l.HeldBy != "" {
		return []string{fmt.Sprintf("%s: make it lead first, or type it out with --lose-commands %d", l.Text(), l.Messages)}
	}
	return []string{fmt.Sprintf("%s: bring them back first, or type it out with --lose-commands %d", l.Text(), l.Messages)}
}

// Text says in words what is lost; "" where nothing is.
func (l CommandsLoss) Text() string {
	switch {
	case l.Messages == 0:
		return ""
	case l.HeldBy != "":
		return fmt.Sprintf("%d commands are missing at the leader of %s, which ends at %d and was known to reach %d; server %s holds more, so they are not lost yet",
			l.Messages, l.Stream, l.End, l.Known, l.HeldBy)
	case l.Refilled:
		return fmt.Sprintf("%d commands are lost: %s was known to reach %d, was set back to %d, and was filled again", l.Messages, l.Stream, l.Known, l.End)
	case l.Gone != nil || l.Within > 0:
		return fmt.Sprintf("%d commands are lost: ", l.Messages) + strings.Join(l.parts(), ", ")
	case l.Known == l.End:
		return "commands may be lost: a running process has found more than the marks show, and nobody can count them"
	default:
		return fmt.Sprintf("%d commands are lost: %s is known to reach %d, ends at %d", l.Messages, l.Stream, l.Known, l.End)
	}
}

// parts says what is lost in each place of the stream.
func (l CommandsLoss) parts() []string {
	var all []string
	if l.Gone != nil {
		all = append(all, fmt.Sprintf("%s no longer holds %s", l.Stream, l.Gone))
	}
	if l.Within > 0 {
		all = append(all, fmt.Sprintf("%s lacks %d in its middle", l.Stream, l.Within))
	}
	if l.Known > l.End {
		all = append(all, fmt.Sprintf("%s is known to reach %d and ends at %d", l.Stream, l.Known, l.End))
	}
	return all
}
