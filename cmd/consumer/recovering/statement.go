package recovering

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/recovery"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/reconcile"
	"github.com/countermand/countermand/reconcile/books"
)

// statement settles and presumes what a provider's statement shows.
func (c *Command) statement(w *cli.World, conn *cli.Connection, sources acceptance.Sources, view acceptance.View) (err error) {
	set, err := providersOf(conn)
	if err != nil {
		return err
	}
	instance, configured := set.Get(c.Provider)
	if !configured {
		return cli.Usage(fmt.Errorf("provider %q is not in the configuration", c.Provider))
	}
	s := &settling{command: c, world: w, count: map[string]uint64{}, unclaimed: map[string][]reconcile.Row{}, table: cli.NewTable(w.Stdout,
		"outcome", "applied", "line", "reference", "provider_reference", "operation", "amount_minor", "currency", "executed_at", "status",
		"payment", "idempotency_key")}
	if s.settle, err = c.settling(w, conn, sources, instance); err != nil {
		return err
	}
	source := books.Source{Stream: conn.Config.Streams.Events, Provider: c.Provider, Dir: c.TempDir}
	source.References, _ = app.References(conn.Config, c.Provider)
	s.references = source.References
	rows, err := cli.ReadStatement(w, c.Statement, source, c.JSON)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if err := c.record(w, conn, sources, view); err != nil {
		return err
	}
	if err = s.explain(conn, rows, source); err == nil {
		err = s.presume(conn, sources, set, view.Record.Epoch)
	}
	if said := s.end(); said != nil {
		return errors.Join(err, said)
	}
	if n := s.left(); err == nil && n > 0 {
		return fmt.Errorf("recover: %d movements were left", n)
	}
	return err
}

// settling is what settles operations: a named person hands the statement in.
func (c *Command) settling(w *cli.World, conn *cli.Connection, sources acceptance.Sources, in providers.Instance) (recovery.Settling, error) {
	s := recovery.Settling{
		Journal: sources.Journal, Instance: in, Apply: c.Apply, ID: desk.NewULID,
		NeedsSecond: func(m *payment.Money) bool {
			return desk.NeedsSecond(app.Amounts(conn.Config.Desk.SecondPersonAbove), m)
		},
	}
	if !c.Apply {
		return s, nil
	}
	operator, identity, err := c.Decider(w, conn.Config)
	if err != nil {
		return s, cli.Usage(err)
	}
	s.By = payment.OperatorAction{Action: desk.ActionResolve, Operator: operator, Identity: identity, Reason: c.Reason}
	return s, nil
}

// settling is one run over a statement.
type settling struct {
	command *Command
	world   *cli.World
	table   *cli.Table // printed where it is asked for
	settle  recovery.Settling
	count   map[string]uint64
	booked  uint64
	// unclaimed are the rows of each reference that no operation in the journal has.
	unclaimed map[string][]reconcile.Row
	// references is what the provider's references in the statement name.
	references payment.ReferenceScope
}

// presumed is what became of a movement whose operation only its command knows.
const presumed = "presumed"

// explain holds the statement against the journal and settles what it can.
func (s *settling) explain(conn *cli.Connection, rows *books.Statement, source books.Source) (err error) {
	bar := cli.NewGauge(s.world, s.command.JSON || s.command.CSV, "reading the journal")
	journal, err := books.ReadJournal(s.world.Context, conn.Conn, source, bar.Set)
	bar.End()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, journal.Close()) }()
	if journal.DamagedCount > 0 {
		return fmt.Errorf("%d events of the provider cannot be read: nothing can be called unexplained", journal.DamagedCount)
	}
	return rows.Explain(journal, source, s.movement)
}

// movement takes one movement of the statement.
func (s *settling) movement(m reconcile.Movement) error {
	switch m.Standing {
	case reconcile.MovementBooked:
		s.booked++
		return nil
	case reconcile.MovementUnclaimed:
		s.unclaimed[m.Row.Reference] = append(s.unclaimed[m.Row.Reference], m.Row)
		return nil
	case reconcile.MovementSettles:
		o := m.Operation
		outcome, err := s.settle.Settle(s.world.Context, s.evidence(o.Payment, o.Op, o.Key, m.Row))
		if err != nil {
			return err
		}
		return s.tell(outcome, m.Row, &told{o.Payment, o.Op, o.Key})
	default:
		t := (*told)(nil)
		if o := m.Operation; o != nil {
			t = &told{o.Payment, o.Op, o.Key}
		}
		return s.tell(string(m.Standing), m.Row, t)
	}
}

// evidence is what a row says of an operation.
func (s *settling) evidence(id payment.ID, op payment.Op, key payment.Key, r reconcile.Row) recovery.Evidence {
	return recovery.Evidence{
		ID: id, Op: op, Key: key,
		Testimony: payment.Testimony{Moved: r.Amount, ProviderReference: r.ProviderReference},
		Text:      fmt.Sprintf("statement %s, line %d, %s", events.Mask(filepath.Base(s.command.Statement)), r.Line, r.ExecutedAt.Format(time.RFC3339)),
	}
}

// presume looks for the commands of what no operation in the journal explains, and
// presumes and settles their operations.
func (s *settling) presume(conn *cli.Connection, sources acceptance.Sources, set *providers.Set, epoch integrity.Epoch) error {
	if len(s.unclaimed) == 0 {
		return nil
	}
	walk, err := s.command.walk(s.world, conn, sources, set, epoch)
	if err != nil {
		return err
	}
	bar := cli.NewGauge(s.world, s.command.JSON || s.command.CSV, "walking over the commands")
	walk.Progress = bar.Set
	walk.Only = func(reference string) bool {
		_, wanted := s.unclaimed[reference]
		return wanted
	}
	found := map[string]recovery.Found{}
	walk.Tell = func(f recovery.Found) error {
		if f.State == recovery.Unknown {
			found[f.Reference] = f
		}
		return nil
	}
	_, err = walk.Run(s.world.Context)
	bar.End()
	if err != nil {
		return err
	}
	all := slices.SortedFunc(maps.Values(s.unclaimed), func(a, b []reconcile.Row) int { return cmp.Compare(a[0].Line, b[0].Line) })
	for _, rows := range all {
		if err := s.claimed(rows, found[rows[0].Reference]); err != nil {
			return err
		}
	}
	return nil
}

// claimed says what the rows of one reference mean for the operation of the command
// that was found for it: what they would mean if it lay open in the journal.
func (s *settling) claimed(rows []reconcile.Row, f recovery.Found) error {
	var operations []reconcile.Operation
	if f.Reference != "" {
		operations = append(operations, reconcile.Operation{
			Payment: f.ID, Op: f.Operation, Key: f.Key, Amount: f.Amount, Full: f.Full,
			Reference: f.Reference, Last: payment.EventIndeterminate,
		})
	}
	for _, m := range reconcile.Explain(true, operations, rows, s.references) {
		var err error
		switch {
		case m.Standing == reconcile.MovementUnclaimed:
			err = s.tell(string(reconcile.MovementUnexplained), m.Row, nil)
		case m.Standing == reconcile.MovementSettles && !f.Presumed: // a dry run, or the service has to look first
			err = s.tell(presumed, m.Row, &told{f.ID, f.Operation, f.Key})
		default:
			err = s.movement(m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// told names an operation.
type told struct {
	id  payment.ID
	op  payment.Op
	key payment.Key
}

// tell prints one movement.
func (s *settling) tell(outcome string, r reconcile.Row, t *told) error {
	s.count[outcome]++
	applied := s.command.Apply && outcome == recovery.Settled
	var id, key string
	if t != nil {
		id, key = events.Token(t.id.Native), string(t.key)
	}
	switch {
	case s.command.JSON:
		return s.world.JSON(map[string]any{"movement": map[string]any{
			"outcome": outcome, "applied": applied, "row": r, "payment": id, "idempotencyKey": key,
		}})
	case s.command.CSV:
		return s.row(outcome, applied, r, id, key)
	}
	about := "no operation explains it"
	if t != nil {
		about = fmt.Sprintf("%s %s of payment %s", t.op, t.key, id)
	}
	_, err := fmt.Fprintf(s.world.Stdout, "line %d, %s %s: %s, %s\n", r.Line, r.Op, amountOf(r), outcome, about)
	return err
}

func (s *settling) row(outcome string, applied bool, r reconcile.Row, id, key string) error {
	value, currency := "", ""
	if r.Amount != nil {
		value, currency = strconv.FormatInt(r.Amount.Value, 10), string(r.Amount.Currency)
	}
	return s.table.Row(
		outcome, strconv.FormatBool(applied), strconv.Itoa(r.Line), r.Reference, r.ProviderReference, string(r.Op), value,
		currency, r.ExecutedAt.Format(time.RFC3339), r.Status, id, key,
	)
}

func amountOf(r reconcile.Row) string {
	if r.Amount == nil {
		return "of " + r.ExecutedAt.Format(time.RFC3339)
	}
	return "of " + r.Amount.Text() + " at " + r.ExecutedAt.Format(time.RFC3339)
}

// left is how many movements a person has to look at.
func (s *settling) left() (n uint64) {
	for outcome, count := range s.count {
		if outcome != recovery.Settled && outcome != recovery.Ended && (outcome != presumed || s.command.Apply) {
			n += count
		}
	}
	return n
}

// end prints the summary.
func (s *settling) end() error {
	if s.command.JSON {
		return s.world.JSON(map[string]any{"summary": map[string]any{
			"booked": s.booked, "outcomes": s.count, "applied": s.command.Apply, "left": s.left(),
		}})
	}
	out := s.world.Stdout
	if s.command.CSV {
		if err := s.table.End(); err != nil {
			return err
		}
		out = s.world.Stderr
	}
	verb := "would be settled"
	if s.command.Apply {
		verb = "settled"
	}
	_, err := fmt.Fprintf(out, "%d movements are in the journal, %d %s, %d only their commands explain, %d left\n",
		s.booked, s.count[recovery.Settled], verb, s.count[presumed], s.left())
	return err
}
