package isolation

import (
	"context"
	"time"

	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/sleep"
	"github.com/countermand/countermand/payment"
)

// followUp bounds how long a delivery that has asked already waits for the
// rate: what it has learnt would be lost otherwise, and at a slow rate it would
// ask again for ever and never call.
const followUp = 20 * time.Second

// place is one delivery's place at its instance.
type place struct {
	instance *instance
	permit   *permit // in hand, not reported on
	used     bool    // something was sent already
}

// Permit takes its turn in the instance's rate, then asks the breaker: the
// other way round a probe's place would be held while waiting.
func (p *place) Permit(ctx context.Context, patience time.Duration) handlers.Permit {
	if p.permit != nil {
		return handlers.Granted
	}
	if p.instance.shut() {
		return handlers.Barred
	}
	if p.used {
		patience = max(patience, followUp)
	}
	if !p.instance.pace(ctx, patience) {
		return handlers.Refused
	}
	if p.permit = p.instance.allow(); p.permit == nil {
		return handlers.Barred
	}
	return handlers.Granted
}

// Report says how what was permitted ended.
func (p *place) Report(r handlers.Report) {
	if p.permit == nil {
		return
	}
	permit := p.permit
	p.permit, p.used = nil, true
	p.instance.settle(permit, r)
}

// Leave gives the place back, and a permit that was not used.
func (p *place) Leave() {
	defer p.instance.places.leave()
	p.Report(handlers.Report{Unused: true})
}

// shut reports whether nothing would be allowed anyway.
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
