package keeper

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/countermand/countermand/integrity"
)

// keepRaising stores the mark in the bucket until ctx ends: after an append, but
// not within 100 ms of the raise before, and at once while a call waits for it.
func (k *Keeper) keepRaising(ctx context.Context) {
	soon := time.NewTimer(0)
	defer soon.Stop()
	soon.Stop()
	waiting := false // soon runs
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.raiseSoon:
			if !waiting {
				waiting = true
				soon.Reset(max(raiseEvery-time.Since(last), 0))
			}
			continue
		case <-soon.C:
			waiting = false
		case <-k.raiseNow:
		}
		k.raise(ctx)
		last = time.Now()
	}
}

// keepLearning takes in each second what other processes have stored in the
// bucket: a newer mark, or a new epoch.
func (k *Keeper) keepLearning(ctx context.Context) {
	every(ctx, learnEvery, func() {
		k.mu.Lock()
		loaded := k.loaded
		k.mu.Unlock()
		if !loaded {
			return
		}
		k.learnBucket(ctx)
		k.raise(ctx) // what a reading has found beyond the bucket
	})
}

// learnBucket takes in what the bucket holds. No raise is under way meanwhile,
// beside which the answer could be an old one.
func (k *Keeper) learnBucket(ctx context.Context) {
	k.raising.Lock()
	defer k.raising.Unlock()
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	stored, err := k.bucket.Load(ctx)
	k.noteSetBack(err)
	if err != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stored = stored
	k.learn(stored)
}

// keepWitness stores the record in the witness each second.
func (k *Keeper) keepWitness(ctx context.Context) {
	if k.witness != nil {
		every(ctx, witnessEvery, func() { k.raiseWitness(ctx) })
	}
}

// every calls do once in each interval until ctx ends.
func every(ctx context.Context, interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}

// raise stores the record in the bucket where that adds something. One raise is
// under way at a time.
func (k *Keeper) raise(ctx context.Context) {
	k.raising.Lock()
	defer k.raising.Unlock()
	k.mu.Lock()
	record, stored, loaded := k.status.Record, k.stored, k.loaded
	k.asked = false
	k.mu.Unlock()
	if !loaded || stored.Covers(k.withoutBucket(record)) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	if err := k.store(ctx, record); err != nil {
		signal(k.raiseSoon) // a call may wait for it
	}
}

// store raises the bucket and takes in what it holds then. The caller holds raising.
func (k *Keeper) store(ctx context.Context, record integrity.Record) error {
	now, err := k.bucket.Raise(ctx, record)
	k.noteSetBack(err)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status.Bucket = k.noteError(err, k.status.Bucket, "the bucket")
	if err != nil {
		return err
	}
	k.stored = now
	k.learn(now)
	k.wake()
	return nil
}

// withoutBucket is the record without the position of the bucket's own stream.
func (k *Keeper) withoutBucket(r integrity.Record) integrity.Record {
	if _, there := r.Mark.Streams[k.bucketStream]; there {
		r.Mark.Streams = maps.Clone(r.Mark.Streams)
		delete(r.Mark.Streams, k.bucketStream)
	}
	return r
}

// raiseWitness stores the record in the witness, while the journal is whole.
func (k *Keeper) raiseWitness(ctx context.Context) {
	if k.witness == nil {
		return
	}
	k.mu.Lock()
	record, loaded, whole := k.status.Record, k.loaded, k.status.Watch.MaySend()
	covered := k.witnessed.Covers(record)
	k.mu.Unlock()
	if !loaded || !whole || covered {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	now, err := k.witness.Raise(ctx, record)
	restored := false
	if errors.Is(err, ErrSetBack) {
		now, restored, err = k.restoreWitness(ctx, record, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status.Witness = k.noteError(err, k.status.Witness, "the witness")
	if err != nil {
		if k.status.WitnessSince.IsZero() {
			k.status.WitnessSince = k.now()
		}
		return
	}
	if restored {
		k.status.WitnessSetBack = k.now()
		k.log.Warn("the witness was set back or made anew, and is raised again to what this process knows; find out what set its store back",
			"ends_at", now.Mark.Journal.Sequence)
	}
	k.status.WitnessSince = time.Time{}
	k.witnessed = now
	k.status.Record.Witnessed = true
	k.learn(now)
}

// restoreWitness raises a witness that was set back under a process that remembers
// more. Refusing protects the bucket: what was set back with it is lost. Nothing else is
// lost with the witness, and what a process knows of a whole journal is true. Left as it
// is, the witness would protect nothing.
func (k *Keeper) restoreWitness(ctx context.Context, record integrity.Record, setBack error) (now integrity.Record, restored bool, err error) {
	w, can := k.witness.(Restorer)
	if !can {
		return now, false, setBack
	}
	now, err = w.Restore(ctx, record)
	return now, err == nil, err
}

// learn takes in what a store knows beyond this process. A new epoch begins with
// a reading of its own: what was found before belonged to the loss that a person
// has accepted. The lock is held.
func (k *Keeper) learn(r integrity.Record) {
	before := k.status.Record.Epoch
	r = k.hear(r)
	k.status.Record = k.status.Record.Merge(r)
	now := k.status.Record.Epoch
	if now == before {
		return
	}
	k.log.Warn("another epoch of the journal has begun", "epoch", now.Number, "phase", now.Phase.String())
	if now.Number != before.Number {
		k.bucketLost, k.rivals, k.heard = false, nil, integrity.Position{}
		k.bucketBehind, k.appendedBehind, k.whole, k.status.Recovered = false, false, 0, time.Time{}
		k.status.Kept = k.status.Kept && !k.loaded
		k.status.Watch = integrity.Watch{Since: k.now()}
	}
	k.tell()
	signal(k.readNow)
	signal(k.raiseSoon)
}

// hear keeps the position of a record for the next reading, and returns the record
// without it. The mark of a process that knows nothing, and that of a later epoch,
// are taken as they are. The lock is held.
func (k *Keeper) hear(r integrity.Record) integrity.Record {
	own, other := k.status.Record.Mark, r.Mark
	if own.Journal.Sequence == 0 || other.Epoch != own.Epoch || other.Journal.Sequence == 0 {
		return r
	}
	if other.Journal.Sequence == own.Journal.Sequence && other.Journal != own.Journal && k.rivals == nil {
		k.rivals = &integrity.Finding{
			Kind: integrity.JournalRewritten, Object: k.names.Journal, Known: own.Journal.Sequence, Found: own.Journal.Sequence, Since: own.At,
			Text: fmt.Sprintf("at %d two places know two different messages of the journal", own.Journal.Sequence),
		}
		signal(k.glanceNow)
	}
	if other.Journal.Sequence > max(own.Journal.Sequence, k.heard.Sequence) {
		k.heard, k.heardAt = other.Journal, other.At
		signal(k.glanceNow)
	}
	r.Mark.Journal, r.Mark.At = integrity.Position{}, time.Time{}
	return r
}

// noteSetBack takes in what the answer of the bucket says about it: that it holds
// less than it did, which its own sequence cannot show, since a bucket that was
// made anew soon holds as many messages; or that it does not. A leader that is
// about to lose its place may show an older state for a moment.
func (k *Keeper) noteSetBack(err error) {
	lost := errors.Is(err, ErrSetBack)
	if err != nil && !lost {
		return
	}
	k.mu.Lock()
	news := lost && !k.bucketLost
	k.bucketBehind = lost
	if lost || k.status.Watch.Standing != integrity.Broken {
		k.bucketLost = lost
	}
	f := k.lostBucket()
	k.mu.Unlock()
	if news {
		k.Report(f)
	}
}

// lostBucket is the finding of a bucket that was set back or made anew.
func (k *Keeper) lostBucket() integrity.Finding {
	return integrity.Finding{
		Kind: integrity.StreamShorter, Object: k.bucketStream,
		Text: "stream " + k.bucketStream + " no longer holds the mark that it held: the bucket was set back or made anew",
	}
}

// noteError logs when errors begin, and when they end. The lock is held.
func (k *Keeper) noteError(err, before error, what string) error {
	switch {
	case err != nil && before == nil:
		k.log.Warn("the mark of the journal cannot be stored", "in", what, "error", err.Error())
	case err == nil && before != nil:
		k.log.Info("the mark of the journal can be stored again", "in", what)
	}
	return err
}
