package acceptance

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/replicas"
	"github.com/countermand/countermand/internal/sleep"
)

// takenEvery is how often the processes are asked for while they are waited for.
const takenEvery = 100 * time.Millisecond

// Idle is a process that runs and does not follow a decision yet.
type Idle struct {
	ID string `json:"id"`
	// Why says in words what it does instead.
	Why string `json:"why"`
}

// Taken waits until every process that runs follows an epoch, or a later one: it has
// learned of it, and, where work is let begin, its gate is open. Whatever a person asks
// for next, any of them may answer. When ctx ends, it returns those that do not follow,
// and how many do. An error means that nobody could be asked.
func Taken(ctx context.Context, s Sources, e integrity.Epoch) (idle []Idle, follow int, err error) {
	for asked := false; ; asked = true {
		all, now, err := replicas.List(ctx, s.JetStream, s.ControlBucket)
		switch {
		case err != nil && asked && ctx.Err() != nil:
			return idle, follow, nil //nolint:nilerr // the wait is over, and what was heard before is the newest
		case err != nil:
			return nil, 0, err
		}
		idle, follow = nil, 0
		for _, r := range integrity.Live(all, now) {
			if why := idleIn(r, e); why != "" {
				idle = append(idle, Idle{ID: r.ID, Why: why})
			} else {
				follow++
			}
		}
		if len(idle) == 0 || !sleep.For(ctx, takenEvery) {
			return idle, follow, nil
		}
	}
}

// idleIn says why a process does not follow an epoch; "": it does.
func idleIn(r integrity.Registered, e integrity.Epoch) string {
	switch {
	case r.Epoch.Number > e.Number:
		return ""
	case r.Epoch.Number < e.Number || r.Epoch.Phase < e.Phase:
		return fmt.Sprintf("it says that epoch %d is %s, last at %s", r.Epoch.Number, r.Epoch.Phase, r.Time.UTC().Format(time.RFC3339))
	case e.Phase != integrity.Held && r.Shut:
		return "its gate is shut: " + cmp.Or(r.Reason, "it does not say why")
	default:
		return ""
	}
}
