package sleep_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermand/countermand/internal/sleep"
)

func TestASleepEndsWithItsTimeOrWithItsContext(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		cancelAt time.Duration
		d        time.Duration
		want     bool
		took     time.Duration
	}{
		{"the time passes", time.Hour, time.Minute, true, time.Minute},
		{"no time at all", time.Hour, 0, true, 0},
		{"less than no time", time.Hour, -time.Second, true, 0},
		{"the context ends first", time.Second, time.Minute, false, time.Second},
		{"the context has ended", 0, 0, false, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tc.cancelAt)
				defer cancel()
				began := time.Now()
				got := sleep.For(ctx, tc.d)
				if took := time.Since(began); got != tc.want || took != tc.took {
					t.Errorf("%t after %s, want %t after %s", got, took, tc.want, tc.took)
				}
			})
		})
	}
}
