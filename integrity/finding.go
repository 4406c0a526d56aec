package integrity

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind is what kind of loss a finding shows.
type Kind string

// The kinds. Each has a line in docs/journal-loss.md.
const (
	// JournalMissing: the journal's stream does not exist.
	JournalMissing Kind = "journal_missing"
	// JournalReplaced: the message at sequence 1 is not the one it was.
	JournalReplaced Kind = "journal_replaced"
	// JournalShorter: the journal ends before the mark.
	JournalShorter Kind = "journal_shorter"
	// JournalRewritten: another message lies at the mark, or none.
	JournalRewritten Kind = "journal_rewritten"
	// JournalBeheaded: the journal no longer begins at sequence 1.
	JournalBeheaded Kind = "journal_beheaded"
	// JournalHoles: messages are missing in the middle of the journal.
	JournalHoles Kind = "journal_holes"
	// DurableAhead: a consumer was sent more than its stream holds.
	DurableAhead Kind = "durable_ahead"
	// StreamShorter: another stream ends before the mark.
	StreamShorter Kind = "stream_shorter"
	// StreamRewritten: another message lies at another stream's mark.
	StreamRewritten Kind = "stream_rewritten"
	// StreamBeheaded: another stream no longer holds messages that are too young to have
	// gone by their age.
	StreamBeheaded Kind = "stream_beheaded"
	// StreamHoles: messages are missing in the middle of another stream.
	StreamHoles Kind = "stream_holes"
	// StreamMissing: another stream does not exist.
	StreamMissing Kind = "stream_missing"
	// AppendBehind: an append was accepted at a sequence that was taken before.
	AppendBehind Kind = "append_behind"
	// RecordUnreadable: a subject is taken, and the leader shows nothing there.
	RecordUnreadable Kind = "record_unreadable"
	// EpochForgotten: the journal records an accepted loss, and no mark knows of it.
	EpochForgotten Kind = "epoch_forgotten"
	// WitnessLost: the witness holds nothing, although it once did.
	WitnessLost Kind = "witness_lost"
	// ReplicaBroken: another process of the service has found a loss.
	ReplicaBroken Kind = "replica_broken"
	// ReplicaSuspect: another process has found what may be one, and is not sure yet.
	ReplicaSuspect Kind = "replica_suspect"
	// TimerAhead: a timer knows a newer version of its payment than the journal.
	TimerAhead Kind = "timer_ahead"
	// TimerUnknown: a timer names an operation that the journal does not know.
	TimerUnknown Kind = "timer_unknown"
)

// OfStream reports whether a kind is about a stream beside the journal.
func (k Kind) OfStream() bool {
	switch k {
	case StreamShorter, StreamRewritten, StreamBeheaded, StreamHoles, StreamMissing:
		return true
	default:
		return false
	}
}

// OfReplica reports whether a kind is what another process says.
func (k Kind) OfReplica() bool { return k == ReplicaBroken || k == ReplicaSuspect }

// Finding is one difference that only a loss explains.
type Finding struct {
	Kind Kind `json:"kind"`
	// Object is the stream, the consumer or the payment that it was found at.
	Object string `json:"object"`
	// Known and Found are sequences or versions: what was known, what is there.
	Known uint64 `json:"known,omitempty"`
	Found uint64 `json:"found,omitempty"`
	// Since is when the known one was reached; zero: that is not known.
	Since time.Time `json:"since,omitzero"`
	// Text says it in words, with both figures.
	Text string `json:"text"`
}

// Same reports whether two findings are of the same kind about the same object.
func (f Finding) Same(o Finding) bool { return f.Kind == o.Kind && f.Object == o.Object }

// Names are how the streams are called in the texts of findings.
type Names struct {
	Journal string
}

// Judge compares a reading with a mark. No findings mean that nothing is known
// to be lost. The rows, each of which may give a finding:
//
//	what is read                                            finding
//	the journal does not exist                              journal_missing, and nothing else of the journal
//	the mark has an identity, another message lies at 1     journal_replaced
//	the journal is not empty and does not begin at 1        journal_beheaded
//	it ends before the mark                                 journal_shorter
//	it reaches the mark, and another token lies there       journal_rewritten
//	deleted sequences that nobody accepted, or lost ones    journal_holes
//	fewer messages than sequences, holes not listed         journal_holes
//	a durable consumer is ahead of its stream's end         durable_ahead
//	it records an acceptance of a later epoch than the mark's epoch_forgotten
//	another stream ends before its mark                     stream_shorter
//	it reaches its mark, with a message of another time     stream_rewritten
//	it begins behind a message that it should still keep    stream_beheaded
//	messages are missing in its middle, or at its mark      stream_holes
//	another stream does not exist and has a mark            stream_missing
//
// The two before the last are of streams whose messages go by their age alone, see
// [ShortfallOf].
//
// Lag of a replica is no finding: readings are a leader's.
func Judge(m Mark, r Reading, n Names) []Finding {
	var all []Finding
	if r.Journal.Missing {
		all = append(all, Finding{
			Kind: JournalMissing, Object: n.Journal, Known: m.Journal.Sequence, Since: m.At,
			Text: strings.TrimSuffix("the journal's stream does not exist;"+reached(m), ";"),
		})
	} else {
		all = append(all, judgeJournal(m, r.Journal, n.Journal)...)
	}
	if r.Accepted > m.Epoch {
		all = append(all, Finding{
			Kind: EpochForgotten, Object: n.Journal, Known: r.Accepted, Found: m.Epoch,
			Text: fmt.Sprintf("the journal records that a loss was accepted (epoch %d); the bucket and the witness know epoch %d only: they were set back or lost",
				r.Accepted, m.Epoch),
		})
	}
	all = append(all, judgeDurables(r, n)...)
	return append(all, judgeStreams(m, r)...)
}

func judgeJournal(m Mark, j JournalReading, name string) []Finding {
	var all []Finding
	add := func(k Kind, known, found uint64, text string) {
		all = append(all, Finding{Kind: k, Object: name, Known: known, Found: found, Since: m.At, Text: text})
	}
	if m.Identity != (Identity{}) && j.Last > 0 && j.First <= 1 && j.Head != m.Identity {
		add(JournalReplaced, 1, 1, "the journal is another one: its first message is not the one it was")
	}
	if j.Last > 0 && j.First != 1 && !m.accepted(Range{1, j.First - 1}) {
		add(JournalBeheaded, 1, j.First, fmt.Sprintf("the journal begins at %d; it has to begin at 1", j.First))
	}
	switch {
	case j.Last < m.Journal.Sequence:
		add(JournalShorter, m.Journal.Sequence, j.Last, fmt.Sprintf("the journal ends at %d;%s", j.Last, reached(m)))
	case m.Journal.Sequence > 0 && !m.accepted(Range{m.Journal.Sequence, m.Journal.Sequence}) && j.AtMark != m.Journal:
		add(JournalRewritten, m.Journal.Sequence, j.AtMark.Sequence,
			fmt.Sprintf("at %d lies another message than was written there", m.Journal.Sequence))
	}
	return append(all, judgeHoles(m, j, name)...)
}

// judgeHoles finds what is missing between the journal's first and last message.
func judgeHoles(m Mark, j JournalReading, name string) []Finding {
	if j.Last == 0 {
		return nil
	}
	var listed, missing uint64
	var where []string
	for _, hole := range j.Deleted {
		listed += hole.To - hole.From + 1
		if !m.accepted(hole) {
			missing += hole.To - hole.From + 1
			where = append(where, hole.String())
		}
	}
	if span := j.Last - j.First + 1; span > j.Messages+listed {
		missing += span - j.Messages - listed // a hole that the server counts and does not list
	}
	missing += j.Lost
	if missing == 0 {
		return nil
	}
	text := fmt.Sprintf("%d messages are missing in the middle of the journal", missing)
	if len(where) > 0 {
		text += ", at " + strings.Join(where[:min(len(where), 5)], ", ")
	}
	return []Finding{{Kind: JournalHoles, Object: name, Known: j.Last - j.First + 1, Found: j.Messages, Since: m.At, Text: text}}
}

func judgeDurables(r Reading, n Names) []Finding {
	var all []Finding
	for _, d := range r.Durables {
		end, known := r.Streams[d.Stream]
		if d.Stream == n.Journal {
			end, known = r.Journal.StreamReading, true
		}
		if !known || end.Missing || d.Delivered <= end.Last {
			continue
		}
		all = append(all, Finding{
			Kind: DurableAhead, Object: d.Stream + "/" + d.Name, Known: d.Delivered, Found: end.Last,
			Text: fmt.Sprintf("consumer %s was sent message %d of %s, which ends at %d", d.Name, d.Delivered, d.Stream, end.Last),
		})
	}
	return all
}

func judgeStreams(m Mark, r Reading) []Finding {
	var all []Finding
	for _, name := range sortedNames(m.Streams) {
		known := m.Streams[name]
		s, read := r.Streams[name]
		switch {
		case !read || known == 0 && !s.Missing:
		case s.Missing && known > 0:
			all = append(all, Finding{
				Kind: StreamMissing, Object: name, Known: known,
				Text: fmt.Sprintf("stream %s does not exist; it was known to reach %d", name, known),
			})
		case s.Last < known:
			all = append(all, Finding{
				Kind: StreamShorter, Object: name, Known: known, Found: s.Last,
				Text: fmt.Sprintf("stream %s ends at %d; it was known to reach %d", name, s.Last, known),
			})
		case !m.Stamps[name].IsZero() && !s.AtMark.IsZero() && !s.AtMark.Equal(m.Stamps[name]):
			all = append(all, Finding{
				Kind: StreamRewritten, Object: name, Known: known, Found: known, Since: m.Stamps[name],
				Text: fmt.Sprintf("message %d of stream %s is of %s; it was of %s: the stream was set back, and filled again since",
					known, name, s.AtMark.UTC().Format(time.RFC3339), m.Stamps[name].UTC().Format(time.RFC3339)),
			})
		default:
			all = append(all, judgeShortfall(name, ShortfallOf(m, name, s))...)
		}
	}
	return all
}

// judgeShortfall says what a stream lacks that its messages' age does not explain.
func judgeShortfall(name string, s Shortfall) []Finding {
	var all []Finding
	if s.From > 0 {
		all = append(all, Finding{
			Kind: StreamBeheaded, Object: name, Known: s.From, Found: s.To + 1, Since: s.At,
			Text: fmt.Sprintf("messages %s of stream %s are gone; message %d is of %s, and the stream was known to keep each for %s",
				Range{s.From, s.To}, name, s.From, s.At.UTC().Format(time.RFC3339), span(s.Kept)),
		})
	}
	if s.Within > 0 {
		all = append(all, Finding{
			Kind: StreamHoles, Object: name, Known: s.Within,
			Text: fmt.Sprintf("%d messages are missing in the middle of stream %s", s.Within, name),
		})
	}
	return all
}

// span writes how long something is kept, in days where it is that long.
func span(d time.Duration) string {
	if days := d / (24 * time.Hour); days > 1 {
		return fmt.Sprintf("%d days", days)
	}
	return d.String()
}

// String writes a range as people do: 7, or 7 to 9.
func (r Range) String() string {
	if r.From == r.To {
		return fmt.Sprint(r.From)
	}
	return fmt.Sprintf("%d to %d", r.From, r.To)
}

// reached says how far a journal was known to have come, and when.
func reached(m Mark) string {
	if m.Journal.Sequence == 0 {
		return ""
	}
	text := fmt.Sprintf(" it was known to reach %d", m.Journal.Sequence)
	if !m.At.IsZero() {
		text += " at " + m.At.UTC().Format(time.RFC3339)
	}
	return text
}

func sortedNames(m map[string]uint64) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
