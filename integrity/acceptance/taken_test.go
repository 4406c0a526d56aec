package acceptance_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
)

func TestAnEpochIsWaitedForUntilEveryProcessThatRunsHasTakenItIn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	held := integrity.Epoch{Number: 1, AcceptedAt: time.Now()}
	doubting := held
	doubting.Phase = integrity.Doubting
	say := func(r integrity.Replica) {
		t.Helper()
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.js.Publish(t.Context(), "$KV."+topology().Control+"._replica."+r.ID, data); err != nil {
			t.Fatal(err)
		}
	}
	if idle, follow, err := acceptance.Taken(t.Context(), b.sources, doubting); err != nil || len(idle) > 0 || follow > 0 {
		t.Errorf("while nothing runs: %v, %d, %v", idle, follow, err)
	}
	say(integrity.Replica{ID: "1", Epoch: doubting})
	say(integrity.Replica{ID: "2", Epoch: held})
	say(integrity.Replica{ID: "3", Epoch: held, Left: true})
	short, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	idle, follow, err := acceptance.Taken(short, b.sources, doubting)
	if err != nil || follow != 1 || len(idle) != 1 || idle[0].ID != "2" || !strings.HasPrefix(idle[0].Why, "it says that epoch 1 is held, last at ") {
		t.Errorf("while one is behind: %+v, %d, %v", idle, follow, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := acceptance.Taken(gone, b.sources, doubting); !errors.Is(err, context.Canceled) {
		t.Errorf("where nobody can be asked: %v", err)
	}
	taken := make(chan error, 1)
	go func() {
		_, _, err := acceptance.Taken(t.Context(), b.sources, doubting)
		taken <- err
	}()
	say(integrity.Replica{ID: "2", Epoch: doubting})
	if err := <-taken; err != nil {
		t.Errorf("once all have taken it in: %v", err)
	}
	say(integrity.Replica{ID: "2", Epoch: integrity.Epoch{Number: 2}})
	if idle, _, err := acceptance.Taken(t.Context(), b.sources, doubting); err != nil || len(idle) > 0 {
		t.Errorf("once one is in a later epoch: %v, %v", idle, err)
	}
}

// Whoever is told that work has begun goes on at once, such as by resuming a provider.
func TestAProcessWhoseGateIsShutDoesNotFollowAnEpochThatWorks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	say := func(r integrity.Replica) {
		t.Helper()
		data, err := json.Marshal(r)
		if err == nil {
			_, err = b.js.Publish(t.Context(), "$KV."+topology().Control+"._replica."+r.ID, data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	const settling = "waiting a few seconds for what other processes know of the journal"
	for _, phase := range []integrity.Phase{integrity.Held, integrity.Doubting, integrity.Trusted} {
		e := integrity.Epoch{Number: 1, Phase: phase}
		say(integrity.Replica{ID: "1", Epoch: e, Shut: true, Reason: settling})
		say(integrity.Replica{ID: "2", Epoch: e, Shut: phase == integrity.Held})
		short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		idle, follow, err := acceptance.Taken(short, b.sources, e)
		cancel()
		want := []acceptance.Idle{{ID: "1", Why: "its gate is shut: " + settling}}
		if phase == integrity.Held {
			want = nil
		}
		if err != nil || !slices.Equal(idle, want) || follow != 2-len(want) {
			t.Errorf("%s: %+v, %d, %v", phase, idle, follow, err)
		}
	}
}
