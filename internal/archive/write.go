package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Journal is the journal that is copied. Implementations are safe for concurrent use.
type Journal interface {
	// Extent returns the sequences of the first and the last message; 0 and 0
	// where there is none.
	Extent(ctx context.Context) (first, last uint64, err error)
	// At returns the message at a sequence, the zero Entry if there is none.
	At(ctx context.Context, sequence uint64) (Entry, error)
}

// ErrOtherJournal: what a file holds is not what lies in the journal.
var ErrOtherJournal = errors.New("the file ends with another message than lies there in the journal: begin a new file")

// Kinds of findings.
const (
	// Unreadable: a sequence between the first and the last holds nothing that the
	// leader can show.
	Unreadable = "unreadable"
	// VersionGap: a payment's event does not follow the one before it.
	VersionGap = "version_gap"
)

// Finding is something that an archive shows to be missing in the journal.
type Finding struct {
	Kind string `json:"kind"`
	// Sequence is that of the message, To the end of a range.
	Sequence uint64 `json:"sequence"`
	To       uint64 `json:"to,omitempty"`
	Subject  string `json:"subject,omitempty"`
	// Known and Found are versions.
	Known uint64 `json:"known,omitempty"`
	Found uint64 `json:"found,omitempty"`
	// Accepted: a person has accepted the loss that it shows, or may show: it is told
	// and does not count.
	Accepted bool `json:"accepted,omitempty"`
}

// Range is a closed range of sequences.
type Range struct{ From, To uint64 }

// Summary is what came of a run.
type Summary struct {
	// Before is how many messages the file held, Written how many were added.
	Before  uint64 `json:"before"`
	Written uint64 `json:"written"`
	// Last is the newest sequence that was looked at.
	Last uint64 `json:"last"`
	// Findings counts all, those in the part that was there before among them.
	Findings uint64 `json:"findings"`
	// TornBytes were cut off the end: a run before was killed while it wrote.
	TornBytes int64 `json:"tornBytes,omitempty"`
}

// Options are the optional parts of Write; nil and zero mean the defaults.
type Options struct {
	// Found is told each finding, once and in order; default: nobody.
	Found func(Finding) error
	// Accepted returns the sequences whose loss was accepted. It is asked once, when
	// the first finding is made; default: none.
	Accepted func(ctx context.Context) ([]Range, error)
	// Progress is told how far it is, in sequences; default: nobody.
	Progress func(done, total uint64)
	// Window is how many messages are asked for at a time; default 64.
	Window int
	// Patience is for how long a message that cannot be asked for is asked for again; default 30 s.
	Patience time.Duration
}

// syncEvery is after how many written messages the file is made durable.
const syncEvery = 4096

// Write copies a journal into the file at a path, up to the message that is the
// newest when it begins. A file that exists is continued, after its last whole
// line was compared with the journal; ErrOtherJournal if that differs. What was
// written before an error stays, and the next run continues it.
func Write(ctx context.Context, j Journal, path string, o *Options) (s Summary, err error) {
	w := &writer{walk: newWalk(ctx, j, o, &s)}
	w.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return s, fmt.Errorf("open archive: %w", err)
	}
	defer func() { err = errors.Join(err, w.file.Close()) }()
	if err := w.resume(ctx); err != nil {
		return s, err
	}
	err = w.run(ctx, w.put)
	return s, errors.Join(err, w.flush())
}

// writer is one run.
type writer struct {
	*walk

	file     *os.File
	buffer   bytes.Buffer
	unsynced int
}

// resume reads what the file holds, cuts a torn line off and compares its first
// and last line with the journal.
func (w *writer) resume(ctx context.Context) error {
	var first, last Entry
	whole, err := Read(w.file, func(e Entry, _ int64) error {
		if last.Sequence >= e.Sequence {
			return fmt.Errorf("read archive: sequence %d stands behind %d", e.Sequence, last.Sequence)
		}
		if first.Sequence == 0 {
			first = e
		}
		last = e
		w.summary.Before++
		return w.check.take(e)
	})
	if err != nil {
		return err
	}
	size, err := w.file.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("read archive: %w", err)
	}
	for _, e := range []Entry{first, last} {
		if e.Sequence == 0 {
			continue
		}
		there, err := w.ask(ctx, e.Sequence)
		if err != nil {
			return err
		}
		if !there.Same(e) {
			return fmt.Errorf("sequence %d: %w", e.Sequence, ErrOtherJournal)
		}
	}
	if w.summary.TornBytes = size - whole; w.summary.TornBytes > 0 {
		if err := w.file.Truncate(whole); err != nil {
			return fmt.Errorf("cut torn line off: %w", err)
		}
	}
	if _, err := w.file.Seek(whole, io.SeekStart); err != nil {
		return fmt.Errorf("continue archive: %w", err)
	}
	w.summary.Last = last.Sequence
	return nil
}

// put writes one entry.
func (w *writer) put(e Entry) error {
	if err := encode(&w.buffer, e); err != nil {
		return err
	}
	w.summary.Written++
	if w.unsynced++; w.unsynced >= syncEvery {
		return w.flush()
	}
	return nil
}

// flush writes what is buffered and makes the file durable.
func (w *writer) flush() error {
	w.unsynced = 0
	if _, err := w.file.Write(w.buffer.Bytes()); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	w.buffer.Reset()
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	return nil
}
