package replicas

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/integrity"
)

// keyPrefix begins every registration's key. No provider's name begins with an underscore.
const keyPrefix = "_replica."

// entry is a registration as it lies in the bucket.
type entry struct {
	integrity.Registered

	key      string // behind the prefix
	revision uint64
}

// List returns all registrations in a bucket by their id, and the server's time
// at that moment. One that cannot be read counts as a process whose gate is open:
// a newer version may have written it. A bucket that does not exist holds none.
func List(ctx context.Context, js jetstream.JetStream, bucket string) ([]integrity.Registered, time.Time, error) {
	entries, now, err := list(ctx, js, bucket)
	all := make([]integrity.Registered, 0, len(entries))
	for _, e := range entries {
		all = append(all, e.Registered)
	}
	slices.SortFunc(all, func(a, b integrity.Registered) int { return cmp.Compare(a.ID, b.ID) })
	return all, now, err
}

func list(ctx context.Context, js jetstream.JetStream, bucket string) ([]entry, time.Time, error) {
	s, err := js.Stream(ctx, "KV_"+bucket)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("list replicas: %w", err)
	}
	prefix := "$KV." + bucket + "." + keyPrefix
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(prefix+"*"))
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("list replicas: %w", err)
	}
	var all []entry
	for subject := range info.State.Subjects {
		m, err := s.GetLastMsgForSubject(ctx, subject)
		if err != nil {
			return nil, time.Time{}, fmt.Errorf("list replicas: %w", err)
		}
		e := entry{Registered: integrity.Registered{Time: m.Time}, key: subject[len(prefix):], revision: m.Sequence}
		if err := json.Unmarshal(m.Data, &e.Replica); err != nil {
			e.Replica = integrity.Replica{ID: e.key, Reason: "its registration cannot be read"}
		}
		all = append(all, e)
	}
	return all, info.TimeStamp, nil
}
