package keeper

import (
	"context"
	"time"

	"github.com/countermand/countermand/integrity"
)

// keepRaising stores the marks until ctx ends: in the bucket soon after each
// append, in the witness every second.
func (k *Keeper) keepRaising(ctx context.Context) {
	witness := time.NewTicker(witnessEvery)
	defer witness.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-witness.C:
			k.raise(ctx) // what other processes have raised is taken in, too
			k.raiseWitness(ctx)
		case <-k.raiseNow:
			k.raise(ctx)
			timer := time.NewTimer(raiseEvery)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
			timer.Stop()
		}
	}
}

// raise stores the record in the bucket where that adds something.
func (k *Keeper) raise(ctx context.Context) {
	k.mu.Lock()
	record, stored, loaded := k.status.Record, k.stored, k.loaded
	k.mu.Unlock()
	if !loaded || stored.Covers(record) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	now, err := k.bucket.Raise(ctx, record)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status.Bucket = k.noteError(err, k.status.Bucket, "the bucket")
	if err != nil {
		return
	}
	k.stored = now
	k.learn(now)
	close(k.news)
	k.news = make(chan struct{})
}

// raiseWitness stores the record in the witness.
func (k *Keeper) raiseWitness(ctx context.Context) {
	if k.witness == nil {
		return
	}
	k.mu.Lock()
	record, loaded, whole := k.status.Record, k.loaded, k.status.Watch.MaySend()
	k.mu.Unlock()
	if !loaded || !whole {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	now, err := k.witness.Raise(ctx, record)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status.Witness = k.noteError(err, k.status.Witness, "the witness")
	if err == nil {
		k.learn(now)
	}
}

// learn takes in what a store knows beyond this process. The lock is held.
func (k *Keeper) learn(r integrity.Record) {
	before := k.status.Record.Epoch
	k.status.Record = k.status.Record.Merge(r)
	if k.status.Record.Epoch != before {
		k.tell()
	}
}

// noteError logs an error that is new, and its end. The lock is held.
func (k *Keeper) noteError(err, before error, what string) error {
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		k.log.Warn("the mark of the journal cannot be stored in "+what, "error", err.Error())
	case err == nil && before != nil:
		k.log.Info("the mark of the journal can be stored again in " + what)
	}
	return err
}
