package acceptance

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/replicas"
	"github.com/countermand/countermand/internal/sleep"
)

// takenEvery is how often the processes are asked for while they are waited for.
const takenEvery = 100 * time.Millisecond

// Taken waits until every process that runs says that it works in an epoch, or in a
// later one: each looks for one every second. Whatever a person asks for next, any of
// them may answer.
func Taken(ctx context.Context, s Sources, e integrity.Epoch) error {
	for {
		all, now, err := replicas.List(ctx, s.JetStream, s.ControlBucket)
		if err != nil {
			return err
		}
		behind := slices.DeleteFunc(integrity.Live(all, now), func(r integrity.Registered) bool {
			return r.Epoch.Number > e.Number || r.Epoch.Number == e.Number && r.Epoch.Phase >= e.Phase
		})
		if len(behind) == 0 {
			return nil
		}
		if !sleep.For(ctx, takenEvery) {
			return fmt.Errorf("epoch %d is not taken in yet by %s: %w", e.Number, names(behind), ctx.Err())
		}
	}
}
