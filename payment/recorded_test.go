package payment_test

import (
	"testing"
	"time"

	"github.com/countermand/countermand/payment"
)

// recorded is a payment whose operations have their newest events at these versions.
func recorded(version uint64, last map[payment.Key]uint64) payment.State {
	s := payment.State{Version: version}
	for key, v := range last {
		s.Operations = append(s.Operations, payment.Operation{Op: payment.Refund, KeyHash: key.Hash(), Last: v})
	}
	return s
}

func TestATimerIsComparedWithTheJournal(t *testing.T) {
	t.Parallel()
	type versions = map[payment.Key]uint64
	none := payment.State{}
	for name, c := range map[string]struct {
		says  payment.Recorded
		shown payment.State
		epoch uint64
		want  payment.TimerVerdict
	}{
		"an earlier version of the program":                {payment.Recorded{}, none, 0, payment.TimerFits},
		"so, after a loss":                                 {payment.Recorded{}, none, 3, payment.TimerFits},
		"nothing was recorded":                             {payment.Recorded{Epoch: 1}, none, 1, payment.TimerFits},
		"nothing was recorded, now something is":           {payment.Recorded{}, recorded(2, versions{"k": 2}), 0, payment.TimerFits},
		"what was recorded is there":                       {payment.Recorded{Version: 3, Operation: 2}, recorded(3, versions{"k": 2}), 0, payment.TimerFits},
		"the payment has moved on":                         {payment.Recorded{Version: 3, Operation: 2}, recorded(9, versions{"k": 9}), 0, payment.TimerFits},
		"others have moved on":                             {payment.Recorded{Version: 3, Operation: 2}, recorded(9, versions{"k": 2, "other": 9}), 0, payment.TimerFits},
		"it waits, and only others were recorded":          {payment.Recorded{Version: 3}, recorded(3, versions{"other": 3}), 0, payment.TimerFits},
		"it waits, and others have lost an event":          {payment.Recorded{Version: 3}, recorded(2, versions{"other": 2}), 0, payment.TimerAhead},
		"one event is lost":                                {payment.Recorded{Version: 3, Operation: 3}, recorded(2, versions{"k": 2}), 0, payment.TimerAhead},
		"the payment is gone":                              {payment.Recorded{Version: 1, Operation: 1}, none, 0, payment.TimerAhead},
		"lost and written over by another":                 {payment.Recorded{Version: 3, Operation: 3}, recorded(3, versions{"other": 3}), 0, payment.TimerUnknown},
		"its end is lost and written over":                 {payment.Recorded{Version: 3, Operation: 3}, recorded(4, versions{"k": 2, "other": 4}), 0, payment.TimerUnknown},
		"lost in this epoch":                               {payment.Recorded{Epoch: 2, Version: 3, Operation: 3}, recorded(2, versions{"k": 2}), 2, payment.TimerAhead},
		"lost in an epoch that this process does not know": {payment.Recorded{Epoch: 2, Version: 3, Operation: 3}, recorded(2, versions{"k": 2}), 1, payment.TimerAhead},
		"an accepted loss took an event":                   {payment.Recorded{Epoch: 1, Version: 3, Operation: 3}, recorded(2, versions{"k": 2}), 2, payment.TimerFits},
		"an accepted loss took others":                     {payment.Recorded{Version: 3}, none, 1, payment.TimerFits},
		"an accepted loss took the operation":              {payment.Recorded{Version: 3, Operation: 3}, recorded(2, versions{"other": 2}), 1, payment.TimerPresumed},
		"it took the payment":                              {payment.Recorded{Epoch: 1, Version: 1, Operation: 1}, none, 2, payment.TimerPresumed},
	} {
		if got := c.says.Judge(c.shown, payment.Refund, "k", c.epoch); got != c.want {
			t.Errorf("%s: verdict %d, want %d", name, got, c.want)
		}
	}
}

// A timer that is written on a state fits it, and each later one.
func TestATimerFitsTheStateThatItWasWrittenOn(t *testing.T) {
	t.Parallel()
	s := tell(t, opay()).command(a())
	var written []payment.Recorded
	for range 6 {
		written = append(written, s.in.State.Recorded(payment.Refund, a().Key, 4))
		for n, w := range written {
			if got := w.Judge(s.in.State, payment.Refund, a().Key, 4); got != payment.TimerFits {
				t.Errorf("timer %d %+v at version %d: verdict %d", n, w, s.in.State.Version, got)
			}
		}
		s.pass(time.Hour).timer().told(payment.Outcome{Result: payment.Indeterminate}).pass(time.Minute).command(refund("other", 5))
	}
	if w := written[0]; w.Version != 1 || w.Operation != 1 || w.Epoch != 4 {
		t.Errorf("the first one says %+v", w)
	}
}

func TestAnOperationThatItsTimerKnewIsPresumedWhateverElseIsKnown(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*payment.Input){
		"though its command is newer": func(in *payment.Input) { lossy(true)(in); in.Loss.Recorded = true },
		"though it panics":            func(in *payment.Input) { lossy(false)(in) },
	} {
		s := tell(t, openpay()).with(change).about(a())
		decide := payment.Decide
		if name == "though it panics" {
			decide = payment.DecidePanicked
		}
		d := undisturbed(t, s.in, decide)
		if d.Event == nil || d.Event.Type != payment.EventIndeterminate || d.Code != payment.CodeJournalIncomplete || d.Action != payment.ComeBack {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestWhatItsTimerKnewIsNotRefusedWhileItsProviderIsNotConfigured(t *testing.T) {
	t.Parallel()
	for name, decide := range map[string]func(payment.Input) payment.Decision{"decided": payment.Decide, "panicked": payment.DecidePanicked} {
		s := tell(t, opay()).with(lossy(false)).about(a())
		s.in.Instance.Configured = false
		if d := decide(s.in); d.Action != payment.RejectCommand {
			t.Errorf("%s: what nobody ever recorded: %+v", name, d)
		}
		s.in.Loss.Recorded = true
		if d := decide(s.in); d.Action != payment.ComeBack || d.Event != nil || d.Alert == "" {
			t.Errorf("%s: %+v", name, d)
		}
	}
}
