package reconcile_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/reconcile"
)

func TestAMovementStandsByItsReferenceAndNotByItsAmount(t *testing.T) {
	t.Parallel()
	egp := func(v int64) *payment.Money { return &payment.Money{Value: v, Currency: "EGP"} }
	operation := func(last payment.EventType) reconcile.Operation {
		return reconcile.Operation{Op: payment.Refund, Last: last, Amount: egp(400), Effect: payment.EffectRefunded}
	}
	open, done, failed := operation(payment.EventIndeterminate), operation(payment.EventSucceeded), operation(payment.EventFailed)
	returned := done
	returned.Fact = payment.EventReturned
	full := reconcile.Operation{Op: payment.Refund, Last: payment.EventIndeterminate, Full: true}
	cancel := reconcile.Operation{Op: payment.Cancel, Last: payment.EventIndeterminate}
	cancelled := reconcile.Operation{Op: payment.Cancel, Last: payment.EventSucceeded, Effect: payment.EffectVoided}
	row := func(status string, v int64) reconcile.Row {
		r := reconcile.Row{Op: payment.Refund, Status: status}
		if v > 0 {
			r.Amount = egp(v)
		}
		return r
	}
	yes := row(reconcile.RowSucceeded, 400)
	another := func(r reconcile.Row) reconcile.Row {
		r.ProviderReference = "another"
		return r
	}
	later := func(r reconcile.Row) reconcile.Row {
		r.ExecutedAt = noon()
		return r
	}
	closed := reconcile.Row{Op: payment.Cancel, Status: reconcile.RowSucceeded}
	type rows = []reconcile.Row
	type operations = []reconcile.Operation
	type standings = []reconcile.Standing
	for _, c := range []struct {
		name string
		ours bool
		ops  operations
		rows rows
		want standings
	}{
		{"open, ours", true, operations{open}, rows{yes}, standings{reconcile.MovementSettles}},
		{"open, theirs", false, operations{open}, rows{yes}, standings{reconcile.MovementDoubtful}},
		{"open, another amount", true, operations{open}, rows{row(reconcile.RowSucceeded, 401)}, standings{reconcile.MovementDoubtful}},
		{"open, twice", true, operations{open}, rows{yes, another(yes)}, standings{reconcile.MovementDoubtful, reconcile.MovementDoubtful}},
		{"open, a row again", true, operations{open}, rows{yes, yes}, standings{reconcile.MovementSettles, reconcile.MovementRepeated}},
		{"open, failed later", true, operations{open}, rows{yes, later(row(reconcile.RowFailed, 400))}, nil},
		{"open, failed before", true, operations{open}, rows{row(reconcile.RowFailed, 400), later(yes)}, standings{reconcile.MovementSettles}},
		{"open, came back later", true, operations{open}, rows{yes, later(row(reconcile.RowReturned, 400))}, standings{reconcile.MovementDoubtful, reconcile.MovementDoubtful}},
		{"open, came back", true, operations{open}, rows{row(reconcile.RowReturned, 400)}, standings{reconcile.MovementDoubtful}},
		{"open, another kind", true, operations{open}, rows{closed}, standings{reconcile.MovementDoubtful}},
		{"open in full", true, operations{full}, rows{yes}, standings{reconcile.MovementSettles}},
		{"cancel", true, operations{cancel}, rows{closed}, standings{reconcile.MovementSettles}},
		{"a cancel that moved money", true, operations{cancel}, rows{{Op: payment.Cancel, Status: reconcile.RowSucceeded, Amount: egp(1)}}, standings{reconcile.MovementDoubtful}},
		{"two of one reference", true, operations{open, open}, rows{yes}, standings{reconcile.MovementDoubtful}},
		{"nothing moved", true, operations{open}, rows{row(reconcile.RowFailed, 400), row(reconcile.RowPending, 400)}, nil},
		{"succeeded", true, operations{done}, rows{yes}, standings{reconcile.MovementBooked}},
		{"succeeded, twice", true, operations{done}, rows{yes, another(yes)}, standings{reconcile.MovementBooked, reconcile.MovementUnexplained}},
		{"succeeded, a row again", true, operations{done}, rows{yes, yes}, standings{reconcile.MovementBooked, reconcile.MovementRepeated}},
		{"two alike, theirs", false, operations{done, done}, rows{yes, yes}, standings{reconcile.MovementBooked, reconcile.MovementBooked}},
		{"cancelled, twice", true, operations{cancelled}, rows{closed, later(closed)}, standings{reconcile.MovementBooked, reconcile.MovementBooked}},
		{"succeeded, theirs", false, operations{done}, rows{yes}, standings{reconcile.MovementBooked}},
		{"returned", true, operations{returned}, rows{row(reconcile.RowReturned, 400)}, standings{reconcile.MovementBooked}},
		{"failed", true, operations{failed}, rows{yes}, standings{reconcile.MovementContradicts}},
		{"nobody's, ours", true, nil, rows{yes}, standings{reconcile.MovementUnclaimed}},
		{"nobody's, a row again", true, nil, rows{yes, yes}, standings{reconcile.MovementUnclaimed, reconcile.MovementRepeated}},
		{"nobody's, failed later", true, nil, rows{yes, later(row(reconcile.RowFailed, 400))}, nil},
		{"nobody's, theirs", false, nil, rows{yes}, standings{reconcile.MovementUnexplained}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got standings
			for _, m := range reconcile.Explain(c.ours, c.ops, c.rows, payment.ReferenceOfMovement) {
				got = append(got, m.Standing)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
