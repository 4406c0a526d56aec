package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/keeper"
)

// MarkKey is the key of the record in the bucket. No provider's name begins
// with an underscore.
const MarkKey = "_mark"

// Bucket keeps the record in a key-value bucket: beside the pauses, or in
// another NATS as a witness. It is safe for concurrent use by many processes.
type Bucket struct {
	js   jetstream.JetStream
	name string
}

var _ keeper.Store = (*Bucket)(nil)

// NewBucket returns the store in a bucket. It does no I/O.
func NewBucket(js jetstream.JetStream, name string) *Bucket { return &Bucket{js: js, name: name} }

// Load implements keeper.Store. A bucket that does not exist is keeper.ErrNoStore.
func (b *Bucket) Load(ctx context.Context) (integrity.Record, error) {
	r, _, err := b.load(ctx)
	return r, err
}

func (b *Bucket) load(ctx context.Context) (integrity.Record, uint64, error) {
	kv, err := b.js.KeyValue(ctx, b.name)
	switch {
	case errors.Is(err, jetstream.ErrBucketNotFound):
		return integrity.Record{}, 0, fmt.Errorf("open bucket %s: %w", b.name, keeper.ErrNoStore)
	case err != nil:
		return integrity.Record{}, 0, fmt.Errorf("open bucket %s: %w", b.name, err)
	}
	entry, err := kv.Get(ctx, MarkKey)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return integrity.Record{}, 0, nil
	case err != nil:
		return integrity.Record{}, 0, fmt.Errorf("read mark in bucket %s: %w", b.name, err)
	}
	var r integrity.Record
	if err := json.Unmarshal(entry.Value(), &r); err != nil {
		return integrity.Record{}, 0, fmt.Errorf("read mark in bucket %s: %w", b.name, err)
	}
	return r, entry.Revision(), nil
}

// maxTries bounds how often a rival may be first.
const maxTries = 10

// Raise implements keeper.Store: compare and set by the revision that was read.
func (b *Bucket) Raise(ctx context.Context, want integrity.Record) (integrity.Record, error) {
	for range maxTries {
		stored, revision, err := b.load(ctx)
		if err != nil {
			return integrity.Record{}, err
		}
		if stored.Covers(want) {
			return stored, nil
		}
		merged := stored.Merge(want)
		value, err := json.Marshal(merged)
		if err != nil {
			return integrity.Record{}, fmt.Errorf("encode mark: %w", err)
		}
		err = b.set(ctx, value, revision)
		switch {
		case err == nil:
			return merged, nil
		case !errors.Is(err, jetstream.ErrKeyExists):
			return integrity.Record{}, err
		}
	}
	return integrity.Record{}, fmt.Errorf("store mark in bucket %s: others were first %d times", b.name, maxTries)
}

func (b *Bucket) set(ctx context.Context, value []byte, revision uint64) error {
	kv, err := b.js.KeyValue(ctx, b.name)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", b.name, err)
	}
	if revision == 0 {
		_, err = kv.Create(ctx, MarkKey, value)
	} else {
		_, err = kv.Update(ctx, MarkKey, value, revision)
	}
	if err != nil {
		return fmt.Errorf("store mark in bucket %s: %w", b.name, err)
	}
	return nil
}
