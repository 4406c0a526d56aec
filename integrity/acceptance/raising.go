package acceptance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/keeper"
	"github.com/countermand/countermand/internal/sleep"
	"github.com/countermand/countermand/journal/stream"
)

// Appended is how far a command's own appends have come in the journal. A journal is
// opened with one, so that the marks can be raised over what the command appends. It
// is safe for concurrent use.
type Appended struct {
	mu     sync.Mutex
	newest integrity.Position
	at     time.Time
	// frozen: an append lies at a sequence that an earlier one had passed. The journal
	// has lost something meanwhile, unless another run has appended that message. The
	// position stays as it is, so that the next reading can tell.
	frozen bool
}

var _ stream.Integrity = (*Appended)(nil)

// Open implements stream.Integrity.
func (*Appended) Open() error { return nil }

// Mark implements stream.Integrity.
func (a *Appended) Mark() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.newest.Sequence
}

// Accepted implements stream.Integrity.
func (a *Appended) Accepted(before, sequence uint64, token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.frozen = a.frozen || sequence <= before
	if !a.frozen && sequence > a.newest.Sequence {
		a.newest, a.at = integrity.Position{Sequence: sequence, Token: token}, time.Now()
	}
}

// Unreadable implements stream.Integrity. The append itself says so.
func (*Appended) Unreadable(string) {}

// mark is what the appends show, in an epoch.
func (a *Appended) mark(epoch uint64) integrity.Mark {
	if a == nil {
		return integrity.Mark{Epoch: epoch}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return integrity.Mark{Epoch: epoch, Journal: a.newest, At: a.at}
}

const (
	// raiseEvery bounds what a command that is killed has appended above the bucket's
	// mark, witnessEvery what it has appended above the witness's.
	raiseEvery   = 100 * time.Millisecond
	witnessEvery = time.Second
	// storeFor bounds one raise, readAgain is how long after a reading that failed
	// another one begins.
	storeFor  = 2 * time.Second
	readAgain = 200 * time.Millisecond
)

// KeepRaising raises the marks of an epoch over what is appended, in the bucket and
// in the witness, until stop is called. What fails is tried again, and [Raise] says
// in the end whether all of it was stored.
func KeepRaising(ctx context.Context, s Sources, epoch uint64) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { s.keep(ctx, epoch, raiseEvery, s.Bucket.Raise) })
	if s.Witness != nil {
		running.Go(func() { s.keep(ctx, epoch, witnessEvery, s.Witness.Raise) })
	}
	return func() {
		cancel()
		running.Wait()
	}
}

// keep raises one store where the appends have come further.
func (s Sources) keep(
	ctx context.Context, epoch uint64, interval time.Duration, raise func(context.Context, integrity.Record) (integrity.Record, error),
) {
	var raised uint64
	for sleep.For(ctx, interval) {
		mark := s.Appended.mark(epoch)
		if mark.Journal.Sequence <= raised {
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, storeFor)
		if _, err := raise(bounded, integrity.Record{Mark: mark}); err == nil {
			raised = mark.Journal.Sequence
		}
		cancel()
	}
}

// Raised is what came of [Raise].
type Raised struct {
	// End is where the journal ended: the marks cover everything up to it.
	End integrity.Position
	// Witness is why the witness could not be raised; "": it was, or there is none.
	Witness string
}

// Raise raises the marks of an epoch to where the journal ends, also over what an
// earlier run has appended that was killed. It reads the streams first, and raises
// nothing over a journal that has lost something since the marks were last raised. It
// tries until ctx ends; a witness that it cannot raise is no error.
func Raise(ctx context.Context, s Sources, epoch uint64) (Raised, error) {
	record, witness, err := s.marks(ctx)
	switch {
	case err != nil:
		return Raised{}, err
	case record.Epoch.Number != epoch:
		return Raised{}, fmt.Errorf("raise marks: epoch %d has begun meanwhile: run it again", record.Epoch.Number)
	}
	mark := record.Mark.Merge(s.Appended.mark(record.Mark.Epoch))
	var reading integrity.Reading
	err = insist(ctx, func(ctx context.Context) (err error) {
		began := time.Now()
		reading, _, err = s.Reader.Read(ctx, mark, nil)
		reading.Began = began
		return err
	})
	if err != nil {
		return Raised{}, fmt.Errorf("raise marks: read streams: %w", err)
	}
	if found := integrity.Judge(mark, reading, integrity.Names{Journal: s.Stream}); len(found) > 0 {
		return Raised{}, fmt.Errorf("raise marks: %s: look at it with consumer journal status", found[0].Text)
	}
	want := integrity.Record{Mark: integrity.MarkOf(reading, reading.Newest, epoch)}
	err = insist(ctx, func(ctx context.Context) error { _, err := s.Bucket.Raise(ctx, want); return err })
	if err != nil {
		return Raised{}, fmt.Errorf("raise marks: %w", err)
	}
	out := Raised{End: reading.Newest}
	if s.Witness != nil {
		bounded, cancel := context.WithTimeout(ctx, storeFor)
		defer cancel()
		if _, err := s.Witness.Raise(bounded, want); err != nil {
			witness = err
		}
	}
	if witness != nil {
		out.Witness = witness.Error()
	}
	return out, nil
}

// marks are what bucket and witness hold together. A witness that cannot be read is
// no reason to keep the bucket's mark low.
func (s Sources) marks(ctx context.Context) (record integrity.Record, witness, err error) {
	err = insist(ctx, func(ctx context.Context) (err error) { record, err = s.Bucket.Load(ctx); return err })
	if err != nil {
		return record, nil, fmt.Errorf("raise marks: %w", err)
	}
	if s.Witness == nil {
		return record, nil, nil
	}
	bounded, cancel := context.WithTimeout(ctx, storeFor)
	defer cancel()
	other, witness := s.Witness.Load(bounded)
	if witness == nil {
		record = record.Merge(other)
	}
	return record, witness, nil
}

// insist does something until it is done or ctx ends. That the bucket holds less than
// it did, or is gone, does not change.
func insist(ctx context.Context, do func(context.Context) error) error {
	for {
		bounded, cancel := context.WithTimeout(ctx, storeFor)
		err := do(bounded)
		cancel()
		if err == nil || errors.Is(err, keeper.ErrSetBack) || errors.Is(err, keeper.ErrNoStore) || !sleep.For(ctx, readAgain) {
			return err
		}
	}
}
