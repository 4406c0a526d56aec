package acceptance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/integrity"
)

// walkKey is the key of the finished walk in the bucket. No provider's name begins
// with an underscore.
const walkKey = "_walk"

// Walk says that every command up to a sequence was compared with the journal.
type Walk struct {
	Epoch uint64    `json:"epoch"`
	To    uint64    `json:"to"`
	At    time.Time `json:"at"`
	// End is where the journal ended then, what the walk has appended included. A
	// version that did not raise the marks over it did not name it.
	End integrity.Position `json:"end,omitzero"`
}

// Finished stores that a walk over the commands has been finished. It raises the marks
// first: a journal that loses what the walk has appended must not look like one that
// was walked over. End is filled in. It tries until ctx ends.
func Finished(ctx context.Context, s Sources, walk Walk) (Raised, error) {
	raised, err := Raise(ctx, s, walk.Epoch)
	if err != nil {
		return raised, err
	}
	walk.End = raised.End
	kv, err := s.JetStream.KeyValue(ctx, s.ControlBucket)
	if err != nil {
		return raised, fmt.Errorf("open bucket %s: %w", s.ControlBucket, err)
	}
	value, err := json.Marshal(walk)
	if err != nil {
		return raised, fmt.Errorf("encode walk: %w", err)
	}
	if _, err := kv.Put(ctx, walkKey, value); err != nil {
		return raised, fmt.Errorf("store walk: %w", err)
	}
	return raised, nil
}

// Walked reports whether a walk over the commands has been finished in the epoch
// that counts, and the journal still shows the event that it ended with then. If not,
// it says why.
func Walked(ctx context.Context, s Sources) (walked bool, why string, err error) {
	const again = ": consumer recover --commands --apply"
	epoch, err := s.Epoch(ctx)
	if err != nil {
		return false, "", err
	}
	kv, err := s.JetStream.KeyValue(ctx, s.ControlBucket)
	if err != nil {
		return false, "", fmt.Errorf("open bucket %s: %w", s.ControlBucket, err)
	}
	const unfinished = "the walk over the commands is not finished in this epoch" + again
	entry, err := kv.Get(ctx, walkKey)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return false, unfinished, nil
	case err != nil:
		return false, "", fmt.Errorf("read walk: %w", err)
	}
	var walk Walk
	if err := json.Unmarshal(entry.Value(), &walk); err != nil {
		return false, "", fmt.Errorf("read walk: %w", err)
	}
	switch {
	case walk.Epoch != epoch.Number:
		return false, unfinished, nil
	case walk.End.Sequence == 0:
		return false, "the walk over the commands does not name where the journal ended (an earlier version made it)" + again, nil
	}
	there, err := s.Journal.At(ctx, walk.End.Sequence)
	if err != nil {
		return false, "", fmt.Errorf("read where the walk ended: %w", err)
	}
	if there.Sequence == 0 || there.Token() != walk.End.Token {
		return false, fmt.Sprintf("the journal no longer shows event %d, with which it ended when the commands were walked over: "+
			"it has lost something since", walk.End.Sequence) + again, nil
	}
	return true, "", nil
}
