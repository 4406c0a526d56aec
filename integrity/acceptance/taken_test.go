package acceptance_test

import (
	"context"
	"encoding/json"
	"errors"
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
	if err := acceptance.Taken(t.Context(), b.sources, doubting); err != nil {
		t.Errorf("while nothing runs: %v", err)
	}
	say(integrity.Replica{ID: "1", Epoch: doubting})
	say(integrity.Replica{ID: "2", Epoch: held})
	say(integrity.Replica{ID: "3", Epoch: held, Left: true})
	short, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := acceptance.Taken(short, b.sources, doubting); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "by 2:") {
		t.Errorf("while one is behind: %v", err)
	}
	taken := make(chan error, 1)
	go func() { taken <- acceptance.Taken(t.Context(), b.sources, doubting) }()
	say(integrity.Replica{ID: "2", Epoch: doubting})
	if err := <-taken; err != nil {
		t.Errorf("once all have taken it in: %v", err)
	}
	say(integrity.Replica{ID: "2", Epoch: integrity.Epoch{Number: 2}})
	if err := acceptance.Taken(t.Context(), b.sources, doubting); err != nil {
		t.Errorf("once one is in a later epoch: %v", err)
	}
}
