package archive

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/countermand/countermand/internal/sleep"
)

// Inspect asks for every sequence of a journal and tells what is missing, as Write
// does, and keeps nothing.
func Inspect(ctx context.Context, j Journal, o *Options) (s Summary, err error) {
	err = newWalk(ctx, j, o, &s).run(ctx, func(Entry) error { return nil })
	return s, err
}

// Pass asks for every sequence of a journal and gives out what is there, in order. It
// keeps nothing, needs the same two rights as Write, and passes over what it does not get.
// progress (may be nil) is told how far it is, in sequences.
func Pass(ctx context.Context, j Journal, progress func(done, total uint64), take func(Entry) error) error {
	w := newWalk(ctx, j, &Options{Progress: progress}, new(Summary))
	w.check, w.once = nil, true
	return w.run(ctx, take)
}

// walk asks for the sequences of a journal one by one, and checks what comes.
type walk struct {
	journal  Journal
	check    *check // nil: nothing is checked
	once     bool   // what is not there is not asked for again
	window   int
	patience time.Duration
	progress func(done, total uint64)
	summary  *Summary
}

func newWalk(ctx context.Context, j Journal, o *Options, s *Summary) *walk {
	w := &walk{journal: j, check: newCheck(), window: 64, patience: 30 * time.Second, progress: func(uint64, uint64) {}, summary: s}
	found := func(Finding) error { return nil }
	accepted := func(context.Context) ([]Range, error) { return nil, nil }
	if o != nil {
		w.window, w.patience = cmp.Or(o.Window, w.window), cmp.Or(o.Patience, w.patience)
		if o.Progress != nil {
			w.progress = o.Progress
		}
		if o.Found != nil {
			found = o.Found
		}
		if o.Accepted != nil {
			accepted = o.Accepted
		}
	}
	var known []Range
	asked := false
	w.check.found = func(f Finding) error {
		if !asked {
			var err error
			if known, err = accepted(ctx); err != nil {
				return fmt.Errorf("read what was accepted: %w", err)
			}
			asked = true
		}
		for _, part := range f.split(known) {
			if !part.Accepted {
				w.summary.Findings++
			}
			if err := found(part); err != nil {
				return err
			}
		}
		return nil
	}
	return w
}

// run asks for every sequence behind the last one, several at a time, and gives out
// in order what is there.
func (w *walk) run(ctx context.Context, take func(Entry) error) error {
	_, end, err := w.journal.Extent(ctx)
	if err != nil {
		return fmt.Errorf("read extent of journal: %w", err)
	}
	var asking sync.WaitGroup
	defer asking.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for reply := range w.askAll(ctx, end, &asking) {
		got := <-reply
		if got.err != nil {
			return got.err
		}
		w.summary.Last++
		if got.entry.Sequence != 0 {
			if err := w.check.take(got.entry); err != nil {
				return err
			}
			if err := take(got.entry); err != nil {
				return err
			}
		}
		w.progress(w.summary.Last, end)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	return w.check.end(w.summary.Last)
}

// answer is what a sequence holds.
type answer struct {
	entry Entry
	err   error
}

// askAll asks for the sequences up to the end. Each question has a channel of its
// own; their order is that of the sequences. Each is over once asking is.
func (w *walk) askAll(ctx context.Context, end uint64, asking *sync.WaitGroup) <-chan chan answer {
	asked := make(chan chan answer, w.window)
	from := w.summary.Last + 1
	asking.Go(func() {
		defer close(asked)
		for sequence := from; sequence <= end; sequence++ {
			reply := make(chan answer, 1)
			select {
			case asked <- reply:
			case <-ctx.Done():
				return
			}
			asking.Go(func() {
				e, err := w.sure(ctx, sequence)
				reply <- answer{e, err}
			})
		}
	})
	return asked
}

// secondLook is how long after it was not found a message is asked for again.
const secondLook = 200 * time.Millisecond

// sure asks for one sequence, and once more where there is nothing: a server that
// could not look says the same.
func (w *walk) sure(ctx context.Context, sequence uint64) (Entry, error) {
	e, err := w.ask(ctx, sequence)
	if err != nil || e.Sequence != 0 || w.once {
		return e, err
	}
	if !sleep.For(ctx, secondLook) {
		return Entry{}, fmt.Errorf("read message %d: %w", sequence, context.Cause(ctx))
	}
	return w.ask(ctx, sequence)
}

// ask asks for one sequence, again while the server cannot say.
func (w *walk) ask(ctx context.Context, sequence uint64) (Entry, error) {
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
