package acceptance

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/countermand/countermand/integrity"
)

// Loss is what an acceptance gives up.
type Loss struct {
	// Known is the highest sequence that any mark, process, consumer or copy shows; End is
	// where the journal ends, without what operators have recorded since the loss.
	Known uint64 `json:"known"`
	End   uint64 `json:"end"`
	// Messages is how many messages are given up: those after End, and those in
	// holes that nobody has accepted before. Where the journal is another one, or
	// was rewritten, nobody can count them; it is at least one then.
	Messages uint64 `json:"messages"`
	// Holes are all ranges in the middle that hold nothing.
	Holes []integrity.Range `json:"holes,omitempty"`
	// Commands is what the stream of commands has lost.
	Commands CommandsLoss `json:"commands"`
	// Fingerprint names this loss.
	Fingerprint string `json:"fingerprint"`
}

// LossOf says what accepting the journal as a view shows it gives up.
func LossOf(v View) Loss {
	mark, last := v.Record.Mark, v.Reading.Journal.Last
	l := Loss{Known: mark.Journal.Sequence, End: v.End}
	for _, d := range v.Reading.Durables {
		if d.Stream == v.Journal {
			l.Known = max(l.Known, d.Delivered)
		}
	}
	for _, r := range v.Live() {
		if broken(v, r) {
			l.Known = max(l.Known, r.Known)
		}
	}
	for _, c := range v.Copies {
		if c.Last > last {
			l.Known = max(l.Known, c.Last)
		}
	}
	if l.Known > last || l.Known > l.End && aboutEnd(v.Findings) {
		l.Messages = l.Known - l.End
	}
	l.Holes = holesOf(v.Reading.Journal)
	for _, hole := range l.Holes {
		if !contained(mark.Holes, hole) {
			l.Messages += hole.To - hole.From + 1
		}
	}
	if l.Messages == 0 && aboutJournal(v) {
		l.Messages = 1
	}
	l.Known = max(l.Known, l.End)
	l.Commands = commandsLossOf(v)
	l.Fingerprint = fingerprint(v, l)
	return l
}

// broken reports whether a process knows of a loss that nobody has accepted yet. It
// is sure of one, and not in an earlier epoch, or it is in a later one than the
// stores, which have lost that.
func broken(v View, r integrity.Registered) bool {
	own := v.Record.Epoch.Number
	return r.Epoch.Number > own || r.Epoch.Number == own && r.Standing == integrity.Broken.String()
}

// holesOf are the ranges of a journal that hold nothing, its missing head among them.
func holesOf(j integrity.JournalReading) []integrity.Range {
	var all []integrity.Range
	if j.First > 1 && j.Last > 0 {
		all = append(all, integrity.Range{From: 1, To: j.First - 1})
	}
	return append(all, j.Deleted...)
}

func contained(all []integrity.Range, r integrity.Range) bool {
	for _, hole := range all {
		if hole.From <= r.From && r.To <= hole.To {
			return true
		}
	}
	return false
}

// aboutEnd reports whether a finding says that the end of the journal was lost,
// also where operators have appended since.
func aboutEnd(findings []integrity.Finding) bool {
	for _, f := range findings {
		switch f.Kind {
		case integrity.JournalReplaced, integrity.JournalRewritten, integrity.JournalShorter:
			return true
		default:
		}
	}
	return false
}

// aboutJournal reports whether a finding says that the journal has lost something,
// or comes from a process that may have found so.
func aboutJournal(v View) bool {
	for _, f := range v.Findings {
		switch f.Kind {
		case integrity.JournalReplaced, integrity.JournalRewritten, integrity.JournalShorter, integrity.JournalHoles, integrity.JournalBeheaded:
			return true
		case integrity.EpochForgotten: // the journal itself remembers that: then it is the stores that have lost something
			if f.Object != v.Journal {
				return true
			}
		case integrity.ReplicaBroken, integrity.ReplicaSuspect:
			if !foundByStreamsOnly(v, f.Object) {
				return true
			}
		default:
		}
	}
	return false
}

// foundByStreamsOnly reports whether every process of an ID has found losses of
// other streams only, whether it is sure of them or not yet.
func foundByStreamsOnly(v View, id string) bool {
	n := 0
	for _, r := range v.Live() {
		suspects := r.Epoch.Number == v.Record.Epoch.Number && r.Standing == integrity.Suspect.String()
		if r.ID == id && (suspects || broken(v, r)) {
			n++
			if !namesStreamsOnly(r) {
				return false
			}
		}
	}
	return n > 0
}

// fingerprint names a loss. Nothing that an operator's own audit event or a new
// command changes is in it.
func fingerprint(v View, l Loss) string {
	head := v.Reading.Journal.Head
	if l.End == 0 {
		head = integrity.Identity{} // what lies there is an operator's own audit event, such as the first person's
	}
	raw, err := json.Marshal([]any{v.Record.Epoch.Number, head, l.Known, l.End, l.Messages, l.Holes, l.Commands.Messages > 0})
	if err != nil {
		return "" // numbers and strings always encode
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}

// Check returns what forbids that the journal is accepted as a view shows it;
// nothing means that it may be. lose is what the person has typed: how much is
// given up.
func Check(v View, lose Typed) []string {
	var no []string
	add := func(format string, args ...any) { no = append(no, fmt.Sprintf(format, args...)) }
	if v.Reading.Journal.Missing {
		add("the journal's stream does not exist: consumer provision makes it")
	}
	if v.BucketMissing {
		add("the bucket of pauses and marks does not exist: consumer provision makes it")
	}
	if v.WitnessError != nil {
		add("the witness cannot be read, and may know of more (%v)", v.WitnessError)
	}
	for _, u := range v.Unasked {
		if u.Typed {
			add("the server at %s was not asked, and may hold more (%s): type its monitoring address, or leave it out", u.Address, u.Reason)
		}
	}
	for _, f := range v.Findings {
		if f.Kind == integrity.DurableAhead {
			add("%s: delete it and let consumer provision make it anew, or it passes over what is written next", f.Text)
		}
	}
	if open := integrity.Open(v.Live()); len(open) > 0 {
		add("the gate is open in %s: each process has to report it shut, or has to be stopped; one that was stopped within the last seconds still counts: ask again in ten", names(open))
	}
	loss := LossOf(v)
	if restart := Restart(v); len(restart) > 0 && lose == (Typed{}) && loss.Messages+loss.Commands.Messages > 0 {
		add("%s; only if a process has ended since the data was lost: type it out with %s", restartText(restart), loss.typed())
		return no
	}
	return append(append(append(no, checkCopies(v)...), checkMessages(v, loss, lose.Messages)...), checkCommands(loss.Commands, lose.Commands)...)
}

// checkMessages says what forbids that the loss of messages of the journal is accepted.
func checkMessages(v View, l Loss, typed uint64) []string {
	holders := strings.Join(v.holders(""), ", ")
	switch {
	case l.Messages == typed:
		return nil
	case typed > 0:
		return []string{fmt.Sprintf("--lose %d is not what would be given up: that is %d", typed, l.Messages)}
	case holders != "":
		return []string{fmt.Sprintf("%d messages would be given up (known to reach %d, ends at %d), and server %s holds more than the leader: make it lead first, or type it out with --lose %d",
			l.Messages, l.Known, l.End, holders, l.Messages)}
	default:
		return []string{fmt.Sprintf("%d messages would be given up (known to reach %d, ends at %d): bring them back first, or type it out with --lose %d",
			l.Messages, l.Known, l.End, l.Messages)}
	}
}

// typed is how a person types a loss out.
func (l Loss) typed() string {
	var all []string
	if l.Messages > 0 {
		all = append(all, fmt.Sprintf("--lose %d", l.Messages))
	}
	if n := l.Commands.Messages; n > 0 {
		all = append(all, fmt.Sprintf("--lose-commands %d", n))
	}
	return strings.Join(all, " ")
}

// CheckGo returns what forbids that work begins after an accepted loss.
func CheckGo(v View) []string {
	var no []string
	switch e := v.Record.Epoch; {
	case e.Number == 0:
		no = append(no, "no loss was accepted: consumer journal accept comes first")
	case e.Phase != integrity.Held:
		no = append(no, fmt.Sprintf("epoch %d is %s, not held%s", e.Number, e.Phase, by(v, ActionReleased)))
	}
	return append(no, lost(v)...)
}

// CheckRecover returns what forbids that anything is brought back: no loss was
// accepted, or something was lost since. What a process has found counts later: it
// may be an election.
func CheckRecover(v View) []string {
	if e := v.Record.Epoch; e.Number == 0 || e.Phase == integrity.Trusted {
		return []string{fmt.Sprintf("epoch %d is %s: a loss has to be accepted first (consumer journal accept)", e.Number, e.Phase)}
	}
	v.Findings = integrity.Own(v.Findings)
	return lost(v)
}

// Left is what is left to do before the journal can be trusted.
type Left struct {
	// Presumed counts open operations that are presumed: the journal did not know
	// them, and nobody has found out yet what became of them.
	Presumed uint64 `json:"presumed"`
	// Unchanged counts further open operations of which nothing was recorded since
	// the loss was accepted: what the journal has of them may not be their newest.
	Unchanged uint64 `json:"unchanged,omitempty"`
	// Unknown counts operations that a waiting timer names and the journal does not know:
	// they existed before the loss.
	Unknown uint64 `json:"unknown,omitempty"`
	// Unreadable counts operations of which neither can be said, since their event
	// or their command cannot be read.
	Unreadable uint64 `json:"unreadable,omitempty"`
	// Walked: the walk over the commands has been finished in this epoch, and the
	// journal still shows its end. Unwalked says in words why it does not count.
	Walked   bool   `json:"walked"`
	Unwalked string `json:"unwalked,omitempty"`
}

// InDoubt counts all of them.
func (l Left) InDoubt() uint64 { return l.Presumed + l.Unchanged + l.Unknown + l.Unreadable }

// text says what they are, in words.
func (l Left) text() string {
	var parts []string
	for _, part := range []struct {
		n    uint64
		what string
	}{
		{l.Presumed, "presumed (settle them: consumer review list)"},
		{l.Unchanged, "open and unchanged since the loss was accepted (consumer rearm brings them back)"},
		{l.Unknown, "known to a waiting timer alone (consumer recover --commands presumes them)"},
		{l.Unreadable, "not to be read (consumer check --deep)"},
	} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	return strings.Join(parts, ", ")
}

// CheckTrust returns what forbids that the journal is taken for complete. open is
// what the person has typed: how many operations stay in doubt.
// withoutWalk: the person has typed that the commands are not walked over, or not
// over all of them, since some were lost.
func CheckTrust(v View, left Left, open uint64, withoutWalk bool) []string {
	no := notDoubting(v)
	switch {
	case left.InDoubt() == open:
	case open == 0:
		no = append(no, fmt.Sprintf("%d operations are in doubt: %s; or type it out with --open %d", left.InDoubt(), left.text(), left.InDoubt()))
	default:
		no = append(no, fmt.Sprintf("--open %d is not how many operations are in doubt: those are %d", open, left.InDoubt()))
	}
	if !left.Walked && !withoutWalk {
		no = append(no, left.Unwalked+", or type it out with --without-commands")
	}
	if n := unsettled(v); n > 0 && !withoutWalk {
		no = append(no, fmt.Sprintf("%d commands count as lost, and no walk goes over what is not there: their repeats would be carried out as new operations; "+
			"let the order service repeat what it has sent while the journal is doubted, and reconcile with the providers' statements; then type it out with --without-commands", n))
	}
	return append(no, lost(v)...)
}

// notDoubting says that nothing is to be trusted in the epoch as it is.
func notDoubting(v View) []string {
	e := v.Record.Epoch
	if e.Phase == integrity.Doubting {
		return nil
	}
	return []string{fmt.Sprintf("epoch %d is %s, not doubting%s", e.Number, e.Phase, by(v, ActionTrusted))}
}

// by says who has recorded an action in the epoch that counts; "" where nobody has.
func by(v View, action string) string {
	for _, a := range v.Actions {
		if a.Action == action && a.Epoch == v.Record.Epoch.Number {
			return fmt.Sprintf(" (%s by %s at %s)", action, a.Operator, a.Time.UTC().Format(time.RFC3339))
		}
	}
	return ""
}

// lost are findings that stand: something was lost since the loss was accepted.
func lost(v View) []string {
	var no []string
	for _, f := range v.Findings {
		no = append(no, f.Text+": accept that first")
	}
	return no
}

func names(all []integrity.Registered) string {
	var ids []string
	for _, r := range all {
		ids = append(ids, r.ID)
	}
	return strings.Join(ids, ", ")
}
