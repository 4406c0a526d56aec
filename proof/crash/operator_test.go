package crash_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/simulator"
)

// rules is what the operator of a path does about an operation that is before a
// person, after a look at the simulator's ledger.
type rules string

const (
	nobodyRules rules = ""
	// truthful: succeeded or failed, whichever the ledger says.
	truthful rules = "says what the ledger says"
	// retrying: calls again, whatever the ledger says, and says the truth if that is lost too.
	retrying rules = "calls again"
)

// maxActs is far more than an operator needs; reaching it fails the cell.
const maxActs = 20

// operator sits before the desk. What has no answer is asked again as it was;
// what has one too, once, and must be refused then.
type operator struct {
	acts int
	// waiting is the ruling whose answer is waited for, or that is to be repeated.
	waiting *ruling
	// old is one that was answered otherwise: given once more, with its old view,
	// when something is before the operator again.
	old    *ruling
	second bool // the other person's turn
	ruled  int  // how many rulings there were, for their evidence
}

// ruling is one ruling with the view it was made on.
type ruling struct {
	desk.Ruling

	who desk.Operator
	// carriedOut: its answer was heard, and was yes. old: it was put away.
	carriedOut, old bool
}

// ruled is an event that an operator's word made, as the journal accepted it.
type ruled struct {
	by       *life
	evidence string
}

// operate lets the operator act where something is before them, and reports
// whether they did.
func (c *cell) operate() bool {
	o := &c.operator
	if c.path.rules == nobodyRules || o.waiting == nil && !c.beforeAPerson() {
		return false
	}
	if o.acts++; o.acts > maxActs {
		c.fault("the operator did not get through in %d rulings", maxActs)
		return false
	}
	if c.ruledFrom == 0 {
		c.ruledFrom = len(c.trace)
	}
	switch {
	case o.waiting != nil:
	case o.old != nil:
		o.waiting, o.old = o.old, nil
	default:
		o.waiting = c.process.view()
	}
	if o.waiting != nil {
		c.process.resolve(o.waiting)
	}
	return true
}

// beforeAPerson reports whether an operation of the payment needs a person.
func (c *cell) beforeAPerson() bool {
	return slices.ContainsFunc(c.state().Operations, func(op payment.Operation) bool { return op.Open != nil && op.Open.Review != nil })
}

// view shows the payment and makes a ruling on what needs one; nil where that
// was not heard or nothing does.
func (l *life) view() *ruling {
	story, err := l.desk.Payment(l.cell.t.Context(), l.cell.id)
	if err != nil || l.dead.Load() {
		return nil
	}
	for _, cmd := range l.cell.commands {
		if op := story.Find(cmd.op, payment.Key(cmd.key)); op != nil && op.Review != nil {
			return l.cell.rulingOn(story, op, cmd)
		}
	}
	return nil
}

// rulingOn decides as the path's operator does. What is still on its way to the
// provider arrives first: before that nobody can say that nothing moved.
func (c *cell) rulingOn(story *desk.Story, op *desk.Operation, cmd *command) *ruling {
	c.looked()
	o := &c.operator
	o.ruled++
	r := &ruling{who: desk.Operator{Name: "ann", Identity: desk.IdentityNATS}, Ruling: desk.Ruling{
		Provider: c.id.Provider, Payment: c.id.Native, Operation: op.Operation, Key: op.Key, Version: story.Version, Seen: story.Seen,
		Reason: "asked the provider", Evidence: fmt.Sprintf("ruling %d", o.ruled), As: desk.AsFailed,
	}}
	if o.second {
		r.who.Name = "ben"
	}
	moved := c.moved(cmd)
	switch {
	case c.path.rules == retrying && c.retried(cmd) == 0:
		r.As = desk.AsRetry
	case len(moved) > 0:
		r.As = desk.AsSucceeded
	}
	if r.As == desk.AsSucceeded && cmd.op == payment.Refund {
		r.Moved = &payment.Money{Value: moved[0].Amount, Currency: payment.Currency(c.bench.row.kind.Currency)}
		r.ProviderReference = portal(cmp.Or(moved[0].ProviderReference, moved[0].Payment))
	}
	for _, choice := range op.Choices {
		if choice.As == r.As {
			r.ConfirmAmount = choice.Confirm
		}
	}
	return r
}

// retried counts the calls of an operation that an operator has asked for.
func (c *cell) retried(cmd *command) (n int) {
	for _, e := range c.history {
		if e.Type == payment.EventStarted && e.ResolvedBy != nil && e.Op == cmd.op && e.Key == payment.Key(cmd.key) {
			n++
		}
	}
	return n
}

// portal is a provider's reference as an operator writes it down: in short
// groups, since the desk takes a long number for a card's.
func portal(reference string) string {
	if events.Mask(reference) == reference {
		return reference
	}
	var groups []string
	for part := range slices.Chunk([]byte(reference), 6) {
		groups = append(groups, string(part))
	}
	return strings.Join(groups, "/")
}

// resolve gives a ruling to a process, and its answer to the operator.
func (l *life) resolve(r *ruling) {
	c := l.cell
	before := len(c.rulings)
	done, err := l.desk.Resolve(c.t.Context(), r.who, r.Ruling)
	h, _ := l.take(step{kind: deskAnswer, what: string(r.As)}, func() {})
	c.holdAnswer(l, r, done, err, c.rulings[before:])
	if h == heardAnswer && c.operator.waiting == r {
		c.hear(r, done, err)
	}
}

// holdAnswer holds what the desk says against what it did.
func (c *cell) holdAnswer(l *life, r *ruling, done desk.Done, err error, since []ruled) {
	did := 0
	for _, one := range since {
		if one.by == l && one.evidence == r.Evidence {
			did++
		}
	}
	var no *desk.Error
	switch {
	case err == nil && done.Applied != (did == 1):
		c.fault("the desk says applied %t, and did it %d times", done.Applied, did)
	case errors.As(err, &no) && no.Fault != desk.FaultUnknown && did > 0:
		c.fault("the desk says no (%s), and did it", no.Fault)
	}
}

// hear is what an operator makes of an answer.
func (c *cell) hear(r *ruling, done desk.Done, err error) {
	o := &c.operator
	var no *desk.Error
	errors.As(err, &no)
	switch {
	case err == nil && done.AwaitsSecond, no != nil && no.Fault == desk.FaultForbidden:
		o.second, o.waiting = !o.second, nil
	case err == nil && r.carriedOut:
		c.fault("the same ruling was carried out twice")
		o.waiting = nil
	case err == nil:
		r.carriedOut = true // once more, which must be refused
	case no != nil && no.Fault == desk.FaultUnknown:
		// once more as it was
	default: // a new look
		if !r.old {
			r.old, o.old = true, r
		}
		o.waiting = nil
	}
}

// holdRuling holds an event that an operator's word made against the audit: it
// must have been there before.
func (c *cell) holdRuling(l *life, e payment.Event) {
	if e.ResolvedBy == nil {
		return
	}
	if slices.ContainsFunc(c.rulings, func(r ruled) bool { return r.evidence == e.ResolvedBy.Evidence }) {
		c.fault("%s: one ruling made two events", e.ResolvedBy.Evidence)
	}
	c.rulings = append(c.rulings, ruled{l, e.ResolvedBy.Evidence})
	as := map[payment.EventType]string{
		payment.EventSucceeded: string(desk.AsSucceeded), payment.EventFailed: string(desk.AsFailed), payment.EventStarted: string(desk.AsRetry),
	}[e.Type]
	if !slices.ContainsFunc(c.audits, func(a payment.OperatorAction) bool {
		return a.Action == desk.ActionResolve && a.Outcome == "" && a.ID == e.ID && a.Op == e.Op && a.Key == e.Key &&
			a.Version+1 == e.Version() && a.Ruling == as && a.Evidence == e.ResolvedBy.Evidence
	}) {
		c.fault("%s by an operator's word, and no audit event before it", e.Type)
	}
}

// tappedBooks is the journal as the desk reads it, and writes its audit.
type tappedBooks struct {
	life *life
	real *stream.Journal
}

var _ desk.Journal = tappedBooks{}

func (b tappedBooks) Last(ctx context.Context, id payment.ID) (journal.Record, error) {
	return tappedJournal{life: b.life, real: b.real}.Last(ctx, id)
}

func (b tappedBooks) History(ctx context.Context, id payment.ID) (all []events.Entry, complete bool, err error) {
	h, lost := b.life.take(step{kind: journalHistory}, func() { all, complete, err = b.real.History(ctx, id) })
	if h == heardNothing {
		return nil, false, fmt.Errorf("read history: %w", lost)
	}
	return all, complete, err
}

func (b tappedBooks) OperatorActions(ctx context.Context, action string, after uint64) (all []payment.OperatorAction, err error) {
	h, lost := b.life.take(step{kind: journalActions, what: action}, func() { all, err = b.real.OperatorActions(ctx, action, after) })
	if h == heardNothing {
		return nil, fmt.Errorf("read actions: %w", lost)
	}
	return all, err
}

func (b tappedBooks) AppendOperator(ctx context.Context, a payment.OperatorAction) (err error) {
	h, lost := b.life.take(step{kind: journalAudit, what: a.Action + a.Outcome}, func() {
		if err = b.real.AppendOperator(ctx, a); err == nil {
			b.life.cell.audits = append(b.life.cell.audits, a)
		}
	})
	if h == heardNothing {
		return fmt.Errorf("append: %w: %w", journal.ErrUnknown, lost)
	}
	return err
}

// ruler carries rulings out, as the service does: the handler with the timers.
type ruler struct {
	*handlers.Handler

	timers *broker.Timers
}

func (r ruler) Resolve(ctx context.Context, ruling handlers.Ruling) (journal.Record, error) {
	return r.Handler.Resolve(ctx, ruling, r.timers)
}

func (r ruler) Requery(ctx context.Context, id payment.ID, op payment.Op, key payment.Key) (handlers.Requeried, error) {
	return r.Handler.Requery(ctx, id, op, key, r.timers)
}

// noIndex lists no open payments: the operator of a cell knows its own.
type noIndex struct{}

func (noIndex) Open(context.Context) ([]payment.ID, bool, error) { return nil, true, nil }

// newDesk is the desk of one process.
func (l *life) newDesk(set *providers.Set, books *stream.Journal, service ruler) (*desk.Desk, error) {
	c := l.cell
	o := &desk.Options{Now: c.bench.clock.Now, IDs: c.world.ulid}
	if c.path.second {
		o.SecondPersonAbove = []payment.Money{{Value: 1, Currency: payment.Currency(c.bench.row.kind.Currency)}}
	}
	return desk.New(tappedBooks{l, books}, noIndex{}, service, set, o)
}

// ruled is what goes to a person because the provider answers no question. Each
// step from the operator's first look on is broken; other paths come that far.
func (r row) ruled() []path {
	if r.full && r.kind.Asked != simulator.Always {
		return nil // no answer is missed: its repeat tells, and no person is asked
	}
	executed := []simulator.Fault{{Mode: simulator.CutAfter, Times: 1}}
	not := []simulator.Fault{{Mode: simulator.CutBefore, Times: 1}}
	all := []path{
		{name: "ruled retry, not executed", rules: retrying, deaf: true, faults: not, ends: []string{r.again()}},
		{name: "ruled retry, executed", rules: retrying, deaf: true, faults: executed, ends: []string{r.anew()}},
	}
	if r.name == partial || r.name == void { // a word about what happened takes the same way everywhere
		all = append(all,
			path{name: "ruled succeeded", rules: truthful, deaf: true, faults: executed, ends: []string{succeeded}},
			path{name: "ruled failed", rules: truthful, deaf: true, faults: not, ends: []string{failed}})
	}
	if r.name == partial && r.kind.Blind {
		all = append(all,
			path{name: "ruled by two", rules: truthful, deaf: true, second: true, faults: executed, ends: []string{succeeded}},
			path{name: "ruled, another waits", rules: truthful, hidden: true, faults: executed, ends: []string{succeeded, succeeded}, commands: []command{
				r.own(), {op: payment.Refund, amount: other, key: "second"},
			}})
	}
	return all
}

// again is how a retry ends of what was not executed: Bento voids nothing that
// it cannot read first, so that there the operator's second word is the end.
func (r row) again() string {
	if r.kind.CancelNeedsSight && r.name == void {
		return failed
	}
	return succeeded
}

// anew is how a retry ends of what was executed. Where a repeat may pay again, the
// operator's word is that the earlier calls do not count; and nothing is left for a
// second refund of all, so that the provider refuses it.
func (r row) anew() string {
	if r.full && r.traits.Repeat == payment.RepeatUnsafe {
		return failed
	}
	return succeeded
}

// ownRisk is the first attempt since an operator confirmed that a call may pay
// again, and when it began: their word is that the ones before do not count.
func (c *cell) ownRisk(op payment.Op, key payment.Key) (attempt int, since time.Time) {
	if c.bench.provider.Traits().For(op, c.bench.row.full).Repeat != payment.RepeatUnsafe {
		return 0, since
	}
	for _, e := range c.history {
		if e.Type == payment.EventStarted && e.ResolvedBy != nil && e.Op == op && e.Key == key {
			attempt, since = e.Attempt, e.OccurredAt
		}
	}
	return attempt, since
}
