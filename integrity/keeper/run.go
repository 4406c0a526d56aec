package keeper

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/countermand/countermand/integrity"
)

// Run reads the streams and raises the stores until ctx ends, then raises the
// stores once more. It outlives every outage of the server.
func (k *Keeper) Run(ctx context.Context) error {
	var both sync.WaitGroup
	both.Go(func() { k.keepReading(ctx) })
	both.Go(func() { k.keepRaising(ctx) })
	both.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), ioTimeout)
	defer cancel()
	k.raise(last)
	k.raiseWitness(last)
	return nil
}

// keepReading makes readings until ctx ends.
func (k *Keeper) keepReading(ctx context.Context) {
	for ctx.Err() == nil {
		every := readEvery
		if err := k.read(ctx); err != nil || !k.Status().Watch.MaySend() {
			every = readAgain
		}
		timer := time.NewTimer(every)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-k.readNow:
			if !k.Status().Watch.MaySend() {
				select { // what is found is read again a second later, not at once
				case <-ctx.Done():
				case <-timer.C:
				}
			}
		}
		timer.Stop()
	}
}

// read makes one reading and takes it in.
func (k *Keeper) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	if err := k.load(ctx); err != nil {
		return k.unread(err)
	}
	k.mu.Lock()
	k.begun++
	number, mark, open := k.begun, k.status.Record.Mark, openQuestions(k.status.Watch.Findings)
	k.mu.Unlock()
	began := k.now()
	r, still, err := k.source.Read(ctx, mark, open)
	if err != nil {
		return k.unread(err)
	}
	r.Began = began
	k.take(number, mark, r, still)
	return nil
}

// openQuestions are the findings that no extent of a stream shows.
func openQuestions(all []integrity.Finding) []integrity.Finding {
	var open []integrity.Finding
	for _, f := range all {
		switch f.Kind {
		case integrity.RecordUnreadable, integrity.TimerAhead, integrity.TimerUnknown:
			open = append(open, f)
		default:
		}
	}
	return open
}

// unread takes in that there is no reading.
func (k *Keeper) unread(err error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.status.Reading == nil || k.status.Reading.Error() != err.Error() {
		k.status.Reading = err
		k.log.Warn("the journal cannot be read to see whether it is whole", "error", err.Error())
		k.tell()
	}
	return err
}

// take takes a reading in.
func (k *Keeper) take(number uint64, mark integrity.Mark, r integrity.Reading, still []integrity.Finding) {
	findings := append(integrity.Judge(mark, r, integrity.Names{Journal: journalName}), still...)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status.Reading = nil
	if mark.Zero() {
		if adopted, why := integrity.Adopt(r, findings); !adopted && len(findings) == 0 {
			findings = []integrity.Finding{{Kind: integrity.JournalShorter, Object: journalName, Text: why}}
		}
	}
	k.set(k.status.Watch.Read(r.Began, findings))
	if len(findings) == 0 {
		k.raiseTo(r)
		if r.Leader == k.leader {
			k.sure = number
		}
	}
	k.leader = r.Leader
	close(k.news)
	k.news = make(chan struct{})
}

// raiseTo takes the extents of a whole reading into the mark. The journal's own
// end is not taken: only an append of ours, or the message read at the mark, has
// a token that a later reading can be compared with. The lock is held.
func (k *Keeper) raiseTo(r integrity.Reading) {
	m := &k.status.Record.Mark
	at := m.Journal
	if r.Newest.Sequence > at.Sequence {
		at = r.Newest
	}
	next := integrity.MarkOf(r, at, m.Epoch)
	next.Holes = m.Holes
	*m = m.Merge(next)
}

// load takes in what the stores know, once, before the first reading.
func (k *Keeper) load(ctx context.Context) error {
	k.mu.Lock()
	loaded := k.loaded
	k.mu.Unlock()
	if loaded {
		return nil
	}
	bucket, err := k.bucket.Load(ctx)
	if err != nil && !errors.Is(err, ErrNoStore) {
		return err
	}
	all := bucket
	if k.witness != nil {
		witness, err := k.witness.Load(ctx)
		if err != nil {
			return err
		}
		all = all.Merge(witness)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.loaded, k.stored = true, bucket
	if all.Zero() {
		all.Epoch = integrity.FirstEpoch()
	}
	k.status.Record = k.status.Record.Merge(all)
	return nil
}

// ErrNoStore: the store itself does not exist. Nothing can be known of it, and
// whether it ever existed the other marks say.
var ErrNoStore = errors.New("the place of the marks does not exist")

// journalName stands for the journal in findings.
const journalName = "journal"
