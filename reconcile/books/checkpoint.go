package books

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"github.com/countermand/countermand/internal/spill"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/reconcile"
)

// ErrOtherRun is wrapped by the error for a checkpoint file that was written by
// another run: of another provider, account or period.
var ErrOtherRun = errors.New("the file belongs to another reconciliation")

// syncEvery is after how many answers a checkpoint file is forced to disk.
const syncEvery = 256

// Run says what a checkpoint file is about.
type Run struct {
	Provider string `json:"provider"`
	// Account is the hash of the account that was asked.
	Account string `json:"account"`
	From    string `json:"from"`
	To      string `json:"to"`
}

// answered is one line of a checkpoint file.
type answered struct {
	Payment string `json:"payment"` // its token
	// Version is the payment's when it was asked about: an answer is used again only
	// while our books have not moved.
	Version uint64  `json:"version"`
	Answers answers `json:"answers"`
}

// answers are reconcile.Answers as a checkpoint file has them.
type answers struct {
	Reading  *payment.Reading `json:"reading,omitempty"`
	Outcomes []*outcome       `json:"outcomes,omitempty"`
}

// outcome is a whole payment.Outcome: its JSON names leave out what no event says.
type outcome struct {
	payment.Outcome
	Result     payment.Result
	RetryAfter time.Duration
	Unhealthy  bool
}

func written(a reconcile.Answers) answers {
	out := answers{Reading: a.Reading, Outcomes: make([]*outcome, len(a.Outcomes))}
	for i, o := range a.Outcomes {
		if o != nil {
			out.Outcomes[i] = &outcome{*o, o.Result, o.RetryAfter, o.Unhealthy}
		}
	}
	return out
}

func (a answers) read() reconcile.Answers {
	out := reconcile.Answers{Reading: a.Reading, Outcomes: make([]*payment.Outcome, len(a.Outcomes))}
	for i, o := range a.Outcomes {
		if o != nil {
			o.Outcome.Result, o.Outcome.RetryAfter, o.Outcome.Unhealthy = o.Result, o.RetryAfter, o.Unhealthy
			out.Outcomes[i] = &o.Outcome
		}
	}
	return out
}

// Checkpoint keeps answers in a file, so that a run that was ended goes on where
// it was. A nil one keeps nothing. One goroutine may call Recall and another Keep.
type Checkpoint struct {
	file    *os.File
	old     *spill.Sorter
	written int
	next    func() (spill.Record, error, bool)
	stop    func()
	head    spill.Record
	there   bool
}

// OpenCheckpoint opens or creates a file; Close it. A last line that was cut is dropped.
func OpenCheckpoint(name string, run Run, source Source) (c *Checkpoint, err error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open checkpoint: %w", err)
	}
	old, err := spill.New(source.Dir, source.Memory)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	c = &Checkpoint{file: f, old: old}
	if err := c.load(run); err != nil {
		return nil, errors.Join(fmt.Errorf("read checkpoint %s: %w", name, err), c.Close())
	}
	c.next, c.stop = iter.Pull2(old.Sorted())
	if err := c.advance(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// load reads what is there and leaves the file where the next line goes.
func (c *Checkpoint) load(run Run) error {
	lines := bufio.NewReader(c.file)
	var good int64
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // what is left is no whole line
		}
		if err != nil {
			return err
		}
		if number == 1 {
			err = sameRun(line, run)
		} else {
			err = c.take(line)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		good += int64(len(line))
	}
	if err := c.file.Truncate(good); err != nil {
		return err
	}
	if _, err := c.file.Seek(good, io.SeekStart); err != nil {
		return err
	}
	if good > 0 {
		return nil
	}
	return c.write(run)
}

func sameRun(line []byte, run Run) error {
	var found Run
	if err := json.Unmarshal(line, &found); err != nil {
		return fmt.Errorf("%w: %w", ErrOtherRun, err)
	}
	if found != run {
		return fmt.Errorf("%w (%s, %s to %s)", ErrOtherRun, found.Provider, found.From, found.To)
	}
	return nil
}

func (c *Checkpoint) take(line []byte) error {
	var a answered
	if err := json.Unmarshal(line, &a); err != nil {
		return err
	}
	return c.old.Add(a.Payment, bytes.Clone(line))
}

// Recall returns what was answered about a payment, if our books have not moved since.
// Payments must be asked for in the order of their tokens.
func (c *Checkpoint) Recall(token string, version uint64) (reconcile.Answers, bool, error) {
	if c == nil {
		return reconcile.Answers{}, false, nil
	}
	var last []byte
	for c.there && c.head.Key <= token {
		if c.head.Key == token {
			last = c.head.Value // the newest is the last
		}
		if err := c.advance(); err != nil {
			return reconcile.Answers{}, false, err
		}
	}
	if last == nil {
		return reconcile.Answers{}, false, nil
	}
	var a answered
	if err := json.Unmarshal(last, &a); err != nil {
		return reconcile.Answers{}, false, fmt.Errorf("read checkpoint: %w", err)
	}
	return a.Answers.read(), a.Version == version, nil
}

func (c *Checkpoint) advance() error {
	var err error
	c.head, err, c.there = c.next()
	return err
}

// Keep writes an answer down. Those that bring nothing are not: they are to be
// asked again.
func (c *Checkpoint) Keep(token string, version uint64, a reconcile.Answers) error {
	if c == nil || !worthKeeping(a) {
		return nil
	}
	if err := c.write(answered{Payment: token, Version: version, Answers: written(a)}); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	if c.written++; c.written%syncEvery == 0 {
		if err := c.file.Sync(); err != nil {
			return fmt.Errorf("write checkpoint: %w", err)
		}
	}
	return nil
}

func worthKeeping(a reconcile.Answers) bool {
	if a.Reading != nil && !a.Reading.OK {
		return false
	}
	for _, out := range a.Outcomes {
		if out != nil && reconcile.Unavailable(*out) {
			return false
		}
	}
	return true
}

// write appends one line in one call, so that a killed process leaves at most its
// last line cut.
func (c *Checkpoint) write(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = c.file.Write(append(b, '\n'))
	return err
}

// Close closes the file and removes what was made beside it.
func (c *Checkpoint) Close() error {
	if c == nil {
		return nil
	}
	if c.stop != nil {
		c.stop()
	}
	return errors.Join(c.file.Sync(), c.file.Close(), c.old.Close())
}
