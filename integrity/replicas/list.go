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

// List returns all registrations in a bucket by their id, and the server's time
// at that moment. One that cannot be read counts as a process whose gate is open:
// a newer version may have written it. A bucket that does not exist holds none.
func List(ctx context.Context, js jetstream.JetStream, bucket string) ([]integrity.Registered, time.Time, error) {
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
	var all []integrity.Registered
	for subject := range info.State.Subjects {
		m, err := s.GetLastMsgForSubject(ctx, subject)
		if err != nil {
			return nil, time.Time{}, fmt.Errorf("list replicas: %w", err)
		}
		r := integrity.Registered{Time: m.Time}
		if err := json.Unmarshal(m.Data, &r.Replica); err != nil {
			r.Replica = integrity.Replica{Reason: "its registration cannot be read"}
		}
		r.ID = subject[len(prefix):]
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b integrity.Registered) int { return cmp.Compare(a.ID, b.ID) })
	return all, info.TimeStamp, nil
}
