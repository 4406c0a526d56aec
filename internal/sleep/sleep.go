// Package sleep waits for a time, or for the end of a context.
package sleep

import (
	"context"
	"time"
)

// For waits until d has passed or ctx has ended, and reports whether ctx is
// still alive.
func For(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return ctx.Err() == nil
}
