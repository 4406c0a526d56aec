package isolation

import (
	"context"
	"time"

	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/sleep"
	"github.com/countermand/countermand/payment"
)

// followUp bounds how long a delivery waits for the rate after it has asked the
// provider something. If it came back later instead, the answer would be lost. At
// a slow rate it would ask again and again and never call.
const followUp = 20 * time.Second

// slot is one delivery's slot at its instance. It implements handlers.Place.
type slot struct {
	instance *instance
	permit   *permit // granted and not yet reported on
	used     bool    // a permit was reported on already
}

var _ handlers.Place = (*slot)(nil)

// Permit waits for the instance's rate and then asks the breaker. In the other
// order a delivery that waits would keep the breaker's one probe.
func (s *slot) Permit(ctx context.Context, patience time.Duration) handlers.Permit {
	if s.permit != nil {
		return handlers.Granted
	}
	if s.instance.shut() {
		return handlers.Barred
	}
	if s.used {
		patience = max(patience, followUp)
	}
	if !s.instance.pace(ctx, patience) {
		return handlers.Refused
	}
	if s.permit = s.instance.allow(); s.permit == nil {
		return handlers.Barred
	}
	return handlers.Granted
}

// Report says how the permitted call or question ended.
func (s *slot) Report(r handlers.Report) {
	if s.permit == nil {
		return
	}
	permit := s.permit
	s.permit, s.used = nil, true
	s.instance.settle(permit, r)
}

// Leave gives the slot back, and a permit that was not used.
func (s *slot) Leave() {
	defer s.instance.slots.leave()
	s.Report(handlers.Report{Unused: true})
}

// shut reports whether the breaker would refuse every call now.
func (i *instance) shut() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.standing() == payment.BreakerOpen
}

// pace waits for the instance's rate, if that takes no longer than patience.
func (i *instance) pace(ctx context.Context, patience time.Duration) bool {
	turn := i.limiter.Reserve()
	wait := turn.Delay()
	if wait == 0 || wait <= patience && sleep.For(ctx, wait) {
		return true
	}
	turn.Cancel()
	return false
}
