package payment_test

import (
	"testing"
	"time"

	"github.com/countermand/countermand/payment"
)

// looks counts how often an operation's timer comes back in a pause of that length, if
// it comes each time at the moment that was decided. Each look is a write.
func looks(t *testing.T, c payment.Command, pause time.Duration) (n int, s *story) {
	t.Helper()
	s = tell(t, opay()).with(paused)
	ends := morning().Add(pause)
	for s = s.command(c); s.in.Now.Before(ends); n++ {
		if s.last.Action != payment.ComeBack {
			return n, s
		}
		s.pass(s.last.At.Sub(s.in.Now)).timer()
	}
	return n, s
}

func TestAPausedOperationIsWrittenSeldomerTheLongerThePauseLasts(t *testing.T) {
	t.Parallel()
	// With a look every half minute it was 2,880 a day for each operation.
	for pause, most := range map[time.Duration]int{time.Minute: 8, time.Hour: 15, 24 * time.Hour: 40, 7 * 24 * time.Hour: 190} {
		n, _ := looks(t, refund("a", 400), pause)
		t.Logf("a pause of %s: %d looks", pause, n)
		if n > most || n < 1 {
			t.Errorf("in a pause of %s an operation is looked at %d times, want %d at most", pause, n, most)
		}
	}
}

func TestAnExpiryInALongPauseIsNoticedWhenItIsThere(t *testing.T) {
	t.Parallel()
	_, s := looks(t, expiring(refund("a", 400), 30*time.Hour), 48*time.Hour)
	if late := s.in.Now.Sub(morning().Add(30 * time.Hour)); late < 0 || late > time.Second {
		t.Errorf("it was noticed %s after the expiry", late)
	}
	if op := s.operation(refund("a", 400)); op.Status != payment.StatusRejected || op.Code != payment.CodeExpired {
		t.Errorf("it is %s, %s", op.Status, op.Code)
	}
}
