package recovery

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/internal/archive"
	"github.com/countermand/countermand/journal/stream"
)

// Verdict says whose an archive is.
type Verdict int

// The verdicts. The zero value is the careful one.
const (
	// Unrecognised: nothing in it, or nothing that is known of the journal, tells.
	Unrecognised Verdict = iota
	// Foreign: it is another journal's.
	Foreign
	// Ours: it is this journal's, or that of one whose place this journal has taken.
	Ours
)

// Recognition says whose one archive is, and why.
type Recognition struct {
	Path    string
	Verdict Verdict
	Why     string
}

// Lineage is what is known of a journal and of those whose place it has taken.
type Lineage struct {
	// First are their messages at sequence 1.
	First []integrity.Identity
	// Complete: there is no other one.
	Complete bool
	// Losses are the accepted ones.
	Losses []AcceptedLoss
}

// AcceptedLoss is where a journal ended when a person accepted a loss, and when.
type AcceptedLoss struct {
	End uint64
	At  time.Time
	// KnownAt is when the journal was last known to be whole: what it has taken since
	// may lie where something was lost. Zero: that is not known.
	KnownAt time.Time
}

// trace is what one archive shows of the journal that it is a copy of.
type trace struct {
	// first and last are the sequences of its first and last line.
	first, last uint64
	// begins and ends are the times of these lines, newest is the newest time of all.
	begins, ends, newest time.Time
	// identity is that of the message at sequence 1; the zero one where it has none.
	identity integrity.Identity
	// named are the first messages that accepted losses in it name.
	named []integrity.Identity
	// same: a line of it lies in the journal at its sequence.
	same bool
	// differs is the first sequence at which the journal holds another message, and
	// taken when the journal took that; 0: there is none.
	differs uint64
	taken   time.Time
}

// read takes in the next line.
func (t *trace) read(e archive.Entry) {
	if t.first == 0 {
		t.first, t.begins = e.Sequence, e.Time
	}
	t.last, t.ends = e.Sequence, e.Time
	if e.Time.After(t.newest) {
		t.newest = e.Time
	}
	if e.Sequence == 1 {
		t.identity = integrity.IdentityOf(e.Message.Subject, e.Message.Data)
	}
	if aboutJournal(e.Message.Subject) {
		if _, said, err := events.DecodeJournalAction(e.Message); err == nil && said != nil && said.First != nil {
			t.named = append(t.named, integrity.Identity(*said.First))
		}
	}
}

// hold takes in what lies at the sequence of a line in the journal.
func (t *trace) hold(same bool, there stream.Stored) {
	switch {
	case same:
		t.same = true
	case t.differs == 0 || there.Sequence < t.differs:
		t.differs, t.taken = there.Sequence, there.Time
	}
}

// Recognise says of each archive whose it is. All that is needed has been asked for by
// [Compare].
//
// An archive is the journal's if its first message is one of the lineage, or if one of
// its lines lies at its sequence. It is foreign if its first message is none of a
// complete lineage, or if the journal had already taken another message at the sequence
// of a line while the archived journal went on. A loss explains such a line if it was
// accepted after the archive was made, and the journal has taken its own message behind
// what was left. If no loss does, and the journal took its own later than all that the
// archive holds, nobody can tell: a loss that nobody noticed looks the same.
// A segment that tells nothing by itself counts with the archive that it goes on from.
func (p *Plan) Recognise(l Lineage) ([]Recognition, error) {
	first := slices.Clone(l.First)
	all := make([]Recognition, len(p.traces))
	for again := true; again; { // what is recognised may name and prove further ones
		again = false
		for i, t := range p.traces {
			if all[i].Verdict != Unrecognised {
				continue
			}
			all[i].Path = p.files[i].Name()
			all[i].Verdict, all[i].Why = t.recognise(l, first)
			if all[i].Verdict == Unrecognised && t.differs == 0 && t.identity == (integrity.Identity{}) {
				joined, err := p.goesOn(all, i)
				if err != nil {
					return nil, err
				}
				if joined {
					all[i].Verdict, all[i].Why = Ours, "it goes on from another archive"
				}
			}
			if all[i].Verdict == Ours {
				first = append(first, t.named...)
				again = true
			}
		}
	}
	return all, nil
}

// goesOn reports whether a segment goes on from an archive that is ours: where that
// one ends, or from a line that both hold.
func (p *Plan) goesOn(all []Recognition, segment int) (bool, error) {
	t := p.traces[segment]
	for i, other := range p.traces {
		switch {
		case all[i].Verdict != Ours || other.last == 0 || t.first > other.last+1:
			continue
		case t.first == other.last+1:
			if !t.begins.Before(other.ends) {
				return true, nil
			}
			continue
		}
		mine, err := p.line(segment, t.first)
		if err != nil {
			return false, err
		}
		theirs, err := p.line(i, t.first)
		if err != nil || theirs.Same(mine) {
			return err == nil, err
		}
	}
	return false, nil
}

// line reads the line of a sequence in an archive; the zero one where it has none.
func (p *Plan) line(file int, sequence uint64) (found archive.Entry, err error) {
	_, err = archive.Read(io.NewSectionReader(p.files[file], 0, math.MaxInt64), func(e archive.Entry, _ int64) error {
		if e.Sequence != sequence {
			return nil
		}
		found = e
		return io.EOF
	})
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return found, err
}

// recognise says whose an archive is by what it shows itself.
func (t trace) recognise(l Lineage, first []integrity.Identity) (Verdict, string) {
	begun := t.identity != integrity.Identity{}
	known := begun && slices.Contains(first, t.identity)
	switch {
	case t.last == 0:
		return Ours, "it holds nothing"
	case t.differs > 0 && !t.explained(l.Losses) && !t.taken.After(t.newest):
		return Foreign, fmt.Sprintf("at %d it holds another message than this journal, which had taken its own at %s already",
			t.differs, t.taken.UTC().Format(time.RFC3339))
	case begun && !known && l.Complete:
		return Foreign, "its first message is not the one with which this journal began"
	case t.differs > 0 && !t.explained(l.Losses):
		return Unrecognised, fmt.Sprintf("at %d it holds another message than this journal, which took its own at %s; no loss that was accepted explains it",
			t.differs, t.taken.UTC().Format(time.RFC3339))
	case known:
		return Ours, "its first message is this journal's"
	case t.same:
		return Ours, "it holds messages of this journal at their sequences"
	case begun:
		return Unrecognised, "nobody knows the message with which this journal began before it was lost"
	default:
		return Unrecognised, "it does not hold the message at sequence 1, and nothing that lies in the journal at its sequence"
	}
}

// explained reports whether a loss explains that the journal holds another message
// where the archive differs.
func (t trace) explained(losses []AcceptedLoss) bool {
	return slices.ContainsFunc(losses, func(l AcceptedLoss) bool {
		written := !l.KnownAt.IsZero() && t.taken.After(l.KnownAt)
		return !t.newest.After(l.At) && (t.differs > l.End || written)
	})
}

// OtherAccount returns an archived operation that was called at another account than
// the one that its provider has here, in words; "" where there is none. account returns
// the hash of a provider's account, "" where the provider is not configured. Only what
// the journal lacks is looked at.
func (p *Plan) OtherAccount(account func(provider string) string) (string, error) {
	for _, ch := range p.chains {
		own := account(ch.id.Provider)
		if own == "" {
			continue
		}
		for _, at := range slices.Concat(ch.missing, ch.differ) {
			entry, err := p.entry(at)
			if err != nil {
				return "", err
			}
			e, err := events.DecodeEvent(entry.Message)
			if err != nil {
				continue // it is refused anyway
			}
			for _, op := range e.State.Operations {
				if op.Open != nil && op.Open.Account != "" && op.Open.Account != own {
					return fmt.Sprintf("%s: line of sequence %d, payment %s: its %s was called at another account than %s has here",
						p.files[at.file].Name(), at.sequence, events.Token(ch.id.Native), op.Op, ch.id.Provider), nil
				}
			}
		}
	}
	return "", nil
}
