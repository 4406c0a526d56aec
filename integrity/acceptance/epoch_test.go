package acceptance_test

import (
	"testing"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
)

// Where everything was set back to a time before an acceptance, only a process
// that runs knows of it. Its epoch's number is not used again, and what it knows
// counts.
func TestAnAcceptanceThatWasSetBackKeepsItsNumber(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.sources.Witness = nil
	stop := b.registerAt(integrity.Broken, integrity.Record{
		Epoch: integrity.Epoch{Number: 1, Phase: integrity.Doubting, CommandsLost: 3},
		Mark:  integrity.Mark{Epoch: 1, Journal: integrity.Position{Sequence: 26}},
	})
	defer stop()
	v := b.look()
	if len(v.Findings) != 1 || v.Findings[0].Kind != integrity.EpochForgotten {
		t.Errorf("%+v", v.Findings)
	}
	if loss := acceptance.LossOf(v); loss.Known != 26 || loss.Messages != 10 {
		t.Errorf("%+v", loss)
	}
	desk := b.desk(false)
	_, err := desk.Accept(t.Context(), asked("ann"), acceptance.Typed{})
	refused(t, err, "--lose 10")
	done, err := desk.Accept(t.Context(), asked("ann"), acceptance.Typed{Messages: 10})
	if err != nil || done.Epoch.Number != 2 || done.Epoch.CommandsLost != 3 {
		t.Fatalf("%+v, %v", done, err)
	}
	if v := b.look(); len(v.Findings) > 0 || v.Record.Epoch.Number != 2 {
		t.Errorf("%+v, %+v", v.Findings, v.Record.Epoch)
	}
}
