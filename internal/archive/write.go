package archive

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/countermand/countermand/internal/sleep"
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
}

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
	w := &writer{journal: j, check: newCheck(), window: 64, patience: 30 * time.Second, progress: func(uint64, uint64) {}}
	found := func(Finding) error { return nil }
	if o != nil {
		w.window, w.patience = cmp.Or(o.Window, w.window), cmp.Or(o.Patience, w.patience)
		if o.Progress != nil {
			w.progress = o.Progress
		}
		if o.Found != nil {
			found = o.Found
		}
	}
	w.check.found = func(f Finding) error {
		w.summary.Findings++
		return found(f)
	}
	w.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return s, fmt.Errorf("open archive: %w", err)
	}
	defer func() { err = errors.Join(err, w.file.Close()) }()
	if err := w.resume(ctx); err != nil {
		return w.summary, err
	}
	err = w.copy(ctx)
	return w.summary, errors.Join(err, w.flush())
}

// writer is one run.
type writer struct {
	journal  Journal
	file     *os.File
	check    *check
	window   int
	patience time.Duration
	progress func(done, total uint64)
	summary  Summary

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

// copy asks for every sequence behind the last one, several at a time, and writes
// them in order.
func (w *writer) copy(ctx context.Context) error {
	_, end, err := w.journal.Extent(ctx)
	if err != nil {
		return fmt.Errorf("read extent of journal: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		entry Entry
		err   error
	}
	// Each question has a channel of its own; their order is that of the sequences.
	asked := make(chan chan answer, w.window)
	go func() {
		defer close(asked)
		for sequence := w.summary.Last + 1; sequence <= end; sequence++ {
			reply := make(chan answer, 1)
			select {
			case asked <- reply:
			case <-ctx.Done():
				return
			}
			go func() {
				e, err := w.ask(ctx, sequence)
				reply <- answer{e, err}
			}()
		}
	}()
	for reply := range asked {
		got := <-reply
		if got.err != nil {
			return got.err
		}
		w.summary.Last++
		if got.entry.Sequence != 0 {
			if err := w.put(got.entry); err != nil {
				return err
			}
		}
		w.progress(w.summary.Last, end)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("copy journal: %w", err)
	}
	return w.check.end(w.summary.Last)
}

// ask asks for one sequence, again while the server cannot say.
func (w *writer) ask(ctx context.Context, sequence uint64) (Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, w.patience)
	defer cancel()
	for {
		e, err := w.journal.At(ctx, sequence)
		if err == nil {
			return e, nil
		}
		if !sleep.For(ctx, 100*time.Millisecond) {
			return Entry{}, fmt.Errorf("read message %d: %w", sequence, err)
		}
	}
}

// put writes one entry.
func (w *writer) put(e Entry) error {
	if err := w.check.take(e); err != nil {
		return err
	}
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
