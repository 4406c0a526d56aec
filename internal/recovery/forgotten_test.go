package recovery_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/internal/recovery"
)

func TestRefusalsAreForgottenWhereTheirStreamHadToMakeRoom(t *testing.T) {
	t.Parallel()
	oldest := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	state := func(first, bytes uint64) jetstream.StreamState {
		return jetstream.StreamState{FirstSeq: first, Bytes: bytes, FirstTime: oldest}
	}
	const bound = 256 << 20
	for name, row := range map[string]struct {
		state jetstream.StreamState
		bound int64
		want  bool
	}{
		"never used":                     {jetstream.StreamState{}, bound, false},
		"full, and nothing is gone yet":  {state(1, bound), bound, false},
		"at its bound":                   {state(2, bound-500), bound, true},
		"a large one has just made room": {state(9000, bound-900_000), bound, true},
		"some have aged":                 {state(9000, bound/2), bound, false},
		"all have aged":                  {jetstream.StreamState{FirstSeq: 9000}, bound, false},
		"without a bound":                {state(9000, bound), -1, false},
		"a bound of one largest":         {state(2, 10), 1 << 20, true},
	} {
		before, ok := recovery.Forgotten(row.state, row.bound)
		if ok != row.want || ok && !before.Equal(oldest) {
			t.Errorf("%s: %t, %s", name, ok, before)
		}
	}
}
