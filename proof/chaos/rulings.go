//go:build unix

package main

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/proof/chaos/compare"
	"github.com/countermand/countermand/providers/simulator"
)

// A call may reach its provider after its callUntil: on a slow way, from a
// process that slept between its last look at the clock and the first byte, and
// the provider may hold it back. Later than this it does not arrive.
const (
	arrivesInTrouble = 45 * time.Second
	arrivesInCalm    = 2 * time.Second
)

// books are the providers' ledgers as they were read at one time.
type books struct {
	at    time.Time
	quiet bool
	moved map[compare.Claim][]simulator.Movement
}

// read reads all ledgers.
func (o *operators) read(ctx context.Context) (*books, error) {
	o.mu.Lock()
	b := &books{at: time.Now(), quiet: !o.quiet.IsZero(), moved: map[compare.Claim][]simulator.Movement{}}
	o.mu.Unlock()
	for _, k := range kinds() {
		moved, err := o.world.simulators.movements(ctx, k)
		if err != nil {
			return nil, err
		}
		maps.Copy(b.moved, moved)
	}
	return b, nil
}

// of lists what moved for an operation.
func (b *books) of(c compare.Command) []simulator.Movement {
	var all []simulator.Movement
	for _, claim := range c.Claims {
		all = append(all, b.moved[claim]...)
	}
	return all
}

// certain reports whether no call of the operation could arrive any more when
// the books were read.
func (b *books) certain(op *desk.Operation) bool {
	margin := arrivesInTrouble
	if b.quiet {
		margin = arrivesInCalm
	}
	for _, a := range op.Attempts {
		if b.at.Before(a.CallUntil.Add(margin)) {
			return false
		}
	}
	return true
}

// attend looks at one operation and rules on it, if there is something to say.
func (o *operators) attend(ctx context.Context, item desk.Item, b *books) {
	id := payment.ID{Provider: item.Provider, Native: item.Payment}
	story, err := asked(ctx, func(ctx context.Context) (*desk.Story, error) { return o.someone().client.Payment(ctx, id) })
	if o.heard(err); err != nil {
		return
	}
	op := story.Find(item.Operation, item.Key)
	c, known := o.commands[operationName(item.Provider, item.Payment, string(item.Operation), string(item.Key))]
	if op == nil || op.Review == nil || !known {
		return // it went on meanwhile, or compare finds what nobody asked for
	}
	as, ok := decide(op, b.of(c), b.certain(op), o.below(10))
	if !ok {
		return
	}
	o.give(ctx, ruling(story, op, as, b.of(c)), c)
}

// choice is what the desk says of one ruling.
func choice(op *desk.Operation, as desk.As) desk.Choice {
	i := slices.IndexFunc(op.Choices, func(c desk.Choice) bool { return c.As == as })
	if i < 0 {
		return desk.Choice{}
	}
	return op.Choices[i]
}

// decide says what is true, or has it called again; ok is false where nothing
// can be said yet. The first row that fits wins, with a die of ten sides:
//
//	offered as a retry that cannot pay twice, die below 3     retry
//	the ledger has it                                         succeeded
//	a call of it may still arrive                             nothing
//	retry is offered, die below 6                             retry, confirmed: nothing moved
//	else                                                      failed
func decide(op *desk.Operation, moved []simulator.Movement, certain bool, die int) (as desk.As, ok bool) {
	retry := choice(op, desk.AsRetry)
	switch {
	case retry.Allowed && retry.Confirm == nil && die < 3:
		return desk.AsRetry, true
	case len(moved) > 0:
		return desk.AsSucceeded, true
	case !certain:
		return "", false
	case retry.Allowed && die < 6:
		return desk.AsRetry, true
	default:
		return desk.AsFailed, true
	}
}

// ruling words a ruling on the view that was shown.
func ruling(story *desk.Story, op *desk.Operation, as desk.As, moved []simulator.Movement) desk.Ruling {
	r := desk.Ruling{
		Provider: story.Provider, Payment: story.Payment, Operation: op.Operation, Key: op.Key, Version: story.Version, Seen: story.Seen,
		As: as, Reason: "looked into the provider's ledger", Evidence: "ledger of the simulator", ConfirmAmount: choice(op, as).Confirm,
	}
	if as != desk.AsSucceeded || len(moved) == 0 || moved[0].Amount == 0 {
		return r
	}
	if !op.Operation.GivesBack() {
		r.Effect = payment.EffectRefunded
	}
	r.Moved = &payment.Money{Value: moved[0].Amount, Currency: payment.Currency(moved[0].Currency)}
	r.ProviderReference = inGroups(cmp.Or(moved[0].ProviderReference, moved[0].Payment))
	return r
}

// inGroups writes a reference so that the desk does not take it for a card's number.
func inGroups(reference string) string {
	if events.Mask(reference) == reference {
		return reference
	}
	var groups []string
	for part := range slices.Chunk([]byte(reference), 6) {
		groups = append(groups, string(part))
	}
	return strings.Join(groups, "/")
}

// give gives a ruling to the desk: as it should be given, or as people do.
func (o *operators) give(ctx context.Context, r desk.Ruling, c compare.Command) {
	stale := r
	stale.Version--
	switch style := o.below(8); {
	case style == 0 && stale.Version > 0:
		o.did("ruled on a stale view")
		if o.send(ctx, o.someone(), stale) {
			o.wrong("a stale ruling on %s was carried out", c.Name)
		}
		o.say(ctx, r)
	case style == 1:
		o.did("gave the same ruling twice at once")
		var done atomic.Int32
		var group sync.WaitGroup
		for _, p := range o.people {
			group.Go(func() {
				if o.send(ctx, p, r) {
					done.Add(1)
				}
			})
		}
		if group.Wait(); done.Load() > 1 {
			o.wrong("one ruling on %s was carried out twice", c.Name)
		}
	case style == 2 && stale.Version > 0:
		o.did("contradicted the other at once, on a stale view")
		var group sync.WaitGroup
		group.Go(func() {
			if o.send(ctx, o.people[1], opposite(stale, c)) {
				o.wrong("a stale contradiction on %s was carried out", c.Name)
			}
		})
		o.say(ctx, r)
		group.Wait()
	default:
		o.say(ctx, r)
	}
}

// opposite says the contrary.
func opposite(r desk.Ruling, c compare.Command) desk.Ruling {
	r.ConfirmAmount, r.Effect = nil, ""
	if r.As != desk.AsFailed {
		r.As, r.Moved, r.ProviderReference = desk.AsFailed, nil, ""
		return r
	}
	r.As = desk.AsSucceeded
	if r.Operation.GivesBack() {
		currency := ""
		for _, k := range kinds() {
			if k.Instance == r.Provider {
				currency = k.Currency
			}
		}
		r.Moved, r.ProviderReference = &payment.Money{Value: c.Claims[0].Amount, Currency: payment.Currency(currency)}, "made up"
	}
	return r
}

// say gives a ruling, and the same again while nothing is heard of it.
func (o *operators) say(ctx context.Context, r desk.Ruling) {
	o.did("ruled " + string(r.As))
	p := o.someone()
	for again := range 3 {
		if again > 0 {
			o.did("gave a ruling again after no answer")
		}
		done, err := asked(ctx, func(ctx context.Context) (desk.Done, error) { return p.client.Resolve(ctx, r) })
		if o.heard(err); !unheard(err) || ctx.Err() != nil {
			o.carriedOut(done, err)
			return
		}
	}
}

// send gives a ruling once, and reports whether it was carried out, as far as
// that was heard.
func (o *operators) send(ctx context.Context, p person, r desk.Ruling) bool {
	done, err := asked(ctx, func(ctx context.Context) (desk.Done, error) { return p.client.Resolve(ctx, r) })
	o.heard(err)
	return o.carriedOut(done, err)
}

func (o *operators) carriedOut(done desk.Done, err error) bool {
	if err != nil || !done.Applied {
		return false
	}
	o.did("heard that a ruling was carried out")
	return true
}
