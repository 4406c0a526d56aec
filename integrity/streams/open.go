package streams

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/countermand/countermand/integrity"
)

// stillOpen looks again at findings that no extent of a stream shows. A record
// is unreadable while the stream's index counts its subject and the leader shows
// no message there. What a timer knew is compared with the leader's newest state.
// A few that hold say as much as all: many timers may be in hand when it happens.
func (r *Reader) stillOpen(ctx context.Context, open []integrity.Finding) ([]integrity.Finding, error) {
	var still []integrity.Finding
	for _, f := range open {
		holds, err := r.holds(ctx, f)
		if err != nil {
			return nil, err
		}
		if holds {
			still = append(still, f)
		}
		if len(still) == enough {
			break
		}
	}
	return still, nil
}

// enough is how many findings that hold are looked at.
const enough = 10

// holds looks again at one finding.
func (r *Reader) holds(ctx context.Context, f integrity.Finding) (bool, error) {
	switch f.Kind {
	case integrity.RecordUnreadable:
		return r.unreadable(ctx, f.Object)
	case integrity.TimerAhead, integrity.TimerUnknown:
		if r.plan.TimerHolds == nil {
			return false, nil
		}
		return r.plan.TimerHolds(ctx, f)
	default:
		return false, nil
	}
}

// unreadable reports whether the stream's index counts a subject, or one of a
// payment's, where the leader shows no message.
func (r *Reader) unreadable(ctx context.Context, subject string) (bool, error) {
	filter, err := json.Marshal(map[string]string{"subjects_filter": subject})
	if err != nil {
		return false, fmt.Errorf("ask for subject: %w", err)
	}
	info, err := r.ask(ctx, "$JS.API.STREAM.INFO."+r.plan.Journal, string(filter))
	if err != nil {
		return false, err
	}
	for counted := range info.State.Subjects {
		m, err := lastMessage(ctx, r.nc, r.plan.Journal, counted)
		if err != nil || m.Seq == 0 {
			return err == nil, err
		}
	}
	return false, nil
}
