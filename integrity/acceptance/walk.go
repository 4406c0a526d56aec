package acceptance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// walkKey is the key of the finished walk in the bucket. No provider's name begins
// with an underscore.
const walkKey = "_walk"

// Walk says that every command up to a sequence was compared with the journal.
type Walk struct {
	Epoch uint64    `json:"epoch"`
	To    uint64    `json:"to"`
	At    time.Time `json:"at"`
}

// Finished stores that a walk over the commands has been finished.
func Finished(ctx context.Context, s Sources, walk Walk) error {
	kv, err := s.JetStream.KeyValue(ctx, s.ControlBucket)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", s.ControlBucket, err)
	}
	value, err := json.Marshal(walk)
	if err != nil {
		return fmt.Errorf("encode walk: %w", err)
	}
	if _, err := kv.Put(ctx, walkKey, value); err != nil {
		return fmt.Errorf("store walk: %w", err)
	}
	return nil
}

// Walked reports whether a walk over the commands has been finished in the epoch
// that counts.
func Walked(ctx context.Context, s Sources) (bool, error) {
	record, err := s.Epoch(ctx)
	if err != nil {
		return false, err
	}
	kv, err := s.JetStream.KeyValue(ctx, s.ControlBucket)
	if err != nil {
		return false, fmt.Errorf("open bucket %s: %w", s.ControlBucket, err)
	}
	entry, err := kv.Get(ctx, walkKey)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read walk: %w", err)
	}
	var walk Walk
	if err := json.Unmarshal(entry.Value(), &walk); err != nil {
		return false, fmt.Errorf("read walk: %w", err)
	}
	return walk.Epoch == record.Number, nil
}
